"""Figures of a hybrid with experts: layers, routing, and all mixing matrices side by side."""

import numpy as np

from models.records.trace import LayerTrace, ModelTrace, NamedArray
from viz.canvas import Axis, Legend, Matrix, Scale, Tile, Tiles
from viz.canvas.pooling import fit_tiles, pooled_sums
from viz.figure import Figure, figure
from viz.look.labels import Translate, short, template
from viz.look.theme import Theme, mixer_ramp, sequential
from viz.trace.experts import (
    chosen_names,
    expert_legend,
    lanes_note,
    lanes_of,
    margins,
    ribbon_note,
    routed_names,
    routes,
)
from viz.trace.findings import lanes_finding, ribbon_finding, stack_finding
from viz.trace.matrix import MIXING, look_back, mixing_of, pooled_note
from viz.trace.tokens import picture, strip_of

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


@figure("expert_lanes", needs=("chosen_experts", "chosen_weights", "router_logits", "router_probs"))
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
        cell_names=routed_names(layers, len(trace.tokens), t),
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
    data = routes(trace) | {"margin": NamedArray(np.stack([margins(shown) for shown in layers]), ("layer", "token"))}
    finding = lanes_finding(np.asarray(data["chosen_experts"].values, np.intp), experts, t)
    return Figure("expert_lanes", spec, data, alt_text, finding=finding)


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


def _layer_name(shown: LayerTrace, *, t: Translate) -> str:
    return f"{t('viz.layer', layer=shown.index)} · {t(f'viz.mixer.{shown.mixer}')} · {t(f'viz.ffn.{shown.ffn}')}"
