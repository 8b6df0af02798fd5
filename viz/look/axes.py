"""Axes in the reader's units: labels in steps of their own, ticks that suit a logarithm, room for names of lines."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import altair as alt

Unit = Literal["bytes", "seconds", "count", "many", "plain", "share", "ratio"]
Range = Sequence[Any]  # ends in pixels, or expressions of Vega

# Vega expressions for axis labels in the unit's own steps.
_EXPRESSIONS: dict[Unit, str] = {
    "bytes": (
        "datum.value >= 1073741824 ? format(datum.value / 1073741824, '.3~g') + ' GiB' : "
        "datum.value >= 1048576 ? format(datum.value / 1048576, '.3~g') + ' MiB' : "
        "datum.value >= 1024 ? format(datum.value / 1024, '.3~g') + ' KiB' : datum.value + ' B'"
    ),
    "seconds": (
        "datum.value == 0 ? '0 s' : "
        "datum.value >= 1 ? format(datum.value, '.3~g') + ' s' : "
        "datum.value >= 0.001 ? format(datum.value * 1000, '.3~g') + ' ms' : "
        "format(datum.value * 1000000, '.3~g') + ' µs'"
    ),
    "count": "datum.value >= 1024 && datum.value % 1024 == 0 ? datum.value / 1024 + 'k' : format(datum.value, ',')",
    "many": "format(datum.value, '.3~s')",
    "plain": "format(datum.value, '.3~g')",
    "share": "format(datum.value, '.0%')",
    "ratio": "format(datum.value, '.3~g')",
}


@dataclass(frozen=True, slots=True)
class ChartAxis:
    """Title, unit and scale of one axis; ticks for a log axis are chosen in the unit's own steps.

    top: where a linear axis ends, the largest value without it.
    """

    title: str
    unit: Unit = "plain"
    log: bool = False
    top: float | None = None


def channel(
    name: Literal["x", "y"],
    axis: ChartAxis,
    values: Sequence[float],
    *,
    room: int = 0,
    within: Range | None = None,
    raised: str = "",
) -> alt.X | alt.Y:
    """Build an encoding channel; room leaves that many pixels at the right of the x axis for the names of the lines.

    within: the range of a y axis that is one of several above each other; its own title is left out. raised: the pixels
    that an x axis stands above the bottom, as an expression.
    """
    low, high = (min(values), max(values)) if values else (1.0, 10.0)
    ticks: list[float] | None = None
    if axis.log:
        low, high = max(low, 1e-9), max(high, 2e-9)
        margin = math.exp(0.04 * max(math.log(high / low), math.log(2)))
        domain = [low / margin, high if room else high * margin]
        ticks = log_ticks(axis.unit, low, high)
    else:
        low, high = min(low, 0.0), axis.top or high
        domain = [low, high if room else low + (high - low) * 1.04]
    marked: dict[str, Any] = {"values": ticks} if ticks else {"tickCount": 5}
    placed: dict[str, Any] = {"orient": "left", "offset": 0} if within else {}
    if raised:
        placed = {"orient": "bottom", "offset": alt.ExprRef(f"-({raised})")}
    marks = alt.Axis(
        grid=name == "y",
        labelExpr=_EXPRESSIONS[axis.unit],
        labelSeparation=10,
        labelFlush=not room,
        **marked,
        **placed,
    )
    kind: Literal["log", "linear"] = "log" if axis.log else "linear"
    if name == "y":
        limits: Any = {"range": list(within)} if within else {}
        scale = alt.Scale(type=kind, domain=domain, nice=False, **limits)
        return alt.Y("y:Q", title=None if within else axis.title, scale=scale, axis=marks)
    fit: Any = [0, alt.ExprRef(f"max(width - {room}, width / 2)")]
    return alt.X("x:Q", title=axis.title, scale=alt.Scale(type=kind, domain=domain, nice=False, range=fit), axis=marks)


def log_ticks(unit: Unit, low: float, high: float) -> list[float]:
    """Choose at most seven or so ticks of a log axis: powers of two for bytes and counts, 1-2-5 or tens otherwise."""
    if unit not in ("bytes", "count"):
        exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        steps = (
            (1,)
            if high / low > 1e3
            else (1, 3)
            if high / low > 30
            else (1, 2, 5)
            if high / low > 4
            else (1, 1.5, 2, 3, 4, 5, 6, 8)
        )
        ticks = [float(f"{step * 10.0**n:.6g}") for n in exponents for step in steps]
        return [tick for tick in ticks if low * 0.97 <= tick <= high * 1.03]
    first, last = math.floor(math.log2(low) + 1e-9), math.ceil(math.log2(high) - 1e-9)
    step = max(1, math.ceil((last - first + 1) / 7))
    if unit == "bytes":
        first, step = first - first % 2, step + step % 2
    return [2.0**n for n in range(first, last + 1, step)]
