"""A mixture of gated feed-forward experts (Shazeer et al. 2017; the gated form of Mixtral and Jamba).

    y_t = sum_(k chosen by t) weight_tk * down_k (act(gate_k x_t) * up_k x_t)

The router and its normalisation are the model's own; it carries nothing from token to token.
Shapes: x (tokens, d); gate_up (experts, 2 f, d), the gate's rows first; down (experts, d, f); chosen and weights
(tokens, k).
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Activation = Callable[[Tensor], Tensor]


def moe_ref(
    x: Tensor, gate_up: Tensor, down: Tensor, chosen: Tensor, weights: Tensor, activation: Activation = F.silu
) -> Tensor:
    """Evaluate token by token and choice by choice, as the equation reads. Returns (tokens, d)."""
    out = []
    for t in range(x.shape[0]):
        y = torch.zeros_like(x[t])
        for expert, weight in zip(chosen[t].tolist(), weights[t], strict=True):
            gate, up = (gate_up[expert] @ x[t]).chunk(2)
            y = y + weight * (down[expert] @ (activation(gate) * up))
        out.append(y)
    return torch.stack(out) if out else torch.zeros_like(x)


def moe_fast(
    x: Tensor, gate_up: Tensor, down: Tensor, chosen: Tensor, weights: Tensor, activation: Activation = F.silu
) -> Tensor:
    """Same as moe_ref with the tokens sorted by expert: two matrix products for each expert in use.

    One sort and one count replace a one-hot mask and a search for every expert. Differentiable but in chosen.
    """
    choices = chosen.shape[1]
    order = torch.argsort(chosen.reshape(-1), stable=True)  # slots, grouped by expert
    rows = order // choices
    counts = torch.bincount(chosen.reshape(-1), minlength=gate_up.shape[0]).tolist()
    parts = []
    for expert, inputs in enumerate(x[rows].split(counts)):
        if len(inputs):
            gate, up = F.linear(inputs, gate_up[expert]).chunk(2, dim=-1)
            parts.append(F.linear(activation(gate) * up, down[expert]))
    if not parts:
        return torch.zeros_like(x)
    scaled = torch.cat(parts) * weights.reshape(-1)[order, None]
    return torch.zeros_like(x).index_add(0, rows, scaled.to(x.dtype))
