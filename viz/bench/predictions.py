"""Predicted against measured: bytes and times of the cells of a store, a panel each."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import altair as alt
import numpy as np

from models.records.trace import NamedArray
from viz.bench.findings import prediction_finding
from viz.bench.rows import ORDER
from viz.figure import Figure, figure
from viz.look.axes import ChartAxis, Unit, channel
from viz.look.labels import Translate, architecture_name, seconds, size
from viz.look.theme import Theme
from viz.look.vega import Layer, styled, table

BAND = 0.1  # of the measured value, drawn around equality
PANEL, KEY, HEAD, AXIS, FOOT = 216, 52, 30, 62, 48  # pixels: a plot, the key, a title, an axis between plots, the last
NARROW, COLUMN, LINE = 400, 116, 22  # pixels: a plot on which the key has two columns, one of these, a line of it


class PredictedCell(NamedTuple):
    """A measured cell: bytes or seconds."""

    architecture: str
    context: int
    batch: int
    predicted: float
    measured: float


@dataclass(frozen=True, slots=True)
class _Panel:
    """A quantity, or two of one unit: cells with filled marks, then those with hollow ones."""

    name: str
    unit: Unit
    filled: Sequence[PredictedCell]
    hollow: Sequence[PredictedCell] = ()

    @property
    def values(self) -> list[float]:
        """Return every number, predicted or measured; bytes with the labels of the axis on either side."""
        found = [value for cell in (*self.filled, *self.hollow) for value in (cell.predicted, cell.measured)]
        if not found or self.unit != "bytes":
            return found
        return [4.0 ** math.floor(math.log(min(found), 4)), *found, 4.0 ** math.ceil(math.log(max(found), 4))]


@figure("prediction_error", of="other")
def prediction_error(found: Mapping[str, Sequence[PredictedCell]], *, theme: Theme, t: Translate) -> Figure | None:
    """Draw measured over predicted values, both logarithmic: bytes above, times below, with the line of equality.

    found: the cells of "bytes", "decode" (a token, filled) and "prefill" (a prompt, hollow), as far as there are any.
    None without a cell.
    """
    memory = _Panel("bytes", "bytes", found.get("bytes", ()))
    times = _Panel("time", "seconds", found.get("decode", ()), found.get("prefill", ()))
    panels = [panel for panel in (memory, times) if panel.values]
    if not panels:
        return None
    cells = [cell for panel in panels for cell in (*panel.filled, *panel.hollow)]
    names = sorted({cell.architecture for cell in cells}, key=lambda name: (_rank(name), name))
    layers: list[Layer] = [_drawn(panel, place, len(panels), theme, t) for place, panel in enumerate(panels)]
    layers.append(_key(names, theme, t))
    height = KEY + len(panels) * (HEAD + PANEL) + (len(panels) - 1) * AXIS + FOOT
    data = {
        f"{quantity}_{name}": NamedArray(
            np.array([(c.predicted, c.measured) for c in found[quantity] if c.architecture == name]).reshape(-1, 2),
            ("cell", "predicted_measured"),
        )
        for quantity in found
        for name in names
        if any(cell.architecture == name for cell in found[quantity])
    }
    alt_text = t("viz.prediction_error.alt", bytes=len(memory.filled), times=len(times.filled))
    note = t("viz.prediction_error.note", band=f"{BAND:.0%}")
    if times.hollow:
        note += " " + t("viz.prediction_error.hollow")
    memory_said, token_said = ([(c.predicted, c.measured) for c in panel.filled] for panel in (memory, times))
    said = prediction_finding(memory_said, token_said, t)
    chart = styled(layers, theme, height=height, free_y=True, free_x=True)
    return Figure("prediction_error", chart, data, alt_text, note, said)


def _rank(architecture: str) -> int:
    return ORDER.index(architecture) if architecture in ORDER else len(ORDER)


def _drawn(panel: _Panel, place: int, count: int, theme: Theme, t: Translate) -> list[alt.Chart]:
    """Draw one of several panels above each other: its title, the band and the line of equality, and its cells."""
    each = f"(height - {KEY + count * HEAD + (count - 1) * AXIS}) / {count}"
    top = f"({KEY + HEAD} + {place} * ({each} + {HEAD + AXIS}))"
    axis = ChartAxis(t(f"viz.prediction_error.predicted.{panel.name}"), panel.unit, log=True)
    raised = f"height - {top} - {each}" if place < count - 1 else "0"
    x = channel("x", axis, panel.values, raised=raised)
    y = channel("y", axis, panel.values, within=[alt.ExprRef(f"{top} + {each}"), alt.ExprRef(top)])
    head = table([{"text": t(f"viz.prediction_error.measured.{panel.name}")}]).mark_text(
        align="left", baseline="middle", fontSize=13, color=theme.muted
    )
    return [
        *_equality(panel.values, x, y, theme),
        *(
            _marks(cells, x, y, panel.unit, theme, t, filled=cells is panel.filled)
            for cells in (panel.hollow, panel.filled)
            if cells
        ),
        head.encode(x=alt.value(0), y=alt.value(alt.ExprRef(f"{top} - 16")), text=alt.Text("text:N")),
    ]


def _equality(values: Sequence[float], x: Any, y: Any, theme: Theme) -> list[alt.Chart]:
    low, high = min(values), max(values)
    ends = table([{"x": v, "y": v * (1 - BAND), "high": v * (1 + BAND)} for v in (low, high)])
    line = table([{"x": v, "y": v} for v in (low, high)])
    return [
        ends.mark_area(color=theme.hairline, opacity=0.7, clip=True).encode(x=x, y=y, y2=alt.Y2("high:Q")),
        line.mark_line(color=theme.muted, strokeWidth=1).encode(x=x, y=y),
    ]


def _marks(
    cells: Sequence[PredictedCell], x: Any, y: Any, unit: Unit, theme: Theme, t: Translate, *, filled: bool
) -> alt.Chart:
    write = size if unit == "bytes" else seconds
    rows = [
        {
            "x": cell.predicted, "y": cell.measured, "architecture": cell.architecture,
            "fill": theme.color(cell.architecture) if filled else theme.card,
            "cell": t("viz.prediction_error.cell", name=architecture_name(cell.architecture, t),
                      context=f"{cell.context:,}", batch=cell.batch),
            "predicted": write(cell.predicted), "measured": write(cell.measured),
        }
        for cell in cells
    ]  # fmt: skip
    names = list(dict.fromkeys(cell.architecture for cell in cells))
    tips = [alt.Tooltip(f"{name}:N", title=t(f"viz.prediction_error.{name}")) for name in ("predicted", "measured")]
    marked: alt.Chart = table(rows).mark_point(size=58, strokeWidth=2, opacity=0.85)
    return marked.encode(
        x=x,
        y=y,
        color=alt.Color("architecture:N", scale=alt.Scale(domain=names, range=[*map(theme.color, names)]), legend=None),
        shape=alt.Shape("architecture:N", scale=_shapes(names, theme), legend=None),
        fill=alt.Fill("fill:N", scale=None),
        tooltip=[alt.Tooltip("cell:N", title=t("viz.prediction_error.of")), *tips],
    )


def _shapes(names: Sequence[str], theme: Theme) -> alt.Scale:
    return alt.Scale(domain=list(names), range=[theme.markers.get(name, "circle") for name in names])


def _key(names: Sequence[str], theme: Theme, t: Translate) -> list[alt.Chart]:
    """Name the architectures on top, each behind its mark: in a line, on a narrow card two by two."""
    layers, at = [], 8
    for place, name in enumerate(names):
        text = architecture_name(name, t)
        base = table([{"text": text, "architecture": name}])
        row, column = divmod(place, 2)
        x = alt.value(alt.ExprRef(f"width > {NARROW} ? {at} : {8 + COLUMN * column}"))
        y = alt.value(alt.ExprRef(f"width > {NARROW} ? 11 : {11 + LINE * row}"))
        mark = base.mark_point(size=58, strokeWidth=2, opacity=1, filled=True, color=theme.color(name))
        word = base.mark_text(align="left", baseline="middle", dx=11, fontSize=13, fontWeight=600)
        shape = alt.Shape("architecture:N", scale=_shapes(names, theme), legend=None)
        layers += [
            mark.encode(x=x, y=y, shape=shape),
            word.encode(x=x, y=y, color=alt.value(theme.color(name)), text=alt.Text("text:N")),
        ]
        at += 34 + sum(
            13 if ord(letter) > 0x1100 else 10 if letter in "mw" or letter.isupper() else 7 for letter in text
        )
    return layers
