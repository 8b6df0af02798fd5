"""The path of a recurrent state over the tokens, in the three directions in which it varies most."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.records.trace import LayerTrace, ModelTrace, NamedArray
from viz.figure import Figure, figure
from viz.look.extremes import percent
from viz.look.labels import Translate, short
from viz.look.plotly import PlotSpec, PlotTable, Trace, escaped, plotted, solid_behaviour
from viz.look.theme import Theme

COMPONENTS = 3
WORDS = 8  # tokens of a path that are named in the picture; the others when one points at them
NAMED = 28  # characters of a text that name it
HEIGHT, TOP, FOOT = 520, 30, 40  # pixels: in all, above the space, below it
EYE = {"x": 1.6, "y": 1.5, "z": 0.9}

Wide = npt.NDArray[np.float64]


@figure("state_path", of="traces", also=("state", "wkv_num", "wkv_den"))
def state_path(traces: Sequence[ModelTrace], *, theme: Theme, t: Translate, layer: int | None = None) -> Figure:
    """Draw the state of a layer after each token of one or two texts, as points in the space of both.

    The axes are the first principal components of all these states together, so they are those of the texts, not of the
    model; all three have one scale. Their shares of the variance are written on them: what is left is not drawn.
    traces: of one model; layer: by default the middle one that has a state.
    """
    shown = [_layer(trace, layer) for trace in traces]
    states = [states_of(one) for one in shown]
    path, shares = principal(np.concatenate(states))
    ends = np.cumsum([len(one) for one in states])[:-1]
    paths = np.split(path, ends)
    names = [_excerpt(trace.prompt) for trace in traces]
    drawn = [
        _path(trace, points, name, place, theme, t)
        for place, (trace, points, name) in enumerate(zip(traces, paths, names, strict=True))
    ]
    lost = percent(max(0.0, 1 - float(shares.sum())))
    data = {f"path_{place + 1}": NamedArray(points, ("token", "component")) for place, points in enumerate(paths)}
    data["share"] = NamedArray(shares, ("component",))
    alt = t("viz.state_path.alt", layer=shown[0].index, texts=len(traces), tokens=len(path))
    told = {"share": percent(float(shares.sum())), "lost": lost}
    finding = t("viz.state_path.finding", **told) if shares.any() else ""
    body = _picture([one for pair in drawn for one in pair], shares, _table(traces, names, paths, t), theme, t)
    return Figure("state_path", body, data, alt, t("viz.state_path.note", lost=lost), finding)


def states_of(layer: LayerTrace) -> Wide:
    """Return what a layer holds after each token, (token, number): Mamba's state, or RWKV's weighted mean WKV."""
    if "state" in layer.parts:
        state = np.asarray(layer.part("state"), np.float64)
        return state.reshape(len(state), -1)
    return np.asarray(layer.part("wkv_num"), np.float64) / np.asarray(layer.part("wkv_den"), np.float64)


def principal(states: Wide) -> tuple[Wide, Wide]:
    """Project states (token, number) on their first principal components, and return these points and shares.

    Points are (token, COMPONENTS), shares (COMPONENTS,) of the variance about the mean. The largest number of each
    component is positive, since the sign of a component means nothing.
    """
    centred = states - states.mean(0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    values = np.where(values > 1e-12 * max(1.0, values[0]), values, 0.0)
    kept = min(COMPONENTS, len(values))
    points, shares = np.zeros((len(states), COMPONENTS)), np.zeros(COMPONENTS)
    points[:, :kept] = left[:, :kept] * values[:kept]
    if total := float((values**2).sum()):
        shares[:kept] = values[:kept] ** 2 / total
    top = np.abs(points).argmax(0)
    return points * np.where(points[top, np.arange(COMPONENTS)] < 0, -1.0, 1.0), shares


def _layer(trace: ModelTrace, layer: int | None) -> LayerTrace:
    showing = trace.layers_with("state") or trace.layers_with("wkv_num")
    return trace.layer(layer) if layer is not None else showing[len(showing) // 2]


def _excerpt(text: str) -> str:
    told = " ".join(text.split())
    return told if len(told) <= NAMED else f"{told[:NAMED].rstrip()}…"


def _path(trace: ModelTrace, points: Wide, name: str, place: int, theme: Theme, t: Translate) -> tuple[Trace, Trace]:
    """Draw a text as a line with a mark per token, the first one larger, and name some of them."""
    color = theme.color(trace.architecture) if place == 0 else theme.muted
    labels = [token.label for token in trace.tokens]
    every = max(1, round(len(labels) / WORDS))
    named = [label if n % every == 0 or n == len(labels) - 1 else "" for n, label in enumerate(labels)]
    placed = {"type": "scatter3d", **dict(zip("xyz", points.T.tolist(), strict=True)), "legendgroup": f"text-{place}"}
    told = [t("viz.state_path.point", index=n, label=label) for n, label in enumerate(labels)]
    line: Trace = placed | {
        "mode": "lines+markers", "meta": "path", "name": escaped(name), "showlegend": True,
        "line": {"color": color, "width": 4 if place == 0 else 3, "dash": "solid" if place == 0 else "dash"},
        "marker": {
            "color": color, "size": [7] + [3.5] * (len(labels) - 1), "symbol": "circle" if place == 0 else "square",
        },
        "customdata": [escaped(words) for words in told], "hovertemplate": "%{customdata}<extra></extra>",
    }  # fmt: skip
    words: Trace = placed | {
        # words in space are no HTML to plotly, but for tags: the sign that would open one is set apart
        "mode": "text", "meta": "words", "text": [label.replace("<", "<\u200b") for label in named],
        "hoverinfo": "skip",
        "textposition": "top center", "showlegend": False,
        "textfont": {"size": 12, "color": theme.ink if place == 0 else theme.muted},
    }  # fmt: skip
    return line, words


def _picture(traces: Sequence[Trace], shares: Wide, table: PlotTable, theme: Theme, t: Translate) -> PlotSpec:
    axes = {
        f"{axis}axis": {
            "title": {
                "text": t("viz.state_path.axis", number=n + 1, share=percent(float(share))), "font": {"size": 12},
            },
            "showbackground": False, "gridcolor": theme.hairline, "zerolinecolor": theme.hairline,
            "showticklabels": False, "showspikes": False, "color": theme.muted,
        }
        for n, (axis, share) in enumerate(zip("xyz", shares, strict=True))
    }  # fmt: skip
    layout: dict[str, Any] = {
        "scene": {"aspectmode": "data", "dragmode": "turntable", "camera": {"eye": EYE}, **axes},
        "hovermode": "closest", "margin": {"l": 0, "r": 0, "t": TOP, "b": FOOT},
        "legend": {"y": -FOOT / (HEIGHT - TOP - FOOT)},
    }  # fmt: skip
    return plotted(traces, layout, table, theme=theme, t=t, height=HEIGHT, config=solid_behaviour(t))


def _table(traces: Sequence[ModelTrace], names: Sequence[str], paths: Sequence[Wide], t: Translate) -> PlotTable:
    head = (t("viz.state_path.text"), t("viz.state_path.token"), *(t("viz.state_path.component", number=n + 1) for n in
            range(COMPONENTS)))  # fmt: skip
    rows = [
        (name, t("viz.state_path.point", index=token.index, label=token.label), *(short(float(v)) for v in point))
        for trace, name, points in zip(traces, names, paths, strict=True)
        for token, point in zip(trace.tokens, points, strict=True)
    ]
    return PlotTable(head, tuple(rows))
