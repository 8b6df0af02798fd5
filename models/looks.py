"""The names and the look of every architecture, read from assets/architectures."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from models.machine.paths import ASSETS
from models.machine.yaml_file import read_yaml

FOLDER = ASSETS / "architectures"
MODES = ("light", "dark")
LANGS = ("en", "ko")

_COLOR = re.compile(r"#[0-9A-F]{6}")
_FIELDS = {"order", "name", "color", "marker", "dash", "mixer"}


@dataclass(frozen=True, slots=True)
class ArchitectureLook:
    """How one architecture is named and drawn.

    names: by language; colors: #RRGGBB by mode, "light" and "dark"; marker: a Vega shape; dash: lengths of strokes and
    gaps in pixels, (1, 0) for a full line; mixer: the mixer that is drawn in this colour wherever it occurs, None where
    the architecture has no mixer of its own.
    """

    key: str
    order: int
    names: Mapping[str, str]
    colors: Mapping[str, str]
    marker: str
    dash: tuple[int, ...]
    mixer: str | None


@cache
def looks(folder: Path = FOLDER) -> Mapping[str, ArchitectureLook]:
    """Return the look of every architecture by its key, in the order of the pages.

    Raises ValueError, naming file and field, for a file that lacks a field or holds one of another kind.
    """
    found = sorted((_read(path) for path in folder.glob("*.yaml")), key=lambda look: look.order)
    return MappingProxyType({look.key: look for look in found})


def name_of(architecture: str, lang: str) -> str:
    """Return the name of an architecture in a language; its key where there is no record of it."""
    look = looks().get(architecture)
    return architecture if look is None else look.names[lang]


def _read(path: Path) -> ArchitectureLook:
    raw: Any = read_yaml(path)
    if not isinstance(raw, dict) or raw.keys() != _FIELDS:
        raise ValueError(f"{path}: expected the fields {sorted(_FIELDS)}")
    checks = {
        "order": isinstance(raw["order"], int),
        "name": _has(raw["name"], LANGS, str),
        "color": _has(raw["color"], MODES, str) and all(_COLOR.fullmatch(c) for c in raw["color"].values()),
        "marker": isinstance(raw["marker"], str),
        "dash": isinstance(raw["dash"], list) and all(isinstance(n, int) for n in raw["dash"]),
        "mixer": raw["mixer"] is None or isinstance(raw["mixer"], str),
    }
    if wrong := [field for field, good in checks.items() if not good]:
        raise ValueError(f"{path}: {wrong[0]} cannot be {raw[wrong[0]]!r}")
    names, colors = MappingProxyType(raw["name"]), MappingProxyType(raw["color"])
    return ArchitectureLook(path.stem, raw["order"], names, colors, raw["marker"], tuple(raw["dash"]), raw["mixer"])


def _has(value: Any, keys: tuple[str, ...], kind: type) -> bool:
    return (
        isinstance(value, dict) and value.keys() == set(keys) and all(isinstance(v, kind) and v for v in value.values())
    )
