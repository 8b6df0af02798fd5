"""Climb from the bundled models to published shapes: one model of each architecture on every rung of a size ladder.

The rungs stand in assets/ladder.yaml. A model that is in no catalogue is called "ladder:<rung>/<architecture>"; like a
catalogue id it is measured with seeded random weights. Imports no torch.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from models.errors import SettingError, SourceError

LADDER = Path(__file__).resolve().parent.parent.parent / "assets" / "ladder.yaml"
RUNGS = ("bundled", "130m", "1.4b", "2.8b", "7b")  # the keys of the file, from small to large
CUSTOM = "custom"  # the size of sources that are no rung
PREFIX = "ladder:"


@dataclass(frozen=True, slots=True)
class Member:
    """One architecture's model on a rung. config: its sizes where it is in no catalogue; note: per language."""

    architecture: str
    source: str
    published: bool
    note: Mapping[str, str]
    config: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Rung:
    """One size. name and note: per language; factor: how far active parameters differ at most."""

    key: str
    name: Mapping[str, str]
    note: Mapping[str, str]
    factor: float
    members: Mapping[str, Member]


@lru_cache(maxsize=1)
def rungs() -> Mapping[str, Rung]:
    """Read the ladder, once per process."""
    with LADDER.open(encoding="utf-8") as file:
        return MappingProxyType({entry["key"]: _rung(entry) for entry in yaml.safe_load(file)["rungs"]})


def rung(key: str) -> Rung:
    """Return a rung; SettingError for a size that is not on the ladder."""
    found = rungs().get(key)
    if found is None:
        raise SettingError(
            "errors.setting_value", f"there is no size {key!r}: choose among {', '.join(RUNGS)}", name="size", value=key
        )
    return found


def sources(key: str, architectures: Iterable[str] = ()) -> dict[str, str]:
    """Map architecture to source on a rung, for the architectures named or for all.

    Raises SettingError for a size or an architecture that is not there.
    """
    members = rung(key).members
    for name in (wanted := tuple(architectures)):
        if name not in members:
            raise SettingError(
                "errors.setting_value",
                f"{name!r} is no architecture of the ladder: choose among {', '.join(members)}",
                name="sources",
                value=name,
            )
    return {name: members[name].source for name in members if not wanted or name in wanted}


def size_of(named: Mapping[str, str]) -> str:
    """Return the rung that holds all these sources (architecture -> source), CUSTOM when there is none."""
    return next((key for key in RUNGS if named and named.items() <= sources(key).items()), CUSTOM)


def member(source: str) -> Member:
    """Return the model of a source "ladder:<rung>/<architecture>"; SourceError when the ladder has no such name."""
    key, _, architecture = source.removeprefix(PREFIX).partition("/")
    found = rungs()[key].members.get(architecture) if key in rungs() else None
    if found is None or found.source != source:
        raise SourceError("errors.source_not_found", f"{source!r} is not on the ladder", source=source)
    return found


def _rung(entry: Mapping[str, Any]) -> Rung:
    members = {name: _member(entry["key"], name, given) for name, given in entry["models"].items()}
    return Rung(entry["key"], entry["name"], entry["note"], float(entry["factor"]), MappingProxyType(members))


def _member(key: str, architecture: str, given: Mapping[str, Any]) -> Member:
    config = given.get("config")
    source = given["source"] if config is None else f"{PREFIX}{key}/{architecture}"
    return Member(architecture, source, given["published"], given.get("note") or {}, config)
