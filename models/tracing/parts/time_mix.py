"""RWKV-4's decay, bonus, receptance, state over time and effective attention."""

from collections.abc import Iterable
from typing import Any

import torch
from seqops.wkv import effective_attention_summary, wkv_traced
from torch import nn

from models.operators import switched
from models.records.trace import LazyGroup, LazyParts, Parts, with_lazy
from models.tracing.capture import Capture
from models.tracing.parts import half_life, named

STATES = ("wkv_num", "wkv_den", "wkv_max")
PARTS = frozenset({"decay_rate", "bonus", "key", "value", "receptance", "effective_attention",
                   "gated_attention", "half_life", *STATES})  # fmt: skip
CAPTURED = frozenset({"time_decay", "receptance_logit", "mixer_output"})


def watched(attention: Any) -> Iterable[nn.Module]:
    """List what a time-mix block must be asked for; its own `attentions` output is not attention."""
    return (attention.key, attention.value, attention.receptance, attention.output)


def time_mix_parts(attention: Any, capture: Capture) -> LazyParts:
    """Build the parts of one time-mix block of batch 1; states and effective attention are derived when asked for.

    Of a run with the receptance switched, it is what stood in its place. Where the decay is switched or something
    forgotten, nothing is derived.
    """
    plan = capture.plans.get(attention.key)
    key = capture.outputs[attention.key][0].float()  # (l, c)
    value = capture.outputs[attention.value][0].float()
    logit = capture.outputs[attention.receptance][0].float()
    gate = torch.sigmoid(logit)
    if plan is not None:
        gate = switched.receptance(plan, gate)
        logit = logit if plan.find("receptance") is None else torch.logit(gate)
    rate = torch.exp(attention.time_decay.float())
    bonus = attention.time_first.float()
    values = {
        "decay_rate": rate,
        "bonus": bonus,
        "key": key,
        "value": value,
        "receptance": gate,
        "half_life": half_life(rate),
        "time_decay": attention.time_decay,
        "receptance_logit": logit,
        "mixer_output": capture.inputs[attention.output][0],
    }

    @torch.inference_mode()
    def states() -> Parts:
        over_time = wkv_traced(rate, bonus, key[None], value[None])[2]
        return {name: named(name, part[0]) for name, part in zip(STATES, over_time, strict=True)}

    @torch.inference_mode()
    def operator() -> Parts:
        mean = effective_attention_summary(rate, bonus, key, value)[0]
        return {"effective_attention": named("effective_attention", mean)}

    @torch.inference_mode()
    def gated() -> Parts:
        mean = effective_attention_summary(rate, bonus, key, value, gate=gate)[0]
        return {"gated_attention": named("gated_attention", mean)}

    ready = {name: named(name, part) for name, part in values.items()}
    if plan is not None and (plan.find("decay") is not None or plan.forgets):
        return with_lazy(ready)
    return with_lazy(
        ready,
        LazyGroup(STATES, states),
        LazyGroup(["effective_attention"], operator),
        LazyGroup(["gated_attention"], gated),
    )
