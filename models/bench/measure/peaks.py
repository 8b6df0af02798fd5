"""Measure a device's roofline peaks during the run: bytes per second of a copy, operations per second of a product.

Rooflines use these values, never a datasheet.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

COPIES = {"cpu": 64 * 2**20, "cuda": 2**30}  # bytes; beyond the last cache of the chip
SIDES = {"cpu": 1024, "cuda": 8192}
REPEATS = 7


@dataclass(frozen=True, slots=True)
class RooflinePeaks:
    """Bytes a second, counted as read plus written, and operations a second of a matrix product in one number type."""

    bandwidth_bytes_per_s: float
    peak_flops_per_s: float


def measure(device: str, dtype: str, *, threads: int) -> RooflinePeaks:
    """Measure both on this device with so many CPU threads: medians of several runs on seeded random data."""
    torch.set_num_threads(threads)
    if device != "cpu":
        torch.cuda.set_device(device)
    kind = device.partition(":")[0]
    generator = torch.Generator().manual_seed(0)
    size = COPIES[kind]
    source = torch.randint(-100, 100, (size // 8,), generator=generator).to(device)
    target = torch.empty_like(source)
    copied_s = _median(lambda: target.copy_(source), device)
    side = SIDES[kind]
    a, b = (torch.randn(side, side, generator=generator).to(device, getattr(torch, dtype)) for _ in range(2))
    out = torch.empty_like(a)
    product_s = _median(lambda: torch.mm(a, b, out=out), device)
    return RooflinePeaks(2 * size / copied_s, 2 * side**3 / product_s)


def _median(call: Callable[[], object], device: str) -> float:
    for _ in range(2):
        call()
    times = []
    for _ in range(REPEATS):
        _wait(device)
        start = time.perf_counter()
        call()
        _wait(device)
        times.append(time.perf_counter() - start)
    return max(float(np.median(times)), 1e-9)


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize(device)
