"""RWKV-4's decay, bonus, receptance, state over time and effective attention."""

from collections.abc import Iterable
from typing import Any

import torch
from seqops.wkv import effective_attention_summary, wkv_traced
from torch import nn

from models.capture import Capture
from models.parts import half_life, named, residual
from models.records import Derivation, Parts, Residuals, Shown, deferred

STATES = ("wkv_num", "wkv_den", "wkv_max")
PARTS = frozenset({"decay_rate", "bonus", "key", "value", "receptance", "effective_attention", "half_life", *STATES})


def watched(attention: Any) -> Iterable[nn.Module]:
    """List what a time-mix block must be asked for; its own `attentions` output is not attention."""
    return (attention.key, attention.value, attention.receptance, attention.output)


def time_mix_parts(attention: Any, capture: Capture) -> Shown:
    """Build the parts of one time-mix block of batch 1.

    Its states over time, and its effective attention with the residual of sigma(r) (P v) against the output's input,
    are derived when asked for.
    """
    key = capture.outputs[attention.key][0].float()  # (l, c)
    value = capture.outputs[attention.value][0].float()
    receptance = torch.sigmoid(capture.outputs[attention.receptance][0].float())
    rate = torch.exp(attention.time_decay.float())
    bonus = attention.time_first.float()
    real = capture.inputs[attention.output][0].float()
    values = {
        "decay_rate": rate,
        "bonus": bonus,
        "key": key,
        "value": value,
        "receptance": receptance,
        "half_life": half_life(rate),
    }

    @torch.inference_mode()
    def states() -> tuple[Parts, Residuals]:
        wkv, _, over_time = wkv_traced(rate, bonus, key[None], value[None])
        error = residual(receptance * wkv[0], real)
        parts = {name: named(name, part[0]) for name, part in zip(STATES, over_time, strict=True)}
        return parts, {"receptance": error, "decay_rate": error}

    @torch.inference_mode()
    def operator() -> tuple[Parts, Residuals]:
        mean, mixed = effective_attention_summary(rate, bonus, key, value)
        error = residual(receptance * mixed, real)
        return {"effective_attention": named("effective_attention", mean)}, {"effective_attention": error}

    return deferred(
        {name: named(name, part) for name, part in values.items()},
        {},
        Derivation(STATES, ["receptance", "decay_rate"], states),
        Derivation(["effective_attention"], ["effective_attention"], operator),
    )
