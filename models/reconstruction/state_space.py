"""The selective scan in float64, token by token, beside the mixer output that the run captured."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.reconstruction.check import Wide, against_output, wide
from models.records.trace import LayerTrace


class Scan(NamedTuple):
    """The state h of channels after each token, and mass, the same recurrence of absolute values: its rounding scale.

    Both (token, channel, d_state).
    """

    state: Wide
    mass: Wide


def step_sizes(layer: LayerTrace) -> Wide:
    """Return dt = softplus(W delta + b) of all channels, (token, channel), from the captured delta and the weights."""
    raw = _wide(layer, "dt_input") @ _wide(layer, "dt_weight").T + _wide(layer, "dt_bias")
    return np.logaddexp(0.0, raw)


def decay_rates(layer: LayerTrace) -> Wide:
    """Return A = -exp(A_log) of all channels, (channel, d_state)."""
    return -np.exp(_wide(layer, "decay_log"))


def half_lives(layer: LayerTrace) -> Wide:
    """Return ln 2 / (min_n |A_cn| mean_t dt_tc) of all channels."""
    return wide(math.log(2) / (np.abs(decay_rates(layer)).min(1) * step_sizes(layer).mean(0)))


def half_distance_error(claimed: Wide, layer: LayerTrace, channels: Sequence[int]) -> Wide:
    """Return how far the mean |alpha| of channels is from one half where it is claimed to be, relative to one half.

    claimed (channel,): tokens beyond the nearest one, for these channels; inf: |alpha| stays above half in this text;
    nan: it has no number. The mean at each distance comes from alpha itself, written out in float64; between whole
    distances its logarithm is interpolated. An earlier distance at which it is below half counts as well.
    """
    pairs = zip(claimed, channels, strict=True)
    return np.array([_halving_error(float(value), _mean_sizes(layer, channel)) for value, channel in pairs])


def _mean_sizes(layer: LayerTrace, channel: int) -> Wide:
    """Return the mean of |alpha_(t, t-n)| over t, by distance n, of one channel."""
    dt, rates = step_sizes(layer)[:, channel], decay_rates(layer)[channel]
    passed = np.cumsum(dt)
    since = np.maximum(passed[:, None] - passed, 0.0)  # (query, key); what lies ahead of the query is not read
    kept = np.exp(since[:, :, None] * rates)  # (query, key, d_state)
    alpha = np.einsum("tn,tjn,jn->tj", _wide(layer, "read_proj"), kept, _wide(layer, "write_proj")) * dt
    return np.array([np.abs(np.diagonal(alpha, -n)).mean() for n in range(len(dt))])


def _halving_error(claimed: float, sizes: Wide) -> float:
    if len(sizes) < 2 or sizes[1] == 0:
        return float(not math.isnan(claimed))
    shares = 2 * sizes / sizes[1]  # 1 is one half of the value at distance 1
    if claimed == math.inf:
        return float(max(0.0, 1 - shares[1:].min()))
    distance = claimed + 1
    if not 1 < distance <= len(sizes) - 1:  # false for nan
        return 1.0
    low = int(distance)
    part = distance - low
    here = shares[low] if part == 0 else math.exp((1 - part) * math.log(shares[low]) + part * math.log(shares[low + 1]))
    return float(max(abs(here - 1), 1 - shares[1 : low + 1].min(), 0.0))


def scan(layer: LayerTrace, channels: Sequence[int]) -> Scan:
    """Run h_t = exp(dt_t A) h_(t-1) + dt_t B_t u_t for some channels."""
    chosen = list(channels)
    dt, rates = step_sizes(layer)[:, chosen], decay_rates(layer)[chosen]
    u, write = _wide(layer, "scan_input")[:, chosen], _wide(layer, "write_proj")
    h = mass = np.zeros_like(rates)
    states, masses = [], []
    for t in range(len(u)):
        keep = np.exp(dt[t, :, None] * rates)
        new = (dt[t] * u[t])[:, None] * write[t]
        h, mass = keep * h + new, keep * mass + np.abs(new)
        states.append(h)
        masses.append(mass)
    return Scan(np.stack(states), np.stack(masses))


def read_error(state: Wide, layer: LayerTrace, channels: Sequence[int], tokens: slice = slice(None)) -> Wide:
    """Compare (C.h + D u) SiLU(z) with the captured mixer output, (token, channel); state (token, channel, d_state)."""
    chosen = list(channels)
    read = _wide(layer, "read_proj")[tokens]
    rebuilt = np.einsum("tcn,tn->tc", state, read)
    terms = np.einsum("tcn,tn->tc", np.abs(state), np.abs(read))
    return _gated(rebuilt, terms, layer, chosen, tokens)


def mixed_error(alpha: Wide, layer: LayerTrace, channel: int) -> Wide:
    """Compare (alpha u + D u) SiLU(z) of one channel with the captured mixer output, (token,); alpha (query, key)."""
    u = _wide(layer, "scan_input")[:, channel]
    return _gated((alpha @ u)[:, None], (np.abs(alpha) @ np.abs(u))[:, None], layer, [channel], slice(None))[:, 0]


def operator(layer: LayerTrace, channel: int) -> tuple[Wide, Wide]:
    """Return alpha of one channel (query, key), row by row backwards in time, and the size of its terms."""
    dt, write, read = step_sizes(layer)[:, channel], _wide(layer, "write_proj"), _wide(layer, "read_proj")
    keep = np.exp(dt[:, None] * decay_rates(layer)[channel])  # (token, d_state)
    alpha, size = np.zeros((len(dt), len(dt))), np.zeros((len(dt), len(dt)))
    for i in range(len(dt)):
        kept = np.cumprod(np.concatenate([np.ones_like(keep[:1]), keep[i:0:-1]]), axis=0)[::-1]  # from j to i
        terms = read[i] * kept * write[: i + 1] * dt[: i + 1, None]
        alpha[i, : i + 1], size[i, : i + 1] = terms.sum(1), np.abs(terms).sum(1)
    return alpha, size


def mean_rows(layer: LayerTrace, rows: Sequence[int]) -> Wide:
    """Return some rows of the mean over all channels of |alpha|, (row, key), backwards in time."""
    dt, rates = step_sizes(layer), decay_rates(layer)
    write, read = _wide(layer, "write_proj"), _wide(layer, "read_proj")
    keep = np.exp(dt[:, :, None] * rates)  # (token, channel, d_state)
    found = np.zeros((len(rows), len(dt)))
    for row, i in enumerate(rows):
        reach = np.broadcast_to(read[i], rates.shape).copy()
        for j in range(i, -1, -1):
            found[row, j] = np.abs((reach @ write[j]) * dt[j]).mean()
            reach *= keep[j]
    return found


def row_cost(layer: LayerTrace, row: int) -> int:
    """Count the multiplications that one row of mean_rows takes."""
    return (row + 1) * int(layer.part("decay_log").size)


def _gated(rebuilt: Wide, terms: Wide, layer: LayerTrace, channels: list[int], tokens: slice) -> Wide:
    skip = _wide(layer, "skip")[channels] * _wide(layer, "scan_input")[tokens, channels]
    gate = _wide(layer, "gate")[tokens, channels]
    output = _wide(layer, "mixer_output")[tokens, channels]
    return against_output((rebuilt + skip) * gate, output, np.abs(gate) * (terms + np.abs(skip)))


def _wide(layer: LayerTrace, part: str) -> Wide:
    return wide(layer.part(part))
