"""Triton kernels of RWKV-4's WKV; launched by seqops.gpu.wkv, where the method is described.

A program owns BLOCK channels of one row of the batch over one chunk of time, one channel per lane. Of the two factors
exp(a - max(a, b)) and exp(b - max(a, b)) one is always 1, so each pair costs one ex2.
"""

# mypy: disable-error-code="untyped-decorator, no-untyped-def, no-untyped-call, assignment"

import triton
import triton.language as tl

from seqops.gpu.tiles import LOG2_E, columns, load_tile, store_tile


@triton.jit
def weights(older, newer):
    """Return (exp(older - m), exp(newer - m), m) with m the larger of the two exponents."""
    gap = newer - older
    small = tl.exp2(-tl.abs(gap) * LOG2_E)
    ahead = gap > 0
    return tl.where(ahead, small, 1.0), tl.where(ahead, 1.0, small), tl.maximum(older, newer)


@triton.jit
def load_state(base, at, size, mask):
    """Load num, den and max (or their gradients) from three planes of `size` elements; zeros where masked."""
    num = tl.load(base + at, mask=mask, other=0.0)
    den = tl.load(base + size + at, mask=mask, other=0.0)
    return num, den, tl.load(base + 2 * size + at, mask=mask, other=0.0)


@triton.jit
def store_state(base, at, size, mask, num, den, top):
    """Store num, den and max into three planes of `size` elements."""
    tl.store(base + at, num, mask=mask)
    tl.store(base + size + at, den, mask=mask)
    tl.store(base + 2 * size + at, top, mask=mask)


@triton.jit
def wkv_forward(
    w, u, k, v, y, states, starts, ends,
    batch, l, d, chunk, chunks, every,
    k_b, k_t, k_d, v_b, v_t, v_d, y_b, y_t, y_d,
    OUTPUT: tl.constexpr, STATES: tl.constexpr, SUMMARY: tl.constexpr,
    BLOCK: tl.constexpr, STEPS: tl.constexpr,
):  # fmt: skip
    """Scan one chunk: with SUMMARY from the empty state, leaving the result one slot further on; else from its start.

    starts (3, b, chunks, d), states (3, b, l // every, d), ends (3, b, d): num, den and max are planes.
    """
    c = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    n = tl.program_id(1)
    b = tl.cast(tl.program_id(2), tl.int64)
    mask = c < d
    c = tl.cast(c, tl.int64)
    k += b * k_b
    v += b * v_b
    y += b * y_b
    plane = tl.cast(batch, tl.int64) * chunks * d
    decay = tl.load(w + c, mask=mask, other=0.0)
    bonus = tl.load(u + c, mask=mask, other=0.0)
    first = n * chunk
    last = tl.minimum(first + chunk, l)
    num = tl.zeros((BLOCK,), tl.float32)
    den = num
    top = tl.full((BLOCK,), -1e38, tl.float32)
    if not SUMMARY:
        num, den, top = load_state(starts, (b * chunks + n) * d + c, plane, mask)
    next_k = load_tile(k, first, last, c, k_t, k_d, mask, STEPS)
    next_v = load_tile(v, first, last, c, v_t, v_d, mask, STEPS)
    place = tl.arange(0, STEPS)[None, :]
    for t in range(first, last, STEPS):
        ks, vs = columns(next_k.to(tl.float32), BLOCK, STEPS), columns(next_v.to(tl.float32), BLOCK, STEPS)
        next_k = load_tile(k, t + STEPS, last, c, k_t, k_d, mask, STEPS)
        next_v = load_tile(v, t + STEPS, last, c, v_t, v_d, mask, STEPS)
        ys = tl.zeros((BLOCK, STEPS), tl.float32)
        for i in tl.static_range(STEPS):
            if OUTPUT:
                past, now, _ = weights(top, bonus + ks[i])
                ys = tl.where(place == i, ((past * num + now * vs[i]) / (past * den + now))[:, None], ys)
            past, now, peak = weights(top - decay, ks[i])
            inside = t + i < last
            num = tl.where(inside, past * num + now * vs[i], num)
            den = tl.where(inside, past * den + now, den)
            top = tl.where(inside, peak, top)
            if STATES:
                after = t + i + 1
                if (after % every == 0) & (after <= last):
                    kept = (b * (l // every) + after // every - 1) * d
                    store_state(states, kept + c, tl.cast(batch, tl.int64) * (l // every) * d, mask, num, den, top)
        if OUTPUT:
            store_tile(y, ys, t, last, c, y_t, y_d, mask, STEPS)
    if SUMMARY:
        store_state(starts, (b * chunks + n + 1) * d + c, plane, mask, num, den, top)
    elif n == chunks - 1:
        store_state(ends, b * d + c, tl.cast(batch, tl.int64) * d, mask, num, den, top)


@triton.jit
def combine_states(w, starts, batch, d, chunk, chunks, BLOCK: tl.constexpr):
    """Carry the states across chunks in place: slot_n joins slot_(n-1), which is `chunk` tokens older."""
    c = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    b = tl.cast(tl.program_id(1), tl.int64)
    mask = c < d
    plane = tl.cast(batch, tl.int64) * chunks * d
    aged = tl.load(w + c, mask=mask, other=0.0) * chunk
    num, den, top = load_state(starts, b * chunks * d + c, plane, mask)
    new_num, new_den, new_top = load_state(starts, (b * chunks + 1) * d + c, plane, mask)
    for n in range(1, chunks):
        at = (b * chunks + n) * d + c
        past, now, top = weights(top - aged, new_top)
        num, den = past * num + now * new_num, past * den + now * new_den
        following = (b * chunks + tl.minimum(n + 1, chunks - 1)) * d + c
        new_num, new_den, new_top = load_state(starts, following, plane, mask)
        store_state(starts, at, plane, mask, num, den, top)


@triton.jit
def wkv_step(w, u, k, v, num, den, top, y, new, size, d, BLOCK: tl.constexpr):
    """Advance the b d channels by one token; all contiguous, new (3, b, d)."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = at < size
    decay = tl.load(w + at % d, mask=mask, other=0.0)
    bonus = tl.load(u + at % d, mask=mask, other=0.0)
    kt = tl.load(k + at, mask=mask, other=0.0).to(tl.float32)
    vt = tl.load(v + at, mask=mask, other=0.0).to(tl.float32)
    older_num = tl.load(num + at, mask=mask, other=0.0)
    older_den = tl.load(den + at, mask=mask, other=0.0)
    older_top = tl.load(top + at, mask=mask, other=0.0)
    past, now, _ = weights(older_top, bonus + kt)
    out = (past * older_num + now * vt) / (past * older_den + now)
    tl.store(y + at, out.to(y.dtype.element_ty), mask=mask)
    past, now, peak = weights(older_top - decay, kt)
    store_state(new, at, tl.cast(size, tl.int64), mask, past * older_num + now * vt, past * older_den + now, peak)
