"""The selective scan of Mamba (S6): reference loop, fast path with gradients, recorded states, and the T x T operator.

Symbols of Gu & Dao 2023, section 3: u the input after convolution and SiLU, dt the positive step size, A < 0 the
decay rates, B and C the input and output projections, D the skip weight. As implemented everywhere (and unlike the
paper's zero-order hold) B is discretised by Euler: B_bar = dt * B.

    h_t = exp(dt_t A) * h_(t-1) + dt_t B_t u_t          y_t = C_t . h_t + D u_t

Shapes: u, dt (b, l, d); A (d, n); B, C (b, l, n); D (d,); state (b, d, n).
Jamba normalises dt, B and C before the scan; the scan itself is the same.
"""

import torch
from torch import Tensor

from seqops import backends
from seqops.shapes import check_shapes


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
    """Scan on the fast path of u's device, differentiable in every argument; same values as selective_scan_ref.

    Returns y (b, l, d) in u's dtype and the final state (b, d, n) in float32. Raises ValueError on shapes.
    """
    D, initial_state = _checked(u, dt, A, B, C, D, initial_state)
    path = backends.path(u.device)
    if path == "reference":
        return selective_scan_ref(u, dt, A, B, C, D, initial_state=initial_state)
    if path == "triton":
        from seqops.gpu import selective_scan as gpu

        y, state = gpu.selective_scan(u, dt, A, B, C, D, initial_state)
        return y, state
    from seqops.cpu import selective_scan as cpu

    y, state = cpu.selective_scan(u, dt, A, B, C, D, initial_state)
    return y.to(u.dtype), state


def selective_scan_traced(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    *,
    initial_state: Tensor | None = None,
    every: int = 1,
) -> tuple[Tensor, Tensor, Tensor]:
    """Scan and keep the states after tokens every-1, 2*every-1, ... (every=1: all, every=l: the last alone).

    Returns y and the final state as selective_scan_fast does, and states (b, l // every, d, n) in float32: the only
    large tensor. No gradients. Raises ValueError on shapes and for every < 1.
    """
    if every < 1:
        raise ValueError(f"every must be at least 1, got {every}")
    D, initial_state = _checked(u, dt, A, B, C, D, initial_state)
    path = backends.path(u.device)
    with torch.no_grad():
        if path == "numba":
            from seqops.cpu import selective_scan as cpu

            y, state, states = cpu.selective_scan_traced(u, dt, A, B, C, D, initial_state, every)
            return y.to(u.dtype), state, states
        if path == "triton":
            from seqops.gpu import selective_scan as gpu

            y, state = gpu.selective_scan(u, dt, A, B, C, D, initial_state)
            return y, state, gpu.selective_scan_states(u, dt, A, B, initial_state, every)
        return _traced_ref(u, dt, A, B, C, D, initial_state, every)


def selective_scan_step(
    state: Tensor, u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Advance one token: u, dt (b, d), B, C (b, n), state (b, d, n). Returns y (b, d) and the new state, no gradients.

    One token is a handful of elementwise operations: on a CPU torch runs them, on a CUDA device one Triton kernel.
    """
    if backends.path(u.device) == "triton":
        from seqops.gpu import selective_scan as gpu

        y, state = gpu.selective_scan_step(state, u, dt, A, B, C, D)
        return y, state
    wide, dt, B, C = (x.to(state.dtype) for x in (u, dt, B, C))
    state = torch.exp(dt[..., None] * A).mul_(state).addcmul_((dt * wide)[..., None], B[:, None])
    y = torch.bmm(state, C[..., None])[..., 0]
    return (y if D is None else torch.addcmul(y, D, wide)).to(u.dtype), state


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

    dt, u (l, d), A (d, n), B, C (l, n). Returns the mean over channels of |alpha| (l, l) and alpha u (l, d), which
    plus D u is the scan's output: the proof that the drawn operator is the one that ran. float32, no gradients.
    """
    path = backends.path(dt.device)
    if path == "triton":
        from seqops.gpu import selective_scan as gpu

        mean, y = gpu.hidden_attention_summary(dt, A, B, C, u)
        return mean, y
    from seqops.cpu import selective_scan as cpu

    mean, y = cpu.hidden_attention_summary(*(x.cpu() for x in (dt, A, B, C, u)))
    return mean.to(dt.device), y.to(dt.device)


def _checked(
    u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None, state: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Check every shape and return D and the initial state, zeros where there are none."""
    b, l, d = u.shape
    n = A.shape[1]
    dtype = u.dtype if u.dtype == torch.float64 else torch.float32
    D = u.new_zeros(d, dtype=dtype) if D is None else D
    state = u.new_zeros(b, d, n, dtype=dtype) if state is None else state
    check_shapes(
        {"dt": dt, "A": A, "B": B, "C": C, "D": D, "state": state},
        {"dt": (b, l, d), "A": (d, n), "B": (b, l, n), "C": (b, l, n), "D": (d,), "state": (b, d, n)},
    )
    return D, state


def _traced_ref(
    u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, state: Tensor, every: int
) -> tuple[Tensor, Tensor, Tensor]:
    y, kept = [], []
    for t in range(u.shape[1]):
        token = slice(t, t + 1)
        out, state = selective_scan_ref(u[:, token], dt[:, token], A, B[:, token], C[:, token], D, initial_state=state)
        y.append(out)
        if (t + 1) % every == 0:
            kept.append(state)
    states = torch.stack(kept, dim=1) if kept else state.new_zeros(state.shape[0], 0, *state.shape[1:])
    return (torch.cat(y, dim=1) if y else torch.zeros_like(u)), state, states
