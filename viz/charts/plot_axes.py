"""Axes of plotly figures in the reader's units, logarithmic and linear."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models.units import ratio
from viz.look.axes import ChartAxis, Unit
from viz.look.labels import seconds, short, size

TICKS = 10  # labels of an axis at most, where they are chosen here
STEPS = ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,))  # parts of ten, finest first
RATIO_STEPS = ((1, 1.05, 1.1, 1.2, 1.5, 2, 3, 5, 7), (1, 1.2, 1.5, 2, 3, 5, 7), *STEPS[1:])
EXACT = 9  # values that all have a label of their own
_FORMATS: dict[Unit, dict[str, str]] = {
    "seconds": {"tickformat": "~s", "ticksuffix": "s"},
    "many": {"tickformat": "~s"},
    "count": {"tickformat": ",d"},
    "share": {"tickformat": ".0%"},
    "plain": {"tickformat": "~g"},
}


@dataclass(frozen=True, slots=True)
class PlotAxis:
    """What an axis is as a logarithm, and what of it changes when it becomes linear: attributes of plotly."""

    log: dict[str, Any]
    linear: dict[str, Any]


def plot_axis(axis: ChartAxis, values: Sequence[float], *, exact: bool = False, most: int = TICKS) -> PlotAxis:
    """Choose scale and labels of an axis for some values.

    exact: few values are labelled themselves. most: how many labels of a logarithm at most. Both scales reach over
    what is drawn, the linear one from zero, and so does what the button for going back restores.
    """
    low, high = (min(values), max(values)) if values else (1.0, 10.0)
    marked: dict[str, Any] = {"tickmode": "auto", "tickvals": None, "ticktext": None}
    log: dict[str, Any] = {"type": "log", "autorange": True, "rangemode": "normal", **marked}
    linear: dict[str, Any] = {"type": "linear", "autorange": True, "rangemode": "tozero", "nticks": 6, **marked}
    few = exact and len(values) <= EXACT
    log |= _labelled(axis.unit, list(values) if few else _on_log(axis.unit, max(low, 1e-9), max(high, 2e-9), most))
    if axis.unit == "bytes":
        linear |= _labelled(axis.unit, even_ticks(high))
    return PlotAxis(log, linear | _FORMATS.get(axis.unit, {}))


def even_ticks(high: float) -> list[float]:
    """Return four to eight even steps from zero to a number of bytes, round in its unit.

    >>> even_ticks(3000)
    [0.0, 512.0, 1024.0, 1536.0, 2048.0, 2560.0]
    """
    step = 2.0 ** math.floor(math.log2(max(high, 8) / 4))
    return [step * n for n in range(math.floor(high / step) + 1)]


def _on_log(unit: Unit, low: float, high: float, most: int) -> list[float]:
    """Return labels of a logarithm as fine as `most` allows: powers of two for bytes and counts, else parts of ten."""
    if unit in ("bytes", "count"):
        first, last = math.floor(math.log2(low)), math.ceil(math.log2(high))
        step = max(1, math.ceil((last - first + 1) / most))
        return [2.0**n for n in range(first, last + 1, step)]
    tens = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in RATIO_STEPS if unit == "ratio" else STEPS:
        ticks = [float(f"{step * 10.0**n:.6g}") for n in tens for step in steps]
        ticks = [tick for tick in ticks if low * 0.9 <= tick <= high * 1.1]
        if len(ticks) <= most:
            return ticks
    return [10.0**n for n in tens][:: math.ceil(len(tens) / most)]


def _labelled(unit: Unit, ticks: Sequence[float]) -> dict[str, Any]:
    write = {"bytes": size, "seconds": seconds, "count": _count, "ratio": ratio}.get(unit, short)
    words = [write(tick) for tick in ticks]
    return {"tickmode": "array", "tickvals": list(ticks), "ticktext": words}


def _count(value: float) -> str:
    return f"{value / 1024:.0f}k" if value >= 1024 and value % 1024 == 0 else f"{value:,.0f}"
