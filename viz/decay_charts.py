"""The two charts of viz.decay that are lines and ticks: fading weights, and half-lives layer by layer."""

import json
import math
from typing import Any

import altair as alt
import numpy as np

from models.records import ModelTrace
from viz.channels import Floats, Indices
from viz.labels import Translate, dodged, short
from viz.theme import Theme, ramp_between, styled, table

CURVE_HEIGHT = 400
ROW_HEIGHT = 40
TICKS_PER_LAYER = 256


def fading_chart(
    weight: Floats,
    distance: Floats,
    bonus: Floats,
    rate: Floats,
    channels: Indices,
    trace: ModelTrace,
    last: int,
    color: str,
    *,
    theme: Theme,
    t: Translate,
) -> alt.LayerChart:
    """Layer curves (channel, distance), bonus dots at distance 0 and a label on each curve at a height of its own.

    rate, bonus: one per drawn channel. last: the token from which distances count back.
    """
    names = [str(int(channel)) for channel in channels]
    top = max(1.0, float(bonus.max())) * 1.1
    x = _distance_axis(trace, last, float(distance[-1]), theme=theme, t=t)
    y = alt.Y(
        "weight:Q",
        title=t("viz.decay_curves.weight"),
        scale=alt.Scale(domain=[0, top], nice=False),
        axis=alt.Axis(grid=True, tickCount=4),
    )
    shades = alt.Color("channel:N", scale=alt.Scale(domain=names, range=_shades(color, len(names), theme)), legend=None)
    rows = [
        {"channel": name, "distance": float(d), "weight": float(w)}
        for name, row in zip(names, weight, strict=True)
        for d, w in zip(distance, row, strict=True)
    ]
    dots = [{"channel": n, "distance": 0.0, "weight": float(w)} for n, w in zip(names, bonus, strict=True)]
    curves = table(rows).mark_line(strokeWidth=2.25).encode(x=x, y=y, color=shades)
    now = table(dots).mark_point(size=64, strokeWidth=2, fill=theme.card, opacity=1).encode(x=x, y=y, color=shades)
    marks = table(_anchors(names, rate, float(distance[-1]), top, t=t))
    ends = marks.mark_point(filled=True, size=44, opacity=1).encode(x=x, y=y, color=shades)
    place = alt.Y("place:Q")
    style: dict[str, Any] = {"align": "left", "dx": 7, "dy": -9, "fontSize": 12.5, "baseline": "middle"}
    halo = marks.mark_text(**style, stroke=theme.card, strokeWidth=4, strokeJoin="round")
    text = marks.mark_text(**style, color=theme.ink)
    key = table([{"text": "○ " + t("viz.decay_curves.bonus")}]).mark_text(
        align="left", baseline="top", fontSize=12.5, color=theme.muted
    )
    layers = [halo.encode(x=x, y=place, text="text:N"), ends, text.encode(x=x, y=place, text="text:N")]
    layers.append(key.encode(x=alt.value(6), y=alt.value(0), text="text:N"))
    return styled(_layered(curves, now, *layers), theme, height=CURVE_HEIGHT)


def half_life_chart(
    half_life: Floats, layers: list[int], length: int, color: str, *, theme: Theme, t: Translate
) -> alt.LayerChart:
    """Draw (layer, channel) half-lives as one fine tick each, the median as a ring, the prompt's length as a line.

    A layer of more than 256 channels shows 256 of them, evenly through their order, the extremes included.
    """
    ordered = np.sort(half_life, axis=1)
    kept = ordered[:, np.unique(np.linspace(0, ordered.shape[1] - 1, TICKS_PER_LAYER).round().astype(int))]
    names = [t("viz.layer", layer=n) for n in layers]
    rows = [{"name": n, "half_life": float(v)} for n, row in zip(names, kept, strict=True) for v in row]
    middle = np.median(half_life, axis=1)
    medians = [{"name": n, "half_life": float(v), "text": short(float(v))} for n, v in zip(names, middle, strict=True)]
    low, high = min(float(half_life.min()), length), max(float(half_life.max()), length)
    x = alt.X(
        "half_life:Q",
        title=t("viz.half_life.axis"),
        scale=alt.Scale(type="log", domain=[low * 0.85, high * 1.15], nice=False),
        axis=alt.Axis(grid=True, values=_decades(low, high), format="~g"),
    )
    y = alt.Y("name:N", sort=None, title=None)
    ticks = (
        table(rows).mark_tick(color=color, opacity=min(0.6, 110 / kept.shape[1]), thickness=1, size=16).encode(x=x, y=y)
    )
    base = table(medians)
    rings = base.mark_point(color=color, fill=theme.card, size=80, strokeWidth=2, opacity=1).encode(x=x, y=y)
    style: dict[str, Any] = {"dy": -15, "fontSize": 12, "font": theme.mono}
    halo = base.mark_text(**style, stroke=theme.card, strokeWidth=4, strokeJoin="round").encode(x=x, y=y, text="text:N")
    texts = base.mark_text(**style, color=theme.ink).encode(x=x, y=y, text="text:N")
    here = table([{"half_life": float(length), "text": t("viz.half_life.prompt", count=length)}])
    rule = here.mark_rule(color=theme.muted, strokeDash=[4, 4]).encode(x=x)
    left = math.log(length / low) < 0.6 * math.log(high / low)
    note = here.mark_text(
        align="left" if left else "right", dx=6 if left else -6, baseline="bottom", fontSize=12, color=theme.muted
    )
    chart = _layered(rule, ticks, halo, rings, texts, note.encode(x=x, y=alt.value(-2), text="text:N"))
    return styled(chart, theme, height=ROW_HEIGHT * len(layers) + 72)


def _layered(*charts: alt.Chart) -> alt.LayerChart:
    return alt.LayerChart(layer=list(charts))


def _distance_axis(trace: ModelTrace, last: int, reach: float, *, theme: Theme, t: Translate) -> alt.X:
    """Build the axis whose ticks are words; a Vega expression turns a distance into the word that far back."""
    shown = [trace.tokens[last - n] for n in range(last + 1)]
    words = [(token.label.removeprefix("␣") or token.label) if token.piece == 1 else "" for token in shown]
    every = f"max(1, ceil({18 * (last + 1)} / width))"  # a leaning label needs some 18 pixels
    axis = alt.Axis(
        values=list(range(last + 1)),
        labelExpr=f"datum.value % {every} == 0 ? {json.dumps(words, ensure_ascii=False)}[datum.value] : ''",
        labelAngle=-60 if last > 7 else 0,
        labelFont=theme.mono,
        labelFontSize=12,
        labelOverlap=False,
        labelLimit=110,
    )
    scale = alt.Scale(domain=[-0.02 * reach, reach * 1.16], nice=False)
    return alt.X("distance:Q", title=t("viz.decay_curves.distance"), scale=scale, axis=axis)


def _anchors(names: list[str], rate: Floats, reach: float, top: float, *, t: Translate) -> list[dict[str, str | float]]:
    """Place each curve's label: long memories where still strong, short ones where already weak, ends apart."""
    levels = np.linspace(0.9, 0.1, len(names))
    at = np.minimum(1 - np.log(levels) / rate, reach)
    value = np.exp(-(at - 1) * rate)
    place = value.copy()
    crowded = [i for i in range(len(names)) if at[i] >= reach * 0.75]
    for i, moved in zip(crowded, dodged([float(place[i]) for i in crowded], gap=0.055 * top), strict=True):
        place[i] = moved
    half_life = math.log(2) / rate
    return [
        {
            "channel": n,
            "distance": float(d),
            "weight": float(v),
            "place": float(p),
            "text": t("viz.decay_curves.label", half_life=short(float(h))),
        }
        for n, d, v, p, h in zip(names, at, value, place, half_life, strict=True)
    ]


def _shades(color: str, count: int, theme: Theme) -> list[str]:
    """Return count shades of a colour: full for the longest memory, paler for the shortest."""
    ramp = ramp_between(theme.card, color)
    return [ramp[int(i)] for i in np.linspace(255, 120, count)]


def _decades(low: float, high: float) -> list[float]:
    """List 1, 10, 100 ... within a range, with 3, 30 ... between them where the range is short."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    marks = [10.0**n for n in exponents] if len(exponents) > 4 else [m * 10.0**n for n in exponents for m in (1, 3)]
    return [float(f"{mark:.6g}") for mark in marks if low <= mark <= high]
