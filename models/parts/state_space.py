"""Mamba's step size, projections, state over time and hidden attention, for Mamba and for Jamba's Mamba layers."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from seqops.selective_scan import hidden_attention_summary, selective_scan_states
from torch import Tensor, nn

from models.capture import Capture
from models.parts import half_life, named, residual
from models.records import Named

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
    }
)


def watched(mixer: Any) -> Iterable[nn.Module]:
    """List what a mixer must be asked for; dt_proj is used by weight, so a hook on it would never fire."""
    for name in ("in_proj", "x_proj", "out_proj", "dt_layernorm", "b_layernorm", "c_layernorm"):
        if hasattr(mixer, name):
            yield getattr(mixer, name)


def mamba_parts(mixer: Any, capture: Capture) -> tuple[Mapping[str, Named], Mapping[str, float]]:
    """Build the parts of one Mamba layer of batch 1; residual of (alpha u + D u) SiLU(z) against out_proj's input."""
    dt, b, c = _selection(mixer, capture)
    u = capture.inputs[mixer.x_proj][0].float()  # (l, d_inner)
    gate = F.silu(capture.outputs[mixer.in_proj][0].float().chunk(2, dim=-1)[1])
    a = -torch.exp(mixer.A_log.float())
    skip = mixer.D.float()
    mean, y = hidden_attention_summary(*(x.cpu() for x in (dt, a, b, c, u)))
    real = capture.inputs[mixer.out_proj][0].float()
    error = residual((y.to(u.device) + skip * u) * gate, real)
    states = selective_scan_states(u[None], dt[None], a, b[None])[0]  # (l, d_inner, d_state)
    from_states = (torch.einsum("lds,ls->ld", states, c) + skip * u) * gate
    values = {
        "dt": dt,
        "decay_rates": a,
        "write_proj": b,
        "read_proj": c,
        "skip": skip,
        "scan_input": u,
        "gate": gate,
        "state": states,
        "hidden_attention": mean,
        "half_life": half_life(a.abs().amin(dim=1) * dt.mean(dim=0)),
    }
    parts = {name: named(name, value) for name, value in values.items()}
    return parts, {"hidden_attention": error, "state": residual(from_states, real), "dt": error}


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
