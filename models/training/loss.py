"""The training loss: cross-entropy of the next token, plus a balance loss for a mixture of experts."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedModel


@dataclass(frozen=True, slots=True)
class Loss:
    """total is what the gradient is taken of; next_token (nats) what is logged and compared."""

    total: Tensor
    next_token: Tensor


def losses(model: PreTrainedModel, batch: Tensor) -> Loss:
    """Evaluate a batch (b, l + 1) of token ids in training: a mixture of experts adds its load-balancing loss."""
    moe = hasattr(model.config, "router_aux_loss_coef")
    extra = {"output_router_logits": True} if moe else {}
    out = model(input_ids=batch[:, :-1], use_cache=False, **extra)
    next_token = F.cross_entropy(out.logits.float().flatten(0, 1), batch[:, 1:].flatten())
    if not moe:
        return Loss(next_token, next_token)
    balance = load_balance(out.router_logits, model.config)
    return Loss(next_token + model.config.router_aux_loss_coef * balance, next_token)


def load_balance(router_logits: tuple[Tensor, ...], config: Any) -> Tensor:
    """Mean over layers of E sum_e f_e P_e (Fedus et al. 2021): top_k at a uniform router."""
    terms = []
    for logits in router_logits:
        probs = torch.softmax(logits.float(), dim=-1)  # (tokens, experts)
        chosen = probs.topk(config.num_experts_per_tok, dim=-1).indices
        share = F.one_hot(chosen, config.num_experts).sum(1).float().mean(0)
        terms.append(config.num_experts * (share * probs.mean(0)).sum())
    return torch.stack(terms).mean()
