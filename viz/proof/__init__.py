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
from models.records.encoder_decoder import EncoderDecoderRun
from models.records.trace import ModelTrace
from viz.figure import Figure
from viz.proof import (
    anatomy,
    attention,
    attention_steps,
    attribution,
    decay,
    decay_finder,
    encoder_decoder,
    experts,
    gates,
    heads,
    ink,
    kv_cache,
    layer_flow,
    layers,
    lens,
    next_word,
    reading,
    residual,
    rollout,
    routing,
    sides,
    state,
    state_path,
    what_if,
)
from viz.proof.drawn import Choice

Errors = Callable[[Figure, ModelTrace, Choice], float]
ErrorsOfAll = Callable[[Figure, Sequence[ModelTrace], Choice], float]
ErrorsOfRun = Callable[[Figure, EncoderDecoderRun, Choice], float]

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
        "wkv_ink": ("rebuilds", ink.wkv_ink),
        "gated_attention": ("recomputed", gates.gated_attention),
        "channel_moved": ("rebuilds", gates.channel_moved),
        "key_curves": ("rebuilds", gates.key_curves),
        "half_life_histogram": ("from_weights", gates.half_life_histogram),
        "token_shift": ("rebuilds", gates.token_shift),
        "channel_mix_zeros": ("rebuilds", gates.channel_mix_zeros),
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
        "anatomy": ("recomputed", anatomy.anatomy),
        "logit_lens": ("rebuilds", lens.logit_lens),
        "token_lens": ("rebuilds", attribution.token_lens),
        "attention_rollout": ("recomputed", rollout.attention_rollout),
        "residual_norms": ("rebuilds", residual.residual_norms),
        "logit_attribution": ("rebuilds", attribution.logit_attribution),
        "head_attribution": ("rebuilds", attribution.head_attribution),
    }
)
CHECKS_OF_ALL: Mapping[str, tuple[Kind, ErrorsOfAll]] = MappingProxyType(
    {
        "four_machines": ("recomputed", layers.architecture_maps),
        "recall_example": ("recomputed", layers.recall_example),
        "reading": ("recomputed", reading.reading),
        "decay_finder": ("recomputed", decay_finder.decay_finder),
        "head_finder": ("recomputed", heads.head_finder),
        "next_word": ("recomputed", next_word.next_word),
        "state_path": ("recomputed", state_path.state_path),
        "side_rows": ("recomputed", sides.side_rows),
        "side_surprisal": ("recomputed", sides.side_surprisal),
        "side_reach": ("recomputed", sides.side_reach),
        "edit_surprisal": ("recomputed", sides.edit_surprisal),
        "what_if": ("recomputed", what_if.what_if),
        "what_if_words": ("recomputed", next_word.next_word),
        "expert_load": ("recomputed", experts.expert_load),
        "expert_balance": ("recomputed", experts.expert_balance),
        "expert_pairs": ("recomputed", experts.expert_pairs),
        "expert_locality": ("recomputed", experts.expert_locality),
        "expert_words": ("recomputed", experts.expert_words),
        "expert_finder": ("recomputed", experts.expert_finder),
    }
)
CHECKS_OF_RUN: Mapping[str, tuple[Kind, ErrorsOfRun]] = MappingProxyType(
    {
        "encoder_map": ("rebuilds", encoder_decoder.encoder_map),
        "decoder_map": ("rebuilds", encoder_decoder.decoder_map),
        "cross_map": ("rebuilds", encoder_decoder.cross_map),
        "cross_lines": ("rebuilds", encoder_decoder.cross_lines),
        "two_stacks": ("recomputed", encoder_decoder.two_stacks),
        "decoder_cache": ("recomputed", encoder_decoder.decoder_cache),
    }
)
Drawn = ModelTrace | EncoderDecoderRun | Sequence[ModelTrace]  # what a figure may draw of one or several runs


def check(figure: Figure, trace: Drawn, **choice: object) -> Check | None:
    """Return the verdict on a figure of a trace, of several, or of a run of an encoder-decoder.

    None for a figure that draws nothing of a run. choice: what the visitor chose, as it was handed to the figure
    function: layer, head, channel, position, ...
    A picture that does not have the shape of its run has an error of nan.
    """
    if isinstance(trace, EncoderDecoderRun):
        if figure.id not in CHECKS_OF_RUN:
            return None
        kind, errors_of_run = CHECKS_OF_RUN[figure.id]
        return Check(kind, _measured(errors_of_run, figure, trace, choice), limit_of(trace.dtype))
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
