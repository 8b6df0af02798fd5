"""Count a model from its configuration alone: parameters, cache bytes and operations, one function per term.

Every count equals torch's on the meta device, and every cache size the live cache object of transformers 5.23, both
tested. Symbols in comments: d d_model, f d_ff, di d_inner, n d_state, K d_conv, r dt_rank, V vocab, E experts, k top_k.
"""

from collections.abc import Mapping
from types import MappingProxyType

from models.counting.families import FAMILIES, shape_of
from models.counting.shape import Layer, Shape
from models.errors import SettingError

__all__ = ["FAMILIES", "Layer", "Shape", "shape_of"]  # read here by everything that counts

DTYPE_BYTES: Mapping[str, int] = MappingProxyType({"float32": 4, "bfloat16": 2, "float16": 2})
RECURRENT_BYTES = 4  # transformers keeps the SSM state and RWKV's num, den and max in float32 whatever the weights are


def embedding_parameters(shape: Shape) -> int:
    """Count token vectors and learned positions: V d + P d (Radford et al. 2019 for the positions)."""
    return (shape.vocab + shape.positions) * shape.d_model


def head_parameters(shape: Shape) -> int:
    """Count the output head: V d, or nothing when it is the embedding again (Press & Wolf 2017)."""
    return 0 if shape.tied else shape.vocab * shape.d_model


def norm_parameters(shape: Shape) -> int:
    """Count every normalisation of the residual stream."""
    return (shape.norms_per_layer * len(shape.layers) + shape.extra_norms) * shape.norm_weights * shape.d_model


def attention_parameters(shape: Shape) -> int:
    """Count one attention layer: d (h + 2 h_kv) d_head in, h d_head d out (Ainslie et al. 2023 for h_kv)."""
    wide = (shape.n_heads + 2 * shape.n_kv_heads) * shape.d_head
    out = shape.n_heads * shape.d_head * shape.d_model
    return shape.d_model * wide + out + shape.qkv_bias * wide + shape.out_bias * shape.d_model


def ffn_parameters(shape: Shape) -> int:
    """Count one dense feed-forward: 2 d f, or 3 d f with a gate (Shazeer 2020)."""
    matrices = 3 if shape.gated_ffn else 2
    bias = ((matrices - 1) * shape.d_ff + shape.d_model) * shape.ffn_bias
    return matrices * shape.d_model * shape.d_ff + bias


def expert_parameters(shape: Shape) -> int:
    """Count one expert of a mixture: 3 d f (Jiang et al. 2024, Mixtral, section 2.1)."""
    return 3 * shape.d_model * shape.d_ff


def router_parameters(shape: Shape) -> int:
    """Count the router of one mixture layer: E d."""
    return shape.n_experts * shape.d_model


def mamba_parameters(shape: Shape) -> int:
    """Count one selective state space block (Gu & Dao 2023, section 3.4; Lieber et al. 2024 for the inner norms)."""
    d, di, n, r = shape.d_model, shape.d_inner, shape.d_state, shape.dt_rank
    conv = di * shape.d_conv + di * shape.conv_bias
    projections = 2 * d * di + di * (r + 2 * n) + (r + 1) * di + di * d
    bias = (2 * di + d) * shape.proj_bias
    return projections + bias + conv + di * n + di + (r + 2 * n) * shape.inner_norms


def time_mix_parameters(shape: Shape) -> int:
    """Count RWKV-4's time mixing: three shifts, decay and bonus, four matrices (Peng et al. 2023, section 3.1)."""
    return 3 * shape.d_model + 2 * shape.d_attention + 4 * shape.d_model * shape.d_attention


def channel_mix_parameters(shape: Shape) -> int:
    """Count RWKV-4's channel mixing: two shifts, 2 d f + d^2 (Peng et al. 2023, section 3.1)."""
    return 2 * shape.d_model + 2 * shape.d_model * shape.d_ff + shape.d_model**2


def parameter_terms(shape: Shape, *, active: bool = False) -> dict[str, int]:
    """Split the parameters by what they belong to; active counts only the experts one token uses.

    The sum of the values is the total. Terms that the architecture lacks are left out.
    """
    experts = shape.top_k if active else shape.n_experts
    terms = {
        "embeddings": embedding_parameters(shape),
        "attention": shape.count("attention") * attention_parameters(shape),
        "mamba": shape.count("mamba") * mamba_parameters(shape),
        "time_mix": shape.count("rwkv") * time_mix_parameters(shape),
        "channel_mix": shape.count("channel_mix") * channel_mix_parameters(shape),
        "ffn": shape.count("dense") * ffn_parameters(shape),
        "experts": shape.count("moe") * experts * expert_parameters(shape),
        "router": shape.count("moe") * router_parameters(shape),
        "norms": norm_parameters(shape),
        "head": head_parameters(shape),
    }
    return {name: value for name, value in terms.items() if value}


def params_total(shape: Shape) -> int:
    """Count every parameter."""
    return sum(parameter_terms(shape).values())


def params_active(shape: Shape) -> int:
    """Count the parameters one token passes through: all of them, less the experts not chosen."""
    return sum(parameter_terms(shape, active=True).values())


def element_bytes(dtype: str) -> int:
    """Return the bytes of one element; SettingError for a number type that is not offered."""
    if dtype not in DTYPE_BYTES:
        message = f"dtype {dtype!r} is not offered; choose one of {', '.join(DTYPE_BYTES)}"
        raise SettingError("errors.dtype_unknown", message, value=dtype)
    return DTYPE_BYTES[dtype]


def kv_bytes(shape: Shape, *, context: int, batch: int = 1, dtype: str = "bfloat16") -> int:
    """Count the keys and values after context tokens: 2 h_kv d_head per token and attention layer.

    A sliding window of w keeps the last w - 1 tokens, as transformers' DynamicSlidingWindowLayer does, whose slice of
    the last w - 1 = 0 is the whole.
    """
    kept = sum(
        min(context, layer.window - 1) if layer.window and layer.window > 1 else context
        for layer in shape.layers
        if layer.mixer == "attention"
    )
    return 2 * kept * shape.n_kv_heads * shape.d_head * batch * element_bytes(dtype)


def state_bytes(shape: Shape, *, batch: int = 1, dtype: str = "bfloat16") -> int:
    """Count what the recurrent layers keep, the same at every length.

    Mamba: K di of the convolution in the model's dtype and n di of state in float32. RWKV-4: two shifted vectors in
    the model's dtype and num, den and max in float32.
    """
    size = element_bytes(dtype)
    mamba = shape.d_inner * (shape.d_conv * size + shape.d_state * RECURRENT_BYTES)
    rwkv = 2 * shape.d_model * size + 3 * shape.d_attention * RECURRENT_BYTES
    return batch * (shape.count("mamba") * mamba + shape.count("rwkv") * rwkv)


def cache_bytes(shape: Shape, *, context: int, batch: int = 1, dtype: str = "bfloat16") -> int:
    """Count everything a decoder keeps between tokens: keys and values plus recurrent state, in bytes.

    >>> from models.counting.families import shape_of
    >>> llama = {"model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32}
    >>> cache_bytes(shape_of(llama), context=4096) / 2**30  # 2 x 32 layers x 4,096 x 2 bytes for each token
    2.0
    """
    return kv_bytes(shape, context=context, batch=batch, dtype=dtype) + state_bytes(shape, batch=batch, dtype=dtype)


def linear_parameters(shape: Shape) -> int:
    """Count the weights one token is multiplied with: matrices of the chosen path and the head once, no look-ups."""
    d, di = shape.d_model, shape.d_inner
    attention = 2 * d * (shape.n_heads + shape.n_kv_heads) * shape.d_head
    mamba = 3 * d * di + di * (shape.dt_rank + 2 * shape.d_state) + shape.dt_rank * di
    dense = (3 if shape.gated_ffn else 2) * d * shape.d_ff
    moe = shape.top_k * expert_parameters(shape) + router_parameters(shape)
    rwkv = 4 * d * shape.d_attention + 2 * d * shape.d_ff + d * d
    layers = {"attention": attention, "mamba": mamba, "dense": dense, "moe": moe, "rwkv": rwkv}
    return shape.vocab * d + sum(shape.count(kind) * weights for kind, weights in layers.items())


def flops_per_token(shape: Shape, *, context: int) -> int:
    """Estimate the operations of one forward step at this depth, a multiply and an add counted as two.

    2 N_lin + 4 h d_head t per attention layer + (7 n + 2 K) di per Mamba layer (exp, two multiplies and an add for the
    update, a multiply and an add to read, and the factor dt). RWKV's element-wise wkv is left out, as in Table 2 of
    Peng et al. 2023.
    """
    seen = sum(
        context if layer.window is None else min(context, layer.window)
        for layer in shape.layers
        if layer.mixer == "attention"
    )
    attention = 4 * shape.n_heads * shape.d_head * seen
    scan = shape.count("mamba") * shape.d_inner * (7 * shape.d_state + 2 * shape.d_conv)
    return 2 * linear_parameters(shape) + attention + scan


def prefill_flops(shape: Shape, *, tokens: int) -> int:
    """Estimate the operations of reading a prompt of so many tokens: the head once, for the last position alone.

    Every token attends to half of the prompt on average.
    """
    head = 2 * shape.vocab * shape.d_model
    return tokens * (flops_per_token(shape, context=tokens // 2) - head) + head


def weight_bytes(shape: Shape, *, dtype: str = "bfloat16") -> int:
    """Count the bytes of all weights in one number type."""
    return params_total(shape) * element_bytes(dtype)
