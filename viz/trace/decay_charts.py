"""The charts of viz.trace.decay: decay curves, and half-lives by layer."""

import math
from typing import Any, Literal, NamedTuple

import altair as alt
import numpy as np

from models.records.trace import ModelTrace
from viz.look.labels import Translate, short, spread_apart
from viz.look.theme import Theme, ramp_between
from viz.look.vega import VegaSpec, following, styled, table
from viz.trace.channels import Floats, Indices

CURVE_HEIGHT = 400
ROW_HEIGHT = 40
WIDE, NARROW = 13, 7.5  # pixels of a sign in 12 px mono type: Hangul, Latin
TICKS_PER_LANE = 256
EDGE = 104  # pixels right of the curves
LEAST_WEIGHT = 1e-3  # that a logarithmic axis shows
LEAST_NUMBER = 1e-30  # whose logarithm a line is drawn to
AXIS = 44  # pixels of the numbers of a logarithmic axis
LEAST_REACH = 4  # distances that are drawn at least
LABEL = 0.17  # of the distances, about the width of a label


Scaling = Literal["linear", "log"]


class Lane(NamedTuple):
    """One row of half_life_chart: its name, a number of tokens per channel (inf: longer than the text), its colour."""

    name: str
    tokens: Floats
    color: str


def fading_chart(
    weight: Floats,
    distance: Floats,
    bonus: Floats,
    rate: Floats,
    channels: Indices,
    trace: ModelTrace,
    selected: int | None,
    color: str,
    scaling: Scaling = "linear",
    *,
    theme: Theme,
    t: Translate,
) -> VegaSpec:
    """Layer curves (channel, distance), bonus rings at distance 0, and a guide at one half.

    Distances count back from the chosen token, and curves end at the first one of the text: distance holds every whole
    number up to the last, and the browser leaves out what lies beyond (`reach`). A curve is marked where it crosses
    the guide, with its half-life; one that does not within the drawn distances has it at its right end. rate, bonus:
    one per drawn channel. On a logarithmic axis weights below LEAST_WEIGHT are left out.
    """
    names = [str(int(channel)) for channel in channels]
    top = max(1.0, float(bonus.max())) * (1.1 if scaling == "linear" else 1.6)
    x = distance_axis(theme=theme, t=t)
    y = weight_axis(top, scaling, t("viz.decay_curves.weight"))
    shades = alt.Color(
        "channel:N", scale=alt.Scale(domain=names, range=shades_of(color, len(names), theme)), legend=None
    )
    rows = [
        {"channel": name, "distance": float(d), "weight": float(w)}
        for name, row in zip(names, weight, strict=True)
        for d, w in zip(distance, row, strict=True)
    ]
    dots = [{"channel": n, "distance": 0.0, "weight": float(w)} for n, w in zip(names, bonus, strict=True)]
    drawn = f"datum.distance <= reach && datum.weight >= {least_of(scaling)}"
    curves = table(rows).transform_filter(drawn).mark_line(strokeWidth=2.25, interpolate="monotone", clip=True)
    now = table(dots).mark_point(size=64, strokeWidth=2, fill=theme.card, opacity=1).encode(x=x, y=y, color=shades)
    marks = table(_anchors(names, rate, t=t)).transform_calculate(
        distance="min(1 + datum.half_life, reach)",
        weight="exp((1 - min(1 + datum.half_life, reach)) * datum.rate)",
        place="places[token][datum.nth]",
    )
    stems = marks.mark_rule(strokeWidth=1, opacity=0.7).encode(x=x, y=y, y2=alt.Y2("place:Q"), color=shades)
    ends = marks.mark_point(filled=True, size=52, opacity=1).encode(x=x, y=y, color=shades)
    place = alt.Y("place:Q")
    style: dict[str, Any] = {"align": "left", "dx": 8, "fontSize": 12.5, "baseline": "middle"}
    halo = marks.mark_text(**style, stroke=theme.card, strokeWidth=4, strokeJoin="round")
    text = marks.mark_text(**style, color=theme.ink)
    guide = table([{"weight": 0.5}]).mark_rule(color=theme.muted, strokeDash=[4, 4]).encode(y=y)
    layers = [
        curves.encode(x=x, y=y, color=shades),
        now,
        guide,
        stems,
        halo.encode(x=x, y=place, text=alt.Text("text:N")),
        ends,
        text.encode(x=x, y=place, text=alt.Text("text:N")),
    ]
    count = len(trace.tokens)
    params = [
        *following(count, selected, first=1),
        {"name": "reach", "expr": f"max(token, {LEAST_REACH})"},
        {"name": "places", "value": [_places(rate, reach_of(last), top, scaling) for last in range(count)]},
        *words_back(trace),
    ]
    return styled(layers, theme, height=CURVE_HEIGHT, params=params)


def reach_of(last: int) -> float:
    """Return the largest distance that is drawn back from a token."""
    return float(max(last, LEAST_REACH))


def half_life_chart(lanes: list[Lane], length: int, *, title: str, theme: Theme, t: Translate) -> VegaSpec:
    """Draw every channel of every lane as one fine tick, the median as a ring, the prompt's length as a line.

    A lane of more than 256 channels shows 256 of them, evenly through their order, the extremes included. A channel
    without a number in this text has no tick; a median without one is written at the prompt's length, as more than
    the longest that the text can show.
    """
    known = [lane.tokens[np.isfinite(lane.tokens)] for lane in lanes]
    every = np.concatenate([*known, [float(length)]])
    low, high, names = float(every.min()), float(every.max()), [lane.name for lane in lanes]
    rows = [
        {"name": lane.name, "half_life": float(v), "shade": lane.color}
        for lane, found in zip(lanes, known, strict=True)
        for v in spread_through(found)
    ]
    x = alt.X(
        "half_life:Q",
        title=title,
        scale=alt.Scale(type="log", domain=[low * 0.85, high * 1.15], nice=False),
        axis=alt.Axis(grid=True, values=_decades(low, high), format="~g"),
    )
    extent = max(_width(name) for name in names) + 8  # measured here: Vega measures before our typeface is there
    axis = alt.Axis(minExtent=extent, labelLimit=400)
    y = alt.Y("name:N", sort=names, title=None, scale=alt.Scale(domain=names), axis=axis)
    shade = alt.Color("shade:N", scale=None)
    most = max(min(len(found), TICKS_PER_LANE) for found in known)
    ticks = table(rows).mark_tick(opacity=min(0.6, 110 / max(most, 1)), thickness=1, size=16)
    base = table([_median(lane, length) for lane in lanes])
    rings = base.mark_point(fill=theme.card, size=80, strokeWidth=2, opacity=1).encode(x=x, y=y, color=shade)
    style: dict[str, Any] = {"dx": 11, "align": "left", "baseline": "middle", "fontSize": 12, "font": theme.mono}
    halo = base.mark_text(**style, stroke=theme.card, strokeWidth=4, strokeJoin="round").encode(
        x=x, y=y, text=alt.Text("text:N")
    )
    texts = base.mark_text(**style, color=theme.ink).encode(x=x, y=y, text=alt.Text("text:N"))
    here = table([{"half_life": float(length), "text": t("viz.half_life.prompt", count=length)}])
    rule = here.mark_rule(color=theme.muted, strokeDash=[4, 4]).encode(x=x)
    left = math.log(length / low) < 0.6 * math.log(high / low)
    note = here.mark_text(
        align="left" if left else "right", dx=6 if left else -6, baseline="bottom", fontSize=12, color=theme.muted
    )
    marks = ticks.encode(x=x, y=y, color=shade)
    here_named = note.encode(x=x, y=alt.value(-2), text=alt.Text("text:N"))
    return styled(
        [rule, marks, halo, rings, texts, here_named],
        theme,
        height=ROW_HEIGHT * len(lanes) + 72,
    )


def spread_through(values: Floats) -> Floats:
    """Return at most TICKS_PER_LANE of the values, evenly through their order, the extremes included."""
    ordered = np.sort(values)
    if len(ordered) <= TICKS_PER_LANE:
        return ordered
    return np.take(ordered, np.linspace(0, len(ordered) - 1, TICKS_PER_LANE).round().astype(np.intp))


def _median(lane: Lane, length: int) -> dict[str, str | float]:
    known = lane.tokens[~np.isnan(lane.tokens)]
    middle = float(np.median(known)) if len(known) else math.nan
    place = middle if math.isfinite(middle) else float(length)
    text = short(middle) if math.isfinite(middle) else f"> {max(length - 2, 0)}" if len(known) else "–"
    return {"name": lane.name, "half_life": place, "text": text, "shade": lane.color}


def words_back(trace: ModelTrace) -> list[dict[str, Any]]:
    """Name the words of the text, and how wide the widest up to each of them is in pixels."""
    words = [(one.label.removeprefix("␣") or one.label) if one.piece == 1 else "" for one in trace.tokens]
    widest = np.maximum.accumulate([_width(word) for word in words]) + 12
    return [{"name": "words", "value": words}, {"name": "widest", "value": widest.tolist()}]


def distance_axis(*, theme: Theme, t: Translate) -> alt.X:
    """Build the axis whose ticks are words; a Vega expression turns a distance into the word that far back."""
    # The axis is so much longer than its words.
    every = "max(1, ceil(widest[token] * (token + 1) * 1.18 / width))"
    axis = alt.Axis(
        values=alt.ExprRef("sequence(token + 1)"),
        labelExpr=f"datum.value % {every} == 0 ? words[token - datum.value] : ''",
        labelAngle=0,
        labelFont=theme.mono,
        labelFontSize=12,
        labelOverlap=False,
        labelLimit=160,
    )
    room: Any = {"range": [0, alt.ExprRef(f"width - {EDGE}")]}  # right of it stand the labels of long memories
    scale = alt.Scale(domain=[alt.ExprRef("-0.02 * reach"), alt.ExprRef("reach")], nice=False, **room)
    return alt.X("distance:Q", title=t("viz.decay_curves.distance"), scale=scale, axis=axis)


def _anchors(names: list[str], rate: Floats, *, t: Translate) -> list[dict[str, str | float | int]]:
    """Name each curve's half-life: the browser marks it where the curve crosses one half, else at its right end."""
    return [
        {
            "channel": name,
            "nth": nth,
            "rate": float(w),
            "half_life": math.log(2) / float(w),
            "text": t("viz.decay_curves.label", half_life=short(math.log(2) / float(w))),
        }
        for nth, (name, w) in enumerate(zip(names, rate, strict=True))
    ]


def weight_axis(top: float, scaling: Scaling, title: str) -> alt.Y:
    """Build the axis of weights, from 0 or, as a logarithm, from LEAST_WEIGHT."""
    linear = scaling == "linear"
    scale = alt.Scale(domain=[0 if linear else LEAST_WEIGHT, top], nice=False, type="linear" if linear else "log")
    values = [0, 0.5, 1] if linear else [0.001, 0.01, 0.1, 0.5, 1]
    return alt.Y(
        "weight:Q",
        title=title,
        scale=scale,
        axis=alt.Axis(grid=True, values=values, format="~g", minExtent=0 if linear else AXIS),
    )


def least_of(scaling: Scaling) -> float:
    """Return the least weight that a line is drawn to; on a logarithmic axis it leaves the picture below."""
    return 0.0 if scaling == "linear" else LEAST_NUMBER


def _places(rate: Floats, reach: float, top: float, scaling: Scaling) -> list[float]:
    """Return how high the label of each curve stands, so that labels are apart.

    Below the guide, right of a crossing, there is no slower curve; labels that would meet there stand under each other,
    the one farthest left lowest. At the right end they are spread.
    """
    half_life = math.log(2) / rate
    crosses = 1 + half_life <= reach
    at = np.where(crosses, 1 + half_life, reach)
    linear = scaling == "linear"
    gap = 0.065 * (top if linear else math.log10(top / LEAST_WEIGHT))  # of the height of the axis
    place = np.exp(-(at - 1) * rate)
    level, before = 0, math.inf
    early = [int(i) for i in np.flatnonzero(crosses)]
    for i in sorted(early, key=lambda i: -float(at[i])):
        level = level + 1 if before - at[i] < LABEL * reach else 1
        below = max(0.5 - gap * level, 0.0) if linear else max(0.5 * 10 ** (-gap * level), LEAST_WEIGHT)
        place[i], before = below, float(at[i])
    late = [int(i) for i in np.flatnonzero(~crosses)]
    heights = [float(place[i]) if linear else math.log10(float(place[i])) for i in late]
    for i, moved in zip(late, spread_apart(heights, gap=gap), strict=True):
        place[i] = moved if linear else min(10**moved, top)
    return [round(float(one), 4) for one in place]  # a tenth of a pixel


def shades_of(color: str, count: int, theme: Theme) -> list[str]:
    """Return count shades of a colour: full for the longest memory, paler for the shortest."""
    ramp = ramp_between(theme.card, color)
    return [ramp[int(i)] for i in np.linspace(255, 120, count)]


def _width(text: str) -> float:
    """Return about how many pixels a text of 12 px takes."""
    return sum(WIDE if ord(sign) > 0x1100 else NARROW for sign in text)


def _decades(low: float, high: float) -> list[float]:
    """List 1, 10, 100 ... within a range, with 3, 30 ... between them where the range is short."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    marks = [10.0**n for n in exponents] if len(exponents) > 4 else [m * 10.0**n for n in exponents for m in (1, 3)]
    return [float(f"{mark:.6g}") for mark in marks if low <= mark <= high]
