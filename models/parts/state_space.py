"""Mamba's step size, projections, state over time and hidden attention, for Mamba and for Jamba's Mamba layers."""

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from seqops.selective_scan import hidden_attention_summary, selective_scan_traced
from torch import Tensor, nn

from models.capture import Capture
from models.parts import half_life, named, residual
from models.parts.half_distance import half_distance
from models.records import Derivation, Parts, Residuals, Shown, deferred

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


def watched(mixer: Any) -> Iterable[nn.Module]:
    """List what a mixer must be asked for; dt_proj is used by weight, so a hook on it would never fire."""
    for name in ("in_proj", "x_proj", "out_proj", "dt_layernorm", "b_layernorm", "c_layernorm"):
        if hasattr(mixer, name):
            yield getattr(mixer, name)


def mamba_parts(mixer: Any, capture: Capture) -> Shown:
    """Build the parts of one Mamba layer of batch 1.

    Its states over time, with the residual of (C h + D u) SiLU(z) against out_proj's input, and its hidden attention,
    with that of (alpha u + D u) SiLU(z), are derived when asked for, as are the distances at which |alpha| halves.
    """
    dt, b, c = _selection(mixer, capture)
    u = capture.inputs[mixer.x_proj][0].float()  # (l, d_inner)
    gate = F.silu(capture.outputs[mixer.in_proj][0].float().chunk(2, dim=-1)[1])
    a = -torch.exp(mixer.A_log.float())
    skip = mixer.D.float()
    real = capture.inputs[mixer.out_proj][0].float()
    values = {
        "dt": dt,
        "decay_rates": a,
        "write_proj": b,
        "read_proj": c,
        "skip": skip,
        "scan_input": u,
        "gate": gate,
        "half_life": half_life(a.abs().amin(dim=1) * dt.mean(dim=0)),
    }

    @torch.inference_mode()
    def states() -> tuple[Parts, Residuals]:
        over_time = selective_scan_traced(u[None], dt[None], a, b[None], c[None])[2][0]  # (l, d_inner, d_state)
        read = torch.bmm(over_time, c[:, :, None])[..., 0]
        error = residual((read + skip * u) * gate, real)
        return {"state": named("state", over_time)}, {"state": error, "dt": error}

    @torch.inference_mode()
    def operator() -> tuple[Parts, Residuals]:
        mean, mixed = hidden_attention_summary(dt, a, b, c, u)
        error = residual((mixed + skip * u) * gate, real)
        return {"hidden_attention": named("hidden_attention", mean)}, {"hidden_attention": error}

    @torch.inference_mode()
    def reach() -> tuple[Parts, Residuals]:
        return {"half_distance": named("half_distance", half_distance(dt, a, b, c))}, {}

    return deferred(
        {name: named(name, value) for name, value in values.items()},
        {},
        Derivation(["state"], ["state", "dt"], states),
        Derivation(["hidden_attention"], ["hidden_attention"], operator),
        Derivation(["half_distance"], [], reach),
    )


def _selection(mixer: Any, capture: Capture) -> tuple[Tensor, Tensor, Tensor]:
    """Return dt (l, d_inner) after softplus, B and C (l, d_state), after Jamba's extra norms where there are any."""
    raw = capture.outputs[mixer.x_proj][0].float()
    rank, d_state = mixer.dt_proj.weight.shape[1], mixer.A_log.shape[1]
    low_rank, b, c = raw.split([rank, d_state, d_state], dim=-1)
    if hasattr(mixer, "dt_layernorm"):
        low_rank, b, c = (
            capture.outputs[norm][0].float() for norm in (mixer.dt_layernorm, mixer.b_layernorm, mixer.c_layernorm)
        )
    dt = F.softplus(F.linear(low_rank, mixer.dt_proj.weight.float(), mixer.dt_proj.bias.float()))
    return dt, b, c
