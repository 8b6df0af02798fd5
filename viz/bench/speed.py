"""Time against context: decoding with its floor and its waiting, prefill with the exponent it grows by."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from models.records.interval import Interval
from models.records.measurement import Measurement
from models.records.trace import NamedArray
from viz.bench.findings import context_finding
from viz.bench.lines import Part, Quantity, context_figure, data_key, drawn, panels_of, parts_of, pooled
from viz.bench.rows import Series, is_degraded, milliseconds_of, tools_note
from viz.figure import Figure, figure
from viz.look.axes import ChartAxis
from viz.look.labels import Translate, seconds
from viz.look.theme import Theme

Fit = Callable[[Sequence[float], Sequence[Sequence[float]]], Interval]


@figure("decode_vs_context", of="rows")
def decode_vs_context(
    rows: Iterable[Measurement],
    *,
    theme: Theme,
    t: Translate,
    floors: Mapping[str, float] | None = None,
    beside: Sequence[Measurement] = (),
) -> Figure:
    """Draw the seconds of one decoding step at a depth of context, a panel per batch.

    Lines are medians, ribbons the middle half, dots samples; a mark below the axis says why a cell has none. Hollow
    marks ran on reference kernels or an unsteady machine. floors: by cell_id the seconds that moving the bytes takes at
    least, in fine dashes. Who points at a context reads median, spread, floor, and how long the device waits for its
    next operator. beside: rows of another run, dashed.
    """
    rows = list(rows)
    parts = parts_of(rows, t=t)
    quantity = Quantity(_decode_seconds, seconds, floors=floors, facts=lambda s, at: _waits(s, at, t))
    panels = panels_of(parts, quantity, t=t, beside=beside)
    waits = [(float(r.batch), float(r.context), waited) for r in rows if (waited := _wait(r))]
    data = drawn(parts, panels)
    if waits:
        data["waiting"] = NamedArray(np.array(waits), ("cell", "batch_context_seconds"))
    notes = [t("viz.decode_vs_context.note")] if rows else []
    notes += [t("viz.decode_vs_context.note_floor")] if any(line.floor for p in panels for line in p.lines) else []
    notes += [_waiting_note(rows, t)] if waits else []
    axis = ChartAxis(t("viz.axis.decode"), "seconds", log=True)
    notes += [*_hollow_note(rows, t), *tools_note(rows, t)]
    batches = [batch for batch, _ in parts]
    finding = context_finding(panels, batches, "viz.decode_vs_context.finding", seconds, t)
    return context_figure(
        "decode_vs_context", panels, data, axis, batches=batches, theme=theme, t=t, notes=notes, finding=finding
    )


@figure("prefill_vs_context", of="rows")
def prefill_vs_context(
    rows: Iterable[Measurement],
    *,
    theme: Theme,
    t: Translate,
    fit: Fit | None = None,
    beside: Sequence[Measurement] = (),
) -> Figure:
    """Draw the seconds to read the context against its length, a panel per batch, as decode_vs_context does.

    fit: of (contexts, samples at each), the exponent by which time grows; it is written under a line of three lengths
    or more, with its interval.
    """
    rows = list(rows)
    parts = parts_of(rows, t=t)
    found = _exponents(parts, fit)
    notes = {at: _exponent_texts(fitted, t) for at, fitted in found.items()}
    panels = panels_of(parts, Quantity(_prefill_seconds, seconds, notes=notes), t=t, beside=beside)
    data = drawn(parts, panels)
    for batch, every in parts:
        for series in every:
            if fitted := found.get((batch, series.key)):
                values = np.array([fitted.value, fitted.low, fitted.high])
                data[f"{data_key(series.key, batch, parts)}_exponent"] = NamedArray(values, ("value_low_high",))
    words = [*([t("viz.prefill_vs_context.note")] if found else []), *_hollow_note(rows, t), *tools_note(rows, t)]
    axis = ChartAxis(t("viz.axis.prefill"), "seconds", log=True)
    batches = [batch for batch, _ in parts]
    finding = context_finding(panels, batches, "viz.prefill_vs_context.finding", seconds, t)
    return context_figure(
        "prefill_vs_context", panels, data, axis, batches=batches, theme=theme, t=t, notes=words, finding=finding
    )


def _decode_seconds(row: Measurement) -> list[float]:
    return [v / 1e3 for v in milliseconds_of(row, "decode")]


def _prefill_seconds(row: Measurement) -> list[float]:
    return [v / 1e3 for v in milliseconds_of(row, "prefill")]


def _wait(row: Measurement) -> float | None:
    """Return the seconds of a step in which the device runs nothing."""
    if row.launch_fraction is None or not row.decode_ms_samples:
        return None
    return row.launch_fraction * float(np.median(row.decode_ms_samples)) / 1e3


def _waits(series: Series, context: float, t: Translate) -> list[str]:
    """Say how long the device waits in a step at a context, and of how much of it."""
    waited = [(wait, row.launch_fraction) for row in series.rows if row.context == context and (wait := _wait(row))]
    return [
        t("viz.decode_vs_context.tip_waits", time=seconds(wait), share=f"{share:.0%}") for wait, share in waited[-1:]
    ]


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
    """Pool the samples of each context that are of rounds: only those can be fitted."""
    rows = [row for row in series.rows if row.in_rounds and row.prefill_ms_samples]
    return pooled(rows, _prefill_seconds)


def _exponent_texts(found: Interval, t: Translate) -> Sequence[str]:
    """Write an exponent and, in a line of its own, its interval where it has one."""
    value = t("viz.prefill_vs_context.exponent", k=f"{found.value:.2f}")
    if not (math.isfinite(found.low) and math.isfinite(found.high)):
        return (value,)
    return value, t("viz.prefill_vs_context.exponent_interval", low=f"{found.low:.2f}", high=f"{found.high:.2f}")
