"""The local Hugging Face cache: what is complete in it, which files are ever taken, and errors in one sentence."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from huggingface_hub import constants

from models.errors import ContextscopeError, SourceError

TAKEN = re.compile(
    r"(?:config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab)\.json"
    r"|merges\.txt|tokenizer\.model|[\w.-]+\.safetensors|[\w.-]+\.safetensors\.index\.json"
)  # files of the top folder; nothing else is ever asked for
PICKLED = re.compile(r".+\.(?:bin|pt|pth|pkl|ckpt|h5|msgpack)")
_MISSING = frozenset(
    {"RepositoryNotFoundError", "GatedRepoError", "RevisionNotFoundError", "HFValidationError", "DisabledRepoError"}
)
_NO_FILE = frozenset({"EntryNotFoundError", "RemoteEntryNotFoundError"})


def storage(model: str) -> Path:
    """Return the folder of a model in the cache, whether it is there or not."""
    return Path(constants.HF_HUB_CACHE) / f"models--{model.replace('/', '--')}"


def folder_of(model: str) -> Path | None:
    """Return the newest complete snapshot of a hub model in the cache, or None. Asks no network."""
    try:
        found = sorted((storage(model) / "snapshots").iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    except OSError:
        return None
    return next((path for path in found if _is_complete(path)), None)


def downloaded(model: str) -> bool:
    """Tell whether a hub model lies complete in the local cache."""
    return folder_of(model) is not None


def wanted(names: Iterable[str]) -> list[str]:
    """List the files of a repository that are taken: configuration, tokenizer and safetensors, from its top folder.

    One file of weights, or the numbered pieces of the index, are enough: consolidated or half-precision copies are not.
    """
    taken = [name for name in names if TAKEN.fullmatch(name)]
    weights = [name for name in taken if name.endswith(".safetensors")]
    standard = [name for name in weights if name == "model.safetensors"] or [
        name for name in weights if re.fullmatch(r"model-\d+-of-\d+\.safetensors", name)
    ]
    return [name for name in taken if name not in weights or name in (standard or weights)]


def translated(source: str, error: Exception) -> ContextscopeError:
    """Turn whatever the hub or its client raised into one sentence; our own errors pass through."""
    if isinstance(error, ContextscopeError):
        return error
    names = {type(found).__name__ for found in _chain(error)}
    if names & _MISSING:
        return SourceError("hub_unknown", f"the hub has no open model {source!r}: check the name", source=source)
    if names & _NO_FILE:
        return SourceError("no_weights", f"the hub model {source!r} has no safetensors weights", source=source)
    message = f"the hub cannot be reached for {source!r}: use a bundled model or a local folder, or try again online"
    return SourceError("hub_unreachable", message, source=source)


def _is_complete(snapshot: Path) -> bool:
    """Tell whether a snapshot has its configuration and all of its weights."""
    if not (snapshot / "config.json").is_file():
        return False
    index = snapshot / "model.safetensors.index.json"
    if (snapshot / "model.safetensors").is_file() or not index.is_file():
        return any(path.is_file() for path in snapshot.glob("*.safetensors"))
    try:
        pieces = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, AttributeError):
        return False
    return all((snapshot / Path(str(piece)).name).is_file() for piece in pieces)


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found
