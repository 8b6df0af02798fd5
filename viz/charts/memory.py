"""What a model holds in memory as a text grows, and how many of its parameters one token uses."""

from collections.abc import Callable
from typing import Any

import numpy as np

from models.records.memory import MemoryCurve
from models.records.trace import NamedArray
from models.units import compact, count
from viz.figure import Figure, figure
from viz.look.extremes import percent
from viz.look.labels import Translate, size
from viz.look.plotly import PlotTable, Trace, behaviour, choice, escaped, faded, plotted
from viz.look.theme import Theme

PARTS = ("weights", "state", "keys_values")  # from the ground up
TERMS = ("embeddings", "attention", "mamba", "time_mix", "channel_mix", "ffn", "experts", "router", "norms", "head")
HEIGHT, BARS = 460, 330  # pixels
TICKS = 5


@figure("memory_growth", of="other")
def memory_growth(curve: MemoryCurve, *, theme: Theme, t: Translate) -> Figure:
    """Draw weights, state, and keys and values on each other against the tokens, by formula, both axes linear.

    The dashed line stands where they would end if every layer attended, the weights being the same. A switch leaves the
    weights out.
    """
    lengths = [float(n) for n in curve.lengths]
    sizes = {
        "weights": [float(curve.weights)] * len(lengths),
        "state": [float(curve.state)] * len(lengths),
        "keys_values": [float(n) for n in curve.keys_values],
    }
    colors = {
        "weights": theme.muted,
        "state": theme.mixer_color("mamba"),
        "keys_values": theme.mixer_color("attention"),
    }
    areas = [_area(name, lengths, sizes[name], colors[name], t) for name in PARTS]
    ghost = [float(n) for n in curve.all_attention]
    whole = [n + curve.weights for n in ghost]
    lines = [_ghost(lengths, place, ghost, theme, t, shown=n == 0) for n, place in enumerate((whole, ghost))]
    total = [sum(parts) for parts in zip(*sizes.values(), strict=True)]
    held = [a - curve.weights for a in total]
    acts: list[list[Any]] = [
        [{"visible": [True, True, True, True, False]}, _axis_of(max(*total, *whole), "yaxis")],
        [{"visible": [False, True, True, False, True]}, _axis_of(max(*held, *ghost), "yaxis")],
    ]
    buttons = choice([t("viz.memory_growth.with_weights"), t("viz.memory_growth.cache_alone")], acts, theme=theme)
    layout: dict[str, Any] = {
        "hovermode": "x unified", "margin": {"l": 76, "r": 40, "t": 44, "b": 88, "pad": 4}, "updatemenus": [buttons],
        "xaxis": {"title": {"text": t("viz.axis.context")}, **_ticks(max(lengths), _tokens)},
        "yaxis": {"range": [0, 1.06 * max(*total, *whole)], **_ticks(max(*total, *whole), size)},
        "legend": {"y": 1.01},
    }  # fmt: skip
    head = (t("viz.axis.context"), *(t(f"viz.memory_growth.{name}") for name in PARTS), t("viz.memory_growth.ghost"))
    rows = tuple(
        (count(int(n)), *(size(sizes[name][i]) for name in PARTS), size(ghost[i])) for i, n in enumerate(lengths)
    )
    body = plotted(
        [*areas, *lines], layout, PlotTable(head, rows), theme=theme, t=t, height=HEIGHT, config=behaviour(t)
    )
    data = {name: NamedArray(np.array(values), ("length",)) for name, values in sizes.items()}
    data |= {"length": NamedArray(np.array(curve.lengths), ("length",))}
    data["all_attention"] = NamedArray(np.array(curve.all_attention), ("length",))
    said = {"tokens": count(curve.lengths[-1]), "kv": size(sizes["keys_values"][-1]), "ghost": size(ghost[-1])}
    alt = t("viz.memory_growth.alt", **said)
    finding = t("viz.memory_growth.finding", weights=size(float(curve.weights)), state=size(float(curve.state)), **said)
    return Figure("memory_growth", body, data, alt, t("viz.memory_growth.note"), finding)


@figure("active_parameters", of="other")
def active_parameters(curve: MemoryCurve, *, theme: Theme, t: Translate) -> Figure:
    """Draw all parameters and those that one token passes through as two bars, by what they belong to."""
    names = [name for name in TERMS if curve.total.get(name)]
    kinds = (t("viz.active_parameters.total"), t("viz.active_parameters.active"))
    sums = [sum(part.values()) for part in (curve.total, curve.active)]
    bars = [
        {
            "type": "bar", "orientation": "h", "meta": name, "name": escaped(t(f"viz.active_parameters.{name}")),
            "y": list(kinds), "x": [float(part.get(name, 0)) for part in (curve.total, curve.active)],
            "customdata": [compact(part.get(name, 0)) for part in (curve.total, curve.active)],
            "hovertemplate": "%{fullData.name}: %{customdata}<extra></extra>", "showlegend": True,
            "marker": {"color": _term_color(name, theme), "line": {"color": theme.card, "width": 1}},
        }
        for name in names
    ]  # fmt: skip
    high = float(max(sums))
    layout: dict[str, Any] = {
        "barmode": "stack", "bargap": 0.35, "hovermode": "closest", "legend": {"y": 1.01, "traceorder": "normal"},
        "margin": {"l": 116, "r": 16, "t": 92, "b": 44, "pad": 4},
        "xaxis": {"range": [0, 1.02 * high], "showgrid": True, **_ticks(high, compact)},
        "yaxis": {"autorange": "reversed", "showgrid": False},
    }  # fmt: skip
    rows = tuple(
        (t(f"viz.active_parameters.{name}"), compact(curve.total[name]), compact(curve.active.get(name, 0)))
        for name in names
    )
    head = (t("viz.active_parameters.part"), *kinds)
    still = behaviour(t) | {"displayModeBar": False}
    body = plotted(bars, layout, PlotTable(head, rows), theme=theme, t=t, height=BARS, config=still)
    values = np.array([[curve.total[name], curve.active.get(name, 0)] for name in names], np.int64)
    said = {"total": compact(sums[0]), "active": compact(sums[1]), "share": percent(sums[1] / sums[0])}
    finding = t("viz.active_parameters.finding", **said)
    data = {"parameters": NamedArray(values, ("part", "kind"))}
    return Figure("active_parameters", body, data, t("viz.active_parameters.alt", **said), finding=finding)


def _area(name: str, lengths: list[float], values: list[float], color: str, t: Translate) -> Trace:
    return {
        "type": "scatter", "mode": "lines", "stackgroup": "held", "meta": name, "x": lengths, "y": values,
        "name": escaped(t(f"viz.memory_growth.{name}")), "line": {"width": 1, "color": color},
        "fillcolor": faded(color, 0.42), "showlegend": True, "customdata": [size(value) for value in values],
        "hovertemplate": "%{fullData.name}: %{customdata}<extra></extra>",
    }  # fmt: skip


def _ghost(
    lengths: list[float], at: list[float], values: list[float], theme: Theme, t: Translate, *, shown: bool
) -> Trace:
    """Draw a line at some heights that says the bytes of keys and values alone."""
    return {
        "type": "scatter", "mode": "lines", "meta": "all_attention", "x": lengths, "y": at, "visible": shown,
        "name": escaped(t("viz.memory_growth.ghost")), "showlegend": True,
        "line": {"width": 2, "dash": "dash", "color": theme.ink}, "customdata": [size(value) for value in values],
        "hovertemplate": "%{fullData.name}: %{customdata}<extra></extra>",
    }  # fmt: skip


def _term_color(name: str, theme: Theme) -> str:
    mixers = {"attention": "attention", "mamba": "mamba", "time_mix": "rwkv"}
    if name in mixers:
        return theme.mixer_color(mixers[name])
    others = [term for term in TERMS if term not in mixers]
    return theme.experts[others.index(name) % len(theme.experts)]


def _axis_of(high: float, name: str) -> dict[str, Any]:
    """Return what a switch sets of an axis: its range and its ticks."""
    return {f"{name}.{key}": value for key, value in {"range": [0, 1.06 * high], **_ticks(high, size)}.items()}


def _tokens(value: float) -> str:
    return count(int(value))


def _ticks(high: float, write: Callable[[float], str]) -> dict[str, Any]:
    """Return even ticks up to a value: apart by a power of two, but for parameters by 1, 2 or 5 times one of ten."""
    apart = _round(max(high, 1.0) / TICKS) if write is compact else 2.0 ** np.ceil(np.log2(max(high, 1.0) / TICKS))
    ticks = [float(tick) for tick in np.arange(0, high * 1.001, apart)]
    return {"tickmode": "array", "tickvals": ticks, "ticktext": [write(tick) if tick else "0" for tick in ticks]}


def _round(value: float) -> float:
    """Return the next of 1, 2 and 5 times a power of ten.

    >>> _round(0.7), _round(1.2e9)
    (1.0, 2000000000.0)
    """
    power = float(10.0 ** np.floor(np.log10(value)))
    return next(power * factor for factor in (1.0, 2.0, 5.0, 10.0) if power * factor >= value)
