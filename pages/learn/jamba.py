"""Jamba: mostly a state, now and then a look back, and experts in between."""

from collections.abc import Callable

import streamlit as st

from models.records import ModelTrace
from pages.shared import cache, controls, layout, models_picker, notices
from pages.shared.i18n import t
from pages.shared.panel import panel, residual_of, selected_or_last
from viz.attention import head_matrix
from viz.channels import widest_memory
from viz.routing import expert_lanes, expert_load, hybrid_stack, layer_ribbon, router_bars
from viz.state import state_film

PAGE = "jamba"


LACKS = {"router_probs": "experts", "state": "state"}  # part -> words for a model without it


def where(part: str, trace: ModelTrace, draw: Callable[[ModelTrace], object]) -> None:
    """Draw a figure of a part, or say that this model has no such layers: another Jamba may lack its experts."""
    if trace.layers_with(part):
        draw(trace)
    else:
        st.caption(notices.plain(t(f"models.lacks_{LACKS[part]}", name=models_picker.name_of(PAGE))))


def worst(trace: ModelTrace, *parts: str) -> float | None:
    """Return how well the parts that a model has rebuild its output; None where it has none of them."""
    return max((residual_of(trace, part) for part in parts if trace.layers_with(part)), default=None)


def ribbon(trace: ModelTrace) -> None:
    """Draw the plan of the layers with the reader's tokens in them; the residual is that of the experts it shows."""
    panel(layer_ribbon, trace, key=f"{PAGE}.ribbon", residual=worst(trace, "chosen_experts"))


def lanes(trace: ModelTrace) -> None:
    """Draw which token went to which experts."""
    panel(expert_lanes, trace, key=f"{PAGE}.lanes", residual=residual_of(trace, "chosen_experts"))


def stack(trace: ModelTrace) -> None:
    """Draw the mixing matrices of all layers."""
    panel(hybrid_stack, trace, key=f"{PAGE}.stack", layer=None, residual=worst(trace, "attention", "hidden_attention"))


def load(trace: ModelTrace) -> None:
    """Draw how the tokens were shared among the experts."""
    panel(expert_load, trace, key=f"{PAGE}.load", follow=False)


def choosiest(trace: ModelTrace, layers: list[int]) -> int:
    """Return the layer whose experts prefer kinds of tokens most, by the model's card; else the middle one."""
    known = {found["layer"]: found["lift"] for found in cache.structure(trace.checkpoint).get("routing", ())}
    return max((layer for layer in layers if layer in known), key=known.__getitem__, default=layers[len(layers) // 2])


def router(trace: ModelTrace) -> None:
    """Draw the router of the chosen token in one layer with experts."""
    layers = [shown.index for shown in trace.layers_with("router_probs")]
    layer = controls.layer_picker(PAGE, layers, default=choosiest(trace, layers), name="router_layer")
    position = selected_or_last(trace)
    panel(
        router_bars,
        trace,
        key=f"{PAGE}.router",
        follow=False,
        layer=layer,
        position=position,
        residual=residual_of(trace, "router_probs", layer),
        subtitle=f"{t('viz.layer', layer=layer)} · {trace.tokens[position].label}",
    )


def head(trace: ModelTrace) -> None:
    """Draw one head of the attention layer."""
    best = controls.clearest_head(trace)
    layers = [shown.index for shown in trace.layers_with("attention")]
    with st.container(horizontal=True, gap="medium"):
        layer = controls.layer_picker(PAGE, layers, default=best.layer, name="attention_layer")
        heads = trace.layer(layer).parts["attention"].sizes["head"]
        number = controls.head_picker(PAGE, heads, default=best.head)
    panel(
        head_matrix,
        trace,
        key=f"{PAGE}.head",
        layer=layer,
        head=number,
        residual=residual_of(trace, "attention", layer),
        subtitle=t("viz.layer_head", layer=layer, head=number),
    )


def film(trace: ModelTrace) -> None:
    """Draw the state of one Mamba layer."""
    layers = [shown.index for shown in trace.layers_with("state")]
    layer = controls.layer_picker(PAGE, layers, default=widest_memory(trace), name="state_layer")
    panel(
        state_film,
        trace,
        key=f"{PAGE}.film",
        layer=layer,
        residual=residual_of(trace, "state", layer),
        subtitle=t("viz.layer", layer=layer),
    )


layout.hero(PAGE)
found = controls.reading(PAGE)
if found is not None:
    reading = found
    layout.body(PAGE, lambda: ribbon(reading), traces=[reading])
    layout.chapter(PAGE, 1, lambda: where("router_probs", reading, lanes))
    layout.chapter(PAGE, 2, lambda: where("router_probs", reading, router))
    layout.chapter(PAGE, 3, lambda: stack(reading))
    layout.under_the_hood(
        PAGE,
        [
            ("expert_load", lambda: where("router_probs", reading, load)),
            ("head_matrix", lambda: head(reading)),
            ("state_film", lambda: where("state", reading, film)),
        ],
    )
    layout.what_it_costs(PAGE, len(reading.tokens))
    layout.check_yourself(PAGE)
