"""A mixture of experts in float64: router, and chosen experts beside the captured output."""

import numpy as np

from models.reconstruction.check import Numbers, Wide, against_output, wide
from models.records.trace import LayerTrace


def probabilities(layer: LayerTrace) -> Wide:
    """Return the softmax of the captured router logits, (token, expert)."""
    logits = wide(layer.part("router_logits"))
    odds = np.exp(logits - logits.max(1, keepdims=True))
    return wide(odds / odds.sum(1, keepdims=True))


def mixture_error(chosen: Numbers, weights: Numbers, layer: LayerTrace) -> Wide:
    """Compare sum_k w_k E_k(x) with the captured output of the block, a number per token.

    chosen, weights (token, choice); a choice may be nan where nothing is drawn. nan where an index is no expert.
    """
    each = wide(layer.part("expert_output"))  # (token, expert, probe)
    output = wide(layer.part("mixture_output"))  # (token, probe)
    picks = wide(chosen)
    known = (picks >= 0) & (picks < each.shape[1]) & (picks == np.floor(picks))
    index = np.where(known, picks, 0).astype(np.intp)
    weight = np.where(known, wide(weights), np.nan)
    terms = weight[..., None] * np.take_along_axis(each, index[..., None], axis=1)  # (token, choice, probe)
    size = np.abs(terms).sum(1).max(1, keepdims=True)
    return wide(against_output(terms.sum(1), output, size).max(1))


def choice_error(chosen: Numbers, layer: LayerTrace) -> Wide:
    """Return by how much probability the likeliest expert left out beats the least likely one chosen, per token."""
    known = probabilities(layer)
    picks = np.asarray(chosen, np.intp)
    kept = np.take_along_axis(known, picks, axis=1).min(1)
    rest = known.copy()
    np.put_along_axis(rest, picks, -np.inf, axis=1)
    return wide(np.maximum(rest.max(1) - kept, 0.0))
