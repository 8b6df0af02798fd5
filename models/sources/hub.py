"""The local Hugging Face cache: complete models, files to download, and errors in one sentence."""

import errno
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
CONFIG = "config.json"
ANSWER_S = 5  # for the hub to answer before it counts as out of reach
PICKLED = re.compile(r".+\.(?:bin|pt|pth|pkl|ckpt|h5|msgpack)")
_MISSING = frozenset(
    {"RepositoryNotFoundError", "GatedRepoError", "RevisionNotFoundError", "HFValidationError", "DisabledRepoError"}
)
_NO_FILE = frozenset({"EntryNotFoundError", "RemoteEntryNotFoundError"})
_UNREACHED = frozenset(
    {"TransportError", "ConnectionError", "TimeoutError", "LocalEntryNotFoundError", "XetDownloadError"}
)  # and what is derived from them: the client's own tree of connection errors changes between releases
_UNWRITABLE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT})
_BUSY = frozenset({408, 429})  # the hub asks to come back later
_TOKENIZERS = ({"tokenizer.json"}, {"tokenizer.model"}, {"vocab.json", "merges.txt"})


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


def config_folder(hub_id: str) -> Path:
    """Return the folder in the cache that holds a model's config.json, fetched alone where it is not there yet.

    Raises SourceError for a repository that is gated or absent or has no such file, and for a hub out of reach.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, RepositoryNotFoundError

    cached = try_to_load_from_cache(hub_id, CONFIG)
    if isinstance(cached, str):
        return Path(cached).parent
    try:
        # Asked first because it does not retry: without a network the answer comes at once, not after 24 seconds.
        get_hf_file_metadata(hf_hub_url(hub_id, CONFIG), timeout=ANSWER_S)
        path = hf_hub_download(hub_id, CONFIG, etag_timeout=ANSWER_S)
    except GatedRepoError as error:
        message = f"{hub_id!r} is gated: accept its licence on the hub first"
        raise SourceError("errors.hub_gated", message, source=hub_id) from error
    except EntryNotFoundError as error:
        message = f"the hub model {hub_id!r} has no {CONFIG}: it is not in transformers format"
        raise SourceError("errors.no_config", message, source=hub_id) from error
    except RepositoryNotFoundError as error:
        message = f"the hub has no open model {hub_id!r}: check the name"
        raise SourceError("errors.hub_unknown", message, source=hub_id) from error
    except Exception as error:  # the client's own tree of connection errors changes between releases
        message = f"the hub cannot be reached for {hub_id!r} and it is not in the local cache ({type(error).__name__})"
        raise SourceError("errors.hub_unreachable", message, source=hub_id) from error
    return Path(path).parent


def downloaded(model: str) -> bool:
    """Return whether a hub model lies complete in the local cache."""
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
        return SourceError("errors.hub_unknown", f"the hub has no open model {source!r}: check the name", source=source)
    if names & _NO_FILE:
        return SourceError("errors.no_weights", f"the hub model {source!r} has no safetensors weights", source=source)
    if any(map(_is_unreached, _chain(error))):
        message = (
            f"the hub cannot be reached for {source!r}: use a bundled model or a local folder, or try again online"
        )
        return SourceError("errors.hub_unreachable", message, source=source)
    if any(isinstance(found, OSError) and found.errno in _UNWRITABLE for found in _chain(error)):
        place = str(constants.HF_HUB_CACHE)
        message = f"{source!r} cannot be kept in {place!r}: let this program write there, and make room on its disk"
        return SourceError("errors.cache_unwritable", message, source=source, path=place)
    detail = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return SourceError(
        "errors.hub_failed", f"{source!r} cannot be loaded from the hub: {detail}", source=source, detail=detail
    )


def has_tokenizer(names: Iterable[str]) -> bool:
    """Return whether files hold a whole tokenizer, in one of the forms that are taken."""
    present = set(names)
    return any(files <= present for files in _TOKENIZERS)


def _is_unreached(error: BaseException) -> bool:
    """Return whether an error is one of the connection, or an answer that says the hub is out of order."""
    if any(kind.__name__ in _UNREACHED for kind in type(error).__mro__):
        return True
    status = getattr(getattr(error, "response", None), "status_code", None)
    return isinstance(status, int) and (status >= 500 or status in _BUSY)


def _is_complete(snapshot: Path) -> bool:
    """Return whether a snapshot has its configuration, its tokenizer and all of its weights."""
    names = {path.name for path in snapshot.iterdir() if path.is_file()} if snapshot.is_dir() else set()
    if "config.json" not in names or not has_tokenizer(names):
        return False
    weights = {name for name in names if name.endswith(".safetensors")}
    index = "model.safetensors.index.json"
    if "model.safetensors" in names or not (index in names or any("-of-" in name for name in weights)):
        return bool(weights)
    try:
        pieces = set(json.loads((snapshot / index).read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return False
    return bool(pieces) and pieces <= names


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found
