"""Checks of figures that set layers, models or tokens side by side."""

from collections.abc import Sequence

import numpy as np

from models.reconstruction import maps, state_space, time_mix
from models.reconstruction.check import Numbers, Wide, absolute, relative, wide, worst
from models.records.trace import ModelTrace
from viz.figure import Figure
from viz.proof.drawn import (
    Choice,
    exported,
    heatmap_of,
    lanes_of,
    map_of,
    matrix,
    mosaic_of,
    names_error,
    number,
    picture_error,
    planes_of,
    pooled,
    same,
    spec_of,
)
from viz.proof.maps import distances, map_error, recorded_shares, shares
from viz.proof.routing import routes_error, told_error

LOGITS = 8_000_000  # at most that many are exponentiated for one strip


def channel_matrix(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Drawn alpha u or P v of a channel, with skip and gate, against the captured output; and against float64."""
    layer, channel = number(choice, "layer"), number(choice, "channel")
    if layer is None or channel is None:
        raise TypeError("channel_matrix is checked for a chosen layer and channel")
    shown = trace.layer(layer)
    drawn, copies = matrix(figure, "mixing")
    if shown.mixer == "mamba":
        known, size = state_space.operator(shown, channel)
        again = relative(drawn, known, size.max(1, keepdims=True))
        return worst(copies, again, state_space.mixed_error(drawn, shown, channel))
    known = time_mix.operator_rows(shown, range(len(drawn)), [channel])[..., 0]
    again = relative(drawn, known, known.max(1, keepdims=True))
    return worst(copies, again, time_mix.mixed_error(drawn, shown, channel))


def layer_ribbon(figure: Figure, trace: ModelTrace, _choice: Choice) -> float:
    """Drawn distances against the recorded maps, these against float64, and drawn experts against captured outputs."""
    drawn = exported(figure, "look_back")
    known = np.stack([distances(layer) for layer in trace])
    if drawn.shape != known.shape:
        return 1.0
    budget = maps.BUDGET / len(trace.layers)
    recorded = [map_error(maps.recorded(layer), layer, budget=budget) for layer in trace]
    names = names_error(map_of(figure).rows.labels, [[layer.index] for layer in trace])
    routes = [routes_error(lanes_of(figure), row, layer) for row, layer in enumerate(trace)]
    again = relative(drawn, known, np.maximum(known.max(1, keepdims=True), 1.0))
    return worst(again, *recorded, names, *routes, told_error(figure, trace), picture_error(figure, drawn[None]))


def hybrid_stack(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Drawn maps of every layer against rows recomputed in float64, all in their tiles."""
    drawn, tiles = exported(figure, "mixing"), mosaic_of(figure).tiles
    if len(drawn) != len(trace.layers) or len(tiles) != len(trace.layers):
        return 1.0
    below, budget = np.tri(drawn.shape[-1], dtype=bool), maps.BUDGET / len(drawn)
    errors = [
        map_error(np.where(below, values, 0.0), layer, wanted=number(choice, "selected"), budget=budget)
        for values, layer in zip(drawn, trace, strict=True)
    ]
    names = names_error([tile.name for tile in tiles], [[layer.index] for layer in trace])
    return worst(*errors, names, picture_error(figure, drawn, triangle=True))


def architecture_maps(figure: Figure, traces: Sequence[ModelTrace], choice: Choice) -> float:
    """Drawn shares of every model against rows recomputed in float64, laid out as its own tokens lie in the text."""
    alignment = choice.get("alignment")
    if alignment is None:
        drawn = list(exported(figure, "mixing"))
    else:
        drawn = [exported(figure, f"mixing_{trace.architecture}") for trace in traces]
    if len(drawn) != len(traces):
        return 1.0
    budget = maps.BUDGET / sum(len(trace.layers) for trace in traces)
    errors = []
    for values, trace in zip(drawn, traces, strict=True):
        rows = min((maps.affordable(layer, budget=budget) for layer in trace), key=len)
        known, recorded = shares(trace.layers, rows), recorded_shares(trace.layers)
        if values.shape != recorded.shape:
            return 1.0
        errors += [worst(absolute(values[rows], known)), worst(absolute(values, recorded))]
    owners = getattr(alignment, "owners", None) or [range(len(values)) for values in drawn]
    whole = np.stack([_spread(values, owner) for values, owner in zip(drawn, owners, strict=True)])
    pool = heatmap_of(figure).pool
    return worst(*errors, same(planes_of(figure), pooled(whole, *pool)))


def recall_example(figure: Figure, traces: Sequence[ModelTrace], choice: Choice) -> float:
    """Drawn shares of the asking row of every layer of every model against that row recomputed in float64."""
    asked_at = number(choice, "asked_at")
    if asked_at is None:
        raise TypeError("recall_example is checked for a question")
    drawn = exported(figure, "share")
    layers = [layer for trace in traces for layer in trace]
    known = np.concatenate([shares([layer], [asked_at]) for layer in layers])
    if drawn.shape != known.shape:
        return 1.0
    names = names_error(map_of(figure).rows.labels, [[layer.index] for layer in layers])
    return worst(absolute(drawn, known), names, picture_error(figure, drawn[None]))


def token_strip(figure: Figure, trace: ModelTrace, _choice: Choice) -> float:
    """Drawn bits against -log2 softmax of the logits before each token, in float64; relative to one bit at least."""
    strip = spec_of(figure).strip
    drawn = None if strip is None else strip.surprisal
    logits = trace.logits.values
    ids = [token.id for token in trace.tokens]
    if drawn is None or len(drawn) != len(ids) or not np.isnan(drawn[0]):
        return 1.0
    count = int(min(max(LOGITS // logits.shape[1], 1), len(ids) - 1))
    rows = [int(t) for t in np.unique(np.linspace(1, len(ids) - 1, count).round())] if len(ids) > 1 else []
    known = wide(np.array([_bits(logits[t - 1], ids[t]) for t in rows]))
    picked = wide(drawn)[rows]
    told = exported(figure, "surprisal")
    missing = float(np.isnan(drawn[1:]).any())
    return worst(relative(picked, known, np.maximum(known, 1.0)), same(drawn, told), missing)


def _bits(logits: Numbers, id_: int) -> float:
    row = wide(logits)
    return float((np.log(np.exp(row - row.max()).sum()) + row.max() - row[id_]) / np.log(2))


def _spread(values: Wide, owner: Sequence[int]) -> Wide:
    """Lay a map of tokens out over the places of a text, nan where a place has no token or lies in the future."""
    found = np.full((len(owner), len(owner)), np.nan)
    for i, row in enumerate(owner):
        for j, column in enumerate(owner):
            if 0 <= column <= row:
                found[i, j] = values[row, column]
    return found
