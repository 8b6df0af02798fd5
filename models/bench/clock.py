"""Run and time one cell's steps: ids from its seed, device-side clocks, the sentinel, what the clock itself costs."""

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from models import accounting, backends
from models.bench.plan import Cell
from models.bench.rows import SENTINEL_DRIFT
from models.errors import SettingError
from models.spec import Adapter, Checkpoint

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
        """Wait until the device has done what it was asked."""
        if self.cuda:
            torch.cuda.synchronize(self.checkpoint.device)

    def decode(self, logits: Tensor, cache: Any, steps: int) -> Iterator[float]:
        """Continue greedily, one token a step; yields milliseconds a step."""
        ids = logits.argmax(-1, keepdim=True)  # (b, 1)
        for _ in range(steps):
            logits, cache, took = self.step(ids, cache)
            yield took
            ids = logits.argmax(-1, keepdim=True)

    def sentinel(self) -> float:
        """Time a fixed matrix product on the device, the fastest of several, in milliseconds."""
        a = torch.full((256, 256), 0.5, device=self.checkpoint.device)
        times = []
        for _ in range(12):
            self.wait()
            start = time.perf_counter_ns()
            for _ in range(4):
                a @ a
            self.wait()
            times.append((time.perf_counter_ns() - start) / 1e6)
        return min(times)

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


def drifted(before: float, after: float, device: str) -> bool:
    """Tell whether the sentinel ran at clearly different speeds before and after."""
    return max(before, after) / min(before, after) - 1 > SENTINEL_DRIFT[device.partition(":")[0]]


def pinned(cell: Cell) -> AbstractContextManager[Any]:
    """Hold scaled_dot_product_attention to a cell's backend; SettingError for one that the device does not have."""
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
    return sdpa_kernel([ATTENTION[cell.attention]])


def implementation(cell: Cell) -> AbstractContextManager[None]:
    """Choose the operators of a cell: transformers' own as shipped, else ours, fast or reference; then its experts."""
    every: backends.Choice = "reference" if cell.kernels == "reference" else "fast"
    if cell.view == "as_shipped":
        every = "transformers"
    return backends.use(every, **({"experts": EXPERTS[cell.experts]} if cell.experts != "auto" else {}))
