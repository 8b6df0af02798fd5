"""What an architecture costs as a function of length, between measured lengths, and by which rounds it is known.

Between two measured lengths a curve is interpolated; it ends at the first and at the last of them. How well the line
between two lengths follows the truth is in no interval.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from models.bench.judge.comparison import BETWEEN_RUNS, of_same_turns, rounds
from models.bench.judge.statistics import NEGLIGIBLE, SHOWN, Floats, log_medians, slope_weights, weighted
from models.bench.judge.verdicts import comparable, were_interleaved
from models.records.interval import Interval
from models.records.measurement import Measurement

Node = tuple[str, int]  # a phase, at a context


@dataclass(frozen=True, slots=True)
class Point:
    """The logarithm of a cost, and by how much it follows the logarithm of each measured time."""

    log: float
    follows: Mapping[Node, float]


class Curve(Protocol):
    """The cost of one architecture over length, known at some lengths, from rows by context."""

    @property
    def rows(self) -> Mapping[int, Measurement]:
        """Return the rows that it is made of, by context, rising."""

    @property
    def known(self) -> Mapping[Node, Floats]:
        """Return the logarithm of the median of each round, of every node."""

    @property
    def lengths(self) -> tuple[float, ...]:
        """Return the lengths at which it was measured, rising."""

    @property
    def fitted(self) -> tuple[float, ...]:
        """Return those of them through which its growth is fitted."""

    def at(self, length: float) -> Point:
        """Return the cost at a length between the first and the last; ValueError beyond them."""


@dataclass(frozen=True, slots=True)
class PhaseCurve:
    """The milliseconds of one phase over the context; a straight line in both logarithms between two contexts."""

    rows: Mapping[int, Measurement]
    phase: str
    known: Mapping[Node, Floats] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "known", logs_of(self.rows, (self.phase,)))

    @property
    def lengths(self) -> tuple[float, ...]:
        """Return the measured contexts."""
        return tuple(map(float, self.rows))

    @property
    def fitted(self) -> tuple[float, ...]:
        """Return the measured contexts."""
        return self.lengths

    def at(self, length: float) -> Point:
        """Return the time at a context."""
        follows = {(self.phase, context): share for context, share in shares(tuple(self.rows), length, log=True)}
        return Point(sum(share * float(self.known[node].mean()) for node, share in follows.items()), follows)


def shares(lengths: Sequence[float], length: float, *, log: bool) -> list[tuple[int, float]]:
    """Return the neighbours of a length and the share of each in a straight line between them.

    log: whether the line is one over the logarithm of length. Raises ValueError beyond the first and the last.
    """
    if not lengths or not lengths[0] * (1 - 1e-9) <= length <= lengths[-1] * (1 + 1e-9):
        raise ValueError(f"length {length:g} is outside the measured ones, {min(lengths, default=0)} to "
                         f"{max(lengths, default=0)}")  # fmt: skip
    place = int(np.searchsorted(lengths, length))
    low, high = lengths[max(place - 1, 0)], lengths[min(place, len(lengths) - 1)]
    if low == high or length >= high:
        return [(int(high), 1.0)]
    if length <= low:
        return [(int(low), 1.0)]
    part = math.log(length / low) / math.log(high / low) if log else (length - low) / (high - low)
    return [(int(low), 1 - part), (int(high), part)]


def alike(rows: Sequence[Measurement]) -> dict[str, dict[int, Measurement]]:
    """Return rows by architecture and context, rising, of the one kind with most architectures and the least batch."""
    kinds = comparable(rows)
    if not kinds:
        return {}
    best = max(kinds, key=lambda kind: (len(kind), -next(iter(next(iter(kind.values())).values())).batch))
    return {name: dict(sorted(own.items())) for name, own in best.items()}


def phase_curves(rows: Sequence[Measurement], phase: str) -> dict[str, PhaseCurve]:
    """Return a curve of one phase for each architecture with times of it, of rows that were measured in one way."""
    found = {}
    for name, own in alike(rows).items():
        known = {context: row for context, row in own.items() if rounds(row, phase)}
        if known:
            found[name] = PhaseCurve(known, phase)
    return found


def exponent(curve: Curve) -> Interval:
    """Fit cost ~ length^k over the measured lengths, with the 95 % interval over rounds.

    Of a generation 1 means that every token takes as long as the one before, 2 that the time of a token grows in
    proportion to what stands before it. ValueError with fewer than three lengths: two fit any exponent.
    """
    value, follows = _slope(curve)
    return estimate(value, follows, curve)


def exponent_difference(a: Curve, b: Curve) -> Interval:
    """Estimate by how much the exponent of a exceeds that of b; ValueError as exponent raises it."""
    (one, follows), (other, theirs) = _slope(a), _slope(b)
    return estimate(one - other, follows, a, (theirs, b))


def _slope(curve: Curve) -> tuple[float, Mapping[Node, float]]:
    """Return the slope of log cost over log length, and how it follows each measured time."""
    points = [curve.at(length) for length in curve.fitted]
    follows: dict[Node, float] = {}
    slope = 0.0
    for weight, point in zip(slope_weights(curve.fitted), points, strict=True):
        slope += float(weight) * point.log
        for node, share in point.follows.items():
            follows[node] = follows.get(node, 0.0) + float(weight) * share
    return slope, follows


def logs_of(rows: Mapping[int, Measurement], phases: Sequence[str]) -> dict[Node, Floats]:
    """Return the logarithm of the median of each round, by phase and context."""
    return {(phase, context): log_medians(rounds(row, phase)) for context, row in rows.items() for phase in phases}


def estimate(
    value: float,
    follows: Mapping[Node, float],
    curve: Curve,
    against: tuple[Mapping[Node, float], Curve] | None = None,
    *,
    inside: float = SHOWN,
) -> Interval:
    """Put Student's interval around a value that follows the logarithms of measured times by these weights.

    against: what is subtracted from it, of another curve. Where both were measured in the same turns, their rounds are
    paired, so that what both went through cancels. Rounds of different contexts are never paired.
    """
    groups: list[Floats] = []
    weights: list[float] = []
    taken, other = against if against is not None else ({}, curve)
    for node in dict.fromkeys((*follows, *taken)):
        mine, theirs = follows.get(node), taken.get(node)
        if mine is not None and theirs is not None and paired(curve, other, node):
            groups.append(mine * curve.known[node] - theirs * other.known[node])
            weights.append(1.0)
            continue
        if mine is not None:
            groups.append(curve.known[node])
            weights.append(mine)
        if theirs is not None:
            groups.append(other.known[node])
            weights.append(-theirs)
    found = weighted(groups, weights, inside=inside)
    return Interval(value, value - (found.value - found.low), value + (found.high - found.value))


def paired(a: Curve, b: Curve, node: Node) -> bool:
    """Return whether the rounds of two curves at a node were made in the same turns."""
    one, other = a.rows[node[1]], b.rows[node[1]]
    return of_same_turns(one, other) and len(a.known[node]) == len(b.known[node])


def log_ratio(a: Curve, b: Curve, length: float, *, inside: float = SHOWN) -> Interval:
    """Estimate the logarithm of how many times as much a costs as b at a length."""
    one, other = a.at(length), b.at(length)
    return estimate(one.log - other.log, one.follows, a, (other.follows, b), inside=inside)


def margin(a: Curve, b: Curve) -> float:
    """Return the share below which a difference does not count: more where any two cells were not interleaved."""
    shared = a.rows.keys() & b.rows.keys()
    interleaved = all(were_interleaved(a.rows[context], b.rows[context]) for context in shared)
    return NEGLIGIBLE if interleaved and shared == a.rows.keys() == b.rows.keys() else BETWEEN_RUNS
