"""Numbers as people read them, and labels kept apart."""

from collections.abc import Callable, Sequence

from models.looks import looks
from models.units import duration, number
from models.units import size as binary_size

Translate = Callable[..., str]


def short(value: float) -> str:
    """Write a number as models.units.number does: 0.0999, 1.2e6."""
    return number(value)


def size(count: float) -> str:
    """Write a number of bytes as models.units.size does: 7.5 KiB."""
    return binary_size(count)


def seconds(value: float) -> str:
    """Write a time as models.units.duration does: 12.5 ms."""
    return duration(value)


def architecture_name(architecture: str, t: Translate) -> str:
    """Return the name of an architecture in the visitor's language, and any other name as it is."""
    return t(f"viz.architecture.{architecture}") if architecture in looks() else architecture


def template(t: Translate, key: str, *names: str, **values: object) -> str:
    """Translate a sentence and leave {name} in it for the canvas to fill."""
    return t(key, **{name: "{" + name + "}" for name in names}, **values)


def spread_apart(
    places: Sequence[float], *, gap: float, low: float | None = None, high: float | None = None
) -> list[float]:
    """Move places apart, as little as possible, until neighbours are at least gap apart; indices stay.

    low, high: where the first and the last may stand at most; where not all have room, low gives way.
    """
    order = sorted(range(len(places)), key=lambda i: places[i])
    groups: list[list[float]] = []  # [sum of wished first places, count, first place]
    for i in order:
        groups.append([places[i], 1.0, places[i]])
        while len(groups) > 1 and groups[-2][2] + groups[-2][1] * gap > groups[-1][2]:
            last = groups.pop()
            before = groups[-1]
            before[0] += last[0] - last[1] * before[1] * gap
            before[1] += last[1]
            before[2] = before[0] / before[1]
    apart = [first + step * gap for _, count, first in groups for step in range(int(count))]
    moved = [0.0] * len(places)
    for i, place in zip(order, _bounded(apart, gap, low, high), strict=True):
        moved[i] = place
    return moved


def _bounded(places: list[float], gap: float, low: float | None, high: float | None) -> list[float]:
    """Push ordered places up from low, then down from high, a gap apart."""
    last = len(places) - 1
    if low is not None:
        places = [max(place, low + i * gap) for i, place in enumerate(places)]
    if high is not None:
        places = [min(place, high - (last - i) * gap) for i, place in enumerate(places)]
    return places
