"""The theoretical expectations of a task, and a verdict from the measured accuracy: yes, no or unclear."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from models.recall.curriculum import task as task_of
from models.records.recall import Accuracy

ExpectationVerdict = Literal["yes", "no", "unclear"]
MARGIN = 0.05  # of accuracy: what may be lost where nothing should be; the words of the page say it too


CellsOfRun = Sequence[Accuracy]
CellsOfRuns = Mapping[str, Sequence[CellsOfRun]]  # by architecture: one run for each seed
ComparedCells = tuple[list[Accuracy], list[Accuracy]]  # cells of one run, to compare with others of it


@dataclass(frozen=True, slots=True)
class Finding:
    """One expectation beside what was observed. key: words of it; observed: numbers by name, shares in [0, 1]."""

    key: str
    verdict: ExpectationVerdict
    observed: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Span:
    """A mean over cells and seeds: between the lowest and the highest seed, or a single seed's mean interval ends."""

    mean: float
    low: float
    high: float


def findings(task: str, runs: CellsOfRuns, trained_to: Mapping[str, int]) -> list[Finding]:
    """Judge every expectation of a task for which there are cells; the others are left out.

    runs: one for each seed, by architecture. trained_to: the largest values met in training, by axis.
    """
    found = (judge(runs, trained_to) for judge in EXPECTED.get(task, ()))
    return [finding for finding in found if finding is not None]


def _attention_looks_up(runs: CellsOfRuns, trained_to: Mapping[str, int]) -> Finding | None:
    """Attention compares the query with every key: inside its training lengths the number of pairs hardly matters."""
    inside = _inside(runs, "transformer", trained_to)
    if not inside:
        return None
    few, many = _extremes(inside, "pairs")
    return _at_least("attention_pairs", many, 0.95, few=few.mean, many=many.mean)


def _state_fills_up(architecture: str) -> Callable[[CellsOfRuns, Mapping[str, int]], Finding | None]:
    """A state of fixed size holds the more pairs the less exactly: recall beyond guessing falls as pairs are added."""

    def judge(runs: CellsOfRuns, trained_to: Mapping[str, int]) -> Finding | None:
        inside = _inside(runs, architecture, trained_to)
        return _falls_along("pairs", f"{architecture}_pairs", _corrected("mqar", inside))

    return judge


def _one_attention_layer_is_enough(runs: CellsOfRuns, trained_to: Mapping[str, int]) -> Finding | None:
    """One attention layer among recurrent ones recalls like attention alone: in every seed, to within MARGIN."""
    pure, hybrid = _inside(runs, "transformer", trained_to), _inside(runs, "jamba", trained_to)
    if not pure or not hybrid:
        return None
    attention, jamba = _over(pure), _over(hybrid)
    alike, apart = jamba.low >= attention.mean - MARGIN, jamba.high < attention.low
    verdict: ExpectationVerdict = "yes" if alike else "no" if apart else "unclear"
    return Finding("hybrid_recalls", verdict, {"attention": attention.mean, "hybrid": jamba.mean})


def _copying_fills_the_state(runs: CellsOfRuns, trained_to: Mapping[str, int]) -> Finding | None:
    """The more tokens must be kept in order, the fewer come back, in every architecture with a fixed state."""
    inside = [*_inside(runs, "mamba", trained_to), *_inside(runs, "rwkv", trained_to)]
    return _falls_along("count", "copying_count", _corrected("selective_copying", inside))


def _selection_ignores_blanks(axis: str) -> Callable[[CellsOfRuns, Mapping[str, int]], Finding | None]:
    """A selective state recalls independently of the distance, within its training lengths."""

    def judge(runs: CellsOfRuns, trained_to: Mapping[str, int]) -> Finding | None:
        inside = _inside(runs, "mamba", trained_to)
        if not inside:
            return None
        near, far = _extremes(inside, axis)
        lost = _lost(_ends(inside, axis))
        if lost is None:  # no run has both ends
            return None
        verdict: ExpectationVerdict = "yes" if lost.high <= MARGIN else "no" if lost.low > MARGIN else "unclear"
        return Finding("selection_distance", verdict, {"near": near.mean, "far": far.mean})

    return judge


def _induction_inside(runs: CellsOfRuns, trained_to: Mapping[str, int]) -> Finding | None:
    """Every architecture can say again what followed a trigger, at the distances it was trained on."""
    spans = [_over(inside) for name in runs if (inside := _inside(runs, name, trained_to))]
    if not spans:
        return None
    worst = min(spans, key=lambda span: span.mean)
    return _at_least("induction_inside", worst, 0.9, worst=worst.mean)


def _positions_do_not_reach(axis: str) -> Callable[[CellsOfRuns, Mapping[str, int]], Finding | None]:
    """Rotary positions never seen in training are unknown territory: attention loses more there than recurrences."""

    def judge(runs: CellsOfRuns, trained_to: Mapping[str, int]) -> Finding | None:
        names = ("transformer", "mamba", "rwkv")
        attention, mamba, rwkv = (_lost(_across(run, trained_to, axis) for run in runs.get(name, ())) for name in names)
        if attention is None or mamba is None or rwkv is None:
            return None
        recurrent = min(mamba, rwkv, key=lambda span: span.mean)
        return _falls("beyond_training", attention, recurrent, attention=attention.mean, recurrent=recurrent.mean)

    return judge


EXPECTED: Mapping[str, tuple[Callable[[CellsOfRuns, Mapping[str, int]], Finding | None], ...]] = {
    "mqar": (
        _attention_looks_up,
        _state_fills_up("mamba"),
        _state_fills_up("rwkv"),
        _one_attention_layer_is_enough,
        _positions_do_not_reach("distance"),
    ),
    "induction": (_induction_inside, _selection_ignores_blanks("distance"), _positions_do_not_reach("distance")),
    "selective_copying": (
        _copying_fills_the_state,
        _selection_ignores_blanks("span"),
        _one_attention_layer_is_enough,
        _positions_do_not_reach("span"),
    ),
}


def _at_least(key: str, span: Span, limit: float, **observed: float) -> Finding:
    verdict: ExpectationVerdict = "yes" if span.low >= limit else "no" if span.high < limit else "unclear"
    return Finding(key, verdict, observed | {"limit": limit})


def _falls(key: str, before: Span, after: Span, **observed: float) -> Finding:
    verdict: ExpectationVerdict = "yes" if after.high < before.low else "no" if after.low >= before.high else "unclear"
    return Finding(key, verdict, observed)


def _falls_along(axis: str, key: str, runs: Sequence[CellsOfRun]) -> Finding | None:
    """Judge run by run whether accuracy falls from the smallest to the largest value along an axis."""
    lost = _lost(_ends(runs, axis))
    if lost is None:  # no run has both ends
        return None
    few, many = _extremes(runs, axis)
    verdict: ExpectationVerdict = "yes" if lost.low > 0 else "no" if lost.high <= 0 else "unclear"
    return Finding(key, verdict, {"few": few.mean, "many": many.mean})


def _inside(runs: CellsOfRuns, architecture: str, trained_to: Mapping[str, int]) -> list[list[Accuracy]]:
    every = runs.get(architecture, ())
    return _filled([c for c in run if _met(c, trained_to)] for run in every)


def _corrected(task: str, runs: Iterable[CellsOfRun]) -> list[list[Accuracy]]:
    """Correct every cell for guessing: (accuracy - guess) / (1 - guess), so that 0 is guessing and 1 is all.

    Each cell by its own guess: guessing itself is right less often the more there is.
    """
    guess = task_of(task).guess

    def correct(cell: Accuracy) -> Accuracy:
        by = guess(cell.at)
        accuracy, low, high = ((share - by) / (1 - by) for share in (cell.accuracy, cell.low, cell.high))
        return dataclasses.replace(cell, accuracy=accuracy, low=low, high=high)

    return [[correct(cell) for cell in run] for run in runs]


def _across(run: CellsOfRun, trained_to: Mapping[str, int], axis: str) -> ComparedCells:
    """Return the cells of a run inside its training, and those beyond it along an axis."""
    return [c for c in run if _met(c, trained_to)], [c for c in run if c.at[axis] > trained_to[axis]]


def _met(cell: Accuracy, trained_to: Mapping[str, int]) -> bool:
    return all(cell.at[axis] <= most for axis, most in trained_to.items())


def _filled(runs: Iterable[list[Accuracy]]) -> list[list[Accuracy]]:
    return [run for run in runs if run]


def _extremes(runs: Sequence[CellsOfRun], axis: str) -> tuple[Span, Span]:
    """Return the spans of the cells at the smallest and at the largest value along an axis."""
    low, high = zip(*_ends(runs, axis), strict=True)
    return _over(_filled(low)), _over(_filled(high))


def _ends(runs: Sequence[CellsOfRun], axis: str) -> list[ComparedCells]:
    """Return, run by run, the cells of the smallest and of the largest value along an axis."""
    places = sorted({c.at[axis] for run in runs for c in run})
    return [([c for c in run if c.at[axis] == places[0]], [c for c in run if c.at[axis] == places[-1]]) for run in runs]


def _lost(pairs: Iterable[ComparedCells]) -> Span | None:
    """Return what each seed loses from its first cells to its second: a single one within its interval (Newcombe)."""
    spans = [(_over([before]), _over([after])) for before, after in pairs if before and after]
    losses = [before.mean - after.mean for before, after in spans]
    if not spans:
        return None
    if len(spans) > 1:
        return Span(sum(losses) / len(losses), min(losses), max(losses))
    ((before, after),) = spans
    below = math.hypot(before.mean - before.low, after.high - after.mean)
    above = math.hypot(before.high - before.mean, after.mean - after.low)
    return Span(losses[0], losses[0] - below, losses[0] + above)


def _over(runs: Sequence[CellsOfRun]) -> Span:
    means = [_mean(run, "accuracy") for run in runs]
    if len(runs) == 1:
        return Span(means[0], _mean(runs[0], "low"), _mean(runs[0], "high"))
    return Span(sum(means) / len(means), min(means), max(means))


def _mean(run: CellsOfRun, name: str) -> float:
    return float(sum(getattr(cell, name) for cell in run) / len(run))
