"""Say which architecture of a run is faster than which, at the longest context that both were measured at."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from models.bench.comparing import rounds
from models.bench.rows import Measurement
from models.bench.statistics import Verdict, verdict

PHASES = ("prefill", "decode")
_ALIKE = ("size", "view", "dtype", "device", "kernels", "attention", "decode_tokens", "protocol_version")


@dataclass(frozen=True, slots=True)
class Judged:
    """Two cells that differ in nothing but the architecture, and what can be said of one phase; a over b in time."""

    phase: str
    a: Measurement
    b: Measurement
    found: Verdict


def judged(rows: Sequence[Measurement]) -> Iterator[Judged]:
    """Judge each pair of architectures at every batch, both phases at the longest common context.

    Rows are compared only where size, view, number type, device, kernels, attention and tokens agree; cells at a
    largest batch are left out, since they differ in batch, and so is a phase without samples.
    """
    measured = [row for row in rows if row.measured and not row.batch_limit]
    kinds = dict.fromkeys((row.batch, *(getattr(row, name) for name in _ALIKE)) for row in measured)
    for kind in kinds:
        alike = [row for row in measured if (row.batch, *(getattr(row, name) for name in _ALIKE)) == kind]
        found = {(row.architecture, row.context): row for row in alike}
        for one, other in itertools.combinations(dict.fromkeys(row.architecture for row in alike), 2):
            shared = {c for name, c in found if name == one} & {c for name, c in found if name == other}
            if shared:
                yield from _of(found[one, max(shared)], found[other, max(shared)])


def _of(a: Measurement, b: Measurement) -> Iterator[Judged]:
    for phase in PHASES:
        times = [rounds(row, phase) for row in (a, b)]
        if all(times):
            yield Judged(phase, a, b, verdict(*times))
