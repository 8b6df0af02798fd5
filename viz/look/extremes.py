"""The least and the most of named numbers, as a sentence may name them."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple


class Extremes(NamedTuple):
    """Who has the least and who the most, all of them where several do, with the number as it is written."""

    least: str
    low: str
    most: str
    high: str


def extremes(named: Iterable[tuple[str, float]], write: Callable[[float], str]) -> Extremes | None:
    """Return the least and the most of (name, number) pairs; equal is what is written alike.

    None for fewer than two names, for a number that is none, and where the least and the most are written alike.

    >>> extremes([("a", 0.201), ("b", 0.204), ("c", 0.9)], "{:.0%}".format)
    Extremes(least='a, b', low='20%', most='c', high='90%')
    """
    pairs = list(named)
    if len(pairs) < 2 or not all(math.isfinite(value) for _, value in pairs):
        return None
    low, high = (write(pick(value for _, value in pairs)) for pick in (min, max))
    if low == high:
        return None
    least, most = (", ".join(name for name, value in pairs if write(value) == end) for end in (low, high))
    return Extremes(least, low, most, high)


def single_most(values: Sequence[float], write: Callable[[float], str]) -> int | None:
    """Return the place of the largest number where no other is written like it; numbers that are none do not count.

    >>> single_most([0.1, 0.9, float("nan")], "{:.0%}".format)
    1
    """
    known = [place for place, value in enumerate(values) if math.isfinite(value)]
    if not known:
        return None
    best = max(known, key=lambda place: values[place])
    alike = [place for place in known if write(values[place]) == write(values[best])]
    return best if len(alike) == 1 else None


def percent(share: float) -> str:
    """Write a share without decimals."""
    return f"{share:.0%}"
