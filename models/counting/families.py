"""Read the sizes of a model from its configuration: a transformers object or the mapping of a config.json."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from models.counting import validation
from models.counting.defaults import ALIASES, DEFAULTS
from models.counting.shape import Layer, Shape
from models.errors import SourceError


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
    for alias, name in ALIASES.get(model_type, {}).items():
        if alias in fields:
            fields.setdefault(name, fields[alias])
    whole = {**DEFAULTS[model_type], **fields}
    validation.check(whole, DEFAULTS[model_type], source=source)
    return _READERS[model_type](whole)


def filled_in(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sizes that a config.json leaves out and transformers fills in; {} for a family not counted here."""
    model_type = config.get("model_type")
    defaults = DEFAULTS.get(model_type, {}) if isinstance(model_type, str) else {}
    aliases = {name: alias for alias, name in ALIASES.get(str(model_type), {}).items()}
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
