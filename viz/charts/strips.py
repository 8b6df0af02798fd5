"""Strips under a name: a bar or dots on one common scale from zero, with its words left and its number right."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from viz.look.theme import Theme
from viz.look.vega import VegaSpec, styled, table

ROW, HEAD, GAP = 24, 26, 12  # pixels: a strip, the name over a group, the space below it
CAP = 5  # pixels by which the round end of a bar reaches out


@dataclass(frozen=True, slots=True)
class ChartStrip:
    """One strip; strips of one name that follow each other stand under it together.

    label: left of the strip; text: right of it; head: at the right of the name. bar ends at a value, whisker is its
    interval; main is a large dot, dots are faint ones.
    """

    name: str
    architecture: str
    label: str = ""
    text: str = ""
    head: str = ""
    bar: float | None = None
    whisker: tuple[float, float] | None = None
    main: float | None = None
    dots: tuple[float, ...] = ()
    drawn_hollow: bool = False


def strips_chart(
    strips: Sequence[ChartStrip], *, theme: Theme, end: float | None = None, limit: tuple[float, str] | None = None
) -> VegaSpec:
    """Draw strips on a linear scale up to end (without it, the largest value); limit: a value to mark and its words."""
    most = max([v for strip in strips for v in _values(strip)] + ([end] if end else []), default=1.0) or 1.0
    top = 22 if limit else 0
    rows, heads, height = _placed(strips, top)
    left, right = (_width([getattr(strip, name) for strip in strips]) for name in ("label", "text"))
    left += CAP if any(strip.bar is not None for strip in strips) else 0
    scale: Any = {"domain": [0, most], "nice": False, "range": [left, alt.ExprRef(f"width - {right + CAP}")]}
    x = alt.X("value:Q", title=None, axis=None, scale=alt.Scale(**scale))
    layers = [*_limit(limit, rows, x, theme), *_tracks(rows, x, most, theme), *_marks(rows, x, theme)]
    layers += [*_words(rows, theme), *_heads(heads, theme)]
    if not layers:
        layers = [table([{"text": ""}]).mark_text().encode(text=alt.Text("text:N"))]
    return styled(layers, theme, height=max(height, 60))


def _placed(
    strips: Sequence[ChartStrip], top: int
) -> tuple[list[tuple[ChartStrip, float]], list[tuple[ChartStrip, float]], int]:
    """Give every strip and every name its height in pixels."""
    rows: list[tuple[ChartStrip, float]] = []
    heads: list[tuple[ChartStrip, float]] = []
    y, before = float(top), None
    for strip in strips:
        if strip.name != before:
            y += GAP if before is not None else 0
            heads.append((strip, y + HEAD / 2))
            y, before = y + HEAD, strip.name
        rows.append((strip, y + ROW / 2))
        y += ROW
    return rows, heads, int(y) + 8


def _values(strip: ChartStrip) -> list[float]:
    given = [v for v in (strip.bar, strip.main) if v is not None]
    return [*given, *strip.dots, *(strip.whisker or ())]


def _width(texts: Sequence[str]) -> int:
    longest = max((sum(13 if ord(c) > 0x1100 else 8 for c in text) for text in texts), default=0)
    return longest + 10 if longest else 0


def _y() -> alt.Y:
    return alt.Y("y:Q", scale=None, axis=None)


def _limit(
    limit: tuple[float, str] | None, rows: Sequence[tuple[ChartStrip, float]], x: alt.X, theme: Theme
) -> list[alt.Chart]:
    """Mark a value on every strip, and say on top what it is."""
    if limit is None or not rows:
        return []
    marks = [{"value": limit[0], "y": y - ROW / 2, "foot": y + ROW / 2} for _, y in rows]
    rule = table(marks).mark_rule(color=theme.muted, strokeDash=[3, 3]).encode(x=x, y=_y(), y2=alt.Y2("foot:Q"))
    said = table([{"value": limit[0], "text": limit[1]}])
    text = said.mark_text(align="right", baseline="middle", fontSize=12, color=theme.muted, dx=4)
    return [rule, text.encode(x=x, y=alt.value(10), text=alt.Text("text:N"))]


def _tracks(rows: Sequence[tuple[ChartStrip, float]], x: alt.X, most: float, theme: Theme) -> list[alt.Chart]:
    """Draw the quiet ground of every strip that has a value: as thick as a bar, or a hairline under dots."""
    layers = []
    for thick, width in ((True, 2.0 * CAP), (False, 1.5)):
        found = [
            {"value": 0.0, "end": most, "y": y}
            for strip, y in rows
            if _values(strip) and (strip.bar is not None) is thick
        ]
        if found:
            rule = table(found).mark_rule(
                color=theme.hairline, strokeWidth=width, strokeCap="round" if thick else "butt"
            )
            layers.append(rule.encode(x=x, x2=alt.X2("end:Q"), y=_y()))
    return layers


def _marks(rows: Sequence[tuple[ChartStrip, float]], x: alt.X, theme: Theme) -> list[alt.Chart]:
    color, fill = alt.Color("color:N", scale=None), alt.Fill("fill:N", scale=None)
    bars, whiskers, mains, dots = [], [], [], []
    for strip, y in rows:
        own = theme.color(strip.architecture)
        here = {"y": y, "color": own, "shape": theme.marker(strip.architecture)}
        here["fill"] = theme.card if strip.drawn_hollow else own
        if strip.bar is not None:
            bars.append({**here, "value": 0.0, "end": strip.bar})
        if strip.whisker is not None:
            whiskers.append({**here, "value": strip.whisker[0], "end": strip.whisker[1]})
        if strip.main is not None:
            mains.append({**here, "value": strip.main})
        dots += [{**here, "value": value} for value in strip.dots]
    layers = []
    if bars:
        bar = table(bars).mark_rule(strokeWidth=2 * CAP, strokeCap="round")
        layers.append(bar.encode(x=x, x2=alt.X2("end:Q"), y=_y(), color=color))
    if whiskers:
        layers.append(table(whiskers).mark_rule(color=theme.ink, strokeWidth=2).encode(x=x, x2=alt.X2("end:Q"), y=_y()))
    if dots:
        layers.append(table(dots).mark_circle(size=34, opacity=0.4).encode(x=x, y=_y(), color=color))
    if mains:
        shape = alt.Shape("shape:N", scale=None)
        point = table(mains).mark_point(size=95, strokeWidth=2, opacity=1)
        layers.append(point.encode(x=x, y=_y(), color=color, shape=shape, fill=fill))
    return layers


def _words(rows: Sequence[tuple[ChartStrip, float]], theme: Theme) -> list[alt.Chart]:
    layers = []
    if left := [{"y": y, "text": strip.label} for strip, y in rows if strip.label]:
        text = table(left).mark_text(align="left", baseline="middle", fontSize=13, color=theme.muted)
        layers.append(text.encode(x=alt.value(0), y=_y(), text=alt.Text("text:N")))
    if right := [{"y": y, "text": strip.text} for strip, y in rows if strip.text]:
        text = table(right).mark_text(align="right", baseline="middle", fontSize=13, font=theme.mono, color=theme.ink)
        layers.append(text.encode(x=alt.value("width"), y=_y(), text=alt.Text("text:N")))
    return layers


def _heads(heads: Sequence[tuple[ChartStrip, float]], theme: Theme) -> list[alt.Chart]:
    if not heads:
        return []
    rows = [{"y": y, "text": s.name, "head": s.head, "color": theme.color(s.architecture)} for s, y in heads]
    name = table(rows).mark_text(align="left", baseline="middle", fontSize=14, fontWeight=600)
    beside = table(rows).mark_text(align="right", baseline="middle", fontSize=12, color=theme.muted)
    return [
        name.encode(x=alt.value(0), y=_y(), text=alt.Text("text:N"), color=alt.Color("color:N", scale=None)),
        beside.encode(x=alt.value("width"), y=_y(), text=alt.Text("head:N")),
    ]
