"""Checks of the figures of a selective state space."""

import numpy as np

from models.reconstruction import half_lives
from models.reconstruction import state_space as reconstruction
from models.reconstruction.check import Wide, relative, worst
from models.records.trace import LayerTrace, ModelTrace
from viz.figure import Figure
from viz.proof.drawn import (
    Choice,
    bars_error,
    channels_of,
    chart_rows,
    chosen_layer,
    descent_error,
    exported,
    film_of,
    map_of,
    matrix,
    names_error,
    number,
    picture_error,
    same,
)
from viz.proof.maps import map_error

ANCHORS = 16  # channels by which a map of all channels is tied to the captured output
ROWS = 128  # rows of a map of all channels
TICKS = 256  # half-lives drawn of a layer


def state_film(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Drawn sums of h against a float64 scan, which itself must give the captured output; bars against mean dt."""
    layer, channels = chosen_layer(trace, choice, "state"), channels_of(figure)
    film, known = exported(figure, "state_sum"), reconstruction.scan(layer, channels)
    again = relative(film, known.state.sum(-1).T, known.mass.sum(-1).T)
    anchor = reconstruction.read_error(known.state, layer, channels)
    bars = bars_error(figure, "dt_mean", reconstruction.step_sizes(layer).mean(1))
    return worst(again, anchor, bars, _row_error(figure, layer, channels), picture_error(figure, film[None]))


def state_slice(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Drawn h read through C, with skip and gate, against the captured output; and against a float64 scan."""
    layer, channels = chosen_layer(trace, choice, "state"), channels_of(figure)
    tokens = slice(None, None, film_of(figure).frame_pool)
    frames, known = exported(figure, "state"), reconstruction.scan(layer, channels)
    if frames.shape != known.state[tokens].shape:
        return 1.0
    again = relative(frames, known.state[tokens], known.mass[tokens])
    rebuilt = reconstruction.read_error(frames, layer, channels, tokens)
    return worst(again, rebuilt, _row_error(figure, layer, channels), same(film_of(figure).values, frames))


def dt_map(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Drawn rows of dt against softplus(W delta + b), longest memory first; a float64 scan with it gives the output."""
    layer, drawn = chosen_layer(trace, choice, "dt"), exported(figure, "dt")
    dt, runs = reconstruction.step_sizes(layer), runs_of(layer)
    known = np.stack([dt[:, run].mean(1) for run in runs])
    if drawn.shape != known.shape:
        return 1.0
    channels = list(range(0, dt.shape[1], max(1, dt.shape[1] // ANCHORS)))
    anchor = reconstruction.read_error(reconstruction.scan(layer, channels).state, layer, channels)
    bars = bars_error(figure, "dt_mean", dt.mean(1))
    names = names_error(map_of(figure).rows.names, runs)
    again = relative(drawn, known, known)
    return worst(again, anchor, bars, names, _half_life_error(layer), picture_error(figure, drawn[None]))


def hidden_attention(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Drawn means of |alpha| against rows recomputed for all channels in float64."""
    layer = chosen_layer(trace, choice, "hidden_attention")
    drawn, copies = matrix(figure, "hidden_attention")
    return worst(copies, map_error(drawn, layer, wanted=number(choice, "selected")))


def half_life(figure: Figure, trace: ModelTrace, _choice: Choice) -> float:
    """Drawn ticks and medians against ln 2 / (min |A| mean dt), with A from the weights and dt recomputed."""
    known = np.stack([half_lives(layer) for layer in trace.layers_with("half_life")])
    every = np.sort(known, axis=1)
    kept = every[:, np.unique(np.linspace(0, known.shape[1] - 1, TICKS).round().astype(int))]
    ticks = chart_rows(figure, "tick", "half_life")["half_life"].to_numpy(dtype=np.float64)
    medians = chart_rows(figure, "point", "half_life")["half_life"].to_numpy(dtype=np.float64)
    if ticks.size != kept.size or len(medians) != len(known):
        return 1.0
    middle = np.median(known, axis=1)
    return worst(
        relative(exported(figure, "half_life"), known, known),
        relative(ticks.reshape(kept.shape), kept, kept),
        relative(medians, middle, middle),
    )


def runs_of(layer: LayerTrace) -> list[list[int]]:
    """List the channels of each row of a map of all channels: equal runs of the order by half-life, longest first."""
    order = np.argsort(-layer.part("half_life"), kind="stable")
    return [[int(c) for c in run] for run in np.array_split(order, min(ROWS, len(order)))]


def _row_error(figure: Figure, layer: LayerTrace, channels: list[int]) -> float:
    """Check that rows are named after their channels, and stand from the longest half-life to the shortest."""
    known = reconstruction.half_lives(layer)[channels]
    named = relative(layer.part("half_life")[channels], known, known)
    return worst(named, descent_error(known), names_error(map_of(figure).rows.names, [[c] for c in channels]))


def _half_life_error(layer: LayerTrace) -> Wide:
    known = reconstruction.half_lives(layer)
    return relative(layer.part("half_life"), known, known)
