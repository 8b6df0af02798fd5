"""Find the model that a name means. One rule for every command and page; asks no network. Imports no torch.

In this order: a name of the size ladder, a bundled model, an id of the catalogue, an offered model, a folder or a GGUF
file, a hub id or its https address. A folder that is called like one of the first is named by its path: ./gpt2.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from huggingface_hub import constants

from models.errors import SourceError
from models.machine.paths import ASSETS
from models.sources import catalogue, configuration, downloadable, hub, sizes
from models.sources.downloadable import Offer

CHECKPOINTS = ASSETS / "checkpoints"
HUB_HOSTS = frozenset({"huggingface.co", "www.huggingface.co", "hf.co"})
HUB_LIMIT = 96  # characters of a hub id, the limit of the hub itself
HINT = "give a bundled name, a catalogue id, a folder with a config.json, or a hub id like owner/name"
_HUB_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
_SHOWN = 80  # characters of a name in a message
_NO_MODELS = frozenset({"datasets", "spaces", "docs", "papers", "collections", "blog", "api"})  # paths of the hub


@dataclass(frozen=True, slots=True)
class ResolvedName:
    """What a name means. name: as it is called here, an address as its hub id.

    origin: "ladder", "bundled", "catalogue", "offered", "folder" or "hub". path: of a bundled model, a folder or a GGUF
    file, which counts as a folder.
    hub_id: its repository in transformers format, None where it has none. entry: the catalogue's.
    """

    name: str
    origin: str
    path: Path | None = None
    hub_id: str | None = None
    entry: Mapping[str, Any] | None = None

    @property
    def folder(self) -> Path | None:
        """Where its files are on this machine: its path, or its newest complete download; None where it has none."""
        return self.path or (None if self.hub_id is None else hub.folder_of(self.hub_id))


def resolve(name: str) -> ResolvedName:
    """Return what a name means; SourceError, in one sentence, for one that means nothing."""
    text = name.strip()
    if not text:
        raise SourceError("errors.source_unnamed", f"no model is named: {HINT}", source="")
    if text.startswith(sizes.PREFIX):
        return ResolvedName(sizes.model_of(text).source, "ladder")
    if is_bundled(text):
        return ResolvedName(text, "bundled", path=CHECKPOINTS / text)
    if (hub_id := _of_address(text)) is not None:
        return _published(hub_id) or ResolvedName(hub_id, "hub", hub_id=hub_id)
    found = _published(text)
    if found is not None:
        return found
    if (path := _folder(text)) is not None:
        return ResolvedName(text, "folder", path=path)
    if is_hub_id(text) or (_is_part(text) and hub.downloaded(text)):
        return ResolvedName(text, "hub", hub_id=text)
    return _refuse(text)


def place(name: str) -> str:
    """Return where the files of a model are: its folder on this machine, else its hub id.

    Raises SourceError for a name that means nothing, and for one that has sizes but no files.
    """
    named = resolve(name)
    if (folder := named.folder) is not None:
        return str(folder)
    if named.hub_id is None:
        what = "a size of the ladder" if named.origin == "ladder" else "an entry of the catalogue"
        message = f"{named.name} is {what} without published weights in transformers format: describe or bench it"
        raise SourceError("errors.no_published_weights", message, source=named.name)
    return named.hub_id


def offered(name: str) -> Offer | None:
    """Return the offered model that a link names by its id, its address or the catalogue's id. Reads no folder."""
    try:
        hub_id = _of_address(name.strip()) or name.strip()
    except SourceError:
        return None
    entry = catalogue.find(hub_id)
    return downloadable.find(hub_id) or (
        None if entry is None else downloadable.find(catalogue.weights_of(entry) or "")
    )


def is_bundled(name: str) -> bool:
    """Return whether a name is that of a bundled checkpoint that is present."""
    return _is_part(name) and name not in (".", "..") and (CHECKPOINTS / name / configuration.NAME).is_file()


def bundled_names() -> tuple[str, ...]:
    """List the folders of assets/checkpoints that hold a configuration and a tokenizer: those of language models."""
    found = (path.parent for path in CHECKPOINTS.glob(f"*/{configuration.NAME}"))
    return tuple(sorted(folder.name for folder in found if (folder / "tokenizer.json").is_file()))


def is_hub_id(name: str) -> bool:
    """Return whether a name is written like a hub id, owner/name."""
    parts = name.split("/")
    return len(parts) == 2 and len(name) <= HUB_LIMIT and all(map(_is_part, parts)) and ".." not in name


def _published(name: str) -> ResolvedName | None:
    entry = catalogue.find(name)
    if entry is not None:
        return ResolvedName(entry["id"], "catalogue", hub_id=catalogue.weights_of(entry), entry=entry)
    offer = downloadable.find(name)
    return None if offer is None else ResolvedName(offer.id, "offered", hub_id=offer.id)


def _folder(text: str) -> Path | None:
    try:
        found = Path(text).expanduser()
        return found if found.is_dir() or configuration.is_gguf(found) else None
    except (OSError, ValueError, RuntimeError):  # an over-long name, a NUL, an unknown user: no folder
        return None


def _is_part(name: str) -> bool:
    return 0 < len(name) <= HUB_LIMIT and name[0] not in ".-" and not set(name) - _HUB_CHARACTERS


def _of_address(text: str) -> str | None:
    """Return the hub id of an address of the hub, with or without a path behind it; None for what is no address."""
    scheme, found, rest = text.partition("://")
    if not found and text.split("/", maxsplit=1)[0].lower() in HUB_HOSTS:
        scheme, rest = "https", text
    elif not found:
        return None
    try:
        url = urlsplit(f"//{rest}")
        host = url.hostname or ""
    except ValueError:
        host = ""
    if scheme.lower() not in ("http", "https") or host not in HUB_HOSTS | {urlsplit(constants.ENDPOINT).hostname}:
        _refuse(text)
    parts = [part for part in url.path.split("/") if part]
    name = "/".join(parts[:2])
    if not parts or parts[0] in _NO_MODELS or not (is_hub_id(name) or _is_part(name)):
        message = (
            f"{clipped(text)} is no address of a model of the hub: it looks like https://huggingface.co/owner/name"
        )
        raise SourceError("errors.source_address", message, source=clipped(text))
    if parts[2:3] in (["tree"], ["blob"], ["resolve"]) and parts[3:4] not in ([], ["main"]):
        message = f"{clipped(text)} names the revision {clipped(parts[3])}: only main is read, give {name}"
        raise SourceError("errors.source_revision", message, source=name, revision=clipped(parts[3]))
    return name


def clipped(text: str) -> str:
    """Write a name for a message, at most _SHOWN characters of it."""
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def _refuse(text: str) -> NoReturn:
    """State why a name means nothing here."""
    shown = clipped(text)
    try:
        path = Path(text).expanduser()
        is_file, is_path = path.is_file(), path.is_absolute() or text.startswith(("./", "../", "~"))
    except (OSError, ValueError, RuntimeError):
        is_file, is_path = False, text.startswith(("/", "./", "../", "~"))
    if is_file:
        message = f"{shown} is a file: name the folder that holds it"
        raise SourceError("errors.source_file", message, source=shown)
    if is_path:
        raise SourceError("errors.no_folder", f"there is no folder {shown} on this machine", source=shown)
    raise SourceError("errors.source_not_found", f"there is no model {shown}: {HINT}", source=shown)
