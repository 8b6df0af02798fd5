"""The routers of one text or of several: what every layer with experts chose, text by text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from models.records.trace import LayerTrace, ModelTrace
from viz.trace.channels import Floats, Indices, floats

Texts: TypeAlias = ModelTrace | Sequence[ModelTrace]


@dataclass(frozen=True, slots=True)
class RoutedLayer:
    """One layer with experts over some texts. chosen (token, choice) and probs (token, expert) of each text."""

    index: int
    experts: int
    top_k: int
    chosen: tuple[Indices, ...]
    probs: tuple[Floats, ...]

    @property
    def all_chosen(self) -> Indices:
        """Return the choices of all texts, one after the other."""
        return np.concatenate(self.chosen)

    @property
    def all_probs(self) -> Floats:
        """Return the probabilities of all texts, one after the other."""
        return np.concatenate(self.probs)


def texts_of(of: Texts) -> Sequence[ModelTrace]:
    """Return one trace or several as several."""
    return (of,) if isinstance(of, ModelTrace) else of


def routed_layers(of: Texts) -> list[RoutedLayer]:
    """Gather the layers with experts of a model that read one text or several."""
    traces = texts_of(of)
    found = [trace.layers_with("router_probs") for trace in traces]
    return [_gathered(layers) for layers in zip(*found, strict=True)]


def routed_layer(of: Texts, layer: int | None) -> RoutedLayer:
    """Return a layer with experts by its index; without one, or for a layer without experts, the middle one."""
    layers = routed_layers(of)
    return next((one for one in layers if one.index == layer), layers[len(layers) // 2])


def token_count(of: Texts) -> int:
    """Count the tokens of all texts."""
    return sum(len(trace.tokens) for trace in texts_of(of))


def _gathered(layers: Sequence[LayerTrace]) -> RoutedLayer:
    chosen = tuple(np.asarray(layer.part("chosen_experts")).astype(np.intp) for layer in layers)
    probs = tuple(floats(layer, "router_probs") for layer in layers)
    return RoutedLayer(layers[0].index, probs[0].shape[1], chosen[0].shape[1], chosen, probs)
