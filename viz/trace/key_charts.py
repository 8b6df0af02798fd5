"""The chart of weights that RWKV gives to the past of a token, with the keys of the text."""

import math
from typing import Any

import altair as alt

from models.records.trace import ModelTrace
from viz.look.labels import Translate, short
from viz.look.theme import Theme
from viz.look.vega import VegaSpec, following, styled, table
from viz.trace.channels import Floats, Indices
from viz.trace.decay_charts import (
    CURVE_HEIGHT,
    LEAST_REACH,
    LEAST_WEIGHT,
    Scaling,
    distance_axis,
    least_of,
    shades_of,
    weight_axis,
    words_back,
)


def keys_chart(
    rate: Floats,
    bonus: Floats,
    key: Floats,
    total: Floats,
    channels: Indices,
    trace: ModelTrace,
    selected: int | None,
    color: str,
    scaling: Scaling,
    *,
    theme: Theme,
    t: Translate,
) -> VegaSpec:
    """Draw a line with a dot per token for every channel; a ring at distance 0 is the token itself with its bonus.

    rate, bonus (channel,); key (token, channel); total (channel, token): the logarithm of the sum of the weights at a
    token. The browser works a weight out as exp(key - (distance - 1) rate - total) for the chosen token. A curve is
    named by its half-life at its largest weight before the token.
    """
    names = [str(int(channel)) for channel in channels]
    rows = [
        {
            "channel": names[c],
            "nth": c,
            "place": place,
            "key": float(key[place, c]),
            "rate": float(rate[c]),
            "bonus": float(bonus[c]),
            "text": t("viz.decay_curves.label", half_life=short(math.log(2) / float(rate[c]))),
            "word": trace.tokens[place].label,
        }
        for c in range(len(names))
        for place in range(len(key))
    ]
    x = distance_axis(theme=theme, t=t)
    y = weight_axis(1.0, scaling, t("viz.key_curves.weight"))
    shades = alt.Color(
        "channel:N", scale=alt.Scale(domain=names, range=shades_of(color, len(names), theme)), legend=None
    )
    least = 0.0 if scaling == "linear" else LEAST_WEIGHT
    known = (
        table(rows)
        .transform_filter("datum.place <= token")
        .transform_calculate(
            distance="token - datum.place",
            weight="exp(datum.key + (datum.place == token ? datum.bonus : (datum.place + 1 - token) * datum.rate)"
            " - totals[datum.nth][token])",
        )
        .transform_filter(f"datum.weight >= {least_of(scaling)}")
    )
    tip = [
        alt.Tooltip("word:N", title=t("viz.key_curves.word")),
        alt.Tooltip("text:N", title=t("viz.key_curves.half_life")),
        alt.Tooltip("weight:Q", title=t("viz.key_curves.weight"), format=".4g"),
    ]
    past = known.transform_filter("datum.distance > 0")
    lines = past.mark_line(strokeWidth=1.75, clip=True).encode(x=x, y=y, color=shades)
    seen = f"datum.weight >= {least}"
    dots = (
        past.transform_filter(seen)
        .mark_point(filled=True, size=34, opacity=1)
        .encode(x=x, y=y, color=shades, tooltip=tip)
    )
    now = known.transform_filter(f"datum.distance == 0 && {seen}").mark_point(
        size=64, strokeWidth=2, fill=theme.card, opacity=1
    )
    params: list[dict[str, Any]] = [
        *following(len(key), selected, first=1),
        {"name": "reach", "expr": f"max(token, {LEAST_REACH})"},
        {"name": "totals", "value": total.tolist()},
        *words_back(trace),
    ]
    best = (
        past.transform_filter(seen)
        .transform_window(sort=[alt.SortField("weight", order="descending")], groupby=["channel"], order="row_number()")
        .transform_filter("datum.order == 1")
    )
    style: dict[str, Any] = {"align": "left", "dx": 8, "dy": -8, "fontSize": 12.5, "baseline": "bottom"}
    halo = best.mark_text(**style, stroke=theme.card, strokeWidth=4, strokeJoin="round")
    text = best.mark_text(**style, color=theme.ink)
    named = alt.Text("text:N")
    layers = [
        lines,
        now.encode(x=x, y=y, color=shades, tooltip=tip),
        dots,
        halo.encode(x=x, y=y, text=named),
        text.encode(x=x, y=y, text=named),
    ]
    return styled(layers, theme, height=CURVE_HEIGHT, params=params)
