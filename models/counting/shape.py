"""Read the sizes of a model from its configuration: a transformers object or the mapping of a config.json."""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from models.counting import validation
from models.errors import SourceError

# What a config.json may leave out, as transformers 5.23 fills it in (tested against its configuration classes).
_DECODER: Mapping[str, Any] = {
    "num_key_value_heads": None,
    "head_dim": None,
    "tie_word_embeddings": False,
    "sliding_window": None,
}
DEFAULTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "gpt2": {
            "vocab_size": 50257,
            "n_positions": 1024,
            "n_embd": 768,
            "n_layer": 12,
            "n_head": 12,
            "n_inner": None,
            "tie_word_embeddings": True,
        },
        "gpt_neox": {
            "vocab_size": 50432,
            "hidden_size": 6144,
            "num_hidden_layers": 44,
            "num_attention_heads": 64,
            "intermediate_size": 24576,
            "attention_bias": True,
            "tie_word_embeddings": False,
        },
        "llama": {
            **_DECODER,
            "vocab_size": 32000,
            "hidden_size": 4096,
            "intermediate_size": 11008,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "attention_bias": False,
            "mlp_bias": False,
        },
        "mistral": {
            **_DECODER,
            "vocab_size": 32000,
            "hidden_size": 4096,
            "intermediate_size": 14336,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "sliding_window": 4096,
        },
        "qwen2": {
            **_DECODER,
            "vocab_size": 151936,
            "hidden_size": 4096,
            "intermediate_size": 22016,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 32,
            "use_sliding_window": False,
            "sliding_window": 4096,
            "max_window_layers": 28,
            "layer_types": None,
        },
        "mixtral": {
            **_DECODER,
            "vocab_size": 32000,
            "hidden_size": 4096,
            "intermediate_size": 14336,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "num_experts_per_tok": 2,
            "num_local_experts": 8,
        },
        "mamba": {
            "vocab_size": 50280,
            "hidden_size": 768,
            "state_size": 16,
            "num_hidden_layers": 32,
            "expand": 2,
            "conv_kernel": 4,
            "use_bias": False,
            "use_conv_bias": True,
            "time_step_rank": "auto",
            "tie_word_embeddings": True,
        },
        "rwkv": {
            "vocab_size": 50277,
            "hidden_size": 4096,
            "num_hidden_layers": 32,
            "attention_hidden_size": None,
            "intermediate_size": None,
            "tie_word_embeddings": False,
        },
        "jamba": {
            **_DECODER,
            "vocab_size": 65536,
            "hidden_size": 4096,
            "intermediate_size": 14336,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "num_experts_per_tok": 2,
            "num_experts": 16,
            "expert_layer_period": 2,
            "expert_layer_offset": 1,
            "attn_layer_period": 8,
            "attn_layer_offset": 4,
            "mamba_d_state": 16,
            "mamba_d_conv": 4,
            "mamba_expand": 2,
            "mamba_dt_rank": "auto",
            "mamba_conv_bias": True,
            "mamba_proj_bias": False,
        },
    }
)
_ALIASES: Mapping[str, Mapping[str, str]] = {
    "gpt2": {
        "hidden_size": "n_embd",
        "num_hidden_layers": "n_layer",
        "num_attention_heads": "n_head",
        "max_position_embeddings": "n_positions",
    },
    "mixtral": {"num_experts": "num_local_experts"},
    "jamba": {"num_local_experts": "num_experts"},
}


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
    _counts: dict[str, int] = field(init=False, repr=False, compare=False)  # layers by mixer and by feed-forward

    def __post_init__(self) -> None:
        counts = Counter(kind for layer in self.layers for kind in {layer.mixer, layer.ffn})
        object.__setattr__(self, "_counts", dict(counts))

    def count(self, kind: str) -> int:
        """Return the number of layers with this mixer or feed-forward."""
        return self._counts.get(kind, 0)


def shape_of(config: Any, *, source: str = "config") -> Shape:
    """Read the sizes from a transformers configuration or from the mapping of a config.json.

    Raises SourceError, which names the source, for a family that is not counted here and for sizes that
    validation.check refuses.
    """
    fields = dict(config) if isinstance(config, Mapping) else _attributes(config)
    model_type = fields.get("model_type")
    if not isinstance(model_type, str) or model_type not in _READERS:
        shown = validation.clipped(model_type)
        message = f"{source}: model_type {shown} is not counted here (known: {', '.join(_READERS)})"
        raise SourceError("errors.unknown_architecture", message, source=source, model_type=shown)
    for alias, name in _ALIASES.get(model_type, {}).items():
        if alias in fields:
            fields.setdefault(name, fields[alias])
    whole = {**DEFAULTS[model_type], **fields}
    validation.check(whole, DEFAULTS[model_type], source=source)
    return _READERS[model_type](whole)


def filled_in(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sizes that a config.json leaves out and transformers fills in; {} for a family not counted here."""
    model_type = config.get("model_type")
    defaults = DEFAULTS.get(model_type, {}) if isinstance(model_type, str) else {}
    aliases = {name: alias for alias, name in _ALIASES.get(str(model_type), {}).items()}
    return {
        name: value
        for name, value in defaults.items()
        if type(value) is int and name not in config and aliases.get(name) not in config
    }


def _attributes(config: Any) -> dict[str, Any]:
    model_type = config.model_type
    names = DEFAULTS.get(model_type, {})
    return {"model_type": model_type} | {name: getattr(config, name) for name in names if hasattr(config, name)}


def _attention_sizes(c: Mapping[str, Any]) -> dict[str, Any]:
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
        "gpt2",
        c["vocab_size"],
        d,
        _plan(c["n_layer"], mixer="attention", ffn="dense"),
        bool(c["tie_word_embeddings"]),
        norm_weights=2,
        norms_per_layer=2,
        positions=c["n_positions"],
        n_heads=heads,
        n_kv_heads=heads,
        d_head=d // heads,
        qkv_bias=True,
        out_bias=True,
        d_ff=c["n_inner"] or 4 * d,
        ffn_bias=True,
    )


def _gpt_neox(c: Mapping[str, Any]) -> Shape:
    d, heads = c["hidden_size"], c["num_attention_heads"]
    return Shape(
        "gpt_neox",
        c["vocab_size"],
        d,
        _plan(c["num_hidden_layers"], mixer="attention", ffn="dense"),
        bool(c["tie_word_embeddings"]),
        norm_weights=2,
        norms_per_layer=2,
        n_heads=heads,
        n_kv_heads=heads,
        d_head=d // heads,
        qkv_bias=c["attention_bias"],
        out_bias=c["attention_bias"],
        d_ff=c["intermediate_size"],
        ffn_bias=True,
    )


def _decoder(c: Mapping[str, Any], layers: tuple[Layer, ...], **flags: Any) -> Shape:
    return Shape(
        c["model_type"],
        c["vocab_size"],
        c["hidden_size"],
        layers,
        bool(c["tie_word_embeddings"]),
        norm_weights=1,
        norms_per_layer=2,
        d_ff=c["intermediate_size"],
        gated_ffn=True,
        **_attention_sizes(c),
        **flags,
    )


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
        "mamba",
        c["vocab_size"],
        d,
        _plan(c["num_hidden_layers"], mixer="mamba", ffn="none"),
        bool(c["tie_word_embeddings"]),
        norm_weights=1,
        norms_per_layer=1,
        d_inner=int(c["expand"] * d),
        d_state=c["state_size"],
        d_conv=c["conv_kernel"],
        dt_rank=_rank(c["time_step_rank"], d),
        conv_bias=c["use_conv_bias"],
        proj_bias=c["use_bias"],
    )


def _rwkv(c: Mapping[str, Any]) -> Shape:
    d = c["hidden_size"]
    return Shape(
        "rwkv",
        c["vocab_size"],
        d,
        _plan(c["num_hidden_layers"], mixer="rwkv", ffn="channel_mix"),
        bool(c["tie_word_embeddings"]),
        norm_weights=2,
        norms_per_layer=2,
        extra_norms=2,
        d_attention=c["attention_hidden_size"] or d,
        d_ff=c["intermediate_size"] or 4 * d,
    )


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
        c,
        layers,
        n_experts=experts,
        top_k=c["num_experts_per_tok"],
        d_inner=int(c["mamba_expand"] * d),
        d_state=c["mamba_d_state"],
        d_conv=c["mamba_d_conv"],
        dt_rank=_rank(c["mamba_dt_rank"], d),
        conv_bias=c["mamba_conv_bias"],
        proj_bias=c["mamba_proj_bias"],
        inner_norms=True,
    )


def _rank(value: int | str, d_model: int) -> int:
    """Resolve the rank of the step projection: "auto" is a sixteenth of the width (Gu & Dao 2023, section 3.6)."""
    return math.ceil(d_model / 16) if value == "auto" else int(value)


_READERS: Mapping[str, Callable[[Mapping[str, Any]], Shape]] = MappingProxyType(
    {
        "gpt2": _gpt2,
        "gpt_neox": _gpt_neox,
        "llama": _llama,
        "mistral": _mistral,
        "qwen2": _qwen2,
        "mixtral": _mixtral,
        "mamba": _mamba,
        "rwkv": _rwkv,
        "jamba": _jamba,
    }
)
FAMILIES: tuple[str, ...] = tuple(_READERS)
