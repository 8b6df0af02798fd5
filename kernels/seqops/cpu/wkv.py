"""WKV as compiled loops: forward with recorded states, adjoint through the state, and the summary of the operator.

Every sum is kept relative to a running maximum, and of the two factors exp(a - max(a, b)) and exp(b - max(a, b)) one
is always 1: a token costs two exponentials a channel, not four.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from seqops.cpu.compiled import compiled
from seqops.cpu.threads import slices, spread
from seqops.cpu.vectormath import exp_into

EMPTY = -1e38  # the exponent of an empty sum
CHANNELS = 64  # channels handled together: their sums stay in the first-level cache

FAST = {"contract", "reassoc", "nsz"}
ONE, ZERO = np.float32(1.0), np.float32(0.0)

State = tuple[Tensor, Tensor, Tensor]


def wkv(w: Tensor, u: Tensor, k: Tensor, v: Tensor, state: State) -> tuple[Tensor, State]:
    """Evaluate WKV with gradients to w, u, k, v and the state. Shapes as in seqops.wkv; float32."""
    args = [x.float().contiguous() for x in (w, u, k, v, *state)]
    y, num, den, top = _WkvOnCpu.apply(*args)  # type: ignore[no-untyped-call]
    return y, (num, den, top)


def wkv_traced(w: Tensor, u: Tensor, k: Tensor, v: Tensor, state: State, every: int) -> tuple[Tensor, State, State]:
    """Evaluate WKV without gradients, keeping every k-th state, each part (b, l // every, d)."""
    args = [x.detach().float().contiguous() for x in (w, u, k, v, *state)]
    b, l, d = k.shape
    states = torch.empty(3, b, l // every, d)
    y, end = _forward(args, states, every)
    return y, end, (states[0], states[1], states[2])


def effective_attention_summary(
    w: Tensor, u: Tensor, k: Tensor, v: Tensor, gate: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the mean over channels of P, or of gate P (l, l), and P v (l, c) for k, v, gate (l, c), w, u (c,)."""
    l, channels = k.shape
    mixed = np.empty((channels, l), np.float32)
    weights = torch.ones_like(k) if gate is None else gate
    series = [np.ascontiguousarray(x.detach().float().numpy().T) for x in (k, v, weights)]  # (c, l)
    rates = [x.detach().float().contiguous().numpy() for x in (w, u)]
    cuts = slices(1, channels, 1)
    means = np.zeros((len(cuts), l, l), np.float32)
    with ThreadPoolExecutor(len(cuts)) as pool:
        parts = [(*cut, *rates, *series, means[i], mixed[cut[0] :]) for i, cut in enumerate(cuts)]
        list(pool.map(lambda part: _summary(*part), parts))
    return torch.from_numpy(means.sum(0) / channels), torch.from_numpy(mixed.T.copy())


def _forward(args: Sequence[Tensor], states: Tensor, every: int) -> tuple[Tensor, State]:
    w, u, k, v, num, den, top = args
    b, _, d = k.shape
    y = torch.empty_like(v)
    end = (num.clone(), den.clone(), top.clone())
    arrays = [x.numpy() for x in (w, u, k, v, y, *end, states)]
    spread(_wkv_forward, b, slices(b, d, CHANNELS), 8 * k.numel(), *arrays, every)
    return y, end


class _WkvOnCpu(torch.autograd.Function):
    """Compiled WKV with its adjoint; all arguments float32 and contiguous."""

    @staticmethod
    def forward(ctx, w, u, k, v, num, den, top):  # type: ignore[no-untyped-def]
        plain = [x.detach() for x in (w, u, k, v, num, den, top)]
        y, end = _forward(plain, k.new_empty(3, 0, 0, 0), 0)
        ctx.save_for_backward(w, u, k, v, y, num, den, top, *end)
        return y, *end

    @staticmethod
    def backward(ctx, gy, *gend):  # type: ignore[no-untyped-def]
        w, u, k, v, y, *states = [x.detach() for x in ctx.saved_tensors]
        b, _, d = k.shape
        gw, gu = w.new_zeros(b, d), u.new_zeros(b, d)  # shared by the batch: one copy a row, summed below
        gk, gv = torch.empty_like(k), torch.empty_like(v)
        gstate = [g.contiguous().clone() for g in gend]
        grads = (gw, gu, gk, gv, *gstate)
        arrays = [x.numpy() for x in (w, u, k, v, y, *states, gy.contiguous(), *grads)]
        spread(_wkv_backward, b, slices(b, d, CHANNELS), 16 * k.numel(), *arrays)
        return gw.sum(0), gu.sum(0), gk, gv, *gstate


@compiled(nogil=True, fastmath=FAST, inline="always")
def _less(gap, bits, a, b, count):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Write exp(-|a - b|) into gap: the factor of whichever of the two is not the maximum."""
    for c in range(count):
        gap[c] = -abs(a[c] - b[c])
    exp_into(gap, bits, gap, count)


@compiled(nogil=True, fastmath=FAST)
def _wkv_forward(b, _part, begin, end, w, u, k, v, y, num, den, top, states, every):  # type: ignore[no-untyped-def]  # pragma: no cover
    l = k.shape[1]
    gap, bits = np.empty(CHANNELS, np.float32), np.empty(CHANNELS, np.int32)
    seen, fresh = np.empty(CHANNELS, np.float32), np.empty(CHANNELS, np.float32)
    for first in range(begin, end, CHANNELS):
        last = min(first + CHANNELS, end)
        count = last - first
        n, d, m = num[b, first:last], den[b, first:last], top[b, first:last]
        rate, bonus = w[first:last], u[first:last]
        for t in range(l):
            kt, vt, out = k[b, t, first:last], v[b, t, first:last], y[b, t, first:last]
            for c in range(count):
                fresh[c] = bonus[c] + kt[c]
            _less(gap, bits, m, fresh, count)
            for c in range(count):
                past = ONE if m[c] >= fresh[c] else gap[c]
                now = gap[c] if m[c] >= fresh[c] else ONE
                out[c] = (past * n[c] + now * vt[c]) / (past * d[c] + now)
                seen[c] = m[c] - rate[c]
            _less(gap, bits, seen, kt, count)
            for c in range(count):
                past = ONE if seen[c] >= kt[c] else gap[c]
                now = gap[c] if seen[c] >= kt[c] else ONE
                n[c] = past * n[c] + now * vt[c]
                d[c] = past * d[c] + now
                m[c] = max(seen[c], kt[c])
            if every > 0 and (t + 1) % every == 0:
                at = t // every
                for c in range(count):
                    states[0, b, at, first + c] = n[c]
                    states[1, b, at, first + c] = d[c]
                    states[2, b, at, first + c] = m[c]


@compiled(nogil=True, fastmath=FAST)
def _wkv_backward(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    b, _part, begin, end, w, u, k, v, y, num0, den0, top0, num1, den1, top1, gy, gw, gu, gk, gv, gnum, gden, gtop
):
    """Replay the denominators forwards (with the derivatives of both sums by -w), then accumulate backwards.

    With N, D the true sums before token t and p_t = gy_t / (D + e^(u+k_t)): the gradients P of N and -Q of D obey
    P_(t-1) = p_t + e^-w P_t and Q_(t-1) = p_t y_t + e^-w Q_t, and
    gv_t = e^(u+k_t) p_t + e^(k_t) P_t,  gk_t = e^(u+k_t) p_t (v_t - y_t) + e^(k_t) (v_t P_t - Q_t).
    gnum, gden, gtop arrive holding the gradients of the final state and leave holding those of the initial one. The
    final maximum is itself a function of one key (or of the initial maximum) and of w: what it is asked for beyond its
    part in N and D goes there.
    """
    l = k.shape[1]
    size = end - begin
    scaled, peaks = np.empty((l, size), np.float32), np.empty((l, size), np.float32)  # p_t e^peak_t
    for c in range(size):
        ch = begin + c
        n, d, m, origin = num0[b, ch], den0[b, ch], top0[b, ch], -1
        dn, dd = ZERO, ZERO  # derivatives of N and D by -w, scaled as they are
        for t in range(l):
            kt, vt = k[b, t, ch], v[b, t, ch]
            peak = max(m, u[ch] + kt)
            past, now = np.exp(m - peak), np.exp(u[ch] + kt - peak)
            p = gy[b, t, ch] / (past * d + now)
            scaled[t, c], peaks[t, c] = p, peak
            gw[b, ch] -= p * past * (dn - y[b, t, ch] * dd)
            gu[b, ch] += p * now * (vt - y[b, t, ch])
            peak = max(m - w[ch], kt)
            origin = t if kt > m - w[ch] else origin
            past, now = np.exp(m - w[ch] - peak), np.exp(kt - peak)
            dn, dd = past * (dn + n), past * (dd + d)
            n, d, m = past * n + now * vt, past * d + now, peak
        gn, gd = gnum[b, ch], gden[b, ch]
        gw[b, ch] -= gn * dn + gd * dd
        extra = gtop[b, ch] - gn * num1[b, ch] - gd * den1[b, ch]  # zero where the final state feeds another chunk
        gw[b, ch] -= extra * (l if origin < 0 else l - 1 - origin)
        P, Q = gn, -gd
        exponent = -top1[b, ch] if gn != 0 or gd != 0 else np.float32(EMPTY)
        for t in range(l - 1, -1, -1):
            kt, vt, yt, p = k[b, t, ch], v[b, t, ch], y[b, t, ch], scaled[t, c]
            later = np.exp(kt + exponent)
            here = np.exp(u[ch] + kt - peaks[t, c]) * p
            gv[b, t, ch] = here + later * P
            gk[b, t, ch] = here * (vt - yt) + later * (vt * P - Q)
            peak = max(exponent - w[ch], -peaks[t, c])
            carried, fresh = np.exp(exponent - w[ch] - peak), np.exp(-peaks[t, c] - peak) * p
            P, Q, exponent = carried * P + fresh, carried * Q + fresh * yt, peak
        if origin >= 0:
            gk[b, origin, ch] += extra
        start = np.exp(exponent + top0[b, ch])
        gnum[b, ch], gden[b, ch] = P * start, -Q * start
        gtop[b, ch] = gnum[b, ch] * num0[b, ch] + gden[b, ch] * den0[b, ch] + (extra if origin < 0 else ZERO)


@compiled(nogil=True, fastmath=FAST)
def _summary(begin, end, w, u, k, v, gate, mean, mixed):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Sum gate P over the channels begin..end into mean, and write P v into mixed (end - begin, l).

    The weights e^(-(t-1-i) w + k_i) of a row are those of the row before times e^-w, kept relative to the running
    maximum; dividing by their sum gives the row.
    """
    l = k.shape[1]
    weight = np.empty(l, np.float32)
    for c in range(begin, end):
        top = np.float32(EMPTY)
        total = ZERO
        for t in range(l):
            peak = max(top, u[c] + k[c, t])
            past, now = np.exp(top - peak), np.exp(u[c] + k[c, t] - peak)
            scale = ONE / (past * total + now)
            out = ZERO
            for i in range(t):
                p = weight[i] * (past * scale)
                mean[t, i] += gate[c, t] * p
                out += p * v[c, i]
            mean[t, t] += gate[c, t] * now * scale
            mixed[c - begin, t] = out + now * scale * v[c, t]
            peak = max(top - w[c], k[c, t])
            past, now = np.exp(top - w[c] - peak), np.exp(k[c, t] - peak)
            total = past * total + now
            for i in range(t):
                weight[i] *= past
            weight[t], top = now, peak
