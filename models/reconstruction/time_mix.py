"""RWKV-4's time mixing in float64, token by token, beside the mixer output that the run captured."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.reconstruction.check import Wide, against_output, wide
from models.records.trace import LayerTrace


class Wkv(NamedTuple):
    """What channels hold and answer, (token, channel) each.

    held: num / den of the state after each token; answer: wkv_t, with the bonus; held_scale, answer_scale: the same
    sums over |v|, their rounding scale.
    """

    held: Wide
    answer: Wide
    held_scale: Wide
    answer_scale: Wide


def rates(layer: LayerTrace) -> Wide:
    """Return w = exp(time_decay) of all channels."""
    return np.exp(_wide(layer, "time_decay"))


def half_lives(layer: LayerTrace) -> Wide:
    """Return ln 2 / w of all channels."""
    return math.log(2) / rates(layer)


def receptance(layer: LayerTrace) -> Wide:
    """Return sigma(r) of all channels, (token, channel), from the captured r."""
    return wide(np.exp(-np.logaddexp(0.0, -_wide(layer, "receptance_logit"))))


def wkv(layer: LayerTrace, channels: Sequence[int] | None = None) -> Wkv:
    """Run the recurrence of Peng et al. 2023 for some channels, all without; exponents are relative to a maximum."""
    chosen = slice(None) if channels is None else list(channels)
    w, u = rates(layer)[chosen], _wide(layer, "bonus")[chosen]
    k, v = _wide(layer, "key")[:, chosen], _wide(layer, "value")[:, chosen]
    num = size = den = np.zeros_like(w)
    top = np.full_like(w, -np.inf)
    found: list[tuple[Wide, Wide, Wide, Wide]] = []
    for t in range(len(k)):
        peak = np.maximum(top, u + k[t])
        past, now = np.exp(top - peak), np.exp(u + k[t] - peak)
        total = past * den + now
        answer, answer_scale = (past * num + now * v[t]) / total, (past * size + now * np.abs(v[t])) / total
        peak = np.maximum(top - w, k[t])
        past, now = np.exp(top - w - peak), np.exp(k[t] - peak)
        num, size, den, top = past * num + now * v[t], past * size + now * np.abs(v[t]), past * den + now, peak
        found.append((num / den, answer, size / den, answer_scale))
    return Wkv(*(np.stack(part) for part in zip(*found, strict=True)))


def gate_error(gate: Wide, layer: LayerTrace) -> Wide:
    """Compare gate wkv of all channels with the captured mixer output, (token, channel); gate (token, channel)."""
    known = wkv(layer)
    return against_output(gate * known.answer, _wide(layer, "mixer_output"), np.abs(gate) * known.answer_scale)


def answer_error(layer: LayerTrace, channels: Sequence[int]) -> Wide:
    """Compare sigma(r) wkv of some channels with the captured mixer output, (token, channel)."""
    chosen, known, gate = list(channels), wkv(layer, channels), receptance(layer)[:, list(channels)]
    return against_output(gate * known.answer, _wide(layer, "mixer_output")[:, chosen], gate * known.answer_scale)


def mixed_error(share: Wide, layer: LayerTrace, channel: int) -> Wide:
    """Compare sigma(r) P v of one channel with the captured mixer output, (token,); share (query, key)."""
    value, gate = _wide(layer, "value")[:, channel], receptance(layer)[:, channel]
    terms = gate * (np.abs(share) @ np.abs(value))
    return against_output(gate * (share @ value), _wide(layer, "mixer_output")[:, channel], terms)


def operator_rows(layer: LayerTrace, rows: Sequence[int], channels: Sequence[int] | None = None) -> Wide:
    """Return some rows of P of channels, all without, (row, key, channel): a softmax over the past of each row."""
    chosen = slice(None) if channels is None else list(channels)
    w, u, k = rates(layer)[chosen], _wide(layer, "bonus")[chosen], _wide(layer, "key")[:, chosen]
    found = np.zeros((len(rows), *k.shape))
    for row, t in enumerate(rows):
        exponent = k[: t + 1] - np.maximum(t - 1 - np.arange(t + 1), 0)[:, None] * w
        exponent[t] = u + k[t]
        part = np.exp(exponent - exponent.max(0))
        found[row, : t + 1] = part / part.sum(0)
    return found


def mean_rows(layer: LayerTrace, rows: Sequence[int]) -> Wide:
    """Return some rows of the mean over all channels of P, (row, key)."""
    return np.stack([operator_rows(layer, [row])[0].mean(-1) for row in rows])


def gated_rows(layer: LayerTrace, rows: Sequence[int]) -> Wide:
    """Return some rows of the mean over all channels of sigma(r) P, (row, key)."""
    gate = receptance(layer)
    return np.stack([(operator_rows(layer, [row])[0] * gate[row]).mean(-1) for row in rows])


def exponents(layer: LayerTrace) -> Wide:
    """Return the maximum exponent that a state is kept relative to, after each token, (token, channel)."""
    w, k = rates(layer), _wide(layer, "key")
    top = np.full_like(w, -np.inf)
    found = []
    for key in k:
        top = np.maximum(top - w, key)
        found.append(top)
    return np.stack(found)


def moved_error(moved: Wide, layer: LayerTrace, channel: int) -> Wide:
    """Compare the row sums of sigma(r) P v of one channel (query, key) with the captured output, (token,)."""
    output = _wide(layer, "mixer_output")[:, channel]
    return against_output(moved.sum(1), output, np.abs(moved).sum(1))


def row_cost(layer: LayerTrace, row: int) -> int:
    """Count the exponentials that one row of mean_rows takes, each as ten multiplications."""
    return 10 * (row + 1) * int(layer.part("time_decay").size)


def _wide(layer: LayerTrace, part: str) -> Wide:
    return wide(layer.part(part))
