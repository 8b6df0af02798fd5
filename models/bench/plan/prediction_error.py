"""Set what was predicted against what was measured, and ask what the rows of other runs would have predicted."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.bench.plan.learning import Lesson, gather, lessons, on, prefill_ms, undisturbed
from models.bench.plan.prediction import UNKNOWN_GPU, Rates, predict
from models.bench.plan.rates import by_device, from_roofline_peaks
from models.machine import facts
from models.records.measurement import PROTOCOL_VERSION, Measurement

QUANTITIES = ("bytes", "prefill", "decode", "seconds")  # the peak with the weights, a prompt, a step, the whole cell
LEARNT = QUANTITIES[:3]  # a row does not tell how many rounds were planned, which the whole cell depends on


@dataclass(frozen=True, slots=True)
class Deviation:
    """What was predicted of a cell and what was measured, both in bytes or both in seconds."""

    row: Measurement
    predicted: float
    measured: float

    @property
    def ratio(self) -> float:
        """Return predicted over measured."""
        return self.predicted / self.measured

    @property
    def error(self) -> float:
        """Return the difference as a share of what was measured."""
        return abs(self.ratio - 1)


@dataclass(frozen=True, slots=True)
class ErrorSummary:
    """The errors of several cells.

    ratio: the median of predicted over measured; middle: the median error; nine_of_ten: the one that nine of ten cells
    stay within; worst: the pair with the largest.
    """

    count: int
    ratio: float
    middle: float
    nine_of_ten: float
    worst: Deviation


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A quantity of the rows of a device, each row predicted twice: with nothing learnt, and by the other runs."""

    bare: tuple[Deviation, ...]
    learnt: tuple[Deviation, ...]


@dataclass(frozen=True, slots=True)
class DeviceErrors:
    """What the rows of a device say of its predictions, by quantity.

    device: the name of the processor or of the GPU. here: whether it is of this machine; held_out is empty otherwise.
    """

    device: str
    here: bool
    pairs: Mapping[str, tuple[Deviation, ...]]
    held_out: Mapping[str, HeldOut]


def of_store(rows: Iterable[Measurement], rates: Rates, *, newest: int | None = None) -> tuple[DeviceErrors, ...]:
    """Judge the predictions of every device that measured rows, those of this machine first.

    rates: of this machine. newest: how many rows, of those that come first, are predicted from other runs.
    """
    rows = [row for row in rows if row.measured]
    ours = by_device(rows)
    theirs: dict[str, list[Measurement]] = {}
    known = {id(row) for every in ours.values() for row in every}
    for row in rows:
        if id(row) not in known:
            name = row.environment.get("host_cpu" if row.device == "cpu" else "device_name")
            theirs.setdefault(str(name or row.device), []).append(row)
    here = {name or facts.processor(): (every, True) for name, every in sorted(ours.items())}
    return tuple(
        DeviceErrors(
            name,
            local,
            {quantity: pairs(every, quantity) for quantity in QUANTITIES},
            held_out(every[:newest], rates) if local else {},
        )
        for name, (every, local) in [*here.items(), *((name, (every, False)) for name, every in sorted(theirs.items()))]
    )


def pairs(rows: Iterable[Measurement], quantity: str) -> tuple[Deviation, ...]:
    """Return the predictions that stand in the rows, with what was measured then.

    Every measured row counts for bytes; times are those of an undisturbed machine. Rows that carry the prediction of
    another cell, the longer or larger one that was tried before, are left out.
    """
    found = ((row, _foretold(row, quantity)) for row in rows if _own(row) and (quantity == "bytes" or undisturbed(row)))
    return tuple(Deviation(row, *both) for row, both in found if both is not None and min(both) > 0)


def summarise(found: Sequence[Deviation]) -> ErrorSummary | None:
    """Sum up the errors of pairs; None without any."""
    if not found:
        return None
    errors = [pair.error for pair in found]
    return ErrorSummary(
        len(found),
        float(np.median([pair.ratio for pair in found])),
        float(np.median(errors)),
        float(np.quantile(errors, 0.9, method="inverted_cdf")),
        max(found, key=lambda pair: pair.error),
    )


def held_out(rows: Iterable[Measurement], rates: Rates) -> dict[str, HeldOut]:
    """Predict every run of one device from all its other runs, and with nothing learnt: what learning is worth.

    rows: of one device of this machine. rates: of this machine; what they have learnt is not used. A GPU of which
    nothing is known has careful guesses, one with rows the roofline peaks of these. A quantity is left out where no row
    has it, and all are where there is a single run.
    """
    rows = list(rows)
    gpu = any(row.device != "cpu" for row in rows)
    first = from_roofline_peaks(rows) if gpu else rates.unlearnt
    every = lessons(rows, first)
    found: dict[str, tuple[list[Deviation], list[Deviation]]] = {quantity: ([], []) for quantity in LEARNT}
    for others, left_out in _split(every):
        learnt = gather(others, first)
        for one in left_out:
            for place, known in enumerate((UNKNOWN_GPU if gpu else first, learnt)):
                for quantity, pair in _again(one, known):
                    found[quantity][place].append(pair)
    return {name: HeldOut(tuple(bare), tuple(learnt)) for name, (bare, learnt) in found.items() if bare}


def _split(every: Sequence[Lesson]) -> Iterator[tuple[list[Lesson], list[Lesson]]]:
    """Leave out one run after the other; nothing where there is only one."""
    runs = sorted({one.row.run_id for one in every})
    for run_id in runs if len(runs) > 1 else ():
        yield [one for one in every if one.row.run_id != run_id], [one for one in every if one.row.run_id == run_id]


def _again(one: Lesson, rates: Rates) -> Iterator[tuple[str, Deviation]]:
    """Predict a measured cell by these rates of its device."""
    guess = predict(one.cell, one.shape, rates=on(one.cell.device, rates))
    values = {"bytes": guess.bytes_total, "prefill": guess.prefill_ms / 1e3, "decode": guess.decode_ms / 1e3}
    for quantity, predicted in values.items():
        measured = measured_value(one.row, quantity)
        if measured and (quantity == "bytes" or quantity in one.ratios):
            yield quantity, Deviation(one.row, predicted, measured)


def measured_value(row: Measurement, quantity: str) -> float | None:
    """Return what a row measured of a quantity, in bytes or seconds."""
    if quantity == "bytes":
        known = row.peak_bytes is not None and row.bytes_weights is not None
        return float((row.bytes_weights or 0) + (row.peak_bytes or 0)) if known else None
    if quantity == "seconds":
        return row.spent_s
    ms = prefill_ms(row) if quantity == "prefill" else row.tpot_ms_med
    return None if ms is None else ms / 1e3


def _foretold(row: Measurement, quantity: str) -> tuple[float, float] | None:
    stored = {"bytes": row.pred_bytes, "seconds": row.pred_s, "prefill": row.pred_prefill_ms, "decode": row.pred_ms}
    predicted, measured = stored[quantity], measured_value(row, quantity)
    if predicted is None or measured is None:
        return None
    return float(predicted) / (1e3 if quantity in ("prefill", "decode") else 1), measured


def _own(row: Measurement) -> bool:
    """Return whether a measured row carries the prediction of its own cell: then its own parts make up the whole."""
    parts = (row.bytes_weights, row.cache_bytes_formula, row.bytes_logits, row.bytes_workspace)
    whole = row.pred_bytes is not None and sum(part or 0 for part in parts) == row.pred_bytes
    return row.measured and whole and row.protocol_version == PROTOCOL_VERSION
