"""Router probabilities and chosen experts of one mixture-of-experts layer."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.capture import Capture
from models.parts import named, residual
from models.records import Named

PARTS = frozenset({"router_logits", "router_probs", "chosen_experts", "chosen_weights"})
ROUTER_NAMES = ("router", "gate")  # Jamba; Mixtral


def router_of(block: Any) -> nn.Module:
    """Return the router of a mixture-of-experts block."""
    for name in ROUTER_NAMES:
        if hasattr(block, name):
            router: nn.Module = getattr(block, name)
            return router
    raise TypeError(f"{type(block).__name__} has none of {ROUTER_NAMES}")


def watched(block: Any) -> Iterable[nn.Module]:
    """List what the block must be asked for."""
    return (block, router_of(block), block.experts)


def expert_parts(block: Any, capture: Capture) -> tuple[Mapping[str, Named], Mapping[str, float]]:
    """Build the router parts of one layer of batch 1; residual of sum_k w_k expert_k(x) against the block's output."""
    logits, weights, chosen = capture.outputs[router_of(block)]
    values = {
        "router_logits": logits,
        "router_probs": torch.softmax(logits.float(), dim=-1),
        "chosen_experts": chosen,
        "chosen_weights": weights,
    }
    x = capture.inputs[block].reshape(-1, capture.inputs[block].shape[-1])  # (l, d_model)
    output = capture.outputs[block]
    output = output[0] if isinstance(output, tuple) else output
    error = residual(_mixture(block.experts, x, chosen, weights), output.reshape(x.shape))
    return {name: named(name, v) for name, v in values.items()}, {"router_probs": error, "chosen_experts": error}


def _mixture(experts: Any, x: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
    """Evaluate sum over choices of w_k down(act(gate x) * up x), one expert at a time."""
    out = torch.zeros_like(x)
    for e in chosen.unique().tolist():
        rows, choice = torch.where(chosen == e)
        gate, up = F.linear(x[rows], experts.gate_up_proj[e]).chunk(2, dim=-1)
        y = F.linear(experts.act_fn(gate) * up, experts.down_proj[e])
        out.index_add_(0, rows, y * weights[rows, choice, None])
    return out
