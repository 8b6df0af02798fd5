"""Triton kernels of WKV's gradient; launched by seqops.gpu.wkv.

gnum and gden are the gradients of num and den at the running maximum that the replayed state has, so that every factor
is at most 1. Rescaling (num, den) against max changes no output, hence the gradient of max is gnum num + gden den plus
an excess that only the gradient of the final state brings in. The excess travels back unchanged while the older
exponent is the maximum, and ends at the key that set it.
"""

# mypy: disable-error-code="untyped-decorator, no-untyped-def, no-untyped-call, assignment"
# ruff: noqa: RUF005, SIM102 - the plain forms are those that Triton compiles

import triton
import triton.language as tl

from seqops.gpu.tiles import columns, load_tile, store_tile
from seqops.gpu.wkv_kernels import load_state, store_state, weights


@triton.jit
def adjoint_summary(
    w, u, k, v, gy, starts, replays, slots, reaches,
    batch, l, d, chunk, chunks, tiles,
    k_b, k_t, k_d, v_b, v_t, v_d, gy_b, gy_t, gy_d,
    ADJOINT: tl.constexpr, BLOCK: tl.constexpr, STEPS: tl.constexpr,
):  # fmt: skip
    """Leave the states before every tile, replays (3, b, tiles, d); with ADJOINT what each chunk adds one slot earlier.

    slots (3, b, chunks, d): gnum, gden, excess; reaches (b, chunks, d): the factor by which older gradients shrink.
    """
    c = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    n = tl.program_id(1)
    b = tl.cast(tl.program_id(2), tl.int64)
    mask = c < d
    c = tl.cast(c, tl.int64)
    k += b * k_b
    v += b * v_b
    gy += b * gy_b
    rows = tl.cast(batch, tl.int64)
    decay = tl.load(w + c, mask=mask, other=0.0)
    bonus = tl.load(u + c, mask=mask, other=0.0)
    first = n * chunk
    last = tl.minimum(first + chunk, l)
    num, den, top = load_state(starts, (b * chunks + n) * d + c, rows * chunks * d, mask)
    gnum = tl.zeros((BLOCK,), tl.float32)
    gden = gnum
    reach = tl.full((BLOCK,), 1.0, tl.float32)
    for t in range(first, last, STEPS):
        store_state(replays, (b * tiles + t // STEPS) * d + c, rows * tiles * d, mask, num, den, top)
        ks = columns(load_tile(k, t, last, c, k_t, k_d, mask, STEPS).to(tl.float32), BLOCK, STEPS)
        vs = columns(load_tile(v, t, last, c, v_t, v_d, mask, STEPS).to(tl.float32), BLOCK, STEPS)
        gys = ks
        if ADJOINT:
            gys = columns(load_tile(gy, t, last, c, gy_t, gy_d, mask, STEPS).to(tl.float32), BLOCK, STEPS)
        for i in tl.static_range(STEPS):
            if ADJOINT:
                past, now, _ = weights(top, bonus + ks[i])
                total = past * den + now
                passed = reach * past * gys[i] / total
                gnum += passed
                gden -= passed * (past * num + now * vs[i]) / total
            past, now, peak = weights(top - decay, ks[i])
            inside = t + i < last
            num = tl.where(inside, past * num + now * vs[i], num)
            den = tl.where(inside, past * den + now, den)
            top = tl.where(inside, peak, top)
            reach = tl.where(inside, reach * past, reach)
    if ADJOINT:
        if n > 0:
            at = (b * chunks + n - 1) * d + c
            store_state(slots, at, rows * chunks * d, mask, gnum, gden, tl.zeros((BLOCK,), tl.float32))
            tl.store(reaches + at, reach, mask=mask)


@triton.jit
def combine_adjoints(slots, reaches, batch, d, chunks, BLOCK: tl.constexpr):
    """Carry the gradients from the last chunk to the first, in place."""
    c = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    b = tl.cast(tl.program_id(1), tl.int64)
    mask = c < d
    plane = tl.cast(batch, tl.int64) * chunks * d
    gnum, gden, excess = load_state(slots, (b * chunks + chunks - 1) * d + c, plane, mask)
    for done in range(1, chunks):
        at = (b * chunks + chunks - 1 - done) * d + c
        reach = tl.load(reaches + at, mask=mask, other=0.0)
        added_num, added_den, _ = load_state(slots, at, plane, mask)
        gnum, gden = reach * gnum + added_num, reach * gden + added_den
        excess = tl.where(reach == 1.0, excess, 0.0)
        store_state(slots, at, plane, mask, gnum, gden, excess)


@triton.jit
def wkv_backward(
    w, u, k, v, gy, replays, slots, gw, gu, gk, gv, ginitial,
    batch, l, d, chunk, chunks, tiles,
    k_b, k_t, k_d, v_b, v_t, v_d, gy_b, gy_t, gy_d, gk_b, gk_t, gk_d, gv_b, gv_t, gv_d,
    BLOCK: tl.constexpr, STEPS: tl.constexpr,
):  # fmt: skip
    """Walk one chunk backwards from the gradient of its last state; gw, gu (b, chunks, d) are this chunk's part."""
    c = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    n = tl.program_id(1)
    b = tl.cast(tl.program_id(2), tl.int64)
    mask = c < d
    c = tl.cast(c, tl.int64)
    k += b * k_b
    v += b * v_b
    gy += b * gy_b
    gk += b * gk_b
    gv += b * gv_b
    rows = tl.cast(batch, tl.int64)
    decay = tl.load(w + c, mask=mask, other=0.0)
    bonus = tl.load(u + c, mask=mask, other=0.0)
    first = n * chunk
    last = tl.minimum(first + chunk, l)
    slot = (b * chunks + n) * d + c
    gnum, gden, excess = load_state(slots, slot, rows * chunks * d, mask)
    gw_sum = tl.zeros((BLOCK,), tl.float32)
    gu_sum = gw_sum
    num, den, top = gw_sum, gw_sum, gw_sum
    place = tl.arange(0, STEPS)[None, :]
    count = tl.cdiv(last - first, STEPS)
    for walked in range(count):
        t = first + (count - 1 - walked) * STEPS
        num, den, top = load_state(replays, (b * tiles + t // STEPS) * d + c, rows * tiles * d, mask)
        ks = columns(load_tile(k, t, last, c, k_t, k_d, mask, STEPS).to(tl.float32), BLOCK, STEPS)
        vs = columns(load_tile(v, t, last, c, v_t, v_d, mask, STEPS).to(tl.float32), BLOCK, STEPS)
        gys = columns(load_tile(gy, t, last, c, gy_t, gy_d, mask, STEPS).to(tl.float32), BLOCK, STEPS)
        nums, dens, tops = (num,), (den,), (top,)
        for i in tl.static_range(STEPS - 1):
            past, now, peak = weights(tops[i] - decay, ks[i])
            nums = nums + (past * nums[i] + now * vs[i],)
            dens = dens + (past * dens[i] + now,)
            tops = tops + (peak,)
        gks = tl.zeros((BLOCK, STEPS), tl.float32)
        gvs = gks
        for i in tl.static_range(STEPS - 1, -1, -1):
            inside = t + i < last
            past, now, _ = weights(tops[i] - decay, ks[i])
            past, now = tl.where(inside, past, 1.0), tl.where(inside, now, 0.0)
            older = past == 1.0
            through = past * (gnum * nums[i] + gden * dens[i]) + tl.where(older, excess, 0.0)
            gw_sum -= tl.where(inside, through, 0.0)
            g_key = now * (gnum * vs[i] + gden) + tl.where(older, 0.0, excess)
            g_value = now * gnum
            excess = tl.where(older, excess, 0.0)
            past_y, now_y, _ = weights(tops[i], bonus + ks[i])
            scale = 1.0 / (past_y * dens[i] + now_y)
            out = (past_y * nums[i] + now_y * vs[i]) * scale
            scale *= gys[i]
            here = scale * now_y * (vs[i] - out)
            gu_sum += here
            gks = tl.where(place == i, (g_key + here)[:, None], gks)
            gvs = tl.where(place == i, (g_value + scale * now_y)[:, None], gvs)
            gnum = past * gnum + scale * past_y
            gden = past * gden - scale * past_y * out
        store_tile(gk, gks, t, last, c, gk_t, gk_d, mask, STEPS)
        store_tile(gv, gvs, t, last, c, gv_t, gv_d, mask, STEPS)
    tl.store(gw + slot, gw_sum, mask=mask)
    tl.store(gu + slot, gu_sum, mask=mask)
    if n == 0:
        store_state(ginitial, b * d + c, rows * d, mask, gnum, gden, gnum * num + gden * den + excess)
