"""Measure the energy of decoding on a GPU with the counter of the device.

The counter changes every 20 to 100 ms. Decoding is therefore repeated for a window of seconds, after an equally long
warm-up that is not counted. The idle power of the device with the model loaded is subtracted.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from models.bench.measure.clock import Clock
from models.bench.measure.cuda_graphs import Captured, PlacedLayer, on_fixed_memory
from models.bench.measure.memory import nvml_of, uuid_of
from models.counting import accounting

IDLE_S, WINDOW_S = 0.5, 2.0
SETTLE_S = 0.3  # of decoding before the window: the counter lags behind

Counter = Callable[[], int | None]  # millijoules since the driver was loaded, or None where there is no counter


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy above idle for each decoded token of the batch, the idle power, and how long decoding was watched."""

    joules_per_token: float
    idle_w: float
    window_s: float


@torch.inference_mode()
def decoding(clock: Clock, captured: Captured | None) -> Energy | None:
    """Decode at the depth of a cell for a while; None on a CPU and where the device has no counter."""
    if not clock.cuda:
        return None
    counter = _counter(clock.checkpoint.device)
    if counter() is None:
        return None
    return measure_energy(counter, _work(clock, captured), tokens=clock.cell.batch * clock.cell.decode_tokens)


def measure_energy(counter: Counter, work: Callable[[], object], *, tokens: int) -> Energy | None:
    """Repeat work that decodes so many tokens and waits for the device; None where the counter fails meanwhile."""
    before, began = counter(), time.perf_counter()
    time.sleep(IDLE_S)
    idle = _joules(before, counter())
    idle_s = time.perf_counter() - began
    _repeat(work, SETTLE_S)
    before, began = counter(), time.perf_counter()
    times = _repeat(work, WINDOW_S)
    used, window_s = _joules(before, counter()), time.perf_counter() - began
    if idle is None or used is None:
        return None
    return Energy((used - idle / idle_s * window_s) / (times * tokens), idle / idle_s, window_s)


def _work(clock: Clock, captured: Captured | None) -> Callable[[], object]:
    """Return what decodes the cell's tokens after a prompt, every time at the same depth."""
    steps = clock.cell.decode_tokens
    logits, cache, _ = clock.step(clock.prompt(clock.cell.context), None)
    if captured is not None:
        captured.follow(clock, logits.argmax(-1, keepdim=True), cache)
        return lambda: captured.timed(steps)
    if not any(layer.window for layer in accounting.shape_of(clock.checkpoint.config).layers):
        cache = on_fixed_memory(cache, clock.cell.context + steps)

    def eagerly() -> None:
        for layer in getattr(cache, "layers", ()):
            if isinstance(layer, PlacedLayer):
                layer.go_back(clock.cell.context)
        clock.timed(logits, cache, steps)

    return eagerly


def _repeat(work: Callable[[], object], seconds: float) -> int:
    times, end = 0, time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        work()
        times += 1
    return times


def _joules(before: int | None, after: int | None) -> float | None:
    return None if before is None or after is None else (after - before) / 1e3


def _counter(device: torch.device) -> Counter:
    module, handle = nvml_of(uuid_of(device))

    def read() -> int | None:
        try:
            return int(module.nvmlDeviceGetTotalEnergyConsumption(handle)) if module else None
        except module.NVMLError:
            return None

    return read
