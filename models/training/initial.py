"""Initialisation that transformers' constructors omit, and the parameters without weight decay."""

import math
from typing import Any

import torch
from torch import nn

KEPT = ("A_log", "time_", "embed")  # decay rates, bonuses and shifts, embeddings


@torch.no_grad()
def step_sizes(model: nn.Module) -> None:
    """Draw Jamba's step sizes as Mamba's are (Gu & Dao 2023, section 3.6): log-uniform between 1e-3 and 1e-1."""
    mixers: list[Any] = [module for module in model.modules() if hasattr(module, "dt_proj")]
    low, high = math.log(1e-3), math.log(1e-1)
    for mixer in mixers:
        dt = torch.exp(torch.rand_like(mixer.dt_proj.bias) * (high - low) + low).clamp(min=1e-4)
        mixer.dt_proj.bias.copy_(dt + torch.log(-torch.expm1(-dt)))


@torch.no_grad()
def bonuses(model: nn.Module) -> None:
    """Initialise RWKV's time_first with the zigzag of Peng et al. 2023, appendix E."""
    attentions: list[Any] = [module for module in model.modules() if hasattr(module, "time_first")]
    for attention in attentions:
        zigzag = torch.tensor([(i + 1) % 3 - 1 for i in range(len(attention.time_first))]) * 0.5
        attention.time_first.copy_(math.log(0.3) + zigzag)


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return optimiser groups with weight decay for matrices only, not for norms, biases and KEPT."""
    plain = [p for n, p in model.named_parameters() if p.ndim < 2 or any(k in n for k in KEPT)]
    ids = {id(p) for p in plain}
    decayed = [p for p in model.parameters() if id(p) not in ids]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
