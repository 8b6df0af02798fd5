"""Causal softmax attention (Vaswani et al. 2017) with grouped key-value heads: reference loop, fast path, the operator.

    out_t = sum_(j<=t) softmax_j(scale q_t . k_j) v_j

What it carries is every key and value so far. Shapes: q (b, h, l, d_head); k, v (b, h_kv, l, d_head) with h_kv dividing
h; past two tensors (b, h_kv, l_past, d_head).
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class KeyValues(NamedTuple):
    """What attention carries from token to token: two tensors (b, h_kv, l, d_head)."""

    key: Tensor
    value: Tensor


def attention_ref(
    q: Tensor, k: Tensor, v: Tensor, *, past: KeyValues | None = None, scale: float | None = None
) -> tuple[Tensor, KeyValues]:
    """Attend token by token, as the equation reads, in the caller's dtype.

    Returns out (b, h, l, d_head) and the cache.
    """
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    cache = KeyValues(k[:, :, :0], v[:, :, :0]) if past is None else past
    out = []
    for t in range(q.shape[2]):
        y, cache = attention_step(cache, q[:, :, t], k[:, :, t], v[:, :, t], scale=scale)
        out.append(y)
    return (torch.stack(out, dim=2) if out else torch.zeros_like(q)), cache


def attention_fast(
    q: Tensor, k: Tensor, v: Tensor, *, past: KeyValues | None = None, scale: float | None = None
) -> tuple[Tensor, KeyValues]:
    """Same as attention_ref through torch's scaled_dot_product_attention, which never keeps the weights.

    Torch chooses its own kernel: FlashAttention-2 or cuDNN in half precision on a CUDA device, a blocked loop on a CPU.
    """
    cache = _append(past, k, v)
    l, total = q.shape[2], cache.key.shape[2]
    mask = None
    if total > l > 1:  # torch's is_causal would align the triangle at the first key
        mask = torch.ones(l, total, dtype=torch.bool, device=q.device).tril(total - l)
    grouped = q.shape[1] != k.shape[1]
    out = F.scaled_dot_product_attention(
        q, cache.key, cache.value, attn_mask=mask, is_causal=total == l and l > 1, scale=scale, enable_gqa=grouped
    )
    return out, cache


def attention_step(
    past: KeyValues, q: Tensor, k: Tensor, v: Tensor, *, scale: float | None = None
) -> tuple[Tensor, KeyValues]:
    """Advance one token: q (b, h, d_head), k, v (b, h_kv, d_head). Returns out (b, h, d_head) and the longer cache."""
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    cache = _append(past, k[:, :, None], v[:, :, None])
    keys, values = (per_head(x, q.shape[1]) for x in cache)
    weights = torch.softmax(scale * torch.einsum("bhd,bhjd->bhj", q, keys), dim=-1)
    return torch.einsum("bhj,bhjd->bhd", weights, values), cache


def attention_matrix(
    q: Tensor, k: Tensor, *, scale: float | None = None, visible: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Build the scaled logits q.k (unmasked) and the weights softmax(logits + mask), both (..., h, l, l).

    q (..., h, l, d_head), k (..., h_kv, l, d_head). visible: bool (l, l), True where a query may read a key; without
    it, every key up to the query. Weights outside of it are exactly 0.
    """
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    logits = scale * (q @ per_head(k, q.shape[-3]).transpose(-1, -2))
    if visible is None:
        visible = torch.ones(logits.shape[-2:], dtype=torch.bool, device=q.device).tril()
    return logits, torch.softmax(logits.masked_fill(~visible, -math.inf), dim=-1)


def per_head(x: Tensor, heads: int) -> Tensor:
    """Repeat key or value heads (..., h_kv, l, d_head) so that each of the query heads has its own."""
    return x.repeat_interleave(heads // x.shape[-3], dim=-3)


def _append(past: KeyValues | None, k: Tensor, v: Tensor) -> KeyValues:
    if past is None:
        return KeyValues(k, v)
    return KeyValues(torch.cat([past.key, k], dim=2), torch.cat([past.value, v], dim=2))
