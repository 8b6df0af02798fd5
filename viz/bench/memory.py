"""Memory of a run: against context, and each peak taken apart into weights, cache, logits and the rest."""

from collections.abc import Iterable, Sequence
from typing import Any

import altair as alt
import numpy as np

from models.records.measurement import MEASURED, Measurement
from models.records.trace import NamedArray
from viz.bench.findings import context_finding, part_finding
from viz.bench.lines import Quantity, context_figure, drawn, panels_of, parts_of
from viz.bench.rows import Series, batches_of, series_of
from viz.figure import Figure, figure
from viz.look.axes import ChartAxis
from viz.look.labels import Translate, size
from viz.look.theme import Theme, ramp_between
from viz.look.vega import styled, table

COMPONENTS = ("weights", "cache", "logits", "rest")
ROW, HEAD, KEY = 22, 30, 34  # pixels: a bar with its gap, the name over a group, the key on top
LEFT, RIGHT = 62, 92  # pixels: contexts, and totals
_KEY_AT = (0.0, 0.21, 0.39, 0.57, 0.72)  # where the words of the key begin, as shares of the width


@figure("memory_vs_context", of="rows")
def memory_vs_context(
    rows: Iterable[Measurement],
    *,
    theme: Theme,
    t: Translate,
    peak: bool = False,
    beside: Sequence[Measurement] = (),
) -> Figure:
    """Draw the bytes of the live cache (peak: the highest use above the weights) against context, a panel per batch.

    beside: rows of another run, dashed.
    """
    parts = parts_of(list(rows), t=t)

    def values(row: Measurement) -> list[float]:
        count = row.peak_bytes if peak else row.cache_bytes
        return [] if count is None else [float(count)]

    panels, batches = panels_of(parts, Quantity(values, size), t=t, beside=beside), [batch for batch, _ in parts]
    axis = ChartAxis(t("viz.axis.peak" if peak else "viz.axis.carried"), "bytes", log=True)
    finding = context_finding(panels, batches, "viz.memory_vs_context.finding", size, t)
    data = drawn(parts, panels)
    return context_figure("memory_vs_context", panels, data, axis, batches=batches, theme=theme, t=t, finding=finding)


@figure("memory_parts", of="rows")
def memory_parts(rows: Iterable[Measurement], *, theme: Theme, t: Translate) -> Figure:
    """Draw the peak of every cell as a bar of weights, cache, logits and the rest, and the predicted total as a tick.

    The rest is what the peak holds beyond the others: workspace of the operators and slack of the allocator. A cell
    that failed has only its tick. Negative where a process could use memory it had before: then the tick and the total
    tell the truth and the bar ends at cache and logits.
    """
    rows = [row for row in rows if _known(row) is not None or row.pred_bytes]
    several = len(batches_of(rows)) > 1
    bars, heads, top = _placed(series_of(rows, t=t), several, t)
    most = max((max(sum(b["parts"]), b["predicted"]) for b in bars), default=1.0)
    scale: Any = {"domain": [0, most], "nice": False, "range": [LEFT, alt.ExprRef(f"width - {RIGHT}")]}
    x = alt.X("from:Q", title=None, axis=None, scale=alt.Scale(**scale))
    layers = [
        *_key(bars[0]["architecture"] if bars else "", theme, t),
        *_bars(bars, x, theme),
        *_texts(bars, heads, theme),
    ]
    chart = styled(layers, theme, height=max(top, 120))
    data = {
        b["key"]: NamedArray(np.array([*b["parts"], b["predicted"]], np.float64), ("part",)) for b in bars
    }  # weights, cache, logits, rest, predicted
    known = [(b["name"], b["label"], b["text"], b["parts"]) for b in bars if b["measured"]]
    finding = part_finding(known, [t(f"viz.memory_parts.{name}") for name in COMPONENTS], t)
    alt_text, note = t("viz.memory_parts.alt", count=len(heads)), t("viz.memory_parts.note")
    return Figure("memory_parts", chart, data, alt_text, note, finding)


def _known(row: Measurement) -> tuple[float, float, float, float] | None:
    """Return weights, cache, logits and rest of a measured row; they add up to the weights and the peak above them."""
    if row.state not in MEASURED or None in (row.bytes_weights, row.cache_bytes, row.bytes_logits, row.peak_bytes):
        return None
    weights, cache, logits, peak = (
        float(v or 0) for v in (row.bytes_weights, row.cache_bytes, row.bytes_logits, row.peak_bytes)
    )
    return weights, cache, logits, peak - cache - logits


def _placed(
    series: Sequence[Series], several: bool, t: Translate
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], int]:
    """Give every bar and every name its height in pixels; returns the height that all take as well."""
    bars: list[dict[str, Any]] = []
    heads: list[dict[str, Any]] = []
    y = KEY
    for each in series:
        heads.append({"name": each.name, "architecture": each.architecture, "y": y + HEAD / 2 + 4})
        y += HEAD
        for row in sorted(each.rows, key=lambda row: (row.batch, row.context)):
            known = _known(row)
            parts = known or (0.0, 0.0, 0.0, 0.0)
            label = _count(row.context) + (f" ×{row.batch}" if several else "")
            total = size(sum(parts)) if known else t(f"viz.state.{row.state}")
            key = f"{each.key}_{row.context}" + (f"_b{row.batch}" if several else "")
            bars.append(
                {"key": key, "name": each.name, "architecture": each.architecture, "y": y + ROW / 2, "label": label,
                 "text": total, "parts": parts, "predicted": float(row.pred_bytes or 0), "measured": known is not None}
            )  # fmt: skip
            y += ROW
    return bars, heads, y + 8


def _tints(architecture: str, theme: Theme) -> dict[str, str]:
    """Colour the parts: weights are the same quiet grey for all, the rest are tints of the architecture."""
    ramp = ramp_between(theme.card, theme.color(architecture))
    grey = ramp_between(theme.card, theme.muted)
    return {"weights": grey[96], "cache": ramp[255], "logits": ramp[170], "rest": ramp[84]}


def _bars(bars: Sequence[dict[str, Any]], x: alt.X, theme: Theme) -> list[alt.Chart]:
    stacked: list[dict[str, Any]] = []
    for bar in bars:
        at = 0.0
        for name, value in zip(COMPONENTS, bar["parts"], strict=True):
            if value > 0:
                tint = _tints(bar["architecture"], theme)[name]
                stacked.append({"from": at, "to": at + value, "top": bar["y"] - 7, "foot": bar["y"] + 7, "tint": tint})
                at += value
    ticks = [{"from": b["predicted"], "top": b["y"] - 9, "foot": b["y"] + 9} for b in bars if b["predicted"]]
    layers = []
    y, y2 = (alt.Y("top:Q", scale=None, axis=None), alt.Y2("foot:Q"))
    if stacked:
        rect = table(stacked).mark_rect()
        layers.append(rect.encode(x=x, x2=alt.X2("to:Q"), y=y, y2=y2, color=alt.Color("tint:N", scale=None)))
    if ticks:
        rule = table(ticks).mark_rule(color=theme.ink, strokeWidth=2)
        layers.append(rule.encode(x=x, y=y, y2=y2))
    return layers


def _texts(bars: Sequence[dict[str, Any]], heads: Sequence[dict[str, Any]], theme: Theme) -> list[alt.Chart]:
    """Write contexts left of the bars, totals at the right edge, and the name over each group."""
    if not bars:
        return []
    rows = [{name: bar[name] for name in ("y", "label", "text")} for bar in bars]
    y = alt.Y("y:Q", scale=None, axis=None)
    left = table(rows).mark_text(align="left", baseline="middle", fontSize=13, color=theme.muted)
    right = table(rows).mark_text(align="right", baseline="middle", fontSize=13, font=theme.mono, color=theme.muted)
    named = [{**head, "color": theme.color(head["architecture"])} for head in heads]
    over = table(named).mark_text(align="left", baseline="middle", fontSize=14, fontWeight=600)
    return [
        left.encode(x=alt.value(0), y=y, text=alt.Text("label:N")),
        right.encode(x=alt.value("width"), y=y, text=alt.Text("text:N")),
        over.encode(x=alt.value(0), y=y, text=alt.Text("name:N"), color=alt.Color("color:N", scale=None)),
    ]


def _key(architecture: str, theme: Theme, t: Translate) -> list[alt.Chart]:
    """Name the parts on top, each beside its tint in the colour of the first architecture, and the predicted tick."""
    tints = _tints(architecture, theme)
    layers = []
    for at, name in zip(_KEY_AT, (*COMPONENTS, "predicted"), strict=True):
        base = table([{"text": t(f"viz.memory_parts.{name}")}])
        here = alt.value(alt.ExprRef(f"width * {at} + 5"))
        if name == "predicted":
            mark = base.mark_rule(color=theme.ink, strokeWidth=2).encode(x=here, y=alt.value(3), y2=alt.value(19))
        else:
            mark = base.mark_square(size=110, color=tints[name], opacity=1).encode(x=here, y=alt.value(11))
        word = base.mark_text(align="left", baseline="middle", dx=10, fontSize=12, color=theme.muted)
        layers += [mark, word.encode(x=here, y=alt.value(11), text=alt.Text("text:N"))]
    return layers


def _count(context: int) -> str:
    return f"{context // 1024}k" if context >= 1024 and context % 1024 == 0 else f"{context:,}"
