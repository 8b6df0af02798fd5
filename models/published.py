"""Recount the published tables of assets/published.yaml from configurations; nothing on the counted side is stored."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from models.counting import accounting
from models.counting.accounting import Shape
from models.errors import SourceError
from models.machine.paths import ASSETS
from models.machine.yaml_file import read_yaml
from models.sources import catalogue

UNITS: Mapping[str, int] = MappingProxyType({"": 1, "M": 10**6, "B": 10**9, "GiB": 2**30})
STATES = ("agrees", "explained", "differs")
_ROUNDING = {"nearest": ROUND_HALF_UP, "down": ROUND_DOWN}
_WIDE = Context(prec=60)  # no quotient here is rounded before the printed digit


@dataclass(frozen=True, slots=True)
class PublishedCheck:
    """One printed value beside what accounting counts for the same configuration."""

    source: str  # a key of assets/published.yaml
    row: str
    quantity: str
    printed: str
    formula: str  # the source's own formula that gave printed, "" where it prints a number
    unit: str
    exact: int
    computed: str  # exact in the unit, at the printed precision
    agrees: bool
    note: str | None = None  # why a value differs; kept only where the recount it describes gives the printed value
    otherwise: str | None = None  # what that recount gives

    @property
    def state(self) -> str:
        """Return one of STATES."""
        return "agrees" if self.agrees else "explained" if self.note else "differs"


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """A published table, recounted."""

    source: str
    name: str
    place: str
    url: str
    arxiv: str | None
    context: int | None  # tokens, where the table counts a cache
    dtype: str | None
    checks: tuple[PublishedCheck, ...]

    def count(self, state: str) -> int:
        """Count the checks in one of STATES."""
        return sum(check.state == state for check in self.checks)


def recount(tables: Mapping[str, Mapping[str, Any]] | None = None) -> tuple[PublishedTable, ...]:
    """Count every value of the published tables again, from the configurations.

    Raises SourceError when a row names no model of the catalogue, or one that is not counted.
    """
    return tuple(_table(source, entry) for source, entry in (_published() if tables is None else tables).items())


def find(tables: tuple[PublishedTable, ...], note: str) -> tuple[PublishedCheck, ...]:
    """Return the checks that a note explains."""
    return tuple(check for table in tables for check in table.checks if check.note == note)


def at_precision(
    value: int, printed: str, *, unit: str = "", digits: int | None = None, rounding: str = "nearest"
) -> str:
    """Write an exact count in a unit, with as many decimals, or significant digits, as a printed value has."""
    shown = Decimal(printed)
    exponent = shown.as_tuple().exponent if digits is None else shown.adjusted() - digits + 1
    exact = _WIDE.divide(Decimal(value), Decimal(UNITS[unit]))
    rounded = exact.quantize(Decimal((0, (1,), int(exponent))), rounding=_ROUNDING[rounding], context=_WIDE)
    return _scientific(rounded) if "e" in printed.casefold() else f"{rounded:f}"


def _scientific(value: Decimal) -> str:
    power = value.adjusted()
    return f"{value.scaleb(-power):f}e{power}"


def _table(source: str, entry: Mapping[str, Any]) -> PublishedTable:
    paper = _papers()[entry["paper"]] if "paper" in entry else {"url": entry["url"], "id": None}
    checks = tuple(_check(source, entry, row, quantity) for row in entry["rows"] for quantity in entry["quantities"])
    return PublishedTable(
        source,
        entry["name"],
        entry["place"],
        paper["url"],
        paper["id"],
        entry.get("context"),
        entry.get("dtype"),
        checks,
    )


def _check(source: str, table: Mapping[str, Any], row: Mapping[str, Any], quantity: str) -> PublishedCheck:
    config, unit = _config(row), (table["quantities"] | row.get("units", {}))[quantity]
    formula = table.get("said", {}).get(quantity, "")
    shape = accounting.shape_of(config)
    printed = str(FORMULAS[formula](shape)) if formula else row["printed"][quantity]
    digits = table.get("digits", {}).get(quantity)
    exact = QUANTITIES[quantity](shape, table)
    computed = at_precision(exact, printed, unit=unit, digits=digits)
    agrees = Decimal(computed) == Decimal(printed)
    note = otherwise = None
    why = (table.get("explained", {}) | row.get("explained", {})).get(quantity)
    if why and not agrees:
        changed = accounting.shape_of(config | why.get("config", {}))
        value = QUANTITIES[why.get("quantity", quantity)](changed, table)
        otherwise = at_precision(value, printed, unit=unit, digits=digits, rounding=why.get("rounding", "nearest"))
        note = why["note"] if Decimal(otherwise) == Decimal(printed) else None
    return PublishedCheck(
        source, row["row"], quantity, printed, formula, unit, exact, computed, agrees, note, otherwise
    )


def _config(row: Mapping[str, Any]) -> dict[str, Any]:
    if "config" in row:
        return dict(row["config"])
    entry = catalogue.find(row["model"])
    if entry is None:
        raise SourceError("errors.source_not_found", f"{row['model']!r} is no catalogue id", source=row["model"])
    return catalogue.config_of(entry)


def _kv_bytes(shape: Shape, table: Mapping[str, Any]) -> int:
    return accounting.kv_bytes(shape, context=table["context"], dtype=table["dtype"])


def _state_numbers(shape: Shape, _: Mapping[str, Any]) -> int:
    return accounting.state_bytes(shape, dtype="float32") // accounting.element_bytes("float32")


def _flops(shape: Shape, _: Mapping[str, Any]) -> int:
    return accounting.flops_per_token(shape, context=1)


def _flops_with_look_up(shape: Shape, table: Mapping[str, Any]) -> int:
    """Count the embedding as if its V d weights were multiplied too."""
    return _flops(shape, table) + 2 * accounting.embedding_parameters(shape)


def _formula_parameters(v: int, d: int, layers: int) -> int:
    return 2 * v * d + 13 * d * d * layers + d * (11 * layers + 4)


QUANTITIES: Mapping[str, Callable[[Shape, Mapping[str, Any]], int]] = MappingProxyType(
    {
        "params_total": lambda shape, _: accounting.params_total(shape),
        "params_active": lambda shape, _: accounting.params_active(shape),
        "kv_bytes": _kv_bytes,
        "flops": _flops,
        "flops_with_look_up": _flops_with_look_up,
        "state_numbers": _state_numbers,
        "layers": lambda shape, _: len(shape.layers),
        "width": lambda shape, _: shape.d_model,
    }
)
# Formulas as Peng et al. 2023 write them: V vocabulary, D width, L layers.
FORMULAS: Mapping[str, Callable[[Shape], int]] = MappingProxyType(
    {
        "2VD + 13D²L + D(11L + 4)": lambda s: _formula_parameters(s.vocab, s.d_model, len(s.layers)),
        "2(2VD + 13D²L)": lambda s: 2 * (2 * s.vocab * s.d_model + 13 * s.d_model**2 * len(s.layers)),
        "5DL": lambda s: 5 * s.d_model * len(s.layers),
    }
)


@lru_cache(maxsize=1)
def _published() -> Mapping[str, Mapping[str, Any]]:
    tables: dict[str, Mapping[str, Any]] = read_yaml(ASSETS / "published.yaml")
    return MappingProxyType(tables)


@lru_cache(maxsize=1)
def _papers() -> Mapping[str, Mapping[str, Any]]:
    papers: dict[str, Mapping[str, Any]] = read_yaml(ASSETS / "papers.yaml")
    return MappingProxyType(papers)
