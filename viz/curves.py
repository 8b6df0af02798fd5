"""What it costs: bytes carried, their growth, training, and the measured speed and memory of four architectures."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import altair as alt
import numpy as np

from models.records import Named
from viz.figure import Figure
from viz.labels import Translate, size
from viz.series import Axis, Line, Unit, lines_chart
from viz.theme import Theme, styled, table

MEASURED = ("ok", "unstable")
SMOOTHED = 40  # a log is smoothed over this share of its length


class Measured(Protocol):
    """What a benchmark row must have to be drawn; models.bench.rows.Measurement has it. Times in milliseconds."""

    @property
    def architecture(self) -> str:
        """Key of colours and names."""

    @property
    def context(self) -> int:
        """Tokens of context."""

    @property
    def state(self) -> str:
        """How the cell ended."""

    @property
    def prefill_ms_samples(self) -> Sequence[float]:
        """One per repetition."""

    @property
    def decode_ms_samples(self) -> Sequence[float]:
        """One per step."""

    @property
    def cache_bytes(self) -> int | None:
        """Of the live cache."""

    @property
    def peak_bytes(self) -> int | None:
        """Highest use above the weights."""


def carried_bytes(rows: Sequence[tuple[str, int]], *, theme: Theme, t: Translate) -> Figure:
    """Draw the bytes each architecture carries at one length, as bars on one linear scale."""
    most = max((count for _, count in rows), default=1)
    data = [
        {"architecture": a, "name": t(f"viz.architecture.{a}"), "bytes": float(n), "text": size(n), "most": float(most)}
        for a, n in rows
    ]
    order = [t(f"viz.architecture.{a}") for a, _ in rows]
    base = table(data)
    y = alt.Y("name:N", sort=order, title=None, axis=alt.Axis(labelFontSize=14, labelColor=theme.ink, labelPadding=12))
    domain: Any = {"domain": [0, most], "nice": False, "range": [0, alt.ExprRef("width - 86")]}
    bytes_x = alt.X("bytes:Q", title=None, scale=alt.Scale(**domain), axis=None)
    whole_x = alt.X("most:Q", title=None, scale=alt.Scale(**domain), axis=None)
    colors = alt.Scale(domain=[a for a, _ in rows], range=[theme.color(a) for a, _ in rows])
    color = alt.Color("architecture:N", scale=colors, legend=None)
    track = base.mark_bar(color=theme.hairline, opacity=0.55, height=8, cornerRadius=4).encode(x=whole_x, y=y)
    bars = base.mark_bar(height=8, cornerRadius=4).encode(x=bytes_x, y=y, color=color)
    numbers = base.mark_text(align="right", font=theme.mono, fontSize=13, color=theme.muted)
    texts = numbers.encode(x=alt.value("width"), y=y, text="text:N")
    alt_text = t("viz.carried_bytes.alt", list=", ".join(f"{row['name']} {row['text']}" for row in data))
    chart = styled(alt.LayerChart(layer=[track, bars, texts]), theme, height=32 * max(len(rows), 1) + 8)
    return Figure(
        "carried_bytes",
        chart,
        {"bytes": Named(np.array([n for _, n in rows], dtype=np.int64), ("architecture",))},
        alt_text,
    )


def growth(
    curves: Mapping[str, Sequence[tuple[int, int]]], *, theme: Theme, t: Translate, at: int | None = None
) -> Figure:
    """Draw bytes carried against tokens, by formula, per architecture: (tokens, bytes) pairs; both axes logarithmic.

    at: a number of tokens to mark with a vertical line, the prompt's own length.
    """
    lines = [
        Line(a, t(f"viz.architecture.{a}"), tuple((float(x), float(y)) for x, y in points if x > 0 and y > 0))
        for a, points in curves.items()
    ]
    chart = lines_chart(
        lines,
        x=Axis(t("viz.axis.context"), "count", log=True),
        y=Axis(t("viz.axis.carried"), "bytes", log=True),
        theme=theme,
        markers=False,
    )
    if at:
        rule = table([{"x": float(at), "text": t("viz.growth.here", count=at)}])
        chart.layer.insert(0, rule.mark_rule(color=theme.muted, strokeDash=[4, 4]).encode(x="x:Q"))
        chart.layer.append(
            rule.mark_text(align="left", dx=6, y=8, fontSize=12, color=theme.muted).encode(x="x:Q", text="text:N")
        )
    return Figure("growth", chart, _drawn(lines), t("viz.growth.alt"))


def training_curves(logs: Mapping[str, Sequence[tuple[float, float]]], *, theme: Theme, t: Translate) -> Figure:
    """Draw the loss of each bundled model against the tokens it has seen: (tokens, loss) pairs.

    The line is a running mean over a fortieth of the log; the dots are the logged losses, of one batch each.
    """
    lines = [
        Line(
            a, t(f"viz.architecture.{a}"), _running_mean(points), samples=tuple((float(x), float(y)) for x, y in points)
        )
        for a, points in logs.items()
    ]
    chart = lines_chart(
        lines, x=Axis(t("viz.axis.seen"), "many"), y=Axis(t("viz.axis.loss")), theme=theme, markers=False
    )
    logged = {f"{a}_logged": Named(np.array(points).reshape(-1, 2), ("point", "x_y")) for a, points in logs.items()}
    return Figure("training_curves", chart, _drawn(lines) | logged, t("viz.training_curves.alt"))


def _running_mean(points: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Average the second of each pair over its neighbours, fewer at both ends so that the mean stays centred."""
    half = len(points) // (2 * SMOOTHED)
    reach = [min(half, i, len(points) - 1 - i) for i in range(len(points))]
    values = [float(np.mean([y for _, y in points[i - r : i + r + 1]])) for i, r in enumerate(reach)]
    return tuple((float(x), value) for (x, _), value in zip(points, values, strict=True))


def memory_vs_context(rows: Iterable[Measured], *, theme: Theme, t: Translate, peak: bool = False) -> Figure:
    """Draw the bytes of the live cache (peak: the highest use above the weights) against context length."""
    lines = _measured(rows, lambda row: _bytes(row.peak_bytes if peak else row.cache_bytes), t=t)
    title = t("viz.axis.peak" if peak else "viz.axis.carried")
    return _benchmark("memory_vs_context", lines, title=title, unit="bytes", theme=theme, t=t)


def prefill_vs_context(rows: Iterable[Measured], *, theme: Theme, t: Translate) -> Figure:
    """Draw the seconds to read the context against its length: medians, quartiles as a ribbon, samples as dots."""
    lines = _measured(rows, lambda row: [v / 1e3 for v in row.prefill_ms_samples], t=t)
    return _benchmark("prefill_vs_context", lines, title=t("viz.axis.prefill"), unit="seconds", theme=theme, t=t)


def decode_vs_context(rows: Iterable[Measured], *, theme: Theme, t: Translate) -> Figure:
    """Draw the seconds for one more token at a depth of context: medians, quartiles as a ribbon, samples as dots."""
    lines = _measured(rows, lambda row: [v / 1e3 for v in row.decode_ms_samples], t=t)
    return _benchmark("decode_vs_context", lines, title=t("viz.axis.decode"), unit="seconds", theme=theme, t=t)


def _benchmark(figure: str, lines: list[Line], *, title: str, unit: Unit, theme: Theme, t: Translate) -> Figure:
    chart = lines_chart(
        lines, x=Axis(t("viz.axis.context"), "count", log=True), y=Axis(title, unit, log=True), theme=theme
    )
    return Figure(figure, chart, _drawn(lines), t(f"viz.{figure}.alt", count=len(lines)))


def _measured(rows: Iterable[Measured], samples: Callable[[Measured], Sequence[float]], *, t: Translate) -> list[Line]:
    """Group rows by architecture in order of appearance, pool the samples of one context, and mark what did not run.

    Past the last measured context only the first failure is marked: what follows would fail as well.
    """
    groups: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    failed: dict[str, dict[int, str]] = defaultdict(dict)
    for row in rows:
        values = [float(v) for v in samples(row) if v > 0]
        if row.state in MEASURED and values:
            groups[row.architecture][row.context].extend(values)
        else:
            groups[row.architecture]  # an architecture of failures only still has a line, made of crosses
            if row.state not in MEASURED:
                failed[row.architecture].setdefault(row.context, row.state)
    everything = [v for contexts in groups.values() for values in contexts.values() for v in values]
    floor = min(everything, default=1.0)
    return [_line(a, contexts, failed[a], floor, t=t) for a, contexts in groups.items()]


def _line(
    architecture: str, contexts: Mapping[int, list[float]], failed: Mapping[int, str], floor: float, *, t: Translate
) -> Line:
    points, ribbon, dots = [], [], []
    for context in sorted(contexts):
        values = np.array(contexts[context])
        low, middle, high = (float(v) for v in np.quantile(values, [0.25, 0.5, 0.75]))
        points.append((float(context), middle))
        if len(values) > 1:
            ribbon.append((float(context), low, high))
            dots += [(float(context), float(v)) for v in _thinned(values)]
    reached = max(contexts, default=0)
    crosses = [(float(c), _last_before(points, c, floor)) for c in sorted(failed) if c not in contexts and c < reached]
    first = min((c for c in failed if c > reached), default=None)
    end = None
    if first is not None:
        end = (float(first), _last_before(points, first, floor), t(f"viz.state.{failed[first]}"))
    name = t(f"viz.architecture.{architecture}")
    return Line(architecture, name, tuple(points), tuple(ribbon), tuple(dots), tuple(crosses), end)


def _last_before(points: Sequence[tuple[float, float]], context: int, floor: float) -> float:
    """Return the height at which a cross stands: that of the last point before it, or the chart's floor."""
    return next((y for x, y in reversed(points) if x < context), floor)


def _thinned(
    values: np.ndarray[tuple[int], np.dtype[np.floating]], *, most: int = 40
) -> np.ndarray[tuple[int], np.dtype[np.floating]]:
    """Keep at most `most` samples, evenly through their order of size, ends included."""
    if len(values) <= most:
        return values
    return np.take(np.sort(values), np.linspace(0, len(values) - 1, most).round().astype(int))


def _bytes(count: int | None) -> list[float]:
    return [] if count is None else [float(count)]


def _drawn(lines: Sequence[Line]) -> dict[str, Named]:
    return {
        line.architecture: Named(np.array(line.points, dtype=np.float64).reshape(-1, 2), ("point", "x_y"))
        for line in lines
    }
