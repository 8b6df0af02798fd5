"""Who is how many times as fast: a row per pair, its ratio with intervals on a logarithm, a panel per phase."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.records.trace import NamedArray
from models.units import ratio as ratio_text
from viz.charts.plot_axes import plot_axis
from viz.figure import Figure, figure
from viz.look.axes import ChartAxis
from viz.look.labels import Translate, architecture_name
from viz.look.plotly import PlotSpec, PlotTable, Trace, escaped, faded, plotted, written
from viz.look.theme import Theme

TOP, HEAD, ROW, FOOT = 30, 34, 46, 52  # pixels: above all, the title of a phase, a pair, the axis
TICKS = 6


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as fast a is as b in a phase: value >= 1 by the medians, with two intervals.

    shown: the 95 % interval; deciding: the wider one by which the pair was decided; infinite ends tell nothing. margin:
    the share from which a difference counts. a, b: architectures; where: at which length and batch, and says: the
    verdict, both in words.
    """

    phase: str
    a: str
    b: str
    where: str
    value: float
    shown: tuple[float, float]
    deciding: tuple[float, float]
    margin: float
    decided: bool
    says: str


@figure("ratios", of="other")
def ratios(found: Iterable[Ratio], *, theme: Theme, t: Translate) -> Figure | None:
    """Draw each pair as a dot with its intervals, the thick one 95 %, the thin one that which decided it.

    The line is at 1, the band within which a difference does not count; a pair that cannot be told apart is grey. In
    each phase the largest ratio is on top. None without a pair.
    """
    phases: dict[str, list[Ratio]] = {}
    for one in found:
        phases.setdefault(one.phase, []).append(one)
    for every in phases.values():
        every.sort(key=lambda one: -one.value)
    pairs = [one for every in phases.values() for one in every]
    if not pairs:
        return None
    decided = sum(one.decided for one in pairs)
    data = {
        phase: NamedArray(
            np.array([(one.value, *one.shown, *one.deciding, one.margin) for one in every]),
            ("pair", "value_low_high_least_most_margin"),
        )
        for phase, every in phases.items()
    }
    alt, finding = t("viz.ratios.alt", count=len(pairs)), t("viz.ratios.finding", decided=decided, count=len(pairs))
    return Figure("ratios", _chart(phases, theme, t), data, alt, t("viz.ratios.note"), finding)


def _chart(phases: dict[str, list[Ratio]], theme: Theme, t: Translate) -> PlotSpec:
    pairs = [one for every in phases.values() for one in every]
    inner = sum(HEAD + ROW * len(every) for every in phases.values())
    values = [end for one in pairs for end in (*_finite(one.shown), *_finite(one.deciding), one.value, 1.0)]
    across = plot_axis(ChartAxis("", "ratio", log=True), values, most=TICKS).log
    layout: dict[str, Any] = {
        "hovermode": "closest", "hoverdistance": 100, "showlegend": False,
        "margin": {"l": 8, "r": 8, "t": TOP, "b": FOOT, "pad": 4},
        "annotations": [written(t("viz.ratios.axis"), theme, x=1, xanchor="right", y=0, yanchor="top", yshift=-24)],
    }  # fmt: skip
    traces: list[Trace] = []
    at = 0
    for number, (phase, every) in enumerate(phases.items()):
        count, last = str(number + 1) if number else "", number == len(phases) - 1
        top = at + HEAD
        at = top + ROW * len(every)
        layout[f"xaxis{count}"] = across | {"anchor": f"y{count}", "showticklabels": last} | (
            {"matches": "x"} if number else {}
        )  # fmt: skip
        layout[f"yaxis{count}"] = {
            "anchor": f"x{count}", "domain": [max(0.0, 1 - at / inner), 1 - top / inner], "fixedrange": True,
            "range": [0.5 - len(every), 0.5], "showgrid": False, "showticklabels": False,
        }  # fmt: skip
        axes = {"xaxis": f"x{count}", "yaxis": f"y{count}"}
        title = written(t(f"viz.ratios.{phase}"), theme, x=0, xanchor="left", y=1 - top / inner, yanchor="bottom")
        title["font"] = title["font"] | {"color": theme.ink}
        layout["annotations"] += [title, *_words(every, f"y{count}", theme, t)]
        traces += [*_ground(every, axes, theme), *(_row(row, one, axes, theme) for row, one in enumerate(every))]
        traces += [_deciding(row, one, axes, theme) for row, one in enumerate(every)]
    return plotted(traces, layout, _table(pairs, t), theme=theme, t=t, height=TOP + inner + FOOT)


def _finite(ends: tuple[float, float]) -> list[float]:
    return [end for end in ends if math.isfinite(end) and end > 0]


def _color(one: Ratio, theme: Theme) -> str:
    return theme.color(one.a) if one.decided else theme.muted


def _ground(every: Sequence[Ratio], axes: dict[str, str], theme: Theme) -> list[Trace]:
    """Draw the line at 1, and around it for each pair the band within which a difference does not count."""
    quiet: Trace = {"type": "scatter", "mode": "lines", "hoverinfo": "skip", **axes}
    band: dict[str, Any] = {"x": [], "y": [], "fill": "toself", "fillcolor": faded(theme.muted, 0.2)}
    equal: dict[str, Any] = {"x": [], "y": [], "line": {"color": theme.muted, "width": 1, "dash": "dot"}}
    for row, one in enumerate(every):
        low, high, top, foot = 1 / (1 + one.margin), 1 + one.margin, -row, -0.45 - row
        band["x"] += [low, high, high, low, low, None]
        band["y"] += [top, top, foot, foot, top, None]
        equal["x"] += [1, 1, None]
        equal["y"] += [top, foot, None]
    return [quiet | band | {"line": {"width": 0}, "meta": "margin"}, quiet | equal | {"meta": "one"}]


def _row(row: int, one: Ratio, axes: dict[str, str], theme: Theme) -> Trace:
    """Draw the ratio and its 95 % interval; who points at the row reads the verdict."""
    color, ends = _color(one, theme), _finite(one.shown)
    low, high = ends if len(ends) == 2 else (one.value, one.value)
    said = f"{escaped(one.says)}<br>{escaped(one.where)}"
    return {
        "type": "scatter", "mode": "lines+markers", "meta": "ratio", **axes, "x": [low, one.value, high],
        "y": [-0.2 - row] * 3, "line": {"color": color, "width": 5}, "customdata": [said] * 3,
        "marker": {"size": [0, 11, 0], "color": color, "opacity": 1, "line": {"color": theme.card, "width": [0, 2, 0]}},
        "hovertemplate": "%{customdata}<extra></extra>",
    }  # fmt: skip


def _deciding(row: int, one: Ratio, axes: dict[str, str], theme: Theme) -> Trace:
    ends = _finite(one.deciding)
    return {
        "type": "scatter", "mode": "lines", "meta": "deciding", "hoverinfo": "skip", **axes,
        "x": ends if len(ends) == 2 else [], "y": [-0.2 - row] * 2 if len(ends) == 2 else [],
        "line": {"color": _color(one, theme), "width": 1.25},
    }  # fmt: skip


def _words(every: Sequence[Ratio], axis: str, theme: Theme, t: Translate) -> list[dict[str, Any]]:
    """Write over each row who is compared, and at the right the ratio with its interval."""
    found = []
    for row, one in enumerate(every):
        placed = {"yref": axis, "y": 0.2 - row, "yanchor": "middle"}
        pair = written("", theme, x=0, xanchor="left", **placed)
        first, second = (escaped(architecture_name(name, t)) for name in (one.a, one.b))
        color = _color(one, theme)
        pair["text"] = f"<b><span style='color:{color}'>{first}</span></b> / {second}"
        found += [pair, written(_numbers(one, t), theme, x=1, xanchor="right", **placed)]
    return found


def _numbers(one: Ratio, t: Translate) -> str:
    if len(_finite(one.shown)) < 2:
        return t("viz.ratios.once")
    low, high = (ratio_text(end) for end in (one.shown if one.decided else one.deciding))
    if not one.decided:
        return t("viz.ratios.between", low=low, high=high)
    return t("viz.ratios.times", ratio=ratio_text(one.value), low=low, high=high)


def _table(pairs: Sequence[Ratio], t: Translate) -> PlotTable:
    head = tuple(t(f"viz.ratios.{name}") for name in ("phase", "pair", "where", "axis", "verdict"))
    return PlotTable(
        head,
        tuple(
            (
                t(f"viz.ratios.{one.phase}"),
                f"{architecture_name(one.a, t)} / {architecture_name(one.b, t)}",
                one.where,
                _numbers(one, t),
                one.says,
            )
            for one in pairs
        ),
    )
