"""Climb from the bundled models to published shapes: one model of each architecture on every tier of a size ladder.

The tiers stand in assets/ladder.yaml. A model that is in no catalogue is called "ladder:<tier>/<architecture>"; like a
catalogue id it is measured with seeded random weights. Models with experts store more than one token uses, so they are
matched to the others by either: "active" parameters, or "total" ones ("ladder:<tier>/<architecture>-total"). Imports no
torch.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from models.errors import SettingError, SourceError
from models.machine.paths import ASSETS
from models.machine.yaml_file import read_yaml

LADDER = ASSETS / "ladder.yaml"
TIERS = ("bundled", "130m", "1.4b", "2.8b", "7b")  # the keys of the file, from small to large
CUSTOM = "custom"  # the size of sources that are no tier
BLOCK = "block"  # the size of one layer between word vectors and an output head, on no tier
MATCHES = ("active", "total")  # which parameters of the models of a tier are as many
PREFIX = "ladder:"
_TOTAL = "-total"


@dataclass(frozen=True, slots=True)
class TierModel:
    """One architecture's model on a tier. config: its sizes where it is in no catalogue; note: per language.

    total: the model matched by stored parameters, None where the same model is matched by both.
    """

    architecture: str
    source: str
    published: bool
    note: Mapping[str, str]
    config: Mapping[str, Any] | None = None
    total: "TierModel | None" = None


@dataclass(frozen=True, slots=True)
class Tier:
    """One size. name and note: per language; factor: how far active parameters differ at most."""

    key: str
    name: Mapping[str, str]
    note: Mapping[str, str]
    factor: float
    models: Mapping[str, TierModel]


@lru_cache(maxsize=1)
def tiers() -> Mapping[str, Tier]:
    """Read the ladder, once per process."""
    return MappingProxyType({entry["key"]: _tier(entry) for entry in read_yaml(LADDER)["rungs"]})


@lru_cache(maxsize=1)
def blocks() -> Mapping[str, TierModel]:
    """Read the models of one layer, by architecture; their sources are "ladder:block/<architecture>"."""
    named = read_yaml(LADDER)["blocks"].items()
    return MappingProxyType(
        {
            name: TierModel(name, f"{PREFIX}{BLOCK}/{name}", False, MappingProxyType({}), config)
            for name, config in named
        }
    )


def tier(key: str) -> Tier:
    """Return a tier; SettingError for a size that is not on the ladder."""
    found = tiers().get(key)
    if found is None:
        raise _setting_error("size", key, f"there is no size {key!r}", TIERS)
    return found


def chosen(key: str, architecture: str, *, match: str = MATCHES[0]) -> TierModel:
    """Return an architecture's model on a tier; SettingError for a size, architecture or match that is not there."""
    models = tier(key).models
    if architecture not in models:
        raise _setting_error("sources", architecture, f"{architecture!r} is no architecture of the ladder", models)
    if match not in MATCHES:
        raise _setting_error("match", match, f"models are not matched by {match!r}", MATCHES)
    found = models[architecture]
    return found.total if match == "total" and found.total is not None else found


def sources(key: str, architectures: Iterable[str] = (), *, match: str = MATCHES[0]) -> dict[str, str]:
    """Map architecture to source on a tier, for the architectures named or for all; see `chosen` for what is raised."""
    wanted = tuple(architectures)
    found = {name: chosen(key, name, match=match).source for name in wanted or tier(key).models}
    return {name: found[name] for name in tier(key).models if name in found}


def size_of(named: Mapping[str, str]) -> str:
    """Return the tier that holds all these sources (architecture -> source), CUSTOM when there is none."""
    return _place_of(named)[0]


def match_of(named: Mapping[str, str]) -> str:
    """Return by which parameters these sources (architecture -> source) are matched; "active" off the ladder."""
    return _place_of(named)[1]


def model_of(source: str) -> TierModel:
    """Return the model of a source "ladder:<tier>/<name>"; SourceError when the ladder has no such name."""
    key, _, name = source.removeprefix(PREFIX).partition("/")
    models = blocks() if key == BLOCK else tiers()[key].models if key in tiers() else {}
    there = models.get(name.removesuffix(_TOTAL))
    found = next((one for one in (there, there and there.total) if one and one.source == source), None)
    if found is None:
        raise SourceError("errors.source_not_found", f"{source!r} is not on the ladder", source=source)
    return found


def _place_of(named: Mapping[str, str]) -> tuple[str, str]:
    for key in TIERS:
        for match in MATCHES:
            if named and named.items() <= sources(key, match=match).items():
                return key, match
    return CUSTOM, MATCHES[0]


def _setting_error(name: str, value: str, what: str, choices: Iterable[str]) -> SettingError:
    return SettingError("errors.setting_value", f"{what}: choose among {', '.join(choices)}", name=name, value=value)


def _tier(entry: Mapping[str, Any]) -> Tier:
    models = {name: _tier_model(entry["key"], name, given) for name, given in entry["models"].items()}
    return Tier(entry["key"], entry["name"], entry["note"], float(entry["factor"]), MappingProxyType(models))


def _tier_model(key: str, architecture: str, given: Mapping[str, Any]) -> TierModel:
    config, total = given.get("config"), given.get("total")
    name = f"{PREFIX}{key}/{architecture}"
    stored = total and TierModel(
        architecture, f"{name}{_TOTAL}", False, total["note"], {**(config or {}), **total["config"]}
    )  # fmt: skip
    source = given["source"] if config is None else name
    return TierModel(architecture, source, given["published"], given.get("note") or {}, config, stored)
