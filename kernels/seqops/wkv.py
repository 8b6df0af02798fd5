"""The WKV operator of RWKV-4: reference loop, fast CPU path with gradients, and its effective attention.

Peng et al. 2023, section 3.1.2. Per channel, with decay w > 0 (the factor per step is exp(-w)) and bonus u:

    wkv_t = (sum_(i<t) e^(-(t-1-i) w + k_i) v_i + e^(u + k_t) v_t) / (same without v)

The state is (num, den, max): num e^max and den e^max are the two sums, max the running maximum of the exponents,
so that nothing overflows however large a key is (appendix D of the paper).
Shapes: w, u (d,); k, v (b, l, d); state three tensors (b, d), float32.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from numba import njit
from torch import Tensor

from seqops.batches import check_shapes, per_batch

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
    num, den, top = empty_state(k) if initial_state is None else initial_state
    out = []
    for t in range(k.shape[1]):
        kt, vt = k[:, t], v[:, t]  # (b, d)
        peak = torch.maximum(top, u + kt)
        past, now = torch.exp(top - peak), torch.exp(u + kt - peak)
        out.append((past * num + now * vt) / (past * den + now))
        peak = torch.maximum(top - w, kt)
        past, now = torch.exp(top - w - peak), torch.exp(kt - peak)
        num, den, top = past * num + now * vt, past * den + now, peak
    wkv = torch.stack(out, dim=1) if out else torch.zeros_like(v)
    return wkv, WkvState(num, den, top)


def wkv_fast(
    w: Tensor, u: Tensor, k: Tensor, v: Tensor, *, initial_state: WkvState | None = None
) -> tuple[Tensor, WkvState]:
    """Evaluate WKV with compiled loops in float32, differentiable in w, u, k, v; same values as wkv_ref.

    Gradients do not flow through the state: training runs whole sequences. CPU only. Raises ValueError on shapes.
    """
    start = empty_state(k) if initial_state is None else initial_state
    b, l, d = k.shape
    expected = {"w": (d,), "u": (d,), "v": (b, l, d), "state": (b, d)}
    check_shapes({"w": w, "u": u, "v": v, "state": start[0]}, expected)  # compiled loops do not check bounds
    args = [x.float().contiguous() for x in (w, u, k, v)]
    wkv, num, den, top = _Wkv.apply(  # type: ignore[no-untyped-call]
        *args, *[s.detach().float().contiguous() for s in start]
    )
    return wkv.to(k.dtype), WkvState(num, den, top)


def wkv_states(w: Tensor, k: Tensor, v: Tensor, *, initial_state: WkvState | None = None) -> WkvState:
    """Return the state after every token, each part (b, l, d)."""
    num, den, top = empty_state(k) if initial_state is None else initial_state
    kept: list[tuple[Tensor, Tensor, Tensor]] = []
    for t in range(k.shape[1]):
        peak = torch.maximum(top - w, k[:, t])
        past, now = torch.exp(top - w - peak), torch.exp(k[:, t] - peak)
        num, den, top = past * num + now * v[:, t], past * den + now, peak
        kept.append((num, den, top))
    return WkvState(*(torch.stack(part, dim=1) for part in zip(*kept, strict=True)))


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


class _Wkv(torch.autograd.Function):
    """Compiled WKV with its adjoint; all arguments float32 and contiguous."""

    @staticmethod
    def forward(ctx, w, u, k, v, num, den, top):  # type: ignore[no-untyped-def]
        y = torch.empty_like(v)
        end = [s.clone() for s in (num, den, top)]
        arrays = [x.detach().numpy() for x in (w, u, k, v)]
        per_batch(_wkv_forward, k.shape[0], *arrays, y.numpy(), *[s.numpy() for s in end])
        ctx.save_for_backward(w, u, k, v, y, num, den, top)
        ctx.mark_non_differentiable(*end)
        return y, *end

    @staticmethod
    def backward(ctx, gy, *_):  # type: ignore[no-untyped-def]
        w, u, k, v, *rest = ctx.saved_tensors
        b = k.shape[0]
        gw, gu = w.new_zeros(b, *w.shape), u.new_zeros(b, *u.shape)
        gk, gv = torch.empty_like(k), torch.empty_like(v)
        arrays = [x.detach().numpy() for x in (w, u, k, v, *rest)]
        per_batch(_wkv_backward, b, *arrays, gy.contiguous().numpy(), *[g.numpy() for g in (gw, gu, gk, gv)])
        return gw.sum(0), gu.sum(0), gk, gv, None, None, None


@njit(nogil=True, fastmath={"contract", "reassoc", "nsz"}, cache=True)
def _wkv_forward(b, w, u, k, v, y, num, den, top):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    _, l, d = k.shape
    for t in range(l):
        for c in range(d):
            kt, vt = k[b, t, c], v[b, t, c]
            peak = max(top[b, c], u[c] + kt)
            past, now = np.exp(top[b, c] - peak), np.exp(u[c] + kt - peak)
            y[b, t, c] = (past * num[b, c] + now * vt) / (past * den[b, c] + now)
            peak = max(top[b, c] - w[c], kt)
            past, now = np.exp(top[b, c] - w[c] - peak), np.exp(kt - peak)
            num[b, c] = past * num[b, c] + now * vt
            den[b, c] = past * den[b, c] + now
            top[b, c] = peak


@njit(nogil=True, fastmath={"contract", "reassoc", "nsz"}, cache=True)
def _wkv_backward(b, w, u, k, v, y, num0, den0, top0, gy, gw, gu, gk, gv):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Replay the denominators forwards (with the derivatives of both sums by -w), then accumulate backwards.

    With p_t = gy_t / den_t:  P_i = sum_(t>i) e^(-(t-1-i) w) p_t and Q_i the same with p_t y_t give
    gv_i = e^(u+k_i) p_i + e^(k_i) P_i   and   gk_i = e^(u+k_i) p_i (v_i - y_i) + e^(k_i) (v_i P_i - Q_i).
    """
    _, l, d = k.shape
    scaled = np.empty((l, d), np.float32)  # p_t times e^peak_t
    peaks = np.empty((l, d), np.float32)
    num, den, top = num0[b].copy(), den0[b].copy(), top0[b].copy()
    dnum, dden = np.zeros(d, np.float32), np.zeros(d, np.float32)  # d(num)/d(-w), d(den)/d(-w), same exponent as num
    for t in range(l):
        for c in range(d):
            kt, vt = k[b, t, c], v[b, t, c]
            peak = max(top[c], u[c] + kt)
            past, now = np.exp(top[c] - peak), np.exp(u[c] + kt - peak)
            p = gy[b, t, c] / (past * den[c] + now)
            scaled[t, c], peaks[t, c] = p, peak
            gw[b, c] -= p * past * (dnum[c] - y[b, t, c] * dden[c])
            gu[b, c] += p * now * (vt - y[b, t, c])
            peak = max(top[c] - w[c], kt)
            past, now = np.exp(top[c] - w[c] - peak), np.exp(kt - peak)
            dnum[c], dden[c] = past * (dnum[c] + num[c]), past * (dden[c] + den[c])
            num[c], den[c], top[c] = past * num[c] + now * vt, past * den[c] + now, peak
    P, Q = np.zeros(d, np.float32), np.zeros(d, np.float32)
    exponent = np.full(d, EMPTY_MAX, np.float32)
    for t in range(l - 1, -1, -1):
        for c in range(d):
            kt, vt, yt, p = k[b, t, c], v[b, t, c], y[b, t, c], scaled[t, c]
            later = np.exp(kt + exponent[c])
            here = np.exp(u[c] + kt - peaks[t, c]) * p
            gv[b, t, c] = here + later * P[c]
            gk[b, t, c] = here * (vt - yt) + later * (vt * P[c] - Q[c])
            peak = max(exponent[c] - w[c], -peaks[t, c])
            carried, fresh = np.exp(exponent[c] - w[c] - peak), np.exp(-peaks[t, c] - peak) * p
            P[c] = carried * P[c] + fresh
            Q[c] = carried * Q[c] + fresh * yt
            exponent[c] = peak
