"""Figures of a hybrid with experts: layers, routing, and all mixing matrices side by side."""

import altair as alt
import numpy as np
import pandas as pd

from models.records.trace import LayerTrace, ModelTrace, NamedArray
from viz.canvas import Axis, Legend, Matrix, Scale, Tile, Tiles
from viz.canvas.pooling import fit_tiles, pooled_sums
from viz.figure import Figure, figure
from viz.look.labels import Translate, short, template
from viz.look.theme import Theme, mixer_ramp, sequential
from viz.look.vega import VegaSpec, following, styled, table
from viz.trace.channels import Floats, Indices, floats
from viz.trace.experts import (
    chosen_names,
    expert_color,
    expert_legend,
    lanes_note,
    lanes_of,
    ribbon_note,
    routes,
)
from viz.trace.findings import lanes_finding, load_finding, ribbon_finding, router_finding, stack_finding
from viz.trace.matrix import MIXING, look_back, mixing_of, pooled_note
from viz.trace.tokens import picture, strip_of

ROUTER_ROW = 30  # pixels per expert
THUMBNAIL = 48  # rows and columns of a stack tile at most


@figure("layer_ribbon", also=(*MIXING, "chosen_experts", "chosen_weights", "router_probs"))
def layer_ribbon(trace: ModelTrace, *, theme: Theme, t: Translate, selected: int | None = None) -> Figure:
    """Draw one row per layer: how far back each token looks there, and below it the experts it was sent to.

    Look-back is the mean distance of the mixing weights, sum_j |M_tj| (t - j) / sum_j |M_tj|, in tokens: M is attention
    averaged over heads, or the hidden attention of a state space. Both in the same unit, in the mixer's colour.
    """
    mixers = sorted({shown.mixer for shown in trace})
    reach = np.stack([look_back(mixing_of(shown)) for shown in trace])  # (layer, token)
    high = float(reach.max())
    grid = Matrix(
        values=reach.astype(np.float32),
        scale=Scale(0.0, high),
        ramps=tuple(mixer_ramp(mixer, theme) for mixer in mixers),
        readout=(
            "{row}",
            "{column}",
            template(t, "viz.value", "value", name=t("viz.layer_ribbon.quantity")),
            "{cell}",
        ),
        rows=Axis(
            names=tuple(_layer_name(shown, t=t) for shown in trace),
            labels=tuple(f"{shown.index} {t(f'viz.mixer.{shown.mixer}')}" for shown in trace),
            notes=tuple(t(f"viz.ffn.{shown.ffn}") for shown in trace),
            colors=tuple(theme.mixer_color(shown.mixer) for shown in trace),
        ),
        cell_names=chosen_names(trace.layers, len(trace.tokens), t),
        row_ramps=tuple(mixers.index(shown.mixer) for shown in trace),
        row_height=38,
        max_height=640,
        lanes=lanes_of(trace.layers, len(trace.tokens), theme, alone=False),
    )
    ramps = tuple(
        Legend(t(f"viz.mixer.{mixer}"), ((0.0, "0"), (1.0, t("viz.tokens", count=short(high)))), ramp=i)
        for i, mixer in enumerate(mixers)
    )
    alt_text = t("viz.layer_ribbon.alt", layers=len(trace.layers))
    spec = picture(
        "layer_ribbon",
        alt_text,
        trace,
        theme=theme,
        t=t,
        strip=strip_of(trace, t=t, selected=selected),
        grid=grid,
        legends=(*ramps, *([expert_legend(trace, theme, t)] if trace.layers_with("router_probs") else [])),
        note=" ".join(ribbon_note(trace, t)),
    )
    data = {"look_back": NamedArray(reach, ("layer", "token"))} | routes(trace)
    finding = ribbon_finding(reach, [shown.index for shown in trace], t)
    return Figure("layer_ribbon", spec, data, alt_text, finding=finding)


@figure("expert_lanes", needs=("chosen_experts", "chosen_weights", "router_probs"))
def expert_lanes(trace: ModelTrace, *, theme: Theme, t: Translate, selected: int | None = None) -> Figure:
    """Draw who went to which expert: colour and number are the first choice, marks the others, opacity the weight."""
    layers = trace.layers_with("chosen_experts")
    first_weight = np.stack([shown.part("chosen_weights")[:, 0] for shown in layers])  # (layer, token)
    names = tuple(t("viz.layer", layer=shown.index) for shown in layers)
    grid = Matrix(
        values=first_weight.astype(np.float32),
        scale=Scale(0.0, 1.0),
        ramps=(sequential(trace.architecture, theme),),
        readout=(
            "{column}",
            "{row}",
            "{cell}",
        ),
        rows=Axis(names=names, labels=names),
        cell_names=chosen_names(layers, len(trace.tokens), t),
        row_height=40,
        max_height=520,
        lanes=lanes_of(layers, len(trace.tokens), theme, alone=True),
    )
    experts = layers[0].parts["router_probs"].sizes["expert"]
    alt_text = t("viz.expert_lanes.alt", layers=len(layers), experts=experts)
    spec = picture(
        "expert_lanes",
        alt_text,
        trace,
        theme=theme,
        t=t,
        strip=strip_of(trace, t=t, selected=selected),
        grid=grid,
        legends=(expert_legend(trace, theme, t),),
        note=" ".join(lanes_note(layers, t)),
    )
    data = routes(trace)
    finding = lanes_finding(np.asarray(data["chosen_experts"].values, np.intp), experts, t)
    return Figure("expert_lanes", spec, data, alt_text, finding=finding)


@figure("router_bars", needs=("router_probs", "chosen_experts"))
def router_bars(
    trace: ModelTrace, *, theme: Theme, t: Translate, layer: int | None = None, selected: int | None = None
) -> Figure:
    """Draw the router's probabilities over all experts for one token, likeliest first; the chosen ones are solid.

    It is the chosen token, the last without a choice; the browser shows it of the arrays, which hold every token.
    selected: chosen until the visitor chooses in the browser. The line is the cut after the chosen experts; the text
    beside it the share of probability that they keep.
    """
    shown = _moe_layer(trace, layer)
    count = len(trace.tokens)
    at = selected if selected is not None and 0 <= selected < count else count - 1
    probs, chosen = floats(shown, "router_probs"), np.asarray(shown.part("chosen_experts")).astype(np.intp)
    kept = np.take_along_axis(probs, chosen, 1).sum(1)
    each = tuple(
        (
            t(
                "viz.router_bars.alt",
                layer=shown.index,
                token=token.label,
                chosen=", ".join(map(str, experts)),
                kept=f"{share:.2f}",
            ),
            router_finding(float(share), len(experts), t),
        )
        for token, experts, share in zip(trace.tokens, chosen, kept, strict=True)
    )
    chart = _probability_bars(probs, chosen, kept, selected, theme=theme, t=t)
    data = {
        "router_probs": NamedArray(probs, ("token", "expert")),
        "chosen_experts": NamedArray(chosen, ("token", "choice")),
    }
    return Figure("router_bars", chart, data, each[at][0], finding=each[at][1], each=each)


def _probability_bars(
    probs: Floats, chosen: Indices, kept: Floats, selected: int | None, *, theme: Theme, t: Translate
) -> VegaSpec:
    """Draw one bar per expert, chosen ones first and solid, with a line after the last chosen one.

    probs (token, expert), chosen (token, choice), kept (token,): all are sent, the browser draws the chosen token's.
    """
    count, experts = probs.shape
    solid = np.zeros(probs.shape, dtype=bool)
    np.put_along_axis(solid, chosen, True, 1)
    order = np.lexsort((-probs, ~solid), axis=1)  # (token, place)
    places = list(range(experts))
    base = alt.Chart(
        pd.DataFrame(
            {
                "token": np.repeat(np.arange(count, dtype=np.int16), experts),
                "expert": order.ravel().astype(np.int16),
                "place": np.tile(np.arange(experts, dtype=np.int16), count),
                "p": np.take_along_axis(probs, order, 1).ravel(),
                "chosen": np.take_along_axis(solid, order, 1).ravel(),
            }
        )
    ).transform_filter("datum.token == token")
    y = alt.Y(
        "place:O",
        title=t("viz.router_bars.expert"),
        scale=alt.Scale(domain=places, paddingInner=0.4, paddingOuter=0.2),
        axis=alt.Axis(labelFont=theme.mono, labelExpr="experts[token][datum.value]"),
    )
    x = alt.X(
        "p:Q",
        title=t("viz.router_bars.probability"),
        scale=alt.Scale(domain=[0, max(float(probs.max()) * 1.2, 0.05)], nice=False),
        axis=alt.Axis(grid=True, tickCount=4),
    )
    colors = alt.Scale(domain=places, range=[expert_color(e, theme) for e in places])
    opacity = alt.condition("datum.chosen", alt.value(1), alt.value(0.45))
    bars = base.mark_bar(cornerRadiusEnd=3).encode(
        x=x, y=y, color=alt.Color("expert:N", scale=colors, legend=None), opacity=opacity
    )
    texts = base.mark_text(align="left", dx=6, font=theme.mono, fontSize=12, color=theme.ink)
    gap = 0.2 * ROUTER_ROW  # half the space between two bars
    after = alt.Y("place:O", bandPosition=1)
    cut = table([{"place": chosen.shape[1] - 1}]).mark_rule(color=theme.muted, strokeDash=[4, 4], yOffset=gap)
    said = [
        {"token": n, "text": t("viz.router_bars.kept", kept=f"{share:.2f}", count=chosen.shape[1])}
        for n, share in enumerate(kept)
    ]
    note = table(said).transform_filter("datum.token == token")
    note = note.mark_text(align="right", baseline="bottom", fontSize=13, color=theme.muted)
    layers = [
        bars,
        cut.encode(y=after),
        texts.encode(x=x, y=y, text=alt.Text("p:Q", format=".3f")),
        note.encode(x=alt.value("width"), y=alt.value(-12), text=alt.Text("text:N")),
    ]
    params = [*following(count, selected), {"name": "experts", "value": order.tolist()}]
    return styled(layers, theme, height=ROUTER_ROW * experts + 64, params=params)


@figure("expert_load", needs=("chosen_experts", "router_probs"))
def expert_load(trace: ModelTrace, *, theme: Theme, t: Translate) -> Figure:
    """Draw each expert's share of the token slots, tokens x choices, per MoE layer."""
    layers = trace.layers_with("chosen_experts")
    experts = layers[0].parts["router_probs"].sizes["expert"]
    load = np.stack(
        [
            np.bincount(shown.part("chosen_experts").astype(int).ravel(), minlength=experts)
            / shown.part("chosen_experts").size
            for shown in layers
        ]
    )
    high = float(load.max())
    uniform = 1 / experts
    grid = Matrix(
        values=load.astype(np.float32),
        scale=Scale(0.0, high),
        ramps=(sequential(trace.architecture, theme),),
        readout=(
            "{row} · {column}",
            template(t, "viz.value", "value", name=t("viz.expert_load.quantity")),
            template(t, "viz.expert_load.ratio", "ratio"),
        ),
        rows=Axis(labels=tuple(t("viz.layer", layer=shown.index) for shown in layers)),
        columns=Axis(
            names=tuple(t("viz.expert", expert=e) for e in range(experts)),
            labels=tuple(str(e) for e in range(experts)),
            title=t("viz.expert_load.columns"),
        ),
        row_height=38,
        max_height=420,
        texts=tuple(tuple(_percent(float(share)) for share in row) for row in load),
        whole_texts=True,
        picks="none",
        baseline=uniform,
    )
    ticks = ((0.0, "0"), (1.0, f"{high:.0%}"))
    alt_text = t("viz.expert_load.alt", layers=len(layers), experts=experts, high=f"{high:.0%}")
    spec = picture(
        "expert_load",
        alt_text,
        trace,
        theme=theme,
        t=t,
        grid=grid,
        legends=(Legend(t("viz.expert_load.quantity"), ticks, t("viz.scope.picture")),),
        note=t("viz.expert_load.uniform", share=f"{uniform:.1%}"),
    )
    finding = load_finding(load, [shown.index for shown in layers], t)
    return Figure("expert_load", spec, {"load": NamedArray(load, ("layer", "expert"))}, alt_text, finding=finding)


@figure("hybrid_stack", also=MIXING)
def hybrid_stack(
    trace: ModelTrace, *, theme: Theme, t: Translate, layer: int | None = None, selected: int | None = None
) -> Figure:
    """Draw one token-by-token tile per layer: attention averaged over heads, or hidden attention."""
    mixers = sorted({shown.mixer for shown in trace})
    maps = np.stack([mixing_of(shown) for shown in trace])  # (layer, query, key)
    length = len(trace.tokens)
    past = np.where(np.tri(length, dtype=bool), maps, np.nan).astype(np.float32)
    pooled = fit_tiles(past, side=THUMBNAIL)
    grid = Tiles(
        values=pooled.values,
        scale=Scale(0.0, 1.0, kind="sqrt", by="tile", highs=np.nanmax(past, axis=(1, 2))),
        ramps=tuple(mixer_ramp(mixer, theme) for mixer in mixers),
        readout=(
            "{tile}",
            template(t, "viz.matrix.pair", "row", "column"),
            template(t, "viz.value", "value", name=t("viz.hybrid_stack.quantity")),
        ),
        pool=(pooled.rows, pooled.columns),
        sums=pooled_sums(past, pooled),
        picks="row",
        selected_tile=layer,
        tiles=tuple(
            Tile(
                f"{shown.index} {t(f'viz.mixer.{shown.mixer}')}",
                _layer_name(shown, t=t),
                theme.mixer_color(shown.mixer),
                ramp=mixers.index(shown.mixer),
            )
            for shown in trace
        ),
    )
    legends = tuple(
        Legend(t(f"viz.mixer.{mixer}"), ((0.0, "0"), (1.0, t("viz.maximum"))), ramp=i) for i, mixer in enumerate(mixers)
    )
    alt_text = t("viz.hybrid_stack.alt", layers=len(trace.layers))
    spec = picture(
        "hybrid_stack",
        alt_text,
        trace,
        theme=theme,
        t=t,
        strip=strip_of(trace, t=t, selected=selected, role="rows"),
        grid=grid,
        legends=legends,
        note=" ".join(filter(None, [t("viz.scope.tile_sqrt"), pooled_note(grid, t=t)])),
    )
    finding = stack_finding(maps, [shown.index for shown in trace], t)
    data = {"mixing": NamedArray(maps, ("layer", "query", "key"))}
    return Figure("hybrid_stack", spec, data, alt_text, finding=finding)


def _percent(share: float) -> str:
    """Write a share with one decimal below ten percent, none above."""
    return f"{share:.1%}" if share < 0.0995 else f"{share:.0%}"


def _layer_name(shown: LayerTrace, *, t: Translate) -> str:
    return f"{t('viz.layer', layer=shown.index)} · {t(f'viz.mixer.{shown.mixer}')} · {t(f'viz.ffn.{shown.ffn}')}"


def _moe_layer(trace: ModelTrace, layer: int | None) -> LayerTrace:
    layers = trace.layers_with("router_probs")
    if layer is None:
        return layers[len(layers) // 2]
    return next((shown for shown in layers if shown.index == layer), layers[0])
