"""Lines of several architectures on one chart: marker, dash, colour and name on the line itself, spread as a ribbon."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import altair as alt

from viz.labels import dodged
from viz.theme import Theme, styled, table

Unit = Literal["bytes", "seconds", "count", "many", "plain", "share"]
Point = tuple[float, float]

# Vega expressions for axis labels in the unit's own steps.
_EXPRESSIONS: dict[Unit, str] = {
    "bytes": (
        "datum.value >= 1073741824 ? format(datum.value / 1073741824, '.3~g') + ' GiB' : "
        "datum.value >= 1048576 ? format(datum.value / 1048576, '.3~g') + ' MiB' : "
        "datum.value >= 1024 ? format(datum.value / 1024, '.3~g') + ' KiB' : datum.value + ' B'"
    ),
    "seconds": (
        "datum.value >= 1 ? format(datum.value, '.3~g') + ' s' : "
        "datum.value >= 0.001 ? format(datum.value * 1000, '.3~g') + ' ms' : "
        "format(datum.value * 1000000, '.3~g') + ' µs'"
    ),
    "count": "datum.value >= 1024 && datum.value % 1024 == 0 ? datum.value / 1024 + 'k' : format(datum.value, ',')",
    "many": "format(datum.value, '.3~s')",
    "plain": "format(datum.value, '.3~g')",
    "share": "format(datum.value, '.0%')",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line.

    points (x, y); ribbon (x, low, high); samples: faint dots; crosses: places in between that failed; end: (x, y, why)
    of a cross where it could not go on.
    """

    architecture: str
    name: str
    points: tuple[Point, ...]
    ribbon: tuple[tuple[float, float, float], ...] = ()
    samples: tuple[Point, ...] = ()
    crosses: tuple[Point, ...] = ()
    end: tuple[float, float, str] | None = None


@dataclass(frozen=True, slots=True)
class Axis:
    """Title, unit and scale of one axis; ticks for a log axis are chosen in the unit's own steps.

    top: where a linear axis ends, the largest value without it.
    """

    title: str
    unit: Unit = "plain"
    log: bool = False
    top: float | None = None


def lines_chart(
    lines: Sequence[Line], *, x: Axis, y: Axis, theme: Theme, height: int = 340, markers: bool = True
) -> alt.LayerChart:
    """Draw lines with their names at the right end, kept apart; an empty sequence draws an empty pair of axes."""
    xs = [x for line in lines for x, _ in line.points] + [line.end[0] for line in lines if line.end]
    ys = [v for line in lines for v in _heights(line)]
    x_channel = _channel("x", x, xs, room=_label_room(lines))
    y_channel = _channel("y", y, ys, room=0)
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
    layers: list[alt.Chart | alt.LayerChart] = []
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
    layers.extend(_crosses(lines, x_channel, y_channel, color))
    layers.extend(_names(lines, x_channel, y_channel, color, y, ys, theme, height))
    return styled(alt.LayerChart(layer=layers), theme, height=height)


def _row(line: Line, **values: float) -> dict[str, Any]:
    return {"architecture": line.architecture, **{name: float(value) for name, value in values.items()}}


def _heights(line: Line) -> list[float]:
    values = [b for _, b in line.points] + [b for _, b in line.samples] + ([line.end[1]] if line.end else [])
    return values + [v for _, low, high in line.ribbon for v in (low, high)]


def _label_room(lines: Sequence[Line]) -> int:
    """Estimate the pixels that the names right of the lines take: wide letters count double."""
    texts = [text for line in lines for text in (line.name, line.end[2] if line.end else "")]
    return 22 + max((sum(13 if ord(c) > 0x1100 else 8 for c in text) for text in texts), default=0)


def _channel(name: str, axis: Axis, values: list[float], *, room: int) -> alt.X | alt.Y:
    """Build an encoding channel; room leaves that many pixels at the right of the x axis for the names of the lines."""
    low, high = (min(values), max(values)) if values else (1.0, 10.0)
    ticks: list[float] | None = None
    if axis.log:
        low, high = max(low, 1e-9), max(high, 2e-9)
        margin = math.exp(0.04 * max(math.log(high / low), math.log(2)))
        domain = [low / margin, high if room else high * margin]
        ticks = _ticks(axis.unit, low, high)
    else:
        low, high = min(low, 0.0), axis.top or high
        domain = [low, high if room else low + (high - low) * 1.04]
    marks = alt.Axis(
        grid=name == "y", labelExpr=_EXPRESSIONS[axis.unit], **({"values": ticks} if ticks else {"tickCount": 5})
    )
    kind: Literal["log", "linear"] = "log" if axis.log else "linear"
    if name == "y":
        return alt.Y("y:Q", title=axis.title, scale=alt.Scale(type=kind, domain=domain, nice=False), axis=marks)
    fit: Any = [0, alt.ExprRef(f"max(width - {room}, width / 2)")]
    return alt.X("x:Q", title=axis.title, scale=alt.Scale(type=kind, domain=domain, nice=False, range=fit), axis=marks)


def _ticks(unit: Unit, low: float, high: float) -> list[float]:
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


def _crosses(lines: Sequence[Line], x: Any, y: Any, color: alt.Color) -> list[alt.LayerChart | alt.Chart]:
    """Mark where a line could not go on, joined to its last point by a fine dotted line."""
    ends = [_row(line, x=line.end[0], y=line.end[1]) for line in lines if line.end]
    ends += [_row(line, x=a, y=b) for line in lines for a, b in line.crosses]
    if not ends:
        return []
    gaps = [
        _row(line, x=a, y=b) for line in lines if line.end and line.points for a, b in (line.points[-1], line.end[:2])
    ]
    cross = (
        table(ends).mark_point(shape="cross", angle=45, size=90, filled=True, opacity=1).encode(x=x, y=y, color=color)
    )
    if not gaps:
        return [cross]
    way = table(gaps).mark_line(strokeWidth=1, strokeDash=[1, 4], opacity=0.8).encode(x=x, y=y, color=color)
    return [way, cross]


def _names(
    lines: Sequence[Line], x: Any, y: Any, color: alt.Color, axis: Axis, values: list[float], theme: Theme, height: int
) -> list[alt.LayerChart | alt.Chart]:
    """Write each name right of its last point, and below it why the line ends there; moved where two would touch."""
    rows = []
    for line in lines:
        if last := line.end or (line.points[-1] if line.points else None):
            rows.append(_row(line, x=last[0], y=last[1]) | {"text": line.name, "kind": "name"})
        if line.end:
            rows.append(_row(line, x=line.end[0], y=line.end[1]) | {"text": line.end[2], "kind": "reason"})
    if not rows:
        return []
    low, high = min(values), max(values)
    warp, unwarp = (math.log, math.exp) if axis.log else (float, float)
    span = (warp(high) - warp(low)) or 1.0
    # A reason wishes to stand just below its name, so that the two stay together when labels are moved apart.
    wishes = [(warp(row["y"]) - warp(low)) / span - (1e-9 if row["kind"] == "reason" else 0) for row in rows]
    for row, place in zip(rows, dodged(wishes, gap=18 / max(height - 90, 60)), strict=True):
        row["y"] = unwarp(warp(low) + place * span)
    base = table(rows)
    style: dict[str, Any] = {"align": "left", "baseline": "middle", "dx": 11}
    halo = base.mark_text(**style, fontSize=13, stroke=theme.card, strokeWidth=4, strokeJoin="round")
    named = base.transform_filter("datum.kind == 'name'").mark_text(**style, fontSize=13, fontWeight=600)
    reason = base.transform_filter("datum.kind == 'reason'").mark_text(**style, fontSize=12, color=theme.muted)
    return [
        halo.encode(x=x, y=y, text="text:N"),
        named.encode(x=x, y=y, text="text:N", color=color),
        reason.encode(x=x, y=y, text="text:N"),
    ]
