"""The router of one token: probabilities and scores of all experts, the cut, and another temperature."""

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from models.records.trace import LayerTrace, ModelTrace, NamedArray
from viz.figure import Figure, figure
from viz.look.labels import Translate
from viz.look.theme import Theme
from viz.look.vega import VegaSpec, following, styled, table
from viz.trace.channels import Floats, Indices, floats
from viz.trace.experts import expert_color, leads, weights_note
from viz.trace.findings import router_finding

ROW = 30  # pixels per expert
SCORES = 64  # pixels of the column of scores


@figure("router_bars", needs=("router_probs", "router_logits", "chosen_experts", "chosen_weights"))
def router_bars(
    trace: ModelTrace,
    *,
    theme: Theme,
    t: Translate,
    layer: int | None = None,
    selected: int | None = None,
    temperature: float = 1.0,
) -> Figure:
    """Draw the router's probabilities over all experts for one token, likeliest first; the chosen ones are solid.

    It is the chosen token, the last without a choice; the browser shows it of the arrays, which hold every token.
    selected: chosen until the visitor chooses in the browser. The line is the cut after the chosen experts; the text
    beside it the share of probability that they keep, and the lead of the last chosen over the first left out.
    temperature: the scores are divided by it before the softmax; at another than 1 a tick is the model's probability.
    """
    shown = _moe_layer(trace, layer)
    count = len(trace.tokens)
    at = selected if selected is not None and 0 <= selected < count else count - 1
    logits, own = floats(shown, "router_logits"), floats(shown, "router_probs")
    chosen = np.asarray(shown.part("chosen_experts")).astype(np.intp)
    probs = own if temperature == 1.0 else softened(logits, temperature)
    kept, margin = np.take_along_axis(probs, chosen, 1).sum(1), leads(probs, chosen)
    each = tuple(
        (
            t(
                "viz.router_bars.alt",
                layer=shown.index,
                token=token.label,
                chosen=", ".join(map(str, experts)),
                kept=f"{share:.2f}",
            ),
            router_finding(float(share), len(experts), float(lead), t),
        )
        for token, experts, share, lead in zip(trace.tokens, chosen, kept, margin, strict=True)
    )
    drawn = _Drawn(probs, own, logits, chosen, kept, margin)
    chart = _probability_bars(drawn, selected, changed=temperature != 1.0, theme=theme, t=t)
    data = {
        "router_probs": NamedArray(probs, ("token", "expert")),
        "router_logits": NamedArray(logits, ("token", "expert")),
        "chosen_experts": NamedArray(chosen, ("token", "choice")),
        "margin": NamedArray(margin, ("token",)),
    }
    note = weights_note(shown, t)
    if temperature != 1.0:
        note = f"{t('viz.router_bars.changed', temperature=f'{temperature:g}')} {note}"
    return Figure("router_bars", chart, data, each[at][0], note, each[at][1], each)


def softened(logits: Floats, temperature: float) -> Floats:
    """Return softmax(z / temperature) over the experts."""
    scaled = logits.astype(np.float64) / temperature
    odds = np.exp(scaled - scaled.max(1, keepdims=True))
    return np.asarray(odds / odds.sum(1, keepdims=True), np.float32)


class _Drawn:
    """What the bars draw: probs, own, logits (token, expert), chosen (token, choice), kept, margin (token,)."""

    def __init__(
        self, probs: Floats, own: Floats, logits: Floats, chosen: Indices, kept: Floats, margin: Floats
    ) -> None:
        self.probs, self.own, self.logits, self.chosen, self.kept, self.margin = (
            probs,
            own,
            logits,
            chosen,
            kept,
            margin,
        )
        self.solid = np.zeros(probs.shape, dtype=bool)
        np.put_along_axis(self.solid, chosen, True, 1)
        self.order = np.lexsort((-probs, ~self.solid), axis=1)  # (token, place)

    def rows(self) -> pd.DataFrame:
        """List a row per token and expert, chosen ones first."""
        count, experts = self.probs.shape
        placed = {"p": self.probs, "own": self.own, "logit": self.logits, "chosen": self.solid}
        return pd.DataFrame(
            {
                "token": np.repeat(np.arange(count, dtype=np.int16), experts),
                "expert": self.order.ravel().astype(np.int16),
                "place": np.tile(np.arange(experts, dtype=np.int16), count),
            }
            | {name: np.take_along_axis(values, self.order, 1).ravel() for name, values in placed.items()}
        )

    def said(self, t: Translate) -> list[dict[str, object]]:
        """Say of every token what the chosen experts keep, and their lead."""
        count = self.chosen.shape[1]
        words = [t("viz.router_bars.kept", kept=f"{share:.2f}", count=count) for share in self.kept]
        leads = [
            "" if np.isnan(lead) else t("viz.router_bars.margin", k=count, next=count + 1, margin=f"{lead:.3f}")
            for lead in self.margin
        ]
        return [
            {"token": n, "text": " · ".join(filter(None, pair))}
            for n, pair in enumerate(zip(words, leads, strict=True))
        ]


def _probability_bars(drawn: _Drawn, selected: int | None, *, changed: bool, theme: Theme, t: Translate) -> VegaSpec:
    """Draw one bar per expert, chosen ones first and solid, with a line after the last chosen one.

    All tokens are sent, the browser draws the chosen one's. changed: whether ticks show the model's own probabilities.
    """
    count, experts = drawn.probs.shape
    places = list(range(experts))
    base = alt.Chart(drawn.rows()).transform_filter("datum.token == token")
    y = alt.Y(
        "place:O",
        title=t("viz.router_bars.expert"),
        scale=alt.Scale(domain=places, paddingInner=0.4, paddingOuter=0.2),
        axis=alt.Axis(labelFont=theme.mono, labelExpr="experts[token][datum.value]"),
    )
    most = max(float(drawn.probs.max()), float(drawn.own.max()) if changed else 0.0, 0.04)
    across: Any = {"domain": [0, 1.25 * most], "nice": False, "range": [0, alt.ExprRef(f"width - {SCORES}")]}
    x = alt.X(
        "p:Q",
        title=t("viz.router_bars.probability"),
        scale=alt.Scale(**across),
        axis=alt.Axis(grid=True, tickCount=4),
    )
    colors = alt.Scale(domain=places, range=[expert_color(e, theme) for e in places])
    opacity = alt.condition("datum.chosen", alt.value(1), alt.value(0.45))
    bars = base.mark_bar(cornerRadiusEnd=3).encode(
        x=x, y=y, color=alt.Color("expert:N", scale=colors, legend=None), opacity=opacity
    )
    texts = base.mark_text(align="left", dx=6, font=theme.mono, fontSize=12, color=theme.ink)
    scores = base.mark_text(align="right", font=theme.mono, fontSize=12, color=theme.muted)
    cut = table([{"place": drawn.chosen.shape[1] - 1}]).mark_rule(
        color=theme.muted,
        strokeDash=[4, 4],
        yOffset=0.2 * ROW,  # half the space between two bars
    )
    note = table(drawn.said(t)).transform_filter("datum.token == token")
    note = note.mark_text(align="right", baseline="bottom", fontSize=13, color=theme.muted)
    below = table([{"text": t("viz.router_bars.score")}])
    below = below.mark_text(align="right", baseline="top", fontSize=13, color=theme.muted)
    foot: Any = alt.value(alt.ExprRef("height + 7"))
    ticks = [
        base.mark_tick(color=theme.ink, thickness=2, height=16).encode(x=alt.X("own:Q", scale=alt.Scale(**across)), y=y)
    ]
    layers = [
        bars,
        *(ticks if changed else []),
        cut.encode(y=alt.Y("place:O", bandPosition=1)),
        texts.encode(x=x, y=y, text=alt.Text("p:Q", format=".3f")),
        scores.encode(x=alt.value("width"), y=y, text=alt.Text("logit:Q", format="+.2f")),
        below.encode(x=alt.value("width"), y=foot, text=alt.Text("text:N")),
        note.encode(x=alt.value("width"), y=alt.value(-12), text=alt.Text("text:N")),
    ]
    params = [*following(count, selected), {"name": "experts", "value": drawn.order.tolist()}]
    return styled(layers, theme, height=ROW * experts + 64, params=params)


def _moe_layer(trace: ModelTrace, layer: int | None) -> LayerTrace:
    layers = trace.layers_with("router_probs")
    if layer is None:
        return layers[len(layers) // 2]
    return next((shown for shown in layers if shown.index == layer), layers[0])
