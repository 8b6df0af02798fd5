"""Triton kernels of the selective scan's gradient; launched by seqops.gpu.selective_scan.

With g_t the gradient of the state after token t: g_(t-1) = keep_t (g_t + gy_t C_t). `adjoint_summary` runs once
forwards: it leaves the state before every tile of STEPS tokens, and each chunk's own contribution to the gradient of
its start (the sum of gy_t C_t times the product of all keep up to t). `scan_backward` then walks a chunk's tiles from
the last to the first; each is replayed from its start with states and keeps in registers, so that every exponential is
computed twice in all.
"""

# mypy: disable-error-code="untyped-decorator, no-untyped-def, no-untyped-call, assignment"
# ruff: noqa: RUF005, SIM102 - the plain forms are those that Triton compiles

import triton
import triton.language as tl

from seqops.gpu.tiles import LN_2, LOG2_E, columns, load_tile, store_tile


@triton.jit
def adjoint_summary(
    u, dt, A, B, C, gy, starts, replays, slots, sums,
    l, d, chunk, chunks, tiles,
    u_b, u_t, u_d, dt_b, dt_t, dt_d, B_b, B_t, B_n, C_b, C_t, C_n, gy_b, gy_t, gy_d,
    n: tl.constexpr, ADJOINT: tl.constexpr, BLOCK: tl.constexpr, N: tl.constexpr, STEPS: tl.constexpr,
):  # fmt: skip
    """Leave the states before every tile, replays (b, tiles, d, n); with ADJOINT slots and sums one slot earlier."""
    channel = tl.program_id(0) * BLOCK
    k = tl.program_id(1)
    b = tl.cast(tl.program_id(2), tl.int64)
    rows, j = tl.arange(0, BLOCK), tl.arange(0, N)
    row_mask, n_mask = channel + rows < d, j < n
    mask = row_mask[:, None] & n_mask[None, :]
    wide = tl.cast(channel, tl.int64)
    u += b * u_b + wide * u_d
    dt += b * dt_b + wide * dt_d
    gy += b * gy_b + wide * gy_d
    B += b * B_b
    C += b * C_b
    tile = (wide + rows[:, None]) * n + j[None, :]
    state_size = tl.cast(d, tl.int64) * n
    rate = tl.load(A + tile, mask=mask, other=0.0) * LOG2_E
    h = tl.load(starts + (b * chunks + k) * state_size + tile, mask=mask, other=0.0)
    first = k * chunk
    last = tl.minimum(first + chunk, l)
    total = tl.zeros((BLOCK,), tl.float32)
    reach = tl.full((BLOCK, N), 1.0, tl.float32)
    local = tl.zeros((BLOCK, N), tl.float32)
    for t in range(first, last, STEPS):
        tl.store(replays + (b * tiles + t // STEPS) * state_size + tile, h, mask=mask)
        us = load_tile(u, t, last, rows, u_t, u_d, row_mask, STEPS).to(tl.float32)
        dts = load_tile(dt, t, last, rows, dt_t, dt_d, row_mask, STEPS).to(tl.float32)
        Bs = load_tile(B, t, last, j, B_t, B_n, n_mask, STEPS).to(tl.float32)
        gys, Cs = us, Bs
        if ADJOINT:
            gys = load_tile(gy, t, last, rows, gy_t, gy_d, row_mask, STEPS).to(tl.float32)
            Cs = load_tile(C, t, last, j, C_t, C_n, n_mask, STEPS).to(tl.float32)
        writes, dts, Bs = columns(us * dts, BLOCK, STEPS), columns(dts, BLOCK, STEPS), columns(Bs, N, STEPS)
        gys, Cs = columns(gys, BLOCK, STEPS), columns(Cs, N, STEPS)
        for i in tl.static_range(STEPS):
            keep = tl.exp2(dts[i][:, None] * rate)
            h = keep * h + writes[i][:, None] * Bs[i][None, :]
            if ADJOINT:
                total += dts[i]
                reach *= keep
                local += reach * (gys[i][:, None] * Cs[i][None, :])
    if ADJOINT:
        if k > 0:
            slot = b * chunks + k - 1
            tl.store(slots + slot * state_size + tile, local, mask=mask)
            tl.store(sums + slot * d + channel + rows, total, mask=row_mask)


@triton.jit
def scan_backward(
    u, dt, A, B, C, D, gy, replays, slots, gu, gdt, gA, gB, gC, gD, ginitial,
    l, d, chunk, chunks, tiles,
    u_b, u_t, u_d, dt_b, dt_t, dt_d, B_b, B_t, B_n, C_b, C_t, C_n, gy_b, gy_t, gy_d,
    gu_b, gu_t, gu_d, gdt_b, gdt_t, gdt_d,
    n: tl.constexpr, HAS_D: tl.constexpr, BLOCK: tl.constexpr, N: tl.constexpr, STEPS: tl.constexpr,
):  # fmt: skip
    """Walk one chunk backwards from the gradient of its last state (slots).

    gA (b, chunks, d, n), gD (b, chunks, d), gB and gC (blocks, b, l, n): sums over this program's part only, which
    the caller adds up in a fixed order.
    """
    channel = tl.program_id(0) * BLOCK
    k = tl.program_id(1)
    b = tl.cast(tl.program_id(2), tl.int64)
    rows, j = tl.arange(0, BLOCK), tl.arange(0, N)
    row_mask, n_mask = channel + rows < d, j < n
    mask = row_mask[:, None] & n_mask[None, :]
    wide = tl.cast(channel, tl.int64)
    u += b * u_b + wide * u_d
    dt += b * dt_b + wide * dt_d
    gy += b * gy_b + wide * gy_d
    gu += b * gu_b + wide * gu_d
    gdt += b * gdt_b + wide * gdt_d
    B += b * B_b
    C += b * C_b
    part = (tl.program_id(0) * tl.num_programs(2) + b) * l * n
    tile = (wide + rows[:, None]) * n + j[None, :]
    state_size = tl.cast(d, tl.int64) * n
    rate = tl.load(A + tile, mask=mask, other=0.0) * LOG2_E
    skip = tl.zeros((BLOCK,), tl.float32)
    if HAS_D:
        skip = tl.load(D + channel + rows, mask=row_mask, other=0.0)
    first = k * chunk
    last = tl.minimum(first + chunk, l)
    g = tl.load(slots + (b * chunks + k) * state_size + tile, mask=mask, other=0.0)
    gA_sum = tl.zeros((BLOCK, N), tl.float32)
    gD_sum = tl.zeros((BLOCK,), tl.float32)
    place = tl.arange(0, STEPS)[None, :]
    count = tl.cdiv(last - first, STEPS)
    for walked in range(count):
        t = first + (count - 1 - walked) * STEPS
        us = load_tile(u, t, last, rows, u_t, u_d, row_mask, STEPS).to(tl.float32)
        dts = load_tile(dt, t, last, rows, dt_t, dt_d, row_mask, STEPS).to(tl.float32)
        gys = load_tile(gy, t, last, rows, gy_t, gy_d, row_mask, STEPS).to(tl.float32)
        Bs = load_tile(B, t, last, j, B_t, B_n, n_mask, STEPS).to(tl.float32)
        Cs = load_tile(C, t, last, j, C_t, C_n, n_mask, STEPS).to(tl.float32)
        h = tl.load(replays + (b * tiles + t // STEPS) * state_size + tile, mask=mask, other=0.0)
        gus, gdts = us, dts
        us, dts, gys = columns(us, BLOCK, STEPS), columns(dts, BLOCK, STEPS), columns(gys, BLOCK, STEPS)
        Bs, Cs = columns(Bs, N, STEPS), columns(Cs, N, STEPS)
        hs, keeps = (h,), (h,)
        for i in tl.static_range(STEPS):
            keeps = keeps + (tl.exp2(dts[i][:, None] * rate),)
            hs = hs + (keeps[i + 1] * hs[i] + (us[i] * dts[i])[:, None] * Bs[i][None, :],)
        gBs = tl.zeros((N, STEPS), tl.float32)
        gCs = tl.zeros((N, STEPS), tl.float32)
        for i in tl.static_range(STEPS - 1, -1, -1):
            ut, step, gyt = us[i], dts[i], gys[i]
            gCs = tl.where(place == i, tl.sum(gyt[:, None] * hs[i + 1], 0)[:, None], gCs)
            g += gyt[:, None] * Cs[i][None, :]
            gBs = tl.where(place == i, tl.sum(g * (step * ut)[:, None], 0)[:, None], gBs)
            through_B = tl.sum(g * Bs[i][None, :], 1)
            g *= keeps[i + 1]
            exponent = g * hs[i]  # the gradient of dt A
            gA_sum += exponent * step[:, None]
            gdts = tl.where(place == i, (tl.sum(exponent * rate, 1) * LN_2 + through_B * ut)[:, None], gdts)
            gus = tl.where(place == i, (through_B * step + gyt * skip)[:, None], gus)
            gD_sum += gyt * ut
        store_tile(gu, gus, t, last, rows, gu_t, gu_d, row_mask, STEPS)
        store_tile(gdt, gdts, t, last, rows, gdt_t, gdt_d, row_mask, STEPS)
        store_tile(gB + part, gBs, t, last, j, n, 1, n_mask, STEPS)
        store_tile(gC + part, gCs, t, last, j, n, 1, n_mask, STEPS)
    tl.store(gA + (b * chunks + k) * state_size + tile, gA_sum, mask=mask)
    if HAS_D:
        tl.store(gD + (b * chunks + k) * d + channel + rows, gD_sum, mask=row_mask)
    if k == 0:
        tl.store(ginitial + b * state_size + tile, g, mask=mask)
