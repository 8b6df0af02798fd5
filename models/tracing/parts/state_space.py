"""Mamba's step size, projections, state over time and hidden attention, for Mamba and for Jamba's Mamba layers."""

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from seqops.mamba_mixer import conv_slope, mixer_summary
from seqops.selective_scan import hidden_attention_summary, selective_scan_traced
from torch import Tensor, nn

from models.operators import switched
from models.records.trace import LazyGroup, LazyParts, Parts, with_lazy
from models.switches.context import LayerSwitches
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
        "conv_input",
        "conv_weight",
        "conv_bias",
        "output_norm",
        "full_layer",
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

    Its states, its maps over tokens and the distances at which |alpha| halves are derived when asked for. Of a run with
    dt, B, C or the gate switched to their means the parts are those means, and the weights of dt those that give them.
    Where the decay is switched or something forgotten, nothing is derived, since dt and A no longer say what is kept.
    """
    plan = capture.plans.get(mixer.in_proj)
    low_rank, b, c = _selection(mixer, capture, plan)
    weight, bias = _step_weights(mixer, plan)
    dt = F.softplus(F.linear(low_rank, weight, bias))
    u = capture.inputs[mixer.x_proj][0].float()  # (l, d_inner)
    x, z = capture.outputs[mixer.in_proj][0].float().chunk(2, dim=-1)
    gate = F.silu(z)
    gate = gate if plan is None else switched.gate(plan, gate)
    taps, shift = _convolution(mixer)
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
        "dt_weight": weight,
        "dt_bias": bias,
        "decay_log": mixer.A_log,
        "mixer_output": capture.inputs[mixer.out_proj][0],
        "conv_input": x,
        "conv_weight": taps,
        "conv_bias": shift,
        "output_norm": mixer.out_proj.weight.float().norm(dim=0),
    }

    @torch.inference_mode()
    def states() -> Parts:
        over_time = selective_scan_traced(u[None], dt[None], a, b[None], c[None])[2][0]  # (l, d_inner, d_state)
        return {"state": named("state", over_time)}

    @torch.inference_mode()
    def operator() -> Parts:
        return {"hidden_attention": named("hidden_attention", hidden_attention_summary(dt, a, b, c, u)[0])}

    @torch.inference_mode()
    def whole() -> Parts:
        slope = conv_slope(x, taps, shift)
        return {"full_layer": named("full_layer", mixer_summary(dt, a, b, c, mixer.D.float(), slope, taps, gate))}

    @torch.inference_mode()
    def reach() -> Parts:
        return {"half_distance": named("half_distance", half_distance(dt, a, b, c))}

    ready = {name: named(name, value) for name, value in values.items()}
    if plan is not None and (plan.find("decay") is not None or plan.forgets):
        return with_lazy(ready)
    return with_lazy(
        ready,
        LazyGroup(["state"], states),
        LazyGroup(["hidden_attention"], operator),
        LazyGroup(["full_layer"], whole),
        LazyGroup(["half_distance"], reach),
    )


def _step_weights(mixer: Any, plan: LayerSwitches | None) -> tuple[Tensor, Tensor]:
    """Return weight and bias of dt; of one that stands at its mean, those that give the mean."""
    weight, bias = mixer.dt_proj.weight.float(), mixer.dt_proj.bias.float()
    if plan is None or "step" not in plan.frozen:
        return weight, bias
    mean = plan.mean("step").to(bias)
    return torch.zeros_like(weight), mean + torch.log(-torch.expm1(-mean))  # the inverse of softplus


def _convolution(mixer: Any) -> tuple[Tensor, Tensor]:
    """Return copies of the taps (d_inner, k), the oldest token's first, and of the bias, zeros where there is none."""
    taps = mixer.conv1d.weight.detach().float()[:, 0].clone()
    bias = mixer.conv1d.bias
    return taps, torch.zeros_like(taps[:, 0]) if bias is None else bias.detach().float().clone()


def _selection(mixer: Any, capture: Capture, plan: LayerSwitches | None) -> tuple[Tensor, Tensor, Tensor]:
    """Return what dt is made of (l, dt_rank), B and C (l, d_state), after Jamba's extra norms where there are any."""
    raw = capture.outputs[mixer.x_proj][0].float()
    rank, d_state = mixer.dt_proj.weight.shape[1], mixer.A_log.shape[1]
    low_rank, b, c = raw.split([rank, d_state, d_state], dim=-1)
    if hasattr(mixer, "dt_layernorm"):
        low_rank, b, c = (
            capture.outputs[norm][0].float() for norm in (mixer.dt_layernorm, mixer.b_layernorm, mixer.c_layernorm)
        )
    if plan is not None:
        b, c = switched.frozen(plan, "write", b), switched.frozen(plan, "read", c)
    return low_rank, b, c
