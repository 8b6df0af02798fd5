"""Router probabilities and chosen experts of one mixture-of-experts layer."""

from collections.abc import Iterable
from typing import Any

import torch
from seqops.moe import moe_ref
from torch import nn

from models.capture import Capture
from models.parts import named, residual
from models.records import Derivation, Parts, Residuals, Shown, deferred

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


def expert_parts(block: Any, capture: Capture) -> Shown:
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
    output = (output[0] if isinstance(output, tuple) else output).reshape(x.shape)

    @torch.inference_mode()
    def mixture() -> tuple[Parts, Residuals]:
        experts = block.experts
        error = residual(moe_ref(x, experts.gate_up_proj, experts.down_proj, chosen, weights, experts.act_fn), output)
        return {}, {"router_probs": error, "chosen_experts": error}

    checked = Derivation([], ["router_probs", "chosen_experts"], mixture)
    return deferred({name: named(name, value) for name, value in values.items()}, {}, checked)
