"""Checks of the figures of a selective state space."""

import math

import numpy as np

from models.reconstruction import half_lives
from models.reconstruction import state_space as reconstruction
from models.reconstruction.check import Wide, relative, wide, worst
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
from viz.trace.step_sizes import ORDERS

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
    return worst(again, anchor, bars, row_error(figure, layer, channels), picture_error(figure, film[None]))


def state_slice(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Drawn h read through C, with skip and gate, against the captured output; and against a float64 scan."""
    layer, channels = chosen_layer(trace, choice, "state"), channels_of(figure)
    tokens = slice(None, None, film_of(figure).frame_pool)
    frames, known = exported(figure, "state"), reconstruction.scan(layer, channels)
    if frames.shape != known.state[tokens].shape:
        return 1.0
    again = relative(frames, known.state[tokens], known.mass[tokens])
    rebuilt = reconstruction.read_error(frames, layer, channels, tokens)
    return worst(again, rebuilt, row_error(figure, layer, channels), same(film_of(figure).values, frames))


def dt_map(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Drawn rows of dt against softplus(W delta + b), in the chosen order; a float64 scan with it gives the output."""
    layer, drawn = chosen_layer(trace, choice, "dt"), exported(figure, "dt")
    dt, runs = reconstruction.step_sizes(layer), _ordered_runs(layer, choice)
    known = np.stack([dt[:, run].mean(1) for run in runs])
    if drawn.shape != known.shape:
        return 1.0
    channels = list(range(0, dt.shape[1], max(1, dt.shape[1] // ANCHORS)))
    anchor = reconstruction.read_error(reconstruction.scan(layer, channels).state, layer, channels)
    new = dt * wide(layer.part("scan_input"))
    written = np.array([np.sqrt(((row[:, None] * b) ** 2).sum()) for row, b in
                        zip(new, wide(layer.part("write_proj")), strict=True)])  # fmt: skip
    bars = [
        bars_error(figure, name, values, place)
        for place, (name, values) in enumerate(
            (("dt_mean", dt.mean(1)), ("dt_largest", dt.max(1)), ("written", written))
        )
    ]
    names = names_error(map_of(figure).rows.names, runs)
    again = relative(drawn, known, known)
    told = _auc_error(figure, dt, choice)
    return worst(again, anchor, *bars, names, told, half_life_error(layer), picture_error(figure, drawn[None]))


def _ordered_runs(layer: LayerTrace, choice: Choice) -> list[list[int]]:
    """List the channels of each row in the chosen order; that by variation is the one of the recorded dt."""
    if choice.get("order", ORDERS[0]) == ORDERS[0]:
        return runs_of(layer)
    order = np.argsort(-np.log(layer.part("dt")).std(0), kind="stable")
    return [[int(c) for c in run] for run in np.array_split(order, min(ROWS, len(order)))]


def _auc_error(figure: Figure, dt: Wide, choice: Choice) -> Wide | float:
    """Compare the exported area under the ROC curve of every channel with a count of pairs, where it is stated."""
    if "auc" not in figure.data:
        return 0.0
    chosen = choice.get("marked")
    marked = [int(token) for token in chosen] if isinstance(chosen, tuple) else []
    others = [token for token in range(len(dt)) if token not in marked]
    known = np.zeros(dt.shape[1])
    for one in marked:
        for other in others:
            known += (dt[one] > dt[other]) + 0.5 * (dt[one] == dt[other])
    drawn = exported(figure, "auc")
    pairs = max(len(marked) * len(others), 1)
    if drawn.shape != known.shape:
        return 1.0
    # float32 may decide a near tie the other way: a pair of many
    return np.maximum(np.abs(drawn - known / pairs) - 1.5 / pairs, 0.0)


def hidden_attention(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Drawn means of |alpha| against rows recomputed for all channels in float64."""
    layer = chosen_layer(trace, choice, "hidden_attention")
    drawn, copies = matrix(figure, "hidden_attention")
    return worst(copies, map_error(drawn, layer, wanted=number(choice, "selected")))


def half_life(figure: Figure, trace: ModelTrace, _choice: Choice) -> float:
    """Drawn ticks and medians against ln 2 / (min |A| mean dt), with A from the weights and dt recomputed.

    Of the distances at which |alpha| halves, those of some channels of every layer are recomputed from alpha itself.
    """
    layers = trace.layers_with("half_life")
    known = np.stack([half_lives(layer) for layer in layers])
    rows, errors = list(known), [relative(exported(figure, "half_life"), known, known)]
    if "half_distance" in figure.data:
        measured = exported(figure, "half_distance")
        if measured.shape != known.shape:
            return 1.0
        rows = [row for pair in zip(known, measured, strict=True) for row in pair]
        chosen = sorted({0, known.shape[1] // 2, known.shape[1] - 1})
        errors += [
            reconstruction.half_distance_error(row[chosen], layer, chosen)
            for row, layer in zip(measured, layers, strict=True)
        ]
    ticks, points = chart_rows(figure, "tick", "half_life"), chart_rows(figure, "point", "half_life")
    drawn = ticks["half_life"].to_numpy(dtype=np.float64)
    kept = np.concatenate([_ticks(row) for row in rows])
    if drawn.size != kept.size or len(points) != len(rows):
        return 1.0
    names = [[layers[place * len(layers) // len(rows)].index] for place in range(len(rows))]
    medians = points["half_life"].to_numpy(dtype=np.float64)
    middle = np.array([_middle(row, len(trace.tokens)) for row in rows])
    return worst(
        *errors,
        relative(drawn, kept, kept),
        relative(medians, middle, middle),
        names_error(list(points["name"]), names),
    )


def _ticks(row: Wide) -> Wide:
    """Return which of a row's numbers have a tick: all, or TICKS of them evenly through their order."""
    found = np.sort(row[np.isfinite(row)])
    return wide(found[np.unique(np.linspace(0, len(found) - 1, min(TICKS, len(found))).round().astype(int))])


def _middle(row: Wide, length: int) -> float:
    """Return where the ring of a row stands: its median, at the length of the text where that is not within it."""
    middle = float(np.median(row[~np.isnan(row)])) if not np.isnan(row).all() else math.nan
    return middle if math.isfinite(middle) else float(length)


def runs_of(layer: LayerTrace) -> list[list[int]]:
    """List the channels of each row of a map of all channels: equal runs of the order by half-life, longest first."""
    order = np.argsort(-layer.part("half_life"), kind="stable")
    return [[int(c) for c in run] for run in np.array_split(order, min(ROWS, len(order)))]


def row_error(figure: Figure, layer: LayerTrace, channels: list[int]) -> float:
    """Check that rows are named after their channels, and stand from the longest half-life to the shortest."""
    known = reconstruction.half_lives(layer)[channels]
    named = relative(layer.part("half_life")[channels], known, known)
    return worst(named, descent_error(known), names_error(map_of(figure).rows.names, [[c] for c in channels]))


def half_life_error(layer: LayerTrace) -> Wide:
    """Compare the recorded half-lives, by which rows are ordered, with those of the weights and the inputs."""
    known = reconstruction.half_lives(layer)
    return relative(layer.part("half_life"), known, known)
