"""Rules by which an expectation on a run is met, not met, or undecided, each by the measured rows alone."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, Protocol

from models.bench.judge import crossing, curves, generation, throughput
from models.bench.judge.comparison import of_same_turns, rounds
from models.bench.judge.crossing import Crossing
from models.bench.judge.curves import Curve
from models.bench.judge.statistics import verdict
from models.bench.judge.verdicts import were_interleaved
from models.counting.accounting import Shape
from models.records.interval import Interval
from models.records.measurement import Measurement

Outcome = Literal["met", "not_met", "undecided"]
Rows = Sequence[Measurement]

GROWING = ("generation", "prefill")
CROSSING = ("generation", "prefill", "decode", "peak_bytes", "carried_bytes")
PHASES = ("prefill", "decode", "e2e")
PLACES = ("equal_memory", "batch_1")
GROWTHS = ("constant", "proportional")
SAME = 0.01  # within which bytes count as equal or in proportion


@dataclass(frozen=True, slots=True)
class Evidence:
    """The rows of a run, and the shapes of its sources that are known here."""

    rows: Rows
    shapes: Mapping[str, Shape]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of an expectation. seen: the sentence of what was measured, with its values; why: what is lacking.

    seen and why are the last parts of keys of assets/words; "" where there is nothing to say.
    """

    outcome: Outcome
    seen: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""


class Rule(Protocol):
    """One kind of expectation with what it is asked of."""

    def judge(self, evidence: Evidence) -> Judgement:
        """Judge the rows of a run."""


@dataclass(frozen=True, slots=True)
class ExponentBetween:
    """The cost of an architecture grows by a power of length between two exponents."""

    architecture: str
    quantity: str
    low: float
    high: float

    def __post_init__(self) -> None:
        _one_of("quantity", self.quantity, GROWING)
        _rising(self.low, self.high)

    def judge(self, evidence: Evidence) -> Judgement:
        """Compare the interval of the exponent with the two."""
        found = _curves(evidence.rows, self.quantity, prompt=False).get(self.architecture)
        if found is None or len(found.fitted) < 3:
            return _lacking("few_lengths")
        return _inside(curves.exponent(found), self.low, self.high, "exponent", name=self.architecture)


@dataclass(frozen=True, slots=True)
class ExponentHigher:
    """The cost of an architecture grows by a higher power of length than that of each of some others."""

    architecture: str
    than: tuple[str, ...]
    quantity: str

    def __post_init__(self) -> None:
        _one_of("quantity", self.quantity, GROWING)

    def judge(self, evidence: Evidence) -> Judgement:
        """Compare with each; the smallest difference is the one that is shown."""
        found = _curves(evidence.rows, self.quantity, prompt=False)
        names = (self.architecture, *self.than)
        if any(name not in found or len(found[name].fitted) < 3 for name in names):
            return _lacking("few_lengths")
        every = [curves.exponent_difference(found[self.architecture], found[name]) for name in self.than]
        least = min(range(len(every)), key=lambda i: every[i].low)
        values = {"name": self.architecture, "other": self.than[least]}
        if (refuted := next((n for n, one in enumerate(every) if one.high < 0), None)) is not None:
            least, values = refuted, {**values, "other": self.than[refuted]}
        return _inside(every[least], 0.0, math.inf, "exponent_more", **values)


@dataclass(frozen=True, slots=True)
class Crosses:
    """One architecture is cheaper at first, another from some length on."""

    first: str
    then: str
    quantity: str

    def __post_init__(self) -> None:
        _one_of("quantity", self.quantity, CROSSING)

    def judge(self, evidence: Evidence) -> Judgement:
        """Find the crossing: bytes that are carried by their formula, all else between measured lengths."""
        found = crossing_of(evidence, self.quantity, (self.first, self.then))
        if found is None:
            return _lacking("few_lengths")
        values = {"first": found.first, "then": found.then, "at": found.at, "within": found.within}
        seen = f"{found.kind}_{found.basis}" if found.kind == "crosses" else found.kind
        if found.kind in ("undecided", "by"):
            return Judgement("undecided", seen, values, "unsure")
        met = found.kind == "crosses" and (found.first, found.then) == (self.first, self.then)
        return Judgement("met" if met else "not_met", seen, values)


@dataclass(frozen=True, slots=True)
class Timed:
    """A cell and a phase of it. context: tokens, or "shortest" or "longest" of those that both of a ratio have."""

    architecture: str
    phase: str
    context: int | str
    size: str = ""

    def __post_init__(self) -> None:
        _one_of("phase", self.phase, PHASES)
        if isinstance(self.context, str):
            _one_of("context", self.context, ("shortest", "longest"))

    def among(self, rows: Rows) -> dict[int, dict[int, Measurement]]:
        """Return the rows that have times of the phase, by batch and context."""
        found: dict[int, dict[int, Measurement]] = {}
        for row in rows:
            alike = row.architecture == self.architecture and (not self.size or row.size == self.size)
            if alike and row.timed and not row.batch_limit and getattr(row, f"{self.phase}_ms_samples"):
                found.setdefault(row.batch, {})[row.context] = row
        return found


@dataclass(frozen=True, slots=True)
class TimeRatio:
    """One time lies between two multiples of another."""

    over: Timed
    under: Timed
    low: float = 0.0
    high: float = math.inf

    def __post_init__(self) -> None:
        _rising(self.low, self.high)

    def judge(self, evidence: Evidence) -> Judgement:
        """Compare the interval of the ratio with the two; rounds are paired where both are phases of the same turns."""
        pair = self._pair(evidence.rows)
        if pair is None:
            return _lacking("no_times")
        a, b = pair
        together = a.context == b.context and of_same_turns(a, b) and were_interleaved(a, b)
        times = rounds(a, self.over.phase), rounds(b, self.under.phase)
        ratio = verdict(*times, paired=together).ratio
        seen = "ratio" if a.context == b.context and self.over.phase == self.under.phase else "ratio_unlike"
        return _inside(ratio, self.low, self.high, seen, name=a.architecture, other=b.architecture, context=a.context)

    def _pair(self, rows: Rows) -> tuple[Measurement, Measurement] | None:
        over, under = self.over.among(rows), self.under.among(rows)
        batch = min(over.keys() & under.keys(), default=None)
        if batch is None:
            return None
        a, b = over[batch], under[batch]
        shared = a.keys() & b.keys()
        found = []
        for one, timed in ((a, self.over), (b, self.under)):
            ends = {"shortest": min(shared, default=None), "longest": max(shared, default=None)}
            context = ends[timed.context] if isinstance(timed.context, str) else timed.context
            if context is None or context not in one:
                return None
            found.append(one[context])
        return found[0], found[1]


@dataclass(frozen=True, slots=True)
class BytesGrow:
    """What an architecture carries from token to token stays the same, or grows in proportion to the context."""

    architecture: str
    growth: str

    def __post_init__(self) -> None:
        _one_of("growth", self.growth, GROWTHS)

    def judge(self, evidence: Evidence) -> Judgement:
        """Compare the bytes that were counted on the live cache at the shortest and the longest context."""
        batches: dict[int, dict[int, int]] = {}
        for row in evidence.rows:
            if row.architecture == self.architecture and row.measured and row.cache_bytes and not row.batch_limit:
                batches.setdefault(row.batch, {})[row.context] = row.cache_bytes
        found = next((batches[batch] for batch in sorted(batches) if len(batches[batch]) > 1), {})
        if not found:
            return _lacking("few_lengths")
        short, long = min(found), max(found)
        expected = 1.0 if self.growth == "constant" else long / short
        factor = found[long] / found[short]
        met = abs(factor / expected - 1) <= SAME
        values = {"name": self.architecture, "short": short, "long": long, "low_bytes": found[short],
                  "high_bytes": found[long]}  # fmt: skip
        return Judgement("met" if met else "not_met", "bytes", values)


@dataclass(frozen=True, slots=True)
class ThroughputRatio:
    """One architecture makes between two multiples of the tokens per second of another."""

    over: str
    under: str
    at: str
    low: float = 0.0
    high: float = math.inf

    def __post_init__(self) -> None:
        _one_of("at", self.at, PLACES)
        _rising(self.low, self.high)

    def judge(self, evidence: Evidence) -> Judgement:
        """Compare the interval of the ratio with the two."""
        if self.at == "batch_1":
            ratio = throughput.by_batch(evidence.rows, self.over, self.under).get(1)
            values: dict[str, Any] = {"batch": 1, "other_batch": 1}
        else:
            pair = (self.over, self.under)
            equal = throughput.at_equal_memory([row for row in evidence.rows if row.architecture in pair])
            ratio = equal.ratio(self.over, self.under) if equal else None
            values = _batches(equal, self.over, self.under) if equal and ratio else {}
        if ratio is None:
            return _lacking("no_batches")
        return _inside(ratio, self.low, self.high, self.at, name=self.over, other=self.under, **values)


@dataclass(frozen=True, slots=True)
class LargerBatch:
    """Of one memory an architecture makes room for a larger batch than another."""

    architecture: str
    than: str

    def judge(self, evidence: Evidence) -> Judgement:
        """Compare the largest measured batches that fit the memory of the less needy at its largest."""
        pair = (self.architecture, self.than)
        equal = throughput.at_equal_memory([row for row in evidence.rows if row.architecture in pair])
        if equal is None or len(equal.rows) < 2:
            return _lacking("no_batches")
        values = _batches(equal, *pair)
        met = values["batch"] > values["other_batch"]
        return Judgement(
            "met" if met else "not_met", "batches", values | {"name": self.architecture, "other": self.than}
        )


RULES: Mapping[str, Callable[..., Rule]] = MappingProxyType(
    {
        "exponent_between": ExponentBetween,
        "exponent_higher": ExponentHigher,
        "crosses": Crosses,
        "time_ratio": TimeRatio,
        "bytes_grow": BytesGrow,
        "throughput_ratio": ThroughputRatio,
        "larger_batch": LargerBatch,
    }
)


def crossing_of(evidence: Evidence, quantity: str, names: tuple[str, str]) -> Crossing | None:
    """Find from which length on one of two architectures is cheaper; None where it cannot be looked for.

    Bytes that are carried are taken from their formula, all else from between measured lengths.
    """
    rows, shapes = evidence.rows, evidence.shapes
    if quantity in ("generation", "prefill", "decode"):
        found = _curves(rows, quantity)
        return crossing.of_times(found[names[0]], found[names[1]], names=names) if {*names} <= found.keys() else None
    kind = curves.alike(rows)
    if not {*names} <= kind.keys():
        return None
    if quantity == "peak_bytes":
        a, b = ({n: float(row.peak_bytes) for n, row in kind[name].items() if row.peak_bytes} for name in names)
        return crossing.of_cells(a, b, names=names)
    one, other = (next(iter(kind[name].values())) for name in names)
    if one.tool or other.tool or one.source not in shapes or other.source not in shapes:
        return None
    return crossing.of_formula(shapes[one.source], shapes[other.source], names=names, dtype=one.dtype, batch=one.batch)


def _curves(rows: Rows, quantity: str, *, prompt: bool = True) -> Mapping[str, Curve]:
    return generation.curves(rows, prompt=prompt) if quantity == "generation" else curves.phase_curves(rows, quantity)


def _batches(equal: throughput.EqualMemory, a: str, b: str) -> dict[str, Any]:
    return {
        "batch": equal.rows[a].batch, "other_batch": equal.rows[b].batch, "limit_bytes": equal.limit_bytes,
        "context": equal.context,
    }  # fmt: skip


def _inside(found: Interval, low: float, high: float, seen: str, **values: Any) -> Judgement:
    """Judge an interval: met where all of it lies between two numbers, not met where none of it does."""
    values["found"] = found
    if not (math.isfinite(found.low) and math.isfinite(found.high)):
        return Judgement("undecided", seen, values, "once")
    if low <= found.low and found.high <= high:
        return Judgement("met", seen, values)
    if found.high < low or found.low > high:
        return Judgement("not_met", seen, values)
    return Judgement("undecided", seen, values, "unsure")


def _lacking(why: str) -> Judgement:
    return Judgement("undecided", why=why)


def _one_of(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(f"{name} is {value!r}: choose one of {', '.join(choices)}")


def _rising(low: float, high: float) -> None:
    if not low < high:
        raise ValueError(f"low is {low:g} and high is {high:g}: low must be less")
