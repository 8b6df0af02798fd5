"""Attention weights, their logits and what each weight moves, rebuilt from the query, key and value of the real run."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from models.capture import AttentionInputs, Capture
from models.parts import named, residual
from models.records import Named

PARTS = frozenset({"attention", "attention_logits", "value_norm"})
OUTPUT_NAMES = ("o_proj", "c_proj", "dense")  # Llama and Mixtral and Jamba; GPT-2; GPT-NeoX


def output_projection(attention: Any) -> Any:
    """Return the module that maps the heads back to d_model."""
    for name in OUTPUT_NAMES:
        if hasattr(attention, name):
            return getattr(attention, name)
    raise TypeError(f"{type(attention).__name__} has none of {OUTPUT_NAMES}")


def attention_parts(attention: Any, capture: Capture) -> tuple[Mapping[str, Named], Mapping[str, float]]:
    """Build the parts of one attention layer of batch 1; residual of sum_h A_h V_h W_O,h + b against its output."""
    seen = capture.attention[attention]
    projection = output_projection(attention)
    logits, weights = attention_weights(seen)
    heads = weights.shape[0]
    value = _per_head(seen.value[0], heads)  # (h, l, d_head)
    kernel, bias = _weight(projection)  # (h * d_head, d_model), (d_model,)
    moved = torch.einsum("hld,hdm->hlm", value, kernel.view(heads, value.shape[-1], -1))  # v_j W_O
    rebuilt = torch.einsum("hqk,hkm->qm", weights, moved) + bias
    values = {
        "attention": named("attention", weights),
        "attention_logits": named("attention_logits", logits),
        "value_norm": named("value_norm", weights * moved.norm(dim=-1)[:, None, :]),
    }
    error = residual(rebuilt, capture.outputs[projection][0].float())
    return values, {"attention": error, "value_norm": error}


def attention_weights(seen: AttentionInputs) -> tuple[Tensor, Tensor]:
    """Return the scaled logits q.k and softmax(logits + causal mask), both (h, l, l) in float32, for batch 1."""
    query = seen.query[0].float()  # (h, l, d_head)
    key = _per_head(seen.key[0], query.shape[0])
    logits = query @ key.transpose(1, 2) * seen.scale
    future = torch.ones(logits.shape[1:], dtype=torch.bool, device=logits.device).triu(1)
    return logits, torch.softmax(logits.masked_fill(future, -math.inf), dim=-1)


def _per_head(x: Tensor, heads: int) -> Tensor:
    """Repeat key or value heads (h_kv, l, d_head) so that every query head has its own."""
    return x.float().repeat_interleave(heads // x.shape[0], dim=0)


def _weight(projection: Any) -> tuple[Tensor, Tensor]:
    weight: Tensor = projection.weight.float()
    kernel = weight.T if isinstance(projection, nn.Linear) else weight  # GPT-2's Conv1D stores (in, out)
    bias = getattr(projection, "bias", None)
    return kernel, torch.zeros(kernel.shape[1], device=kernel.device) if bias is None else bias.float()
