"""The selective scan as compiled loops: forward, adjoint, recorded states, and the summary of the T x T operator."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from seqops.cpu.compiled import compiled
from seqops.cpu.threads import slices, spread
from seqops.cpu.vectormath import exp_into

CHANNELS = 16  # channels handled together: their states over time stay in the second-level cache
ROWS = 16  # rows of the operator handled together, a multiple of 4: a column is rescaled once for all of them

FAST = {"contract", "reassoc", "nsz"}


def selective_scan(
    u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, initial_state: Tensor
) -> tuple[Tensor, Tensor]:
    """Scan with gradients to all seven arguments. Shapes as in seqops.selective_scan; returns float32 y and state."""
    args = [x.float().contiguous() for x in (u, dt, A, B, C, D, initial_state)]
    y, state = _SelectiveScanOnCpu.apply(*args)  # type: ignore[no-untyped-call]
    return y, state


def selective_scan_traced(
    u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, initial_state: Tensor, every: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Scan without gradients, keeping every k-th state (b, l // every, d, n) on the way."""
    args = [x.detach().float().contiguous() for x in (u, dt, A, B, C, D, initial_state)]
    b, l, d = u.shape
    states = torch.empty(b, l // every, d, A.shape[1])
    y, state = _forward(args, states, every)
    return y, state, states


def hidden_attention_summary(dt: Tensor, A: Tensor, B: Tensor, C: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean over channels of |alpha| (l, l) and alpha u (l, d) for dt, u (l, d), A (d, n), B, C (l, n)."""
    l, d = dt.shape
    y = np.empty((d, l), np.float32)
    series = [np.ascontiguousarray(x.detach().float().numpy().T) for x in (dt, u)]  # (d, l)
    arrays = [x.detach().float().contiguous().numpy() for x in (A, B, C)]
    cuts = slices(1, d, 1)
    means = np.zeros((len(cuts), l, l), np.float32)
    with ThreadPoolExecutor(len(cuts)) as pool:
        parts = [(*cut, *series, *arrays, means[i], y[cut[0] :]) for i, cut in enumerate(cuts)]
        list(pool.map(lambda part: _summary(*part), parts))
    mean = means.sum(0) if len(cuts) > 1 else means[0]
    return torch.from_numpy(mean / d), torch.from_numpy(y.T.copy())


def _forward(args: Sequence[Tensor], states: Tensor, every: int) -> tuple[Tensor, Tensor]:
    u, dt, A, B, C, D, h0 = args
    b, l, d = u.shape
    y, state = torch.empty_like(u), h0.clone()
    arrays = [x.numpy() for x in (u, dt, A, B, C, D, y, state, states)]
    spread(_scan_forward, b, slices(b, d, CHANNELS), l * state.numel(), *arrays, every)
    return y, state


class _SelectiveScanOnCpu(torch.autograd.Function):
    """Compiled scan with its adjoint; all arguments float32 and contiguous."""

    @staticmethod
    def forward(ctx, u, dt, A, B, C, D, h0):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(u, dt, A, B, C, D, h0)
        return _forward([x.detach() for x in (u, dt, A, B, C, D, h0)], h0.new_empty(0, 0, 0, 0), 0)

    @staticmethod
    def backward(ctx, gy, gstate):  # type: ignore[no-untyped-def]
        u, dt, A, B, C, D, h0 = saved = [x.detach() for x in ctx.saved_tensors]
        b, l, d = u.shape
        cuts = slices(b, d, CHANNELS)
        gu, gdt, gh0 = torch.empty_like(u), torch.empty_like(dt), gstate.contiguous().clone()
        gA, gD = A.new_zeros(b, *A.shape), D.new_zeros(b, d)  # shared by the batch: one copy a row, summed below
        gB, gC = B.new_zeros(len(cuts), *B.shape), C.new_zeros(len(cuts), *C.shape)  # shared by the channels
        grads = (gu, gdt, gA, gB, gC, gD, gh0)
        arrays = [x.numpy() for x in (*saved, gy.contiguous(), *grads)]
        spread(_scan_backward, b, cuts, l * h0.numel(), *arrays)
        return gu, gdt, gA.sum(0), gB.sum(0), gC.sum(0), gD.sum(0), gh0


@compiled(nogil=True, fastmath=FAST)
def _scan_forward(b, _part, begin, end, u, dt, A, B, C, D, y, state, states, every):  # type: ignore[no-untyped-def]  # noqa: C901  # pragma: no cover
    l, n = u.shape[1], A.shape[1]
    size = CHANNELS * n
    keep = np.empty(size, np.float32)
    bits = np.empty(size, np.int32)
    h = np.empty(size, np.float32)
    for first in range(begin, end, CHANNELS):
        count = min(CHANNELS, end - first)
        for c in range(count):
            for j in range(n):
                h[c * n + j] = state[b, first + c, j]
        for t in range(l):
            for c in range(count):
                step = dt[b, t, first + c]
                for j in range(n):
                    keep[c * n + j] = step * A[first + c, j]
            exp_into(keep, bits, keep, count * n)
            for c in range(count):
                ut = u[b, t, first + c]
                write = dt[b, t, first + c] * ut
                out = np.float32(0.0)
                for j in range(n):
                    hj = keep[c * n + j] * h[c * n + j] + write * B[b, t, j]
                    h[c * n + j] = hj
                    out += hj * C[b, t, j]
                y[b, t, first + c] = out + D[first + c] * ut
            if every > 0 and (t + 1) % every == 0:
                for c in range(count):
                    for j in range(n):
                        states[b, t // every, first + c, j] = h[c * n + j]
        for c in range(count):
            for j in range(n):
                state[b, first + c, j] = h[c * n + j]


@compiled(nogil=True, fastmath=FAST)
def _scan_backward(b, part, begin, end, u, dt, A, B, C, D, h0, gy, gu, gdt, gA, gB, gC, gD, gh0):  # type: ignore[no-untyped-def]  # noqa: C901  # pragma: no cover
    """Replay the states of a block of channels, then run the adjoint recurrence backwards.

    g(h_(t-1)) = keep_t * g(h_t), with g(h_t) gathering gy_t C_t on the way; gh0 arrives holding the gradient of the
    final state and leaves holding that of the initial one.
    """
    l, n = u.shape[1], A.shape[1]
    size = CHANNELS * n
    keep, h = np.empty((l, size), np.float32), np.empty((l + 1, size), np.float32)
    bits, gh, exponent = np.empty(size, np.int32), np.empty(size, np.float32), np.empty(size, np.float32)
    rate, grate = np.empty(size, np.float32), np.empty(size, np.float32)
    for first in range(begin, end, CHANNELS):
        count = min(CHANNELS, end - first)
        for c in range(count):
            for j in range(n):
                h[0, c * n + j] = h0[b, first + c, j]
                gh[c * n + j] = gh0[b, first + c, j]
                rate[c * n + j] = A[first + c, j]
                grate[c * n + j] = 0.0
        for t in range(l):
            keep_t, before, after, B_t = keep[t], h[t], h[t + 1], B[b, t]
            for c in range(count):
                step = dt[b, t, first + c]
                for j in range(n):
                    keep_t[c * n + j] = step * rate[c * n + j]
            exp_into(keep_t, bits, keep_t, count * n)
            for c in range(count):
                write = dt[b, t, first + c] * u[b, t, first + c]
                for j in range(n):
                    after[c * n + j] = keep_t[c * n + j] * before[c * n + j] + write * B_t[j]
        for t in range(l - 1, -1, -1):
            keep_t, before, after = keep[t], h[t], h[t + 1]
            B_t, C_t, gB_t, gC_t = B[b, t], C[b, t], gB[part, b, t], gC[part, b, t]
            for c in range(count):
                ch, at = first + c, c * n
                g, ut, step = gy[b, t, ch], u[b, t, ch], dt[b, t, ch]
                write = step * ut
                through_a, through_b = np.float32(0.0), np.float32(0.0)
                for j in range(n):  # short loops over few arrays each, so that they vectorise
                    gC_t[j] += g * after[at + j]
                for j in range(n):
                    gh[at + j] += g * C_t[j]
                for j in range(n):
                    through_b += gh[at + j] * B_t[j]
                    gB_t[j] += gh[at + j] * write
                for j in range(n):
                    gh[at + j] *= keep_t[at + j]
                    exponent[at + j] = gh[at + j] * before[at + j]  # gradient of dt * A
                for j in range(n):
                    through_a += exponent[at + j] * rate[at + j]
                    grate[at + j] += exponent[at + j] * step
                gdt[b, t, ch] = through_a + through_b * ut
                gu[b, t, ch] = through_b * step + g * D[ch]
                gD[b, ch] += g * ut
        for c in range(count):
            for j in range(n):
                gh0[b, first + c, j] = gh[c * n + j]
                gA[b, first + c, j] = grate[c * n + j]


@compiled(nogil=True, fastmath=FAST)
def _summary(begin, end, dt, u, A, B, C, mean, y):  # type: ignore[no-untyped-def]  # noqa: C901  # pragma: no cover - compiled
    """Sum |alpha| over the channels begin..end into mean, and write alpha u into y (end - begin, l).

    alpha_ij = sum_n C_i[n] carried_ij[n] with carried_ij[n] = exp(A[n] (s_i - s_j)) dt_j B_j[n]. Inside a block of rows
    the columns born there are carried from row to row; the older columns stay as they were before the block, and the
    decay since then goes to the side of the row: exponentials grow with l, not with l^2, and none is above one.
    """
    n, l = A.shape[1], dt.shape[1]
    even = n + n % 2
    old = np.zeros((even, l), np.float32)  # the columns born before the block
    born = np.empty((ROWS, n), np.float32)
    keep, bits, since = np.empty(n, np.float32), np.empty(n, np.int32), np.empty(n, np.float32)
    reads = np.zeros((ROWS, even), np.float32)
    rows = np.empty((ROWS, l), np.float32)
    for c in range(begin, end):
        for start in range(0, l, ROWS):
            count = min(ROWS, l - start)
            since[:] = 1.0
            for r in range(count):
                step = dt[c, start + r]
                for s in range(n):
                    keep[s] = step * A[c, s]
                exp_into(keep, bits, keep, n)
                for s in range(n):
                    since[s] *= keep[s]
                    reads[r, s] = C[start + r, s] * since[s]
                    born[r, s] = step * B[start + r, s]
                for j in range(r):
                    for s in range(n):
                        born[j, s] *= keep[s]
                for j in range(r + 1):
                    alpha = np.float32(0.0)
                    for s in range(n):
                        alpha += C[start + r, s] * born[j, s]
                    rows[r, start + j] = alpha
            _gather(rows, old, reads, start)
            for r in range(count):
                out = np.float32(0.0)
                for j in range(start + r + 1):
                    mean[start + r, j] += abs(rows[r, j])
                    out += rows[r, j] * u[c, j]
                y[c - begin, start + r] = out
            for s in range(n):
                for j in range(start):
                    old[s, j] *= since[s]
                for r in range(count):
                    old[s, start + r] = born[r, s]


@compiled(nogil=True, fastmath=FAST, inline="always")
def _gather(rows, old, reads, count):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Write sum_s reads[:, s] old[s, :count] into rows[:, :count], four rows and two states a pass over the columns."""
    for r in range(0, ROWS, 4):
        first, second, third, fourth = rows[r], rows[r + 1], rows[r + 2], rows[r + 3]
        for j in range(count):
            first[j] = second[j] = third[j] = fourth[j] = 0.0
        for s in range(0, old.shape[0], 2):
            one, two = old[s], old[s + 1]
            a, b, c, d = reads[r, s], reads[r + 1, s], reads[r + 2, s], reads[r + 3, s]
            e, f, g, h = reads[r, s + 1], reads[r + 1, s + 1], reads[r + 2, s + 1], reads[r + 3, s + 1]
            for j in range(count):
                x, z = one[j], two[j]
                first[j] += a * x + e * z
                second[j] += b * x + f * z
                third[j] += c * x + g * z
                fourth[j] += d * x + h * z
