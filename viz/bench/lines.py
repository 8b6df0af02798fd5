"""Lines of benchmark rows over context, a panel per batch: medians, quartiles, samples, and why cells have none."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.records.measurement import MEASURED, Measurement
from models.records.trace import NamedArray
from viz.bench.rows import Series, batches_of, is_degraded, series_of, state_of
from viz.charts.plot_line import Plot, PlotLine
from viz.charts.plots import context_plot
from viz.figure import Figure
from viz.look.axes import ChartAxis
from viz.look.labels import Translate
from viz.look.plotly import PlotTable
from viz.look.theme import Theme

SAMPLES = 40  # dots drawn of one place at most

Values = Callable[[Measurement], Sequence[float]]
Part = tuple[int, list[Series]]  # a batch and its series
Facts = Callable[[Series, float], Sequence[str]]  # what else is known of a series at a context, in words


@dataclass(frozen=True, slots=True)
class Quantity:
    """What lines show: values of a row, how one is written, floors by cell_id, notes by (batch, series), facts."""

    values: Values
    write: Callable[[float], str]
    floors: Mapping[str, float] | None = None
    notes: Mapping[tuple[int, str], Sequence[str]] | None = None
    facts: Facts | None = None


def parts_of(rows: Sequence[Measurement], *, t: Translate, among: Sequence[Measurement] | None = None) -> list[Part]:
    """Split rows by batch and these into series, named by what differs over all rows, or among others."""
    return [
        (batch, series_of([row for row in rows if row.batch == batch], t=t, among=among or rows))
        for batch in batches_of(rows)
    ]


def panels_of(
    parts: Sequence[Part], quantity: Quantity, *, t: Translate, beside: Sequence[Measurement] = ()
) -> list[Plot]:
    """Draw every series as a line. beside: rows of another run, which are drawn dashed where the batch is the same."""
    others = dict(parts_of(list(beside), t=t, among=[*(r for _, e in parts for s in e for r in s.rows), *beside]))
    return [
        Plot(
            t("viz.bench.batch", count=batch),
            tuple(_line(series, batch, quantity, t=t) for series in every)
            + tuple(_line(series, batch, quantity, t=t, dashed=True) for series in others.get(batch, ())),
        )
        for batch, every in parts
    ]


def context_figure(
    figure: str,
    panels: Sequence[Plot],
    data: Mapping[str, NamedArray],
    y: ChartAxis,
    *,
    batches: Sequence[int],
    theme: Theme,
    t: Translate,
    notes: Sequence[str] = (),
    finding: str = "",
) -> Figure:
    """Put panels over one axis of context. batches: of the panels."""
    axis = ChartAxis(t("viz.axis.context"), "count", log=True)
    numbers = _table(panels, batches, y.title, t)
    chart = context_plot(panels, x=axis, y=y, table=numbers, theme=theme, t=t)
    names = {line.architecture for panel in panels for line in panel.lines}
    words = [*notes, t("viz.plot.note_beside")] if _dashed(panels) else notes
    return Figure(figure, chart, data, t(f"viz.{figure}.alt", count=len(names)), " ".join(words), finding)


def _dashed(panels: Sequence[Plot]) -> bool:
    return any(line.dashed for panel in panels for line in panel.lines)


def _table(panels: Sequence[Plot], batches: Sequence[int], quantity: str, t: Translate) -> PlotTable:
    """Write a row per point and per cell without one, in order of series, batch and context."""
    several = len(panels) > 1
    head = [t("viz.plot.series"), *([t("viz.plot.batch")] if several else []), t("viz.axis.context"), quantity]
    rows: list[tuple[str, ...]] = []
    for batch, panel in zip(batches, panels, strict=True):
        for line in panel.lines:
            cells = [(x, said) for (x, _), said in zip(line.points, line.says, strict=True)]
            cells += [(x, (t("viz.plot.unmeasured", why=why),)) for x, why in line.missing]
            for x, said in sorted(cells):
                words = " · ".join(fact for fact in said if fact)
                rows.append((line.name, *([f"{batch}"] if several else []), f"{x:,.0f}", words))
    return PlotTable(tuple(head), tuple(rows))


def drawn(parts: Sequence[Part], panels: Sequence[Plot]) -> dict[str, NamedArray]:
    """Return the points of every line, and of its floor, as drawn; those of a second run under <series>_beside."""
    found = {}
    for (batch, _), panel in zip(parts, panels, strict=True):
        for line in panel.lines:
            key = data_key(line.key, batch, parts) + ("_beside" if line.dashed else "")
            found[key] = NamedArray(np.array(line.points, dtype=np.float64).reshape(-1, 2), ("point", "x_y"))
            if line.floor:
                found[f"{key}_floor"] = NamedArray(np.array(line.floor, dtype=np.float64), ("point", "x_y"))
    return found


def data_key(series: str, batch: int, parts: Sequence[Part]) -> str:
    """Name the array of a series by its key: its batch is in it only where there are several."""
    return series if len(parts) < 2 else f"{series}_b{batch}"


def pooled(rows: Iterable[Measurement], values: Values) -> dict[int, list[float]]:
    """Pool the samples of each context, in order of context; a row that failed adds nothing."""
    groups: dict[int, list[float]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.context):
        if found := _values(row, values):
            groups[row.context].extend(found)
    return dict(groups)


def _values(row: Measurement, values: Values) -> list[float]:
    return [float(v) for v in values(row) if v > 0] if row.state in MEASURED else []


def _line(series: Series, batch: int, quantity: Quantity, *, t: Translate, dashed: bool = False) -> PlotLine:
    points, ribbon, dots, says = [], [], [], []
    groups = pooled(series.rows, quantity.values)
    floors = {} if dashed else quantity.floors or {}
    floor = sorted({(float(row.context), floors[row.cell_id]) for row in series.rows if row.cell_id in floors})
    for context, every in groups.items():
        found = np.array(every)
        low, middle, high = (float(v) for v in np.quantile(found, [0.25, 0.5, 0.75]))
        points.append((float(context), middle))
        half = t("viz.plot.half", low=quantity.write(low), high=quantity.write(high)) if len(found) > 1 else ""
        more = quantity.facts(series, context) if quantity.facts else ()
        says.append((quantity.write(middle), half, *_least(floor, context, quantity.write, t), *more))
        if len(found) > 1 and not dashed:
            ribbon.append((float(context), low, high))
            dots += [(float(context), float(v)) for v in _thinned(found)]
    weak = {row.context for row in series.rows if is_degraded(row)}
    return PlotLine(
        series.architecture, t("viz.plot.beside", name=series.name) if dashed else series.name, tuple(points),
        tuple(says), tuple(ribbon), tuple(dots), _missing(series, groups, t), key=series.key, dashed=dashed,
        solid=tuple(context not in weak for context in groups), floor=tuple(floor),
        floor_name=t("viz.decode_vs_context.floor") if floor else "",
        note=() if dashed else tuple((quantity.notes or {}).get((batch, series.key), ())),
    )  # fmt: skip


def _least(
    floor: Sequence[tuple[float, float]], context: float, write: Callable[[float], str], t: Translate
) -> Sequence[str]:
    return [t("viz.decode_vs_context.tip_floor", time=write(least)) for at, least in floor if at == context]


def _missing(series: Series, groups: Mapping[int, Sequence[float]], t: Translate) -> tuple[tuple[float, str], ...]:
    """Return the contexts at which no cell of the series has a value, each with the reason in words."""
    failed: dict[int, str] = {}
    for row in series.rows:
        if row.context not in groups and not row.timed:
            failed.setdefault(row.context, state_of(row))
    return tuple((float(context), t(f"viz.state.{state}")) for context, state in sorted(failed.items()))


def _thinned(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Keep at most SAMPLES values, evenly through their order of size, ends included."""
    if len(values) <= SAMPLES:
        return values
    return np.take(np.sort(values), np.linspace(0, len(values) - 1, SAMPLES).round().astype(int))
