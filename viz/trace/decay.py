"""Figures of RWKV decay: decay curves, half-lives, and effective attention."""

import math
from collections.abc import Sequence

import numpy as np

from models.records.trace import LayerTrace, ModelTrace, NamedArray
from viz.canvas import Axis, Bars, Legend, Matrix, Scale
from viz.figure import Figure, figure
from viz.look.labels import Translate, short, template
from viz.look.theme import Theme, mixer_ramp
from viz.trace.channels import Floats, binned, floats, layer_with, longest_first, most_varied, quantile_channels
from viz.trace.decay_charts import TICKS_PER_LANE, Lane, Scaling, fading_chart, half_life_chart, reach_of
from viz.trace.findings import decay_finding, film_finding, gate_finding
from viz.trace.matrix import mean_map
from viz.trace.state import film_picture, map_picture
from viz.trace.tokens import picture

NEAR_POINTS = 20  # within the first tokens, where the steepest channels fall; beyond them there is one per token
NEAREST, NEAR = 0.02, 3.0  # tokens beyond the first to the next point, and to the last of the near points


@figure("decay_curves", needs=("decay_rate", "bonus", "half_life"))
def decay_curves(
    trace: ModelTrace,
    *,
    theme: Theme,
    t: Translate,
    layer: int | None = None,
    channels: int = 5,
    scaling: Scaling = "linear",
    selected: int | None = None,
) -> Figure:
    """Draw how the weight of a past token fades with distance, exp(-(n - 1) w), for channels over all half-lives.

    The bonus exp(u), which replaces the decay for the token itself, is a separate ring at distance 0. The ticks are the
    reader's words, counted back from the chosen token (the last without a choice), and curves end at the first word:
    the browser shows so much of the arrays. selected: chosen until the visitor chooses in the browser.
    """
    shown = layer_with(trace, "decay_rate", layer)
    rate, bonus = floats(shown, "decay_rate"), floats(shown, "bonus")
    chosen = quantile_channels(floats(shown, "half_life"), count=channels)
    last = selected if selected is not None and 0 < selected < len(trace.tokens) else len(trace.tokens) - 1
    distance = _distances(reach_of(len(trace.tokens) - 1))
    weight = np.exp(-(distance[None] - 1) * rate[chosen, None])  # (channel, distance)
    now, color = np.exp(bonus[chosen]), theme.mixer_color(shown.mixer)
    chart = fading_chart(weight, distance, now, rate[chosen], chosen, trace, selected, color, scaling, theme=theme, t=t)
    alt_text = t("viz.decay_curves.alt", layer=shown.index, channels=len(chosen))
    data = {
        "weight": NamedArray(weight, ("channel", "distance")),
        "distance": NamedArray(distance, ("distance",)),
        "bonus": NamedArray(now, ("channel",)),
        "channel": NamedArray(chosen, ("channel",)),
    }
    each = tuple(
        (alt_text, decay_finding(rate[chosen], reach_of(n or len(trace.tokens) - 1), t))
        for n in range(len(trace.tokens))
    )
    return Figure("decay_curves", chart, data, alt_text, t("viz.decay_curves.note"), each[last][1], each)


def _distances(reach: float) -> Floats:
    """Return the distances of the points of a curve: dense near the first, then every whole number up to reach."""
    near = 1 + np.geomspace(NEAREST, NEAR, NEAR_POINTS)[:-1]
    return np.asarray(np.unique(np.concatenate([near, np.arange(1, reach + 1)])))


@figure("half_life_spectrum", needs=("half_life",))
def half_life_spectrum(trace: ModelTrace, *, theme: Theme, t: Translate) -> Figure:
    """Draw the half-life of every channel of every layer, sorted within the layer, on a logarithmic colour scale."""
    layers = trace.layers_with("half_life")
    half_life = np.stack(
        [np.sort(floats(shown, "half_life"), kind="stable")[::-1] for shown in layers]
    )  # (layer, channel)
    order = [longest_first(floats(shown, "half_life")) for shown in layers]
    low, high = max(float(half_life.min()), 1e-3), float(half_life.max())
    ticks = _log_ticks(low, high)
    named = tuple(
        tuple(
            t("viz.half_life.place", channel=int(channel), rank=rank + 1, count=len(channels))
            for rank, channel in enumerate(channels)
        )
        for channels in order
    )
    grid = Matrix(
        values=half_life.astype(np.float32),
        scale=Scale(low, high, kind="log"),
        ramps=(mixer_ramp(layers[0].mixer, theme),),
        readout=("{row}", "{cell}", template(t, "viz.value", "value", name=t("viz.half_life.quantity"))),
        cell_names=named,
        rows=Axis(
            labels=tuple(t("viz.layer", layer=shown.index) for shown in layers), title=t("viz.half_life.longest_left")
        ),
        columns=Axis(
            names=tuple(t("viz.half_life.rank", rank=i + 1, count=len(order[0])) for i in range(len(order[0]))),
            title=t("viz.half_life.shortest_right"),
        ),
        row_height=34,
        max_height=400,
        picks="none",
    )
    alt_text = t("viz.half_life_spectrum.alt", layers=len(layers), low=short(low), high=short(high))
    spec = picture(
        "half_life_spectrum",
        alt_text,
        trace,
        theme=theme,
        t=t,
        grid=grid,
        legends=(Legend(t("viz.half_life.quantity"), ticks, t("viz.scope.picture_log")),),
    )
    data = {
        "half_life": NamedArray(half_life, ("layer", "rank")),
        "channel": NamedArray(np.stack(order), ("layer", "rank")),
    }
    finding = _longest(half_life, layers, t)
    return Figure("half_life_spectrum", spec, data, alt_text, finding=finding)


@figure("half_life", needs=("half_life",), also=("half_distance", "decay_rates"))
def half_life(trace: ModelTrace, *, theme: Theme, t: Translate) -> Figure:
    """Draw every channel's half-life as one tick per layer on a logarithmic axis, with median and prompt length.

    Where a channel has several components (Mamba) this is how long the slowest of them lasts; a second row per layer
    then shows after how many tokens the mean |alpha| of the channel has really fallen to half in this text.
    """
    layers = trace.layers_with("half_life")
    values = np.stack([floats(shown, "half_life") for shown in layers])  # (layer, channel)
    data = {"half_life": NamedArray(values, ("layer", "channel"))}
    low, high = short(float(values.min())), short(float(values.max()))
    length, color, names = len(trace.tokens), theme.mixer_color(layers[0].mixer), _layer_names(layers, t)
    if all("half_distance" in shown.parts for shown in layers):
        measured = np.stack([floats(shown, "half_distance") for shown in layers])  # (layer, channel)
        data["half_distance"] = NamedArray(measured, ("layer", "channel"))
        lanes = [
            lane
            for name, slowest, halves in zip(names, values, measured, strict=True)
            for lane in (
                Lane(t("viz.half_life.slowest", layer=name), slowest, theme.muted),
                Lane(t("viz.half_life.measured", layer=name), halves, color),
            )
        ]
        title, alt_key = t("viz.half_life.axis_measured"), "viz.half_life.alt_measured"
        note = " ".join([_ticks_note(values, t), *_unfallen_note(measured, t)])
    else:
        lanes = [Lane(name, row, color) for name, row in zip(names, values, strict=True)]
        title, alt_key, note = t("viz.half_life.axis"), "viz.half_life.alt", _ticks_note(values, t)
    chart = half_life_chart(lanes, length, title=title, theme=theme, t=t)
    slowest = "decay_rates" in layers[0].parts  # of several components
    finding = _longest(values, layers, t, word="slowest_of_all" if slowest else "longest")
    return Figure("half_life", chart, data, t(alt_key, layers=len(layers), low=low, high=high), note, finding)


def _longest(half_life: Floats, layers: Sequence[LayerTrace], t: Translate, *, word: str = "longest") -> str:
    """Say how long the longest half-life (layer, channel) is, and in which layer."""
    layer = int(half_life.max(1).argmax())
    return t(f"viz.half_life.{word}", tokens=short(float(half_life[layer].max())), layer=layers[layer].index)


def _layer_names(layers: Sequence[LayerTrace], t: Translate) -> list[str]:
    return [t("viz.layer", layer=shown.index) for shown in layers]


def _ticks_note(values: Floats, t: Translate) -> str:
    """Say how many of the channels (layer, channel) have a mark in a row."""
    count = values.shape[1]
    if count <= TICKS_PER_LANE:
        return t("viz.half_life.all_marks", all=count)
    return t("viz.half_life.some_marks", all=count, shown=TICKS_PER_LANE)


def _unfallen_note(measured: Floats, t: Translate) -> list[str]:
    """Say in how many channels (layer, channel) the weights do not fall to half within the text."""
    count = int(np.isinf(measured).sum())
    return [t("viz.half_life.unfallen", count=count, all=measured.size)] if count else []


@figure("effective_attention", needs=("effective_attention",))
def effective_attention(
    trace: ModelTrace, *, theme: Theme, t: Translate, layer: int | None = None, selected: int | None = None
) -> Figure:
    """Draw what an RWKV layer effectively attends to: mean over channels of P (query, key); rows sum to 1."""
    return mean_map("effective_attention", trace, theme=theme, t=t, layer=layer, selected=selected)


@figure("receptance_map", needs=("receptance", "half_life"), also=("decay_rates",))
def receptance_map(
    trace: ModelTrace, *, theme: Theme, t: Translate, layer: int | None = None, selected: int | None = None
) -> Figure:
    """Draw the receptance gate sigma(r) of every channel at every token, longest memory first, from 0 to 1."""
    shown = layer_with(trace, "receptance", layer)
    gate = floats(shown, "receptance")
    rows, runs = binned(gate, longest_first(floats(shown, "half_life")))
    mean = gate.mean(1)
    bars = Bars(
        mean,
        t("viz.receptance_map.mean"),
        theme.mixer_color(shown.mixer),
        template(t, "viz.receptance_map.mean_is", "value"),
    )
    alt_text = t("viz.receptance_map.alt", layer=shown.index, channels=gate.shape[1])
    spec = map_picture(
        "receptance_map",
        rows,
        runs,
        shown,
        trace,
        theme=theme,
        t=t,
        alt=alt_text,
        selected=selected,
        bars=(bars,),
        low=0.0,
    )
    data = {"receptance": NamedArray(rows, ("row", "token")), "receptance_mean": NamedArray(mean, ("token",))}
    return Figure("receptance_map", spec, data, alt_text, finding=gate_finding(mean, trace.tokens, t))


@figure("wkv_film", needs=("wkv_num", "wkv_den", "wkv_max", "half_life"), also=("decay_rates",))
def wkv_film(
    trace: ModelTrace,
    *,
    theme: Theme,
    t: Translate,
    layer: int | None = None,
    channels: int = 32,
    selected: int | None = None,
) -> Figure:
    """Draw what RWKV's state would answer after each token: num / den per channel, signed, longest memory first.

    Bars: the maximum exponent that both sums are kept relative to, as a mean over all channels.
    """
    shown = layer_with(trace, "wkv_num", layer)
    den = floats(shown, "wkv_den")
    ratio = floats(shown, "wkv_num") / np.where(den == 0, 1, den)  # (token, channel)
    chosen = most_varied(floats(shown, "half_life"), ratio, count=channels)
    film = ratio[:, chosen].T
    alt_text = t("viz.wkv_film.alt", layer=shown.index, channels=len(chosen))
    exponent = floats(shown, "wkv_max").mean(1)
    bars = Bars(
        exponent,
        t("viz.wkv_film.exponent"),
        theme.mixer_color(shown.mixer),
        template(t, "viz.wkv_film.exponent_is", "value"),
    )
    spec = film_picture(
        "wkv_film", film, chosen, shown, trace, theme=theme, t=t, alt=alt_text, selected=selected, bars=(bars,)
    )
    data = {
        "wkv": NamedArray(film, ("channel", "token")),
        "channel": NamedArray(chosen, ("channel",)),
        "exponent_mean": NamedArray(exponent, ("token",)),
    }
    return Figure("wkv_film", spec, data, alt_text, finding=film_finding(film, trace.tokens, t))


def _log_ticks(low: float, high: float) -> tuple[tuple[float, str], ...]:
    """Label a logarithmic ramp at its ends and in its middle."""
    return ((0.0, short(low)), (0.5, short(math.sqrt(low * high))), (1.0, short(high)))
