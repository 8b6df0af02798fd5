"""Triton kernels of the selective scan; launched by seqops.gpu.selective_scan, where the method is described.

A program owns BLOCK channels with all N states of each (a tile (BLOCK, N) in registers) over one chunk of time, and
moves through it in tiles of STEPS tokens. Loads of the next tile are issued before the current one is computed.
Tokens past the end load dt = 0 and u = 0, which leaves the state as it is.
"""

# mypy: disable-error-code="untyped-decorator, no-untyped-def, no-untyped-call, assignment"

import triton
import triton.language as tl

from seqops.gpu.tiles import LOG2_E, columns, load_tile, store_tile


@triton.jit
def scan_forward(  # noqa: C901
    u, dt, A, B, C, D, y, states, starts, ends, sums,
    l, d, chunk, chunks, every,
    u_b, u_t, u_d, dt_b, dt_t, dt_d, B_b, B_t, B_n, C_b, C_t, C_n, y_b, y_t, y_d,
    n: tl.constexpr, HAS_D: tl.constexpr, OUTPUT: tl.constexpr, STATES: tl.constexpr, SUMMARY: tl.constexpr,
    BLOCK: tl.constexpr, N: tl.constexpr, STEPS: tl.constexpr,
):  # fmt: skip
    """Scan one chunk: with SUMMARY from zero, leaving state and sum of dt one slot further on; else from its start.

    y (b, l, d), states (b, l // every, d, n), starts (b, chunks, d, n), ends (b, d, n),
    sums (b, chunks, d).
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
    B += b * B_b
    C += b * C_b
    y += b * y_b + wide * y_d
    tile = (wide + rows[:, None]) * n + j[None, :]  # within one state (d, n)
    state_size = tl.cast(d, tl.int64) * n
    rate = tl.load(A + tile, mask=mask, other=0.0) * LOG2_E
    first = k * chunk
    last = tl.minimum(first + chunk, l)
    total = tl.zeros((BLOCK,), tl.float32)
    skip = tl.zeros((BLOCK,), tl.float32)
    if HAS_D:
        skip = tl.load(D + channel + rows, mask=row_mask, other=0.0)
    if SUMMARY:
        h = tl.zeros((BLOCK, N), tl.float32)
    else:
        h = tl.load(starts + (b * chunks + k) * state_size + tile, mask=mask, other=0.0)
    place = tl.arange(0, STEPS)[None, :]
    next_u = load_tile(u, first, last, rows, u_t, u_d, row_mask, STEPS)
    next_dt = load_tile(dt, first, last, rows, dt_t, dt_d, row_mask, STEPS)
    next_B = load_tile(B, first, last, j, B_t, B_n, n_mask, STEPS)
    next_C = next_B
    if OUTPUT:
        next_C = load_tile(C, first, last, j, C_t, C_n, n_mask, STEPS)
    for t in range(first, last, STEPS):
        us, dts = next_u.to(tl.float32), next_dt.to(tl.float32)
        writes = columns(us * dts, BLOCK, STEPS)
        us, dts = columns(us, BLOCK, STEPS), columns(dts, BLOCK, STEPS)
        Bs, Cs = columns(next_B.to(tl.float32), N, STEPS), columns(next_C.to(tl.float32), N, STEPS)
        next_u = load_tile(u, t + STEPS, last, rows, u_t, u_d, row_mask, STEPS)
        next_dt = load_tile(dt, t + STEPS, last, rows, dt_t, dt_d, row_mask, STEPS)
        next_B = load_tile(B, t + STEPS, last, j, B_t, B_n, n_mask, STEPS)
        if OUTPUT:
            next_C = load_tile(C, t + STEPS, last, j, C_t, C_n, n_mask, STEPS)
        ys = tl.zeros((BLOCK, STEPS), tl.float32)
        for i in tl.static_range(STEPS):
            h = tl.exp2(dts[i][:, None] * rate) * h + writes[i][:, None] * Bs[i][None, :]
            if SUMMARY:
                total += dts[i]
            if OUTPUT:
                out = tl.sum(h * Cs[i][None, :], 1) + skip * us[i]
                ys = tl.where(place == i, out[:, None], ys)
            if STATES:
                after = t + i + 1
                if (after % every == 0) & (after <= last):
                    kept = (b * (l // every) + after // every - 1) * state_size
                    tl.store(states + kept + tile, h, mask=mask)
        if OUTPUT:
            store_tile(y, ys, t, last, rows, y_t, y_d, row_mask, STEPS)
    if SUMMARY:
        slot = b * chunks + k + 1
        tl.store(starts + slot * state_size + tile, h, mask=mask)
        tl.store(sums + slot * d + channel + rows, total, mask=row_mask)
    elif k == chunks - 1:
        tl.store(ends + b * state_size + tile, h, mask=mask)


@triton.jit
def combine_chunks(slots, sums, A, d, n, chunks, REVERSE: tl.constexpr, BLOCK: tl.constexpr, SLOTS: tl.constexpr):
    """Carry states across chunks in place: slot_k += exp(A sum_k) slot_(k-1), or slot_(k+1) with REVERSE.

    slots (b, chunks, d, n), sums (b, chunks, d), both contiguous; a program owns BLOCK of the d n states.
    """
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    b = tl.cast(tl.program_id(1), tl.int64)
    size = d * n
    mask = at < size
    slots += b * chunks * size
    sums += b * chunks * d
    rate = tl.load(A + at, mask=mask, other=0.0) * LOG2_E
    first = chunks - 1 if REVERSE else 0
    h = tl.load(slots + tl.cast(first, tl.int64) * size + at, mask=mask, other=0.0)
    for done in range(0, chunks - 1, SLOTS):
        passed = done + tl.arange(0, SLOTS)
        k = chunks - 2 - passed if REVERSE else passed + 1
        inside = mask[:, None] & (passed < chunks - 1)[None, :]
        where = slots + tl.cast(k, tl.int64)[None, :] * size + at[:, None]
        local = tl.load(where, mask=inside, other=0.0)
        decay = tl.load(sums + tl.cast(k, tl.int64)[None, :] * d + (at // n)[:, None], mask=inside, other=0.0)
        carried = local
        locals_, decays = columns(local, BLOCK, SLOTS), columns(decay, BLOCK, SLOTS)
        for i in tl.static_range(SLOTS):
            h = tl.exp2(rate * decays[i]) * h + locals_[i]
            carried = tl.where(tl.arange(0, SLOTS)[None, :] == i, h[:, None], carried)
        tl.store(where, carried, mask=inside)


@triton.jit
def scan_step(
    state, u, dt, A, B, C, D, y, new, d,
    s_b, s_d, s_n, u_b, u_d, dt_b, dt_d, B_b, B_n, C_b, C_n,
    n: tl.constexpr, HAS_D: tl.constexpr, BLOCK: tl.constexpr, N: tl.constexpr,
):  # fmt: skip
    """Advance BLOCK channels of one row of the batch by one token; y (b, d) and new (b, d, n) are contiguous."""
    c = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    b = tl.cast(tl.program_id(1), tl.int64)
    j = tl.arange(0, N)
    row_mask, n_mask = c < d, j < n
    mask = row_mask[:, None] & n_mask[None, :]
    ut = tl.load(u + b * u_b + c * u_d, mask=row_mask, other=0.0).to(tl.float32)
    step = tl.load(dt + b * dt_b + c * dt_d, mask=row_mask, other=0.0).to(tl.float32)
    Bt = tl.load(B + b * B_b + j * B_n, mask=n_mask, other=0.0).to(tl.float32)
    Ct = tl.load(C + b * C_b + j * C_n, mask=n_mask, other=0.0).to(tl.float32)
    rate = tl.load(A + c[:, None] * n + j[None, :], mask=mask, other=0.0) * LOG2_E
    h = tl.load(state + b * s_b + c[:, None] * s_d + j[None, :] * s_n, mask=mask, other=0.0).to(tl.float32)
    h = tl.exp2(step[:, None] * rate) * h + (step * ut)[:, None] * Bt[None, :]
    out = tl.sum(h * Ct[None, :], 1)
    if HAS_D:
        out += tl.load(D + c, mask=row_mask, other=0.0) * ut
    tl.store(y + b * d + c, out.to(y.dtype.element_ty), mask=row_mask)
    tl.store(new + (b * d + c)[:, None] * n + j[None, :], h, mask=mask)
