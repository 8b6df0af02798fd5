"""Draw sequences with known answers: associative recall, induction heads and selective copying.

Each record below is one cell of a task. It is frozen, validated on construction, and draws seeded sequences.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.errors import SettingError

NOTHING = -100  # target where nothing is asked, as torch's cross_entropy ignores it
NEGLIGIBLE = 1e-12  # a chance that adds nothing to a mean in float64
FILLER, TRIGGER, MARKER = "\u00b7", "\u25b8", "?"  # how tokens without a name of their own are drawn
KEY, VALUE, FILL, OTHER = "key", "value", "filler", "other"  # what a token is for in a sequence
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sequences:
    """Drawn sequences (b, l): ids, targets (NOTHING where none is asked), sources (place of the answer, else -1)."""

    ids: Tensor
    targets: Tensor
    sources: Tensor


class RecallCell(Protocol):
    """One setting of a task."""

    axes: ClassVar[tuple[str, ...]]

    @property
    def length(self) -> int:
        """Tokens of a sequence."""
        ...

    @property
    def answers(self) -> int:
        """Questions asked in a sequence."""
        ...

    @property
    def guess(self) -> float:
        """Accuracy of the best guess from the sequence without the question: the commonest candidate."""
        ...

    def draw(self, batch: int, *, seed: Sequence[int] | int) -> Sequences:
        """Draw batch sequences; the same seed draws the same ones."""
        ...

    @staticmethod
    def label(token: int) -> str:
        """Return what a token is called on screen."""
        ...

    @staticmethod
    def role(token: int) -> str:
        """Return what a token is for: KEY of a question, VALUE to be recalled, FILL without a meaning, or OTHER."""
        ...


@dataclass(frozen=True, slots=True)
class Mqar:
    """Multi-query associative recall (Arora et al. 2023, Zoology, section 3.1): pairs of key and value, then keys.

    distance: tokens between the end of a pair and its query, the same for every query and each pair asked at most once;
    scattered, as in training: queries stand anywhere after the pairs, in any order, and may ask a pair again. The gap
    is filled from a set of its own.
    """

    pairs: int
    distance: int
    queries: int = 1
    scattered: bool = False

    axes: ClassVar[tuple[str, ...]] = ("distance", "pairs")
    keys: ClassVar[int] = 8  # tokens 0 .. 7
    values: ClassVar[int] = 8  # tokens 8 .. 15
    fillers: ClassVar[int] = 8  # tokens 16 .. 23
    vocab: ClassVar[int] = 24

    def __post_init__(self) -> None:
        _within("pairs", self.pairs, 1, self.keys)
        _within("distance", self.distance, 2 * self.pairs - 2, None)
        _within("queries", self.queries, 1, self.distance + 1 if self.scattered else self.pairs)

    @property
    def length(self) -> int:
        """Tokens of a sequence: the pairs, then as many places as the last pair's query needs."""
        return 2 * self.pairs + self.distance + 1

    @property
    def answers(self) -> int:
        """Questions asked in a sequence."""
        return self.queries

    @property
    def guess(self) -> float:
        """Share of right answers of one who always says the commonest candidate."""
        return commonest(self.pairs, self.values)

    def draw(self, batch: int, *, seed: Sequence[int] | int) -> Sequences:
        """Draw batch sequences; the same seed draws the same ones."""
        rng, row = _start(batch, seed)
        keys = _distinct(rng, batch, self.keys, self.pairs)  # (b, P)
        values = self.keys + rng.integers(0, self.values, (batch, self.pairs))
        ids = self.keys + self.values + rng.integers(0, self.fillers, (batch, self.length))
        ids[:, 0 : 2 * self.pairs : 2] = keys
        ids[:, 1 : 2 * self.pairs : 2] = values
        if self.scattered:
            asked = rng.integers(0, self.pairs, (batch, self.queries))  # (b, Q)
            at = 2 * self.pairs + _distinct(rng, batch, self.distance + 1, self.queries)
        else:
            asked = _distinct(rng, batch, self.pairs, self.queries)
            at = 2 * asked + 2 + self.distance
        ids[row, at] = keys[row, asked]
        return _sequences(ids, at, values[row, asked], 2 * asked + 1)

    @staticmethod
    def label(token: int) -> str:
        """Return the label of a token on screen: letters for keys, digits for values, a dot for fillers."""
        if token < Mqar.keys:
            return chr(ord("A") + token)
        return str(token - Mqar.keys + 1) if token < Mqar.keys + Mqar.values else FILLER

    @staticmethod
    def role(token: int) -> str:
        """Return what a token is for."""
        if token < Mqar.keys:
            return KEY
        return VALUE if token < Mqar.keys + Mqar.values else FILL


@dataclass(frozen=True, slots=True)
class Induction:
    """Induction heads (Gu & Dao 2023, section 4.1.2): a trigger and what followed it; at the trigger, say that again.

    distance: tokens between the remembered token and the last trigger; queries: triggers after the first, the others
    anywhere in between (training asks often, evaluation once). Before the pair stand up to lead random tokens.
    """

    distance: int
    queries: int = 1
    lead: int = 8

    axes: ClassVar[tuple[str, ...]] = ("distance",)
    symbols: ClassVar[int] = 16  # tokens 0 .. 15; 16 is the trigger
    vocab: ClassVar[int] = 17

    def __post_init__(self) -> None:
        _within("distance", self.distance, 0, None)
        _within("queries", self.queries, 1, self.distance + 1)
        _within("lead", self.lead, 0, None)

    @property
    def length(self) -> int:
        """Tokens of a sequence: what leads, the pair, what lies between, the last trigger."""
        return self.lead + self.distance + 3

    @property
    def answers(self) -> int:
        """Questions asked in a sequence."""
        return self.queries

    @property
    def guess(self) -> float:
        """Share of right answers of one who always says the commonest candidate."""
        return commonest(self.lead + self.distance + 2 - self.queries, self.symbols)

    def draw(self, batch: int, *, seed: Sequence[int] | int) -> Sequences:
        """Draw batch sequences; the same seed draws the same ones."""
        rng, row = _start(batch, seed)
        ids = rng.integers(0, self.symbols, (batch, self.length))
        between = self.lead + 2 + _distinct(rng, batch, self.distance, self.queries - 1)
        last = np.full((batch, 1), self.length - 1)
        at = np.concatenate([between, last], axis=1)  # (b, Q)
        ids[row, at] = self.symbols
        ids[:, self.lead] = self.symbols
        source = np.full_like(at, self.lead + 1)
        return _sequences(ids, at, ids[row, source], source)

    @staticmethod
    def label(token: int) -> str:
        """Return what a token is called on screen: symbols are letters, the trigger is a triangle."""
        return chr(ord("a") + token) if token < Induction.symbols else TRIGGER

    @staticmethod
    def role(token: int) -> str:
        """Return what a token is for: which symbol counts is known from the trigger before it."""
        return OTHER if token < Induction.symbols else KEY


@dataclass(frozen=True, slots=True)
class SelectiveCopying:
    """Selective copying (Gu & Dao 2023, section 4.1.1): coloured tokens among blanks, then all of them in order.

    count: coloured tokens, asked for at as many markers; span: places they are scattered over.
    """

    count: int
    span: int

    axes: ClassVar[tuple[str, ...]] = ("span", "count")
    colours: ClassVar[int] = 8  # tokens 0 .. 7; 8 is a blank, 9 the marker
    vocab: ClassVar[int] = 10

    def __post_init__(self) -> None:
        _within("count", self.count, 1, None)
        _within("span", self.span, self.count, None)

    @property
    def length(self) -> int:
        """Tokens of a sequence: the places and the markers."""
        return self.span + self.count

    @property
    def answers(self) -> int:
        """Questions asked in a sequence."""
        return self.count

    @property
    def guess(self) -> float:
        """Share of right answers of one who always says the commonest candidate."""
        return commonest(self.count, self.colours)

    def draw(self, batch: int, *, seed: Sequence[int] | int) -> Sequences:
        """Draw batch sequences; the same seed draws the same ones."""
        rng, row = _start(batch, seed)
        ids = np.full((batch, self.length), self.colours)
        source = np.sort(_distinct(rng, batch, self.span, self.count), axis=1)  # (b, count)
        colours = rng.integers(0, self.colours, (batch, self.count))
        ids[row, source] = colours
        ids[:, self.span :] = self.colours + 1
        at = np.broadcast_to(self.span + np.arange(self.count), (batch, self.count))
        return _sequences(ids, at, colours, source)

    @staticmethod
    def label(token: int) -> str:
        """Return the label of a token on screen: letters for tokens to copy, a dot for a blank, a query mark."""
        if token < SelectiveCopying.colours:
            return chr(ord("A") + token)
        return FILLER if token == SelectiveCopying.colours else MARKER

    @staticmethod
    def role(token: int) -> str:
        """Return what a token is for."""
        if token < SelectiveCopying.colours:
            return VALUE
        return FILL if token == SelectiveCopying.colours else KEY


def values_of(cell: RecallCell) -> dict[str, int]:
    """Return what a cell is called in a grid: its values along the task's axes."""
    fields: dict[str, Any] = asdict(cell)  # type: ignore[call-overload]
    return {axis: int(fields[axis]) for axis in cell.axes}


@cache
def commonest(draws: int, symbols: int) -> float:
    """Return the expected share of the commonest of `symbols` among `draws` independent, evenly likely draws.

    Exact: counts that add up to `draws` are independent Poisson counts of mean draws/symbols under that condition.
    """
    mean = draws / symbols
    counts = np.arange(draws + 1)
    poisson = np.exp(counts * math.log(mean) - mean - np.array([math.lgamma(n + 1) for n in counts]))
    total = _all_within(poisson, draws, symbols)
    fair = -(-draws // symbols)  # the commonest has at least its share, so it exceeds every smaller number for sure
    expected = float(fair)
    for most in range(fair, draws):  # the mean of a count is the sum of its chances to exceed 0, 1, ..
        exceeds = 1 - _all_within(poisson[: most + 1], draws, symbols) / total
        expected += exceeds
        if exceeds < NEGLIGIBLE:
            break
    return expected / draws


def _all_within(chances: npt.NDArray[np.float64], draws: int, symbols: int) -> float:
    """Return the chance that so many counts, each with these chances to be 0, 1, .., add up to draws.

    It is a coefficient of their polynomial to the power of symbols.
    """
    size = symbols * (len(chances) - 1) + 1
    return float(np.fft.irfft(np.fft.rfft(chances, size) ** symbols, size)[draws]) if draws < size else 0.0


def _within(name: str, value: int, low: int, high: int | None) -> None:
    if value < low or (high is not None and value > high):
        bounds = f"at least {low}" if high is None else f"{low} to {high}"
        message = f"{name} must be {bounds}, got {value}"
        raise SettingError("errors.setting_range", message, name=name, value=value, low=low, high=high or "any")


def _start(batch: int, seed: Sequence[int] | int) -> tuple[np.random.Generator, Ints]:
    """Return a generator and the row numbers (b, 1)."""
    _within("batch", batch, 1, None)
    return np.random.default_rng(seed), np.arange(batch)[:, None]


def _distinct(rng: np.random.Generator, batch: int, size: int, count: int) -> Ints:
    """Draw count different numbers below size for every row (b, count)."""
    everything = np.broadcast_to(np.arange(size), (batch, size))
    return rng.permuted(everything, axis=1)[:, :count]


def _sequences(ids: Ints, at: Ints, answers: Ints, source: Ints) -> Sequences:
    row = np.arange(len(ids))[:, None]
    targets, sources = np.full_like(ids, NOTHING), np.full_like(ids, -1)
    targets[row, at] = answers
    sources[row, at] = source
    return Sequences(*(torch.from_numpy(x.astype(np.int64)) for x in (ids, targets, sources)))
