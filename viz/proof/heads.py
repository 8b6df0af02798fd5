"""The check of the finder of heads: scores token by token, of weights recomputed from queries and keys in float64."""

from collections.abc import Sequence

import numpy as np

from models.reconstruction import attention as reconstruction
from models.reconstruction.check import Wide, wide
from models.reconstruction.maps import BUDGET
from models.records.trace import LayerTrace, ModelTrace
from viz.figure import Figure
from viz.proof.drawn import Choice
from viz.proof.finder import finder_error, spread
from viz.trace.heads import ON_REPEATED, punctuation

SCORED = ("previous_token", "induction", "duplicate", "sink", "punctuation", "distance", "entropy")


def head_finder(figure: Figure, traces: Sequence[ModelTrace], _choice: Choice) -> float:
    """Drawn scores of all heads, or of some of a large model, against softmax(q k) in float64 and plain loops."""
    rows = [(layer.index, head) for layer in traces[0].layers_with("attention") for head in range(_count(layer))]
    size = max(len(trace.tokens) for trace in traces) ** 2 * traces[0].layer(rows[0][0]).part("head_query").shape[-1]
    checked = spread(len(rows), max(4, BUDGET // (size * len(traces))))
    known = [_scores(trace, [rows[row] for row in checked]) for trace in traces]
    columns = {}
    for key in SCORED:
        there = known[2] if key in ON_REPEATED else known[1]
        columns[key] = {
            "here": known[0][key][0],
            "there": there[key][0],
            "chance_here": known[0][key][1],
            "chance_there": there[key][1],
        }
    return finder_error(figure, rows, columns, checked=checked)


def _count(layer: LayerTrace) -> int:
    return int(layer.parts["head_query"].sizes["head"])


def _scores(trace: ModelTrace, rows: Sequence[tuple[int, int]]) -> dict[str, tuple[Wide, Wide]]:
    """Score some heads of a trace, and a head that reads alike what each of them sees: key -> (row,), (row,)."""
    ids, marks = [token.id for token in trace.tokens], punctuation(trace)
    own = np.stack([reconstruction.weights(trace.layer(layer), head) for layer, head in rows])
    seen = np.stack([wide(trace.layer(layer).part("visible")) for layer, _ in rows])
    even = seen / seen.sum(-1, keepdims=True)
    return {key: (_mean(own, ids, marks, key), _mean(even, ids, marks, key)) for key in SCORED}


def _mean(weights: Wide, ids: Sequence[int], marks: np.ndarray, key: str) -> Wide:
    """Average a score of heads (head, query, key) over the queries that have one; nan where none has."""
    each = [_of_query(weights[:, t, : t + 1], t, ids, marks, key) for t in range(1, len(ids))]
    found = [one for one in each if one is not None]
    return wide(np.mean(found, axis=0)) if found else np.full(len(weights), np.nan)


def _of_query(row: Wide, t: int, ids: Sequence[int], marks: np.ndarray, key: str) -> Wide | None:
    """Score the rows (head, key) of one query; None where it has nothing to score."""
    twins = [j for j in range(t) if ids[j] == ids[t]]
    if key == "previous_token":
        return row[:, t - 1]
    if key == "sink":
        return row[:, 0]
    if key == "distance":
        return wide(np.sum([row[:, j] * (t - j) for j in range(t + 1)], axis=0))
    if key == "entropy":
        return wide(-(row * np.log(np.where(row > 0, row, 1.0))).sum(1) / np.log(t + 1))
    if key == "punctuation":
        return row[:, marks[: t + 1]].sum(1) if marks.any() else None
    places = twins if key == "duplicate" else [j + 1 for j in twins if j + 1 < t]
    return row[:, places].sum(1) if twins else None
