"""The published models of assets/models.yaml: find an entry by id and turn its fields into a configuration."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from models.counting import accounting
from models.counting.accounting import Shape
from models.errors import SourceError
from models.machine.paths import ASSETS
from models.machine.yaml_file import read_yaml

CATALOGUE = ASSETS / "models.yaml"

# The catalogue names organisations and techniques, not transformers classes. Ids that start so have this model_type;
# an entry whose recorded count the configuration does not reproduce is refused, so a wrong line here cannot pass.
MODEL_TYPES: tuple[tuple[str, str], ...] = (
    ("gpt2", "gpt2"),
    ("pythia-", "gpt_neox"),
    ("llama", "llama"),
    ("mistral-7b", "mistral"),
    ("mixtral-", "mixtral"),
    ("qwen2-", "qwen2"),
    ("mamba-", "mamba"),
    ("rwkv-4-", "rwkv"),
    ("jamba-v0.1", "jamba"),
    ("jamba-1.", "jamba"),
    ("jamba-reasoning", "jamba"),
    ("jamba2-", "jamba"),
)
# What the other entries are, and why a configuration above does not count them.
UNCOUNTED: tuple[tuple[str, str], ...] = (
    ("transformer-base-2017", "the encoder-decoder Transformer"),
    ("mamba2-", "Mamba-2"),
    ("rwkv-5-", "RWKV-5"),
    ("rwkv-6-", "RWKV-6"),
    ("rwkv-7-", "RWKV-7"),
    ("qwen2-57b-a14b", "Qwen2-MoE (experts of unequal size)"),
    ("qwen2-vl-", "Qwen2-VL (a decoder with a vision tower)"),
    ("falcon-mamba-", "Falcon-Mamba (normalises dt, B and C)"),
    ("zamba2-", "Zamba2 (Mamba-2 with shared attention blocks)"),
    ("granite-4.0-h-", "Granite-4.0-H (Mamba-2 and attention)"),
    ("nemotron-h-", "Nemotron-H (Mamba-2, MLP and attention)"),
    ("qwen3-next-", "Qwen3-Next (gated DeltaNet and attention)"),
    ("lfm2-", "LFM2 (short convolutions and attention)"),
    ("kimi-linear-", "Kimi-Linear (Kimi delta attention and latent attention)"),
)
NEEDED_BY_ATTENTION = ("layers", "hidden", "heads", "kv_heads", "ffn", "vocab")
NEEDED: Mapping[str, tuple[str, ...]] = {
    "mamba": ("layers", "hidden", "vocab", "state"),
    "rwkv": ("layers", "hidden", "vocab", "ffn"),
    "mixtral": (*NEEDED_BY_ATTENTION, "moe"),
    "jamba": (*NEEDED_BY_ATTENTION, "moe", "state"),
}


@lru_cache(maxsize=1)
def entries() -> tuple[Mapping[str, Any], ...]:
    """Read the catalogue, once per process."""
    return tuple(read_yaml(CATALOGUE))


def ids() -> tuple[str, ...]:
    """List the ids in the catalogue's order."""
    return tuple(entry["id"] for entry in entries())


def find(name: str) -> Mapping[str, Any] | None:
    """Return the entry with this id or hub id, or None."""
    wanted = name.casefold()
    for entry in entries():
        hub_names = str(entry.get("hub_id") or "").casefold().replace("(", " ").replace(")", " ").split()
        if wanted == entry["id"].casefold() or ("/" in wanted and wanted in hub_names):
            return entry
    return None


def weights_of(entry: Mapping[str, Any]) -> str | None:
    """Return the hub id of an entry's weights in transformers format, None where no repository is on record."""
    names = [word.strip("(),;") for word in str(entry.get("hub_id") or "").split()]
    ids = [name for name in names if name.count("/") == 1]
    return next((name for name in ids if name.endswith("-hf")), ids[0] if ids else None)


def model_type(entry: Mapping[str, Any]) -> str | None:
    """Return the transformers model_type of an entry, or None outside the families that are counted."""
    if uncounted(entry) is not None:
        return None
    return next((kind for prefix, kind in MODEL_TYPES if entry["id"].startswith(prefix)), None)


def uncounted(entry: Mapping[str, Any]) -> str | None:
    """Say what an entry outside the families that are counted is, or None for one inside."""
    return next((kind for prefix, kind in UNCOUNTED if entry["id"].startswith(prefix)), None)


def unknown_fields(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """List the sizes a configuration needs and the entry does not know."""
    needed = NEEDED.get(model_type(entry) or "", NEEDED_BY_ATTENTION)
    return tuple(name for name in needed if entry.get(name) is None)


def config_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Write an entry as the mapping of a config.json.

    Raises SourceError, in one line, for an entry outside the families and for one that lacks a size.
    """
    name, kind = entry["id"], model_type(entry)
    if kind is None:
        what = uncounted(entry) or str(entry["family"])
        known = entry.get("params_total_computed")
        remembered = f"; on record are {known:,} parameters" if known else ""
        message = f"{name}: in the catalogue, but {what} is not counted from its sizes yet{remembered}"
        raise SourceError("errors.not_counted", message, source=name, kind=what)
    missing = unknown_fields(entry)
    if missing:
        fields = ", ".join(missing)
        message = f"{name}: in the catalogue, but these of its sizes are not known, so it is not counted: {fields}"
        raise SourceError("errors.sizes_unknown", message, source=name, fields=fields)
    config = {"model_type": kind, **_sizes(entry, kind)}
    counted, recorded = accounting.params_total(accounting.shape_of(config)), entry.get("params_total_computed")
    if recorded is not None and counted != recorded:
        raise SourceError(
            "errors.bad_config",
            f"{name}: its fields give {counted:,} parameters, its record says {recorded:,}",
            source=name,
        )
    return config


def shape(entry: Mapping[str, Any]) -> Shape:
    """Return the sizes of an entry; SourceError as in config_of."""
    return accounting.shape_of(config_of(entry))


def notes(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """Say what a reader of the numbers should know: sizes from memory and a window that is not applied."""
    remembered = [
        name for name in entry.get("from_memory") or () if name in (*NEEDED_BY_ATTENTION, "state", "moe", "head_dim")
    ]
    said = [f"not confirmed in a source: {', '.join(remembered)}"] if remembered else []
    window = next((t for t in entry.get("techniques") or () if t.startswith("sliding window")), None)
    if window:
        said.append(f"counted without its {window}, as the published tables do")
    return tuple(said)


def _sizes(entry: Mapping[str, Any], kind: str) -> dict[str, Any]:
    common = {"vocab_size": entry["vocab"], "hidden_size": entry["hidden"], "num_hidden_layers": entry["layers"]}
    if entry.get("tied_embeddings") is not None:
        common["tie_word_embeddings"] = entry["tied_embeddings"]
    return common | _SIZES.get(kind, _decoder_sizes)(entry)


def _decoder_sizes(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "intermediate_size": entry["ffn"],
        "num_attention_heads": entry["heads"],
        "num_key_value_heads": entry["kv_heads"],
        "head_dim": entry.get("head_dim"),
        "sliding_window": None,
    }


def _gpt2_sizes(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"n_head": entry["heads"], "n_inner": entry["ffn"], "n_positions": entry.get("context_trained") or 1024}


def _neox_sizes(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"num_attention_heads": entry["heads"], "intermediate_size": entry["ffn"]}


def _mixtral_sizes(entry: Mapping[str, Any]) -> dict[str, Any]:
    moe = entry.get("moe") or {}
    return _decoder_sizes(entry) | {"num_local_experts": moe["experts"], "num_experts_per_tok": moe["top_k"]}


def _mamba_sizes(entry: Mapping[str, Any]) -> dict[str, Any]:
    state = entry["state"]
    return {
        "state_size": state["d_state"],
        "expand": state["d_inner"] // entry["hidden"],
        "conv_kernel": state.get("conv_width", 4),
        "time_step_rank": state.get("dt_rank", "auto"),
    }


def _rwkv_sizes(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"intermediate_size": entry["ffn"]}


def _jamba_sizes(entry: Mapping[str, Any]) -> dict[str, Any]:
    moe, state = entry.get("moe") or {}, entry.get("state") or {}
    sizes = _decoder_sizes(entry) | {
        "mamba_d_state": state["d_state"],
        "mamba_expand": state["d_inner"] // entry["hidden"],
    }
    sizes |= {"mamba_d_conv": state.get("conv_width", 4), "mamba_dt_rank": state.get("dt_rank", "auto")}
    sizes |= {"num_experts": moe["experts"], "num_experts_per_tok": moe["top_k"]}
    return sizes | {"expert_layer_period": moe["every"], "expert_layer_offset": moe["offset"]}


_SIZES = {
    "gpt2": _gpt2_sizes,
    "gpt_neox": _neox_sizes,
    "mixtral": _mixtral_sizes,
    "mamba": _mamba_sizes,
    "rwkv": _rwkv_sizes,
    "jamba": _jamba_sizes,
}
