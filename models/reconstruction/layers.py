"""The reconstruction errors of the recorded parts of one layer."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from models.reconstruction import attention, experts, maps, state_space, time_mix
from models.reconstruction.check import Check, Kind, Wide, limit_of, relative, wide, worst
from models.records.trace import LayerTrace

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "attention": "rebuilds",
        "attention_logits": "recomputed",
        "value_norm": "rebuilds",
        "dt": "recomputed",
        "decay_rates": "from_weights",
        "state": "rebuilds",
        "hidden_attention": "recomputed",
        "half_life": "recomputed",
        "decay_rate": "from_weights",
        "receptance": "rebuilds",
        "wkv_num": "recomputed",
        "effective_attention": "recomputed",
        "router_probs": "recomputed",
        "chosen_experts": "rebuilds",
    }
)


def half_lives(layer: LayerTrace) -> Wide:
    """Return the half-lives of all channels of a recurrent layer, from its weights and, for Mamba, its inputs."""
    module = state_space if layer.mixer == "mamba" else time_mix
    return wide(module.half_lives(layer))


def checks(layer: LayerTrace, *, dtype: str) -> dict[str, Check]:
    """Return the verdict on every part that can be checked, for a model that ran in dtype (a torch name)."""
    limit = limit_of(dtype)
    return {part: Check(KINDS[part], error, limit) for part, error in reconstruction_errors(layer).items()}


def reconstruction_errors(layer: LayerTrace) -> Mapping[str, float]:
    """Return the worst relative error of every part that can be rebuilt or recomputed; nan where one is nan."""
    found: dict[str, float] = {}
    if "attention" in layer.parts:
        found |= _attention(layer)
    if "state" in layer.parts:
        found |= _state_space(layer)
    if "wkv_num" in layer.parts:
        found |= _time_mix(layer)
    if "router_probs" in layer.parts:
        found |= _experts(layer)
    return found


def _attention(layer: LayerTrace) -> dict[str, float]:
    heads = range(layer.parts["attention"].sizes["head"])
    drawn = {name: wide(layer.part(name)) for name in ("attention", "attention_logits", "value_norm")}
    logits = [
        relative(drawn["attention_logits"][h], attention.scores(layer, h), attention.score_scale(layer, h))
        for h in heads
    ]
    return {
        "attention": worst(*(attention.weight_error(drawn["attention"][h], layer, h) for h in heads)),
        "attention_logits": worst(*logits),
        "value_norm": worst(*(attention.moved_error(drawn["value_norm"][h], layer, h) for h in heads)),
    }


def _state_space(layer: LayerTrace) -> dict[str, float]:
    channels = range(layer.parts["state"].sizes["channel"])
    known, state = state_space.scan(layer, channels), wide(layer.part("state"))
    half_life = state_space.half_lives(layer)
    return {
        "dt": _against(layer, "dt", state_space.step_sizes(layer)),
        "decay_rates": _against(layer, "decay_rates", state_space.decay_rates(layer)),
        "state": worst(relative(state, known.state, known.mass), state_space.read_error(state, layer, channels)),
        "hidden_attention": _map_error(layer),
        "half_life": _against(layer, "half_life", half_life),
    }


def _time_mix(layer: LayerTrace) -> dict[str, float]:
    known, gate = time_mix.wkv(layer), wide(layer.part("receptance"))
    held = wide(layer.part("wkv_num")) / wide(layer.part("wkv_den"))
    return {
        "decay_rate": _against(layer, "decay_rate", time_mix.rates(layer)),
        "receptance": worst(relative(gate, time_mix.receptance(layer), gate), time_mix.gate_error(gate, layer)),
        "wkv_num": worst(relative(held, known.held, known.held_scale)),
        "effective_attention": _map_error(layer),
        "half_life": _against(layer, "half_life", time_mix.half_lives(layer)),
    }


def _experts(layer: LayerTrace) -> dict[str, float]:
    chosen, weights = layer.part("chosen_experts"), layer.part("chosen_weights")
    return {
        "router_probs": _against(layer, "router_probs", experts.probabilities(layer)),
        "chosen_experts": worst(experts.mixture_error(chosen, weights, layer), experts.choice_error(chosen, layer)),
    }


def _against(layer: LayerTrace, part: str, known: Wide) -> float:
    return worst(relative(layer.part(part), known, np.abs(known)))


def _map_error(layer: LayerTrace) -> float:
    return worst(maps.error(maps.recorded(layer), layer, maps.affordable(layer)))
