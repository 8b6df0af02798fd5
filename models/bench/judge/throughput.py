"""Tokens per second of two architectures: at the same batch, and at the largest batches that fit one memory."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.bench.judge.comparison import of_same_turns, rounds
from models.bench.judge.statistics import verdict
from models.bench.judge.verdicts import comparable, were_interleaved
from models.records.interval import Interval
from models.records.measurement import Measurement


@dataclass(frozen=True, slots=True)
class EqualMemory:
    """The row of the largest measured batch of each architecture that needs no more than limit_bytes.

    An architecture of which no batch fits is missing. A larger batch that was not measured may fit as well.
    """

    context: int
    limit_bytes: int
    rows: Mapping[str, Measurement]

    def ratio(self, a: str, b: str) -> Interval | None:
        """Estimate how many times as many tokens per second a makes as b; None where either is missing."""
        if a not in self.rows or b not in self.rows:
            return None
        return rate_ratio(self.rows[a], self.rows[b])


def at_equal_memory(rows: Sequence[Measurement], *, limit_bytes: int | None = None) -> EqualMemory | None:
    """Find the largest batches that fit a memory, where most architectures, and of those most batches, were measured.

    limit_bytes: weights and peak together; without it what the architecture needs that needs least at its largest
    batch. None without two architectures at one context.
    """
    known = [row for row in rows if row.timed and row.decode_ms_samples and needed_bytes(row) is not None]
    counts = Counter(row.context for row in known)
    if not counts:
        return None
    names = {one: len({row.architecture for row in known if row.context == one}) for one in counts}
    context = max(counts, key=lambda one: (names[one], counts[one], one))
    here: dict[str, list[Measurement]] = {}
    for row in known:
        if row.context == context:
            here.setdefault(row.architecture, []).append(row)
    if len(here) < 2:
        return None
    if limit_bytes is None:
        limit_bytes = min(_needs(max(own, key=lambda row: row.batch)) for own in here.values())
    fitting = {name: [row for row in own if _needs(row) <= limit_bytes] for name, own in here.items()}
    largest = {name: max(own, key=lambda row: row.batch) for name, own in fitting.items() if own}
    return EqualMemory(context, limit_bytes, largest)


def by_batch(rows: Sequence[Measurement], a: str, b: str) -> dict[int, Interval]:
    """Estimate how many times as many tokens per second a makes as b, at every batch that both have.

    Returns the ratio at the longest common context of each batch. Cells of a search for a largest batch are left out:
    those of two architectures differ in batch.
    """
    pairs: dict[int, tuple[Measurement, Measurement]] = {}
    for kind in comparable(rows):
        one, other = kind.get(a, {}), kind.get(b, {})
        shared = [n for n in one.keys() & other.keys() if one[n].decode_ms_samples and other[n].decode_ms_samples]
        if shared:
            pair = one[max(shared)], other[max(shared)]
            batch = pair[0].batch
            pairs[batch] = max(pairs.get(batch, pair), pair, key=lambda both: both[0].context)
    return {batch: rate_ratio(*pairs[batch]) for batch in sorted(pairs)}


def rate_ratio(a: Measurement, b: Measurement) -> Interval:
    """Estimate how many times as many tokens per second a row makes as another, with the 95 % interval over rounds.

    Rounds are paired only where the two cells were interleaved.
    """
    paired = a.batch == b.batch and of_same_turns(a, b) and were_interleaved(a, b)
    times = verdict(rounds(b, "decode"), rounds(a, "decode"), paired=paired).ratio
    more = a.batch / b.batch
    return Interval(more * times.value, more * times.low, more * times.high)


def needed_bytes(row: Measurement) -> int | None:
    """Return the bytes of a row's weights and its peak above them; None where either is unknown."""
    if row.bytes_weights is None or row.peak_bytes is None:
        return None
    return row.bytes_weights + row.peak_bytes


def _needs(row: Measurement) -> int:
    return needed_bytes(row) or 0
