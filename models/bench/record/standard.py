"""The stages that measure the standard runs: every architecture of a size, to the longest context that fits."""

import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from models.bench.plan.plan import Cell, Plan, Rates, make_plan, measure_rates
from models.bench.plan.prediction import UNKNOWN_GPU
from models.bench.record.stages import Ending, Turn
from models.bench.record.state import write_whole
from models.bench.run import remeasure
from models.bench.run.host import WorkerHost
from models.bench.run.runner import LEARNT_ROWS, Runner
from models.bench.store.recorded import write_lines
from models.bench.store.store import Store
from models.machine import facts
from models.records.cell import kind_of
from models.records.measurement import Measurement
from models.records.run import NO_ROOM, Run
from models.sources import sizes

TOLD = ("plan.dropped", "plan.fewer_rounds", "plan.over_budget")  # notes of a plan on what its time left out
NO_TIME = "errors.cell_out_of_time"
OVERRUN = 0.25  # of its time, after which a stage is cancelled
CANCEL_S = 40.0  # for a cancelled run to be stored
SHOWN = 8  # cells named for one reason; more are counted
POLL_S, EVERY_S = 0.2, 30.0


@dataclass(frozen=True, slots=True)
class Standard:
    """What the standard runs measure. shares: of the time, per size of the ladder."""

    shares: Mapping[str, float]
    contexts: tuple[int, ...]
    batches: tuple[int, ...]
    decode_tokens: int
    rounds: int
    dtype: str


# To the longest context that any plan takes: what does not fit is planned, and its rows say so. A cell takes ten
# seconds before its first token, so that half an hour has room for few contexts: a factor of eight apart, then of two.
ON_GPU = Standard(
    {"bundled": 3, "130m": 4, "1.4b": 4, "2.8b": 5, "7b": 6},
    (1024, 8192, *(2**power for power in range(16, 21))),
    batches=(1, 8),
    decode_tokens=32,
    rounds=5,
    dtype="bfloat16",
)
# Shows on any machine that a recording works, not how fast anything is.
REHEARSAL = Standard({"bundled": 1}, (32, 64), (1,), decode_tokens=4, rounds=2, dtype="float32")


class Recorder:
    """Measures standard runs on one device, and writes each into a file that the app lists as recorded."""

    def __init__(self, device: str, standard: Standard, *, store: Store, runner: Runner, folder: Path) -> None:
        self.device, self.standard = device, standard
        self.store, self.runner, self.folder = store, runner, folder

    def run(self, turn: Turn, *, size: str) -> Ending:
        """Measure the run of a size, or what is missing of the one that was interrupted, and write its file."""
        former = self.store.run(turn.kept.get("run_id", ""))
        if former is None:
            run_id = self._begun(turn, size)
        else:
            run_id = former.run_id
            again = turn.kept.get("again", False)
            if cells := remeasure.unfinished_cells(former) if again else missing(former):
                turn.say(f"{size}: goes on with {len(cells)} of {len(former.cells)} cells")
                self.runner.remeasure(run_id, cells)
        try:
            self._follow(turn, run_id, size)
        except BaseException:
            self.runner.cancel(run_id)
            self.runner.wait(run_id, timeout_s=CANCEL_S)
            raise
        finally:
            self.write(run_id, size)
        run = self.store.run(run_id)
        if run is None:
            return Ending(False, (f"run {run_id} is gone from {self.store.place}",))
        turn.kept.pop("again", None)
        return judged(run, left_out=turn.kept["left_out"])

    def write(self, run_id: str, size: str) -> None:
        """Write what a run has so far into its file; nothing while none of its cells is measured."""
        run = self.store.run(run_id)
        if run is not None and any(row.measured for row in run.rows):
            write_whole(self.folder / file_name(self.device, size), write_lines(run).encode())

    def _begun(self, turn: Turn, size: str) -> str:
        rates = self._rates()  # measures the ceilings of a device that is new here, which takes time
        plan = self._plan(size, rates, budget_s=max(turn.left_s, 1.0))
        turn.kept["left_out"] = [note.message for note in plan.notes if note.key in TOLD]
        turn.say(f"{size}: {len(plan.cells)} cells, about {plan.seconds:.0f} s by prediction")
        title = f"{facts.device_name(self.device)}, {sizes.tier(size).name['en']}"
        turn.kept["run_id"] = self.runner.submit(plan, title=title)
        turn.save()
        return str(turn.kept["run_id"])

    def _plan(self, size: str, rates: Rates, *, budget_s: float) -> Plan:
        asked = self.standard
        return make_plan(
            sizes.sources(size),
            asked.contexts,
            batches=asked.batches,
            device=self.device,
            dtype=asked.dtype,
            decode_tokens=asked.decode_tokens,
            rounds=asked.rounds,
            size=size,
            budget_s=budget_s,
            rates=rates,
        )

    def _rates(self) -> Rates:
        """Return the rates learnt from rows of this device; before there are any, from its measured ceilings."""
        found = measure_rates(self.store.recent_rows(LEARNT_ROWS))
        if kind_of(self.device) == "cpu" or found.of(self.device).known:
            return found
        threads = facts.usable_cores()
        cell = Cell("", "", 1, device=self.device, dtype=self.standard.dtype, threads=threads)
        host = WorkerHost(threads=threads)
        try:
            peaks = host.roofline_peaks(cell, cancelled=threading.Event())
        finally:
            host.stop()
        if peaks is None:
            return found
        flops, moved = peaks["peak_flops_per_s"], peaks["bandwidth_bytes_per_s"]
        here = replace(UNKNOWN_GPU, flops_per_s=flops, bytes_per_s=moved, known=True)
        return replace(found, gpus={**found.gpus, facts.device_name(self.device): here})

    def _follow(self, turn: Turn, run_id: str, size: str) -> None:
        """Wait for a run, and write its file after every cell; cancel it when it takes far more than its time."""
        done, said = 0, 0.0
        while (now := self.runner.progress(run_id)) is not None and now.live:
            if now.done != done:
                done = now.done
                self.write(run_id, size)
                turn.save()
            if time.monotonic() - said > EVERY_S:
                said = time.monotonic()
                turn.say(f"{size}: {now.done} of {now.total} cells, {turn.left_s:.0f} s left")
            if turn.left_s < -OVERRUN * turn.allowed_s:
                self.runner.cancel(run_id)
                self.runner.wait(run_id, timeout_s=CANCEL_S)
            time.sleep(POLL_S)


def file_name(device: str, size: str) -> str:
    """Name the file of a run; without its ending that is the id of the run in the app."""
    name = re.sub(r"[^a-z0-9]+", "-", facts.device_name(device).lower()).strip("-")[:50] or "gpu"
    return f"{name}-{size}.jsonl"


def missing(run: Run) -> tuple[str, ...]:
    """Return the planned cells of a run that were never tried: it was cut, or their time had run out."""
    tried = {row.cell_id for row in run.current if row.state != "cancelled" and row.reason_key != NO_TIME}
    return tuple(cell.cell_id for cell in remeasure.cells_of(run) if cell.cell_id not in tried)


def judged(run: Run, *, left_out: Iterable[str] = ()) -> Ending:
    """State what is wrong with a run, and what it could not measure because of the machine or the time."""
    absent = missing(run)
    rows = [row for row in run.current if row.cell_id not in absent]
    problems = [_named("not measured, its time ran out or it was interrupted", absent)] if absent else []
    for what, is_so in WRONG:
        found = [f"{row.cell_id}{_because(row)}" for row in rows if is_so(row)]
        problems += [_named(what, found)] if found else []
    limits = [row for row in rows if row.state in NO_ROOM]
    timed = sum(row.timed for row in rows)
    notes = [f"{timed} cells with times, {len(limits)} do not fit this machine or model", *left_out]
    return Ending(not absent, tuple(problems), tuple(notes))


def _uncaptured(row: Measurement) -> bool:
    return row.measured and kind_of(row.device) == "cuda" and not row.captured


def _failed(row: Measurement) -> bool:
    others = (*NO_ROOM, "parity_fail", "cancelled")
    return not row.measured and row.state not in others


WRONG: tuple[tuple[str, Callable[[Measurement], bool]], ...] = (
    ("parity failed, so no speed is shown", lambda row: row.state == "parity_fail"),
    ("not measured", _failed),
    ("unsteady: no steady round, bytes alone", lambda row: row.measured and not row.timed),
    ("unsteady: its rounds differ too much", lambda row: row.timed and row.noise == "unusable"),
    ("decoded without a CUDA graph", _uncaptured),
)


def _because(row: Measurement) -> str:
    reason = row.reason or (row.graph if _uncaptured(row) else "")
    return f" ({reason})" if reason else ""


def _named(what: str, cells: Iterable[str]) -> str:
    found = list(cells)
    more = f", and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return f"{what}: {', '.join(found[:SHOWN])}{more}"
