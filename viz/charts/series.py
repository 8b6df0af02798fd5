"""Lines of several architectures on one chart: marker, dash, colour and name on the line itself, spread as a ribbon."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from viz.look.axes import ChartAxis, Unit, channel
from viz.look.labels import spread_apart
from viz.look.theme import Theme
from viz.look.vega import Layer, VegaSpec, styled, table

__all__ = ["ChartAxis", "Line", "Panel", "Unit", "lines_chart", "panels_chart"]

Point = tuple[float, float]
Layers = list[alt.Chart]
Around = Callable[[Any, Any], tuple[Layers, Layers]]  # what is drawn behind and before lines, from their channels

HEAD = 34  # pixels: the title above a panel
LED = 4  # pixels that a name may be moved before a line leads to it
FOOT = 48  # pixels: the x axis with its title


@dataclass(frozen=True, slots=True)
class Line:
    """One line.

    points (x, y); ribbon (x, low, high); samples: faint dots; crosses: places in between that failed; end: (x, y, why)
    of a cross where it could not go on. key: set where an architecture has several lines. solid: which markers are
    filled, none of them without it. floor: the least possible, in fine dashes. note: a word under the name.
    """

    architecture: str
    name: str
    points: tuple[Point, ...]
    ribbon: tuple[tuple[float, float, float], ...] = ()
    samples: tuple[Point, ...] = ()
    crosses: tuple[Point, ...] = ()
    end: tuple[float, float, str] | None = None
    key: str = ""
    solid: tuple[bool, ...] = ()
    floor: tuple[Point, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One of several charts above each other; band: (low, high, words) across its whole width, behind the lines."""

    title: str
    lines: tuple[Line, ...]
    band: tuple[float, float, str] | None = None


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
    return _one(Panel("", tuple(lines)), x=x, y=y, theme=theme, height=height, markers=markers, around=around)


def panels_chart(panels: Sequence[Panel], *, x: ChartAxis, y: ChartAxis, theme: Theme, height: int = 250) -> VegaSpec:
    """Draw panels above each other on the same two scales, so that heights compare; height is that of each.

    A single panel has no title of its own.
    """
    if len(panels) < 2:
        return _one(panels[0] if panels else Panel("", ()), x=x, y=y, theme=theme, height=360, markers=True)
    xs, ys = _reach(panels)
    across = channel("x", x, xs, room=_label_room([line for panel in panels for line in panel.lines]))
    layers: list[Layer] = []
    for i, panel in enumerate(panels):
        top = f"height * {i} / {len(panels)}"
        within = [alt.ExprRef(f"height * {i + 1} / {len(panels)} - 4"), alt.ExprRef(f"{top} + {HEAD}")]
        up = channel("y", y, ys, within=within)
        drawn = _layers(panel, across, up, y, ys, theme, room=height - HEAD - 4, markers=True)
        title = panel.title + " · " + y.title  # the end is cut where there is no room
        head = table([{"text": title}]).mark_text(
            align="left", baseline="middle", dx=-24, fontSize=13, color=theme.muted
        )
        drawn.append(head.encode(x=alt.value(0), y=alt.value(alt.ExprRef(f"{top} + 14")), text=alt.Text("text:N")))
        layers.append(drawn)
    return styled(layers, theme, height=height * len(panels) + FOOT, free_y=True)


def _one(
    panel: Panel, *, x: ChartAxis, y: ChartAxis, theme: Theme, height: int, markers: bool, around: Around | None = None
) -> VegaSpec:
    xs, ys = _reach([panel])
    across, up = channel("x", x, xs, room=_label_room(panel.lines)), channel("y", y, ys)
    drawn = _layers(panel, across, up, y, ys, theme, room=max(height - 90, 60), markers=markers)
    behind, before = around(across, up) if around else ([], [])
    return styled([*behind, *drawn, *before], theme, height=height)


def _reach(panels: Sequence[Panel]) -> tuple[list[float], list[float]]:
    """Return every x and every y that must have room."""
    lines = [line for panel in panels for line in panel.lines]
    xs = [x for line in lines for x, _ in line.points] + [line.end[0] for line in lines if line.end]
    bands = [v for panel in panels if panel.band for v in panel.band[:2]]
    return xs, [v for line in lines for v in _heights(line)] + bands


def _layers(
    panel: Panel, x: Any, y: Any, axis: ChartAxis, ys: Sequence[float], theme: Theme, *, room: int, markers: bool
) -> Layers:
    """Draw one panel from back to front; room: the pixels from its lowest to its highest value."""
    lines = panel.lines
    names = list(dict.fromkeys(line.architecture for line in lines))
    color = alt.Color(
        "architecture:N", scale=alt.Scale(domain=names, range=[theme.color(n) for n in names]), legend=None
    )
    layers: Layers = _band(panel, x, y, theme)
    if ribbons := [_row(line, x=a, y=low, high=high) for line in lines for a, low, high in line.ribbon]:
        ribbon = table(ribbons).mark_area(opacity=0.14, line=False)
        layers.append(ribbon.encode(x=x, y=y, y2=alt.Y2("high:Q"), color=color, detail=alt.Detail("series:N")))
    if floor := [_row(line, x=a, y=b) for line in lines for a, b in line.floor]:
        fine = table(floor).mark_line(strokeWidth=1.25, strokeDash=[2, 3], opacity=0.9)
        layers.append(fine.encode(x=x, y=y, color=color, detail=alt.Detail("series:N")))
    if samples := [_row(line, x=a, y=b) for line in lines for a, b in line.samples]:
        layers.append(table(samples).mark_circle(size=16, opacity=0.28).encode(x=x, y=y, color=color))
    layers.extend(_strokes(lines, names, x, y, color, theme, markers=markers))
    layers.extend(_crosses(lines, x, y, color))
    layers.extend(_names(lines, x, y, color, axis, ys, theme, room))
    return layers


def _band(panel: Panel, x: Any, y: Any, theme: Theme) -> Layers:
    """Shade what lies between two heights, as wide as the axis; its words stand below its upper edge."""
    xs = [a for line in panel.lines for a, _ in line.points]
    if panel.band is None or not xs:
        return []
    low, high, words = panel.band
    rect = table([{"x": min(xs), "end": max(xs), "y": low, "high": high}]).mark_rect(color=theme.muted, opacity=0.16)
    said = table([{"x": min(xs), "y": high, "text": words}])
    small: Any = alt.ExprRef("width < 420 ? 0 : 12")  # on a phone it would run into the names of the lines
    style: dict[str, Any] = {"align": "left", "baseline": "top", "fontSize": small, "dx": 8, "dy": 6}
    halo = said.mark_text(**style, stroke=theme.card, strokeWidth=4, strokeJoin="round")
    text = said.mark_text(**style, color=theme.muted)
    return [
        rect.encode(x=x, x2=alt.X2("end:Q"), y=y, y2=alt.Y2("high:Q")),
        *(each.encode(x=x, y=y, text=alt.Text("text:N")) for each in (halo, text)),
    ]


def _strokes(
    lines: Sequence[Line], names: Sequence[str], x: Any, y: Any, color: alt.Color, theme: Theme, *, markers: bool
) -> Layers:
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
    points = table(
        [
            _row(line, x=a, y=b) | {"fill": theme.color(line.architecture) if solid else theme.card}
            for line in lines
            for (a, b), solid in zip(line.points, line.solid or [False] * len(line.points), strict=True)
        ]
    )
    stroke = points.mark_line(strokeWidth=2.25, strokeJoin="round")
    drawn: Layers = [stroke.encode(x=x, y=y, color=color, strokeDash=dash, detail=alt.Detail("series:N"))]
    if markers:
        marks = points.mark_point(size=58, strokeWidth=2, opacity=1)
        drawn.append(marks.encode(x=x, y=y, color=color, shape=shape, fill=alt.Fill("fill:N", scale=None)))
    return drawn


def _row(line: Line, **values: float) -> dict[str, Any]:
    named = {"architecture": line.architecture, "series": line.key or line.architecture}
    return {**named, **{name: float(value) for name, value in values.items()}}


def _heights(line: Line) -> list[float]:
    values = [b for part in (line.points, line.samples, line.floor) for _, b in part]
    return values + ([line.end[1]] if line.end else []) + [v for _, low, high in line.ribbon for v in (low, high)]


def _label_room(lines: Sequence[Line]) -> int:
    """Estimate the pixels that the names right of the lines take: wide letters count double."""
    texts = [text for line in lines for text in (line.name, line.note, line.end[2] if line.end else "")]
    return 26 + max((sum(13 if ord(c) > 0x1100 else 8 for c in text) for text in texts), default=0)


def _crosses(lines: Sequence[Line], x: Any, y: Any, color: alt.Color) -> Layers:
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
    way = table(gaps).mark_line(strokeWidth=1, strokeDash=[1, 4], opacity=0.8)
    return [way.encode(x=x, y=y, color=color, detail=alt.Detail("series:N")), cross]


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
    """Write each name right of its last point, under it what is noted and why it ends.

    Where two would touch they are moved apart, and a fine line leads from the last point to its name.
    """
    rows = []
    for line in lines:
        if last := line.end or (line.points[-1] if line.points else None):
            here = _row(line, x=last[0], y=last[1])
            said = (("name", line.name), ("note", line.note), ("reason", line.end[2] if line.end else ""))
            rows += [here | {"at": here["y"], "text": text, "kind": kind} for kind, text in said if text]
    if not rows:
        return []
    low, high = min(values), max(values)
    if not axis.log:  # a linear axis begins at zero and ends at its top: gaps are in its pixels
        low, high = min(low, 0.0), axis.top or high
    warp, unwarp = (math.log, math.exp) if axis.log else (float, float)
    span = (warp(high) - warp(low)) or 1.0
    # A note wishes to stand just below its name, so that the two stay together when labels are moved apart.
    below = {"name": 0.0, "note": 1e-9, "reason": 2e-9}
    wishes = [(warp(row["y"]) - warp(low)) / span - below[row["kind"]] for row in rows]
    gap = 18 / room
    for row, place in zip(rows, spread_apart(wishes, gap=gap, low=-gap / 2, high=1 + gap / 2), strict=True):
        moved = abs(place - (warp(row["y"]) - warp(low)) / span) * room
        row["led"] = row["kind"] == "name" and moved > LED
        row["y"] = unwarp(warp(low) + place * span)
    base = table(rows)
    style: dict[str, Any] = {"align": "left", "baseline": "middle", "dx": 16}
    halo = base.mark_text(**style, fontSize=13, stroke=theme.card, strokeWidth=4, strokeJoin="round")
    named = base.transform_filter("datum.kind == 'name'").mark_text(**style, fontSize=13, fontWeight=600)
    reason = base.transform_filter("datum.kind != 'name'").mark_text(**style, fontSize=12, color=theme.muted)
    leading: Layers = []
    if any(row["led"] for row in rows):
        leader = base.transform_filter("datum.led").mark_rule(strokeWidth=1, opacity=0.7, xOffset=1, x2Offset=13)
        start = y.copy(deep=True)
        start.shorthand = "at:Q"
        leading = [leader.encode(x=x, x2=alt.X2("x"), y=start, y2=alt.Y2("y:Q"), color=color)]
    return [
        *leading,
        halo.encode(x=x, y=y, text=alt.Text("text:N")),
        named.encode(x=x, y=y, text=alt.Text("text:N"), color=color),
        reason.encode(x=x, y=y, text=alt.Text("text:N")),
    ]
