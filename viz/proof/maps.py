"""Checks of maps that average over heads or channels: no product with a value rebuilds an output from them."""

from collections.abc import Callable, Sequence

import numpy as np

from models.reconstruction import maps
from models.reconstruction.check import Wide, relative, wide, worst
from models.records.trace import LayerTrace, ModelTrace
from viz.figure import Figure
from viz.proof.drawn import Choice, chosen_layer, matrix, number


def map_error(drawn: Wide, layer: LayerTrace, *, wanted: int | None = None, budget: float = maps.BUDGET) -> float:
    """Compare a drawn map with rows recomputed in float64, as many as the budget allows, and all rows with the record.

    wanted: a row that is recomputed in any case, as the one whose bars are drawn.
    """
    if drawn.shape != (maps.recorded_length(layer),) * 2:
        return 1.0
    rows = maps.affordable(layer, budget=budget, wanted=() if wanted is None else (wanted,))
    known = maps.recorded(layer)
    copied = relative(drawn, known, known.max(1, keepdims=True))
    return worst(maps.error(drawn, layer, rows), copied, np.triu(np.abs(drawn), 1))


def mean_map_error(
    figure: Figure, trace: ModelTrace, choice: Choice, part: str, rows_of: Callable[[LayerTrace, Sequence[int]], Wide]
) -> float:
    """Compare a drawn mean over channels with rows recomputed in float64, and all rows with the record.

    rows_of: recomputes some rows of the part in a layer.
    """
    layer = chosen_layer(trace, choice, part)
    drawn, copies = matrix(figure, part)
    recorded = wide(layer.part(part))
    if drawn.shape != recorded.shape:
        return 1.0
    wanted = number(choice, "selected")
    rows = maps.affordable(layer, wanted=() if wanted is None else (wanted,))
    known = rows_of(layer, rows)
    again = relative(drawn[rows], known, known.max(1, keepdims=True))
    kept = relative(drawn, recorded, recorded.max(1, keepdims=True))
    return worst(copies, again, kept, np.triu(np.abs(drawn), 1))


def shares(layers: Sequence[LayerTrace], rows: Sequence[int]) -> Wide:
    """Return some rows of the mean over layers of |M_tj| / sum_j |M_tj|, recomputed in float64."""
    return wide(np.mean([_normed(maps.rows(layer, rows)) for layer in layers], axis=0))


def recorded_shares(layers: Sequence[LayerTrace]) -> Wide:
    """Return the same for all rows from the recorded maps."""
    return wide(np.mean([_normed(maps.recorded(layer)) for layer in layers], axis=0))


def distances(layer: LayerTrace) -> Wide:
    """Return sum_j |M_tj| (t - j) / sum_j |M_tj| of the recorded map, query by query; 0 where nothing is read."""
    found = np.zeros(maps.recorded_length(layer))
    for t, row in enumerate(_normed(maps.recorded(layer))):
        found[t] = row[: t + 1] @ np.arange(t, -1, -1)
    return found


def _normed(map_: Wide) -> Wide:
    """Divide the absolute values of each row by their sum; a row of zeros stays."""
    size = np.abs(map_)
    total = size.sum(1, keepdims=True)
    return wide(size / np.where(total == 0, 1, total))
