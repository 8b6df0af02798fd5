"""Read and check the configuration of a model folder. Imports no torch."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from models import units
from models.counting.validation import clipped
from models.errors import SourceError

NAME = "config.json"
MOST_BYTES = 2**20
GGUF = ".gguf"
# What a configuration may say about code and files that are to be used with it: never followed, so taken out.
IGNORED = frozenset(
    {"attn_implementation", "_attn_implementation", "_attn_implementation_internal", "experts_implementation",
     "_experts_implementation", "_experts_implementation_internal", "auto_map", "custom_pipelines", "use_kernels",
     "transformers_weights"}
)  # fmt: skip
QUANTISED = ("quantization_config", "compression_config")
_ADAPTER = "adapter_config.json"
_POINTER = b"version https://git-lfs.github.com/spec/"
_READ_ALONE = (".json", ".safetensors", ".model", ".txt", ".jinja")  # files that a loader opens by their name


def is_gguf(place: str | Path) -> bool:
    """Return whether a path is that of a GGUF file, which has its configuration in its header."""
    path = Path(place)
    return path.suffix.lower() == GGUF and path.is_file()


def read(folder: Path, *, name: str) -> dict[str, Any]:
    """Return what the config.json of a folder says, without the fields that name code or files.

    name: what the folder is called in messages. Raises SourceError, in one sentence, for a folder that holds an
    adapter, another format, a pipe or no configuration, and for a file that is too large or incomplete.
    """
    try:
        refuse_other_kinds(folder, name=name)
        config = _parsed(folder / NAME, name=name)
    except OSError as error:
        message = f"{name}: the folder cannot be read ({error.strerror})"
        raise SourceError("errors.folder_unreadable", message, source=name, reason=str(error.strerror)) from error
    if "model_type" not in config:
        _refuse_untyped(config, name)
    return {field: value for field, value in config.items() if field not in IGNORED}


def refuse_other_kinds(folder: Path, *, name: str) -> None:
    """Raise SourceError for a folder with an adapter, with another format and no config.json, or with a pipe."""
    files = sorted(path.name for path in folder.iterdir())
    if _ADAPTER in files:
        base = _base_of(folder / _ADAPTER)
        message = f"{name} holds an adapter (LoRA) of {base}, not a whole model: merge the two and save the result"
        raise SourceError("errors.adapter", message, source=name, base=base)
    for file in files:
        if file.endswith(_READ_ALONE) and (folder / file).exists() and not (folder / file).is_file():
            message = f"{name}: {file} is not a file that can be read, but a folder, a pipe or a device"
            raise SourceError("errors.no_plain_file", message, source=name, file=file)
    if NAME not in files:
        _refuse_format(files, name)


def is_pointer(path: Path) -> bool:
    """Return whether a file is what git leaves in the place of a large file that it did not fetch (git-lfs)."""
    with path.open("rb") as file:
        return file.read(len(_POINTER)) == _POINTER


def pointer(name: str, file: str) -> SourceError:
    """Return the error for a git-lfs pointer in the place of a file."""
    message = f"{name}: {file} is only a git-lfs pointer, not the file itself: run git lfs pull in that folder"
    return SourceError("errors.lfs_pointer", message, source=name, file=file)


def quantisation(config: Mapping[str, Any]) -> str | None:
    """Return the method and the bits of a quantised checkpoint, as "gptq, 4 bit"; None for any other."""
    found = next((config[field] for field in QUANTISED if config.get(field) is not None), None)
    if found is None:
        return None
    if not isinstance(found, Mapping):
        return "unknown method"
    method = str(found.get("quant_method") or "bitsandbytes" * any("bnb" in key for key in found) or "unknown method")
    bits = found.get("bits") or next((n for n in (4, 8) if found.get(f"load_in_{n}bit")), None)
    return f"{method[:40]}, {bits} bit" if type(bits) is int else method[:40]


def refuse_quantised(config: Mapping[str, Any], *, name: str) -> None:
    """Raise SourceError for the configuration of a quantised checkpoint, which is described but not loaded."""
    if (how := quantisation(config)) is not None:
        message = f"{name} is quantised ({how}): quantised checkpoints are not read here, take the one it was made from"
        raise SourceError("errors.quantised", message, source=name, how=how)


def _parsed(path: Path, *, name: str) -> dict[str, Any]:
    if path.stat().st_size > MOST_BYTES:
        message = f"{name}: {NAME} has {path.stat().st_size:,} bytes, more than the {MOST_BYTES:,} that one may have"
        raise SourceError("errors.config_large", message, source=name, limit=units.count(MOST_BYTES))
    if is_pointer(path):
        raise pointer(name, NAME)
    try:
        config = json.loads(path.read_text(encoding="utf-8-sig"))
    except RecursionError as error:
        message = f"{name}: {NAME} is nested too deeply to be a configuration"
        raise SourceError("errors.bad_config", message, source=name) from error
    except (OSError, ValueError) as error:
        raise SourceError(
            "errors.bad_config", f"{name}: {NAME} cannot be read as JSON: {error}", source=name
        ) from error
    if not isinstance(config, dict):
        message = f"{name}: {NAME} holds a {type(config).__name__}, not an object"
        raise SourceError("errors.bad_config", message, source=name)
    return config


def _base_of(path: Path) -> str:
    try:
        return clipped(_parsed(path, name=path.name).get("base_model_name_or_path") or "another model")
    except (SourceError, OSError):
        return "another model"


def _refuse_untyped(config: Mapping[str, Any], name: str) -> NoReturn:
    if {"d_model", "n_layer"} <= config.keys():
        ssm = config.get("ssm_cfg")
        kind = "Mamba-2" if isinstance(ssm, Mapping) and ssm.get("layer") == "Mamba2" else "Mamba"
        message = (
            f"{name} is in the original format of {kind} (d_model, n_layer), which names no model_type: take the "
            "repository in transformers format, whose name ends in -hf, such as state-spaces/mamba-130m-hf"
        )
        raise SourceError("errors.original_mamba", message, source=name, kind=kind)
    message = f"{name}: {NAME} names no model_type: is it a configuration of transformers?"
    raise SourceError("errors.bad_config", message, source=name)


def _refuse_format(files: Iterable[str], name: str) -> NoReturn:
    formats = {
        "GGUF": lambda file: file.endswith(GGUF),
        "consolidated": lambda file: file.startswith("consolidated.") or file == "params.json",
    }
    for kind, made in formats.items():
        if found := next(filter(made, files), None):
            if kind == "GGUF":
                message = f"{name} holds {found} and no {NAME}: name the file itself, {name}/{found}"
                raise SourceError("errors.gguf_in_folder", message, source=name, file=found)
            message = f"{name} holds {found} ({kind} format) and no {NAME}: take the same model in transformers format"
            raise SourceError("errors.other_format", message, source=name, file=found, kind=kind)
    message = f"the folder {name!r} has no {NAME}: choose a folder in transformers format"
    raise SourceError("errors.no_config", message, source=name)
