"""Spread a compiled loop over threads: rows of a batch first, then slices of channels."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

Kernel = Callable[..., None]
SMALLEST = 1 << 19  # below this many state updates, starting threads costs more than it saves


def slices(batch: int, channels: int, block: int) -> list[tuple[int, int]]:
    """Cut the channels so that batch times the number of slices keeps every thread busy; cuts fall on whole blocks."""
    parts = max(1, min(-(-torch.get_num_threads() // max(batch, 1)), channels // block))
    step = -(-channels // (parts * block)) * block
    return [(first, min(first + step, channels)) for first in range(0, channels, step)]


def spread(kernel: Kernel, batch: int, cuts: list[tuple[int, int]], work: int, *arrays: Any) -> None:
    """Run kernel(row, part, first, last, *arrays) for every batch row and channel slice; the kernel releases the GIL.

    work is the number of state updates in all: small work runs where it is.
    """
    tasks = [(row, part, *cut) for row in range(batch) for part, cut in enumerate(cuts)]
    threads = min(torch.get_num_threads(), len(tasks))
    if threads <= 1 or work < SMALLEST:
        for task in tasks:
            kernel(*task, *arrays)
        return
    with ThreadPoolExecutor(threads) as pool:  # not kept: a pool does not survive the fork of a benchmark worker
        list(pool.map(lambda task: kernel(*task, *arrays), tasks))
