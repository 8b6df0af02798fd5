"""Lines of several architectures on one chart: marker, dash, colour and name on the line itself, spread as a ribbon."""

import math
from collections.abc import Callable, Mapping, Sequence
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
Warp = Callable[[float], float]
Around = Callable[[Any, Any], tuple[Layers, Layers]]  # what is drawn behind and before lines, from their channels

HEAD = 34  # pixels: the title above a panel
NAME = 18  # pixels: the line of a name
LED = 4  # pixels that a name may be moved before a line leads to it
FOOT = 48  # pixels: the x axis with its title


@dataclass(frozen=True, slots=True)
class Line:
    """One line.

    points (x, y); ribbon (x, low, high); samples: faint dots; crosses: places in between that failed; end: (x, y, why)
    of a cross where it could not go on. key: set where an architecture has several lines. solid: which markers are
    filled, none of them without it. floor: the least possible, in fine dashes, with floor_name at its end. note: a
    word under the name. tips: for each point what is shown where one points at it, title -> words.
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
    floor_name: str = ""
    note: str = ""
    tips: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Panel:
    """One of several charts above each other."""

    title: str
    lines: tuple[Line, ...]


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
    return xs, [v for line in lines for v in _heights(line)]


def _layers(
    panel: Panel, x: Any, y: Any, axis: ChartAxis, ys: Sequence[float], theme: Theme, *, room: int, markers: bool
) -> Layers:
    """Draw one panel from back to front; room: the pixels from its lowest to its highest value."""
    lines = panel.lines
    names = list(dict.fromkeys(line.architecture for line in lines))
    color = alt.Color(
        "architecture:N", scale=alt.Scale(domain=names, range=[theme.color(n) for n in names]), legend=None
    )
    layers: Layers = []
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
    titles = list(dict.fromkeys(title for line in lines for tip in line.tips for title in tip))
    points = table(
        [
            _row(line, x=a, y=b)
            | {"fill": theme.color(line.architecture) if solid else theme.card}
            | {f"tip{n}": tip.get(title, "\u2013") for n, title in enumerate(titles)}
            for line in lines
            for (a, b), solid, tip in zip(
                line.points,
                line.solid or [False] * len(line.points),
                line.tips or [{}] * len(line.points),
                strict=True,
            )
        ]
    )
    stroke = points.mark_line(strokeWidth=2.25, strokeJoin="round")
    drawn: Layers = [stroke.encode(x=x, y=y, color=color, strokeDash=dash, detail=alt.Detail("series:N"))]
    if markers:
        marks = points.mark_point(size=58, strokeWidth=2, opacity=1)
        tips = {"tooltip": [alt.Tooltip(f"tip{n}:N", title=title) for n, title in enumerate(titles)]} if titles else {}
        drawn.append(marks.encode(x=x, y=y, color=color, shape=shape, fill=alt.Fill("fill:N", scale=None), **tips))
    return drawn


def _row(line: Line, **values: float) -> dict[str, Any]:
    named = {"architecture": line.architecture, "series": line.key or line.architecture}
    return {**named, **{name: float(value) for name, value in values.items()}}


def _heights(line: Line) -> list[float]:
    values = [b for part in (line.points, line.samples, line.floor) for _, b in part]
    return values + ([line.end[1]] if line.end else []) + [v for _, low, high in line.ribbon for v in (low, high)]


def _label_room(lines: Sequence[Line]) -> int:
    """Estimate the pixels that the names right of the lines take: wide letters count double."""
    said = [(line.name, line.note, line.floor_name, line.end[2] if line.end else "") for line in lines]
    texts = [text for every in said for text in every]
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
    rows += _floor_names(lines, axis, values, room)
    if not rows:
        return []
    warp, unwarp, low, span = _warped(axis, values)
    # A note wishes to stand just below its name, so that the two stay together when labels are moved apart.
    below = {"name": 0.0, "note": 1e-9, "reason": 2e-9, "floor": 0.0}
    wishes = [(warp(row["y"]) - low) / span - below[row["kind"]] for row in rows]
    gap = NAME / room
    for row, place in zip(rows, spread_apart(wishes, gap=gap, low=-gap / 2, high=1 + gap / 2), strict=True):
        moved = abs(place - (warp(row["y"]) - low) / span) * room
        row["led"] = row["kind"] in ("name", "floor") and moved > LED
        row["y"] = unwarp(low + place * span)
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


def _warped(axis: ChartAxis, values: Sequence[float]) -> tuple[Warp, Warp, float, float]:
    """Return how an axis bends values and unbends them, where its lowest stands, and how far away the highest."""
    low, high = min(values), max(values)
    if not axis.log:  # a linear axis begins at zero and ends at its top: gaps are in its pixels
        low, high = min(low, 0.0), axis.top or high
    warp, unwarp = (math.log, math.exp) if axis.log else (float, float)
    return warp, unwarp, warp(low), (warp(high) - warp(low)) or 1.0


def _floor_names(lines: Sequence[Line], axis: ChartAxis, values: Sequence[float], room: int) -> list[dict[str, Any]]:
    """Name the floors at their ends: once where several end too close to one another for a name each."""
    named = sorted((line for line in lines if line.floor and line.floor_name), key=lambda line: line.floor[-1][1])
    if not named:
        return []
    warp, unwarp, _, span = _warped(axis, values)
    near: list[list[Line]] = []
    for line in named:
        if near and (warp(line.floor[-1][1]) - warp(near[-1][-1].floor[-1][1])) / span * room < NAME:
            near[-1].append(line)
        else:
            near.append([line])
    rows = []
    for group in near:
        x, y = max(line.floor[-1][0] for line in group), sum(warp(line.floor[-1][1]) for line in group) / len(group)
        here = _row(group[0], x=x, y=unwarp(y))
        rows.append(here | {"at": here["y"], "text": group[0].floor_name, "kind": "floor"})
    return rows
