"""Interleave the cells of a group round by round, forwards and then backwards, with one process per cell.

A slow spell of the machine then affects all cells of the group. Every failure of a cell is recorded as its row.
"""

import dataclasses
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from models import units
from models.bench.plan.budget import LEAST_ROUNDS
from models.bench.plan.plan import LEAST_TIMEOUT_S, Cell, Prediction
from models.bench.plan.prediction import LEAST_TIMED_S, MOST_ROUNDS
from models.bench.run import job as job_module
from models.bench.run.board import CellProgress
from models.bench.run.host import Event, Outcome, Worker, WorkerHost
from models.bench.run.job import Job
from models.machine import facts
from models.records.measurement import Measurement, from_row

EXTRA_S = 10.0  # of a cell, from which it gets no rounds in place of unsteady ones
ENOUGH_ROUNDS = 5  # after which a cell may stop early
AGREED = 0.03  # middle half of the rounds against their median, at which it does
FINISH_S = 5.0  # to put measured rounds into a row
PROBE_ABOVE = 1.5  # times the longest context that fitted, from which the place between it and the failure is tried

CANCELLED = Outcome("cancelled", "cancelled", "errors.cell_cancelled")

Family = tuple[str, str, str, int]  # architecture, size, view and batch
Keep = Callable[[Measurement, Prediction | None], None]


@dataclass(slots=True)
class _Open:
    """A prepared cell that waits for its rounds."""

    cell: Cell
    prediction: Prediction
    worker: Worker
    planned: bool
    rounds: int = 0  # that were steady
    turns: int = 0  # that were asked for
    made: int = 0  # with those that were made again
    timed_s: float = 0.0  # of steady rounds
    spent_s: float = 0.0  # of all
    relative: float = 1.0

    @property
    def done(self) -> bool:
        """Whether it has its steady rounds: those of the plan, more while they are very short, fewer where they agree.

        However unsteady the machine is, it ends after MOST_ROUNDS times as many, and a long one with those of the plan.
        """
        if self.made >= MOST_ROUNDS * self.cell.rounds or (self.turns >= self.cell.rounds and self.spent_s > EXTRA_S):
            return True
        if self.rounds >= ENOUGH_ROUNDS and self.timed_s >= LEAST_TIMED_S and self.relative < AGREED:
            return True
        if self.rounds < self.cell.rounds:
            return False
        return self.timed_s >= LEAST_TIMED_S


class InterleavedSchedule:
    """Measures the groups of one run: prepares every cell of a group, then interleaves their rounds.

    sentinel_best_ms: the best that the machine has shown. note(**changes) writes where the job stands; keep(row,
    prediction) stores a row, with the prediction of the planned cell that it finishes, None for one beside the plan.
    """

    def __init__(
        self,
        job: Job,
        host: WorkerHost,
        *,
        note: Callable[..., None],
        keep: Keep,
        sentinel_best_ms: float | None = None,
    ) -> None:
        self._job, self._host, self._note, self._keep = job, host, note, keep
        self._full: dict[Family, int] = {}  # the shortest context without room
        self._slow: dict[Family, int] = {}  # the shortest context that did not end in its time
        self._fitted: dict[Family, int] = {}  # the longest one with room
        self._between: dict[Family, tuple[Cell, Prediction]] = {}  # what to try between the two, once
        self._sentinel_best_ms = sentinel_best_ms
        self._roofline_peaks: Mapping[str, float] | None = None

    def measure(self, group: Sequence[tuple[Cell, Prediction]]) -> None:
        """Record a row for every cell of a group."""
        if self._roofline_peaks is None and not self._job.cancelled.is_set():
            self._note(phase="ceilings")
            self._roofline_peaks = self._host.roofline_peaks(group[0][0], cancelled=self._job.cancelled)
            self._note(begun_s=self._job.worked_s)
        prepared = [self._prepare(cell, prediction) for cell, prediction in group]
        self._interleave([one for one in prepared if one is not None])
        for cell, prediction in self._probes():
            probe = self._prepare(cell, prediction, planned=False)
            self._interleave([probe] if probe is not None else [])

    def _interleave(self, opened: list[_Open]) -> None:
        """Run the rounds of prepared cells and store their rows. A pause takes effect between rounds."""
        predicted_s = sum(one.prediction.seconds for one in opened)
        turn_s = 0.0
        for turn in count():
            waiting = [one for one in opened if not one.done]
            enough = all(one.turns >= LEAST_ROUNDS for one in waiting)
            if self._job.cancelled.is_set() or not waiting or (enough and self._job.lacks_time(predicted_s, turn_s)):
                break
            self._hold()
            began = time.monotonic()
            for one in waiting[:: -1 if turn % 2 else 1]:
                if not self._job.cancelled.is_set():
                    at = opened.index(one)
                    opened[at : at + 1] = self._round(one)
            turn_s = time.monotonic() - began
        for one in opened:
            self._finish(one)

    def _prepare(self, cell: Cell, prediction: Prediction, *, planned: bool = True) -> _Open | None:
        """Start a cell and wait until it is ready; None when it has got its row already."""
        self._hold()
        started = time.time_ns()
        skipped = _skip(self._job, cell, prediction, self._full, self._slow)
        if skipped is not None:
            return self._failed(cell, prediction, skipped, planned=planned, started_ns=started)
        self._note(cell=cell, phase="", round=0, worker_pid=None)
        self._mark(cell, CellProgress("loading"))
        worker = self._host.open(
            cell,
            run_id=self._job.run_id,
            prediction=prediction,
            roofline_peaks=self._roofline_peaks,
            sentinel_best_ms=self._sentinel_best_ms,
        )
        ready = self._ask(worker, None, "ready", prediction)
        if isinstance(ready, Outcome):
            return self._failed(cell, prediction, ready, planned=planned, started_ns=started)
        self._mark(cell, CellProgress("ready"))
        return _Open(cell, prediction, worker, planned)

    def _round(self, one: _Open) -> list[_Open]:
        """Make one round of a cell; returns it, or the smaller one that goes on in its place, or nothing."""
        self._note(cell=one.cell, round=one.turns + 1)
        now = self._job.board.get(one.cell.cell_id, CellProgress())
        self._mark(one.cell, dataclasses.replace(now, state="measuring"))
        event = self._ask(one.worker, "round", "round", one.prediction)
        if isinstance(event, Outcome):
            smaller = self._failed(one.cell, one.prediction, event, planned=one.planned, started_ns=time.time_ns())
            return [smaller] if smaller else []
        self._mark(one.cell, now.after(event), spent_s=self._job.worked_s)
        one.turns += 1
        one.made += int(event.get("attempts", 1))
        steady, seconds = bool(event.get("steady", True)), float(event.get("seconds", 0.0))
        one.rounds += steady
        one.timed_s += seconds * steady
        one.spent_s += seconds
        if event.get("sentinel_ms"):
            self._sentinel_best_ms = min(float(event["sentinel_ms"]), self._sentinel_best_ms or math.inf)
        one.relative = float(event.get("relative", 1.0))
        return [one]

    def _finish(self, one: _Open) -> None:
        """Ask a cell for its row. After a cancel too, where it has rounds enough to be compared."""
        event: Event | Outcome
        if not self._job.cancelled.is_set():
            event = self._ask(one.worker, "finish", "row", one.prediction)
        elif one.turns >= min(LEAST_ROUNDS, one.cell.rounds):
            event = one.worker.ask("finish", until="row", timeout_s=FINISH_S, cancelled=threading.Event())
        else:
            one.worker.close()
            event = CANCELLED
        if isinstance(event, Outcome):
            self._failed(one.cell, one.prediction, event, planned=one.planned, started_ns=time.time_ns())
            return
        one.worker.close()
        if not one.cell.largest:
            family = _family(one.cell)
            self._fitted[family] = max(one.cell.context, self._fitted.get(family, 0))
        self._keep(from_row(event["row"]), one.prediction if one.planned else None)

    def _failed(
        self, cell: Cell, prediction: Prediction, outcome: Outcome, *, planned: bool, started_ns: int
    ) -> _Open | None:
        """Store why a cell has no row of its own; a search for the largest batch goes on with half of it."""
        row = _row_of_failure(self._job.run_id, cell, prediction, outcome, started_ns=started_ns)
        self._keep(row, prediction if planned else None)
        if outcome.state == "oom" and cell.largest and cell.batch > 1:
            smaller = dataclasses.replace(cell, batch=cell.batch // 2, batch_limit="memory")
            return self._prepare(smaller, prediction, planned=False)
        if outcome.state == "timeout" and not cell.largest:
            self._slow[_family(cell)] = min(cell.context, self._slow.get(_family(cell), cell.context))
        if outcome.state == "oom" and not cell.largest:
            self._full[_family(cell)] = cell.context
            fitted = self._fitted.get(_family(cell), 0)
            if planned and fitted and cell.context > PROBE_ABOVE * fitted:
                between = dataclasses.replace(cell, context=(fitted + cell.context) // 2)
                self._between[_family(cell)] = between, prediction
        return None

    def _probes(self) -> list[tuple[Cell, Prediction]]:
        """Take what to try between the longest context that fitted and the one that did not, where time is left.

        The prediction is that of the longer one: an upper bound.
        """
        found, self._between = list(self._between.values()), {}
        return [one for one in found if not (self._job.cancelled.is_set() or self._job.lacks_time(0, one[1].seconds))]

    def _mark(self, cell: Cell, now: CellProgress, **changes: float) -> None:
        self._note(board={**self._job.board, cell.cell_id: now}, **changes)

    def _hold(self) -> None:
        """Wait while the run is paused, for a limited time."""
        job = self._job
        if job.going.is_set() or job.cancelled.is_set():
            return
        self._note(held_since=time.monotonic())
        job.going.wait(job_module.PAUSE_LIMIT_S)
        job.going.set()
        since = job.held_since or time.monotonic()
        self._note(held_s=job.held_s + time.monotonic() - since, held_since=None)

    def _ask(self, worker: Worker, message: str | None, until: str, prediction: Prediction) -> Event | Outcome:
        def note(event: Event) -> None:
            if "phase" in event:
                self._note(phase=str(event["phase"]))
            if event.get("event") == "started":
                self._note(worker_pid=event.get("pid"))

        timeout_s = self._job.timeout_s or max(LEAST_TIMEOUT_S, 10 * prediction.seconds)
        return worker.ask(message, until=until, timeout_s=timeout_s, cancelled=self._job.cancelled, on_event=note)


def _family(cell: Cell) -> Family:
    return cell.architecture, cell.size, cell.view, cell.batch


def _skip(
    job: Job, cell: Cell, prediction: Prediction, full: Mapping[Family, int], slow: Mapping[Family, int]
) -> Outcome | None:
    """Return why a cell is not started, or None. full, slow: shortest contexts that ran out of memory or of time."""
    if job.cancelled.is_set():
        return CANCELLED
    if job.out_of_time:
        sentence = f"not started: the run has taken more than {job_module.OVERRUN:g} times its {job.plan.budget_s:g} s"
        values = {"times": f"{job_module.OVERRUN:g}", "budget": f"{job.plan.budget_s:g}"}
        return Outcome("timeout", sentence, "errors.cell_out_of_time", values)
    slow_at = slow.get(_family(cell))
    if slow_at is not None and cell.context >= slow_at:
        sentence = f"not started: {slow_at} tokens already took too long"
        return Outcome("timeout", sentence, "errors.cell_skipped_slow", {"context": slow_at})
    failed_at = full.get(_family(cell))
    if failed_at is not None and cell.context >= failed_at:
        sentence = f"not started: {failed_at} tokens already ran out of memory"
        return Outcome("predicted_oom_skipped", sentence, "errors.cell_skipped_after", {"context": failed_at})
    if prediction.positions_needed:
        has, needs = prediction.positions, prediction.positions_needed
        sentence = f"not started: it needs {needs} positions, the model has {has}"
        return Outcome("unsupported", sentence, "errors.cell_positions", {"positions": has, "needed": needs})
    if not prediction.fits:
        need = units.size(prediction.bytes_total)
        sentence = f"not started: it would need about {need}, more than is free"
        return Outcome("predicted_oom_skipped", sentence, "errors.cell_too_large", {"need": need})
    return None


def _row_of_failure(
    run_id: str, cell: Cell, prediction: Prediction, outcome: Outcome, *, started_ns: int
) -> Measurement:
    asked = dataclasses.asdict(cell)
    del asked["rounds"], asked["largest"]
    parity = {name: value for name, value in outcome.values.items() if name.startswith("parity_")}
    requested = outcome.values.get("requested")
    return Measurement(
        run_id=run_id,
        cell_id=cell.cell_id,
        state=outcome.state,
        reason=outcome.reason,
        reason_key=outcome.key,
        reason_values=dict(outcome.values),
        pred_bytes=prediction.bytes_total,
        pred_ms=prediction.decode_ms,
        cache_bytes_formula=prediction.bytes_cache,
        oom_requested_bytes=requested if isinstance(requested, int) else None,
        parity_max_rel=parity.get("parity_cached"),
        parity_batch_rel=parity.get("parity_batch"),
        parity_chunk_rel=parity.get("parity_chunked"),
        environment=facts.environment(),
        started_ns=started_ns,
        ended_ns=time.time_ns(),
        **asked,
    )
