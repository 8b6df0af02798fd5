"""The time of a whole generation against the tokens written, with the lengths at which two architectures cross."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np

from models.records.interval import Interval
from models.records.trace import NamedArray
from viz.bench.rows import ORDER
from viz.charts.series import ChartAxis, Line, lines_chart
from viz.figure import Figure, figure
from viz.look.extremes import extremes
from viz.look.labels import Translate, architecture_name, short
from viz.look.theme import Theme
from viz.look.vega import table

BAR = 5  # pixels: the interval of a crossing


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds after each number of tokens written, with their intervals; at `measured` of them steps were measured."""

    points: tuple[tuple[float, Interval], ...]
    measured: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class CrossingMark:
    """Where `then` has taken less time than `first`: tokens with their interval, and the seconds both took."""

    first: str
    then: str
    at: Interval
    seconds: float


@figure("generation_time", of="other")
def generation_time(
    spent: Mapping[str, Spent], *, prompt: int, crossings: Sequence[CrossingMark] = (), theme: Theme, t: Translate
) -> Figure:
    """Draw the seconds of a prompt and all tokens after it against the tokens written; both axes begin at zero.

    Dots stand at the lengths that were measured, ribbons are 95 % intervals; a ring marks a crossing, its bar the
    interval of the length. prompt: tokens that were read before the first was written.
    """
    names = sorted(spent, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))
    lines = [_line(name, spent[name], t) for name in names]

    def around(across: alt.X, up: alt.Y) -> tuple[list[alt.Chart], list[alt.Chart]]:
        return [], [*_dots(spent, across, up, theme), *_marks(crossings, across, up, theme)]

    x = ChartAxis(t("viz.generation_time.tokens"), "many")
    y = ChartAxis(t("viz.generation_time.took"), "seconds")
    chart = lines_chart(lines, x=x, y=y, theme=theme, markers=False, around=around)
    data = {
        name: NamedArray(
            np.array([(n, found.value, found.low, found.high) for n, found in spent[name].points]).reshape(-1, 4),
            ("point", "tokens_seconds_low_high"),
        )
        for name in names
    }
    if crossings:
        rows = [(mark.at.value, mark.at.low, mark.at.high, mark.seconds) for mark in crossings]
        data["crossings"] = NamedArray(np.array(rows), ("crossing", "tokens_low_high_seconds"))
    note = [t("viz.generation_time.note", prompt=f"{prompt:,}"), *(_said(mark, t) for mark in crossings)]
    alt_text = t("viz.generation_time.alt", count=len(names), prompt=f"{prompt:,}")
    return Figure("generation_time", chart, data, alt_text, " ".join(note), _finding(spent, names, t))


def _line(name: str, own: Spent, t: Translate) -> Line:
    points = tuple((n, found.value) for n, found in own.points)
    known = all(math.isfinite(found.high) for _, found in own.points)
    ribbon = tuple((n, found.low, found.high) for n, found in own.points) if known else ()
    return Line(name, architecture_name(name, t), points, ribbon)


def _dots(spent: Mapping[str, Spent], x: alt.X, y: alt.Y, theme: Theme) -> list[alt.Chart]:
    """Mark the lengths at which steps were measured."""
    rows = [
        {"x": n, "y": found.value, "color": theme.color(name)}
        for name, own in spent.items()
        for n, found in own.points
        if n in own.measured
    ]
    dots = table(rows).mark_circle(size=42, opacity=1)
    return [dots.encode(x=x, y=y, color=alt.Color("color:N", scale=None))] if rows else []


def _marks(crossings: Sequence[CrossingMark], x: alt.X, y: alt.Y, theme: Theme) -> list[alt.Chart]:
    if not crossings:
        return []
    rows: list[dict[str, Any]] = [
        {
            "x": mark.at.value,
            "low": mark.at.low,
            "high": mark.at.high,
            "y": mark.seconds,
            "text": f"{mark.at.value:,.0f}",
        }
        for mark in crossings
    ]
    across = x.copy(deep=True)
    across.shorthand = "low:Q"
    base = table(rows)
    bar = base.mark_rule(color=theme.ink, strokeWidth=BAR, opacity=0.35, strokeCap="round")
    ring = base.mark_point(size=110, strokeWidth=2, color=theme.ink, fill=theme.card, opacity=1)
    style: dict[str, Any] = {"fontSize": 12, "font": theme.mono, "dy": -16}
    halo = base.mark_text(**style, stroke=theme.card, strokeWidth=3, strokeJoin="round")
    text = base.mark_text(**style, color=theme.ink)
    return [
        bar.encode(x=across, x2=alt.X2("high:Q"), y=y),
        ring.encode(x=x, y=y),
        halo.encode(x=x, y=y, text=alt.Text("text:N")),
        text.encode(x=x, y=y, text=alt.Text("text:N")),
    ]


def _said(mark: CrossingMark, t: Translate) -> str:
    first, then = (architecture_name(name, t) for name in (mark.first, mark.then))
    at, low, high = (f"{value:,.0f}" for value in (mark.at.value, mark.at.low, mark.at.high))
    return t("viz.generation_time.crossing", first=first, then=then, at=at, low=low, high=high)


def _finding(spent: Mapping[str, Spent], names: Sequence[str], t: Translate) -> str:
    """Name who takes most and least after the most tokens that all have; "" where the intervals of the two overlap."""
    ends = [dict(spent[name].points) for name in names]
    shared = set.intersection(*(set(end) for end in ends)) if ends else set()
    if len(names) < 2 or not shared:
        return ""
    last = max(shared)
    order = sorted((end[last] for end in ends), key=lambda found: found.value)
    heights = [(architecture_name(name, t), end[last].value) for name, end in zip(names, ends, strict=True)]
    found = extremes(heights, lambda value: f"{short(value)} s")
    if found is None or order[0].high >= order[-1].low:
        return ""
    return t("viz.generation_time.finding", tokens=f"{last:,.0f}", **found._asdict())
