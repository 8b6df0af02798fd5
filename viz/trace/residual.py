"""The residual stream by layer: its length after every layer, and that of what mixer and feed-forward write."""

import math
from typing import Any

import altair as alt
import numpy as np
import numpy.typing as npt
import pandas as pd

from models.records.trace import ModelTrace, NamedArray
from viz.figure import Figure, figure
from viz.look.labels import Translate
from viz.look.theme import Theme
from viz.look.vega import VegaSpec, following, styled, table
from viz.trace.findings import growth_finding

KINDS = ("stream", "mixer", "ffn")
HEIGHT, KEY = 400, 44  # pixels: of the chart, of the line that names the curves
WIDE, NARROW, BESIDE = 13, 7.2, 30  # pixels of a sign in the key: Hangul, Latin; of a mark and the space around it

Wide = npt.NDArray[np.float64]


@figure("residual_norms", needs=("mixer_write",), also=("ffn_write", "resid_post"))
def residual_norms(trace: ModelTrace, *, theme: Theme, t: Translate, selected: int | None = None) -> Figure:
    """Draw by layer the Euclidean length of the stream, of what the mixer writes and of what the feed-forward writes.

    Solid lines are of the chosen token, faint ones the mean over all tokens; the axis is logarithmic. Layer -1 is the
    embedding, which has no writes.
    """
    norms = norms_of(trace)
    count = len(trace.tokens)
    at = selected if selected is not None and 0 <= selected < count else count - 1
    data = {
        "stream": NamedArray(norms["stream"], ("place", "token")),
        "mixer": NamedArray(norms["mixer"], ("layer", "token")),
        "ffn": NamedArray(norms["ffn"], ("layer", "token")),
    }
    alt_text = t("viz.residual_norms.alt", layers=len(trace.layers))
    findings = growth_finding(norms["stream"], norms["mixer"], norms["ffn"], trace, t)
    each = tuple((alt_text, one) for one in findings)
    chart = _chart(trace, norms, selected, theme=theme, t=t)
    return Figure(
        "residual_norms", chart, data, alt_text, t("viz.residual_norms.note"), finding=findings[at], each=each
    )


def norms_of(trace: ModelTrace) -> dict[str, Wide]:
    """Return |x| of the stream after the embedding and every layer (place, token), and of the writes (layer, token).

    nan where a layer has no feed-forward.
    """
    none = np.full(len(trace.tokens), np.nan)
    return {
        "stream": np.stack([_length(layer.part("resid_post")) for layer in trace.stream]),
        "mixer": np.stack([_length(layer.part("mixer_write")) for layer in trace]),
        "ffn": np.stack([_length(layer.part("ffn_write")) if "ffn_write" in layer.parts else none for layer in trace]),
    }


def _length(rows: npt.NDArray[Any]) -> Wide:
    return np.asarray(np.linalg.norm(np.asarray(rows, np.float64), axis=-1))


def _chart(trace: ModelTrace, norms: dict[str, Wide], selected: int | None, *, theme: Theme, t: Translate) -> VegaSpec:
    """Layer a faint line of means and a line of the chosen token for each kind; all tokens are sent."""
    kinds = [kind for kind in KINDS if not np.isnan(norms[kind]).all()]
    places = {"stream": np.arange(len(norms["stream"])) - 1, "mixer": np.arange(len(trace.layers))}
    frames = [_rows(kind, norms[kind], places.get(kind, places["mixer"])) for kind in kinds]
    base = alt.Chart(pd.concat(frames, ignore_index=True))
    known = np.concatenate([norms[kind][norms[kind] > 0] for kind in kinds])
    low, high = (float(known.min()), float(known.max())) if known.size else (1.0, 10.0)
    x = alt.X(
        "place:Q",
        title=t("viz.residual_norms.layer"),
        scale=alt.Scale(domain=[-1.2, len(trace.layers) - 0.8], nice=False),
        axis=alt.Axis(tickMinStep=1, labelExpr="datum.value < 0 ? embedding : format(datum.value, 'd')", format="d"),
    )
    y = alt.Y(
        "norm:Q",
        title=t("viz.residual_norms.length"),
        scale=alt.Scale(type="log", domain=[low / 1.2, high * 1.2], nice=False),
        axis=alt.Axis(grid=True, values=_ticks(low, high), format="~g"),
    )
    colors = {"stream": theme.ink, "mixer": theme.color(trace.architecture), "ffn": theme.muted}
    color = alt.Color("kind:N", scale=alt.Scale(domain=kinds, range=[colors[kind] for kind in kinds]), legend=None)
    dash = alt.StrokeDash("kind:N", scale=alt.Scale(domain=kinds, range=[_dash(kind) for kind in kinds]), legend=None)
    marks = alt.Shape("kind:N", scale=alt.Scale(domain=kinds, range=[_mark(kind) for kind in kinds]), legend=None)
    mean = base.transform_filter("datum.token < 0")
    here = base.transform_filter("datum.token == token")
    told = [alt.Tooltip("norm:Q", format=".4~g", title=t("viz.residual_norms.length"))]
    layers = [
        mean.mark_line(strokeWidth=1.5, opacity=0.4).encode(x=x, y=y, color=color, strokeDash=dash),
        here.mark_line(strokeWidth=2.25).encode(x=x, y=y, color=color, strokeDash=dash),
        here.mark_point(filled=True, size=46, opacity=1).encode(x=x, y=y, color=color, shape=marks, tooltip=told),
        *_key(kinds, colors, theme=theme, t=t),
    ]
    embedding = {"name": "embedding", "value": t("viz.residual_norms.start")}
    return styled(layers, theme, height=HEIGHT, params=[*following(len(trace.tokens), selected), embedding])


def _ticks(low: float, high: float) -> list[float]:
    """Return powers of ten that cover lengths, with 2 and 5 between them where there are few."""
    tens = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high < 1000 * low else (1,)
    return [step * 10.0**n for n in tens for step in steps]


def _dash(kind: str) -> list[int]:
    return [6, 3] if kind == "ffn" else [1, 0]


def _mark(kind: str) -> str:
    return {"stream": "circle", "mixer": "square", "ffn": "diamond"}[kind]


def _rows(kind: str, norms: Wide, places: npt.NDArray[np.integer]) -> pd.DataFrame:
    """List the lengths of one kind (place, token) as rows, and their means as those of token -1."""
    whole = np.concatenate([norms.mean(1, keepdims=True), norms], axis=1)
    count = whole.shape[1]
    rows = pd.DataFrame(
        {
            "kind": kind,
            "place": np.repeat(places, count).astype(np.int16),
            "token": np.tile(np.arange(-1, count - 1), len(places)).astype(np.int16),
            "norm": whole.ravel(),
        }
    )
    return rows[rows["norm"] > 0]  # a logarithm; nan where a layer has none


def _key(kinds: list[str], colors: dict[str, str], *, theme: Theme, t: Translate) -> list[alt.Chart]:
    """Name the curves above the plot, each behind its mark."""
    found, at = [], 0.0
    for kind in kinds:
        name = t(f"viz.residual_norms.{kind}")
        row = table([{"text": name}])
        place = {"x": alt.value(at + 6), "y": alt.value(-KEY)}
        found.append(
            row.mark_point(filled=True, size=60, shape=_mark(kind), color=colors[kind], opacity=1, aria=False).encode(
                **place
            )
        )
        words = row.mark_text(align="left", baseline="middle", dx=10, fontSize=13, color=theme.ink)
        found.append(words.encode(text=alt.Text("text:N"), **place))
        at += BESIDE + sum(WIDE if ord(sign) > 0x1100 else NARROW for sign in name)
    return found
