"""Estimate the rates of this machine from a timed product, a timed copy and rows measured here before."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import numpy as np

from models import describe
from models.bench.plan.prediction import UNKNOWN_GPU, Mode, Rates, mode_of, predict, usual
from models.counting import accounting
from models.counting.accounting import Shape
from models.errors import SourceError
from models.machine import facts
from models.records.cell import Cell
from models.records.measurement import Measurement

BUSY = 1.5  # load per core; the benchmark itself makes about one


def measure_rates(rows: Iterable[Measurement] = ()) -> Rates:
    """Time a matrix product and a copy on this CPU, and correct the rates by rows measured on it and on its GPUs."""
    a = np.ones((384, 384), np.float32)
    product_s = _fastest(lambda: a @ a)
    block = np.ones(8_000_000, np.uint8)
    copy_s = _fastest(block.copy)
    bare = Rates(2 * 384**3 / product_s, 2 * block.size / copy_s)
    by_device = _by_device(rows)
    gpus = {name: _learn(found, _from_roofline_peaks(found)) for name, found in by_device.items() if name}
    return replace(_learn(by_device.get("", []), bare), gpus=gpus)


def _by_device(rows: Iterable[Measurement]) -> dict[str, list[Measurement]]:
    """Group the usable rows of this machine by GPU name; "" is the CPU. Rows of other machines are ignored."""
    here, gpus = facts.environment()["host_cpu"], facts.gpus()
    found: dict[str, list[Measurement]] = {}
    for row in rows:
        if not row.tpot_ms_med or row.environment.get("host_cpu") != here or not _undisturbed(row):
            continue
        name = "" if row.device == "cpu" else str(row.environment.get("device_name"))
        if not name or name in gpus:
            found.setdefault(name, []).append(row)
    return found


def _undisturbed(row: Measurement) -> bool:
    """Return whether a row was measured on an otherwise idle machine; other rows would distort predictions."""
    cores = row.environment.get("cores") or facts.usable_cores()
    busy = row.device == "cpu" and row.load_avg is not None and row.load_avg > BUSY * cores + 1
    return row.state == "ok" and not busy and not row.foreign_processes


def _from_roofline_peaks(rows: list[Measurement]) -> Rates:
    """Return initial rates of a GPU from the roofline peaks in its own rows, not from the CPU."""
    flops = [row.peak_flops_per_s for row in rows if row.peak_flops_per_s]
    moved = [row.bandwidth_bytes_per_s for row in rows if row.bandwidth_bytes_per_s]
    return replace(
        UNKNOWN_GPU,
        flops_per_s=float(np.median(flops)) if flops else UNKNOWN_GPU.flops_per_s,
        bytes_per_s=float(np.median(moved)) if moved else UNKNOWN_GPU.bytes_per_s,
        known=True,
    )


def _learn(rows: list[Measurement], bare: Rates) -> Rates:
    """Add to the bare rates of a device the measured over predicted times of its rows."""
    kinds: dict[tuple[str, str], list[float]] = {}
    points: dict[tuple[str, str, Mode], dict[tuple[int, int], list[float]]] = {}
    shapes: dict[str, Shape | None] = {}
    gpus = {facts.device_name(row.device): bare for row in rows if row.device != "cpu"}
    for row in rows:
        shape = shapes.setdefault(row.source, _shape(row.source))
        if shape is None or row.params_total not in (None, accounting.params_total(shape)):
            continue  # the source has another model today
        cell = _cell_of(row)
        guess = predict(cell, shape, rates=replace(bare, gpus=gpus))
        ratios = {"decode": (row.tpot_ms_med or 0.0) / guess.decode_ms}
        if row.prefill_ms_samples:
            ratios["prefill"] = float(np.median(row.prefill_ms_samples)) / guess.prefill_ms
        for phase, ratio in ratios.items():
            at = points.setdefault((row.source, phase, mode_of(cell)), {})
            at.setdefault((row.context, row.batch), []).append(ratio)
            if usual(cell):
                kinds.setdefault((row.architecture, phase), []).append(ratio)
    return replace(bare, factors=_medians(kinds), points={key: _points(at) for key, at in points.items()})


def _medians(ratios: Mapping[tuple[str, str], list[float]]) -> dict[tuple[str, str], float]:
    return {key: float(np.median(values)) for key, values in ratios.items()}


def _points(at: Mapping[tuple[int, int], list[float]]) -> tuple[tuple[int, int, float], ...]:
    return tuple(sorted((context, batch, float(np.median(values))) for (context, batch), values in at.items()))


def _cell_of(row: Measurement) -> Cell:
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


def _shape(source: str) -> Shape | None:
    try:
        return describe.resolve(source).shape
    except SourceError:
        return None


def _fastest(call: Callable[[], object], *, least: int = 5, spell_s: float = 0.15) -> float:
    """Return the least of the times that fit a spell: long enough that a busy machine is free in some of them."""
    times: list[float] = []
    while len(times) < least or sum(times) < spell_s:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return max(min(times), 1e-9)
