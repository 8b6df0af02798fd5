"""Figures of a mixture of experts, for every page whose model has one: choices, router probabilities, load."""

from models.records.trace import ModelTrace
from pages.shared import cache, controls, html, parts
from pages.shared.panel import panel, selected_or_last
from pages.shared.words.i18n import t
from viz.trace.expert_routes import expert_routes
from viz.trace.routing import expert_lanes, expert_load, router_bars


def has_experts(trace: ModelTrace) -> bool:
    """Return whether some layer of a model sends its tokens to experts."""
    return bool(trace.layers_with("router_probs"))


def lanes(page: str, trace: ModelTrace) -> None:
    """Draw which token went to which experts."""
    panel(expert_lanes, trace, key=f"{page}.lanes")


def load(page: str, trace: ModelTrace) -> None:
    """Draw how the tokens were shared among the experts."""
    panel(expert_load, trace, key=f"{page}.load")


def router(page: str, trace: ModelTrace) -> None:
    """Draw the router of the chosen token in one layer with experts."""
    parts.figure(f"{page}.part.router", lambda: _router(page, trace), on=("router_layer",))


def _router(page: str, trace: ModelTrace) -> None:
    layers = [shown.index for shown in trace.layers_with("router_probs")]
    layer = controls.layer_picker(page, layers, default=_most_selective_layer(trace, layers), name="router_layer")
    label = trace.tokens[selected_or_last(trace)].label  # the browser writes that of another token
    panel(
        router_bars,
        trace,
        key=f"{page}.router",
        layer=layer,
        subtitle=html.text(t("viz.layer", layer=layer), " · ", html.element("span", label, class_="cs-shown-token")),
    )


def _most_selective_layer(trace: ModelTrace, layers: list[int]) -> int:
    """Return the layer whose experts prefer kinds of tokens most, by the model's card; else the middle one."""
    known = {found["layer"]: found["lift"] for found in cache.structure(trace.checkpoint).get("routing", ())}
    return max((layer for layer in layers if layer in known), key=known.__getitem__, default=layers[len(layers) // 2])


def paths(page: str, trace: ModelTrace) -> None:
    """Draw through which experts the tokens go, layer by layer, by kind of token."""
    panel(expert_routes, trace, key=f"{page}.routes")
