"""Attention heads in float64, from the queries, keys and values of the run, beside the head outputs it captured."""

import numpy as np

from models.reconstruction.check import Wide, against_output, relative, wide
from models.records.trace import LayerTrace


def scores(layer: LayerTrace, head: int) -> Wide:
    """Return scale q.k of one head, (query, key), not masked."""
    return _query(layer, head) @ _shared(layer, "head_key", head).T


def score_scale(layer: LayerTrace, head: int) -> Wide:
    """Return the size of the terms that scores sums, sum_d |q_d k_d|, its maximum per query, (query, 1)."""
    terms = np.abs(_query(layer, head)) @ np.abs(_shared(layer, "head_key", head)).T
    return wide(terms.max(1, keepdims=True))


def weights(layer: LayerTrace, head: int) -> Wide:
    """Return the softmax of one head's scores over the keys that each query may read, (query, key)."""
    logits = np.where(layer.part("visible").astype(bool), scores(layer, head), -np.inf)
    odds = np.exp(logits - logits.max(1, keepdims=True))
    return wide(odds / odds.sum(1, keepdims=True))


def mean_weights(layer: LayerTrace) -> Wide:
    """Return weights averaged over the heads, (query, key)."""
    heads = range(layer.parts["head_output"].sizes["head"])
    return wide(np.mean([weights(layer, head) for head in heads], axis=0))


def output_error(drawn: Wide, layer: LayerTrace, head: int) -> Wide:
    """Compare drawn V with the captured output of a head, a number per query; drawn (query, key)."""
    value, output = _shared(layer, "head_value", head), layer.part("head_output")[head]
    terms = (np.abs(drawn) @ np.abs(value)).max(1, keepdims=True)
    return wide(against_output(drawn @ value, output, terms).max(1))


def weight_error(drawn: Wide, layer: LayerTrace, head: int) -> Wide:
    """Compare drawn weights with the softmax in float64 and with the captured output, a number per query."""
    known = weights(layer, head)
    again = relative(drawn, known, known.max(1, keepdims=True)).max(1)
    return wide(np.maximum(again, output_error(drawn, layer, head)))


def moved_norm(layer: LayerTrace, head: int) -> Wide:
    """Return |v_j W_O| of one head, (key,), from W_O W_O^T: sqrt(v_j W_O W_O^T v_j)."""
    value, gram = _shared(layer, "head_value", head), wide(layer.part("output_gram")[head])
    return wide(np.sqrt(np.maximum(np.einsum("ki,ij,kj->k", value, gram, value), 0)))


def moved_error(drawn: Wide, layer: LayerTrace, head: int) -> Wide:
    """Compare drawn |A_tj v_j W_O| with float64, and what is left without |v_j W_O| with the captured output."""
    norm, known = moved_norm(layer, head), weights(layer, head)
    again = relative(drawn, known * norm, (known * norm).max(1, keepdims=True)).max(1)
    return wide(np.maximum(again, output_error(drawn / np.where(norm > 0, norm, 1.0), layer, head)))


def _query(layer: LayerTrace, head: int) -> Wide:
    return wide(layer.part("head_query")[head])


def _shared(layer: LayerTrace, part: str, head: int) -> Wide:
    """Return the key or value head that a query head reads, (token, d_head)."""
    of_keys = layer.part(part)
    group = layer.parts["head_query"].sizes["head"] // of_keys.shape[0]
    return wide(of_keys[head // group])
