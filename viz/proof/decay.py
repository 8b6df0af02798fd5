"""Checks of the figures of RWKV's fading memory."""

import numpy as np

from models.reconstruction import half_lives
from models.reconstruction import time_mix as reconstruction
from models.reconstruction.check import relative, wide, worst
from models.records.trace import LayerTrace, ModelTrace
from viz.figure import Figure
from viz.look.labels import short
from viz.proof.drawn import (
    Choice,
    bars_error,
    channels_of,
    chart_rows,
    chosen_layer,
    descent_error,
    exported,
    map_of,
    matrix,
    names_error,
    number,
    picture_error,
    spec_of,
)
from viz.proof.maps import map_error
from viz.proof.state import runs_of

CLOSE = 1e-5  # a number of three digits may be that far from a border between two of them


def decay_curves(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Drawn curves, dots and labels against exp(-(n-1) w) and exp(u) of the weights, which give the captured output."""
    layer, channels = chosen_layer(trace, choice, "decay_rate"), channels_of(figure)
    rate, bonus = reconstruction.rates(layer)[channels], np.exp(wide(layer.part("bonus"))[channels])
    curves, dots = chart_rows(figure, "line", "weight"), chart_rows(figure, "point", "weight")
    points = len(exported(figure, "distance"))
    if len(curves) != points * len(channels) or len(dots) != len(channels):
        return 1.0
    distance = curves["distance"].to_numpy(dtype=np.float64).reshape(len(channels), points)
    known = np.exp(-(distance - 1) * rate[:, None])
    drawn = curves["weight"].to_numpy(dtype=np.float64).reshape(known.shape)
    now = dots["weight"].to_numpy(dtype=np.float64)
    names = names_error([str(n) for n in curves["channel"][::points]], [[c] for c in channels])
    return worst(
        relative(drawn, known, known),
        relative(exported(figure, "weight"), known, known),
        relative(now, bonus, bonus),
        relative(exported(figure, "bonus"), bonus, bonus),
        names,
        reconstruction.answer_error(layer, channels),
        _label_error(figure, reconstruction.half_lives(layer)[channels]),
    )


def half_life_spectrum(figure: Figure, trace: ModelTrace, _choice: Choice) -> float:
    """Drawn half-lives against ln 2 / exp(time_decay), every channel once, longest first."""
    layers = trace.layers_with("half_life")
    ranks, drawn = figure.data["channel"].values, exported(figure, "half_life")
    known = np.stack([half_lives(layer) for layer in layers])
    if drawn.shape != known.shape or (np.sort(ranks, axis=1) != np.arange(known.shape[1])).any():
        return 1.0
    known = np.take_along_axis(known, ranks.astype(np.intp), axis=1)
    order = worst(*(descent_error(row) for row in known))
    labels = names_error(map_of(figure).rows.labels, [[layer.index] for layer in layers])
    return worst(relative(drawn, known, known), order, labels, picture_error(figure, drawn[None]))


def effective_attention(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Drawn means of P against rows recomputed for all channels in float64."""
    layer = chosen_layer(trace, choice, "effective_attention")
    drawn, copies = matrix(figure, "effective_attention")
    return worst(copies, map_error(drawn, layer, wanted=number(choice, "selected")))


def receptance_map(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Drawn rows against sigma(r), longest memory first; sigma(r) wkv in float64 gives the captured output."""
    layer, drawn = chosen_layer(trace, choice, "receptance"), exported(figure, "receptance")
    gate, runs = reconstruction.receptance(layer), runs_of(layer)
    known = np.stack([gate[:, run].mean(1) for run in runs])
    if drawn.shape != known.shape:
        return 1.0
    half_life = reconstruction.half_lives(layer)
    return worst(
        relative(drawn, known, known),
        relative(layer.part("half_life"), half_life, half_life),
        reconstruction.gate_error(gate, layer),
        bars_error(figure, "receptance_mean", gate.mean(1)),
        names_error(map_of(figure).rows.names, runs),
        picture_error(figure, drawn[None]),
    )


def wkv_film(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Drawn num / den against a float64 recurrence, which with the bonus must give the captured output."""
    layer, channels = chosen_layer(trace, choice, "wkv_num"), channels_of(figure)
    film, known = exported(figure, "wkv"), reconstruction.wkv(layer, channels)
    again = relative(film, known.held.T, known.held_scale.T)
    anchor = reconstruction.answer_error(layer, channels)
    exponents = reconstruction.exponents(layer).mean(1)
    drawn, told = spec_of(figure).bars[0].values, exported(figure, "exponent_mean")
    bars = (
        1.0 if drawn is None else worst(*(relative(one, exponents, np.abs(exponents).max()) for one in (drawn, told)))
    )
    return worst(again, anchor, bars, _row_error(figure, layer, channels), picture_error(figure, film[None]))


def _row_error(figure: Figure, layer: LayerTrace, channels: list[int]) -> float:
    known = reconstruction.half_lives(layer)[channels]
    named = relative(layer.part("half_life")[channels], known, known)
    return worst(named, descent_error(known), names_error(map_of(figure).rows.names, [[c] for c in channels]))


def _label_error(figure: Figure, half_life: np.ndarray) -> float:
    """Return 1 when the label at a curve does not hold its half-life, else 0."""
    texts = [str(text) for text in chart_rows(figure, "text", "text")["text"]]
    if len(texts) != len(half_life):
        return 1.0
    held = [
        any(short(float(value * (1 + nudge))) in text for nudge in (0, CLOSE, -CLOSE))
        for text, value in zip(texts, half_life, strict=True)
    ]
    return float(not all(held))
