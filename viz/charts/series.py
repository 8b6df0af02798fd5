"""Lines of several architectures on one chart: marker, dash, colour and name on the line itself, spread as a ribbon."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from viz.look.axes import ChartAxis, Unit, channel
from viz.look.labels import spread_apart
from viz.look.theme import Theme
from viz.look.vega import VegaSpec, styled, table

__all__ = ["ChartAxis", "Line", "Unit", "lines_chart"]

Point = tuple[float, float]
Layers = list[alt.Chart]
Warp = Callable[[float], float]
Around = Callable[[Any, Any], tuple[Layers, Layers]]  # what is drawn behind and before lines, from their channels

NAME = 18  # pixels: the line of a name
LED = 4  # pixels that a name may be moved before a line leads to it


@dataclass(frozen=True, slots=True)
class Line:
    """One line: points (x, y); ribbon (x, low, high); samples: faint dots."""

    architecture: str
    name: str
    points: tuple[Point, ...]
    ribbon: tuple[tuple[float, float, float], ...] = ()
    samples: tuple[Point, ...] = ()


def lines_chart(
    lines: Sequence[Line],
    *,
    x: ChartAxis,
    y: ChartAxis,
    theme: Theme,
    height: int = 340,
    markers: bool = True,
    around: Around | None = None,
) -> VegaSpec:
    """Draw lines with their names at the right end, kept apart; an empty sequence draws an empty pair of axes.

    around: gives what is drawn behind the lines and before them.
    """
    xs, ys = [a for line in lines for a, _ in line.points], [b for line in lines for b in _heights(line)]
    across, up = channel("x", x, xs, room=_label_room(lines)), channel("y", y, ys)
    drawn = _layers(lines, across, up, y, ys, theme, room=max(height - 90, 60), markers=markers)
    behind, before = around(across, up) if around else ([], [])
    return styled([*behind, *drawn, *before], theme, height=height)


def _layers(
    lines: Sequence[Line],
    x: Any,
    y: Any,
    axis: ChartAxis,
    ys: Sequence[float],
    theme: Theme,
    *,
    room: int,
    markers: bool,
) -> Layers:
    """Draw lines from back to front; room: the pixels from the lowest to the highest value."""
    names = list(dict.fromkeys(line.architecture for line in lines))
    color = alt.Color(
        "architecture:N", scale=alt.Scale(domain=names, range=[theme.color(n) for n in names]), legend=None
    )
    layers: Layers = []
    if ribbons := [_row(line, x=a, y=low, high=high) for line in lines for a, low, high in line.ribbon]:
        ribbon = table(ribbons).mark_area(opacity=0.14, line=False)
        layers.append(ribbon.encode(x=x, y=y, y2=alt.Y2("high:Q"), color=color))
    if samples := [_row(line, x=a, y=b) for line in lines for a, b in line.samples]:
        layers.append(table(samples).mark_circle(size=16, opacity=0.28).encode(x=x, y=y, color=color))
    layers.extend(_strokes(lines, names, x, y, color, theme, markers=markers))
    layers.extend(_names(lines, x, y, color, axis, ys, theme, room))
    return layers


def _strokes(
    lines: Sequence[Line], names: Sequence[str], x: Any, y: Any, color: alt.Color, theme: Theme, *, markers: bool
) -> Layers:
    dash = alt.StrokeDash(
        "architecture:N",
        scale=alt.Scale(domain=names, range=[list(theme.dash(n)) for n in names]),
        legend=None,
    )
    shape = alt.Shape(
        "architecture:N",
        scale=alt.Scale(domain=names, range=[theme.marker(n) for n in names]),
        legend=None,
    )
    points = table([_row(line, x=a, y=b) for line in lines for a, b in line.points])
    stroke = points.mark_line(strokeWidth=2.25, strokeJoin="round")
    drawn: Layers = [stroke.encode(x=x, y=y, color=color, strokeDash=dash)]
    if markers:
        marks = points.mark_point(size=58, strokeWidth=2, opacity=1, fill=theme.card)
        drawn.append(marks.encode(x=x, y=y, color=color, shape=shape))
    return drawn


def _row(line: Line, **values: float) -> dict[str, Any]:
    return {"architecture": line.architecture} | {name: float(value) for name, value in values.items()}


def _heights(line: Line) -> list[float]:
    values = [b for part in (line.points, line.samples) for _, b in part]
    return values + [v for _, low, high in line.ribbon for v in (low, high)]


def _label_room(lines: Sequence[Line]) -> int:
    """Estimate the pixels that the names right of the lines take: wide letters count double."""
    return 26 + max((sum(13 if ord(c) > 0x1100 else 8 for c in line.name) for line in lines), default=0)


def _names(
    lines: Sequence[Line],
    x: Any,
    y: Any,
    color: alt.Color,
    axis: ChartAxis,
    values: Sequence[float],
    theme: Theme,
    room: int,
) -> Layers:
    """Write each name right of its last point.

    Where two would touch they are moved apart, and a fine line leads from the last point to its name.
    """
    rows = []
    for line in lines:
        if line.points:
            here = _row(line, x=line.points[-1][0], y=line.points[-1][1])
            rows.append(here | {"at": here["y"], "text": line.name})
    if not rows:
        return []
    warp, unwarp, low, span = _warped(axis, values)
    wishes = [(warp(row["y"]) - low) / span for row in rows]
    gap = NAME / room
    for row, wish, place in zip(
        rows, wishes, spread_apart(wishes, gap=gap, low=-gap / 2, high=1 + gap / 2), strict=True
    ):
        row["led"] = abs(place - wish) * room > LED
        row["y"] = unwarp(low + place * span)
    base = table(rows)
    style: dict[str, Any] = {"align": "left", "baseline": "middle", "dx": 16, "fontSize": 13}
    halo = base.mark_text(**style, stroke=theme.card, strokeWidth=4, strokeJoin="round")
    named = base.mark_text(**style, fontWeight=600)
    return [
        *(_leaders(base, x, y, color) if any(row["led"] for row in rows) else ()),
        halo.encode(x=x, y=y, text=alt.Text("text:N")),
        named.encode(x=x, y=y, text=alt.Text("text:N"), color=color),
    ]


def _leaders(base: alt.Chart, x: Any, y: Any, color: alt.Color) -> Layers:
    leader = base.transform_filter("datum.led").mark_rule(strokeWidth=1, opacity=0.7, xOffset=1, x2Offset=13)
    start = y.copy(deep=True)
    start.shorthand = "at:Q"
    return [leader.encode(x=x, x2=alt.X2("x"), y=start, y2=alt.Y2("y:Q"), color=color)]


def _warped(axis: ChartAxis, values: Sequence[float]) -> tuple[Warp, Warp, float, float]:
    """Return how an axis bends values and unbends them, where its lowest stands, and how far away the highest."""
    low, high = min(values), max(values)
    if not axis.log:  # a linear axis begins at zero and ends at its top: gaps are in its pixels
        low, high = min(low, 0.0), axis.top or high
    warp, unwarp = (math.log, math.exp) if axis.log else (float, float)
    return warp, unwarp, warp(low), (warp(high) - warp(low)) or 1.0
