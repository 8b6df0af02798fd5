"""Checks of the pictures in which several models, or versions of a text, lie on a common axis."""

from collections.abc import Sequence

import numpy as np

from models.reconstruction import maps
from models.reconstruction.check import Wide, absolute, relative, wide, worst
from models.records.influence import Influence
from models.records.trace import Alignment, ModelTrace
from viz.figure import Figure
from viz.proof.drawn import Choice, chart_rows, exported, map_of, planes_of, same
from viz.proof.maps import recorded_shares, shares


def side_rows(figure: Figure, traces: Sequence[ModelTrace], choice: Choice) -> float:
    """Drawn weights against rows recomputed in float64, drawn gradients against their record, and where both lie."""
    gradients = _gradients(choice)
    if gradients and [one.checkpoint for one in gradients] != [trace.checkpoint for trace in traces]:
        return 1.0
    errors, expected = [], []
    for n, (trace, own) in enumerate(zip(traces, _owners(traces, choice), strict=True)):
        mixing = exported(figure, f"mixing_{n}")
        errors.append(_mixing_error(mixing, trace, len(traces)))
        expected.append(_frames(mixing, own))
        if gradients:
            slope = exported(figure, f"gradient_{n}")
            errors.append(_gradient_error(slope, gradients[n]))
            expected.append(_frames(slope, own))
    drawn = planes_of(figure)  # (segment of the query, row, segment)
    names = map_of(figure).rows.labels
    if drawn.shape[1] != len(expected) or len(names) != len(expected):
        return 1.0
    return worst(*errors, *(same(drawn[:, row], frames) for row, frames in enumerate(expected)))


def side_surprisal(figure: Figure, traces: Sequence[ModelTrace], choice: Choice) -> float:
    """Drawn bits of every model against -log2 softmax of its logits before each token, in float64."""
    drawn = planes_of(figure)[0]
    if len(drawn) != len(traces):
        return 1.0
    errors = []
    for n, (trace, own) in enumerate(zip(traces, _owners(traces, choice), strict=True)):
        known, told = _bits(trace), exported(figure, f"surprisal_{n}")
        errors += [_bits_error(told, known), same(drawn[n], _spread(told, own))]
    return worst(*errors)


def edit_surprisal(figure: Figure, traces: Sequence[ModelTrace], choice: Choice) -> float:
    """Drawn changes against the bits after less the bits before, recomputed, in segments whose token stayed."""
    alignment, drawn, half = choice.get("alignment"), planes_of(figure)[0], len(traces) // 2
    if not isinstance(alignment, Alignment) or len(drawn) != half or 2 * half != len(traces):
        return 1.0
    first, second = alignment.owners
    ids = [[token.id for token in traces[place].tokens] for place in (0, half)]
    stays = [a >= 0 and b >= 0 and ids[0][a] == ids[1][b] for a, b in zip(first, second, strict=True)]
    errors = [same(exported(figure, "change"), drawn)]
    for row, before, after in zip(drawn, traces[:half], traces[half:], strict=True):
        known = np.where(stays, _spread(_bits(after), second) - _spread(_bits(before), first), np.nan)
        errors.append(float(not np.array_equal(np.isnan(row), np.isnan(known))))
        seen = ~np.isnan(known)
        errors.append(worst(absolute(row[seen], known[seen])) if seen.any() else 0.0)
    return worst(*errors)


def side_reach(figure: Figure, traces: Sequence[ModelTrace], choice: Choice) -> float:
    """Drawn curves and means against sums over single keys of the recorded maps, or of the given gradients."""
    gradients = _gradients(choice)
    drawn = chart_rows(figure, "line", "y")
    points = sorted(float(v) for rows in _line_rows(figure) for v in rows)
    errors, told = [float(drawn.empty)], []
    for n, trace in enumerate(traces):
        map_ = _normed(wide(gradients[n].values.values)) if gradients else recorded_shares(trace.layers)
        count, curve = len(map_), exported(figure, f"within_{n}")
        first, known = count // 2, []
        for reach in range(count // 2 + 1):
            rows = [map_[t, t - reach : t + 1].sum() for t in range(first, count)]
            known.append(float(np.mean(rows)))
        distance = np.mean([map_[t, : t + 1] @ np.arange(t, -1, -1) for t in range(first, count)])
        if len(curve) != len(known):
            return 1.0
        errors += [worst(absolute(curve, np.array(known)))]
        errors.append(abs(exported(figure, "mean_distance")[n] - distance) / max(distance, 1.0))
        told += list(curve)
    return worst(*errors, same(np.array(points), np.array(sorted(told))))


def _line_rows(figure: Figure) -> list[list[float]]:
    """Return the heights that the lines of a chart draw, by layer."""
    chart = figure.body
    lines = [one for one in chart.spec["layer"] if one["mark"]["type"] == "line"]  # type: ignore[union-attr]
    return [list(chart.rows[one["data"]["name"]]["y"]) for one in lines]  # type: ignore[union-attr]


def _gradients(choice: Choice) -> list[Influence]:
    given = choice.get("gradients") or ()
    if not isinstance(given, Sequence) or not all(isinstance(one, Influence) for one in given):
        raise TypeError("gradients are no records of influence")
    return list(given)


def _owners(traces: Sequence[ModelTrace], choice: Choice) -> Sequence[Sequence[int]]:
    alignment = choice.get("alignment")
    if isinstance(alignment, Alignment):
        return alignment.owners
    return [range(len(trace.tokens)) for trace in traces]


def _mixing_error(drawn: Wide, trace: ModelTrace, among: int) -> float:
    """Compare shares with the recorded maps, and some rows of them with maps recomputed in float64."""
    recorded = recorded_shares(trace.layers)
    if drawn.shape != recorded.shape:
        return 1.0
    budget = maps.BUDGET / (len(trace.layers) * among)
    rows = min((maps.affordable(layer, budget=budget) for layer in trace), key=len)
    return worst(absolute(drawn[rows], shares(trace.layers, rows)), absolute(drawn, recorded))


def _gradient_error(drawn: Wide, record: Influence) -> float:
    """Compare shares with a record: rows add up to 1, nothing lies in the future, unknown rows stay unknown."""
    known = _normed(wide(record.values.values))
    there = np.asarray(~np.isnan(known).any(axis=1))
    if drawn.shape != known.shape or not np.array_equal(~np.isnan(drawn).any(1), there):
        return 1.0
    sums = drawn[there].sum(1)
    future = np.triu(np.where(there[:, None], drawn, 0.0), 1)
    return worst(absolute(drawn[there], known[there]), absolute(sums, np.ones_like(sums)), np.abs(future))


def _normed(values: Wide) -> Wide:
    found = np.array(values)
    for t, row in enumerate(values):
        total = row[: t + 1].sum()
        found[t] = row / total if total > 0 else row
    return wide(found)


def _frames(values: Wide, owner: Sequence[int]) -> Wide:
    """Lay a map of tokens out over segments, nan where a segment has no token or lies in the future."""
    found = np.full((len(owner), len(owner)), np.nan)
    for i, row in enumerate(owner):
        for j, column in enumerate(owner):
            if 0 <= column <= row:
                found[i, j] = values[row, column]
    return found


def _spread(values: Wide, owner: Sequence[int]) -> Wide:
    return wide(np.array([values[own] if own >= 0 else np.nan for own in owner]))


def _bits(trace: ModelTrace) -> Wide:
    """Return -log2 of the probability of every token, in float64; nan for the first."""
    found = np.full(len(trace.tokens), np.nan)
    for t in range(1, len(trace.tokens)):
        row = wide(trace.logits.values[t - 1])
        found[t] = (np.log(np.exp(row - row.max()).sum()) + row.max() - row[trace.tokens[t].id]) / np.log(2)
    return found


def _bits_error(drawn: Wide, known: Wide) -> float:
    if drawn.shape != known.shape or not np.array_equal(np.isnan(drawn), np.isnan(known)):
        return 1.0
    there = ~np.isnan(known)
    return worst(relative(drawn[there], known[there], np.maximum(known[there], 1.0))) if there.any() else 0.0
