"""How often neighbouring tokens go to the same experts, beside what chance gives."""

from typing import Any

import altair as alt
import numpy as np

from models import scores
from models.records.trace import NamedArray
from viz.figure import Figure, figure
from viz.look.extremes import percent
from viz.look.labels import Translate
from viz.look.theme import Theme
from viz.look.vega import VegaSpec, styled, table
from viz.trace.channels import Floats
from viz.trace.expert_findings import locality_finding
from viz.trace.expert_load import counted_over
from viz.trace.routed import Texts, routed_layers, texts_of

KINDS = ("first", "common")  # the same first expert; any expert in common
ROW, HEAD, GAP = 26, 34, 10  # pixels: a layer, the name over a group, the space below it
NAMES, NUMBERS = 74, 56  # pixels left and right of the dots

Row = dict[str, Any]


@figure("expert_locality", needs=("chosen_experts", "router_probs"))
def expert_locality(of: Texts, *, theme: Theme, t: Translate) -> Figure:
    """Draw per layer the share of neighbours with the same first expert and with any in common, a dot each.

    The tick is the mean over all orders of the same tokens, the dashed line what an even draw gives by formula.
    """
    layers = routed_layers(of)
    found = np.array([scores.repeats(one.chosen, one.experts) for one in layers]).T  # (kind, layer)
    shuffled = np.array([scores.shuffled_repeats(one.chosen, one.experts) for one in layers]).T
    even = np.array(scores.even_repeats(layers[0].experts, layers[0].top_k))  # (kind,)
    shown = KINDS if layers[0].top_k > 1 else KINDS[:1]
    indices = [one.index for one in layers]
    chart = _chart(_rows(found, shuffled, indices, shown, t), _groups(even, len(layers), shown, t), theme, theme.color(
        texts_of(of)[0].architecture))  # fmt: skip
    data = {
        "repeated": NamedArray(found, ("kind", "layer")),
        "shuffled": NamedArray(shuffled, ("kind", "layer")),
        "even": NamedArray(even, ("kind",)),
    }
    alt_text = t("viz.expert_locality.alt", layers=len(layers))
    note = " ".join((t("viz.expert_locality.note"), counted_over(of, t)))
    finding = locality_finding(found[0], shuffled[0], indices, t)
    return Figure("expert_locality", chart, data, alt_text, note, finding)


def _rows(found: Floats, shuffled: Floats, layers: list[int], shown: tuple[str, ...], t: Translate) -> list[Row]:
    """List what a layer has in every group; found, shuffled (kind, layer)."""
    return [
        {
            "kind": name, "layer": layer, "y": _top(kind, len(layers)) + (place + 0.5) * ROW, "start": 0.0, "end": 1.0,
            "share": float(found[kind, place]), "shuffled": float(shuffled[kind, place]),
            "label": t("viz.layer", layer=layer), "text": _share(float(found[kind, place])),
            "order": t("viz.expert_locality.order", share=_share(float(shuffled[kind, place]))),
        }
        for kind, name in enumerate(shown)
        for place, layer in enumerate(layers)
    ]  # fmt: skip


def _share(value: float) -> str:
    """Write a share; a text without neighbours has none."""
    return percent(value) if np.isfinite(value) else "–"


def _groups(even: Floats, layers: int, shown: tuple[str, ...], t: Translate) -> list[Row]:
    return [
        {
            "kind": name, "y": _top(kind, layers) - HEAD / 2, "even": float(even[kind]), "head": _top(kind, layers) - 4,
            "foot": _top(kind, layers) + ROW * layers, "text": t(f"viz.expert_locality.{name}"),
            "chance": t("viz.expert_locality.even", share=f"{even[kind]:.1%}"),
        }
        for kind, name in enumerate(shown)
    ]  # fmt: skip


def _top(kind: int, layers: int) -> float:
    """Return where the first layer of a group begins, in pixels."""
    return HEAD + kind * (HEAD + ROW * layers + GAP)


def _chart(rows: list[Row], groups: list[Row], theme: Theme, color: str) -> VegaSpec:
    base, head = table(rows), table(groups)
    across: Any = {"domain": [0, 1], "nice": False, "range": [NAMES, alt.ExprRef(f"width - {NUMBERS}")]}

    def x(field: str) -> alt.X:
        return alt.X(f"{field}:Q", title=None, axis=None, scale=alt.Scale(**across))

    y = alt.Y("y:Q", scale=None, axis=None)
    told = [alt.Tooltip("label:N", title=" "), alt.Tooltip("text:N", title=" "), alt.Tooltip("order:N", title=" ")]
    line = head.mark_rule(color=theme.muted, strokeDash=[4, 4])
    name = head.mark_text(align="left", fontSize=14, fontWeight=600, color=theme.ink)
    label = base.mark_text(align="left", color=theme.muted)
    number = base.mark_text(align="right", font=theme.mono, color=theme.ink)
    chance = head.mark_text(align="right", fontSize=12, color=theme.muted)
    layers = [
        base.mark_rule(color=theme.hairline, strokeWidth=1.5).encode(x=x("start"), x2=alt.X2("end:Q"), y=y),
        line.encode(x=x("even"), y=alt.Y("head:Q", scale=None, axis=None), y2=alt.Y2("foot:Q")),
        base.mark_tick(color=theme.ink, thickness=2.5, height=15).encode(x=x("shuffled"), y=y, tooltip=told),
        base.mark_circle(color=color, size=120, opacity=1).encode(x=x("share"), y=y, tooltip=told),
        name.encode(x=alt.value(0), y=y, text=alt.Text("text:N")),
        chance.encode(x=alt.value("width"), y=y, text=alt.Text("chance:N")),
        label.encode(x=alt.value(0), y=y, text=alt.Text("label:N")),
        number.encode(x=alt.value("width"), y=y, text=alt.Text("text:N")),
    ]
    return styled(layers, theme, height=int(max(float(one["foot"]) for one in groups)) + 8)
