"""Hand-made records of RWKV layers that add up: WKV, receptance, channel mixing and the residual stream, in float64."""

import dataclasses
import math

import numpy as np

from models.records.trace import PARTS, LayerTrace, ModelTrace, NamedArray, Token

WIDTH, HIDDEN, LAYERS = 5, 7, 2


def wave(*shape: int, pace: float) -> np.ndarray:
    """Return fixed numbers without pattern."""
    return np.sin(pace * (np.arange(math.prod(shape)) + 1.0) ** 1.5).reshape(shape)


def weights(rate: float, bonus: float, key: np.ndarray, t: int) -> list[float]:
    """Return P of one channel at token t, by a plain loop over the papers' sums."""
    raw = [math.exp(-(t - 1 - i) * rate + key[i]) for i in range(t)] + [math.exp(bonus + key[t])]
    return [one / sum(raw) for one in raw]


def layer_of(index: int, length: int) -> LayerTrace:
    """Build one layer of WIDTH channels whose parts follow from each other."""
    decay = np.linspace(-4, 1, WIDTH)[::-1] + index / 3
    rate, bonus = np.exp(decay), 0.7 * wave(WIDTH, pace=1.3 + index)
    key, value, logit = (2 * wave(length, WIDTH, pace=pace + index / 5) for pace in (2.1, 3.2, 4.3))
    gate = 1 / (1 + np.exp(-logit))
    output = np.zeros((length, WIDTH))
    for c in range(WIDTH):
        for t in range(length):
            share = weights(rate[c], bonus[c], key[:, c], t)
            output[t, c] = gate[t, c] * sum(p * value[i, c] for i, p in enumerate(share))
    hidden, matrix, ffn_logit = (
        wave(length, HIDDEN, pace=5.4),
        wave(WIDTH, HIDDEN, pace=6.5),
        wave(length, WIDTH, pace=7.6),
    )
    ffn = 1 / (1 + np.exp(-ffn_logit)) * (np.maximum(hidden, 0) ** 2 @ matrix.T)
    before, mixed = 3 * wave(length, WIDTH, pace=8.7), wave(length, WIDTH, pace=9.8)
    parts = {
        "time_decay": decay, "decay_rate": rate, "half_life": np.log(2) / rate, "bonus": bonus, "key": key,
        "value": value, "receptance_logit": logit, "receptance": gate, "mixer_output": output, "ffn_key": hidden,
        "ffn_value_weight": matrix, "ffn_receptance_logit": ffn_logit, "ffn_output": ffn, "resid_pre": before,
        "mixer_write": mixed, "ffn_write": ffn, "resid_post": before + mixed + ffn,
    }  # fmt: skip
    named = {name: NamedArray(values.astype(np.float32), PARTS[name]) for name, values in parts.items()}
    return LayerTrace(index, "rwkv", "channel_mix", named)


def trace_of(like: ModelTrace, length: int) -> ModelTrace:
    """Return a trace of so many tokens with LAYERS layers."""
    tokens = tuple(Token(i, i, f"\u2423w{i}" if i else "w0", 3 * i, 3 * i + 3) for i in range(length))
    bits = NamedArray(np.full(length, np.nan, np.float32), ("token",))
    layers = tuple(layer_of(index, length) for index in range(LAYERS))
    return dataclasses.replace(like, tokens=tokens, layers=layers, surprisal=bits, prompt="w" * 3 * length)
