"""Profile one decoding step: operators dispatched, time without any running operator, experts read."""

import time
from dataclasses import dataclass
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

from models.bench.measure.clock import Clock
from models.operators import backends

STEPS = 4  # profiled together


@dataclass(frozen=True, slots=True)
class Profile:
    """What a decoding step is made of.

    ops_per_token: dispatched operators that are no views. busy_ms: how long operators run in a step (CPU: the outermost
    ones). watched_ms: how long such a step takes, None on a GPU. experts_distinct: experts read per layer that has
    them, None without any.
    """

    ops_per_token: int
    busy_ms: float
    watched_ms: float | None
    experts_distinct: float | None
    attention_kernel: str

    def waiting(self, step_ms: float) -> float:
        """Return the share of a timed step in which the device runs no operator.

        Kernels of a GPU take as long watched as not, so the timed step is what they fill, launched one by one or
        captured. On a CPU watching slows operators and what is between them: the watched step is theirs.
        """
        return min(max(1 - self.busy_ms / (self.watched_ms or step_ms), 0.0), 1.0)


def profile_step(clock: Clock, logits: torch.Tensor, cache: Any) -> Profile:
    """Take a few steps after a cache, each watched in one way. None of them is timed for the record."""
    ids = logits.argmax(-1, keepdim=True)
    with backends.watching_experts() as chosen, _Counting() as counting:
        logits, cache, _ = clock.step(ids, cache)
    distinct = [int(index.unique().numel()) for index in chosen]
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if clock.cuda else [])]
    with profile(activities=kinds) as seen:
        start = time.perf_counter_ns()
        for _ in clock.decode(logits, cache, STEPS):
            pass
        watched_ms = (time.perf_counter_ns() - start) / 1e6 / STEPS
    events = list(seen.events() or ())
    busy_ms = (_on_device(events) if clock.cuda else _in_operators(events)) / 1e3 / STEPS
    return Profile(
        counting.count,
        busy_ms,
        None if clock.cuda else watched_ms,
        sum(distinct) / len(distinct) if distinct else None,
        _attention_kernel(events) if clock.cuda else "",
    )


class _Counting(TorchDispatchMode):
    """Count the operators that compute something."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        infos = [value.alias_info for value in func._schema.returns]
        view = bool(infos) and all(info is not None and not info.is_write for info in infos)
        self.count += not view
        return func(*args, **(kwargs or {}))


def _in_operators(events: list[Any]) -> float:
    """Add up the time inside outermost operators, in microseconds."""
    return float(sum(event.cpu_time_total for event in events if event.cpu_parent is None))


def _on_device(events: list[Any]) -> float:
    """Add up the time of kernels on the GPU, in microseconds."""
    return float(sum(e.time_range.elapsed_us() for e in events if str(e.device_type).endswith("CUDA")))


def _attention_kernel(events: list[Any]) -> str:
    """Name the kernel that attention ran on, from the trace."""
    names = [event.name for event in events if str(event.device_type).endswith("CUDA")]
    marks = ("flash", "fmha", "attention", "cudnn")
    return next((name[:120] for name in names if any(mark in name.lower() for mark in marks)), "")
