"""Lines over context as a plotly figure: panels on the same axes, and below each why cells have no point."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from viz.charts.plot_axes import plot_axis
from viz.charts.plot_line import Plot, PlotLine
from viz.charts.plot_names import NAME, Names, label_room, names_of
from viz.charts.plot_traces import heights_of, lanes_of, traces_of
from viz.look.axes import ChartAxis
from viz.look.labels import Translate
from viz.look.plotly import PlotSpec, PlotTable, Trace, choice, plotted, written
from viz.look.theme import Theme

TOP, HEAD, FOOT, KEYS = 38, 28, 76, 34  # pixels: above all, the title of a panel, axis with buttons, names to click
ALONE, EACH = 300, 220  # pixels: the plot of a single panel, of one of several
LANE = 18  # pixels: the line of a series that says why cells have no point
NEAR = 12  # pixels between a plot and what stands below it


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a panel stands: names of its axes, and pixels from the top of the first panel to its plot and its end."""

    x: str
    y: str
    lane: str
    top: int
    foot: int
    end: int

    @classmethod
    def of(cls, number: int, top: int, foot: int, end: int) -> "_Place":
        count = ["", *(str(n) for n in range(2, 2 * number + 4))]
        return cls(f"x{count[number]}", f"y{count[2 * number]}", f"y{count[2 * number + 1]}", top, foot, end)


def context_plot(
    panels: Sequence[Plot], *, x: ChartAxis, y: ChartAxis, table: PlotTable, theme: Theme, t: Translate
) -> PlotSpec:
    """Draw panels above each other on the same two axes, both logarithmic until a button makes them linear.

    Who points at a length reads all lines there; a click on a name leaves that series alone. A single panel has no
    title of its own.
    """
    shown = tuple(panels) or (Plot("", ()),)
    at = f"<b>{t('viz.plot.at', context='%{x:,d}')}</b>"
    reading = {"hovermode": "x unified", "hoversubplots": "axis", "hoverdistance": 40}
    return _drawn(shown, reading, x=x, y=y, table=table, theme=theme, t=t, at=at)


def points_plot(
    lines: Sequence[PlotLine],
    *,
    x: ChartAxis,
    y: ChartAxis,
    table: PlotTable,
    theme: Theme,
    t: Translate,
    behind: Sequence[Trace] = (),
    before: Sequence[Trace] = (),
) -> PlotSpec:
    """Draw lines over a quantity that is no length, where one reads the point that is nearest to the pointer.

    behind, before: traces on the same axes.
    """
    reading = {"hovermode": "closest"}
    return _drawn((Plot("", tuple(lines)),), reading, x=x, y=y, table=table, theme=theme, t=t, around=(behind, before))


def _drawn(
    panels: Sequence[Plot],
    reading: Mapping[str, Any],
    *,
    x: ChartAxis,
    y: ChartAxis,
    table: PlotTable,
    theme: Theme,
    t: Translate,
    at: str = "",
    around: tuple[Sequence[Trace], Sequence[Trace]] = ((), ()),
) -> PlotSpec:
    """Put panels over each other. reading: how a pointer reads; at: what stands over the words beside a length."""
    places, lines = _places(panels), [line for panel in panels for line in panel.lines]
    inner, room, heights = places[-1].end, label_room(lines), [height for line in lines for height in heights_of(line)]
    traces: list[Trace] = [*around[0]]
    names: list[Names] = []
    met: set[str] = set()
    for panel, place in zip(panels, places, strict=True):
        traces += [one for line in panel.lines for one in traces_of(line, (place.x, place.y), met, theme)]
        traces += lanes_of(panel.lines, (place.x, place.lane), theme, t)
        names += names_of(panel.lines, y, heights, theme, room=place.foot - place.top, axes=(place.x, place.y))
    traces += around[1]
    log, linear = _axes(x, y, lines, heights, places, inner, at)
    layout: dict[str, Any] = _nested(log) | {
        **reading,
        "margin": {"l": 64, "r": room, "t": TOP, "b": FOOT + KEYS, "pad": 4},
        "legend": {"y": -(FOOT + KEYS) / inner},
        "updatemenus": [_switch(log, linear, names, len(traces), theme, t)],
        "annotations": _titles(panels, places, inner, x, y, theme, room),
    }  # fmt: skip
    traces += [one.trace for one in names]
    return plotted(traces, layout, table, theme=theme, t=t, height=TOP + inner + FOOT + KEYS)


def _switch(
    log: Mapping[str, Any], linear: Mapping[str, Any], names: Sequence[Names], first: int, theme: Theme, t: Translate
) -> dict[str, Any]:
    """Offer logarithmic and linear axes; the names, traces from the first on, are kept apart on both."""
    moved = list(range(first, first + len(names)))
    back = {key: log[key] for key in linear if key in log}
    acts = (({"y": [one.trace["y"] for one in names]}, back, moved), ({"y": [n.linear for n in names]}, linear, moved))
    return choice((t("viz.plot.log"), t("viz.plot.linear")), acts, theme=theme)


def _places(panels: Sequence[Plot]) -> list[_Place]:
    """Give every panel its place: a title where there are several, the plot, a line for each series with gaps."""
    found: list[_Place] = []
    at = 0
    for number, panel in enumerate(panels):
        top = at + (HEAD if len(panels) > 1 else 0)
        foot = top + (EACH if len(panels) > 1 else ALONE)
        lanes = sum(bool(line.missing) for line in panel.lines)
        at = foot + NEAR + LANE * lanes if lanes else foot
        found.append(_Place.of(number, top, foot, at))
        at += 8
    return found


def _axes(
    x: ChartAxis, y: ChartAxis, lines: Sequence[PlotLine], heights: Sequence[float], places: Sequence[_Place],
    inner: int, at: str,
) -> tuple[dict[str, Any], dict[str, Any]]:  # fmt: skip
    """Return all axes as attributes of the layout by path, and those of them that change with a linear scale."""
    lengths = sorted({at for line in lines for at in (*(a for a, _ in line.points), *(a for a, _ in line.missing))})
    across, up = plot_axis(x, lengths, exact=x.unit == "count"), plot_axis(y, heights)
    log: dict[str, Any] = {}
    linear: dict[str, Any] = {}
    for number, place in enumerate(places):
        ends = place.end != place.foot
        names = (f"xaxis{place.x[1:]}", f"yaxis{place.y[1:]}", f"yaxis{place.lane[1:]}")
        own: list[Mapping[str, Any]] = [
            across.log | {
                "anchor": place.lane if ends else place.y, "showticklabels": number == len(places) - 1,
                "unifiedhovertitle": {"text": at},
            } | ({"matches": "x"} if number else {}),
            up.log | {"anchor": place.x, "domain": _share(place.foot, place.top, inner)}
            | ({"matches": "y"} if number else {}),
        ]  # fmt: skip
        if ends:
            rows = (place.end - place.foot - NEAR) // LANE
            lane = {"domain": _share(place.end, place.foot + NEAR, inner), "range": [0.5 - rows, 0.5]}
            own.append(lane | {"anchor": place.x, "fixedrange": True, "showgrid": False, "showticklabels": False})
        for name, axis in zip(names, own, strict=False):
            log |= {f"{name}.{key}": value for key, value in axis.items()}
        for name, changed in zip(names, (across.linear, up.linear), strict=False):
            linear |= {f"{name}.{key}": value for key, value in changed.items()}
    return log, linear


def _share(foot: int, top: int, inner: int) -> list[float]:
    """Return pixels from the top as shares of the height from the bottom, lowest first."""
    return [max(0.0, 1 - foot / inner), 1 - top / inner]


def _nested(paths: Mapping[str, Any]) -> dict[str, Any]:
    """Write attributes by path, axis.attribute, as a dictionary of axes."""
    found: dict[str, Any] = {}
    for path, value in paths.items():
        axis, _, name = path.partition(".")
        found.setdefault(axis, {})[name] = value
    return found


def _titles(
    panels: Sequence[Plot], places: Sequence[_Place], inner: int, x: ChartAxis, y: ChartAxis, theme: Theme, room: int
) -> list[dict[str, Any]]:
    """Write the title of the vertical axis above each plot, with that of its panel, and the other below at the end."""
    above = {"x": 0, "xanchor": "left", "xshift": -60, "yanchor": "bottom", "yshift": 6}
    found = [
        written(
            f"{panel.title} · {y.title}" if len(panels) > 1 else y.title, theme, y=1 - place.top / inner, **above
        )
        for panel, place in zip(panels, places, strict=True)
    ]  # fmt: skip
    below = {"x": 1, "xanchor": "right", "xshift": room - 8, "y": 0, "yanchor": "top", "yshift": -NAME - 8}
    return [*found, written(x.title, theme, **below)]
