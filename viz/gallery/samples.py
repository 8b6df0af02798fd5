"""Sample records of all that a figure may draw, from numpy formulas and fixed inputs: no model, no chance."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from models.records.trace import PARTS, LayerTrace, ModelTrace, NamedArray, Token

LABELS = (
    "Once",
    "\u2423upon",
    "\u2423\ub291",
    "\u2423\ub291",
    "\ub300",
    ".",
    "Once",
    "\u2423upon",
    "\u2423a",
    "\ub300",
    ".",
)
IDS = (5, 6, 7, 8, 9, 1, 5, 6, 3, 9, 1)
LENGTH, CHANNELS, D_STATE, HEADS, EXPERTS = len(IDS), 40, 4, 2, 8
TAPS = 4  # of the short convolution


Values = npt.NDArray[np.float64]


def wave(*shape: int, pace: float = 1.0) -> Values:
    """Return a fixed array without pattern to the eye: sin of a quadratic in the place."""
    place = np.arange(int(np.prod(shape)), dtype=np.float64)
    return np.sin(pace * (place + 1) ** 1.5).reshape(shape)


def softmax(scores: Values) -> Values:
    """Return softmax over the last axis."""
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


def attention_layer(index: int, ffn: str = "dense") -> LayerTrace:
    """Build causal attention from fixed queries and keys, and |A v W| from fixed values."""
    logits = 3 * wave(HEADS, LENGTH, LENGTH, pace=1 + index / 7)
    masked = np.where(np.tri(LENGTH, dtype=bool), logits, -np.inf)
    attention = softmax(masked)
    length = np.abs(wave(HEADS, 1, LENGTH, pace=2))
    parts = {"attention": attention, "attention_logits": logits, "value_norm": attention * length}
    return LayerTrace(index, "attention", ffn, named(parts))


def mamba_layer(index: int, ffn: str = "none") -> LayerTrace:
    """Run the selective scan h = exp(dt A) h + dt B u in float64 and record what it shows."""
    dt = np.log1p(np.exp(2 * wave(LENGTH, CHANNELS, pace=1 + index / 5) - np.linspace(0, 5, CHANNELS)))
    rates = -np.arange(1, D_STATE + 1) * np.ones((CHANNELS, 1))
    write, read = wave(LENGTH, D_STATE, pace=3), wave(LENGTH, D_STATE, pace=4)
    x, taps, bias = wave(LENGTH, CHANNELS, pace=8), wave(CHANNELS, TAPS), 0.1 * wave(CHANNELS)
    padded = np.vstack([np.zeros((TAPS - 1, CHANNELS)), x])
    convolved = sum((padded[n : n + LENGTH] * taps[:, n] for n in range(TAPS)), np.tile(bias, (LENGTH, 1)))
    slope = 1 / (1 + np.exp(-convolved))
    u = wave(LENGTH, CHANNELS, pace=5)
    state, h = [], np.zeros((CHANNELS, D_STATE))
    for t in range(LENGTH):
        h = np.exp(dt[t, :, None] * rates) * h + (dt[t] * u[t])[:, None] * write[t]
        state.append(h)
    total = np.cumsum(dt, 0)
    alpha = np.zeros((CHANNELS, LENGTH, LENGTH))
    for i in range(LENGTH):
        for j in range(i + 1):
            kept = np.exp((total[i] - total[j])[:, None] * rates)
            alpha[:, i, j] = (read[i] * kept * write[j]).sum(-1) * dt[j]
    gate = wave(LENGTH, CHANNELS, pace=6)
    whole = np.zeros_like(alpha)
    for n in range(TAPS):
        scan = (alpha + np.eye(LENGTH)) * slope.T[:, None]
        whole[:, :, : LENGTH - n] += scan[:, :, n:] * taps[:, TAPS - 1 - n, None, None]
    parts = {
        "dt": dt,
        "decay_rates": rates,
        "write_proj": write,
        "read_proj": read,
        "skip": np.ones(CHANNELS),
        "scan_input": u,
        "gate": gate,
        "state": np.stack(state),
        "hidden_attention": np.abs(alpha).mean(0),
        "conv_input": x,
        "conv_weight": taps,
        "conv_bias": bias,
        "output_norm": 1 + np.abs(wave(CHANNELS, pace=7)),
        "full_layer": np.abs(whole * gate.T[:, :, None]).mean(0),
        "half_life": np.log(2) / (np.abs(rates).min(1) * dt.mean(0)),
        "half_distance": np.array([halved(channel) for channel in alpha]),
    }
    return LayerTrace(index, "mamba", ffn, named(parts))


def halved(alpha: Values) -> float:
    """Return how many tokens beyond the nearest the mean |alpha| (query, key) takes to fall to half; inf: more."""
    mean = [np.abs(np.diagonal(alpha, -n)).mean() for n in range(1, LENGTH)]
    for n in range(1, len(mean)):
        if mean[n] <= mean[0] / 2:
            return n - 1 + float(np.log(mean[n - 1] / (mean[0] / 2)) / np.log(mean[n - 1] / mean[n]))
    return float("inf")


def rwkv_layer(index: int) -> LayerTrace:
    """Run WKV with fixed keys and values in float64 and record what it shows."""
    rate = np.exp(np.linspace(-5, 2, CHANNELS))
    bonus, k, v = 0.3 * wave(CHANNELS), wave(LENGTH, CHANNELS, pace=2 + index), wave(LENGTH, CHANNELS, pace=3)
    num, den = np.zeros(CHANNELS), np.zeros(CHANNELS)
    nums, dens = [], []
    for t in range(LENGTH):
        num = np.exp(-rate) * num + np.exp(k[t]) * v[t]
        den = np.exp(-rate) * den + np.exp(k[t])
        nums.append(num)
        dens.append(den)
    scores = np.full((CHANNELS, LENGTH, LENGTH), -np.inf)
    for i in range(LENGTH):
        for j in range(i):
            scores[:, i, j] = -(i - 1 - j) * rate + k[j]
        scores[:, i, i] = bonus + k[i]
    receptance = 1 / (1 + np.exp(-wave(LENGTH, CHANNELS, pace=4)))
    parts = {
        "decay_rate": rate,
        "bonus": bonus,
        "key": k,
        "value": v,
        "receptance": receptance,
        "wkv_num": np.stack(nums),
        "wkv_den": np.stack(dens),
        "wkv_max": np.zeros((LENGTH, CHANNELS)),
        "effective_attention": softmax(scores).mean(0),
        "gated_attention": (receptance.T[:, :, None] * softmax(scores)).mean(0),
        "shift_share": 0.5 + 0.5 * wave(5, 6, pace=7 + index),
        "ffn_key": wave(LENGTH, 12, pace=8 + index),
        "half_life": np.log(2) / rate,
    }
    return LayerTrace(index, "rwkv", "channel_mix", named(parts))


def routed(layer: LayerTrace) -> LayerTrace:
    """Add a router over fixed logits, top 2, weights not renormalised."""
    logits = 2 * wave(LENGTH, EXPERTS, pace=1 + layer.index / 3)
    probs = softmax(logits)
    chosen = np.argsort(-probs, axis=-1, kind="stable")[:, :2]
    parts = {
        "router_logits": logits,
        "router_probs": probs,
        "chosen_experts": chosen,
        "chosen_weights": np.take_along_axis(probs, chosen, -1),
    }
    return LayerTrace(layer.index, layer.mixer, "moe", {**layer.parts, **named(parts)})


def trace_of(architecture: str, layers: tuple[LayerTrace, ...]) -> ModelTrace:
    """Wrap layers into a trace of the fixed prompt."""
    logits = wave(LENGTH, 12).astype(np.float32)
    before = softmax(logits.astype(np.float64))
    bits = np.full(LENGTH, np.nan, dtype=np.float32)
    bits[1:] = [-np.log2(before[t - 1, IDS[t]]) for t in range(1, LENGTH)]
    pieces = {2: (1, 2), 3: (2, 2)}
    tokens = tuple(Token(i, IDS[i], label, i, i + 1, *pieces.get(i, (1, 1))) for i, label in enumerate(LABELS))
    return ModelTrace(
        checkpoint=architecture,
        architecture=architecture,
        prompt="".join(LABELS),
        tokens=tokens,
        logits=NamedArray(logits, ("token", "vocab")),
        surprisal=NamedArray(bits, ("token",)),
        layers=layers,
        cache_bytes=4096,
        cache_bytes_formula=4096,
        implementation={},
        device="cpu",
        dtype="float32",
        seconds=0.0,
    )


BUILD: dict[str, Callable[[], tuple[LayerTrace, ...]]] = {
    "transformer": lambda: tuple(attention_layer(i) for i in range(3)),
    "mamba": lambda: tuple(mamba_layer(i) for i in range(3)),
    "rwkv": lambda: tuple(rwkv_layer(i) for i in range(3)),
    "jamba": lambda: (mamba_layer(0, "dense"), routed(mamba_layer(1)), attention_layer(2), routed(mamba_layer(3))),
}


def traces() -> dict[str, ModelTrace]:
    """Return one trace per architecture, with what its layers show."""
    return {name: trace_of(name, build()) for name, build in BUILD.items()}


def named(parts: Mapping[str, npt.NDArray[Any]]) -> dict[str, NamedArray]:
    """Name the dimensions of parts; real numbers become float32, as in a real trace."""
    return {
        name: NamedArray(value if value.dtype.kind == "i" else value.astype(np.float32), PARTS[name])
        for name, value in parts.items()
    }
