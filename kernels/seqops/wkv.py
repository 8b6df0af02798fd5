"""The WKV operator of RWKV-4: reference loop, fast path with gradients, recorded states, and its effective attention.

Peng et al. 2023, section 3.1.2. Per channel, with decay w > 0 (the factor per step is exp(-w)) and bonus u:

    wkv_t = (sum_(i<t) e^(-(t-1-i) w + k_i) v_i + e^(u + k_t) v_t) / (same without v)

The state is (num, den, max): num e^max and den e^max are the two sums, max the running maximum of the exponents,
so that nothing overflows however large a key is (appendix D of the paper).
Shapes: w, u (d,); k, v (b, l, d); state three tensors (b, d), float32.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from seqops import backends
from seqops.shapes import check_shapes

EMPTY_MAX = -1e38  # the exponent of an empty sum, as transformers and the CUDA kernel write it


class WkvState(NamedTuple):
    """What WKV carries from token to token: three tensors (b, d)."""

    num: Tensor
    den: Tensor
    max: Tensor


def empty_state(k: Tensor) -> WkvState:
    """Return the state before the first token for keys (b, l, d), in k's dtype but at least float32."""
    dtype = torch.float64 if k.dtype == torch.float64 else torch.float32
    zeros = torch.zeros(k.shape[0], k.shape[2], dtype=dtype, device=k.device)
    return WkvState(zeros, zeros.clone(), torch.full_like(zeros, EMPTY_MAX))


def wkv_ref(
    w: Tensor, u: Tensor, k: Tensor, v: Tensor, *, initial_state: WkvState | None = None
) -> tuple[Tensor, WkvState]:
    """Evaluate WKV token by token, as the equations read, in the caller's dtype. Returns wkv (b, l, d) and state."""
    state = empty_state(k) if initial_state is None else initial_state
    out = []
    for t in range(k.shape[1]):
        y, state = _token(state, w, u, k[:, t], v[:, t])
        out.append(y)
    return (torch.stack(out, dim=1) if out else torch.zeros_like(v)), state


def wkv_fast(
    w: Tensor, u: Tensor, k: Tensor, v: Tensor, *, initial_state: WkvState | None = None
) -> tuple[Tensor, WkvState]:
    """Evaluate WKV on the fast path of k's device, differentiable in w, u, k, v and the state; values of wkv_ref.

    Returns wkv (b, l, d) in k's dtype and the final state in float32. Raises ValueError on shapes.
    """
    state = _checked(w, u, k, v, initial_state)
    path = backends.path(k.device)
    if path == "reference":
        return wkv_ref(w, u, k, v, initial_state=state)
    if path == "triton":
        from seqops.gpu import wkv as gpu

        y, end = gpu.wkv(w, u, k, v, state)
        return y, WkvState(*end)
    from seqops.cpu import wkv as cpu

    y, end = cpu.wkv(w, u, k, v, state)
    return y.to(k.dtype), WkvState(*end)


def wkv_traced(
    w: Tensor, u: Tensor, k: Tensor, v: Tensor, *, initial_state: WkvState | None = None, every: int = 1
) -> tuple[Tensor, WkvState, WkvState]:
    """Evaluate WKV and keep the states after tokens every-1, 2*every-1, ... (every=1: all, every=l: the last alone).

    Returns wkv and the final state as wkv_fast does, and the states, each part (b, l // every, d). No gradients.
    Raises ValueError on shapes and for every < 1.
    """
    if every < 1:
        raise ValueError(f"every must be at least 1, got {every}")
    state = _checked(w, u, k, v, initial_state)
    path = backends.path(k.device)
    with torch.no_grad():
        if path == "numba":
            from seqops.cpu import wkv as cpu

            y, end, states = cpu.wkv_traced(w, u, k, v, state, every)
            return y.to(k.dtype), WkvState(*end), WkvState(*states)
        y, last = wkv_fast(w, u, k, v, initial_state=state)
        if path == "triton":
            from seqops.gpu import wkv as gpu

            return y, last, WkvState(*gpu.wkv_states(w, k, v, state, every))
        kept: list[WkvState] = []
        for t in range(k.shape[1]):
            state = _carried(state, w, k[:, t], v[:, t])
            if (t + 1) % every == 0:
                kept.append(state)
        nothing = k.new_zeros(k.shape[0], 0, k.shape[2], dtype=state.num.dtype)
        parts = [torch.stack(part, dim=1) for part in zip(*kept, strict=True)] or [nothing] * 3
        return y, state, WkvState(*parts)


def wkv_step(state: WkvState, w: Tensor, u: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, WkvState]:
    """Advance one token: k, v (b, d). Returns wkv (b, d) and the new state; no gradients on a CUDA device."""
    if backends.path(k.device) == "triton":
        from seqops.gpu import wkv as gpu

        y, end = gpu.wkv_step(state, w, u, k, v)
        return y, WkvState(*end)
    return _token(state, w, u, k, v)


def wkv_matrix(w: Tensor, u: Tensor, k: Tensor) -> Tensor:
    """Build the effective attention of channels: wkv = P v with rows of P summing to 1.

    P_ti is the softmax over i <= t of -(t-1-i) w + k_i, and u + k_t at i = t. k (l, c), w and u (c,); gives (c, l, l).
    """
    l = k.shape[0]
    distance = torch.arange(l, device=k.device)[:, None] - torch.arange(l, device=k.device)[None, :]  # t - i
    past = -(distance - 1).clamp(min=0) * w[:, None, None] + k.T[:, None, :]  # (c, l, l)
    here = torch.diag_embed((u[None] + k).T)  # (c, l, l)
    logits = torch.where(distance == 0, here, past).masked_fill(distance < 0, -math.inf)
    return torch.softmax(logits, dim=-1)


def effective_attention_summary(
    w: Tensor, u: Tensor, k: Tensor, v: Tensor, *, gate: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Apply and summarise wkv_matrix over all channels without keeping the channels' matrices.

    k, v (l, c), w, u (c,). Returns the mean over channels of P (l, l) and P v (l, c), float32, no gradients.
    gate (l, c) multiplies the row of every token and channel in the mean.
    """
    from seqops.cpu import wkv as cpu

    gates = None if gate is None else gate.cpu()
    mean, mixed = cpu.effective_attention_summary(w.cpu(), u.cpu(), k.cpu(), v.cpu(), gates)
    return mean.to(k.device), mixed.to(k.device)


def _token(state: WkvState, w: Tensor, u: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, WkvState]:
    num, den, top = state
    peak = torch.maximum(top, u + k)
    past, now = torch.exp(top - peak), torch.exp(u + k - peak)
    return (past * num + now * v) / (past * den + now), _carried(state, w, k, v)


def _carried(state: WkvState, w: Tensor, k: Tensor, v: Tensor) -> WkvState:
    num, den, top = state
    peak = torch.maximum(top - w, k)
    past, now = torch.exp(top - w - peak), torch.exp(k - peak)
    return WkvState(past * num + now * v, past * den + now, peak)


def _checked(w: Tensor, u: Tensor, k: Tensor, v: Tensor, state: WkvState | None) -> WkvState:
    """Check every shape and return the state, the empty one where there is none."""
    state = empty_state(k) if state is None else WkvState(*state)
    b, l, d = k.shape
    tensors = {"w": w, "u": u, "v": v, "num": state.num, "den": state.den, "max": state.max}
    check_shapes(tensors, {"w": (d,), "u": (d,), "v": (b, l, d), "num": (b, d), "den": (b, d), "max": (b, d)})
    return state
