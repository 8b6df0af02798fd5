"""Read a GGUF file by transformers' own reader: configuration, tokenizer, weights in float32, and their storage."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

from models.errors import SourceError
from models.sources import configuration

WHOLE = frozenset({"F32", "F16", "BF16", "F64"})  # types of entries that are numbers by themselves


@dataclass(frozen=True, slots=True)
class Quantisation:
    """How the weights of a file are stored.

    types: name of the type -> share of the entries. bits: of an entry, on average. quantised: share of the entries that
    are rounded in blocks. total_bytes: of all tensors.
    """

    types: Mapping[str, float]
    bits: float
    quantised: float
    total_bytes: int


def fields(path: Path, *, name: str) -> dict[str, Any]:
    """Return what the header of a file says as fields of a configuration; SourceError for one that cannot be read."""
    try:
        found: dict[str, Any] = dict(load_gguf_checkpoint(str(path), return_tensors=False)["config"])
    except Exception as error:
        raise _unreadable(name, path, error) from error
    if "model_type" not in found:
        raise _unreadable(name, path, ValueError("no architecture"))
    return {field: value for field, value in found.items() if field not in configuration.IGNORED}


def tokenizer(path: Path) -> PreTrainedTokenizerBase:
    """Return the tokenizer that stands in a file; raises what transformers raises."""
    found: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    return found


def model(path: Path, config: PretrainedConfig, *, name: str, **options: Any) -> PreTrainedModel:
    """Build the model of a configuration with the weights of a file, dequantised to float32.

    Raises SourceError for a file that cannot be read, and for one that lacks weights of the configuration.
    """
    built: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32, **options)
    try:
        tensors = load_gguf_checkpoint(str(path), return_tensors=True, model_to_load=built)["tensors"]
        built.load_state_dict({key: torch.as_tensor(value) for key, value in tensors.items()}, strict=False)
    except Exception as error:
        raise _unreadable(name, path, error) from error
    built.tie_weights()
    given = {id(weight) for key, weight in built.named_parameters(remove_duplicate=False) if key in tensors}
    missing = [key for key, weight in built.named_parameters() if id(weight) not in given]
    if missing:
        message = f"{name!r} lacks {len(missing)} of its weights, the first {missing[0]}: they belong to another model"
        raise SourceError("errors.weights_missing", message, source=name, count=len(missing), first=missing[0])
    ready: PreTrainedModel = built
    return ready


def quantisation(path: Path, *, name: str) -> Quantisation:
    """Read how the weights of a file are stored, from its header alone; SourceError for one that cannot be read."""
    try:
        from gguf import GGUFReader

        tensors = GGUFReader(str(path)).tensors
        entries: Counter[str] = Counter()
        for tensor in tensors:
            entries[tensor.tensor_type.name] += int(tensor.n_elements)
        size = sum(int(tensor.n_bytes) for tensor in tensors)
    except Exception as error:
        raise _unreadable(name, path, error) from error
    total = max(sum(entries.values()), 1)
    shares = {kind: count / total for kind, count in entries.most_common()}
    rounded = sum(share for kind, share in shares.items() if kind not in WHOLE)
    return Quantisation(shares, 8 * size / total, rounded, size)


def _unreadable(name: str, path: Path, error: Exception) -> SourceError:
    reason = " ".join(str(error).split())[:160] or type(error).__name__
    message = f"{name}: {path.name} cannot be read as a GGUF file ({reason}): copy it again, or take another model"
    return SourceError("errors.gguf_unreadable", message, source=name, file=path.name, reason=reason)
