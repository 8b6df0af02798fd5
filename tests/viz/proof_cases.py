"""What the tests of badges share: figures of one text, and ways to spoil an array."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from figure_words import figure_words

from models.reconstruction import Check
from models.records.trace import PARTS, ModelTrace, NamedArray
from models.tracing.mixing import channel_mixing
from viz import proof
from viz.figure import Figure
from viz.gallery.figures import every
from viz.look.theme import LIGHT
from viz.trace import (
    attention,
    decay,
    expert_load,
    expert_locality,
    expert_pairs,
    expert_words,
    gates,
    ink,
    layer_flow,
    router,
    routing,
    spectrum,
    state,
    tokens,
    wkv_weights,
)
from viz.trace.expert_routes import expert_routes
from viz.trace.matrix import channel_matrix

TEXT = "Once upon a time a wolf met a wolf, and the wolf said to the King: 늑대 🐺"
RED = 1e-2  # what is spoiled must err by at least this much
HEALTHY = 1e-5

Spoil = Callable[[np.ndarray], np.ndarray]
WORDS = figure_words("en")


def english(key: str, **values: object) -> str:
    return WORDS[key].format_map(values)


def spoiled(trace: ModelTrace, part: str, spoil: Spoil, layer: int | None = None) -> ModelTrace:
    """Return a trace whose record of a part is spoiled, in one layer or in all."""
    layers = []
    for shown in trace:
        parts = dict(shown.parts)
        if part in parts and layer in (None, shown.index):
            parts[part] = NamedArray(np.array(spoil(np.array(parts[part].values))), PARTS[part])
        layers.append(dataclasses.replace(shown, parts=parts))
    return dataclasses.replace(trace, layers=tuple(layers))


def draw_channel(trace: ModelTrace, *, layer: int, channel: int, theme: Any, t: Any) -> Figure:
    return channel_matrix(
        channel_mixing(trace.layer(layer), [channel]), trace, theme=theme, t=t, layer=layer, channel=channel
    )


def draw_moved(trace: ModelTrace, *, layer: int, channel: int, theme: Any, t: Any) -> Figure:
    mixing = channel_mixing(trace.layer(layer), [channel])
    return wkv_weights.channel_moved(mixing, trace, theme=theme, t=t, layer=layer, channel=channel)


# figure -> architecture, how it is drawn, and what the visitor chose
DRAWN: dict[str, tuple[str, Callable[..., Figure], dict[str, Any]]] = {
    "head_matrix": ("transformer", attention.head_matrix, {"layer": 2, "head": 3}),
    "head_logits": ("transformer", attention.head_logits, {"layer": 2, "head": 3}),
    "value_norm_matrix": ("transformer", attention.value_norm_matrix, {"layer": 4, "head": 1}),
    "head_mosaic": ("transformer", attention.head_mosaic, {"layer": 2, "head": 3, "score": "induction"}),
    "state_film": ("mamba", state.state_film, {"layer": 5}),
    "state_slice": ("mamba", state.state_slice, {"layer": 5}),
    "dt_map": ("mamba", state.dt_map, {"layer": 5}),
    "hidden_attention": ("mamba", state.hidden_attention, {"layer": 5}),
    "half_life": ("mamba", decay.half_life, {}),
    "channel_matrix (mamba)": ("mamba", draw_channel, {"layer": 5, "channel": 7}),
    "channel_matrix (rwkv)": ("rwkv", draw_channel, {"layer": 2, "channel": 120}),
    "decay_curves": ("rwkv", decay.decay_curves, {"layer": 2}),
    "half_life_spectrum": ("rwkv", decay.half_life_spectrum, {}),
    "effective_attention": ("rwkv", decay.effective_attention, {"layer": 2}),
    "receptance_map": ("rwkv", decay.receptance_map, {"layer": 2}),
    "wkv_film": ("rwkv", decay.wkv_film, {"layer": 2}),
    "wkv_ink": ("rwkv", ink.wkv_ink, {"layer": 2}),
    "gated_attention": ("rwkv", wkv_weights.gated_attention, {"layer": 2}),
    "channel_moved": ("rwkv", draw_moved, {"layer": 2, "channel": 120}),
    "key_curves": ("rwkv", wkv_weights.key_curves, {"layer": 2}),
    "half_life_histogram": ("rwkv", spectrum.half_life_histogram, {}),
    "token_shift": ("rwkv", gates.token_shift, {"layer": 2}),
    "channel_mix_zeros": ("rwkv", gates.channel_mix_zeros, {}),
    "layer_ribbon": ("jamba", routing.layer_ribbon, {}),
    "expert_lanes": ("jamba", routing.expert_lanes, {}),
    "router_bars": ("jamba", router.router_bars, {"layer": 3, "selected": 9}),
    "expert_load": ("jamba", expert_load.expert_load, {}),
    "hybrid_stack": ("jamba", routing.hybrid_stack, {"layer": None}),
    "expert_routes": ("jamba", expert_routes, {}),
    "expert_balance": ("jamba", expert_load.expert_balance, {}),
    "expert_pairs": ("jamba", expert_pairs.expert_pairs, {"layer": 3}),
    "expert_locality": ("jamba", expert_locality.expert_locality, {}),
    "expert_words": ("jamba", expert_words.expert_words, {"layer": 3, "expert": 2}),
    "layer_flow": ("jamba", layer_flow.layer_flow, {}),
    "token_strip": ("rwkv", tokens.token_strip, {}),
}
# A figure without a line of its own is drawn of a Transformer without a choice.
DRAWN |= {
    entry.id: ("transformer", entry.draw, {})
    for entry in every().values()
    if entry.of == "trace" and entry.id not in DRAWN
}


def drawn(name: str, trace: ModelTrace, **other: Any) -> Figure:
    _, draw, choice = DRAWN[name]
    return draw(trace, theme=LIGHT, t=english, **(choice | other))


def verdict(name: str, figure: Figure, trace: ModelTrace, **other: Any) -> Check:
    found = proof.check(figure, trace, **(DRAWN[name][2] | other))
    assert found is not None
    return found


def is_red(check: Check) -> bool:
    """Say whether a check fails by a margin: by RED, or because the error is no number."""
    return not check.passed and not check.error <= RED


def another(values: np.ndarray) -> np.ndarray:
    return np.roll(values, 1, axis=0)


def next_channel(values: np.ndarray) -> np.ndarray:
    return np.roll(values, 1, axis=1)


def shifted(values: np.ndarray) -> np.ndarray:
    return np.roll(values, 1, axis=-1)


def token_before(values: np.ndarray) -> np.ndarray:
    return np.roll(values, 1, axis=0)


def transposed(values: np.ndarray) -> np.ndarray:
    return np.swapaxes(values, -1, -2)


def mirrored(values: np.ndarray) -> np.ndarray:
    return values[..., ::-1, ::-1]


def waves(values: np.ndarray) -> np.ndarray:
    """Return values without pattern, of the same size: random to the eye, and the same in every run of the test."""
    found = np.sin((1 + np.arange(values.size)) ** 1.5).reshape(values.shape) ** 2
    return (found * np.abs(values).max()).astype(values.dtype)


def nothing(values: np.ndarray) -> np.ndarray:
    return values * np.nan


def one_nan(values: np.ndarray) -> np.ndarray:
    """Make one number nan: in every head of (head, query, key), in every channel of a token of (token, ...)."""
    if values.ndim == 2:
        values[3] = np.nan
    else:
        values[:, 4, 1] = np.nan
    return values


def logs(values: np.ndarray) -> np.ndarray:
    return np.log(np.abs(values) + 1e-9)


def one_token(values: np.ndarray) -> np.ndarray:
    """Wipe what belongs to the fifth token from the end: a row of (token, ...) or of (..., query, key)."""
    values[..., -5, :] = 0
    return values


MAPS: dict[str, Spoil] = {
    "transposed": transposed, "shifted": shifted, "mirrored": mirrored, "random": waves, "squared": np.square,
    "log": logs, "a third more": lambda v: 1.3 * v, "sevenfold": lambda v: 7 * v, "constant": lambda v: 0 * v + 0.5,
    "one token": one_token, "nan": nothing, "one nan": one_nan,
}  # fmt: skip
