"""Learn from the measured rows of one device by how much its predictions are wrong."""

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from models import describe
from models.bench.plan.prediction import Mode, Points, Rates, mode_of, predict, usual
from models.counting import accounting
from models.counting.accounting import Shape
from models.errors import SourceError
from models.machine import facts
from models.records.cell import Cell, Prediction
from models.records.measurement import PROTOCOL_VERSION, Measurement

BUSY = 1.5  # load per core; the benchmark itself makes about one
LEAST = 3  # rows or places from which the others outvote one
APART = 2.0  # times the middle of all, from which a place that was measured once is not believed
DEVIATIONS = 3 * 1.4826  # median absolute deviations beyond which it is not either (Hampel 1974)

Place = tuple[int, int]  # context, batch
Ratios = dict[Place, list[float]]
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Lesson:
    """A row, its cell, and the ratios of what was measured to what was predicted: "peak", "prefill", "decode"."""

    row: Measurement
    cell: Cell
    shape: Shape
    ratios: Mapping[str, float]


def learn(rows: Iterable[Measurement], bare: Rates) -> Rates:
    """Return the rates of one device, corrected by its rows. bare: those before anything was learnt.

    Times: the median of each place (context and batch), in the mode of the rows. Bytes: the peak above the weights, on
    the safe side. A place has the highest of its rows, from three rows on without the tenth that is highest, and a row
    alone lowers nothing. Other places of a source have the highest of its places, other sources of an architecture the
    highest of all, which raises only. Weights, cache and logits are certain: less is never predicted.

    Of a place that was measured once, and of one measured twice with different results, the other places have a say:
    what is APART from the middle of all is not believed until it is measured again. At that very place it counts for
    bytes all the same: a plan must not say that a cell fits which has taken more.
    """
    return gather(lessons(rows, bare), bare)


def lessons(rows: Iterable[Measurement], bare: Rates) -> list[Lesson]:
    """Compare the rows of one device with their bare predictions.

    Rows of another protocol are left out, and those whose source has another model today. Times are those of an
    undisturbed machine.
    """
    shapes: dict[str, Shape | None] = {}
    found = []
    for row in rows:
        shape = shapes.setdefault(row.source, shape_of(row.source))
        if shape is None or row.params_total not in (None, accounting.params_total(shape)):
            continue
        if row.measured and row.protocol_version == PROTOCOL_VERSION:
            cell = cell_of(row)
            found.append(Lesson(row, cell, shape, _ratios(row, predict(cell, shape, rates=on(cell.device, bare)))))
    return found


def gather(found: Iterable[Lesson], bare: Rates) -> Rates:
    """Correct the bare rates of a device by lessons that were made with them."""
    times: dict[tuple[str, str, Mode], Ratios] = defaultdict(lambda: defaultdict(list))
    peaks: dict[tuple[str, Mode], Ratios] = defaultdict(lambda: defaultdict(list))
    kinds: dict[tuple[str, str], list[float]] = defaultdict(list)
    architectures: dict[tuple[str, Mode], str] = {}
    for one in found:
        place, mode = (one.cell.context, one.cell.batch), mode_of(one.cell)
        architectures[one.cell.source, mode] = one.cell.architecture
        for quantity, ratio in one.ratios.items():
            if quantity == "peak":
                peaks[one.cell.source, mode][place].append(ratio)
            else:
                times[one.cell.source, quantity, mode][place].append(ratio)
                if usual(one.cell):
                    kinds[one.cell.architecture, quantity].append(ratio)
    highest = {key: _highest(ratios) for key, ratios in peaks.items()}
    return replace(
        bare,
        factors={key: float(np.median(ratios)) for key, ratios in kinds.items()},
        points={key: _points(_believed(ratios), np.median) for key, ratios in times.items()},
        peaks={key: _points(ratios, _safe) for key, ratios in peaks.items()},
        peak_factors=highest,
        kind_peak_factors=_largest(((architectures[key], key[1]), max(one, 1.0)) for key, one in highest.items()),
    )


def on(device: str, rates: Rates) -> Rates:
    """Return the rates of one device as those of a machine, for a prediction of its cells."""
    return rates if device == "cpu" else replace(rates, gpus={facts.device_name(device): rates})


def undisturbed(row: Measurement) -> bool:
    """Return whether the times of a row are those of an otherwise idle machine, steady all through."""
    cores = row.environment.get("cores") or facts.usable_cores()
    busy = row.device == "cpu" and row.load_avg is not None and row.load_avg > BUSY * cores + 1
    return row.state == "ok" and not busy and not row.foreign_processes


def cell_of(row: Measurement) -> Cell:
    """Return the cell that a row measured."""
    return Cell(
        row.architecture,
        row.source,
        row.context,
        row.batch,
        row.device,
        row.dtype,
        row.decode_tokens,
        view=row.view,
        size=row.size,
        attention=row.attention,
        kernels=row.kernels,
        experts=row.experts,
    )


def shape_of(source: str) -> Shape | None:
    """Return the shape of a source, None for one that is not here."""
    try:
        return describe.resolve(source).shape
    except SourceError:
        return None


def prefill_ms(row: Measurement) -> float | None:
    """Return the median time of reading the prompt."""
    return float(np.median(row.prefill_ms_samples)) if row.prefill_ms_samples else None


def _ratios(row: Measurement, guess: Prediction) -> dict[str, float]:
    found: dict[str, tuple[float | None, float]] = {"peak": (row.peak_bytes, guess.bytes_total - guess.bytes_weights)}
    if undisturbed(row):
        found["prefill"] = prefill_ms(row), guess.prefill_ms
        found["decode"] = row.tpot_ms_med, guess.decode_ms
    return {name: measured / predicted for name, (measured, predicted) in found.items() if measured and predicted}


def _believed(ratios: Ratios) -> dict[Place, list[float]]:
    """Return the ratios of each place that the other places do not refute; of two that differ the one nearer to all."""
    every = np.log([ratio for at in ratios.values() for ratio in at])
    if len(every) < LEAST:
        return dict(ratios)
    middle = float(np.median(every))
    limit = max(math.log(APART), DEVIATIONS * float(np.median(np.abs(every - middle))))

    def far(ratio: float) -> float:
        return abs(math.log(ratio) - middle)

    found = {}
    for place, at in ratios.items():
        if len(at) < LEAST and max(at) > APART * min(at):
            found[place] = [min(at, key=far)]
        elif len(at) > 1 or far(at[0]) <= limit:
            found[place] = at
    return found


def _upper(ratios: Sequence[float]) -> float:
    """Return the highest ratio, from three on without the highest tenth."""
    return max(ratios) if len(ratios) < LEAST else float(np.quantile(ratios, 0.9, method="lower"))


def _highest(ratios: Ratios) -> float:
    """Return the highest of the places that are believed; less than 1 is believed from three rows on."""
    highest = max(map(_upper, _believed(ratios).values()), default=1.0)
    return highest if sum(map(len, ratios.values())) >= LEAST else max(highest, 1.0)


def _safe(ratios: Sequence[float]) -> float:
    """Return what a place teaches of its own bytes: one row alone lowers nothing."""
    return _upper(ratios) if len(ratios) > 1 else max(*ratios, 1.0)


def _points(ratios: Ratios, of: Callable[[list[float]], float]) -> Points:
    return tuple(sorted((context, batch, float(of(at))) for (context, batch), at in ratios.items()))


def _largest(found: Iterable[tuple[K, float]]) -> dict[K, float]:
    largest: dict[K, float] = {}
    for key, value in found:
        largest[key] = max(value, largest.get(key, value))
    return largest
