"""Prepared experiments: a question, the settings or cells that answer it, and what is expected of the rows."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from models.bench.judge.expectations import RULES, Rule, Timed
from models.bench.plan.plan import Plan, Rates, plan_of
from models.bench.plan.settings import ATTENTION, KERNELS, LIMITS, VIEWS
from models.machine import facts
from models.machine.paths import ASSETS
from models.machine.yaml_file import read_yaml
from models.records.cell import Cell
from models.records.run import Run
from models.sources import sizes

EXPERIMENTS = ASSETS / "experiments.yaml"
LANGUAGES = ("en", "ko")
WORDS = ("title", "asks", "text")
FREE = ("threads",)  # what every machine sets for itself

_MANY = {"contexts": "context", "batches": "batch"}  # settings that are lists of a limited number
_SINGLE = ("decode_tokens", "rounds", "budget_s")
_CHOICES: Mapping[str, Sequence[str]] = {
    "size": sizes.TIERS, "view": VIEWS, "kernels": KERNELS, "attention": ATTENTION,
}  # fmt: skip
_SETTINGS = ("architectures", "throughput", *_MANY, *_SINGLE, *_CHOICES)
_FIXED = ("decode_tokens", "view", "kernels", "attention")  # which a run must share with its experiment
_USUAL = dataclasses.asdict(Cell("", "", 1))
_TYPES = {name: type(value) for name, value in _USUAL.items()}
_FIELDS = {item.name: item for item in dataclasses.fields(Cell)}

Words = Mapping[str, str]  # by language


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is expected of the rows, in words and as a rule."""

    words: Words
    rule: Rule


@dataclass(frozen=True, slots=True)
class Experiment:
    """A prepared experiment. claims: ids of assets/claims.yaml; source: where it is said.

    settings: choices of a plan, where one plan of all cells answers the question; else cells: exactly these.
    """

    id: str
    title: Words
    asks: Words
    text: Words
    source: Words
    claims: tuple[str, ...]
    settings: Mapping[str, Any]
    cells: tuple[Cell, ...]
    expectations: tuple[Expectation, ...]

    def plan(self, *, rates: Rates) -> Plan:
        """Plan the cells of the experiment on the cores of this machine; ValueError where it has settings instead."""
        if not self.cells:
            raise ValueError(f"{self.id} has settings, not cells: make its plan of them")
        threads = facts.usable_cores()
        return plan_of([dataclasses.replace(cell, threads=threads) for cell in self.cells], rates=rates)

    def holds(self, cells: Iterable[Mapping[str, Any]]) -> bool:
        """Return whether the planned cells of a run, or of a plan to come, are those of this experiment.

        Size, device, number type, rounds and seed are free, and a budget may have left cells out; it needs two
        architectures.
        """
        planned = [cell for cell in cells if cell.get("architecture")]
        if not all(map(_typed, planned)) or len({cell["architecture"] for cell in planned}) < 2:
            return False
        if self.cells:
            names = [name for name in _FIELDS if name not in (*FREE, "rounds", "seed", "device", "dtype")]
            known = {tuple(getattr(cell, name) for name in names) for cell in self.cells}
            return all(tuple(cell.get(name, _FIELDS[name].default) for name in names) in known for cell in planned)
        return all(map(self._has, planned))

    def _has(self, cell: Mapping[str, Any]) -> bool:
        fixed = {name: self.settings.get(name, _USUAL[name]) for name in _FIXED}
        if not {**_USUAL, **cell}.items() >= fixed.items():
            return False
        if cell["architecture"] not in self.settings["architectures"]:
            return False
        if cell.get("largest"):
            return bool(self.settings.get("throughput", False))
        return cell.get("context") in self.settings["contexts"] and cell.get("batch") in self.settings["batches"]


def _typed(cell: Mapping[str, Any]) -> bool:
    """Return whether every setting of a planned cell is of its type: a file may hold anything there."""
    return {name: type(value) for name, value in cell.items() if name in _TYPES}.items() <= _TYPES.items()


@lru_cache(maxsize=1)
def experiments() -> Mapping[str, Experiment]:
    """Read the prepared experiments, once per process, in the order of their file."""
    return parse(read_yaml(EXPERIMENTS))


def experiment_of(run: Run) -> Experiment | None:
    """Return the first experiment that a run was made of, None for any other run."""
    return next((one for one in experiments().values() if one.holds(run.cells)), None)


def parse(entries: Sequence[Mapping[str, Any]]) -> Mapping[str, Experiment]:
    """Build experiments from the entries of a file; ValueError names the experiment and what is wrong in it."""
    found: dict[str, Experiment] = {}
    for place, entry in enumerate(entries):
        name = str(entry.get("id", f"number {place + 1}"))
        try:
            if name in found:
                raise ValueError("there are two of this id")
            found[name] = _experiment(name, entry)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"experiment {name}: {_said(error)}") from error
    return MappingProxyType(found)


def _said(error: Exception) -> str:
    return f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)


def _experiment(name: str, entry: Mapping[str, Any]) -> Experiment:
    _known("an experiment", entry, ("id", *WORDS, "source", "claims", "settings", "cells", "expects"))
    if ("settings" in entry) == ("cells" in entry):
        raise ValueError("it needs either settings or cells")
    words = {key: _words(key, entry[key]) for key in (*WORDS, "source")}
    return Experiment(
        id=name,
        **words,
        claims=tuple(entry["claims"]),
        settings=_settings(entry.get("settings") or {}) if "settings" in entry else MappingProxyType({}),
        cells=tuple(map(_cell, entry.get("cells", ()))),
        expectations=tuple(map(_expectation, entry["expects"])),
    )


def _words(key: str, given: Any) -> Words:
    if not isinstance(given, Mapping) or set(given) != set(LANGUAGES) or not all(map(str.strip, given.values())):
        raise ValueError(f"{key} needs words in {' and '.join(LANGUAGES)}")
    return MappingProxyType(dict(given))


def _settings(given: Mapping[str, Any]) -> Mapping[str, Any]:
    _known("settings", given, _SETTINGS)
    for name in ("architectures", "contexts", "batches", "decode_tokens", "rounds", "budget_s"):
        if name not in given:
            raise KeyError(f"setting {name}")
    numbers = {name: [given[name]] for name in _SINGLE} | {_MANY[name]: given[name] for name in _MANY}
    for name, values in numbers.items():
        low, high = LIMITS[name]
        if wrong := [value for value in values if type(value) is not int or not low <= value <= high]:
            raise ValueError(f"{name} is {wrong[0]!r}; it must be a whole number from {low} to {high}")
    for name, choices in (*_CHOICES.items(), ("architectures", tuple(sizes.tier(sizes.TIERS[0]).models))):
        wanted = given.get(name, [])
        for value in wanted if isinstance(wanted, list) else [wanted]:
            if value not in choices:
                raise ValueError(f"{name} is {value!r}: choose one of {', '.join(choices)}")
    return MappingProxyType({name: tuple(v) if isinstance(v, list) else v for name, v in given.items()})


def _cell(given: Mapping[str, Any]) -> Cell:
    _known("a cell", given, [name for name in _FIELDS if name not in FREE])
    for name, value in given.items():
        if type(value) is not _FIELDS[name].type:
            raise ValueError(f"{name} of a cell is {value!r}: it is no {getattr(_FIELDS[name].type, '__name__', '')}")
    return Cell(**given)


def _expectation(given: Mapping[str, Any]) -> Expectation:
    asked = dict(given)
    words = _words("an expectation", {lang: asked.pop(lang, "") for lang in LANGUAGES})
    kind = asked.pop("rule", "")
    if kind not in RULES:
        raise ValueError(f"rule is {kind!r}: choose one of {', '.join(RULES)}")
    values = {name: _value(kind, value) for name, value in asked.items()}
    _known(f"rule {kind}", values, RULES[kind].__dataclass_fields__)  # type: ignore[attr-defined]
    _architectures(values)
    return Expectation(words, RULES[kind](**values))


def _value(kind: str, value: Any) -> Any:
    """Turn a mapping into the cell and phase that it names, and a list into what no rule can change."""
    if isinstance(value, Mapping):
        _known(f"rule {kind}", value, Timed.__dataclass_fields__)
        _architectures(value)
        return Timed(**value)
    return tuple(value) if isinstance(value, list) else value


def _architectures(values: Mapping[str, Any]) -> None:
    """Raise ValueError for the name of an architecture that there is not."""
    for field in ("architecture", "than", "first", "then", "over", "under"):
        named = values.get(field, ())
        for name in (named,) if isinstance(named, str) else named if isinstance(named, tuple) else ():
            if name not in sizes.tier(sizes.TIERS[0]).models:
                raise ValueError(f"{field} is {name!r}, which is no architecture")


def _known(what: str, given: Mapping[str, Any], names: Any) -> None:
    if unknown := [name for name in given if name not in names]:
        raise ValueError(f"{what} has no {unknown[0]!r}, only {', '.join(names)}")
