"""Mamba's step size, projections, state over time and hidden attention, for Mamba and for Jamba's Mamba layers."""

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from seqops.selective_scan import hidden_attention_summary, selective_scan_traced
from torch import Tensor, nn

from models.records.trace import LazyGroup, LazyParts, Parts, with_lazy
from models.tracing.capture import Capture
from models.tracing.parts import half_life, named
from models.tracing.parts.half_distance import half_distance

PARTS = frozenset(
    {
        "dt",
        "decay_rates",
        "write_proj",
        "read_proj",
        "skip",
        "scan_input",
        "gate",
        "state",
        "hidden_attention",
        "half_life",
        "half_distance",
    }
)
CAPTURED = frozenset({"dt_input", "dt_weight", "dt_bias", "decay_log", "mixer_output"})


def watched(mixer: Any) -> Iterable[nn.Module]:
    """List what a mixer must be asked for; dt_proj is used by weight, so a hook on it would never fire."""
    for name in ("in_proj", "x_proj", "out_proj", "dt_layernorm", "b_layernorm", "c_layernorm"):
        if hasattr(mixer, name):
            yield getattr(mixer, name)


def mamba_parts(mixer: Any, capture: Capture) -> LazyParts:
    """Build the parts of one Mamba layer of batch 1.

    Its states, its hidden attention and the distances at which |alpha| halves are derived when asked for.
    """
    low_rank, b, c = _selection(mixer, capture)
    dt = F.softplus(F.linear(low_rank, mixer.dt_proj.weight.float(), mixer.dt_proj.bias.float()))
    u = capture.inputs[mixer.x_proj][0].float()  # (l, d_inner)
    gate = F.silu(capture.outputs[mixer.in_proj][0].float().chunk(2, dim=-1)[1])
    a = -torch.exp(mixer.A_log.float())
    values = {
        "dt": dt,
        "decay_rates": a,
        "write_proj": b,
        "read_proj": c,
        "skip": mixer.D,
        "scan_input": u,
        "gate": gate,
        "half_life": half_life(a.abs().amin(dim=1) * dt.mean(dim=0)),
        "dt_input": low_rank,
        "dt_weight": mixer.dt_proj.weight,
        "dt_bias": mixer.dt_proj.bias,
        "decay_log": mixer.A_log,
        "mixer_output": capture.inputs[mixer.out_proj][0],
    }

    @torch.inference_mode()
    def states() -> Parts:
        over_time = selective_scan_traced(u[None], dt[None], a, b[None], c[None])[2][0]  # (l, d_inner, d_state)
        return {"state": named("state", over_time)}

    @torch.inference_mode()
    def operator() -> Parts:
        return {"hidden_attention": named("hidden_attention", hidden_attention_summary(dt, a, b, c, u)[0])}

    @torch.inference_mode()
    def reach() -> Parts:
        return {"half_distance": named("half_distance", half_distance(dt, a, b, c))}

    return with_lazy(
        {name: named(name, value) for name, value in values.items()},
        LazyGroup(["state"], states),
        LazyGroup(["hidden_attention"], operator),
        LazyGroup(["half_distance"], reach),
    )


def _selection(mixer: Any, capture: Capture) -> tuple[Tensor, Tensor, Tensor]:
    """Return what dt is made of (l, dt_rank), B and C (l, d_state), after Jamba's extra norms where there are any."""
    raw = capture.outputs[mixer.x_proj][0].float()
    rank, d_state = mixer.dt_proj.weight.shape[1], mixer.A_log.shape[1]
    low_rank, b, c = raw.split([rank, d_state, d_state], dim=-1)
    if hasattr(mixer, "dt_layernorm"):
        low_rank, b, c = (
            capture.outputs[norm][0].float() for norm in (mixer.dt_layernorm, mixer.b_layernorm, mixer.c_layernorm)
        )
    return low_rank, b, c
