"""Jamba: mostly a state, now and then a look back, and experts in between."""

from collections.abc import Callable
from functools import partial

import streamlit as st

from models.records.trace import ModelTrace
from pages.shared import (
    controls,
    expert_memory,
    experts,
    hood,
    layout,
    model_picker,
    next_word,
    notices,
    parts,
    reading_bar,
    what_if,
)
from pages.shared.panel import panel
from pages.shared.words.i18n import t
from viz.trace.attention import head_matrix, most_telling_head
from viz.trace.channels import widest_memory
from viz.trace.layer_flow import layer_flow
from viz.trace.routing import hybrid_stack, layer_ribbon
from viz.trace.state import state_film

PAGE = "jamba"


LACKS = {"router_probs": "experts", "state": "state", "attention": "attention"}  # part -> words for a model without it


def where(part: str, trace: ModelTrace, draw: Callable[[ModelTrace], object]) -> None:
    """Draw a figure of a part, or say that this model has no such layers: another Jamba may lack its experts."""
    if trace.layers_with(part):
        draw(trace)
    else:
        st.caption(notices.plain(t(f"models.lacks_{LACKS[part]}", name=model_picker.name_of(PAGE))))


def flow(trace: ModelTrace) -> None:
    """Draw the way of the reader's tokens through all layers."""
    panel(layer_flow, trace, key=f"{PAGE}.flow")


def ribbon(trace: ModelTrace) -> None:
    """Draw the plan of the layers with the reader's tokens in them."""
    panel(layer_ribbon, trace, key=f"{PAGE}.ribbon")


def stack(trace: ModelTrace) -> None:
    """Draw the mixing matrices of all layers."""
    panel(hybrid_stack, trace, key=f"{PAGE}.stack")


def head(trace: ModelTrace) -> None:
    """Draw one head of the attention layer, chosen beside it."""
    parts.figure(f"{PAGE}.part.head", lambda: head_panel(trace), on=("attention_layer", "head"))


def head_panel(trace: ModelTrace) -> None:
    """Offer the head, and draw it."""
    best = most_telling_head(trace)
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
        subtitle=t("viz.layer_head", layer=layer, head=number),
    )


def film(trace: ModelTrace) -> None:
    """Draw the state of one Mamba layer, chosen beside it."""
    parts.figure(f"{PAGE}.part.film", lambda: film_panel(trace), on=("state_layer",))


def film_panel(trace: ModelTrace) -> None:
    """Offer the layer, and draw its state."""
    layers = [shown.index for shown in trace.layers_with("state")]
    layer = controls.layer_picker(PAGE, layers, default=widest_memory(trace), name="state_layer")
    panel(
        state_film,
        trace,
        key=f"{PAGE}.film",
        layer=layer,
        subtitle=t("viz.layer", layer=layer),
    )


def mixture(trace: ModelTrace) -> dict[str, str]:
    """Count the layers of each kind, for the answers."""
    attention = [shown.index for shown in trace.layers_with("attention")]
    layers = len(trace.layers)
    return {
        "attention": str(len(attention)),
        "state": str(len(trace.layers_with("state"))),
        "at": ", ".join(map(str, attention)),
        "share": f"{len(attention) / layers:.1%}",
    }


layout.header(PAGE)
found = controls.traced_prompt(PAGE)
if found is not None:
    reading = found
    reading_bar.show(PAGE, reading)
    layout.first_figure(PAGE, lambda: where("router_probs", reading, flow), traces=[reading], wide=True)
    next_word.section(PAGE, [reading])
    what_if.section(PAGE, reading)
    layout.section_of(PAGE, "ribbon", lambda: ribbon(reading))
    layout.chapter(PAGE, 1, lambda: where("router_probs", reading, partial(experts.lanes, PAGE)))
    layout.chapter(PAGE, 2, lambda: where("router_probs", reading, partial(experts.router, PAGE)))
    layout.chapter(PAGE, 3, lambda: stack(reading))
    layout.under_the_hood(
        PAGE,
        [
            ("expert_routes", lambda: where("router_probs", reading, partial(experts.paths, PAGE))),
            *(experts.counted(PAGE, reading) if experts.has_experts(reading) else []),
            ("memory_growth", lambda: expert_memory.memory(PAGE, reading)),
            ("head_matrix", lambda: where("attention", reading, head)),
            ("state_film", lambda: where("state", reading, film)),
            *hood.shared(PAGE, reading),
        ],
    )
    layout.what_it_costs(PAGE, len(reading.tokens))
    layout.check_yourself(PAGE, mixture(reading))
