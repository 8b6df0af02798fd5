"""Lines of several architectures on one chart: marker, dash, colour and name on the line itself, spread as a ribbon."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import altair as alt

from viz.labels import dodged
from viz.theme import Theme, styled, table

Unit = Literal["bytes", "seconds", "count", "plain"]
Point = tuple[float, float]

# Vega expressions for axis labels in the unit's own steps.
_EXPRESSIONS: dict[Unit, str] = {
    "bytes": (
        "datum.value >= 1073741824 ? format(datum.value / 1073741824, '.3~g') + ' GiB' : datum.value >= 1048576 ? "
        "format(datum.value / 1048576, '.3~g') + ' MiB' : datum.value >= 1024 ? format(datum.value / 1024, '.3~g') + ' KiB' : datum.value + ' B'"
    ),
    "seconds": (
        "datum.value >= 1 ? format(datum.value, '.3~g') + ' s' : datum.value >= 0.001 ? format(datum.value * 1000, '.3~g') + ' ms' : "
        "format(datum.value * 1000000, '.3~g') + ' µs'"
    ),
    "count": "datum.value >= 1024 && datum.value % 1024 == 0 ? datum.value / 1024 + 'k' : format(datum.value, ',')",
    "plain": "format(datum.value, '.3~g')",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line. points (x, y); ribbon (x, low, high); samples: faint dots; ends: (x, y, text) of crosses where it stopped."""

    architecture: str
    name: str
    points: tuple[Point, ...]
    ribbon: tuple[tuple[float, float, float], ...] = ()
    samples: tuple[Point, ...] = ()
    ends: tuple[tuple[float, float, str], ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Axis:
    """Title, unit and scale of one axis; ticks for a log axis are chosen in the unit's own steps."""

    title: str
    unit: Unit = "plain"
    log: bool = False


def lines_chart(
    lines: Sequence[Line], *, x: Axis, y: Axis, theme: Theme, height: int = 340, markers: bool = True
) -> alt.LayerChart:
    """Draw lines with their names at the right end, kept apart; an empty sequence draws an empty pair of axes."""
    xs = [p[0] for line in lines for p in (*line.points, *line.ends)]
    ys = [v for line in lines for v in _heights(line)]
    x_channel = _channel("x", x, xs, room=1.22)
    y_channel = _channel("y", y, ys, room=1.0)
    names = [line.architecture for line in lines]
    color = alt.Color(
        "architecture:N", scale=alt.Scale(domain=names, range=[theme.color(n) for n in names]), legend=None
    )
    dash = alt.StrokeDash(
        "architecture:N",
        scale=alt.Scale(domain=names, range=[list(theme.dashes.get(n, (1, 0))) for n in names]),
        legend=None,
    )
    shape = alt.Shape(
        "architecture:N",
        scale=alt.Scale(domain=names, range=[theme.markers.get(n, "circle") for n in names]),
        legend=None,
    )
    layers: list[alt.Chart] = []
    if ribbons := [_row(line, x=a, y=low, high=high) for line in lines for a, low, high in line.ribbon]:
        ribbon = table(ribbons).mark_area(opacity=0.14, line=False)
        layers.append(ribbon.encode(x=x_channel, y=y_channel, y2="high:Q", color=color))
    if samples := [_row(line, x=a, y=b) for line in lines for a, b in line.samples]:
        layers.append(table(samples).mark_circle(size=16, opacity=0.28).encode(x=x_channel, y=y_channel, color=color))
    points = table([_row(line, x=a, y=b) for line in lines for a, b in line.points])
    layers.append(
        points.mark_line(strokeWidth=2.25, strokeJoin="round").encode(
            x=x_channel, y=y_channel, color=color, strokeDash=dash
        )
    )
    if markers:
        layers.append(
            points.mark_point(size=58, strokeWidth=2, fill=theme.card, opacity=1).encode(
                x=x_channel, y=y_channel, color=color, shape=shape
            )
        )
    layers.extend(_crosses(lines, x_channel, y_channel, color, theme))
    layers.extend(_names(lines, x_channel, y_channel, color, y, ys, theme, height))
    return styled(alt.LayerChart(layer=layers), theme, height=height)


def _row(line: Line, **values: float) -> dict[str, Any]:
    return {"architecture": line.architecture, **{name: float(value) for name, value in values.items()}}


def _heights(line: Line) -> list[float]:
    values = [b for _, b in line.points] + [b for _, b in line.samples] + [b for _, b, _ in line.ends]
    return values + [v for _, low, high in line.ribbon for v in (low, high)]


def _channel(name: str, axis: Axis, values: list[float], *, room: float) -> alt.X | alt.Y:
    """Build an encoding channel; room widens the axis to the right (in its own scale) for the names of the lines."""
    low, high = (min(values), max(values)) if values else (1.0, 10.0)
    ticks: list[float] | None = None
    if axis.log:
        low, high = max(low, 1e-9), max(high, 2e-9)
        span = max(math.log(high / low), math.log(2))
        domain = [low * math.exp(-0.04 * span), high * math.exp(max(room - 1, 0.04) * span)]
        ticks = _ticks(axis.unit, low, high)
    else:
        low = min(low, 0.0)
        domain = [low, low + (high - low) * max(room, 1.04)]
    grid = alt.Axis(
        grid=name == "y", labelExpr=_EXPRESSIONS[axis.unit], **({"values": ticks} if ticks else {"tickCount": 5})
    )
    scale = alt.Scale(type="log" if axis.log else "linear", domain=domain, nice=False)
    built = (
        alt.X("x:Q", title=axis.title, scale=scale, axis=grid)
        if name == "x"
        else alt.Y("y:Q", title=axis.title, scale=scale, axis=grid)
    )
    return built


def _ticks(unit: Unit, low: float, high: float) -> list[float]:
    """Choose at most seven ticks of a log axis: powers of two for bytes and counts, of ten otherwise."""
    base = 2.0 if unit in ("bytes", "count") else 10.0
    first, last = math.floor(math.log(low, base) + 1e-9), math.ceil(math.log(high, base) - 1e-9)
    step = max(1, math.ceil((last - first + 1) / 7))
    if unit == "bytes":
        first, step = first - first % 2, step + step % 2
    return [base**n for n in range(first, last + 1, step)]


def _crosses(lines: Sequence[Line], x: Any, y: Any, color: alt.Color, theme: Theme) -> list[alt.Chart]:
    """Mark where a line could not go on, with the reason beside the cross."""
    rows = [_row(line, x=a, y=b) | {"text": text} for line in lines for a, b, text in line.ends]
    if not rows:
        return []
    base = table(rows)
    cross = base.mark_point(shape="cross", angle=45, size=90, filled=True, opacity=1).encode(x=x, y=y, color=color)
    text = base.mark_text(dy=-14, fontSize=11.5, color=theme.muted).encode(x=x, y=y, text="text:N")
    return [cross, text]


def _names(
    lines: Sequence[Line], x: Any, y: Any, color: alt.Color, axis: Axis, values: list[float], theme: Theme, height: int
) -> list[alt.Chart]:
    """Write each name right of its last point, moved up or down where two would touch."""
    ends = [
        (line, max((*line.points, *((a, b) for a, b, _ in line.ends)))) for line in lines if line.points or line.ends
    ]
    if not ends:
        return []
    low, high = min(values), max(values)
    warp = math.log if axis.log else float
    span = (warp(high) - warp(low)) or 1.0
    places = dodged([(warp(point[1]) - warp(low)) / span for _, point in ends], gap=17 / height)
    unwarp = math.exp if axis.log else float
    rows = [
        _row(line, x=point[0], y=unwarp(warp(low) + place * span)) | {"name": line.name}
        for (line, point), place in zip(ends, places, strict=True)
    ]
    base = table(rows)
    style = {"align": "left", "baseline": "middle", "dx": 11, "fontSize": 13, "fontWeight": 600}
    halo = base.mark_text(**style, stroke=theme.card, strokeWidth=4, strokeJoin="round").encode(x=x, y=y, text="name:N")
    text = base.mark_text(**style).encode(x=x, y=y, text="name:N", color=color)
    return [halo, text]
