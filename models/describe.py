"""Say what a model is and carries, from a catalogue id, a bundled name, a folder or a hub id. No weights, no torch."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models import accounting, catalogue
from models.accounting import Layer, Shape
from models.bench import ladder
from models.errors import SettingError, SourceError

CHECKPOINTS = Path(__file__).resolve().parent.parent / "assets" / "checkpoints"
DTYPE_NAMES: Mapping[str, str] = {
    "float32": "float32",
    "fp32": "float32",
    "f32": "float32",
    "32": "float32",
    "float16": "float16",
    "fp16": "float16",
    "f16": "float16",
    "half": "float16",
    "bfloat16": "bfloat16",
    "bf16": "bfloat16",
    "16": "bfloat16",
}
LONGEST = 2**40
WIDEST = 2**20
HUB_TIMEOUT_S = 5


@dataclass(frozen=True, slots=True)
class Description:
    """The numbers of one model at one context, batch and number type. Bytes are of the whole batch."""

    source: str
    origin: str  # "catalogue", "ladder", "bundled", "folder" or "hub"
    model_type: str
    context: int
    batch: int
    dtype: str
    params_total: int
    params_active: int
    parameter_terms: Mapping[str, int]
    weight_bytes: int
    kv_bytes: int
    state_bytes: int
    cache_bytes: int
    flops_per_token: int
    layers: tuple[Layer, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a configuration came from."""

    name: str
    origin: str
    config: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> Shape:
        """Return the sizes; SourceError names the source."""
        try:
            return accounting.shape_of(self.config)
        except SourceError as error:
            raise SourceError(error.key, f"{self.name}: {error}", **(error.values | {"source": self.name})) from error


def describe(name: str, *, context: int = 4096, batch: int = 1, dtype: str = "bfloat16") -> Description:
    """Count a model at this context, batch and number type.

    Raises SourceError when the name leads to no usable configuration, SettingError for a size outside the range.
    """
    dtype = dtype_name(dtype)
    _check("context", context, LONGEST)
    _check("batch", batch, WIDEST)
    source = resolve(name)
    shape = source.shape
    return Description(
        source=source.name,
        origin=source.origin,
        model_type=shape.model_type,
        context=context,
        batch=batch,
        dtype=dtype,
        params_total=accounting.params_total(shape),
        params_active=accounting.params_active(shape),
        parameter_terms=accounting.parameter_terms(shape),
        weight_bytes=accounting.weight_bytes(shape, dtype=dtype),
        kv_bytes=accounting.kv_bytes(shape, context=context, batch=batch, dtype=dtype),
        state_bytes=accounting.state_bytes(shape, batch=batch, dtype=dtype),
        cache_bytes=accounting.cache_bytes(shape, context=context, batch=batch, dtype=dtype),
        flops_per_token=accounting.flops_per_token(shape, context=context),
        layers=shape.layers,
        notes=source.notes,
    )


def resolve(name: str) -> Source:
    """Find a configuration: on the size ladder, by catalogue or hub id, bundled name, folder, then on the hub."""
    if name.startswith(ladder.PREFIX):
        member = ladder.member(name)
        return Source(name, "ladder", dict(member.config or {}), tuple(filter(None, [member.note.get("en")])))
    entry = catalogue.find(name)
    if entry is not None:
        return Source(entry["id"], "catalogue", catalogue.config_of(entry), catalogue.notes(entry))
    if name in bundled_names():
        return Source(name, "bundled", read_config(CHECKPOINTS / name, name=name))
    folder = Path(name).expanduser()
    if folder.is_dir():
        return Source(name, "folder", read_config(folder, name=name))
    if _is_hub_id(name):
        return Source(name, "hub", _from_hub(name))
    raise SourceError(
        "errors.source_not_found",
        f"{name!r} is no catalogue id, bundled model, folder with a config.json or hub id",
        source=name,
    )


def bundled_names() -> tuple[str, ...]:
    """List the folders of assets/checkpoints that hold a configuration."""
    return tuple(sorted(path.parent.name for path in CHECKPOINTS.glob("*/config.json")))


def read_config(folder: Path, *, name: str) -> dict[str, Any]:
    """Read a folder's config.json; SourceError when it is missing or not a JSON object."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise SourceError(
            "errors.bad_config", f"{path} cannot be read as a model configuration: {error}", source=name
        ) from error
    if not isinstance(config, dict):
        raise SourceError("errors.bad_config", f"{path} holds a {type(config).__name__}, not an object", source=name)
    return config


def dtype_name(name: str) -> str:
    """Return the torch name of a number type, also for fp16, bf16 and the like; SettingError otherwise."""
    known = DTYPE_NAMES.get(str(name).casefold().removeprefix("torch."))
    if known is None:
        accounting.element_bytes(name)
    return known or name


def _check(name: str, value: int, high: int) -> None:
    if not 1 <= value <= high:
        raise SettingError(
            "errors.setting_range",
            f"{name} is {value}; it must be from 1 to {high}",
            name=name,
            value=value,
            low=1,
            high=high,
        )


def _is_hub_id(name: str) -> bool:
    parts = name.split("/")
    return len(parts) == 2 and all(
        part and part not in (".", "..") and not set(part) - _HUB_CHARACTERS for part in parts
    )


_HUB_CHARACTERS = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


def _from_hub(name: str) -> dict[str, Any]:
    # The download alone, not AutoConfig: no code of the repository can run and torch need not be imported.
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, RepositoryNotFoundError

    cached = try_to_load_from_cache(name, "config.json")
    if isinstance(cached, str):
        return read_config(Path(cached).parent, name=name)
    try:
        # Asked first because it does not retry: without a network the answer comes at once, not after 24 seconds.
        get_hf_file_metadata(hf_hub_url(name, "config.json"), timeout=HUB_TIMEOUT_S)
        path = hf_hub_download(name, "config.json", etag_timeout=HUB_TIMEOUT_S)
    except GatedRepoError as error:
        raise SourceError(
            "errors.source_not_found", f"{name!r} is gated: accept its licence on the hub first", source=name
        ) from error
    except (RepositoryNotFoundError, EntryNotFoundError) as error:
        raise SourceError(
            "errors.source_not_found", f"the hub has no {name!r} with a config.json", source=name
        ) from error
    except Exception as error:  # the client's own tree of connection errors changes between releases
        raise SourceError(
            "errors.hub_unreachable",
            f"the hub cannot be reached for {name!r} and it is not in the local cache ({type(error).__name__})",
            source=name,
        ) from error
    return read_config(Path(path).parent, name=name)
