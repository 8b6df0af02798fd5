"""Compare two runs cell by cell. Cells that were measured in different ways are not joined; the reason is returned."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from models.bench.judge.statistics import Rounds, Verdict, rounds_of, verdict
from models.records.measurement import Measurement
from models.records.run import Run

PHASES = ("prefill", "first_token", "decode", "e2e")
BETWEEN_RUNS = 0.05  # heat and clocks differ from run to run, which no interval over the rounds of one contains

# What must be equal, in the order it is looked at. The first that no row of the other run shares is the reason.
_SAME: tuple[tuple[str, Callable[[Measurement], Any]], ...] = (
    ("architecture", lambda row: row.architecture),
    ("size", lambda row: row.size),
    ("protocol_version", lambda row: row.protocol_version),
    ("view", lambda row: row.view),
    ("host", lambda row: str(row.environment.get("host_cpu", ""))),  # a file may hold any value there
    ("device", lambda row: str(row.environment.get("device_name") or row.device.partition(":")[0])),
    ("dtype", lambda row: row.dtype),
    ("config_hash", lambda row: row.config_hash),
    ("context", lambda row: row.context),
    ("batch", lambda row: row.batch),
    ("decode_tokens", lambda row: row.decode_tokens),
    ("kernels", lambda row: row.kernels),
    ("attention", lambda row: row.attention),
    ("experts", lambda row: row.experts),
    ("captured", lambda row: row.captured),
)
REASONS = (*(name for name, _ in _SAME), "unmeasured", "unmeasured_there", "state", "rounds", "once")

# What may differ, as it can be the very thing that is compared, but has to be said.
_MOMENT = ("sm_clock_mhz", "temperature_c")  # of the machine, other at every look
_REPORTED = ("threads", "rounds", "seed", "graph", "source")


@dataclass(frozen=True, slots=True)
class CellPair:
    """A cell that both runs measured in the same way.

    verdicts: per phase both have samples of; "faster" means that the first run took less time.
    changed: what else differs, such as threads, the commit or the code of a function, as (first, second).
    """

    a: Measurement
    b: Measurement
    verdicts: Mapping[str, Verdict]
    changed: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)

    def ratio(self, column: str) -> float | None:
        """Return first over second of a number, such as peak_bytes; None where either lacks it or is zero."""
        a, b = getattr(self.a, column), getattr(self.b, column)
        return a / b if a and b else None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A cell that was not joined. reason: the key store.refused.<reason>, filled with values."""

    cell: Measurement
    second: bool  # it is a cell of the second run
    reason: str
    values: Mapping[str, Any]

    @property
    def key(self) -> str:
        """Return the key of the sentence."""
        return f"store.refused.{self.reason}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs beside each other: what could be joined, and what could not."""

    pairs: tuple[CellPair, ...]
    refused: tuple[Refusal, ...]


def compare(a: Run, b: Run) -> Comparison:
    """Join the cells of two runs that were measured in the same way; every other cell of either is refused."""
    pairs: list[CellPair] = []
    refused: list[Refusal] = []
    mine, theirs = (_Index([row for row in run.current if row.measured]) for run in (a, b))
    missing = {row.cell_id for row in b.current if not row.measured}
    free = {id(row): row for row in theirs.rows}
    named: set[int] = set()  # rows of b that a refusal has already spoken of
    for row in a.current:
        partners, reason, values = theirs.partners(row)
        left = [other for other in partners if id(other) in free]
        if not row.measured:
            named.update(id(other) for other in left if other.cell_id == row.cell_id)
            refused.append(Refusal(row, False, "unmeasured", {}))
        elif reason:
            named.update(id(other) for other in partners)
            there = {} if row.cell_id in missing else values
            refused.append(Refusal(row, False, "unmeasured_there" if row.cell_id in missing else reason, there))
        elif not left:
            refused.append(Refusal(row, False, "once", {}))
        else:
            other = _most_similar(row, left)
            del free[id(other)]
            if not (row.timed and other.timed):
                refused.append(Refusal(row, False, "state", {"mine": _times(row), "theirs": _times(other)}))
            elif not (row.in_rounds and other.in_rounds):
                refused.append(Refusal(row, False, "rounds", {"tool": row.tool}))
            else:
                pairs.append(_pair(row, other))
    return Comparison(tuple(pairs), (*refused, *_further(a, b, mine, (free[key] for key in free if key not in named))))


def _further(a: Run, b: Run, mine: "_Index", rows: Iterable[Measurement]) -> list[Refusal]:
    """Refuse the cells of the second run that no refusal of the first has spoken of. rows: measured ones."""
    found = []
    for row in rows:
        _, reason, values = mine.partners(row)
        found.append(Refusal(row, True, reason or "once", values))
    told = {row.cell_id for row in a.current}
    missing = (row for row in b.current if not row.measured and row.cell_id not in told)
    return found + [Refusal(row, True, "unmeasured_there", {}) for row in missing]


def rounds(row: Measurement, phase: str) -> Rounds:
    """Return the samples of a phase by round. Steps of one round share the state of the machine."""
    samples: Sequence[float] = getattr(row, f"{phase}_ms_samples")
    return rounds_of(samples, row.rounds if phase == "decode" else len(samples))


def of_same_turns(a: Measurement, b: Measurement) -> bool:
    """Return whether the rounds of two rows were made in the same turns: not where one of them left a round out.

    Other programs measure one cell after the other.
    """
    return not (a.rounds_unsteady or b.rounds_unsteady or a.tool or b.tool)


class _Index:
    """An index of the rows of a run by the values that must be equal, to find the partners of a row quickly."""

    def __init__(self, rows: Sequence[Measurement]) -> None:
        self.rows = rows
        self._alike: dict[tuple[Any, ...], list[Measurement]] = {(): list(rows)}  # by the first values of _SAME
        self._next: dict[tuple[Any, ...], set[Any]] = {}  # the values that follow them
        for row in rows:
            values = _values(row)
            for count, value in enumerate(values):
                self._next.setdefault(values[:count], set()).add(value)
                self._alike.setdefault(values[: count + 1], []).append(row)

    def partners(self, row: Measurement) -> tuple[list[Measurement], str, Mapping[str, Any]]:
        """Return the rows measured like this one; else those that come nearest, and what no row shares."""
        values = _values(row)
        for count, (name, _) in enumerate(_SAME):
            if values[: count + 1] not in self._alike:
                near = values[:count]
                theirs = ", ".join(map(str, sorted(self._next.get(near, ()))))
                far = [] if name in ("architecture", "size", "context", "batch") else self._alike[near]
                return far, name, MappingProxyType({"mine": values[count], "theirs": theirs})
        return self._alike[values], "", {}


def _values(row: Measurement) -> tuple[Any, ...]:
    return tuple(value(row) for _, value in _SAME)


def _most_similar(row: Measurement, partners: Sequence[Measurement]) -> Measurement:
    return max(
        partners,
        key=lambda other: (other.timed, other.measured, other.cell_id == row.cell_id, other.source == row.source),
    )


def _times(row: Measurement) -> str:
    """Return the state of a measured row, "untimed" where no round of it was steady."""
    return row.state if row.timed else "untimed"


def _pair(a: Measurement, b: Measurement) -> CellPair:
    verdicts = {}
    for phase in PHASES:
        first, second = rounds(a, phase), rounds(b, phase)
        if first and second:
            verdicts[phase] = verdict(first, second, negligible=BETWEEN_RUNS, paired=of_same_turns(a, b))
    changed = {name: (getattr(a, name), getattr(b, name)) for name in _REPORTED if getattr(a, name) != getattr(b, name)}
    for one, other in ((a.implementation, b.implementation), (a.environment, b.environment)):
        for name in sorted({*one, *other}):
            if one.get(name) != other.get(name) and name not in _MOMENT:
                changed[name] = (one.get(name), other.get(name))
    return CellPair(a, b, MappingProxyType(verdicts), MappingProxyType(changed))
