"""The figure of recall against distance, to many times the longest sequence of training."""

from collections.abc import Callable, Mapping, Sequence

import altair as alt
import numpy as np

from models.records.recall import Accuracy
from models.records.trace import NamedArray
from viz.charts.series import ChartAxis, Line, lines_chart
from viz.figure import Figure, figure
from viz.look.labels import Translate
from viz.look.theme import Theme
from viz.look.vega import table
from viz.recall.findings import reach_finding

Guess = Callable[[Mapping[str, int]], float]


@figure("recall_far", of="recall")
def recall_far(
    cells: Mapping[str, Sequence[Accuracy]], *, axis: str, trained_to: int, guess: Guess, theme: Theme, t: Translate
) -> Figure:
    """Draw accuracy against distance on a logarithmic axis, one line per architecture with its 95 % interval.

    axis: along which the cells lie. trained_to: the largest value that training met, drawn as a line. guess: what
    guessing scores in a cell, drawn dashed.
    """
    lines = [
        Line(
            name, t(f"viz.architecture.{name}"),
            tuple((float(c.at[axis]), c.accuracy) for c in every),
            ribbon=tuple((float(c.at[axis]), c.low, c.high) for c in every),
        )
        for name, every in cells.items() if every
    ]  # fmt: skip
    places = {c.at[axis]: guess(c.at) for every in cells.values() for c in every}
    guessed = sorted(places.items())

    def around(across: alt.X, up: alt.Y) -> tuple[list[alt.Chart], list[alt.Chart]]:
        edge = table([{"x": float(trained_to), "text": t("viz.recall_far.trained", count=trained_to)}])
        rule = edge.mark_rule(color=theme.muted, strokeDash=[4, 4]).encode(x=across)
        said = edge.mark_text(align="left", baseline="bottom", dx=-4, y=-5, fontSize=12, color=theme.muted)
        chance = table([{"x": float(x), "y": share} for x, share in guessed])
        level = chance.mark_line(color=theme.muted, strokeDash=[2, 3], strokeWidth=1.5).encode(x=across, y=up)
        last = table([{"x": float(x), "y": share, "text": t("viz.recall_far.guess")} for x, share in guessed[:1]])
        words = last.mark_text(align="left", baseline="bottom", dy=-6, fontSize=12, color=theme.muted)
        return [rule, level], [said.encode(x=across, text=alt.Text("text:N")),
                               words.encode(x=across, y=up, text=alt.Text("text:N"))]  # fmt: skip

    chart = lines_chart(
        lines,
        x=ChartAxis(t(f"viz.recall.axis.{axis}"), "count", log=True),
        y=ChartAxis(t("viz.recall.axis.accuracy"), "share", top=1.0),
        theme=theme,
        around=around if guessed else None,
    )
    data = {name: _array([getattr(c, field) for c in every], axis) for name, every, field in _columns(cells)}
    data |= {"guess": _array([share for _, share in guessed], axis)}
    data |= {axis: _array([float(x) for x, _ in guessed], axis)}
    alt_text = t("viz.recall_far.alt", list=_ends(cells, t))
    return Figure("recall_far", chart, data, alt_text, finding=reach_finding(cells, axis, guess, t))


def _columns(cells: Mapping[str, Sequence[Accuracy]]) -> list[tuple[str, Sequence[Accuracy], str]]:
    return [(f"{name}_{field}", every, field) for name, every in cells.items() for field in ("accuracy", "low", "high")]


def _array(values: Sequence[float], axis: str) -> NamedArray:
    return NamedArray(np.array(values, dtype=np.float64), (axis,))


def _ends(cells: Mapping[str, Sequence[Accuracy]], t: Translate) -> str:
    """Name the accuracy of each architecture at its nearest and farthest distance."""
    return ", ".join(
        f"{t(f'viz.architecture.{name}')} {every[0].accuracy:.0%}–{every[-1].accuracy:.0%}"
        for name, every in cells.items() if every
    )  # fmt: skip
