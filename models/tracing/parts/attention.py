"""Attention weights, logits and value norms, computed from the captured query, key and value."""

from typing import Any

import torch
from seqops.attention import attention_matrix, per_head
from torch import Tensor, nn

from models.records.trace import LazyGroup, LazyParts, Parts, with_lazy
from models.tracing.capture import Capture
from models.tracing.parts import named

PARTS = frozenset({"attention", "attention_logits", "value_norm", "visible"})
CAPTURED = frozenset({"head_query", "query_scale", "head_key", "head_value", "head_output", "output_gram"})
MOVING = frozenset({"value_norm"})  # what every token must be multiplied with the output projection for
OUTPUT_NAMES = ("o_proj", "c_proj", "dense")  # Llama and Mixtral and Jamba; GPT-2; GPT-NeoX


def output_projection(attention: Any) -> Any:
    """Return the module that maps the heads back to d_model."""
    for name in OUTPUT_NAMES:
        if hasattr(attention, name):
            return getattr(attention, name)
    raise TypeError(f"{type(attention).__name__} has none of {OUTPUT_NAMES}")


def attention_parts(attention: Any, capture: Capture) -> LazyParts:
    """Build the parts of one attention layer of batch 1: W_O W_O^T and the outputs with the run, the rest on demand.

    Value norms, which need the weights of the output projection for every token, are derived apart from the maps.
    """
    seen = capture.attention[attention]
    projection = output_projection(attention)
    heads, width = seen.query.shape[1], seen.value.shape[-1]
    joined = capture.inputs[projection][0].float()  # (l, h * d_head), what the heads found, side by side

    @torch.inference_mode()
    def weights() -> Parts:
        query, key, value = seen.query[0].float(), seen.key[0].float(), seen.value[0].float()
        visible = seen.visible()
        logits, attended = attention_matrix(query, key, scale=seen.scale, visible=visible)
        parts = {
            "attention": attended,
            "attention_logits": logits,
            "visible": visible.to(torch.uint8),
            "head_query": seen.scale * query,
            "query_scale": torch.full((heads,), float(seen.scale)),
            "head_key": key,
            "head_value": value,
        }
        return {name: named(name, part) for name, part in parts.items()}

    kernel = weight(projection).view(heads, width, -1)  # (h, d_head, d_model)
    ready = {
        "output_gram": named("output_gram", kernel @ kernel.transpose(1, 2)),
        "head_output": named("head_output", joined.view(len(joined), heads, width).transpose(0, 1)),
    }
    attending = LazyGroup((PARTS | CAPTURED) - MOVING - ready.keys(), weights)

    @torch.inference_mode()
    def moving() -> Parts:
        value = seen.value[0].float()
        own = weight(projection).view(heads, width, -1)
        moved = torch.einsum("hld,hdm->hlm", per_head(value, heads), own)  # v_j W_O
        attended = torch.tensor(attending.result()["attention"].values, device=value.device)
        return {"value_norm": named("value_norm", attended * moved.norm(dim=-1)[:, None, :])}

    return with_lazy(ready, attending, LazyGroup(MOVING, moving))


def weight(projection: Any) -> Tensor:
    """Return the projection's matrix (h * d_head, d_model)."""
    weight: Tensor = projection.weight.float()
    return weight.T if isinstance(projection, nn.Linear) else weight  # GPT-2's Conv1D stores (in, out)
