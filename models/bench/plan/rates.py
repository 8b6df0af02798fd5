"""Estimate the rates of this machine from a timed product, a timed copy and rows measured here before."""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from models.bench.plan.learning import learn
from models.bench.plan.prediction import UNKNOWN_GPU, Rates
from models.machine import facts
from models.records.measurement import Measurement


def measure_rates(rows: Iterable[Measurement] = ()) -> Rates:
    """Time a matrix product and a copy on this CPU, and correct the rates by rows measured on it and on its GPUs."""
    a = np.ones((384, 384), np.float32)
    product_s = _fastest(lambda: a @ a)
    block = np.ones(8_000_000, np.uint8)
    copy_s = _fastest(block.copy)
    bare = Rates(2 * 384**3 / product_s, 2 * block.size / copy_s)
    devices = by_device(rows)
    gpus = {name: learn(found, from_roofline_peaks(found)) for name, found in devices.items() if name}
    return replace(learn(devices.get("", []), bare), gpus=gpus)


def by_device(rows: Iterable[Measurement]) -> dict[str, list[Measurement]]:
    """Group the measured rows of this machine by GPU name; "" is the CPU. Rows of other machines are left out."""
    here, gpus = facts.environment(), facts.gpus()
    found: dict[str, list[Measurement]] = {}
    for row in rows:
        alike = all(row.environment.get(name, here[name]) == here[name] for name in ("host_cpu", "cores"))
        name = "" if row.device == "cpu" else str(row.environment.get("device_name"))
        if row.measured and alike and "host_cpu" in row.environment and (not name or name in gpus):
            found.setdefault(name, []).append(row)
    return found


def from_roofline_peaks(rows: Iterable[Measurement]) -> Rates:
    """Return initial rates of a GPU from the roofline peaks in its own rows, not from the CPU."""
    rows = list(rows)
    flops = [row.peak_flops_per_s for row in rows if row.peak_flops_per_s]
    moved = [row.bandwidth_bytes_per_s for row in rows if row.bandwidth_bytes_per_s]
    return replace(
        UNKNOWN_GPU,
        flops_per_s=float(np.median(flops)) if flops else UNKNOWN_GPU.flops_per_s,
        bytes_per_s=float(np.median(moved)) if moved else UNKNOWN_GPU.bytes_per_s,
        known=True,
    )


def _fastest(call: Callable[[], object], *, least: int = 5, spell_s: float = 0.15) -> float:
    """Return the least of the times that fit a spell: long enough that a busy machine is free in some of them."""
    times: list[float] = []
    while len(times) < least or sum(times) < spell_s:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return max(min(times), 1e-9)
