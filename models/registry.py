"""The one list of architectures. Everything else asks it by part, never by name."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import PretrainedConfig

from models.architectures.jamba import JambaAdapter
from models.architectures.mamba import MambaAdapter
from models.architectures.rwkv import RwkvAdapter
from models.architectures.transformer import TransformerAdapter
from models.counting import accounting
from models.errors import SourceError
from models.operators import backends, binding
from models.records.anatomy import Anatomy
from models.records.steps import StepRun
from models.records.trace import Attribution, ModelTrace, TokenLens
from models.sources import configuration, downloadable, gguf_file, resolve, weights
from models.switches.context import Means
from models.switches.sites import Switchable, offered
from models.tracing import anatomy, recorder, repetition, steps  # binding: the operators inside transformers
from models.tracing.adapter import Adapter, Checkpoint, Readable, WithoutWeights
from models.tracing.fitting import Fit
from models.tracing.tokens import Encoded

__all__ = [
    "ADAPTERS",
    "adapter",
    "adapter_for",
    "anatomy_of",
    "attribution_of",
    "backends",
    "binding",
    "bundled",
    "checked",
    "encode",
    "fitted",
    "lens_of",
    "load",
    "means_of",
    "need_bytes",
    "preferred_device",
    "read_config",
    "repeated",
    "showing",
    "switches_of",
    "token_by_token",
    "trace",
    "trace_encoded",
    "without_weights",
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
    raise SourceError("errors.unknown_architecture", message, source=source, model_type=config.model_type)


def bundled() -> tuple[str, ...]:
    """Return the bundled checkpoints that are present, in the order of ADAPTERS."""
    return tuple(a.bundled for a in ADAPTERS if (resolve.CHECKPOINTS / a.bundled / "config.json").is_file())


def read_config(source: str) -> PretrainedConfig:
    """Read the configuration of a bundled name, folder or hub id, no weights."""
    return weights.read_config(source)


def need_bytes(source: str) -> int:
    """Count the memory that running a bundled name, folder or hub id takes, from its configuration alone."""
    return downloadable.need_bytes(accounting.shape_of(weights.read_config(source)))


def weight_bytes(source: str) -> int:
    """Count the bytes of the weights of a bundled name, folder or hub id once they are loaded, in float32."""
    return accounting.weight_bytes(accounting.shape_of(weights.read_config(source)), dtype="float32")


def is_here(source: str) -> bool:
    """Return whether a source lies on this machine: bundled, a folder, or complete in the hub's cache."""
    return Path(weights.locate(source)).exists()


def is_documented(name: str) -> bool:
    """Return whether a bundled checkpoint has its card and the log of its training."""
    return card(name).is_file() and (resolve.CHECKPOINTS / name / "log.jsonl").is_file()


def checked(folder: str, *, architecture: str) -> str:
    """Return the full path of a local folder or GGUF file that holds a model of an architecture; reads no weights.

    Raises SourceError: for what is neither, or no model in transformers format, or a model of another family.
    """
    try:
        place = Path(folder.strip()).expanduser()
        if not folder.strip() or not (place.is_dir() or configuration.is_gguf(place)):
            raise FileNotFoundError(folder)
        path = str(place.resolve())
    except (OSError, ValueError, RuntimeError) as error:  # absent, forbidden; a NUL, an over-long name, an unknown user
        message = f"there is no folder {folder[:200]!r} on this machine"
        raise SourceError("errors.no_folder", message, source=folder[:200]) from error
    config = weights.read_config(path)
    weights.check_weights(path)
    other = adapter_for(config, source=path)
    if other.name != architecture:
        message = f"{path!r} is a {config.model_type!r} model, which belongs to {other.name}, not to {architecture}"
        raise SourceError(
            "errors.wrong_family",
            message,
            source=path,
            model_type=config.model_type,
            found=other.name,
            wanted=architecture,
        )
    return path


def quantisation(source: str) -> gguf_file.Quantisation | None:
    """Return how the weights of a GGUF file are stored; None for a source in transformers format."""
    place = weights.locate(source)
    return gguf_file.quantisation(Path(place), name=source) if configuration.is_gguf(place) else None


def modified_at(source: str) -> float:
    """Return when the files of a bundled name or folder were last written, 0 where there are none."""
    place = Path(weights.locate(source))
    if place.is_file():
        return place.stat().st_mtime
    files = [
        path
        for pattern in ("config.json", "card.json", "tokenizer*.json", "*.safetensors")
        for path in place.glob(pattern)
    ]
    return max((path.stat().st_mtime for path in files), default=0.0)


def card(name: str) -> Path:
    """Return the path of a bundled checkpoint's card.json."""
    return resolve.CHECKPOINTS / name / "card.json"


def card_of(source: str) -> dict[str, Any]:
    """Return the card of a bundled name or local folder, empty where there is none; SourceError for no such source."""
    path = Path(weights.locate(source)) / "card.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError, RecursionError):  # a folder's own file of that name, which is no card of ours
        return {}
    return found if isinstance(found, dict) else {}


def validation_bits(name: str) -> dict[str, float]:
    """Return a bundled checkpoint's bits per byte on held-out text, per language, from its card."""
    bits: dict[str, float] = json.loads(card(name).read_text(encoding="utf-8"))["validation_bits_per_byte"]
    return bits


def training_log(name: str) -> list[tuple[float, float]]:
    """Return (tokens seen, loss in nats per token) of a bundled checkpoint's training, as it was logged."""
    lines = (resolve.CHECKPOINTS / name / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [(row["tokens"], row["loss"]) for row in map(json.loads, lines)]


def preferred_device() -> str:
    """Return where the app runs its models: the setting CONTEXTSCOPE_DEVICE, else the first GPU, else the CPU."""
    return weights.preferred_device()


def without_weights(source: str) -> WithoutWeights:
    """Read what cutting a text for a model needs: configuration and tokenizer; SourceError as load."""
    config = weights.read_config(source)
    adapter_for(config, source=source)
    return WithoutWeights(source, config, weights.read_tokenizer(source))


def load(
    source: str, *, device: str = "cpu", dtype: str = "float32", known: WithoutWeights | None = None
) -> Checkpoint:
    """Load a bundled name, a local folder or a hub id; SourceError or SettingError says what is wrong.

    known: of this source, where it was read before; its tokenizer is shared.
    """
    read = known or without_weights(source)
    found = adapter_for(read.config, source=source)
    model = found.prepare(weights.read_model(source, device=device, dtype=dtype, attends="attention" in found.parts))
    return Checkpoint(source, found.name, model, read.tokenizer)


def trace(checkpoint: Checkpoint, prompt: str) -> ModelTrace:
    """Run a checkpoint once over a prompt and record it; PromptError says what is wrong with the prompt.

    The output head reads the model's own prediction in the last residual stream:

    >>> recorded = trace(load("mamba"), "The wolf ran into the wood")
    >>> last = recorded.layer(len(recorded.layers) - 1)
    >>> bool((last.part("lens_tokens")[:, 0] == recorded.logits.values.argmax(axis=-1)).all())
    True
    >>> recorded.layers_with("dt")[0].parts["dt"].sizes == {"token": len(recorded.tokens), "channel": 448}
    True
    """
    return recorder.trace(adapter(checkpoint.architecture), checkpoint, prompt)


def switches_of(checkpoint: Checkpoint) -> tuple[Switchable, ...]:
    """List what can be switched off in a checkpoint (models.switches.context.use)."""
    return offered(adapter(checkpoint.architecture).sites(checkpoint.model))


def means_of(checkpoint: Checkpoint, texts: Sequence[str]) -> Means:
    """Measure the mean of every part over all tokens of some texts, for switches that put it in the part's place.

    Raises PromptError for a text that cannot be run.
    """
    return recorder.means(adapter(checkpoint.architecture), checkpoint, [encode(checkpoint, one) for one in texts])


def encode(model: Readable, prompt: str) -> Encoded:
    """Cut a prompt into tokens for a model, without its weights; raises as trace does."""
    return recorder.encoded(model, prompt)


def fitted(model: Readable, prompt: str) -> Fit:
    """Return as much of a prompt as a model reads, cut at the last whole token; SourceError as trace."""
    return recorder.fitted(model, prompt)


def repeated(model: Readable) -> Encoded:
    """Return random tokens of a model written twice, the same at every call; SourceError without a tokenizer."""
    return repetition.repeated(model)


def trace_encoded(checkpoint: Checkpoint, encoded: Encoded) -> ModelTrace:
    """Run a checkpoint once over tokens that encode gave, and record it."""
    return recorder.trace_encoded(adapter(checkpoint.architecture), checkpoint, encoded)


def token_by_token(checkpoint: Checkpoint, trace: ModelTrace) -> StepRun:
    """Read the text of a trace of a checkpoint again, token by token with the cache, and time it beside one pass."""
    return steps.token_by_token(adapter(checkpoint.architecture), checkpoint, trace)


def lens_of(checkpoint: Checkpoint, trace: ModelTrace, token_id: int) -> TokenLens:
    """Follow one token of the vocabulary through a trace of a checkpoint; SettingError for an id that it lacks."""
    return recorder.lens_of(adapter(checkpoint.architecture), checkpoint, trace, token_id)


def attribution_of(checkpoint: Checkpoint, trace: ModelTrace, ids: Sequence[int]) -> Attribution:
    """Split the logit of one token per position of a trace by what adds to it; SettingError for an unknown id."""
    return recorder.attribution_of(adapter(checkpoint.architecture), checkpoint, trace, ids)


def anatomy_of(checkpoint: Checkpoint) -> Anatomy:
    """Take a checkpoint apart: its kinds of blocks, with the shapes and the parameters of every part."""
    return anatomy.anatomy(adapter(checkpoint.architecture), checkpoint)
