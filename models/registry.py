"""The one list of architectures. Everything else asks it by part, never by name."""

import json
from pathlib import Path
from typing import Any

from transformers import PretrainedConfig

from models import backends, binding, hf, tracing  # binding: the operators inside transformers
from models.errors import SourceError
from models.jamba import JambaAdapter
from models.mamba import MambaAdapter
from models.records import ModelTrace
from models.rwkv import RwkvAdapter
from models.spec import Adapter, Checkpoint
from models.transformer import TransformerAdapter

__all__ = [
    "ADAPTERS",
    "adapter",
    "adapter_for",
    "backends",
    "binding",
    "bundled",
    "load",
    "read_config",
    "showing",
    "trace",
]

ADAPTERS: tuple[Adapter, ...] = (TransformerAdapter(), MambaAdapter(), RwkvAdapter(), JambaAdapter())


def adapter(name: str) -> Adapter:
    """Return the adapter of an architecture; KeyError lists the names."""
    for candidate in ADAPTERS:
        if candidate.name == name:
            return candidate
    raise KeyError(f"no architecture {name!r} among {[a.name for a in ADAPTERS]}")


def showing(part: str) -> tuple[Adapter, ...]:
    """Return the architectures whose layers may show a part."""
    return tuple(a for a in ADAPTERS if part in a.parts)


def adapter_for(config: PretrainedConfig, *, source: str) -> Adapter:
    """Return the adapter that takes a configuration; SourceError names the model types we know."""
    for candidate in ADAPTERS:
        if config.model_type in candidate.model_types:
            return candidate
    known = ", ".join(sorted(t for a in ADAPTERS for t in a.model_types))
    message = f"{source!r} is a {config.model_type!r} model; this program knows {known}"
    raise SourceError("unknown_architecture", message, source=source, model_type=config.model_type)


def bundled() -> tuple[str, ...]:
    """Return the bundled checkpoints that are present, in the order of ADAPTERS."""
    return tuple(a.bundled for a in ADAPTERS if (hf.CHECKPOINTS / a.bundled / "config.json").is_file())


def read_config(source: str) -> PretrainedConfig:
    """Read the configuration of a bundled name, folder or hub id, no weights."""
    return hf.read_config(source)


def card(name: str) -> Path:
    """Return the path of a bundled checkpoint's card.json."""
    return hf.CHECKPOINTS / name / "card.json"


def card_of(source: str) -> dict[str, Any]:
    """Return the card of a bundled name or local folder, empty where there is none; SourceError for no such source."""
    path = Path(hf.locate(source)) / "card.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


def validation_bits(name: str) -> dict[str, float]:
    """Return a bundled checkpoint's bits per byte on held-out text, per language, from its card."""
    bits: dict[str, float] = json.loads(card(name).read_text(encoding="utf-8"))["validation_bits_per_byte"]
    return bits


def training_log(name: str) -> list[tuple[float, float]]:
    """Return (tokens seen, loss in nats per token) of a bundled checkpoint's training, as it was logged."""
    lines = (hf.CHECKPOINTS / name / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [(row["tokens"], row["loss"]) for row in map(json.loads, lines)]


def load(source: str, *, device: str = "cpu", dtype: str = "float32") -> Checkpoint:
    """Load a bundled name, a local folder or a hub id; SourceError or SettingError says what is wrong."""
    config = hf.read_config(source)
    found = adapter_for(config, source=source)
    model = found.prepare(hf.read_model(source, device=device, dtype=dtype, attends="attention" in found.parts))
    return Checkpoint(source, found.name, model, hf.read_tokenizer(source))


def trace(checkpoint: Checkpoint, prompt: str) -> ModelTrace:
    """Run a checkpoint once over a prompt and record it; PromptError says what is wrong with the prompt."""
    return tracing.trace(adapter(checkpoint.architecture), checkpoint, prompt)
