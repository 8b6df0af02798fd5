"""Lines of benchmark rows over context, a panel per batch: medians, quartiles, samples and failures."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from models.records.measurement import MEASURED, Measurement
from models.records.trace import NamedArray
from viz.bench.rows import Series, batches_of, is_degraded, series_of, state_of
from viz.charts.series import ChartAxis, Line, Panel, panels_chart
from viz.figure import Figure
from viz.look.labels import Translate
from viz.look.theme import Theme

SAMPLES = 40  # dots drawn of one place at most

Values = Callable[[Measurement], Sequence[float]]
Part = tuple[int, list[Series]]  # a batch and its series


def parts_of(rows: Sequence[Measurement], *, t: Translate) -> list[Part]:
    """Split rows by batch and these into series, named by what differs over all rows."""
    return [
        (batch, series_of([row for row in rows if row.batch == batch], t=t, among=rows)) for batch in batches_of(rows)
    ]


def panels_of(
    parts: Sequence[Part],
    values: Values,
    *,
    t: Translate,
    floors: Mapping[str, float] | None = None,
    notes: Mapping[tuple[int, str], str] | None = None,
) -> list[Panel]:
    """Draw every series as a line. floors: by cell_id; notes: by (batch, key of the series)."""
    everything = [v for _, every in parts for series in every for row in series.rows for v in _values(row, values)]
    lowest = min(everything, default=1.0)
    return [
        Panel(
            t("viz.bench.batch", count=batch),
            tuple(
                _line(series, values, lowest, floors=floors or {}, note=(notes or {}).get((batch, series.key), ""), t=t)
                for series in every
            ),
        )
        for batch, every in parts
    ]


def context_figure(
    figure: str,
    panels: Sequence[Panel],
    data: Mapping[str, NamedArray],
    y: ChartAxis,
    *,
    theme: Theme,
    t: Translate,
    notes: Sequence[str] = (),
    finding: str = "",
) -> Figure:
    """Put panels over one axis of context."""
    chart = panels_chart(panels, x=ChartAxis(t("viz.axis.context"), "count", log=True), y=y, theme=theme)
    names = {line.architecture for panel in panels for line in panel.lines}
    return Figure(figure, chart, data, t(f"viz.{figure}.alt", count=len(names)), " ".join(notes), finding)


def drawn(parts: Sequence[Part], panels: Sequence[Panel]) -> dict[str, NamedArray]:
    """Return the points of every line, and of its floor, as drawn."""
    found = {}
    for (batch, every), panel in zip(parts, panels, strict=True):
        for series, line in zip(every, panel.lines, strict=True):
            key = data_key(series, batch, parts)
            found[key] = NamedArray(np.array(line.points, dtype=np.float64).reshape(-1, 2), ("point", "x_y"))
            if line.floor:
                found[f"{key}_floor"] = NamedArray(np.array(line.floor, dtype=np.float64), ("point", "x_y"))
    return found


def data_key(series: Series, batch: int, parts: Sequence[Part]) -> str:
    """Name the array of a series: its batch is in it only where there are several."""
    return series.key if len(parts) < 2 else f"{series.key}_b{batch}"


def pooled(rows: Iterable[Measurement], values: Values) -> dict[int, list[float]]:
    """Pool the samples of each context, in order of context; a row that failed adds nothing."""
    groups: dict[int, list[float]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.context):
        if found := _values(row, values):
            groups[row.context].extend(found)
    return dict(groups)


def _values(row: Measurement, values: Values) -> list[float]:
    return [float(v) for v in values(row) if v > 0] if row.state in MEASURED else []


def _line(
    series: Series, values: Values, lowest: float, *, floors: Mapping[str, float], note: str, t: Translate
) -> Line:
    points, ribbon, dots = [], [], []
    groups = pooled(series.rows, values)
    for context, every in groups.items():
        found = np.array(every)
        low, middle, high = (float(v) for v in np.quantile(found, [0.25, 0.5, 0.75]))
        points.append((float(context), middle))
        if len(found) > 1:
            ribbon.append((float(context), low, high))
            dots += [(float(context), float(v)) for v in _thinned(found)]
    floor = sorted({(float(row.context), floors[row.cell_id]) for row in series.rows if row.cell_id in floors})
    crosses, end = _failures(series, groups, points, lowest, t)
    weak = {row.context for row in series.rows if is_degraded(row)}
    return Line(
        series.architecture, series.name, tuple(points), tuple(ribbon), tuple(dots), crosses, end,
        key=series.key, solid=tuple(context not in weak for context in groups), floor=tuple(floor),
        floor_name=t("viz.decode_vs_context.floor") if floor else "", note=note,
    )  # fmt: skip


def _failures(
    series: Series,
    groups: Mapping[int, Sequence[float]],
    points: Sequence[tuple[float, float]],
    lowest: float,
    t: Translate,
) -> tuple[tuple[tuple[float, float], ...], tuple[float, float, str] | None]:
    """Return the crosses before the last measured context, and the first after it with its reason.

    What follows the first failure would fail as well. A cross stands as high as the last point before it.
    """
    failed: dict[int, str] = {}
    for row in series.rows:
        if row.context not in groups and not row.timed:
            failed.setdefault(row.context, state_of(row))
    reached = max(groups, default=0)

    def height(context: int) -> float:
        return next((y for x, y in reversed(points) if x < context), lowest)

    crosses = tuple((float(c), height(c)) for c in sorted(failed) if c < reached)
    first = min((c for c in failed if c > reached), default=None)
    end = None if first is None else (float(first), height(first), t(f"viz.state.{failed[first]}"))
    return crosses, end


def _thinned(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Keep at most SAMPLES values, evenly through their order of size, ends included."""
    if len(values) <= SAMPLES:
        return values
    return np.take(np.sort(values), np.linspace(0, len(values) - 1, SAMPLES).round().astype(int))
