"""The selective scan of Mamba (S6): reference loop, fast CPU path with gradients, and the T x T operator.

Symbols of Gu & Dao 2023, section 3: u the input after convolution and SiLU, dt the positive step size, A < 0 the
decay rates, B and C the input and output projections, D the skip weight. As implemented everywhere (and unlike the
paper's zero-order hold) B is discretised by Euler: B_bar = dt * B.

    h_t = exp(dt_t A) * h_(t-1) + dt_t B_t u_t          y_t = C_t . h_t + D u_t

Shapes: u, dt (b, l, d); A (d, n); B, C (b, l, n); D (d,); state (b, d, n).
Jamba normalises dt, B and C before the scan; the scan itself is the same.
"""

import numpy as np
import torch
from numba import njit
from torch import Tensor

from seqops.batches import check_shapes, per_batch
from seqops.vectormath import exp_into

CHANNEL_BLOCK = 16  # channels handled together: their states over time stay in the second-level cache


def selective_scan_ref(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    *,
    initial_state: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Scan token by token, as the equations read, in the caller's dtype.

    Returns y (b, l, d) and the state after the last token (b, d, n).
    """
    b, l, d = u.shape
    h = u.new_zeros(b, d, A.shape[1]) if initial_state is None else initial_state
    y = []
    for t in range(l):
        keep = torch.exp(dt[:, t, :, None] * A)  # (b, d, n)
        write = (dt[:, t] * u[:, t])[:, :, None] * B[:, t, None, :]  # (b, d, n)
        h = keep * h + write
        y.append((h * C[:, t, None, :]).sum(-1))  # (b, d)
    out = torch.stack(y, dim=1) if y else torch.zeros_like(u)  # (b, l, d)
    return (out if D is None else out + D * u), h


def selective_scan_fast(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    *,
    initial_state: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Scan with compiled loops in float32, differentiable in every argument; same values as selective_scan_ref.

    Returns y (b, l, d) in u's dtype and the final state (b, d, n) in float32. CPU only. Raises ValueError on shapes.
    """
    b, l, d = u.shape
    n = A.shape[1]
    h0 = u.new_zeros(b, d, n, dtype=torch.float32) if initial_state is None else initial_state
    skip = u.new_zeros(d, dtype=torch.float32) if D is None else D
    check_shapes(  # compiled loops do not check bounds
        {"dt": dt, "A": A, "B": B, "C": C, "D": skip, "state": h0},
        {"dt": (b, l, d), "A": (d, n), "B": (b, l, n), "C": (b, l, n), "D": (d,), "state": (b, d, n)},
    )
    args = [x.float().contiguous() for x in (u, dt, A, B, C, skip, h0)]
    y, state = _SelectiveScan.apply(*args)  # type: ignore[no-untyped-call]
    return y.to(u.dtype), state


def selective_scan_states(
    u: Tensor, dt: Tensor, A: Tensor, B: Tensor, *, initial_state: Tensor | None = None, every: int = 1
) -> Tensor:
    """Return the state after tokens every-1, 2*every-1, ... as (b, l // every, d, n), in u's dtype.

    The states are the only large tensor: memory is l / every times one state.
    """
    b, l, d = u.shape
    h = u.new_zeros(b, d, A.shape[1]) if initial_state is None else initial_state
    kept = []
    for t in range(l):
        h = torch.exp(dt[:, t, :, None] * A) * h + (dt[:, t] * u[:, t])[:, :, None] * B[:, t, None, :]
        if (t + 1) % every == 0:
            kept.append(h)
    return torch.stack(kept, dim=1) if kept else u.new_zeros(b, 0, d, A.shape[1])


def selective_scan_step(
    state: Tensor, u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Advance one token: u, dt (b, d), B, C (b, n), state (b, d, n). Returns y (b, d) and the new state."""
    y, state = selective_scan_ref(u[:, None], dt[:, None], A, B[:, None], C[:, None], D, initial_state=state)
    return y[:, 0], state


def selective_scan_matrix(dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """Build the hidden attention of channels (Ali et al. 2024): y = alpha u, without the D skip.

    alpha_ij = sum_n C_i[n] exp(A[c,n] sum_(k=j+1..i) dt_k[c]) dt_j[c] B_j[n] for j <= i, 0 above the diagonal.

    dt (l, c) for the c channels wanted, A (c, n), B, C (l, n). Returns (c, l, l) in dt's dtype.
    Decay uses differences of cumulative sums: the factorised exp(s_i) exp(-s_j) overflows for large dt.
    """
    l, c = dt.shape
    total = torch.cumsum(dt.double(), dim=0).T  # (c, l)
    elapsed = (total[:, :, None] - total[:, None, :]).clamp(min=0)  # (c, l, l), sum of dt over j+1..i
    alpha = dt.new_zeros(c, l, l)
    for n in range(A.shape[1]):  # one state at a time keeps memory at c * l * l
        decay = torch.exp(A[:, n, None, None].double() * elapsed).to(dt.dtype)  # (c, l, l)
        alpha += decay * torch.outer(C[:, n], B[:, n])
    return torch.tril(alpha * dt.T[:, None, :])


def hidden_attention_summary(dt: Tensor, A: Tensor, B: Tensor, C: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """Apply and summarise selective_scan_matrix over all channels without keeping the channels' matrices.

    dt, u (l, d), A (d, n), B, C (l, n), CPU. Returns the mean over channels of |alpha| (l, l) and alpha u (l, d),
    which plus D u is the scan's output: the proof that the drawn operator is the one that ran.
    """
    l, d = dt.shape
    mean, y = np.zeros((l, l), np.float32), np.zeros((l, d), np.float32)
    arrays = [np.ascontiguousarray(x.detach().float().numpy()) for x in (dt, A, B.T, C, u)]
    _matrix_summary(*arrays, mean, y)  # type: ignore[call-arg]
    return torch.from_numpy(mean), torch.from_numpy(y)


class _SelectiveScan(torch.autograd.Function):
    """Compiled scan with its adjoint; all arguments float32 and contiguous."""

    @staticmethod
    def forward(ctx, u, dt, A, B, C, D, h0):  # type: ignore[no-untyped-def]
        y = torch.empty_like(u)
        state = h0.clone()
        arrays = [x.detach().numpy() for x in (u, dt, A, B, C, D)]
        per_batch(_scan_forward, u.shape[0], *arrays, y.numpy(), state.detach().numpy())
        ctx.save_for_backward(u, dt, A, B, C, D, h0)
        return y, state

    @staticmethod
    def backward(ctx, gy, gstate):  # type: ignore[no-untyped-def]
        saved = ctx.saved_tensors
        b = saved[0].shape[0]
        grads = [torch.zeros_like(x) for x in saved]
        for i in (2, 5):  # A and D are shared by the batch: one slice each, summed below, so that threads never collide
            grads[i] = saved[i].new_zeros(b, *saved[i].shape)
        grads[6].copy_(gstate)
        arrays = [x.detach().numpy() for x in saved]
        per_batch(_scan_backward, b, *arrays, gy.contiguous().numpy(), *[g.numpy() for g in grads])
        grads[2], grads[5] = grads[2].sum(0), grads[5].sum(0)
        return tuple(grads)


@njit(nogil=True, fastmath={"contract", "reassoc", "nsz"}, cache=True)
def _scan_forward(b, u, dt, A, B, C, D, y, state):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    _, l, d = u.shape
    n = A.shape[1]
    size = CHANNEL_BLOCK * n
    keep = np.empty(size, np.float32)
    bits = np.empty(size, np.int32)
    h = np.empty(size, np.float32)
    for first in range(0, d, CHANNEL_BLOCK):
        count = min(CHANNEL_BLOCK, d - first)
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
        for c in range(count):
            for j in range(n):
                state[b, first + c, j] = h[c * n + j]


@njit(nogil=True, fastmath={"contract", "reassoc", "nsz"}, cache=True)
def _scan_backward(b, u, dt, A, B, C, D, h0, gy, gu, gdt, gA, gB, gC, gD, gh0):  # type: ignore[no-untyped-def]  # noqa: C901  # pragma: no cover
    """Replay the states of a block of channels, then run the adjoint recurrence backwards.

    g(h_(t-1)) = keep_t * g(h_t), with g(h_t) gathering gy_t C_t on the way; gh0 arrives holding the gradient of the
    final state and leaves holding that of the initial one.
    """
    _, l, d = u.shape
    n = A.shape[1]
    size = CHANNEL_BLOCK * n
    keep = np.empty((l, size), np.float32)
    h = np.empty((l + 1, size), np.float32)
    bits = np.empty(size, np.int32)
    gh = np.empty(size, np.float32)
    for first in range(0, d, CHANNEL_BLOCK):
        count = min(CHANNEL_BLOCK, d - first)
        for c in range(count):
            for j in range(n):
                h[0, c * n + j] = h0[b, first + c, j]
                gh[c * n + j] = gh0[b, first + c, j]
        for t in range(l):
            kt = keep[t]
            for c in range(count):
                step = dt[b, t, first + c]
                for j in range(n):
                    kt[c * n + j] = step * A[first + c, j]
            exp_into(kt, bits, kt, count * n)
            for c in range(count):
                write = dt[b, t, first + c] * u[b, t, first + c]
                for j in range(n):
                    h[t + 1, c * n + j] = kt[c * n + j] * h[t, c * n + j] + write * B[b, t, j]
        for t in range(l - 1, -1, -1):
            for c in range(count):
                ch = first + c
                g, ut, step = gy[b, t, ch], u[b, t, ch], dt[b, t, ch]
                through_b = np.float32(0.0)
                through_a = np.float32(0.0)
                for j in range(n):
                    i = c * n + j
                    gC[b, t, j] += g * h[t + 1, i]
                    ghj = gh[i] + g * C[b, t, j]
                    decayed = ghj * keep[t, i]
                    exponent = decayed * h[t, i]  # gradient of dt * A
                    through_a += exponent * A[ch, j]
                    gA[b, ch, j] += exponent * step
                    through_b += ghj * B[b, t, j]
                    gB[b, t, j] += ghj * step * ut
                    gh[i] = decayed
                gdt[b, t, ch] = through_a + through_b * ut
                gu[b, t, ch] = through_b * step + g * D[ch]
                gD[b, ch] += g * ut
        for c in range(count):
            for j in range(n):
                gh0[b, first + c, j] = gh[c * n + j]


@njit(nogil=True, fastmath={"contract", "reassoc", "nsz"}, cache=True)
def _matrix_summary(dt, A, B_t, C, u, mean, y):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    l, d = dt.shape
    n = A.shape[1]
    elapsed, keep = np.empty(l, np.float32), np.empty(l, np.float32)
    row, bits = np.empty(l, np.float32), np.empty(l, np.int32)
    total = np.empty(l, np.float64)
    for c in range(d):
        running = 0.0
        for t in range(l):
            running += dt[t, c]
            total[t] = running
        for i in range(l):
            for j in range(i + 1):
                elapsed[j] = np.float32(total[i] - total[j])
                row[j] = 0.0
            for s in range(n):
                for j in range(i + 1):
                    keep[j] = A[c, s] * elapsed[j]
                exp_into(keep, bits, keep, i + 1)
                for j in range(i + 1):
                    row[j] += C[i, s] * B_t[s, j] * keep[j]
            out = np.float32(0.0)
            for j in range(i + 1):
                alpha = row[j] * dt[j, c]
                mean[i, j] += abs(alpha) / d
                out += alpha * u[j, c]
            y[i, c] = out
