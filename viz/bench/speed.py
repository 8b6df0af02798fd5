"""Time against context: decoding with its floor and its waiting, prefill with the exponent it grows by."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from models.records.interval import Interval
from models.records.measurement import Measurement
from models.records.trace import NamedArray
from viz.bench.findings import context_finding
from viz.bench.lines import Part, context_figure, data_key, drawn, panels_of, parts_of, pooled
from viz.bench.rows import Series, is_degraded
from viz.charts.series import ChartAxis, Line
from viz.figure import Figure, figure
from viz.look.labels import Translate, seconds
from viz.look.theme import Theme

Fit = Callable[[Sequence[float], Sequence[Sequence[float]]], Interval]


@figure("decode_vs_context", of="rows")
def decode_vs_context(
    rows: Iterable[Measurement], *, theme: Theme, t: Translate, floors: Mapping[str, float] | None = None
) -> Figure:
    """Draw the seconds of one decoding step at a depth of context, a panel per batch.

    Lines are medians, ribbons the middle half, dots samples, crosses cells that failed; hollow marks ran on reference
    kernels or an unsteady machine. floors: by cell_id the seconds that moving the bytes takes at least, in fine dashes.
    Who points at a mark reads its median, its floor, and how long of it the device waits for its next operator.
    """
    rows = list(rows)
    parts = parts_of(rows, t=t)
    panels = panels_of(parts, _decode_seconds, floors=floors, t=t)
    waits = [(float(r.batch), float(r.context), waited) for r in rows if (waited := _wait(r))]
    for i, (_, every) in enumerate(parts):
        lines = tuple(_told(line, series, t) for line, series in zip(panels[i].lines, every, strict=True))
        panels[i] = dataclasses.replace(panels[i], lines=lines)
    data = drawn(parts, panels)
    if waits:
        data["waiting"] = NamedArray(np.array(waits), ("cell", "batch_context_seconds"))
    notes = [t("viz.decode_vs_context.note")] if rows else []
    notes += [t("viz.decode_vs_context.note_floor")] if any(line.floor for p in panels for line in p.lines) else []
    notes += [_waiting_note(rows, t)] if waits else []
    axis = ChartAxis(t("viz.axis.decode"), "seconds", log=True)
    notes += _hollow_note(rows, t)
    batches = [batch for batch, _ in parts]
    finding = context_finding(panels, batches, "viz.decode_vs_context.finding", seconds, t)
    return context_figure("decode_vs_context", panels, data, axis, theme=theme, t=t, notes=notes, finding=finding)


@figure("prefill_vs_context", of="rows")
def prefill_vs_context(rows: Iterable[Measurement], *, theme: Theme, t: Translate, fit: Fit | None = None) -> Figure:
    """Draw the seconds to read the context against its length, a panel per batch, as decode_vs_context does.

    fit: of (contexts, samples at each), the exponent by which time grows; it is written under a line of three lengths
    or more, with its interval.
    """
    rows = list(rows)
    parts = parts_of(rows, t=t)
    found = _exponents(parts, fit)
    notes = {at: _exponent_text(fitted, t) for at, fitted in found.items()}
    panels = panels_of(parts, _prefill_seconds, notes=notes, t=t)
    data = drawn(parts, panels)
    for batch, every in parts:
        for series in every:
            if fitted := found.get((batch, series.key)):
                values = np.array([fitted.value, fitted.low, fitted.high])
                data[f"{data_key(series, batch, parts)}_exponent"] = NamedArray(values, ("value_low_high",))
    words = [*([t("viz.prefill_vs_context.note")] if found else []), *_hollow_note(rows, t)]
    axis = ChartAxis(t("viz.axis.prefill"), "seconds", log=True)
    batches = [batch for batch, _ in parts]
    finding = context_finding(panels, batches, "viz.prefill_vs_context.finding", seconds, t)
    return context_figure("prefill_vs_context", panels, data, axis, theme=theme, t=t, notes=words, finding=finding)


def _decode_seconds(row: Measurement) -> list[float]:
    return [v / 1e3 for v in row.decode_ms_samples]


def _prefill_seconds(row: Measurement) -> list[float]:
    return [v / 1e3 for v in row.prefill_ms_samples]


def _wait(row: Measurement) -> float | None:
    """Return the seconds of a step in which the device runs nothing."""
    if row.launch_fraction is None or not row.decode_ms_samples:
        return None
    return row.launch_fraction * float(np.median(row.decode_ms_samples)) / 1e3


def _told(line: Line, series: Series, t: Translate) -> Line:
    """Give every mark its numbers in words: whose it is, where, the median, the least possible, the waiting."""
    floors = dict(line.floor)
    tips = []
    for context, median in line.points:
        found = {
            t("viz.decode_vs_context.tip_name"): line.name,
            t("viz.decode_vs_context.tip_context"): f"{context:,.0f}",
            t("viz.decode_vs_context.tip_median"): seconds(median),
        }
        if context in floors:
            found[t("viz.decode_vs_context.tip_floor")] = seconds(floors[context])
        if waited := [(wait, row) for row in series.rows if row.context == context and (wait := _wait(row))]:
            wait, row = waited[-1]
            found[t("viz.decode_vs_context.tip_waits")] = f"{seconds(wait)} ({row.launch_fraction:.0%})"
        tips.append(found)
    return dataclasses.replace(line, tips=tuple(tips))


def _waiting_note(rows: Sequence[Measurement], t: Translate) -> str:
    """Say of how much of a step the device waits, over all rows that know it."""
    shares = [row.launch_fraction for row in rows if row.launch_fraction is not None and _wait(row)]
    low, high = f"{min(shares):.0%}", f"{max(shares):.0%}"
    if low == high:
        return t("viz.decode_vs_context.note_waits_one", share=low)
    return t("viz.decode_vs_context.note_waits", low=low, high=high)


def _hollow_note(rows: Sequence[Measurement], t: Translate) -> list[str]:
    return [t("viz.bench.note_hollow")] if any(is_degraded(row) for row in rows) else []


def _exponents(parts: Sequence[Part], fit: Fit | None) -> dict[tuple[int, str], Interval]:
    found: dict[tuple[int, str], Interval] = {}
    for batch, every in parts:
        for series in every:
            groups = _prefills(series)
            if fit is not None and len(groups) >= 3:
                found[batch, series.key] = fit([float(c) for c in groups], list(groups.values()))
    return found


def _prefills(series: Series) -> dict[int, list[float]]:
    return pooled(series.rows, _prefill_seconds)


def _exponent_text(found: Interval, t: Translate) -> str:
    if not (math.isfinite(found.low) and math.isfinite(found.high)):
        return t("viz.prefill_vs_context.exponent_alone", k=f"{found.value:.2f}")
    values = {"k": f"{found.value:.2f}", "low": f"{found.low:.2f}", "high": f"{found.high:.2f}"}
    return t("viz.prefill_vs_context.exponent", **values)
