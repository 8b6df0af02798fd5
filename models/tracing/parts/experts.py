"""Router probabilities and chosen experts of one mixture-of-experts layer."""

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.records.trace import LazyGroup, LazyParts, Parts, with_lazy
from models.tracing.capture import Capture
from models.tracing.parts import named

PARTS = frozenset({"router_logits", "router_probs", "chosen_experts", "chosen_weights"})
CAPTURED = frozenset({"expert_output", "mixture_output"})
PROBES = 32  # output features in which experts are compared, evenly spread over the width of the model
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


def expert_parts(block: Any, capture: Capture) -> LazyParts:
    """Build the router parts of one layer of batch 1; what every expert gives for every token is derived on demand."""
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
    probes = torch.linspace(0, x.shape[1] - 1, min(PROBES, x.shape[1]), device=x.device).round().long()

    @torch.inference_mode()
    def each() -> Parts:
        found = [_expert(block.experts, expert, x, probes) for expert in range(len(block.experts.down_proj))]
        parts = {"expert_output": torch.stack(found, dim=1), "mixture_output": output[:, probes]}
        return {name: named(name, part) for name, part in parts.items()}

    return with_lazy({name: named(name, value) for name, value in values.items()}, LazyGroup(CAPTURED, each))


def _expert(experts: Any, number: int, x: Tensor, probes: Tensor) -> Tensor:
    """Return some output features of one expert for all tokens, (l, probe)."""
    gate, up = F.linear(x.float(), experts.gate_up_proj[number].float()).chunk(2, dim=-1)
    return F.linear(experts.act_fn(gate) * up, experts.down_proj[number][probes].float())
