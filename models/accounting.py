"""Count a model from its configuration alone: parameters, cache bytes and operations, one function per term.

Every count equals torch's on the meta device, and every cache size the live cache object of transformers 5.23, both
tested. Symbols in comments: d d_model, f d_ff, di d_inner, n d_state, K d_conv, r dt_rank, V vocab, E experts, k top_k.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from models.errors import SettingError, SourceError

DTYPE_BYTES: Mapping[str, int] = MappingProxyType({"float32": 4, "bfloat16": 2, "float16": 2})
RECURRENT_BYTES = 4  # transformers keeps the SSM state and RWKV's num, den and max in float32 whatever the weights are

# What a config.json may leave out, as transformers 5.23 fills it in (tested against its configuration classes).
_DECODER: Mapping[str, Any] = {
    "num_key_value_heads": None,
    "head_dim": None,
    "tie_word_embeddings": False,
    "sliding_window": None,
}
DEFAULTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "gpt2": {"vocab_size": 50257, "n_positions": 1024, "n_embd": 768, "n_layer": 12, "n_head": 12, "n_inner": None,
                 "tie_word_embeddings": True},
        "gpt_neox": {"vocab_size": 50432, "hidden_size": 6144, "num_hidden_layers": 44, "num_attention_heads": 64,
                     "intermediate_size": 24576, "attention_bias": True, "tie_word_embeddings": False},
        "llama": {**_DECODER, "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
                  "num_attention_heads": 32, "attention_bias": False, "mlp_bias": False},
        "mistral": {**_DECODER, "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
                    "num_attention_heads": 32, "num_key_value_heads": 8, "sliding_window": 4096},
        "qwen2": {**_DECODER, "vocab_size": 151936, "hidden_size": 4096, "intermediate_size": 22016, "num_hidden_layers": 32,
                  "num_attention_heads": 32, "num_key_value_heads": 32, "use_sliding_window": False, "sliding_window": 4096,
                  "max_window_layers": 28, "layer_types": None},
        "mixtral": {**_DECODER, "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
                    "num_attention_heads": 32, "num_key_value_heads": 8, "num_experts_per_tok": 2, "num_local_experts": 8},
        "mamba": {"vocab_size": 50280, "hidden_size": 768, "state_size": 16, "num_hidden_layers": 32, "expand": 2,
                  "conv_kernel": 4, "use_bias": False, "use_conv_bias": True, "time_step_rank": "auto",
                  "tie_word_embeddings": True},
        "rwkv": {"vocab_size": 50277, "hidden_size": 4096, "num_hidden_layers": 32, "attention_hidden_size": None,
                 "intermediate_size": None, "tie_word_embeddings": False},
        "jamba": {**_DECODER, "vocab_size": 65536, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
                  "num_attention_heads": 32, "num_key_value_heads": 8, "num_experts_per_tok": 2, "num_experts": 16,
                  "expert_layer_period": 2, "expert_layer_offset": 1, "attn_layer_period": 8, "attn_layer_offset": 4,
                  "mamba_d_state": 16, "mamba_d_conv": 4, "mamba_expand": 2, "mamba_dt_rank": "auto",
                  "mamba_conv_bias": True, "mamba_proj_bias": False},
    }
)  # fmt: skip
_ALIASES: Mapping[str, Mapping[str, str]] = {
    "gpt2": {"hidden_size": "n_embd", "num_hidden_layers": "n_layer", "num_attention_heads": "n_head", "max_position_embeddings": "n_positions"},
    "mixtral": {"num_experts": "num_local_experts"},
    "jamba": {"num_local_experts": "num_experts"},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of the plan: mixer "attention", "mamba" or "rwkv"; ffn "dense", "moe", "channel_mix" or "none".

    window: the most tokens an attention layer looks back on (sliding window), None for all.
    """

    index: int
    mixer: str
    ffn: str
    window: int | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a model that any count needs; zero where the architecture has no such thing."""

    model_type: str
    vocab: int
    d_model: int
    layers: tuple[Layer, ...]
    tied: bool
    norm_weights: int  # per channel of a norm: 1 for RMSNorm, 2 for LayerNorm with its bias
    norms_per_layer: int
    extra_norms: int = 1  # outside the layers
    positions: int = 0  # learned position vectors
    n_heads: int = 0
    n_kv_heads: int = 0
    d_head: int = 0
    qkv_bias: bool = False
    out_bias: bool = False
    d_ff: int = 0
    gated_ffn: bool = False
    ffn_bias: bool = False
    n_experts: int = 0
    top_k: int = 0
    d_inner: int = 0
    d_state: int = 0
    d_conv: int = 0
    dt_rank: int = 0
    conv_bias: bool = False
    proj_bias: bool = False
    inner_norms: bool = False  # Jamba's RMSNorms of dt, B and C
    d_attention: int = 0  # RWKV's attention width

    def count(self, kind: str) -> int:
        """Count the layers with this mixer or feed-forward."""
        return sum(kind in (layer.mixer, layer.ffn) for layer in self.layers)


def shape_of(config: Any) -> Shape:
    """Read the sizes from a transformers configuration or from the mapping of a config.json.

    Raises SourceError for a family that is not counted here and for a size that is not a positive number.
    """
    fields = dict(config) if isinstance(config, Mapping) else _attributes(config)
    model_type = fields.get("model_type")
    if model_type not in _READERS:
        known = ", ".join(_READERS)
        raise SourceError(
            "errors.unknown_architecture",
            f"model_type {model_type!r} is not counted here (known: {known})",
            source="config",
            model_type=str(model_type),
        )
    for alias, name in _ALIASES.get(model_type, {}).items():
        if alias in fields:
            fields.setdefault(name, fields[alias])
    try:
        return _checked(_READERS[model_type]({**DEFAULTS[model_type], **fields}))
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise SourceError(
            "errors.bad_config",
            f"the {model_type} configuration has a size that cannot be used: {error}",
            source="config",
        ) from error


def _attributes(config: Any) -> dict[str, Any]:
    model_type = config.model_type
    names = DEFAULTS.get(model_type, {})
    return {"model_type": model_type} | {name: getattr(config, name) for name in names if hasattr(config, name)}


def _checked(shape: Shape) -> Shape:
    if min(shape.vocab, shape.d_model, len(shape.layers)) < 1:
        raise ValueError("vocabulary, width and number of layers must be positive")
    if shape.count("attention") and min(shape.n_heads, shape.n_kv_heads, shape.d_head) < 1:
        raise ValueError("an attention layer needs heads")
    if shape.count("moe") and not 1 <= shape.top_k <= shape.n_experts:
        raise ValueError(f"{shape.top_k} of {shape.n_experts} experts")
    return shape


def _attention_sizes(c: Mapping[str, Any]) -> dict[str, int]:
    heads, kv_heads = c["num_attention_heads"], c["num_key_value_heads"]
    return {
        "n_heads": heads,
        "n_kv_heads": heads if kv_heads is None else kv_heads,
        "d_head": c.get("head_dim") or c["hidden_size"] // heads,
    }


def _plan(count: int, *, mixer: str, ffn: str, window: int | None = None) -> tuple[Layer, ...]:
    return tuple(Layer(i, mixer, ffn, window) for i in range(count))


def _gpt2(c: Mapping[str, Any]) -> Shape:
    d, heads = c["n_embd"], c["n_head"]
    return Shape(
        "gpt2", c["vocab_size"], d, _plan(c["n_layer"], mixer="attention", ffn="dense"), bool(c["tie_word_embeddings"]), norm_weights=2,
        norms_per_layer=2, positions=c["n_positions"], n_heads=heads, n_kv_heads=heads, d_head=d // heads, qkv_bias=True, out_bias=True,
        d_ff=c["n_inner"] or 4 * d, ffn_bias=True,
    )  # fmt: skip


def _gpt_neox(c: Mapping[str, Any]) -> Shape:
    d, heads = c["hidden_size"], c["num_attention_heads"]
    return Shape(
        "gpt_neox", c["vocab_size"], d, _plan(c["num_hidden_layers"], mixer="attention", ffn="dense"), bool(c["tie_word_embeddings"]),
        norm_weights=2, norms_per_layer=2, n_heads=heads, n_kv_heads=heads, d_head=d // heads, qkv_bias=c["attention_bias"],
        out_bias=c["attention_bias"], d_ff=c["intermediate_size"], ffn_bias=True,
    )  # fmt: skip


def _decoder(c: Mapping[str, Any], layers: tuple[Layer, ...], **flags: Any) -> Shape:
    return Shape(
        c["model_type"], c["vocab_size"], c["hidden_size"], layers, bool(c["tie_word_embeddings"]), norm_weights=1, norms_per_layer=2,
        d_ff=c["intermediate_size"], gated_ffn=True, **_attention_sizes(c), **flags,
    )  # fmt: skip


def _llama(c: Mapping[str, Any]) -> Shape:
    layers = _plan(c["num_hidden_layers"], mixer="attention", ffn="dense")
    return _decoder(c, layers, qkv_bias=c["attention_bias"], out_bias=c["attention_bias"], ffn_bias=c["mlp_bias"])


def _mistral(c: Mapping[str, Any]) -> Shape:
    return _decoder(c, _plan(c["num_hidden_layers"], mixer="attention", ffn="dense", window=c["sliding_window"]))


def _qwen2(c: Mapping[str, Any]) -> Shape:
    count = c["num_hidden_layers"]
    window = c["sliding_window"] if c["use_sliding_window"] else None
    types = c["layer_types"] or [
        "sliding_attention" if window and i >= c["max_window_layers"] else "full_attention" for i in range(count)
    ]
    layers = tuple(
        Layer(i, "attention", "dense", window if types[i] == "sliding_attention" else None) for i in range(count)
    )
    return _decoder(c, layers, qkv_bias=True)


def _mixtral(c: Mapping[str, Any]) -> Shape:
    layers = _plan(c["num_hidden_layers"], mixer="attention", ffn="moe", window=c["sliding_window"])
    return _decoder(c, layers, n_experts=c["num_local_experts"], top_k=c["num_experts_per_tok"])


def _mamba(c: Mapping[str, Any]) -> Shape:
    d = c["hidden_size"]
    return Shape(
        "mamba", c["vocab_size"], d, _plan(c["num_hidden_layers"], mixer="mamba", ffn="none"), bool(c["tie_word_embeddings"]),
        norm_weights=1, norms_per_layer=1, d_inner=int(c["expand"] * d), d_state=c["state_size"], d_conv=c["conv_kernel"],
        dt_rank=_rank(c["time_step_rank"], d), conv_bias=c["use_conv_bias"], proj_bias=c["use_bias"],
    )  # fmt: skip


def _rwkv(c: Mapping[str, Any]) -> Shape:
    d = c["hidden_size"]
    return Shape(
        "rwkv", c["vocab_size"], d, _plan(c["num_hidden_layers"], mixer="rwkv", ffn="channel_mix"), bool(c["tie_word_embeddings"]),
        norm_weights=2, norms_per_layer=2, extra_norms=2, d_attention=c["attention_hidden_size"] or d, d_ff=c["intermediate_size"] or 4 * d,
    )  # fmt: skip


def _jamba(c: Mapping[str, Any]) -> Shape:
    d, experts = c["hidden_size"], c["num_experts"]
    layers = tuple(
        Layer(
            i,
            "attention" if i % c["attn_layer_period"] == c["attn_layer_offset"] else "mamba",
            "moe" if experts > 1 and i % c["expert_layer_period"] == c["expert_layer_offset"] else "dense",
        )
        for i in range(c["num_hidden_layers"])
    )
    return _decoder(
        c, layers, n_experts=experts, top_k=c["num_experts_per_tok"], d_inner=int(c["mamba_expand"] * d), d_state=c["mamba_d_state"],
        d_conv=c["mamba_d_conv"], dt_rank=_rank(c["mamba_dt_rank"], d), conv_bias=c["mamba_conv_bias"], proj_bias=c["mamba_proj_bias"],
        inner_norms=True,
    )  # fmt: skip


def _rank(value: int | str, d_model: int) -> int:
    """Resolve the rank of the step projection: "auto" is a sixteenth of the width (Gu & Dao 2023, section 3.6)."""
    return math.ceil(d_model / 16) if value == "auto" else int(value)


_READERS: Mapping[str, Callable[[Mapping[str, Any]], Shape]] = MappingProxyType(
    {"gpt2": _gpt2, "gpt_neox": _gpt_neox, "llama": _llama, "mistral": _mistral, "qwen2": _qwen2, "mixtral": _mixtral,
     "mamba": _mamba, "rwkv": _rwkv, "jamba": _jamba}
)  # fmt: skip
FAMILIES: tuple[str, ...] = tuple(_READERS)


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
    """Count one attention layer's projections: d (h + 2 h_kv) d_head in, h d_head d out (Ainslie et al. 2023 for h_kv)."""
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
        raise SettingError(
            "errors.setting_range", f"dtype {dtype!r} is not offered; choose one of {', '.join(DTYPE_BYTES)}",
            name="dtype", value=dtype, low=min(DTYPE_BYTES), high=max(DTYPE_BYTES),
        )  # fmt: skip
    return DTYPE_BYTES[dtype]


def kv_bytes(shape: Shape, *, context: int, batch: int = 1, dtype: str = "bfloat16") -> int:
    """Count the keys and values after context tokens: 2 h_kv d_head per token and attention layer.

    A sliding window of w keeps the last w - 1 tokens, as transformers' DynamicSlidingWindowLayer does.
    """
    kept = sum(
        context if layer.window is None else min(context, max(layer.window - 1, 1))
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
    """Count everything a decoder keeps between tokens: keys and values plus recurrent state."""
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


def weight_bytes(shape: Shape, *, dtype: str = "bfloat16") -> int:
    """Count the bytes of all weights in one number type."""
    return params_total(shape) * element_bytes(dtype)
