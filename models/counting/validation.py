"""Check the sizes of a configuration before anything is counted, built or loaded from them. Imports no torch."""

from collections.abc import Mapping
from typing import Any, NoReturn

from models import units
from models.errors import SourceError

MOST_LAYERS = 4096
LARGEST = 2**32  # of any other size
SHOWN = 60  # characters of a value in a message

_LAYERS = frozenset({"num_hidden_layers", "n_layer"})
_FLAGS = frozenset(
    {"tie_word_embeddings", "attention_bias", "mlp_bias", "use_bias", "use_conv_bias", "use_sliding_window",
     "mamba_conv_bias", "mamba_proj_bias"}
)  # fmt: skip
_RANKS = frozenset({"time_step_rank", "mamba_dt_rank"})  # a size, or "auto"
_FROM_ZERO = frozenset({"max_window_layers", "attn_layer_offset", "expert_layer_offset"})
_MAY_BE_NULL = frozenset({"sliding_window"})  # besides what is null by default
_LAYER_TYPES = "layer_types"
_ATTENTION_TYPES = ("full_attention", "sliding_attention")
# Whose width must be a multiple of its number of heads, whatever head_dim says, as transformers 5.23 demands.
_ALWAYS_DIVIDED = frozenset({"gpt2", "gpt_neox", "llama"})


def check(fields: Mapping[str, Any], defaults: Mapping[str, Any], *, source: str) -> None:
    """Check the fields of one configuration, those left out filled in; defaults: what transformers fills in.

    Raises SourceError, which names the source, the field and its value, for a size that is no whole number or out of
    range, and for sizes that contradict each other.
    """
    for name in defaults:
        _check_field(name, fields[name], optional=defaults[name] is None or name in _MAY_BE_NULL, source=source)
    _check_heads(fields, source)
    _check_layer_types(fields, source)
    _check_experts(fields, source)
    for offset, period in (
        ("attn_layer_offset", "attn_layer_period"),
        ("expert_layer_offset", "expert_layer_period"),
    ):
        if offset in fields and offset in defaults and fields[offset] >= fields[period]:
            message = f"{offset} is {fields[offset]}, but it must be less than {period}, which is {fields[period]}"
            _refuse("errors.config_below", source, message, field=offset, value=fields[offset], other=period,
                    size=fields[period])  # fmt: skip


def clipped(value: object) -> str:
    """Write a value of a configuration for a message, at most SHOWN characters of it."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _check_field(name: str, value: object, *, optional: bool, source: str) -> None:
    if name == _LAYER_TYPES or (value is None and optional) or (name in _RANKS and value == "auto"):
        return
    if name in _FLAGS:
        if not isinstance(value, bool):
            message = f"{name} is {clipped(value)}, but it must be true or false"
            _refuse("errors.config_flag", source, message, field=name, value=clipped(value))
        return
    low, high = 0 if name in _FROM_ZERO else 1, MOST_LAYERS if name in _LAYERS else LARGEST
    if type(value) is not int or not low <= value <= high:
        message = f"{name} is {clipped(value)}, but it must be a whole number from {low} to {high:,}"
        _refuse(
            "errors.config_size", source, message, field=name, value=clipped(value), low=low, high=units.count(high)
        )


def _check_heads(fields: Mapping[str, Any], source: str) -> None:
    width, heads = ("n_embd", "n_head") if "n_embd" in fields else ("hidden_size", "num_attention_heads")
    if heads not in fields:
        return
    divided = fields["model_type"] in _ALWAYS_DIVIDED or fields.get("head_dim") is None
    if divided and fields[width] % fields[heads]:
        _refuse_division(width, heads, fields, source)
    groups = fields.get("num_key_value_heads")
    if groups is not None and fields[heads] % groups:
        _refuse_division(heads, "num_key_value_heads", fields, source)


def _refuse_division(field: str, other: str, fields: Mapping[str, Any], source: str) -> NoReturn:
    message = f"{field} is {fields[field]}, which is not a multiple of {other}, {fields[other]}"
    _refuse("errors.config_division", source, message, field=field, value=fields[field], other=other,
            size=fields[other])  # fmt: skip


def _check_layer_types(fields: Mapping[str, Any], source: str) -> None:
    types, layers = fields.get(_LAYER_TYPES), fields.get("num_hidden_layers")
    if types is None or layers is None:
        return
    if not isinstance(types, list | tuple):
        message = (
            f"{_LAYER_TYPES} is {clipped(types)}, but it must be a list with one entry for each of {layers} layers"
        )
        _refuse("errors.config_layer_types", source, message, value=clipped(types), layers=layers)
    if len(types) != layers:
        message = f"{_LAYER_TYPES} has {len(types)} entries, but num_hidden_layers is {layers}"
        _refuse("errors.config_layer_count", source, message, found=len(types), layers=layers)
    foreign = next((entry for entry in types if entry not in _ATTENTION_TYPES), None)
    if foreign is not None and fields["model_type"] == "qwen2":
        known = ", ".join(_ATTENTION_TYPES)
        message = f"{_LAYER_TYPES} holds {clipped(foreign)}; known are {known}"
        _refuse("errors.config_layer_kind", source, message, value=clipped(foreign), known=known)


def _check_experts(fields: Mapping[str, Any], source: str) -> None:
    name = "num_local_experts" if fields["model_type"] == "mixtral" else "num_experts"
    experts, chosen = fields.get(name), fields.get("num_experts_per_tok")
    if fields["model_type"] not in ("mixtral", "jamba") or experts is None or chosen is None:
        return
    if chosen > experts and (experts > 1 or name == "num_local_experts"):
        message = f"num_experts_per_tok is {chosen}, but {name} is {experts}"
        _refuse("errors.config_experts", source, message, value=chosen, other=name, size=experts)


def _refuse(key: str, source: str, message: str, **values: object) -> NoReturn:
    raise SourceError(key, f"{source}: {message}", source=source, **values)
