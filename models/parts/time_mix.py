"""RWKV-4's decay, bonus, receptance, state over time and effective attention."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from seqops.wkv import wkv_matrix, wkv_states
from torch import nn

from models.capture import Capture
from models.parts import half_life, named, residual
from models.records import Named

PARTS = frozenset(
    {
        "decay_rate",
        "bonus",
        "key",
        "value",
        "receptance",
        "wkv_num",
        "wkv_den",
        "wkv_max",
        "effective_attention",
        "half_life",
    }
)


def watched(attention: Any) -> Iterable[nn.Module]:
    """List what a time-mix block must be asked for; its own `attentions` output is not attention."""
    return (attention.key, attention.value, attention.receptance, attention.output)


def time_mix_parts(attention: Any, capture: Capture) -> tuple[Mapping[str, Named], Mapping[str, float]]:
    """Build the parts of one time-mix block of batch 1; residual of sigma(r) (P v) against the output's input."""
    key = capture.outputs[attention.key][0].float()  # (l, c)
    value = capture.outputs[attention.value][0].float()
    receptance = torch.sigmoid(capture.outputs[attention.receptance][0].float())
    rate = torch.exp(attention.time_decay.float())
    bonus = attention.time_first.float()
    mixing = wkv_matrix(rate, bonus, key)  # (c, l, l)
    rebuilt = receptance * torch.einsum("cqk,kc->qc", mixing, value)
    error = residual(rebuilt, capture.inputs[attention.output][0].float())
    states = wkv_states(rate, key[None], value[None])
    values = {
        "decay_rate": rate,
        "bonus": bonus,
        "key": key,
        "value": value,
        "receptance": receptance,
        "wkv_num": states.num[0],
        "wkv_den": states.den[0],
        "wkv_max": states.max[0],
        "effective_attention": mixing.mean(dim=0),
        "half_life": half_life(rate),
    }
    parts = {name: named(name, part) for name, part in values.items()}
    return parts, {"effective_attention": error, "receptance": error, "decay_rate": error}
