"""Figures of RWKV's gates beside the receptance: token shift, and the zeros of the channel mixing."""

import math
from typing import Any

import altair as alt
import numpy as np

from models.records.trace import ModelTrace, NamedArray
from viz.canvas import Axis, Bars, Legend, Matrix, Scale
from viz.canvas.pooling import fit_columns
from viz.figure import Figure, figure
from viz.look.extremes import extremes, percent
from viz.look.labels import Translate, short, template
from viz.look.theme import Theme, mixer_ramp
from viz.look.vega import VegaSpec, styled, table
from viz.trace.channels import Floats, floats, layer_with
from viz.trace.decay_charts import spread_through
from viz.trace.tokens import picture, strip_of

SHARES = ("key", "value", "receptance", "ffn_key", "ffn_receptance")  # rows of the part shift_share
LANE = 46  # pixels
TICKS = 256


@figure("token_shift", needs=("shift_share",))
def token_shift(trace: ModelTrace, *, theme: Theme, t: Translate, layer: int | None = None) -> Figure:
    """Draw mu of every channel for the five mixtures of a block: the share of the present token, the rest is the last.

    A tick per channel (256 of more, evenly through their order), a ring at the mean.
    """
    shown = layer_with(trace, "shift_share", layer)
    share = floats(shown, "shift_share")  # (share, d_model)
    names = [t(f"viz.token_shift.{name}") for name in SHARES]
    chart = _lanes(share, names, theme.mixer_color(shown.mixer), theme=theme, t=t)
    mean = share.mean(1)
    alt_text = t("viz.token_shift.alt", layer=shown.index, channels=share.shape[1])
    data = {"share": NamedArray(share, ("share", "d_model")), "mean": NamedArray(mean, ("share",))}
    found = extremes([(name, float(value)) for name, value in zip(names, mean, strict=True)], percent)
    finding = t("viz.token_shift.finding", **found._asdict()) if found else ""
    return Figure("token_shift", chart, data, alt_text, t("viz.token_shift.note"), finding)


def _lanes(share: Floats, names: list[str], color: str, *, theme: Theme, t: Translate) -> VegaSpec:
    low, high = min(0.0, float(share.min())), max(1.0, float(share.max()))
    marks = [n / 4 for n in range(math.floor(4 * low), math.ceil(4 * high) + 1) if low <= n / 4 <= high]
    axis = alt.Axis(grid=True, values=marks, format=".0%")
    edge = 0.02 * (high - low)
    x = alt.X("share:Q", title=t("viz.token_shift.axis"), axis=axis,
              scale=alt.Scale(domain=[low - edge, high + edge], nice=False))  # fmt: skip
    y = alt.Y("name:N", sort=names, title=None, scale=alt.Scale(domain=names),
              axis=alt.Axis(labelLimit=220, labelColor=theme.ink))  # fmt: skip
    rows = [
        {"name": name, "share": float(value)}
        for name, row in zip(names, share, strict=True)
        for value in spread_through(row)
    ]
    ticks = table(rows).mark_tick(color=color, opacity=min(0.6, 110 / min(share.shape[1], TICKS)), thickness=1, size=18)
    means = table([{"name": n, "share": float(v), "text": percent(float(v))}
                   for n, v in zip(names, share.mean(1), strict=True)])  # fmt: skip
    rings = means.mark_point(fill=theme.card, color=color, size=80, strokeWidth=2, opacity=1)
    style: dict[str, Any] = {"dx": 11, "align": "left", "baseline": "middle", "fontSize": 12, "font": theme.mono}
    text = alt.Text("text:N")
    halo = means.mark_text(**style, stroke=theme.card, strokeWidth=4, strokeJoin="round")
    numbers = means.mark_text(**style, color=theme.ink)
    layers = [ticks.encode(x=x, y=y), halo.encode(x=x, y=y, text=text), rings.encode(x=x, y=y),
              numbers.encode(x=x, y=y, text=text)]  # fmt: skip
    return styled(layers, theme, height=LANE * len(names) + 70)


def zero_shares(trace: ModelTrace) -> Floats:
    """Return which share of the hidden units of the channel mixing is zero, (layer, token)."""
    return np.stack([(floats(shown, "ffn_key") <= 0).mean(1) for shown in trace.layers_with("ffn_key")])


@figure("channel_mix_zeros", needs=("ffn_key",))
def channel_mix_zeros(trace: ModelTrace, *, theme: Theme, t: Translate, selected: int | None = None) -> Figure:
    """Draw which share of the hidden units of the channel mixing the ReLU sets to zero, for every layer and token.

    Bars: the mean over the layers.
    """
    layers = trace.layers_with("ffn_key")
    values = zero_shares(trace)
    pooled = fit_columns(values.astype(np.float32))
    low, high = float(values.min()), float(values.max())
    low = low if low < high else 0.0
    name = t("viz.channel_mix_zeros.quantity")
    labels = tuple(t("viz.layer", layer=shown.index) for shown in layers)
    grid = Matrix(
        values=pooled.values,
        scale=Scale(low, max(high, low + 1e-6)),
        ramps=(mixer_ramp(layers[0].mixer, theme),),
        readout=("{column}", "{row}", template(t, "viz.value", "value", name=name)),
        pool=(1, pooled.columns),
        rows=Axis(labels=labels),
        row_height=30,
        max_height=420,
    )
    mean = values.mean(0)
    bars = Bars(mean, t("viz.channel_mix_zeros.mean"), theme.mixer_color(layers[0].mixer),
                template(t, "viz.channel_mix_zeros.mean_is", "value"))  # fmt: skip
    alt_text = t("viz.channel_mix_zeros.alt", layers=len(layers))
    ticks = ((0.0, short(low)), (0.5, short((low + high) / 2)), (1.0, short(high)))
    spec = picture(
        "channel_mix_zeros", alt_text, trace, theme=theme, t=t, strip=strip_of(trace, t=t, selected=selected),
        bars=(bars,), grid=grid, legends=(Legend(name, ticks, t("viz.scope.picture")),),
    )  # fmt: skip
    data = {"zeros": NamedArray(values, ("layer", "token")), "zeros_mean": NamedArray(mean, ("token",))}
    found = extremes([(label, float(v)) for label, v in zip(labels, values.mean(1), strict=True)], percent)
    ends = found._asdict() if found else {}
    finding = t("viz.channel_mix_zeros.finding", mean=percent(float(values.mean())), **ends) if ends else ""
    return Figure("channel_mix_zeros", spec, data, alt_text, finding=finding)
