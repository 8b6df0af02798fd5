"""Figures of batches: the largest batch that fits, and throughput against latency."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from models.records.interval import Interval
from models.records.measurement import MEASURED, Measurement
from models.records.trace import NamedArray
from viz.bench.findings import strips_finding, trade_finding
from viz.bench.rows import Series, is_degraded, milliseconds_of, series_of, state_of
from viz.charts.plot_line import PlotLine
from viz.charts.plots import points_plot
from viz.charts.strips import ChartStrip, strips_chart
from viz.figure import Figure, figure
from viz.look.axes import ChartAxis
from viz.look.labels import Translate, short
from viz.look.plotly import PlotTable, Trace
from viz.look.theme import Theme


@figure("largest_batch", of="rows")
def largest_batch(
    rows: Iterable[Measurement],
    *,
    theme: Theme,
    t: Translate,
    context: int | None = None,
    intervals: Mapping[str, Interval] | None = None,
) -> Figure | None:
    """Draw tokens per second of the device at each architecture's largest batch, and what kept it from a larger one.

    context: where; without it, the one that most series were measured at. intervals: by cell_id, milliseconds of a
    step with their ends, drawn where they are finite; the bar is batch / median step either way. None without rows.
    """
    rows = list(rows)
    context = _common([row for row in rows if _step_ms(row)]) if context is None else context
    if context is None:
        return None
    strips, values, names = [], [], []
    for series in series_of([row for row in rows if row.context == context], t=t, among=rows):
        best = max((row for row in series.rows if _step_ms(row)), key=_largest, default=None)
        if best is None:
            strips.append(
                ChartStrip(series.name, series.architecture, head=t(f"viz.state.{state_of(series.rows[-1])}"))
            )
            continue
        rate, ends = _device_rate(best), _rates((intervals or {}).get(best.cell_id), best.batch)
        text = t("viz.largest_batch.rate", rate=f"{rate:,.0f}")
        strips.append(ChartStrip(series.name, series.architecture, text=text, head=_limit(best, t), bar=rate,
                                 whisker=ends, drawn_hollow=is_degraded(best)))  # fmt: skip
        values.append([rate, *(ends or (math.nan, math.nan)), float(best.batch)])
        names.append(f"{series.name} {rate:,.0f}")
    data = {"throughput": NamedArray(np.array(values).reshape(-1, 4), ("series", "rate_low_high_batch"))}
    alt_text = t("viz.largest_batch.alt", context=f"{context:,}", list=", ".join(names))
    note = t("viz.largest_batch.note", context=f"{context:,}")
    if any(strip.whisker for strip in strips):
        note += " " + t("viz.largest_batch.note_interval")
    found = strips_finding(strips, "")
    finding = t("viz.largest_batch.finding", **found._asdict()) if found else ""
    return Figure("largest_batch", strips_chart(strips, theme=theme), data, alt_text, note, finding)


@figure("pareto", of="rows")
def pareto(rows: Iterable[Measurement], *, theme: Theme, t: Translate, context: int | None = None) -> Figure | None:
    """Draw tokens per second of the whole device against those of one user, a point per batch; both logarithmic.

    The pale line joins the points that no other beats on both. context: where; without it, the one with most points
    among those that have several batches. None where no architecture has two batches at one context.
    """
    rows = [row for row in rows if _step_ms(row)]
    varied = {row.context for row in rows if len({r.batch for r in rows if _beside(r, row)}) > 1}
    context = _common([row for row in rows if row.context in varied]) if context is None else context
    here = [row for row in rows if row.context == context and context in varied]
    if not here:
        return None
    series = series_of(here, t=t)
    lines = [_trade(each, t) for each in series]
    x = ChartAxis(t("viz.pareto.user"), "many", log=True)
    y = ChartAxis(t("viz.pareto.device"), "many", log=True)
    front = _frontier([point for line in lines for point in line.points])
    table = _numbers(series, lines, (x.title, y.title), t)
    around = {"behind": [_pale(front, theme)], "before": _batches(series, theme)}
    chart = points_plot(lines, x=x, y=y, table=table, theme=theme, t=t, **around)
    data = {
        line.key: NamedArray(
            np.array([(*p, b) for p, b in zip(line.points, _batch_order(s), strict=True)]),
            ("point", "user_device_batch"),
        )
        for line, s in zip(lines, series, strict=True)
    }
    data["frontier"] = NamedArray(np.array(front), ("point", "user_device"))
    note = t("viz.pareto.note", context=f"{context:,}")
    alt_text = t("viz.pareto.alt", count=len(lines), context=f"{context:,}")
    points = [
        (each.name, batch, *point)
        for each, line in zip(series, lines, strict=True)
        for batch, point in zip(_batch_order(each), line.points, strict=True)
    ]
    return Figure("pareto", chart, data, alt_text, note, trade_finding(points, t))


def _step_ms(row: Measurement) -> float | None:
    """Return the median time of a decoding step of a measured row."""
    samples = milliseconds_of(row, "decode") if row.state in MEASURED else ()
    return float(np.median(samples)) if len(samples) else None


def _device_rate(row: Measurement) -> float:
    return row.batch / (_step_ms(row) or math.inf) * 1e3


def _rates(step: Interval | None, batch: int) -> tuple[float, float] | None:
    """Turn an interval of milliseconds into one of tokens per second; None where it has no end."""
    if step is None or not (math.isfinite(step.high) and step.low > 0):
        return None
    return batch / step.high * 1e3, batch / step.low * 1e3


def _largest(row: Measurement) -> tuple[bool, int]:
    return bool(row.batch_limit), row.batch


def _limit(row: Measurement, t: Translate) -> str:
    if not row.batch_limit:
        return t("viz.bench.batch", count=row.batch)
    return t("viz.largest_batch.limit", count=row.batch, limit=t(f"viz.largest_batch.limit.{row.batch_limit}"))


def _common(rows: Sequence[Measurement]) -> int | None:
    """Return the context with most rows, the longest of those."""
    counts = Counter(row.context for row in rows)
    return max(counts, key=lambda context: (counts[context], context), default=None)


def _beside(a: Measurement, b: Measurement) -> bool:
    return (a.architecture, a.context, a.size, a.kernels) == (b.architecture, b.context, b.size, b.kernels)


def _ordered(series: Series) -> list[Measurement]:
    """Order rows from the largest batch down, one of each, so that the last point is the fastest for a user."""
    best = {row.batch: row for row in series.rows}
    return [best[batch] for batch in sorted(best, reverse=True)]


def _batch_order(series: Series) -> list[int]:
    return [row.batch for row in _ordered(series)]


def _trade(series: Series, t: Translate) -> PlotLine:
    rows = _ordered(series)
    points = tuple((_device_rate(row) / row.batch, _device_rate(row)) for row in rows)
    solid = tuple(not is_degraded(row) for row in rows)
    says = tuple(
        (f"×{row.batch}", t("viz.pareto.tip_user", rate=short(user)), t("viz.pareto.tip_device", rate=short(device)))
        for row, (user, device) in zip(rows, points, strict=True)
    )
    return PlotLine(series.architecture, series.name, points, says, key=series.key, solid=solid)


def _numbers(series: Sequence[Series], lines: Sequence[PlotLine], titles: tuple[str, str], t: Translate) -> PlotTable:
    rows = [
        (each.name, f"{batch}", short(user), short(device))
        for each, line in zip(series, lines, strict=True)
        for batch, (user, device) in zip(_batch_order(each), line.points, strict=True)
    ]
    return PlotTable((t("viz.plot.series"), t("viz.plot.batch"), *titles), tuple(rows))


def _frontier(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Keep the points that no other equals or beats on both axes, from left to right."""
    best = [p for p in set(points) if not any(q != p and q[0] >= p[0] and q[1] >= p[1] for q in points)]
    return sorted(best)


def _pale(front: Sequence[tuple[float, float]], theme: Theme) -> Trace:
    return {
        "type": "scatter", "mode": "lines", "x": [user for user, _ in front], "y": [device for _, device in front],
        "line": {"color": theme.hairline, "width": 14}, "hoverinfo": "skip", "showlegend": False, "meta": "frontier",
    }  # fmt: skip


def _batches(series: Sequence[Series], theme: Theme) -> list[Trace]:
    """Write the batch over the points of more than one text, largest first, where no other is written near."""
    points = [(_device_rate(row) / row.batch, _device_rate(row), row.batch, s) for s in series for row in _ordered(s)]
    spans = [
        max(math.log(max(values) / min(values)), 1e-9)
        for values in ([user for user, *_ in points], [device for _, device, *_ in points])
    ]
    kept: list[tuple[float, float, int, Series]] = []
    for user, device, batch, each in sorted(points, key=lambda point: -point[2]):
        near = any(
            abs(math.log(user / x)) < 0.09 * spans[0] and abs(math.log(device / y)) < 0.06 * spans[1]
            for x, y, *_ in kept
        )
        if batch > 1 and not near:
            kept.append((user, device, batch, each))
    return [
        {
            "type": "scatter", "mode": "text", "x": [user], "y": [device], "meta": "batch",
            "text": [f"×{batch}<br>\u00a0"],
            "textposition": "top center", "textfont": {"size": 12, "color": theme.color(each.architecture)},
            "hoverinfo": "skip", "showlegend": False, "legendgroup": each.key, "cliponaxis": False,
        }
        for user, device, batch, each in kept
    ]  # fmt: skip
