"""Find and read checkpoints in transformers format: bundled, in a folder, or on a hub. Never runs foreign code."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from transformers import (
    CONFIG_MAPPING,
    AutoModelForCausalLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from models import panics
from models.counting import accounting
from models.errors import ContextscopeError, SettingError, SourceError
from models.operators.backends import ATTENTION
from models.sources import catalogue, configuration, gguf_file, hub, resolve, stored
from models.sources.resolve import CHECKPOINTS  # noqa: F401  # named here by those who read weights

DEVICE_VARIABLE = "CONTEXTSCOPE_DEVICE"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


def locate(source: str) -> str:
    """Return the folder of a model on this machine, else its hub id. SourceError for a name that means nothing."""
    return resolve.place(source)


def read_config(source: str) -> PretrainedConfig:
    """Read a configuration, no weights; SourceError says what is wrong with the source.

    Its fields are checked before transformers builds anything from them; those that name code or files are left out.
    """
    folder = _config_folder(source)
    read = gguf_file.fields if configuration.is_gguf(folder) else configuration.read
    fields = read(folder, name=source)
    accounting.shape_of(fields, source=source)
    configuration.refuse_quantised(fields, name=source)
    try:
        config: PretrainedConfig = CONFIG_MAPPING[fields["model_type"]].from_dict(fields)
    except Exception as error:
        raise _translated(source, str(folder), error) from error
    return config


def _config_folder(source: str) -> Path:
    """Return the GGUF file of a source, or the folder of its config.json, which a hub id alone may have to fetch."""
    named = resolve.resolve(source)
    if named.entry is not None and catalogue.uncounted(named.entry):
        catalogue.config_of(named.entry)  # raises: no adapter takes it, so nothing is fetched for it
    place = resolve.place(source)
    return Path(place) if named.folder is not None else hub.config_folder(place)


def read_model(source: str, *, device: str, dtype: str, attends: bool) -> PreTrainedModel:
    """Read safetensors weights into the class that transformers itself has for the configuration.

    attends: whether the model has attention layers, which are then bound to the observable implementation.
    """
    place = locate(source)
    if Path(place).exists():
        check_weights(place, name=source)
    options: dict[str, Any] = {"dtype": _dtype(dtype), "use_safetensors": True, "trust_remote_code": False}
    config = read_config(source)
    if attends:
        options["attn_implementation"] = ATTENTION
    if configuration.is_gguf(place):
        attending = {key: value for key, value in options.items() if key == "attn_implementation"}
        made: Any = gguf_file.model(Path(place), config, name=source, **attending)
        _check_finite(source, made)
        whole: PreTrainedModel = made.to(_device(device), _dtype(dtype)).eval().requires_grad_(False)
        return whole
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
        place = locate(source)
        if configuration.is_gguf(place):
            tokenizer = gguf_file.tokenizer(Path(place))
        else:
            tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=False, use_fast=True)
    except BaseException as error:  # no tokenizer, one that needs foreign code, or one on which the Rust code panics
        if isinstance(error, Exception) or panics.is_panic(error):
            return None
        raise
    return tokenizer if tokenizer.is_fast else None


def preferred_device() -> str:
    """Return where the app runs its models: the setting CONTEXTSCOPE_DEVICE, else the first GPU, else the CPU."""
    wished = os.environ.get(DEVICE_VARIABLE, "").strip()
    return wished or ("cuda:0" if torch.cuda.is_available() else "cpu")


def check_weights(folder: str, *, name: str | None = None) -> None:
    """Raise SourceError, naming the folder or the name given, unless its weights are whole, as safetensors or GGUF."""
    if configuration.is_gguf(folder):
        gguf_file.quantisation(Path(folder), name=folder if name is None else name)
        return
    stored.weights(Path(folder), name=folder if name is None else name)


def _check_complete(source: str, model: PreTrainedModel, found: Mapping[str, Any]) -> None:
    """Raise SourceError where weights were missing, which transformers then draws at random, or are no numbers."""
    missing = sorted(found["missing_keys"])
    if missing and set(missing) <= _head_names(model):
        message = (
            f"{source!r} lacks {missing[0]}, the output head of its own that its configuration asks for: "
            'if it was saved with tied embeddings, write "tie_word_embeddings": true'
        )
        raise SourceError("errors.head_missing", message, source=source, first=missing[0])
    if missing:
        message = (
            f"{source!r} lacks {len(missing)} of its weights, the first {missing[0]}: they belong to another model"
        )
        raise SourceError("errors.weights_missing", message, source=source, count=len(missing), first=missing[0])
    _check_finite(source, model)


def _check_finite(source: str, model: PreTrainedModel) -> None:
    """Raise SourceError where weights are no numbers."""
    broken = next((name for name, weight in model.named_parameters() if not torch.isfinite(weight).all()), None)
    if broken is not None:
        message = f"{source!r}: {broken} has entries that are no numbers"
        raise SourceError("errors.weights_broken", message, source=source, first=broken)


def _head_names(model: PreTrainedModel) -> set[str]:
    """Name the parameters of the output head."""
    head: Any = model.get_output_embeddings()
    own = set() if head is None else {id(weight) for weight in head.parameters()}
    return {name for name, weight in model.named_parameters() if id(weight) in own}


def _translated(source: str, place: str, error: Exception) -> ContextscopeError:
    """Turn whatever transformers raised into one sentence."""
    if Path(place).is_dir():
        first = " ".join(str(error).split())[:200] or type(error).__name__
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
