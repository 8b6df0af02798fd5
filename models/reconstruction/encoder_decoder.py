"""Attention, next words and cache of an encoder-decoder run, computed again in float64 from what was captured."""

import numpy as np

from models.reconstruction.check import Wide, against_output, relative, wide
from models.records.encoder_decoder import EncoderDecoderRun, Kind


def weights(run: EncoderDecoderRun, kind: Kind, layer: int, head: int) -> Wide:
    """Return the softmax of one head's scores over the keys that each query may read, (query, key)."""
    found = run.attention(kind)
    query, key = wide(found.query.values[layer, head]), wide(found.key.values[layer, head])
    scores = np.where(found.visible.values.astype(bool), query @ key.T, -np.inf)
    odds = np.exp(scores - scores.max(1, keepdims=True))
    return wide(odds / odds.sum(1, keepdims=True))


def output_error(drawn: Wide, run: EncoderDecoderRun, kind: Kind, layer: int, head: int) -> Wide:
    """Compare drawn V with the captured output of a head, a number per query; drawn (query, key)."""
    found = run.attention(kind)
    value, output = wide(found.value.values[layer, head]), wide(found.output.values[layer, head])
    terms = (np.abs(drawn) @ np.abs(value)).max(1, keepdims=True)
    return wide(against_output(drawn @ value, output, terms).max(1))


def weight_error(drawn: Wide, run: EncoderDecoderRun, kind: Kind, layer: int, head: int) -> Wide:
    """Compare drawn weights with the softmax in float64 and with the captured output, a number per query."""
    known = weights(run, kind, layer, head)
    again = relative(drawn, known, known.max(1, keepdims=True)).max(1)
    return wide(np.maximum(again, output_error(drawn, run, kind, layer, head)))


def next_words(run: EncoderDecoderRun) -> Wide:
    """Return the probability of every word at every step, (step, vocab), from the decoder's last output."""
    logits = wide(run.hidden.values) @ wide(run.head.values).T + wide(run.bias.values)
    odds = np.exp(logits - logits.max(1, keepdims=True))
    return wide(odds / odds.sum(1, keepdims=True))


def cache_bytes(run: EncoderDecoderRun) -> tuple[Wide, Wide]:
    """Return the bytes of keys and values after every step by formula: of the written words, and of the source."""
    each = 2 * run.sizes.decoder_layers * run.sizes.d_model * run.number_bytes  # of one token in all layers
    steps = np.arange(1, run.steps + 1)
    return wide(each * steps), wide(np.full(run.steps, each * len(run.source)))
