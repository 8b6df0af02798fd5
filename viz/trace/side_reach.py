"""How far back several models read, as curves of the share that lies within a distance."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np

from models.records.influence import Influence
from models.records.trace import ModelTrace, NamedArray
from viz.figure import Figure, figure
from viz.look.axes import ChartAxis, channel
from viz.look.labels import Translate, spread_apart
from viz.look.theme import Theme
from viz.look.vega import VegaSpec, styled, table
from viz.trace.channels import Floats
from viz.trace.matrix import MIXING
from viz.trace.overview import row_shares
from viz.trace.side_findings import reach_finding
from viz.trace.sides import names_of, shares_of

HEIGHT = 320
ROOM = 120  # pixels right of the curves, for their names
SECOND = (2, 3)  # the dash of a further curve of one architecture


@figure("side_reach", of="traces", also=MIXING)
def side_reach(
    traces: Sequence[ModelTrace],
    *,
    theme: Theme,
    t: Translate,
    names: Sequence[str] = (),
    gradients: Sequence[Influence] = (),
) -> Figure:
    """Draw the share of a row that lies within a distance, and its mean distance, averaged over the later half of rows.

    By the mixing weights, or by the gradient where gradients are given, one for each trace, whole. The first half of
    the rows is left out, since a row cannot reach beyond the beginning; the drawn distances are those that every drawn
    row has.
    """
    called = names_of(traces, names, t)
    maps = [shares_of(one) for one in gradients] or [row_shares(trace) for trace in traces]
    curves = [within(map_) for map_ in maps]
    means = [mean_distance(map_) for map_ in maps]
    kind = t("viz.side_reach.gradient" if gradients else "viz.side_reach.mixing")
    alt_text = t("viz.side_reach.alt", count=len(traces), kind=kind)
    chart = _chart(traces, called, curves, means, theme=theme, t=t)
    data = {f"within_{n}": NamedArray(curve, ("distance",)) for n, curve in enumerate(curves)}
    data["mean_distance"] = NamedArray(np.array(means), ("architecture",))
    finding = reach_finding(called, means, t)
    return Figure("side_reach", chart, data, alt_text, note=t("viz.side_reach.note", kind=kind), finding=finding)


def later_rows(length: int) -> range:
    """Return the rows that are averaged: the later half; all distances up to the first of them are in each."""
    return range(length // 2, length)


def within(map_: Floats) -> Floats:
    """Return the mean share of the keys at most so many tokens back (distance,), of a map whose rows add up to 1."""
    rows = later_rows(len(map_))
    back = np.array([map_[t, t - rows.start : t + 1][::-1] for t in rows], np.float64)  # (row, distance)
    return np.asarray(back.mean(0).cumsum())


def mean_distance(map_: Floats) -> float:
    """Return the mean of sum_j S_tj (t - j) over the later rows, in tokens."""
    rows = later_rows(len(map_))
    return float(np.mean([np.asarray(map_[t, : t + 1], np.float64) @ np.arange(t, -1, -1) for t in rows]))


def _chart(
    traces: Sequence[ModelTrace],
    names: Sequence[str],
    curves: Sequence[Floats],
    means: Sequence[float],
    *,
    theme: Theme,
    t: Translate,
) -> VegaSpec:
    """Draw a line for each curve, a ring at its mean distance, and its name at its right end."""
    seen: dict[str, int] = {}
    dashes: list[tuple[int, ...]] = []
    rows: list[dict[str, Any]] = []
    ends: list[dict[str, Any]] = []
    rings: list[dict[str, Any]] = []
    longest = max(len(curve) for curve in curves)
    heights = spread_apart([float(curve[-1]) for curve in curves], gap=0.075, high=1.02)
    for n, (trace, name, curve) in enumerate(zip(traces, names, curves, strict=True)):
        own = trace.architecture
        turn = seen[own] = seen.get(own, -1) + 1
        dashes.append(tuple(theme.dash(own)) if turn == 0 else SECOND)
        look = {"line": f"{n}", "color": theme.color(own)}
        rows += [{**look, "x": float(d), "y": float(v)} for d, v in enumerate(curve)]
        ends.append({**look, "x": float(len(curve) - 1), "y": heights[n], "text": name})
        place = min(means[n], float(len(curve) - 1))
        rings.append({**look, "x": place, "y": float(np.interp(place, range(len(curve)), curve))})
    x = channel("x", ChartAxis(t("viz.side_reach.x")), [0.0, float(max(longest - 1, 1))], room=ROOM)
    y = channel("y", ChartAxis(t("viz.side_reach.y"), "share", top=1.04), [0.0, 1.0])
    color = alt.Color("color:N", scale=None)
    detail = alt.Detail("line:N")
    layers: list[alt.Chart] = []
    for dash in dict.fromkeys(dashes):
        some = table([row for row in rows if dashes[int(row["line"])] == dash])
        line = some.mark_line(strokeWidth=2.25, strokeDash=list(dash))
        layers.append(line.encode(x=x, y=y, color=color, detail=detail))
    ring = table(rings).mark_point(size=70, strokeWidth=2, fill=theme.card, opacity=1)
    layers.append(ring.encode(x=x, y=y, color=color))
    text = table(ends).mark_text(align="left", baseline="middle", dx=8, fontSize=13, fontWeight=600)
    layers.append(text.encode(x=x, y=y, text=alt.Text("text:N"), color=color))
    return styled(layers, theme, height=HEIGHT)
