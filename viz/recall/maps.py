"""Figures of recall: accuracy over distance and number of pairs, beside the bytes carried."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np

from models.records.recall import Accuracy
from models.records.trace import NamedArray
from viz.charts.curves import last_of
from viz.charts.series import ChartAxis, Line, lines_chart
from viz.figure import Figure, figure
from viz.look.extremes import extremes
from viz.look.labels import Translate, short, size
from viz.look.theme import Theme, ramp_between, sequential
from viz.look.vega import Layer, styled, table
from viz.recall.findings import far_finding, map_finding, seeds_finding

CELL = 44  # pixels high
TITLE = 62  # pixels: name and mean above a map
BARS = 84  # pixels: the bytes under a map


Guess = Callable[[Mapping[str, int]], float]


@dataclass(frozen=True, slots=True)
class Layout:
    """The cells of a task: across is the axis from left to right, up the one from bottom to top (None: a single row).

    guess: what guessing scores in the cell at a place along the axes; trained_to: the largest value along across that
    training met; most_bytes: carried by any model in any cell, where bars end.
    """

    across: str
    up: str | None
    places: Sequence[int]
    rows: Sequence[int]
    guess: Guess
    trained_to: int
    most_bytes: int


def layout_of(cells: Sequence[Accuracy], axes: Sequence[str], *, guess: Guess, trained_to: int) -> Layout:
    """Lay out all cells of a task: the first axis goes across, the second, where there is one, up."""
    places, rows = (sorted({cell.at[axis] for cell in cells}) for axis in (axes[0], axes[-1]))
    most = max(cell.bytes_carried for cell in cells)
    up = axes[1] if len(axes) > 1 else None
    return Layout(axes[0], up, places, rows if up else [0], guess, trained_to, most)


@figure("recall_map", of="recall")
def recall_map(
    cells: Mapping[str, Sequence[Accuracy]], layout: Layout, *, theme: Theme, t: Translate, live: bool = False
) -> Figure:
    """Draw one map per architecture, accuracy in every cell, over a bar of the bytes carried at that distance.

    Colour runs from what guessing scores in a cell to 1, alike for every architecture; a cell whose 95 % interval does
    not lie above guessing is hatched, and cells that are not measured yet stay empty. Right of the dashed line
    distances are longer than any met in training. Bytes share one linear scale over all maps.
    """
    frame = _Frame(tuple(cells), layout)
    rows = [row for name, every in cells.items() for row in _tiles(name, every, frame, theme, t)]
    tip = [
        alt.Tooltip(f"{field}:N", title=t(f"viz.recall.tip.{field}"))
        for field in ("name", "cell", "share", "interval", "guess", "asked", "carried")
    ]
    done = table([row for row in rows if row["measured"]] or rows).transform_filter("datum.measured")
    edge: dict[str, Any] = {"cornerRadius": 4, "stroke": _line(theme), "strokeWidth": 1}
    ground = table(rows).mark_rect(fill=theme.chip, **edge).encode(x=frame.x(t), y=frame.y(t))
    tiles = done.mark_rect(**edge).encode(
        x=frame.x(t), y=frame.y(t), color=alt.Color("color:N", scale=None), tooltip=tip
    )
    guessed = done.transform_filter("datum.guessed").mark_rect(**edge, fill=_hatch(theme))
    hatched = guessed.encode(x=frame.x(t), y=frame.y(t), tooltip=tip)
    narrow, middling = frame.narrow, frame.middling
    small: Any = alt.ExprRef(f"{narrow} ? (length(datum.short) > 2 ? 8 : 11) : {middling} ? 10 : 13")
    face: Any = alt.ExprRef(f"{narrow} ? {theme.font!r} : {theme.mono!r}")  # its digits are narrower
    numbers = done.mark_text(font=face, fontSize=small).encode(
        x=frame.x(t), y=frame.y(t), text=alt.Text("short:N"), color=alt.Color("ink:N", scale=None), tooltip=tip
    )
    layers: list[Layer] = [[ground, tiles, hatched, numbers], *_titles(cells, frame, theme, t)]
    if bars := _bars(cells, frame, theme, t):
        layers.append(bars)
    if layout.trained_to < layout.places[-1]:
        layers.append(_border(frame, theme, t))
    chart = styled(layers, theme, height=frame.height + 48, free_y=True)
    text = t("viz.recall_map.alt_live" if live else "viz.recall_map.alt", list=_summary(cells, t))
    return Figure("recall_map", chart, _arrays(cells, layout), text, finding=map_finding(cells, t))


@figure("recall_against_bytes", of="recall")
def recall_against_bytes(
    cells: Mapping[str, Sequence[Accuracy]], layout: Layout, *, theme: Theme, t: Translate
) -> Figure:
    """Draw accuracy against the bytes carried, one point per distance (mean over its cells), near to far."""
    lines = []
    for name, every in cells.items():
        groups = [[c for c in every if c.at[layout.across] == place] for place in layout.places]
        points = [(_mean(g, "bytes_carried"), _mean(g, "accuracy")) for g in groups if g]
        ribbon = [(_mean(g, "bytes_carried"), _mean(g, "low"), _mean(g, "high")) for g in groups if g]
        lines.append(Line(name, t(f"viz.architecture.{name}"), tuple(points), ribbon=tuple(ribbon)))
    accuracy = ChartAxis(t("viz.recall.axis.accuracy"), "share", top=1.0)
    chart = lines_chart(lines, x=ChartAxis(t("viz.recall.axis.bytes"), "bytes", log=True), y=accuracy, theme=theme)
    data = {
        f"{line.architecture}_{name}": NamedArray(np.array([p[i] for p in line.points]), (layout.across,))
        for line in lines
        for i, name in enumerate(("bytes", "accuracy"))
    }
    finding = far_finding(lines, len(layout.places), t)
    return Figure("recall_against_bytes", chart, data, t("viz.recall_against_bytes.alt"), finding=finding)


@figure("recall_lessons", of="recall")
def recall_lessons(logs: Mapping[str, Sequence[tuple[int, float]]], *, theme: Theme, t: Translate) -> Figure:
    """Draw the loss of each micro-model against the training step: (step, loss in nats per question) pairs."""
    lines = [
        Line(name, t(f"viz.architecture.{name}"), tuple((float(x), float(y)) for x, y in points))
        for name, points in logs.items()
    ]
    chart = lines_chart(
        lines, x=ChartAxis(t("viz.recall.axis.step")), y=ChartAxis(t("viz.axis.loss")), theme=theme, markers=False
    )
    data = {line.architecture: NamedArray(np.array(line.points).reshape(-1, 2), ("point", "xy")) for line in lines}
    found = extremes(last_of(lines), short)
    finding = t("viz.recall_lessons.finding", **found._asdict()) if found else ""
    return Figure("recall_lessons", chart, data, t("viz.recall_lessons.alt"), finding=finding)


@figure("recall_seeds", of="recall")
def recall_seeds(
    runs: Mapping[str, Sequence[tuple[int, Sequence[Accuracy]]]],
    *,
    theme: Theme,
    t: Translate,
    bundled: int,
    guess: Guess,
) -> Figure:
    """Draw the mean accuracy over all cells of every trained seed, the bundled one filled, and the line of guessing.

    runs: per architecture (seed, cells). guess: what guessing scores in a cell; the line is its mean over the cells.
    """
    names = [t(f"viz.architecture.{a}") for a in runs]
    rows = [
        {"architecture": a, "name": t(f"viz.architecture.{a}"), "seed": seed, "kept": seed == bundled,
         "accuracy": _mean(cells, "accuracy"), "text": f"{_mean(cells, 'accuracy'):.0%}"}
        for a, every in runs.items()
        for seed, cells in sorted(every, key=lambda run: run[0] == bundled)  # drawn last, on top
    ]  # fmt: skip
    base = table(rows)
    x = alt.X("accuracy:Q", title=t("viz.recall.axis.mean"), scale=alt.Scale(domain=[0, 1]),
              axis=alt.Axis(format=".0%", grid=True, tickCount=5))  # fmt: skip
    y = alt.Y("name:N", sort=names, title=None, axis=alt.Axis(labelFontSize=14, labelColor=theme.ink))
    scale = alt.Scale(domain=list(runs), range=[theme.color(a) for a in runs])
    color = alt.Color("architecture:N", scale=scale, legend=None)
    shape = alt.Shape(
        "architecture:N",
        scale=alt.Scale(domain=list(runs), range=[theme.markers.get(a, "circle") for a in runs]),
        legend=None,
    )
    tip = [alt.Tooltip("name:N", title=" "), alt.Tooltip("seed:Q", title=t("viz.recall.seed")),
           alt.Tooltip("accuracy:Q", format=".1%", title=t("viz.recall.axis.mean"))]  # fmt: skip
    span = base.mark_line(strokeWidth=2, opacity=0.5).encode(x=x, y=y, color=color)
    marks = base.mark_point(size=110, strokeWidth=2, opacity=1).encode(
        x=x, y=y, color=color, shape=shape, tooltip=tip,
        fill=alt.condition("datum.kept", color, alt.value(theme.card)),
    )  # fmt: skip
    every_place = {tuple(c.at.items()) for every in runs.values() for _, cells in every for c in cells}
    guessed = float(np.mean([guess(dict(at)) for at in every_place])) if every_place else 0.0
    line = table([{"accuracy": guessed, "text": t("viz.recall.guess", share=f"{guessed:.0%}")}])
    rule = line.mark_rule(color=theme.muted, strokeDash=[4, 4]).encode(x=x)
    said = line.mark_text(align="left", baseline="top", dx=6, color=theme.muted, fontSize=12)
    named = said.encode(x=x, y=alt.value(0), text=alt.Text("text:N"))
    chart = styled([rule, named, span, marks], theme, height=44 * max(len(runs), 1) + 66)
    array = np.array([[_mean(cells, "accuracy") for _, cells in every] for every in runs.values()])
    data = {
        "accuracy": NamedArray(array, ("architecture", "seed")),
        "guess": NamedArray(np.array([guessed]), ("value",)),
    }
    means = {t(f"viz.architecture.{name}"): row for name, row in zip(runs, array, strict=True)}
    alt_text = t("viz.recall_seeds.alt", list=_spread(runs, t))
    return Figure("recall_seeds", chart, data, alt_text, finding=seeds_finding(means, t))


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where things stand in the picture: maps side by side on one band scale, titles above, bars below; in pixels."""

    names: tuple[str, ...]
    layout: Layout

    @property
    def narrow(self) -> str:
        """The condition, for Vega, that maps are as narrow as on a phone."""
        return f"width < {105 * max(len(self.names), 1)}"

    @property
    def middling(self) -> str:
        """The condition that maps have no room for numbers of full size."""
        return f"width < {155 * max(len(self.names), 1)}"

    @property
    def foot(self) -> int:
        return TITLE + CELL * len(self.layout.rows)

    @property
    def height(self) -> int:
        return self.foot + BARS

    def column(self, name: str, place: int) -> str:
        return f"{name}|{place}"

    def x(self, t: Translate, *, band: float | None = None) -> alt.X:
        columns: list[str] = []
        for name in self.names:
            columns += [*([f"{name}|"] if columns else []), *(self.column(name, place) for place in self.layout.places)]
        scale = alt.Scale(domain=columns, paddingInner=0.07, paddingOuter=0)
        title = t(f"viz.recall.axis.{self.layout.across}")
        ends = [self.layout.places[0], self.layout.places[-1]]  # all that has room on a phone
        label = "split(datum.label, '|')[1]"
        shown = f"{self.narrow} && indexof({ends}, +{label}) < 0 ? '' : {label}"
        axis = alt.Axis(labelExpr=shown, labelAngle=0, title=title, labelOverlap=False,
                        labelFontSize=12, labelPadding=4)  # fmt: skip
        more: dict[str, Any] = {} if band is None else {"bandPosition": band}
        return alt.X("column:N", sort=None, scale=scale, axis=axis, **more)

    def y(self, t: Translate) -> alt.Y:
        rows = [str(row) for row in reversed(self.layout.rows)]
        scale = alt.Scale(domain=rows, range=[TITLE, self.foot], paddingInner=0.07, paddingOuter=0)
        if self.layout.up is None:
            return alt.Y("row:N", sort=None, scale=scale, axis=None)
        axis = alt.Axis(title=t(f"viz.recall.axis.{self.layout.up}"), titleX=-24, titleY=TITLE - 10, titleFontSize=12)
        return alt.Y("row:N", sort=None, scale=scale, axis=axis)

    def height_of_bar(self) -> alt.Y:
        scale = alt.Scale(domain=[0, self.layout.most_bytes], range=[self.height, self.foot + 26], nice=False)
        return alt.Y("bytes:Q", scale=scale, axis=None)


def _tiles(name: str, cells: Sequence[Accuracy], frame: _Frame, theme: Theme, t: Translate) -> Iterator[dict[str, Any]]:
    """Say for every cell of a map where it is, its colour, and what stands in it."""
    layout = frame.layout
    ramp = sequential(name, theme)
    measured = {(c.at[layout.across], c.at[layout.up] if layout.up else 0): c for c in cells}
    for row in layout.rows:
        for place in layout.places:
            cell = measured.get((place, row))
            here = {
                "column": frame.column(name, place),
                "row": str(row),
                "measured": cell is not None,
                "guessed": False,
            }
            words = dict.fromkeys(
                ("name", "short", "cell", "share", "interval", "guess", "asked", "carried", "color", "ink"), ""
            )
            if cell is not None:
                guess = layout.guess(cell.at)
                level = min(max((cell.accuracy - guess) / (1 - guess), 0.0), 1.0)
                here["guessed"] = cell.low <= guess
                words = {
                    "name": t(f"viz.architecture.{name}"),
                    "color": (color := ramp[int(level * (len(ramp) - 1))]),
                    "ink": theme.ink if cell.low <= guess else theme.text_on(color),
                    "guess": f"{guess:.1%}",
                    **_readout(cell, t),
                }
            yield here | words


def _line(theme: Theme) -> str:
    """Return the colour of lines around and across cells."""
    return ramp_between(theme.card, theme.muted)[80]


def _hatch(theme: Theme) -> alt.Gradient:
    """Return diagonal stripes: a gradient whose colours change at once."""
    stripes = 9
    colors = (theme.card, ramp_between(theme.card, theme.muted)[56])
    stops = [
        {"offset": (i + side) / (2 * stripes), "color": colors[i % 2]} for i in range(2 * stripes) for side in (0, 1)
    ]
    found: alt.Gradient = alt.Gradient.from_dict(
        {"gradient": "linear", "x1": 0, "y1": 0, "x2": 1, "y2": 1, "stops": stops}
    )
    return found


def _readout(cell: Accuracy, t: Translate) -> dict[str, str]:
    return {
        "short": f"{100 * cell.accuracy:.0f}",
        "cell": ", ".join(f"{t(f'viz.recall.axis.{axis}')} {value}" for axis, value in cell.at.items()),
        "share": f"{cell.accuracy:.1%}",
        "interval": f"{cell.low:.1%} – {cell.high:.1%}",
        "asked": f"{cell.count:,}",
        "carried": f"{size(cell.bytes_carried)} · {t('viz.tokens', count=cell.length)}",
    }


def _titles(cells: Mapping[str, Sequence[Accuracy]], frame: _Frame, theme: Theme, t: Translate) -> list[alt.Chart]:
    """Write each architecture's name and mean over its map."""
    first = frame.layout.places[0]
    rows = [
        {"column": frame.column(name, first), "name": t(f"viz.architecture.{name}"), "color": theme.color(name),
         "mean": t("viz.recall.mean", share=f"{_mean(every, 'accuracy'):.0%}") if every else t("viz.recall.waiting")}
        for name, every in cells.items()
    ]  # fmt: skip
    base, x = table(rows), frame.x(t, band=0)
    style: dict[str, Any] = {"align": "left", "baseline": "top"}
    return [
        base.mark_text(**style, fontSize=alt.ExprRef(f"{frame.narrow} ? 11 : 15"), fontWeight=600).encode(
            x=x, y=alt.value(0), text=alt.Text("name:N"), color=alt.Color("color:N", scale=None)
        ),
        base.mark_text(**style, fontSize=alt.ExprRef(f"{frame.narrow} ? 10 : 13"), color=theme.muted).encode(
            x=x, y=alt.value(21), text=alt.Text("mean:N")
        ),
    ]


def _bars(cells: Mapping[str, Sequence[Accuracy]], frame: _Frame, theme: Theme, t: Translate) -> list[alt.Chart]:
    """Draw the bytes carried at each distance (mean over its cells) below a map, the number above each bar."""
    rows: list[dict[str, Any]] = []
    for name, every in cells.items():
        for place in frame.layout.places:
            if group := [c for c in every if c.at[frame.layout.across] == place]:
                bytes_ = _mean(group, "bytes_carried")
                column, text = (
                    frame.column(name, place),
                    size(bytes_).replace(" KiB", "K").replace(" MiB", "M"),
                )
                rows.append({"column": column, "bytes": bytes_, "text": text, "color": theme.color(name)})
    if not rows:
        return []
    base, x, y = table(rows), frame.x(t), frame.height_of_bar()
    bar = base.mark_bar(opacity=0.55, cornerRadiusEnd=2).encode(
        x=x, y=y, y2=alt.datum(0), color=alt.Color("color:N", scale=None)
    )
    small: Any = alt.ExprRef(f"{frame.middling} ? ({frame.narrow} ? 0 : 8) : 11")
    text = base.mark_text(font=theme.mono, fontSize=small, baseline="bottom", dy=-3, color=theme.muted)
    return [bar, text.encode(x=x, y=y, text=alt.Text("text:N"))]


def _border(frame: _Frame, theme: Theme, t: Translate) -> alt.Chart:
    """Draw the line between the distances met in training and those beyond."""
    beyond = next(place for place in frame.layout.places if place > frame.layout.trained_to)
    base = table([{"column": frame.column(name, beyond)} for name in frame.names])
    rule: alt.Chart = base.mark_rule(color=theme.ink, strokeDash=[3, 3], strokeWidth=1.2, opacity=0.75, xOffset=-2)
    return rule.encode(x=frame.x(t, band=0), y=alt.value(TITLE - 4), y2=alt.value(frame.foot + 4))


def _mean(cells: Sequence[Accuracy], name: str) -> float:
    return float(np.mean([getattr(cell, name) for cell in cells])) if cells else 0.0


def _summary(cells: Mapping[str, Sequence[Accuracy]], t: Translate) -> str:
    return ", ".join(
        f"{t(f'viz.architecture.{a}')} {_mean(every, 'accuracy'):.0%}" for a, every in cells.items() if every
    )


def _spread(runs: Mapping[str, Sequence[tuple[int, Sequence[Accuracy]]]], t: Translate) -> str:
    found = []
    for name, every in runs.items():
        means = [_mean(cells, "accuracy") for _, cells in every]
        found.append(f"{t(f'viz.architecture.{name}')} {min(means):.0%}–{max(means):.0%}")
    return ", ".join(found)


def _arrays(cells: Mapping[str, Sequence[Accuracy]], layout: Layout) -> dict[str, NamedArray]:
    """Return what is drawn: (architecture, row, place), nan where nothing is measured yet."""
    shape = (len(cells), len(layout.rows), len(layout.places))
    arrays = {name: np.full(shape, np.nan) for name in ("accuracy", "low", "high", "bytes_carried")}
    for i, every in enumerate(cells.values()):
        for cell in every:
            row = layout.rows.index(cell.at[layout.up]) if layout.up else 0
            for name, array in arrays.items():
                array[i, row, layout.places.index(cell.at[layout.across])] = getattr(cell, name)
    dims = ("architecture", layout.up or "row", layout.across)
    return {name: NamedArray(array, dims) for name, array in arrays.items()}
