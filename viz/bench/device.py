"""Figures of the device: share of the roofline, waiting, energy, and steadiness."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import altair as alt
import numpy as np

from models.records.measurement import MEASURED, Measurement
from models.records.trace import NamedArray
from viz.bench.findings import strips_finding
from viz.bench.rows import Series, batches_of, is_degraded, series_of
from viz.charts.strips import ChartStrip, strips_chart
from viz.figure import Figure, figure
from viz.look.labels import Translate, architecture_name, short
from viz.look.theme import Theme
from viz.look.vega import styled, table

Value = Callable[[Measurement], float | None]


@figure("achieved", of="rows")
def achieved(rows: Iterable[Measurement], *, theme: Theme, t: Translate) -> Figure | None:
    """Draw the share of its roofline peaks that the device reached: bytes while decoding, operations in prefill.

    A dot per context; the mark and the number are the longest. None where no row has either.
    """
    rows = [row for row in rows if row.state in MEASURED and not (row.mbu is None and row.mfu is None)]
    if not rows:
        return None
    quantities: tuple[tuple[str, Value], ...] = (("decode", lambda row: row.mbu), ("prefill", lambda row: row.mfu))
    strips, data = _shares(rows, quantities, "achieved", t)
    chart = strips_chart(strips, theme=theme, end=1.0, limit=(1.0, t("viz.achieved.ceiling")))
    found = strips_finding(strips, _label("achieved", "decode", rows, t))
    compared = found is not None and _one_context(rows, quantities[0][1], t)
    finding = t("viz.achieved.finding", **found._asdict()) if found and compared else ""
    alt_text = t("viz.achieved.alt", list=_list(strips))
    return Figure("achieved", chart, data, alt_text, _roofline_peaks(rows, t), finding)


@figure("launches", of="rows")
def launches(rows: Iterable[Measurement], *, theme: Theme, t: Translate) -> Figure | None:
    """Draw the share of a decoding step in which the device runs no operator, beside the operators of a token.

    A dot per context; the mark and the number are the longest. None where no row knows its share.
    """
    rows = [row for row in rows if row.state in MEASURED and row.launch_fraction is not None]
    if not rows:
        return None
    quantities: tuple[tuple[str, Value], ...] = (("waiting", lambda row: row.launch_fraction), ("clock", _clock))
    strips, data = _shares(rows, quantities, "launches", t)
    said = _operators(rows, t)
    strips = [dataclasses.replace(strip, head=said.get(strip.name, "")) for strip in strips]
    counts = [(float(r.batch), float(r.context), float(r.ops_per_token)) for r in rows if r.ops_per_token is not None]
    data["operators"] = NamedArray(np.array(counts).reshape(-1, 3), ("cell", "batch_context_operators"))
    chart = strips_chart(strips, theme=theme, end=1.0, limit=(1.0, t("viz.launches.whole")))
    found = strips_finding(strips, _label("launches", "waiting", rows, t))
    compared = found is not None and _one_context(rows, quantities[0][1], t)
    finding = t("viz.launches.finding", **found._asdict()) if found and compared else ""
    alt_text = t("viz.launches.alt", list=_list(strips))
    return Figure("launches", chart, data, alt_text, t("viz.launches.note"), finding)


@figure("energy", of="rows")
def energy(rows: Iterable[Measurement], *, theme: Theme, t: Translate) -> Figure | None:
    """Draw the joules of one token at the longest context of each batch; None where the counter was absent."""
    rows = [row for row in rows if row.state in MEASURED and row.energy_j_per_token is not None]
    if not rows:
        return None
    strips, values = [], []
    for series in series_of(rows, t=t):
        for batch in batches_of(series.rows):
            row = max((row for row in series.rows if row.batch == batch), key=lambda row: row.context)
            joules = row.energy_j_per_token or 0.0
            strips.append(ChartStrip(series.name, series.architecture, label=f"×{batch}", text=f"{short(joules)} J",
                                     bar=joules, drawn_hollow=is_degraded(row)))  # fmt: skip
            values.append((float(batch), float(row.context), joules))
    data = {"energy": NamedArray(np.array(values), ("series_batch", "batch_context_joules"))}
    alt_text, finding = t("viz.energy.alt", list=_list(strips)), _least_energy(strips, values, t)
    return Figure("energy", strips_chart(strips, theme=theme), data, alt_text, t("viz.energy.note"), finding)


def _least_energy(strips: Sequence[ChartStrip], values: Sequence[tuple[float, float, float]], t: Translate) -> str:
    """Name who takes most and least for a token at the smallest batch; "" where the contexts there are not one.

    values: (batch, context, joules) of each strip.
    """
    batch = min(each[0] for each in values)
    if len({context for own, context, _ in values if own == batch}) > 1:
        return ""
    found = strips_finding(strips, f"×{batch:.0f}")
    return t("viz.energy.finding", batch=f"{batch:.0f}", **found._asdict()) if found else ""


@figure("sentinel_strip", of="rows")
def sentinel_strip(rows: Iterable[Measurement], *, limit: float, theme: Theme, t: Translate) -> Figure | None:
    """Draw a fixed product's time before and after every cell, against the run's median, in order of time.

    limit: relative drift from which a cell is to be distrusted; such a cell gets a cross in ink. None without readings.
    """
    timed = [row for row in rows if row.sentinel_before_ms and row.sentinel_after_ms]
    if not timed:
        return None
    timed.sort(key=lambda row: row.started_ns or 0)
    readings = np.array([[row.sentinel_before_ms, row.sentinel_after_ms] for row in timed], np.float64)
    middle = float(np.median(readings))
    pace = readings / middle - 1
    drift = readings.max(1) / readings.min(1) - 1
    marks = [
        {"x": i + 1, "before": float(before), "after": float(after), "color": theme.color(row.architecture),
         "moved": bool(moved > limit), "shape": theme.marker(row.architecture),
         "name": architecture_name(row.architecture, t), "context": f"{row.context:,}", "drift": f"{moved:.1%}"}
        for i, (row, (before, after), moved) in enumerate(zip(timed, pace, drift, strict=True))
    ]  # fmt: skip
    chart = styled(_pace(marks, limit, theme, t), theme, height=190)
    moved = int((drift > limit).sum())
    words = t("viz.sentinel_strip.alt", count=len(timed), moved=moved, limit=f"{limit:.0%}")
    data = {"milliseconds": NamedArray(readings, ("cell", "before_after")), "drift": NamedArray(drift, ("cell",))}
    said = {"moved": moved, "count": len(timed), "limit": f"{limit:.0%}"}
    finding = t("viz.sentinel_strip.finding" if moved else "viz.sentinel_strip.finding_none", **said)
    return Figure("sentinel_strip", chart, data, words, t("viz.sentinel_strip.note", limit=f"{limit:.0%}"), finding)


def _pace(marks: Sequence[dict[str, Any]], limit: float, theme: Theme, t: Translate) -> list[alt.Chart]:
    far = max([limit, *(abs(m[name]) for m in marks for name in ("before", "after"))]) * 1.15
    scale = alt.Scale(domain=[-far, far], nice=False)
    axis = alt.Axis(format="+.0%", grid=False, tickCount=5)
    y = alt.Y("before:Q", title=t("viz.sentinel_strip.pace"), scale=scale, axis=axis)
    after = alt.Y("after:Q", title=t("viz.sentinel_strip.pace"), scale=scale, axis=axis)
    ticks = alt.Axis(tickMinStep=1, format="d", tickCount=10)
    x = alt.X("x:Q", title=t("viz.sentinel_strip.cell"), axis=ticks,
              scale=alt.Scale(domain=[0.4, len(marks) + 0.6], nice=False))  # fmt: skip
    color = alt.Color("color:N", scale=None)
    tip = [alt.Tooltip(f"{name}:N", title=t(f"viz.sentinel_strip.tip.{name}")) for name in ("name", "context", "drift")]
    band = table([{"before": -limit, "high": limit}]).mark_rect(color=theme.chip)
    layers = [band.encode(x=alt.value(0), x2=alt.value("width"), y=y, y2=alt.Y2("high:Q"))]
    base = table(marks)
    layers.append(base.mark_rule(strokeWidth=2, opacity=0.55).encode(x=x, y=y, y2=alt.Y2("after:Q"), color=color))
    point = base.mark_point(size=46, strokeWidth=2, opacity=1, fill=theme.card)
    layers.append(point.encode(x=x, y=after, color=color, shape=alt.Shape("shape:N", scale=None), tooltip=tip))
    if any(mark["moved"] for mark in marks):
        cross = base.transform_filter("datum.moved").mark_point(
            shape="cross", angle=45, size=120, filled=True, color=theme.ink, opacity=1
        )
        layers.append(cross.encode(x=x, y=after, tooltip=tip))
    return layers


def _clock(row: Measurement) -> float | None:
    """Return the share of a step that the clock itself takes."""
    if row.harness_ms is None or not row.decode_ms_samples:
        return None
    return row.harness_ms / float(np.median(row.decode_ms_samples))


def _shares(
    rows: Sequence[Measurement], quantities: Sequence[tuple[str, Value]], figure: str, t: Translate
) -> tuple[list[ChartStrip], dict[str, NamedArray]]:
    """Make a strip per series, batch and quantity that has values, and the arrays they show."""
    strips: list[ChartStrip] = []
    data: dict[str, NamedArray] = {}
    several = len(batches_of(rows)) > 1
    for series in series_of(rows, t=t):
        for batch in batches_of(series.rows):
            suffix = f" ×{batch}" if several else ""
            for name, value in quantities:
                if found := _by_context(series, batch, value):
                    last = found[-1][1]
                    strips.append(
                        ChartStrip(series.name, series.architecture, label=t(f"viz.{figure}.{name}") + suffix,
                              text=_percent(last), main=last, dots=tuple(v for _, v in found[:-1]),
                              drawn_hollow=series.reference)
                    )  # fmt: skip
                    key = f"{series.key}_{name}" + (f"_b{batch}" if several else "")
                    data[key] = NamedArray(np.array(found, np.float64), ("context", "x_y"))
    return strips, data


def _one_context(rows: Sequence[Measurement], value: Value, t: Translate) -> bool:
    """Return whether the numbers of all series at the smallest batch are of one context."""
    every = (_by_context(series, batches_of(rows)[0], value) for series in series_of(rows, t=t))
    return len({found[-1][0] for found in every if found}) == 1


def _label(figure: str, name: str, rows: Sequence[Measurement], t: Translate) -> str:
    """Return the label of the strips of a quantity at the smallest batch."""
    batches = batches_of(rows)
    return t(f"viz.{figure}.{name}") + (f" ×{batches[0]}" if len(batches) > 1 else "")


def _percent(share: float) -> str:
    return f"{share:.1%}" if 0 < share < 0.1 else f"{share:.0%}"


def _by_context(series: Series, batch: int, value: Value) -> list[tuple[int, float]]:
    found = {row.context: value(row) for row in series.rows if row.batch == batch}
    return [(context, share) for context, share in sorted(found.items()) if share is not None]


def _operators(rows: Sequence[Measurement], t: Translate) -> dict[str, str]:
    """Say for each series how many operators a token takes, the fewest and the most where contexts differ."""
    said = {}
    for series in series_of(rows, t=t):
        if counts := [row.ops_per_token for row in series.rows if row.ops_per_token is not None]:
            low, high = min(counts), max(counts)
            text = f"{low:,}" if low == high else f"{low:,}–{high:,}"
            said[series.name] = t("viz.launches.operators", count=text)
    return said


def _roofline_peaks(rows: Sequence[Measurement], t: Translate) -> str:
    """Say what 100 % was, in the unit of each peak."""
    moved = [row.bandwidth_bytes_per_s for row in rows if row.bandwidth_bytes_per_s]
    done = [row.peak_flops_per_s for row in rows if row.peak_flops_per_s]
    words = [t("viz.achieved.note")]
    words += [t("viz.achieved.bandwidth", value=_figures(float(np.median(moved)) / 1e9))] if moved else []
    words += [t("viz.achieved.flops", value=_figures(float(np.median(done)) / 1e12))] if done else []
    return " ".join(words)


def _figures(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _list(strips: Sequence[ChartStrip]) -> str:
    return ", ".join(" ".join(part for part in (s.name, s.label, s.text) if part) for s in strips)
