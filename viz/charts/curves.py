"""Curves of bytes carried against length, and of the training loss."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np

from models.records.trace import NamedArray
from viz.charts.series import ChartAxis, Line, lines_chart
from viz.figure import Figure, figure
from viz.look.extremes import extremes
from viz.look.labels import Translate, short, size
from viz.look.theme import Theme
from viz.look.vega import styled, table

SMOOTHED = 40  # a log is smoothed over this share of its length


@figure("carried_bytes", of="other")
def carried_bytes(rows: Sequence[tuple[str, int]], *, theme: Theme, t: Translate) -> Figure:
    """Draw the bytes each architecture carries at one length, as bars on one linear scale."""
    most = max((count for _, count in rows), default=1)
    data = [
        {"architecture": a, "name": t(f"viz.architecture.{a}"), "bytes": float(n), "text": size(n), "most": float(most)}
        for a, n in rows
    ]
    order = [t(f"viz.architecture.{a}") for a, _ in rows]
    base = table(data)
    y = alt.Y("name:N", sort=order, title=None, axis=alt.Axis(labelFontSize=14, labelColor=theme.ink, labelPadding=12))
    domain: Any = {"domain": [0, most], "nice": False, "range": [0, alt.ExprRef("width - 86")]}
    bytes_x = alt.X("bytes:Q", title=None, scale=alt.Scale(**domain), axis=None)
    whole_x = alt.X("most:Q", title=None, scale=alt.Scale(**domain), axis=None)
    colors = alt.Scale(domain=[a for a, _ in rows], range=[theme.color(a) for a, _ in rows])
    color = alt.Color("architecture:N", scale=colors, legend=None)
    track = base.mark_bar(color=theme.hairline, opacity=0.55, height=8, cornerRadius=4).encode(x=whole_x, y=y)
    bars = base.mark_bar(height=8, cornerRadius=4).encode(x=bytes_x, y=y, color=color)
    numbers = base.mark_text(align="right", font=theme.mono, fontSize=13, color=theme.muted)
    texts = numbers.encode(x=alt.value("width"), y=y, text=alt.Text("text:N"))
    alt_text = t("viz.carried_bytes.alt", list=", ".join(f"{row['name']} {row['text']}" for row in data))
    chart = styled([track, bars, texts], theme, height=32 * max(len(rows), 1) + 8)
    return Figure(
        "carried_bytes",
        chart,
        {"bytes": NamedArray(np.array([n for _, n in rows], dtype=np.int64), ("architecture",))},
        alt_text,
        finding=_carries([(t(f"viz.architecture.{a}"), float(n)) for a, n in rows], t),
    )


@figure("growth", of="other")
def growth(
    curves: Mapping[str, Sequence[tuple[int, int]]], *, theme: Theme, t: Translate, at: int | None = None
) -> Figure:
    """Draw bytes carried against tokens, by formula, per architecture: (tokens, bytes) pairs; both axes logarithmic.

    at: a number of tokens to mark with a vertical line, the prompt's own length.
    """
    lines = [
        Line(a, t(f"viz.architecture.{a}"), tuple((float(x), float(y)) for x, y in points if x > 0 and y > 0))
        for a, points in curves.items()
    ]

    def here(across: alt.X, _: alt.Y) -> tuple[list[alt.Chart], list[alt.Chart]]:
        if not at:
            return [], []
        base = table([{"x": float(at), "text": t("viz.growth.here", count=at)}])
        rule = base.mark_rule(color=theme.muted, strokeDash=[4, 4])
        text = base.mark_text(align="left", dx=6, y=8, fontSize=12, color=theme.muted)
        return [rule.encode(x=across)], [text.encode(x=across, text=alt.Text("text:N"))]

    chart = lines_chart(
        lines,
        x=ChartAxis(t("viz.axis.context"), "count", log=True),
        y=ChartAxis(t("viz.axis.carried"), "bytes", log=True),
        theme=theme,
        markers=False,
        around=here,
    )
    return Figure("growth", chart, _drawn(lines), t("viz.growth.alt"), finding=_grown(lines, t))


@figure("training_curves", of="other")
def training_curves(logs: Mapping[str, Sequence[tuple[float, float]]], *, theme: Theme, t: Translate) -> Figure:
    """Draw the loss of each bundled model, on a logarithmic axis, against the tokens it has seen: (tokens, loss) pairs.

    The line is a running mean over a fortieth of the log; the dots are the logged losses, of one batch each.
    """
    lines = [
        Line(
            a, t(f"viz.architecture.{a}"), _running_mean(points), samples=tuple((float(x), float(y)) for x, y in points)
        )
        for a, points in logs.items()
    ]
    chart = lines_chart(
        lines,
        x=ChartAxis(t("viz.axis.seen"), "many"),
        y=ChartAxis(t("viz.axis.loss"), log=True),
        theme=theme,
        markers=False,
    )
    logged = {
        f"{a}_logged": NamedArray(np.array(points).reshape(-1, 2), ("point", "x_y")) for a, points in logs.items()
    }
    found = extremes(last_of(lines), short)
    finding = t("viz.training_curves.finding", **found._asdict()) if found else ""
    return Figure("training_curves", chart, _drawn(lines) | logged, t("viz.training_curves.alt"), finding=finding)


def last_of(lines: Sequence[Line]) -> list[tuple[str, float]]:
    """Return the name and the last height of every line that has points."""
    return [(line.name, line.points[-1][1]) for line in lines if line.points]


def _carries(named: Sequence[tuple[str, float]], t: Translate) -> str:
    """Say who carries most and who least of (name, bytes) pairs."""
    found = extremes(named, size)
    return t("viz.carried_bytes.finding", **found._asdict()) if found else ""


def _grown(lines: Sequence[Line], t: Translate) -> str:
    """Say who carries most and least at the right end, where all lines end at one length."""
    ends = {line.points[-1][0] for line in lines if line.points}
    found = extremes(last_of(lines), size) if len(ends) == 1 else None
    return t("viz.growth.finding", count=f"{ends.pop():,.0f}", **found._asdict()) if found else ""


def _running_mean(points: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Average the second of each pair over its neighbours.

    At the start fewer, so that the mean stays centred where it falls; at the end those before it, so that the line does
    not end on the loss of one batch.
    """
    half = len(points) // (2 * SMOOTHED)
    reach = [min(half, i) for i in range(len(points))]
    values = [float(np.mean([y for _, y in points[i - r : i + r + 1]])) for i, r in enumerate(reach)]
    return tuple((float(x), value) for (x, _), value in zip(points, values, strict=True))


def _drawn(lines: Sequence[Line]) -> dict[str, NamedArray]:
    return {
        line.architecture: NamedArray(np.array(line.points, dtype=np.float64).reshape(-1, 2), ("point", "x_y"))
        for line in lines
    }
