"""Run and time the steps of one cell: seeded token ids, device-side clocks, the sentinel, the overhead of the clock."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from models.bench.plan.plan import Cell
from models.counting import accounting
from models.errors import SettingError
from models.machine import threads
from models.operators import backends
from models.records.measurement import SENTINEL_DRIFT, SENTINEL_SLOWER
from models.tracing.adapter import Adapter, Checkpoint

ATTENTION = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "math": SDPBackend.MATH,
}
ORDER = (SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH)  # "auto", the same for every cell
ON_CPU = ("auto", "flash", "math")
EXPERTS: Mapping[str, backends.Choice] = {
    "sorted": "sorted", "grouped": "package", "batched": "batched", "loop": "loop",
}  # fmt: skip


SENTINELS = 12  # times the fixed work is done, of which the middle one counts
GPU_COPY, GPU_REPEATS = 64 << 20, 8  # bytes, beyond the last cache of the chip; products and copies at once


class Clock:
    """Time one cell's steps; every prompt is drawn anew, and nothing stops at an end token."""

    def __init__(self, cell: Cell, adapter: Adapter, checkpoint: Checkpoint) -> None:
        self.cell, self.adapter, self.checkpoint = cell, adapter, checkpoint
        self.generator = torch.Generator().manual_seed(cell.seed)
        self.vocab = accounting.shape_of(checkpoint.config).vocab
        self.cuda = checkpoint.device.type == "cuda"

    def prompt(self, tokens: int, *, batch: int | None = None) -> Tensor:
        """Draw ids (batch, tokens)."""
        size = (batch or self.cell.batch, tokens)
        return torch.randint(self.vocab, size, generator=self.generator).to(self.checkpoint.device)

    def step(self, ids: Tensor, cache: Any | None) -> tuple[Tensor, Any, float]:
        """Feed ids and wait for the device. Returns logits, cache and milliseconds."""
        self.wait()
        start = time.perf_counter_ns()
        logits, cache = self.adapter.step(self.checkpoint, ids, cache)
        self.wait()
        return logits, cache, (time.perf_counter_ns() - start) / 1e6

    def wait(self) -> None:
        """Wait until the device has finished its queue."""
        if self.cuda:
            torch.cuda.synchronize(self.checkpoint.device)

    def decode(self, logits: Tensor, cache: Any, steps: int) -> Iterator[float]:
        """Continue greedily, one token a step; yields milliseconds a step."""
        ids = logits.argmax(-1, keepdim=True)  # (b, 1)
        for _ in range(steps):
            logits, cache, took = self.step(ids, cache)
            yield took
            ids = logits.argmax(-1, keepdim=True)

    def timed(self, logits: Tensor, cache: Any, steps: int) -> tuple[float, ...]:
        """Decode so many steps for the record; returns the milliseconds of each, its greedy choice included.

        On a GPU, events between the steps measure the times; the host waits once, at the end.
        """
        if not self.cuda:
            return tuple(self.decode(logits, cache, steps))
        ids = logits.argmax(-1, keepdim=True)

        def step() -> None:
            nonlocal ids, cache
            made, cache = self.adapter.step(self.checkpoint, ids, cache)
            ids = made.argmax(-1, keepdim=True)

        return elapsed(*[step] * steps)

    def sentinel(self) -> float:
        """Time fixed work on the device, the middle of several, in milliseconds: products, on a GPU copies as well.

        On a CPU it is done by one thread: it watches the speed of a core, and cpu_share.py who had the cores.
        """
        return self._gpu_sentinel() if self.cuda else self._cpu_sentinel()

    def _gpu_sentinel(self) -> float:
        """By events around work that lasts far longer than its launches: the device is watched, not the host."""
        device = self.checkpoint.device
        a = torch.full((2048, 2048), 0.01, device=device, dtype=torch.float16)
        block, room = (torch.empty(GPU_COPY, dtype=torch.uint8, device=device) for _ in range(2))
        out = torch.empty_like(a)

        def work() -> None:
            for _ in range(GPU_REPEATS):
                torch.mm(a, a, out=out)
                room.copy_(block)

        return median(elapsed(*[work] * SENTINELS))

    def _cpu_sentinel(self) -> float:
        a = torch.full((256, 256), 0.5)
        times = []
        with threads.limited(1):
            for _ in range(SENTINELS):
                start = time.perf_counter_ns()
                for _ in range(4):
                    a @ a
                times.append((time.perf_counter_ns() - start) / 1e6)
        return median(times)

    def harness(self, steps: int = 200) -> float:
        """Time the clock around a model that does nothing, in milliseconds a step: the share that is ours, not its."""
        logits = torch.zeros(self.cell.batch, self.vocab, device=self.checkpoint.device)
        idle = Clock(self.cell, _Nothing(logits), self.checkpoint)  # type: ignore[arg-type]
        self.wait()
        start = time.perf_counter_ns()
        for _ in idle.decode(logits, None, steps):
            pass
        self.wait()
        return (time.perf_counter_ns() - start) / 1e6 / steps


class _Nothing:
    """An adapter that answers at once with logits made before."""

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits

    def step(self, _checkpoint: Checkpoint, _ids: Tensor, cache: Any | None) -> tuple[Tensor, Any]:
        """Return the same logits (b, vocab) each time."""
        return self.logits, cache


def elapsed(*work: Callable[[], object]) -> tuple[float, ...]:
    """Put pieces of work on the current GPU's stream, one after the other; returns the milliseconds that each took."""
    events = [torch.cuda.Event(enable_timing=True) for _ in range(len(work) + 1)]
    events[0].record()
    for one, event in zip(work, events[1:], strict=True):
        one()
        event.record()
    events[-1].synchronize()
    return tuple(begin.elapsed_time(end) for begin, end in pairwise(events))


def drifted(before: float, after: float, device: str) -> bool:
    """Return whether the sentinel ran at clearly different speeds before and after."""
    return max(before, after) / min(before, after) - 1 > SENTINEL_DRIFT[device.partition(":")[0]]


def slowed(reading: float, best: float, device: str) -> bool:
    """Return whether the sentinel ran clearly slower than the best that this machine has shown."""
    return reading / best - 1 > SENTINEL_SLOWER[device.partition(":")[0]]


def pinned(cell: Cell, *, strictly: bool = True) -> AbstractContextManager[Any]:
    """Restrict scaled_dot_product_attention to a cell's backend; raises SettingError if the device lacks it.

    strictly: with no other one in its place where it cannot do what is asked, as FlashAttention no chunk after a cache.
    """
    if cell.attention not in ("auto", *ATTENTION):
        choices = ", ".join(("auto", *ATTENTION))
        message = f"attention backend {cell.attention!r}: choose one of {choices}"
        raise SettingError("errors.setting_value", message, name="attention", value=cell.attention)
    if cell.device == "cpu" and cell.attention not in ON_CPU:
        message = f"attention backend {cell.attention!r} needs a GPU"
        raise SettingError("errors.setting_value", message, name="attention", value=cell.attention)
    if cell.view == "as_shipped" and cell.attention == "auto":
        return nullcontext()
    if cell.attention == "auto":
        return sdpa_kernel(list(ORDER), set_priority=True)
    chosen = ATTENTION[cell.attention]
    return sdpa_kernel([chosen] if strictly else [chosen, *ORDER], set_priority=not strictly)


def implementation(cell: Cell) -> AbstractContextManager[None]:
    """Choose the operators of a cell: transformers' own as shipped, else ours, fast or reference; then its experts."""
    every: backends.Choice = "reference" if cell.kernels == "reference" else "fast"
    if cell.view == "as_shipped":
        every = "transformers"
    return backends.use(every, **({"experts": EXPERTS[cell.experts]} if cell.experts != "auto" else {}))
