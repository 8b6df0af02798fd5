"""The two numbers that set how long a channel of a selective scan keeps: its decay rate A and its mean step."""

import math
from typing import Any

import numpy as np

from models.records.trace import ModelTrace, NamedArray
from viz.figure import Figure, figure
from viz.look.extremes import percent
from viz.look.labels import Translate, short
from viz.look.plotly import PlotTable, Trace, behaviour, faded, plotted, written
from viz.look.theme import Theme
from viz.trace.channels import Floats, floats, layer_with

HEIGHT, TOP, FOOT = 440, 40, 88  # pixels: in all, above the plot, below it
GUIDES = (1, 4, 16, 64, 256)  # tokens, the half-lives whose lines are drawn


@figure("memory_rates", needs=("dt", "decay_rates", "half_distance"))
def memory_rates(trace: ModelTrace, *, theme: Theme, t: Translate, layer: int | None = None) -> Figure:
    """Draw |A| of every channel's slowest component against its mean step, on logarithms, with lines of one half-life.

    Filled marks: the mean |alpha| of the channel halves within this text; hollow ones: it does not. The line of the
    text's own length parts channels whose slowest component outlasts it from those that forget within it.
    """
    shown = layer_with(trace, "dt", layer)
    step = floats(shown, "dt").astype(np.float64).mean(0)
    rate = np.abs(floats(shown, "decay_rates").astype(np.float64)).min(1)
    halves = floats(shown, "half_distance").astype(np.float64)
    color, length = theme.mixer_color(shown.mixer), len(trace.tokens)
    marks = [
        _marks(step, rate, halves, np.isfinite(halves), "halves", color, t),
        _marks(step, rate, halves, ~np.isfinite(halves), "stays", color, t),
    ]
    span, high = _ends(step, 1.3), _ends(rate, 1.5)
    guides = [_guide(tokens, span, high, theme, own=False) for tokens in GUIDES]
    guides.append(_guide(length, span, high, theme, own=True))
    axis = {"type": "log", "showgrid": False, "tickmode": "array"}
    inner = HEIGHT - TOP - FOOT
    layout: dict[str, Any] = {
        "xaxis": axis | _ticks(span, (1, 3)) | {"title": {"text": t("viz.memory_rates.step")}},
        "yaxis": axis | _ticks(high, (1, 2, 5)),
        "hovermode": "closest",
        "margin": {"l": 62, "r": 16, "t": TOP, "b": FOOT},
        "legend": {"y": -FOOT / inner},
        "annotations": [
            written(
                t("viz.memory_rates.rate"), theme, x=0, xanchor="left", xshift=-56, y=1, yanchor="bottom", yshift=8
            ),
            *(note for one in guides for note in one[1]),
        ],
    }
    table = _table(step, rate, halves, t)
    body = plotted(
        [*(one[0] for one in guides), *marks], layout, table, theme=theme, t=t, height=HEIGHT, config=behaviour(t)
    )
    outlasts = float((math.log(2) / (rate * step) > length).mean())
    data = {
        "mean_dt": NamedArray(step, ("channel",)),
        "slowest_rate": NamedArray(rate, ("channel",)),
        "half_distance": NamedArray(halves, ("channel",)),
    }
    alt = t("viz.memory_rates.alt", layer=shown.index, channels=len(step))
    note = t("viz.memory_rates.note", count=length)
    return Figure("memory_rates", body, data, alt, note, t("viz.memory_rates.finding", share=percent(outlasts)))


def _ends(values: Floats, room: float) -> tuple[float, float]:
    """Return between what the positive values lie, with room on a logarithm; 1 to 10 without any."""
    known = values[np.isfinite(values) & (values > 0)]
    return (float(known.min()) / room, float(known.max()) * room) if len(known) else (1.0, 10.0)


def _ticks(ends: tuple[float, float], parts: tuple[int, ...]) -> dict[str, Any]:
    """Return the range of a logarithm between ends, with parts of every power of ten as its labels."""
    tens = range(math.floor(math.log10(ends[0])), math.ceil(math.log10(ends[1])) + 1)
    values = [float(f"{part * 10.0**n:.3g}") for n in tens for part in parts if ends[0] <= part * 10.0**n <= ends[1]]
    return {"range": np.log10(ends).tolist(), "tickvals": values, "ticktext": [short(value) for value in values]}


def _marks(step: Floats, rate: Floats, halves: Floats, kept: Floats, name: str, color: str, t: Translate) -> Trace:
    """Draw the channels of one kind; who points at one reads its number and both kinds of half-life."""
    said = [
        "<br>".join([
            t("viz.memory_rates.channel", channel=int(channel)),
            t("viz.memory_rates.slowest", tokens=short(math.log(2) / float(rate[channel] * step[channel]))),
            _halving(float(halves[channel]), t),
        ])
        for channel in np.flatnonzero(kept)
    ]  # fmt: skip
    hollow = name == "stays"
    return {
        "type": "scatter", "mode": "markers", "meta": name, "name": t(f"viz.memory_rates.{name}"), "showlegend": True,
        "x": step[kept].tolist(), "y": rate[kept].tolist(), "customdata": said,
        "hovertemplate": "%{customdata}<extra></extra>",
        "marker": {"size": 6, "color": color, "opacity": 0.75, "symbol": "circle-open" if hollow else "circle"},
    }  # fmt: skip


def _halving(value: float, t: Translate) -> str:
    return (
        t("viz.memory_rates.halved", tokens=short(value)) if math.isfinite(value) else t("viz.memory_rates.not_halved")
    )


def _guide(
    tokens: int, span: tuple[float, float], high: tuple[float, float], theme: Theme, *, own: bool
) -> tuple[Trace, list[dict[str, Any]]]:
    """Draw the line |A| dt = ln 2 / tokens within the axes, and write the tokens at its upper end."""
    product = math.log(2) / tokens
    left, right = max(span[0], product / high[1]), min(span[1], product / high[0])
    inside = left < right
    ends = [left, right] if inside else []
    line = {
        "type": "scatter", "mode": "lines", "meta": "guide", "x": ends, "y": [product / x for x in ends],
        "hoverinfo": "skip", "showlegend": False,
        "line": {"color": theme.ink if own else faded(theme.muted, 0.5), "width": 1.5 if own else 1,
                 "dash": "6px,4px" if own else "solid"},
    }  # fmt: skip
    if not inside:
        return line, []
    place = {"x": math.log10(left), "y": math.log10(product / left), "xref": "x", "yref": "y"}
    words = written(str(tokens), theme, **place, xanchor="left", yanchor="top" if own else "bottom", xshift=4)
    return line, [words]


def _table(step: Floats, rate: Floats, halves: Floats, t: Translate) -> PlotTable:
    names = ("column_channel", "step", "rate", "column_slowest", "column_halved")
    rows = [
        (str(n), short(float(step[n])), short(float(rate[n])), short(math.log(2) / float(rate[n] * step[n])),
         short(float(halves[n])) if math.isfinite(halves[n]) else "∞")
        for n in range(len(step))
    ]  # fmt: skip
    return PlotTable(tuple(t(f"viz.memory_rates.{name}") for name in names), tuple(rows))
