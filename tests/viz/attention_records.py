"""Attention layers made by hand: grouped keys, windows, any number of tokens; from loops in plain Python."""

import dataclasses
import math

import numpy as np

from models.records.trace import PARTS, LayerTrace, ModelTrace, NamedArray, Token
from viz.gallery.samples import wave


def layer_of(
    length: int, *, heads: int = 4, groups: int = 2, d_head: int = 5, window: int | None = None, index: int = 0,
    scale: float | None = None,
) -> LayerTrace:  # fmt: skip
    """Compute one layer number by number: queries, keys and values are waves, all else follows from them."""
    scale = d_head**-0.5 if scale is None else scale
    query, key, value = (
        np.float32(wave(n, length, d_head, pace=1 + (index + place) / 7)).astype(np.float64)
        for place, n in ((1, heads), (2, groups), (3, groups))
    )
    scores, weights = np.zeros((2, heads, length, length))
    output = np.zeros((heads, length, d_head))
    visible = np.array(
        [[float(j <= t and (window is None or t - j < window)) for j in range(length)] for t in range(length)]
    )
    for h in range(heads):
        own = h * groups // heads
        for t in range(length):
            row = [sum(query[h, t, n] * key[own, j, n] for n in range(d_head)) * scale for j in range(length)]
            odds = [math.exp(row[j]) if visible[t, j] else 0.0 for j in range(length)]
            scores[h, t], weights[h, t] = row, [odd / sum(odds) for odd in odds]
            output[h, t] = [sum(weights[h, t, j] * value[own, j, n] for j in range(length)) for n in range(d_head)]
    mixed = wave(heads, d_head, 3 * d_head, pace=2.5)
    gram = np.einsum("hdm,hem->hde", mixed, mixed)
    norms = np.sqrt(
        np.einsum(
            "hjd,hde,hje->hj",
            value[np.arange(heads) * groups // heads],
            gram,
            value[np.arange(heads) * groups // heads],
        )
    )
    parts = {
        "attention": weights, "attention_logits": scores, "visible": visible, "head_query": query * scale,
        "query_scale": np.full(heads, scale), "head_key": key, "head_value": value, "head_output": output,
        "output_gram": gram, "value_norm": weights * norms[:, None],
    }  # fmt: skip
    return LayerTrace(
        index, "attention", "dense", {name: NamedArray(np.float32(array), PARTS[name]) for name, array in parts.items()}
    )


def trace_of(like: ModelTrace, length: int, **options) -> ModelTrace:
    """Return a trace of two such layers over a text of so many words."""
    tokens = tuple(Token(i, 10 + i, f"\u2423w{i}", 3 * i, 3 * i + 3) for i in range(length))
    layers = tuple(layer_of(length, index=index, **options) for index in range(2))
    bits = NamedArray(np.full(length, np.nan, np.float32), ("token",))
    logits = NamedArray(np.zeros((length, 4), np.float32), ("token", "vocab"))
    prompt = "".join(f" w{i}" for i in range(length))
    return dataclasses.replace(
        like, prompt=prompt, tokens=tokens, layers=layers, surprisal=bits, logits=logits, embedding=None
    )
