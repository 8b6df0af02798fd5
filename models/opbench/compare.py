"""Measure ratios between implementations: equal values first, then interleaved rounds, and peak memory."""

import gc
import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch

from models.bench.judge.statistics import spread
from models.bench.measure import memory
from models.machine.paths import ROOT
from models.opbench.pairs import CASES, Case, Pair, Results, Side
from models.operators import backends

__all__ = ["Case", "Pair", "Row", "Side", "compare", "difference", "peak_bytes"]

BUDGET_S = 4.0  # seconds of rounds per row, where the fewest rounds take less
SAMPLE_S = 2e-3  # a sample repeats a quick call until it takes about this long
MOST = 10  # times the fewest rounds


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison. The ratio is the baseline's time over ours, by round; None where the values differ."""

    name: str
    operation: str
    shape: str
    dtype: str
    device: str
    baseline: str
    ours: str
    difference: float  # largest, relative to the largest entry of the baseline's tensor
    tolerance: float
    first_call_s: float  # of ours, with whatever it compiles or reads from the compiler's cache
    rounds: int = 0
    baseline_ms: float | None = None
    ours_ms: float | None = None
    ratio: float | None = None
    ratio_low: float | None = None  # first quartile over rounds
    ratio_high: float | None = None  # third quartile
    goal: float | None = None
    baseline_peak_bytes: int | None = None
    ours_peak_bytes: int | None = None
    peak_ratio: float | None = None
    memory_goal: float | None = None

    @property
    def equal(self) -> bool:
        """Return whether both implementations gave the same values; False for values that are no numbers."""
        return self.difference <= self.tolerance


def compare(name: str, *, device: str = "cpu", rounds: int = 5, quick: bool = False) -> Row:
    """Measure one row of CASES; the fewest rounds, more while BUDGET_S lasts. Quick: small shapes, fewest rounds.

    Raises SettingError when the row needs something that is not here.
    """
    case, place = CASES[name], _current(device)
    pair = case.build(place, quick)
    expected, baseline, baseline_s = _first(pair.baseline, place)
    found, ours, first_call_s = _first(pair.ours, place)
    row = Row(
        name,
        pair.operation,
        pair.shape,
        pair.dtype,
        device,
        baseline,
        ours,
        difference=difference(found, expected),
        tolerance=pair.tolerance,
        first_call_s=first_call_s,
        goal=pair.goal,
        memory_goal=pair.memory_goal,
    )
    if not row.equal:
        return row
    del expected, found
    peaks = _peaks(name, device, quick) if case.memory or place.type == "cuda" else {}
    known = [baseline_s] if baseline_s > BUDGET_S else []
    return replace(row, **_times(pair, place, rounds, 0.0 if quick else BUDGET_S, known), **peaks)


def difference(found: Results, expected: Results) -> float:
    """Return the largest difference of any tensor, relative to that tensor's largest entry; nan stays nan."""
    worst = 0.0
    for ours, theirs in zip(found, expected, strict=True):
        if ours.shape != theirs.shape:
            return math.inf
        error = (ours.double().cpu() - theirs.double().cpu()).abs().max()
        scale = theirs.double().abs().max().cpu()
        relative = (error / scale).item() if error else 0.0
        worst = relative if math.isnan(relative) else max(worst, relative)
        if math.isnan(worst):
            break
    return worst


def peak_bytes(name: str, side: str, device: str, quick: bool, threads: int) -> int:
    """Return what one side of a row uses at its peak above what was there before; meant for a process of its own.

    A small run first keeps out what is loaded or compiled once.
    """
    torch.set_num_threads(threads)
    with memory.watching(device) as meter:
        for small in (True, quick):
            chosen: Side = getattr(CASES[name].build(_current(device), small), side)
            with chosen.ready():
                meter.start()
                chosen.run()
                peak = meter.peak()
            del chosen
    return peak


def _first(side: Side, device: torch.device) -> tuple[Results, str, float]:
    """Run a side for the first time: its values (copied), its name, and the seconds it took."""
    with side.ready(), backends.recording() as used:
        started = time.perf_counter()
        results = side.run()
        _wait(device)
        seconds = time.perf_counter() - started
    copied = tuple(x.detach().clone() for x in results)
    return copied, side.label or ", ".join(dict.fromkeys(used.values())), seconds


def _times(pair: Pair, device: torch.device, rounds: int, budget_s: float, known: Sequence[float]) -> dict[str, Any]:
    """Time both sides in turn; returns medians, and the quartiles of the ratio within a round.

    known: seconds of a baseline so slow that its first call, which compiles nothing, is a sample like the others.
    """
    repeats = [1 if known else _repeats(pair.baseline, device), _repeats(pair.ours, device)]
    baseline = list(known)
    with _no_collection():
        ours = [sample(pair.ours, device, repeats[1]) for _ in known]
        started = time.perf_counter()
        while len(ours) < rounds or (len(ours) < MOST * rounds and time.perf_counter() - started < budget_s):
            baseline.append(sample(pair.baseline, device, repeats[0]))
            ours.append(sample(pair.ours, device, repeats[1]))
    ratio = spread([above / below for above, below in zip(baseline, ours, strict=True)])
    return {
        "rounds": len(ours),
        "baseline_ms": spread(baseline).median * 1e3,
        "ours_ms": spread(ours).median * 1e3,
        "ratio": ratio.median,
        "ratio_low": ratio.low,
        "ratio_high": ratio.high,
    }


def _repeats(side: Side, device: torch.device) -> int:
    """Return how often a sample repeats the call, from one more warm call."""
    seconds = sample(side, device, 1)
    return max(1, math.ceil(SAMPLE_S / max(seconds, 1e-9)))


def sample(side: Side, device: torch.device, repeats: int) -> float:
    """Return the seconds of one call, averaged over the repeats; on a GPU between two events of its stream."""
    with side.ready():
        if device.type == "cuda":
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            _wait(device)
            start.record()
            for _ in range(repeats):
                side.run()
            end.record()
            _wait(device)
            return float(start.elapsed_time(end)) / 1e3 / repeats
        started = time.perf_counter()
        for _ in range(repeats):
            side.run()
        return (time.perf_counter() - started) / repeats


def _peaks(name: str, device: str, quick: bool) -> dict[str, Any]:
    peak = _in_a_fresh_process if device == "cpu" else peak_bytes  # torch's own count on a GPU needs none
    baseline, ours = (peak(name, side, device, quick, torch.get_num_threads()) for side in ("baseline", "ours"))
    return {"baseline_peak_bytes": baseline, "ours_peak_bytes": ours, "peak_ratio": baseline / ours if ours else None}


def _in_a_fresh_process(*asked: str | bool | int) -> int:
    """Return peak_bytes of a process in which nothing was freed before; it needs no main module of ours."""
    code = "import json, sys; from models.opbench import compare; print(compare.peak_bytes(*json.loads(sys.argv[1])))"
    command = [sys.executable, "-c", code, json.dumps(asked)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return int(done.stdout.split()[-1])


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep Python's garbage collector out of the samples."""
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _current(device: str) -> torch.device:
    """Make a GPU the current one, whose streams and events are used, and return the device."""
    if device != "cpu":
        torch.cuda.set_device(device)
    return torch.device(device)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
