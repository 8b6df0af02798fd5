"""How evenly the routers of a model share its tokens out: each expert's share, and measures of every layer."""

from collections.abc import Sequence

import numpy as np

from models import scores
from models.records.trace import NamedArray
from viz.canvas import Axis, Legend, Matrix, Scale
from viz.figure import Figure, figure
from viz.look.labels import Translate, template
from viz.look.theme import Theme, sequential
from viz.trace.channels import Floats
from viz.trace.expert_findings import balance_finding
from viz.trace.findings import load_finding
from viz.trace.routed import RoutedLayer, Texts, routed_layers, texts_of, token_count
from viz.trace.tokens import picture

MEASURES = ("entropy", "busiest", "unused", "auxiliary")
ROW = 38  # pixels


@figure("expert_load", needs=("chosen_experts", "router_probs"))
def expert_load(of: Texts, *, theme: Theme, t: Translate) -> Figure:
    """Draw each expert's share of the token slots, tokens x choices, per layer with experts, over all texts.

    A click on a cell reports the row and the column.
    """
    layers = routed_layers(of)
    load = np.stack([_share(layer) for layer in layers])
    high = float(load.max())
    experts, uniform = load.shape[1], 1 / load.shape[1]
    grid = Matrix(
        values=load.astype(np.float32),
        scale=Scale(0.0, high),
        ramps=(sequential(texts_of(of)[0].architecture, theme),),
        readout=(
            "{row} · {column}",
            template(t, "viz.value", "value", name=t("viz.expert_load.quantity")),
            template(t, "viz.expert_load.ratio", "ratio"),
            t("viz.expert_load.click"),
        ),
        rows=_rows(layers, t),
        columns=Axis(
            names=tuple(t("viz.expert", expert=e) for e in range(experts)),
            labels=tuple(str(e) for e in range(experts)),
            title=t("viz.expert_load.columns"),
        ),
        row_height=ROW,
        max_height=420,
        texts=tuple(tuple(percent_of(float(share)) for share in row) for row in load),
        whole_texts=True,
        picks="none",
        reports=True,
        baseline=uniform,
    )
    ticks = ((0.0, "0"), (1.0, f"{high:.0%}"))
    alt_text = t("viz.expert_load.alt", layers=len(layers), experts=experts, high=f"{high:.0%}")
    spec = picture(
        "expert_load",
        alt_text,
        texts_of(of)[0],
        theme=theme,
        t=t,
        grid=grid,
        legends=(Legend(t("viz.expert_load.quantity"), ticks, t("viz.scope.picture")),),
        note=" ".join((t("viz.expert_load.uniform", share=f"{uniform:.1%}"), counted_over(of, t))),
    )
    finding = load_finding(load, [layer.index for layer in layers], t)
    return Figure("expert_load", spec, {"load": NamedArray(load, ("layer", "expert"))}, alt_text, finding=finding)


@figure("expert_balance", needs=("chosen_experts", "router_probs"))
def expert_balance(of: Texts, *, theme: Theme, t: Translate) -> Figure:
    """Write four measures of every router in a row: entropy over log E, largest over mean, unused, auxiliary loss."""
    layers = routed_layers(of)
    found = [scores.balance(layer.all_probs, layer.all_chosen) for layer in layers]
    values = np.array(found, np.float64)  # (layer, measure)
    experts, top_k = layers[0].experts, layers[0].top_k
    told = tuple(
        (f"{one.entropy:.2f}", f"{one.busiest:.2f}", t("viz.expert_balance.of", count=one.unused, all=experts),
         f"{one.auxiliary:.2f}")
        for one in found
    )  # fmt: skip
    meant = tuple(t(f"viz.expert_balance.{name}_meaning", count=top_k) for name in MEASURES)
    grid = Matrix(
        values=values.astype(np.float32),
        scale=Scale(0.0, 1.0),
        ramps=((theme.chip,) * 256,),
        readout=("{row} · {column}", "{text}", "{cell}"),
        rows=_rows(layers, t),
        columns=Axis(
            names=tuple(t(f"viz.expert_balance.{name}") for name in MEASURES),
            labels=tuple(t(f"viz.expert_balance.{name}") for name in MEASURES),
        ),
        row_height=30,
        max_height=420,
        texts=told,
        cell_names=(meant,) * len(layers),
        picks="none",
    )
    alt_text = t("viz.expert_balance.alt", layers=len(layers))
    note = " ".join((t("viz.expert_balance.note", count=top_k), counted_over(of, t)))
    spec = picture("expert_balance", alt_text, texts_of(of)[0], theme=theme, t=t, grid=grid, note=note)
    data = {"balance": NamedArray(values, ("layer", "measure"))}
    finding = balance_finding(values[:, 0], [layer.index for layer in layers], t)
    return Figure("expert_balance", spec, data, alt_text, finding=finding)


def counted_over(of: Texts, t: Translate) -> str:
    """Say over how many tokens a figure counts."""
    tokens, texts = f"{token_count(of):,}", len(texts_of(of))
    return (
        t("viz.experts.counted", tokens=tokens)
        if texts == 1
        else t("viz.experts.counted_in", tokens=tokens, texts=texts)
    )


def percent_of(share: float) -> str:
    """Write a share with one decimal below ten percent, none above and for nothing."""
    return f"{share:.1%}" if 0 < share < 0.0995 else f"{share:.0%}"


def _share(layer: RoutedLayer) -> Floats:
    chosen = layer.all_chosen
    return np.asarray(np.bincount(chosen.ravel(), minlength=layer.experts) / chosen.size)


def _rows(layers: Sequence[RoutedLayer], t: Translate) -> Axis:
    return Axis(labels=tuple(t("viz.layer", layer=layer.index) for layer in layers))
