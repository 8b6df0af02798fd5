"""The length from which one architecture is cheaper than another: in time by rounds, in bytes by cells or by formula.

A length belongs to the interval of a crossing unless Student's 95 % interval of the ratio at that length, over rounds,
leaves out 1. So it holds the true length in 95 % of cases also with three rounds, where percentiles of resampled rounds
hold it far less often (statistics.verdict says why they are not used here).
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.bench.judge.curves import Curve, log_ratio, margin
from models.bench.judge.statistics import Floats
from models.counting import accounting
from models.counting.accounting import Shape
from models.records.interval import Interval

STEPS = 400  # lengths that are looked at, from the shortest to the longest, evenly on a logarithmic scale
LONGEST = 2**20  # tokens up to which a formula is followed

Kind = Literal["crosses", "always", "by", "undecided"]
Basis = Literal["rounds", "cells", "formula"]


@dataclass(frozen=True, slots=True)
class Crossing:
    """Which of two architectures is the cheaper one at the longest length, and from which length on.

    kind: "crosses": `then` is cheaper from `at` on, `first` before; "always": `then` is cheaper at every length;
    "by": `then` is cheaper from at.high on, and before that neither can be told; "undecided": not even at the longest.
    within: the shortest and the longest length that were compared; nothing is said beyond them.
    basis: "rounds": at has the 95 % interval over rounds; "cells": bytes of cells, at lies between the two lengths of
    its interval; "formula": at is exact, and within is what the formula was followed through.
    """

    first: str
    then: str
    kind: Kind
    at: Interval | None
    within: tuple[float, float]
    basis: Basis


def of_times(a: Curve, b: Curve, *, names: tuple[str, str]) -> Crossing | None:
    """Find from which length on a or b takes less time; None without a span of lengths that both were measured at.

    Where cells were not interleaved, times within 5 % of each other count as equal, else within 1 %.
    """
    low, high = max(a.lengths[0], b.lengths[0]), min(a.lengths[-1], b.lengths[-1])
    if not low < high:
        return None
    places = np.geomspace(low, high, STEPS)
    places[-1] = high
    ratios = [log_ratio(a, b, float(place)) for place in places]
    least = math.log1p(margin(a, b))
    sides = [_side(ratio, least) for ratio in ratios]
    if sides[-1] == 0:
        return Crossing(*names, "undecided", None, (low, high), "rounds")
    first, then = names if sides[-1] > 0 else names[::-1]
    turned = [side * sides[-1] for side in sides]  # 1: `then` is cheaper, -1: `first` is, 0: cannot be told
    until = max((i for i, side in enumerate(turned) if side < 1), default=-1)
    if until < 0:
        return Crossing(first, then, "always", None, (low, high), "rounds")
    top = float(places[until + 1])
    before = max((i for i in range(until + 1) if turned[i] < 0), default=-1)
    if before < 0:
        return Crossing(first, then, "by", Interval(top, low, top), (low, high), "rounds")
    at = _zero(places, [ratio.value for ratio in ratios], before, until + 1)
    return Crossing(first, then, "crosses", Interval(at, float(places[before]), top), (low, high), "rounds")


def of_cells(a: Mapping[int, float], b: Mapping[int, float], *, names: tuple[str, str]) -> Crossing | None:
    """Find from which length on a or b takes fewer bytes, each by context; None without two common contexts."""
    shared = sorted(a.keys() & b.keys())
    if len(shared) < 2 or any(min(a[n], b[n]) <= 0 for n in shared):
        return None
    logs = [math.log(a[n] / b[n]) for n in shared]
    within = (float(shared[0]), float(shared[-1]))
    if logs[-1] == 0:
        return Crossing(*names, "undecided", None, within, "cells")
    sign = math.copysign(1, logs[-1])
    first, then = names if sign > 0 else names[::-1]
    until = max((i for i, log in enumerate(logs) if log * sign <= 0), default=-1)
    if until < 0:
        return Crossing(first, then, "always", None, within, "cells")
    at = _zero(np.array(shared, float), logs, until, until + 1)
    return Crossing(
        first, then, "crosses", Interval(at, float(shared[until]), float(shared[until + 1])), within, "cells"
    )


def of_formula(a: Shape, b: Shape, *, names: tuple[str, str], dtype: str, batch: int = 1) -> Crossing:
    """Find the first length, up to LONGEST, from which on a or b carries fewer bytes between two tokens, exactly."""

    def more(length: int) -> int:
        one, other = (accounting.cache_bytes(s, context=length, batch=batch, dtype=dtype) for s in (a, b))
        return (one > other) - (one < other)

    within = (1.0, float(LONGEST))
    lengths = [2**n for n in range(LONGEST.bit_length())]
    sign = more(LONGEST)
    if sign == 0:
        return Crossing(*names, "undecided", None, within, "formula")
    first, then = names if sign > 0 else names[::-1]
    spans = [(low, high) for low, high in itertools.pairwise(lengths) if more(low) != sign and more(high) == sign]
    if not spans:
        return Crossing(first, then, "always", None, within, "formula")
    low, high = spans[-1]
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if more(middle) == sign else (middle, high)
    return Crossing(first, then, "crosses", Interval(high, high, high), within, "formula")


def _side(ratio: Interval, least: float) -> int:
    """Return 1 where a ratio is surely above 1, -1 where it is surely below, 0 where it cannot be told."""
    return int(ratio.low > least) - int(ratio.high < -least)


def _zero(places: Floats, values: Sequence[float], low: int, high: int) -> float:
    """Return the last place between two indexes where values change their sign, by a line over the logarithm."""
    for i in range(high, low, -1):
        before, after = values[i - 1], values[i]
        if before * after <= 0 and before != after:
            share = before / (before - after)
            return float(math.exp((1 - share) * math.log(places[i - 1]) + share * math.log(places[i])))
    return float(math.sqrt(places[low] * places[high]))
