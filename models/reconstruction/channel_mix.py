"""RWKV-4's token shift and channel mixing in float64, beside what the run captured."""

import numpy as np

from models.reconstruction.check import Wide, against_output, wide
from models.records.trace import LayerTrace

HALF = (0, 0, 0, 1, 1)  # the sublayer whose input a share mixes: time mixing, channel mixing


def shift_error(share: Wide, layer: LayerTrace) -> Wide:
    """Compare mu x_t + (1 - mu) x_(t-1) with what the projections received, (share, place, d_model).

    share: mu, (share, d_model).
    """
    source, received = wide(layer.part("shift_from")), wide(layer.part("shifted"))
    now, before = source[list(HALF), 0], source[list(HALF), 1]  # (share, place, d_model)
    mu = share[:, None]
    terms = np.abs(mu * now) + np.abs((1 - mu) * before)
    return against_output(mu * now + (1 - mu) * before, received, terms)


def zero_share(layer: LayerTrace) -> Wide:
    """Return which share of the hidden units is zero after the ReLU, (token,)."""
    key = wide(layer.part("ffn_key"))
    return wide(np.array([sum(1.0 for unit in row if not unit > 0) / len(row) for row in key]))


def mix_error(layer: LayerTrace) -> Wide:
    """Compare sigma(r) W relu(k)^2 with the captured output of the channel mixing, (token, feature)."""
    key, weight = wide(layer.part("ffn_key")), wide(layer.part("ffn_value_weight"))
    gate = 1 / (1 + np.exp(-wide(layer.part("ffn_receptance_logit"))))
    hidden = np.where(key > 0, key, 0.0) ** 2
    terms = gate * (hidden @ np.abs(weight).T)
    return against_output(gate * (hidden @ weight.T), wide(layer.part("ffn_output")), terms)
