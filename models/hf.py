"""Find and read checkpoints in transformers format: bundled, in a folder, or on a hub. Never runs foreign code."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from models import hub
from models.capture import ATTENTION
from models.errors import ContextscopeError, SettingError, SourceError

CHECKPOINTS = Path(__file__).resolve().parent.parent / "assets" / "checkpoints"
DEVICE_VARIABLE = "CONTEXTSCOPE_DEVICE"
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
HUB_ID_LIMIT = 96  # characters, the limit of the hub itself
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
UNSAFE = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt", "*.h5", "*.msgpack")

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


def locate(source: str) -> str:
    """Return the folder of a bundled name, a local path or a downloaded hub id, else the hub id itself.

    Raises SourceError for anything else.
    """
    text = source.strip()
    try:
        if re.fullmatch(r"[\w.-]+", text) and (CHECKPOINTS / text / "config.json").is_file():
            return str(CHECKPOINTS / text)
        folder = Path(text).expanduser()
        if text and folder.is_dir():
            return str(folder)
    except (OSError, ValueError, RuntimeError):  # a NUL, an over-long name, an unknown user: not a folder
        pass
    if len(text) > HUB_ID_LIMIT or not HUB_ID.fullmatch(text) or ".." in text:
        message = f"{source!r} is neither a bundled model, nor a folder, nor a hub id like owner/name"
        raise SourceError("errors.source_not_found", message, source=source)
    return str(hub.folder_of(text) or text)


def read_config(source: str) -> PretrainedConfig:
    """Read a configuration, no weights; SourceError says what is wrong with the source."""
    place = locate(source)
    if Path(place).is_dir():
        _check_config_file(Path(place), source)
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(place, trust_remote_code=False)
    except Exception as error:
        raise _translated(source, place, error) from error
    return config


def read_model(source: str, *, device: str, dtype: str, attends: bool) -> PreTrainedModel:
    """Read safetensors weights into the class that transformers itself has for the configuration.

    attends: whether the model has attention layers, which are then bound to the observable implementation.
    """
    place = locate(source)
    if Path(place).is_dir():
        check_weights(place, name=source)
    options: dict[str, Any] = {"dtype": _dtype(dtype), "use_safetensors": True, "trust_remote_code": False}
    config = read_config(source)
    if attends:
        options["attn_implementation"] = ATTENTION
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(place, config=config, output_loading_info=True, **options)
    except Exception as error:
        raise _translated(source, place, error) from error
    model, found = loaded
    _check_complete(source, model, found)
    ready: PreTrainedModel = model.to(_device(device)).eval().requires_grad_(False)
    return ready


def read_tokenizer(source: str) -> PreTrainedTokenizerBase | None:
    """Read the fast tokenizer of a source; None when it has none."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(locate(source), trust_remote_code=False, use_fast=True)
    except Exception:  # noqa: BLE001 - no tokenizer, or one that needs foreign code: either way there is none to use
        return None
    return tokenizer if tokenizer.is_fast else None


def preferred_device() -> str:
    """Return where the app runs its models: the setting CONTEXTSCOPE_DEVICE, else the first GPU, else the CPU."""
    wished = os.environ.get(DEVICE_VARIABLE, "").strip()
    return wished or ("cuda:0" if torch.cuda.is_available() else "cpu")


def _check_config_file(folder: Path, source: str) -> None:
    path = folder / "config.json"
    if not path.is_file():
        message = f"the folder {source!r} has no config.json: choose a folder in transformers format"
        raise SourceError("errors.no_config", message, source=source)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError("errors.bad_config", f"{path} cannot be read as JSON: {error}", source=source) from error
    if not isinstance(content, dict) or "model_type" not in content:
        raise SourceError(
            "errors.bad_config", f"{path} names no model_type: is it a transformers config?", source=source
        )


def check_weights(folder: str, *, name: str | None = None) -> None:
    """Raise SourceError, naming the folder or the name given, unless a folder has weights as safetensors."""
    source = folder if name is None else name
    if any(Path(folder).glob("*.safetensors")):
        return
    if any(path for pattern in UNSAFE for path in Path(folder).glob(pattern)):
        message = f"the folder {source!r} has weights, but not as safetensors: convert them, pickles are never loaded"
        raise SourceError("errors.unsafe_weights", message, source=source)
    raise SourceError("errors.no_weights", f"the folder {source!r} has no *.safetensors file", source=source)


def _check_complete(source: str, model: PreTrainedModel, found: Mapping[str, Any]) -> None:
    """Raise SourceError where weights were missing, which transformers then draws at random, or are no numbers."""
    missing = sorted(found["missing_keys"])
    if missing:
        message = (
            f"{source!r} lacks {len(missing)} of its weights, the first {missing[0]}: they belong to another model"
        )
        raise SourceError("errors.weights_missing", message, source=source, count=len(missing), first=missing[0])
    broken = next((name for name, weight in model.named_parameters() if not torch.isfinite(weight).all()), None)
    if broken is not None:
        message = f"{source!r}: {broken} has entries that are no numbers"
        raise SourceError("errors.weights_broken", message, source=source, first=broken)


def _translated(source: str, place: str, error: Exception) -> ContextscopeError:
    """Turn whatever transformers raised into one sentence."""
    if Path(place).is_dir():
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        weights = isinstance(error, SafetensorError | RuntimeError)  # cut off, or of other sizes than configured
        key = "errors.weights_unreadable" if weights else "errors.bad_config"
        return SourceError(key, f"{source!r} cannot be loaded: {first}", source=source)
    return hub.translated(source, error)


def _dtype(name: str) -> torch.dtype:
    if name not in DTYPES:
        raise SettingError("errors.dtype_unknown", f"dtype {name!r}: choose one of {', '.join(DTYPES)}", value=name)
    return DTYPES[name]


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise SettingError("errors.device_missing", f"there is no device {name!r}", device=name) from error
    present = device.type == "cpu" or (device.type == "cuda" and torch.cuda.is_available())
    if not present:
        raise SettingError("errors.device_missing", f"device {name!r} is not on this machine: use cpu", device=name)
    return device
