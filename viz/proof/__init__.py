"""Check a figure by its drawn arrays and by the names of its rows and tiles.

Each check takes the finished figure, never the values that it was made from; so a transposed, shifted or mislabelled
picture fails, and so does one of another layer or head than the visitor chose.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from models.reconstruction import Check, limit_of
from models.reconstruction.check import Kind
from models.records.trace import ModelTrace
from viz.figure import Figure
from viz.proof import (
    attention,
    attention_steps,
    decay,
    experts,
    kv_cache,
    layer_flow,
    layers,
    lens,
    next_word,
    reading,
    routing,
    state,
    state_path,
)
from viz.proof.drawn import Choice

Errors = Callable[[Figure, ModelTrace, Choice], float]
ErrorsOfAll = Callable[[Figure, Sequence[ModelTrace], Choice], float]

CHECKS: Mapping[str, tuple[Kind, Errors]] = MappingProxyType(
    {
        "head_matrix": ("rebuilds", attention.head_matrix),
        "attention_steps": ("rebuilds", attention_steps.attention_steps),
        "kv_cache": ("recomputed", kv_cache.kv_cache),
        "head_logits": ("recomputed", attention.head_logits),
        "value_norm_matrix": ("rebuilds", attention.value_norm_matrix),
        "head_mosaic": ("rebuilds", attention.head_mosaic),
        "state_film": ("recomputed", state.state_film),
        "state_slice": ("rebuilds", state.state_slice),
        "dt_map": ("recomputed", state.dt_map),
        "hidden_attention": ("recomputed", state.hidden_attention),
        "channel_matrix": ("rebuilds", layers.channel_matrix),
        "half_life": ("recomputed", state.half_life),
        "decay_curves": ("from_weights", decay.decay_curves),
        "half_life_spectrum": ("from_weights", decay.half_life_spectrum),
        "effective_attention": ("recomputed", decay.effective_attention),
        "receptance_map": ("recomputed", decay.receptance_map),
        "wkv_film": ("recomputed", decay.wkv_film),
        "layer_ribbon": ("recomputed", layers.layer_ribbon),
        "layer_flow": ("rebuilds", layer_flow.layer_flow),
        "hybrid_stack": ("recomputed", layers.hybrid_stack),
        "expert_lanes": ("rebuilds", routing.expert_lanes),
        "router_bars": ("recomputed", routing.router_bars),
        "expert_routes": ("recomputed", routing.expert_routes),
        "expert_load": ("recomputed", experts.of_one(experts.expert_load)),
        "expert_balance": ("recomputed", experts.of_one(experts.expert_balance)),
        "expert_pairs": ("recomputed", experts.of_one(experts.expert_pairs)),
        "expert_locality": ("recomputed", experts.of_one(experts.expert_locality)),
        "expert_words": ("recomputed", experts.of_one(experts.expert_words)),
        "token_strip": ("recomputed", layers.token_strip),
        "logit_lens": ("rebuilds", lens.logit_lens),
    }
)
CHECKS_OF_ALL: Mapping[str, tuple[Kind, ErrorsOfAll]] = MappingProxyType(
    {
        "four_machines": ("recomputed", layers.architecture_maps),
        "recall_example": ("recomputed", layers.recall_example),
        "reading": ("recomputed", reading.reading),
        "next_word": ("recomputed", next_word.next_word),
        "state_path": ("recomputed", state_path.state_path),
        "expert_load": ("recomputed", experts.expert_load),
        "expert_balance": ("recomputed", experts.expert_balance),
        "expert_pairs": ("recomputed", experts.expert_pairs),
        "expert_locality": ("recomputed", experts.expert_locality),
        "expert_words": ("recomputed", experts.expert_words),
        "expert_finder": ("recomputed", experts.expert_finder),
    }
)


def check(figure: Figure, trace: ModelTrace | Sequence[ModelTrace], **choice: object) -> Check | None:
    """Return the verdict on a figure of a trace, or of several; None for a figure that draws nothing of a run.

    choice: what the visitor chose, as it was handed to the figure function: layer, head, channel, position, ...
    A picture that does not have the shape of its run has an error of nan.
    """
    if isinstance(trace, ModelTrace):
        if figure.id not in CHECKS:
            return None
        kind, errors = CHECKS[figure.id]
        return Check(kind, _measured(errors, figure, trace, choice), limit_of(trace.dtype))
    if figure.id not in CHECKS_OF_ALL:
        return None
    kind, errors_of_all = CHECKS_OF_ALL[figure.id]
    limit = max(limit_of(one.dtype) for one in trace)
    return Check(kind, _measured(errors_of_all, figure, trace, choice), limit)


def _measured(errors: Callable[[Figure, Any, Choice], float], figure: Figure, trace: object, choice: Choice) -> float:
    """Return the error, nan where the picture cannot be compared at all: red either way."""
    with np.errstate(all="ignore"):
        try:
            return errors(figure, trace, choice)
        except (ArithmeticError, LookupError, TypeError, ValueError):
            return math.nan
