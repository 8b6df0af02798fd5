"""Attention weights, their logits and what each weight moves, rebuilt from the query, key and value of the real run."""

from typing import Any

import torch
from seqops.attention import attention_matrix, per_head
from torch import Tensor, nn

from models.capture import Capture
from models.parts import named, residual
from models.records import Derivation, Parts, Residuals, Shown, deferred

PARTS = frozenset({"attention", "attention_logits", "value_norm"})
OUTPUT_NAMES = ("o_proj", "c_proj", "dense")  # Llama and Mixtral and Jamba; GPT-2; GPT-NeoX


def output_projection(attention: Any) -> Any:
    """Return the module that maps the heads back to d_model."""
    for name in OUTPUT_NAMES:
        if hasattr(attention, name):
            return getattr(attention, name)
    raise TypeError(f"{type(attention).__name__} has none of {OUTPUT_NAMES}")


def attention_parts(attention: Any, capture: Capture) -> Shown:
    """Build the parts of one attention layer of batch 1, all derived when asked for.

    The residual is that of sum_h A_h V_h W_O,h + b against the layer's output.
    """
    seen = capture.attention[attention]
    projection = output_projection(attention)
    output = capture.outputs[projection][0].float()

    @torch.inference_mode()
    def weights() -> tuple[Parts, Residuals]:
        logits, attended = attention_matrix(
            seen.query[0].float(), seen.key[0].float(), scale=seen.scale, visible=seen.visible()
        )
        heads = attended.shape[0]
        value = per_head(seen.value[0].float(), heads)  # (h, l, d_head)
        kernel, bias = _weight(projection)  # (h * d_head, d_model), (d_model,)
        moved = torch.einsum("hld,hdm->hlm", value, kernel.view(heads, value.shape[-1], -1))  # v_j W_O
        error = residual(torch.einsum("hqk,hkm->qm", attended, moved) + bias, output)
        parts = {
            "attention": named("attention", attended),
            "attention_logits": named("attention_logits", logits),
            "value_norm": named("value_norm", attended * moved.norm(dim=-1)[:, None, :]),
        }
        return parts, {"attention": error, "value_norm": error}

    return deferred({}, {}, Derivation(PARTS, ["attention", "value_norm"], weights))


def _weight(projection: Any) -> tuple[Tensor, Tensor]:
    weight: Tensor = projection.weight.float()
    kernel = weight.T if isinstance(projection, nn.Linear) else weight  # GPT-2's Conv1D stores (in, out)
    bias = getattr(projection, "bias", None)
    return kernel, torch.zeros(kernel.shape[1], device=kernel.device) if bias is None else bias.float()
