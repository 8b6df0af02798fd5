"""What plotly draws of one line, and below its plot of the cells that have no point."""

import math
from collections.abc import Sequence

from viz.charts.plot_line import PlotLine, Point
from viz.look.labels import Translate
from viz.look.plotly import DASHED, SYMBOLS, Trace, band, escaped, faded
from viz.look.theme import Theme

WIDTH = 480  # pixels that a plot has across, where words are kept apart


def heights_of(line: PlotLine) -> list[float]:
    """Return every height of a line that must have room."""
    values = [b for part in (line.points, line.samples, line.floor) for _, b in part]
    return values + [v for _, low, high in line.ribbon for v in (low, high)]


def traces_of(line: PlotLine, axes: tuple[str, str], met: set[str], theme: Theme) -> list[Trace]:
    """Draw one line from back to front. met: the series that have their entry among the names to click already."""
    color, key = theme.color(line.architecture), line.key or line.architecture
    placed = {"xaxis": axes[0], "yaxis": axes[1], "legendgroup": key}
    quiet: Trace = {"type": "scatter", "hoverinfo": "skip", "showlegend": False, **placed}
    drawn: list[Trace] = [band(line.ribbon, color, **placed)] if line.ribbon else []
    if line.floor:
        fine = {"color": color, "width": 1.25, "dash": "2px,3px"}
        drawn.append(quiet | _points(line.floor) | {"mode": "lines", "line": fine, "meta": "floor"})
    if line.samples:
        dots = {"size": 4, "color": faded(color, 0.3)}
        drawn.append(quiet | _points(line.samples) | {"mode": "markers", "marker": dots, "meta": "samples"})
    solid = line.solid or (False,) * len(line.points)
    drawn.append(
        {
            "type": "scatter", "mode": "lines+markers", **placed, "meta": "line",
            **(_points(line.points) if line.points else {"x": [None], "y": [None]}),  # else it has no name to click
            "name": escaped(line.name), "showlegend": key not in met,
            "line": {"color": color} | ({"width": 1.75, "dash": DASHED} if line.dashed else {"width": 2.25}),
            "marker": {
                "symbol": SYMBOLS.get(theme.marker(line.architecture), "circle"),
                "size": 7 if line.dashed else 9,
                "color": [color if full else theme.card for full in solid], "line": {"color": color, "width": 2},
            },
            "customdata": [_told(line.name, said) for said in line.says],
            "hovertemplate": "%{customdata}<extra></extra>",
        }
    )  # fmt: skip
    met.add(key)
    return drawn


def _points(points: Sequence[Point]) -> Trace:
    return {"x": [x for x, _ in points], "y": [y for _, y in points]}


def _told(name: str, said: Sequence[str]) -> str:
    """Write what stands beside a point: whose it is with its value, and below it every further fact."""
    value, *more = said
    return "<br>".join([f"<b>{escaped(name)}</b> {escaped(value)}", *(escaped(fact) for fact in more if fact)])


def lanes_of(lines: Sequence[PlotLine], axes: tuple[str, str], theme: Theme, t: Translate) -> list[Trace]:
    """Mark below a plot, a line per series, where a cell has no point, and write why where there is room."""
    found: list[Trace] = []
    lengths = [x for line in lines for x in (*(x for x, _ in line.points), *(x for x, _ in line.missing))]
    for row, line in enumerate(line for line in lines if line.missing):
        color = theme.color(line.architecture)
        said = [t("viz.plot.unmeasured", why=why) for _, why in line.missing]
        words = _beside([x for x, _ in line.missing], said, lengths)
        found.append(
            {
                "type": "scatter", "mode": "markers+text", "xaxis": axes[0], "yaxis": axes[1], "showlegend": False,
                "legendgroup": line.key or line.architecture, "x": [x for x, _ in line.missing], "meta": "missing",
                "y": [-row] * len(said), "cliponaxis": False, "textfont": {"size": 12, "color": color},
                "text": [escaped(text) for text, _ in words], "textposition": [side for _, side in words],
                "marker": {"symbol": "line-ns", "size": 10, "line": {"color": color, "width": 2}},
                "customdata": [_told(line.name, (text,)) for text in said],
                "hovertemplate": "%{customdata}<extra></extra>",
            }
        )  # fmt: skip
    return found


def _beside(marks: Sequence[float], said: Sequence[str], lengths: Sequence[float]) -> list[tuple[str, str]]:
    """Choose words and side of every mark: none where the mark before says the same or the words would meet others."""
    low, span = math.log(min(lengths)), math.log(max(lengths) / min(lengths)) or 1.0
    places = [WIDTH * (math.log(mark) - low) / span for mark in marks]
    taken: list[tuple[float, float]] = []
    found = []
    for n, (at, text) in enumerate(zip(places, said, strict=True)):
        long = sum(12 if ord(sign) > 0x1100 else 6.5 for sign in text) + 8
        left = at > WIDTH / 2
        start, end = (at - long, at) if left else (at, at + long)
        others = [*taken, *((place - 4, place + 4) for place in places if place != at)]
        free = text not in said[:n] and not any(first < end and start < last for first, last in others)
        taken += [(start, end)] if free else []
        found.append((text if free else "", "middle left" if left else "middle right"))
    return found
