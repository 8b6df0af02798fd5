"""RWKV-4's token shift in both halves of a block, and the sparse hidden layer of its channel mixing."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.records.trace import LazyGroup, LazyParts, Parts, with_lazy
from models.tracing.capture import Capture
from models.tracing.parts import named

PARTS = frozenset({"shift_share", "ffn_key"})
CAPTURED = frozenset({"shift_from", "shifted", "ffn_value_weight", "ffn_receptance_logit", "ffn_output"})
SHARES = ("key", "value", "receptance", "ffn_key", "ffn_receptance")  # the mixtures of one block, time mixing first
HALF = (0, 0, 0, 1, 1)  # the sublayer of each: time mixing, channel mixing
PLACES = 8  # tokens at which the mixtures are kept, evenly spread, the first and the last included
PROBES = 32  # output features in which the channel mixing is rebuilt, evenly spread over the width of the model


def watched(block: Any) -> Iterable[nn.Module]:
    """List what a block must be asked for beside the projections of its time mix."""
    mix = block.feed_forward
    return (block.attention, mix, mix.key, mix.receptance)


def channel_mix_parts(block: Any, capture: Capture) -> LazyParts:
    """Build the parts of the token shifts and of the channel mixing of one block of batch 1; kept as captured."""
    mix = block.feed_forward
    output = capture.outputs[mix]
    output = (output[0] if isinstance(output, tuple) else output)[0]  # (l, d_model)
    probes = spread(output.shape[1], PROBES)
    values = {
        "shift_share": torch.stack([share.reshape(-1) for share in _shares(block)]),
        "shift_from": torch.stack([_pairs(capture.inputs[half][0]) for half in (block.attention, mix)]),
        "shifted": torch.stack([_some(capture.inputs[one][0]) for one in _projections(block)]),
    }
    hidden = capture.outputs[mix.key][0]
    receptance = capture.outputs[mix.receptance][0][:, probes]
    rebuilt = output[:, probes]

    @torch.inference_mode()
    def channel_mix() -> Parts:
        parts = {
            "ffn_key": hidden,
            "ffn_value_weight": mix.value.weight[probes],
            "ffn_receptance_logit": receptance,
            "ffn_output": rebuilt,
        }
        return {name: named(name, part) for name, part in parts.items()}

    group = LazyGroup(("ffn_key", "ffn_value_weight", "ffn_receptance_logit", "ffn_output"), channel_mix)
    return with_lazy({name: named(name, part) for name, part in values.items()}, group)


def spread(count: int, most: int) -> list[int]:
    """Choose at most so many of count places, evenly, both ends included."""
    return [int(place) for place in np.unique(np.linspace(0, count - 1, min(most, count)).round())]


def _shares(block: Any) -> list[Tensor]:
    mixer, mix = block.attention, block.feed_forward
    own = [mixer.time_mix_key, mixer.time_mix_value, mixer.time_mix_receptance]
    return [share.detach() for share in (*own, mix.time_mix_key, mix.time_mix_receptance)]


def _projections(block: Any) -> list[nn.Module]:
    mixer, mix = block.attention, block.feed_forward
    return [mixer.key, mixer.value, mixer.receptance, mix.key, mix.receptance]


def _some(values: Tensor) -> Tensor:
    """Return (place, d_model) of (l, d_model), a copy."""
    return values[spread(len(values), PLACES)].clone()


def _pairs(hidden: Tensor) -> Tensor:
    """Return x_t and x_(t-1) at some tokens, (2, place, d_model); zeros stand before the first."""
    before = torch.cat([torch.zeros_like(hidden[:1]), hidden[:-1]])
    return torch.stack([_some(hidden), _some(before)])
