"""Compare the architectures of one run pairwise, at the longest context for which both have a measurement."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from models.bench.judge.comparison import BETWEEN_RUNS, of_same_turns, rounds
from models.bench.judge.statistics import NEGLIGIBLE, Verdict, verdict
from models.records.measurement import Measurement

PHASES = ("prefill", "decode")
_ALIKE = ("size", "view", "dtype", "device", "kernels", "attention", "decode_tokens", "protocol_version")


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict on one phase of two cells that differ only in the architecture; the ratio is time of a over b.

    margin: the share from which a difference counts, larger for cells that were not interleaved.
    """

    phase: str
    a: Measurement
    b: Measurement
    found: Verdict
    margin: float


def judged(rows: Sequence[Measurement]) -> Iterator[Judged]:
    """Judge each pair of architectures at every batch, both phases at the longest common context.

    Rows are compared only where size, view, number type, device, kernels, attention and tokens agree, and where both
    replay captured steps or neither does. Cells at a largest batch are left out, since they differ in batch, and so is
    a cell or a phase without samples, as of one that had no steady round, or whose samples are not of rounds.
    """
    for found in comparable(rows):
        for one, other in itertools.combinations(found.values(), 2):
            shared = one.keys() & other.keys()
            if shared:
                yield from _of(one[max(shared)], other[max(shared)])


def comparable(rows: Sequence[Measurement]) -> list[Mapping[str, Mapping[int, Measurement]]]:
    """Sort rows with times by round, measured in one way and at no largest batch, by architecture and context."""
    kinds: dict[tuple[object, ...], dict[str, dict[int, Measurement]]] = {}
    for row in rows:
        if row.timed and row.in_rounds and not row.batch_limit:
            kinds.setdefault(_kind(row), {}).setdefault(row.architecture, {})[row.context] = row
    return list(kinds.values())


def were_interleaved(a: Measurement, b: Measurement) -> bool:
    """Return whether two cells were interleaved; cells without times count as interleaved, other programs' do not."""
    if a.tool or b.tool:
        return False
    spells = [(row.started_ns, row.ended_ns) for row in (a, b) if row.started_ns and row.ended_ns]
    return len(spells) < 2 or max(began for began, _ in spells) < min(ended for _, ended in spells)


def _kind(row: Measurement) -> tuple[object, ...]:
    return (row.batch, row.captured, *(getattr(row, name) for name in _ALIKE))


def _of(a: Measurement, b: Measurement) -> Iterator[Judged]:
    margin = NEGLIGIBLE if were_interleaved(a, b) else BETWEEN_RUNS
    for phase in PHASES:
        times = [rounds(row, phase) for row in (a, b)]
        if all(times):
            yield Judged(phase, a, b, verdict(*times, negligible=margin, paired=of_same_turns(a, b)), margin)
