"""Run plans: a queue and a thread per device, a worker process per cell, every row stored the moment it is known.

Cells of a group take turns, ABCD and DCBA, so that a slow spell of the machine does not fall on one of them.
"""

import atexit
import dataclasses
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count
from typing import Any

from models.bench import environment
from models.bench.host import Event, Outcome, Worker, WorkerHost
from models.bench.lease import Lease
from models.bench.plan import LEAST_TIMEOUT_S, Cell, Plan, Prediction, Rates, measure_rates
from models.bench.rows import Measurement, from_row
from models.bench.store import Store
from models.errors import SourceError

_log = logging.getLogger(__name__)

ENOUGH_ROUNDS = 5  # after which a cell may stop early
AGREED = 0.03  # middle half of the rounds against their median, at which it does
LEAST_TIMED_S = 0.5  # of a cell; short cells get up to MOST_ROUNDS times their rounds
MOST_ROUNDS = 3
LEASE_POLL_S = 0.3
STORE_ATTEMPTS = 20  # to store the end of a run
STORE_WAIT_S = 3.0
LEARNT_ROWS = 500  # newest rows that predictions are learnt from


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands.

    position: how many runs are before it on its device, those of other programs included (0: it is running). round: of
    the cell being measured, 0 while it is prepared.
    """

    run_id: str
    state: str  # "queued", "running", "done" or "cancelled"
    position: int
    total: int
    done: int
    cell: Cell | None
    phase: str
    round: int
    worker_pid: int | None
    elapsed_s: float
    remaining_s: float | None

    @property
    def live(self) -> bool:
        """Tell whether more is to come."""
        return self.state in ("queued", "running")


@dataclass(slots=True)
class _Job:
    run_id: str
    plan: Plan
    timeout_s: float | None
    cancelled: threading.Event = field(default_factory=threading.Event)
    unstored: deque[Measurement] = field(default_factory=deque)
    elsewhere: bool = False  # another program measures on the device
    state: str = "queued"
    done: int = 0
    cell: Cell | None = None
    phase: str = ""
    round: int = 0
    worker_pid: int | None = None
    started: float | None = None
    ended: float | None = None
    spent_s: float = 0.0  # when the last cell was done
    spent_predicted_s: float = 0.0


class Runner:
    """Measure plans one cell at a time per device, so that two runs never share one. Safe to use from any thread."""

    def __init__(
        self,
        store: Store,
        *,
        make_host: Callable[[int], WorkerHost] | None = None,
        lease: Callable[[str], Lease] | None = None,
    ) -> None:
        self.store = store
        self._lease = lease or _unasked
        self._make_host = make_host or (lambda threads: WorkerHost(threads=threads))
        self._lock = threading.Condition()
        self._queues: dict[str, deque[_Job]] = {}
        self._jobs: dict[str, _Job] = {}
        self._hosts: dict[str, WorkerHost] = {}
        self._closed = False
        self._rates: tuple[int, Rates] | None = None

    def submit(self, plan: Plan, *, title: str = "", timeout_s: float | None = None) -> str:
        """Store a plan as a run, put it in the line of its device and return the run's id.

        timeout_s: the limit of each cell; without it, generous against the prediction. ValueError for an empty plan.
        """
        if not plan.cells:
            raise ValueError("a plan without cells")
        run_id = self.store.create(cells=plan.to_json(), environment=environment.environment(), title=title)
        job = _Job(run_id, plan, timeout_s)
        device = plan.cells[0].device
        with self._lock:
            self._jobs[run_id] = job
            fresh = device not in self._queues
            self._queues.setdefault(device, deque()).append(job)
            if fresh:
                threading.Thread(target=self._serve, args=(device,), name=f"bench-{device}", daemon=True).start()
            self._lock.notify_all()
        return run_id

    def progress(self, run_id: str) -> Progress | None:
        """Return where a run of this process stands, or None for any other."""
        with self._lock:
            job = self._jobs.get(run_id)
            if job is None:
                return None
            line = self._queues[job.plan.cells[0].device]
            position = line.index(job) if job in line else 0
            position += job.state == "queued" and job.elsewhere
            elapsed = ((job.ended or time.monotonic()) - job.started) if job.started else 0.0
            return Progress(
                run_id,
                job.state,
                position,
                len(job.plan.cells),
                job.done,
                job.cell,
                job.phase,
                job.round,
                job.worker_pid,
                elapsed,
                _remaining(job, elapsed),
            )

    def cancel(self, run_id: str) -> bool:
        """End a run at once; its worker is killed and the cells left get rows that say so. False for an unknown run."""
        with self._lock:
            job = self._jobs.get(run_id)
            if job is None or job.state not in ("queued", "running"):
                return False
            job.cancelled.set()
            return True

    def waiting(self, device: str) -> int:
        """Count the runs of this process that stand in the line of a device, the running one among them."""
        with self._lock:
            return len(self._queues.get(device, ()))

    def rates(self) -> Rates:
        """Return how fast this machine is taken to be, learnt anew after each run of this process."""
        with self._lock:
            ended = sum(job.ended is not None for job in self._jobs.values())
            if self._rates is None or self._rates[0] != ended:
                self._rates = (ended, measure_rates(self.store.recent_rows(LEARNT_ROWS)))
            return self._rates[1]

    def wait(self, run_id: str, *, timeout_s: float | None = None) -> bool:
        """Block until a run has ended. False when the time ran out first."""
        with self._lock:
            return self._lock.wait_for(lambda: self._jobs[run_id].state in ("done", "cancelled"), timeout=timeout_s)

    def close(self) -> None:
        """Cancel everything and end the workers."""
        with self._lock:
            self._closed = True
            for job in self._jobs.values():
                job.cancelled.set()
            hosts = list(self._hosts.values())
            self._lock.notify_all()
        for host in hosts:
            host.stop()

    def _serve(self, device: str) -> None:
        # This thread must outlive its workers: Linux ends a child when the thread that started it ends.
        while True:
            with self._lock:
                line = self._queues[device]
                while not line and not self._closed:
                    self._lock.wait()
                if self._closed:
                    return
                job = line[0]
            lease = self._lease(device)
            try:
                job.elsewhere = not lease.taken()
                while job.elsewhere and not job.cancelled.wait(LEASE_POLL_S):
                    job.elsewhere = not lease.taken()
                self._note(job, state="running", started=time.monotonic())
                self._measure(job, device)
            except Exception:  # noqa: BLE001 - whatever it is, the log has it
                _log.exception("run %s ended early; the device goes on with the next one", job.run_id)
            finally:
                lease.give_back()
                with self._lock:
                    line.popleft()
                    job.state = "cancelled" if job.cancelled.is_set() else "done"
                    job.cell, job.ended = None, time.monotonic()
                    self._lock.notify_all()

    def _measure(self, job: _Job, device: str) -> None:
        host = self._hosts.get(device)
        if host is None or host.threads != job.plan.cells[0].threads:
            if host is not None:
                host.stop()
            host = self._hosts[device] = self._make_host(job.plan.cells[0].threads)
        turn = _Turn(self, job, host)
        for group in job.plan.groups():
            turn.measure([(job.plan.cells[i], job.plan.predictions[i]) for i in group])
        if not self._closed:
            self._end(job)

    def _note(self, job: _Job, **changes: Any) -> None:
        with self._lock:
            for name, value in changes.items():
                setattr(job, name, value)

    def _keep(self, job: _Job, row: Measurement, prediction: Prediction | None) -> None:
        """Store a row. prediction: of the planned cell that it finishes, None for one beside the plan."""
        job.unstored.append(row)
        self._flush(job)
        if prediction is not None:
            with self._lock:
                job.done += 1
                job.spent_predicted_s += prediction.seconds if prediction.fits else 0.0
                job.spent_s = time.monotonic() - (job.started or time.monotonic())
                self._lock.notify_all()

    def _flush(self, job: _Job) -> None:
        """Store what is not stored yet; what a store out of reach refuses is kept and tried again with the next row."""
        try:
            while job.unstored:
                self.store.append(job.unstored[0])
                job.unstored.popleft()
        except SourceError as error:
            _log.warning("%d rows of run %s wait to be stored: %s", len(job.unstored), job.run_id, error)

    def _end(self, job: _Job) -> None:
        """Note the end of a run, trying for a while where the store is out of reach."""
        for _ in range(STORE_ATTEMPTS):
            self._flush(job)
            try:
                if not job.unstored:
                    self.store.finish(job.run_id, "cancelled" if job.cancelled.is_set() else "done")
                    return
            except SourceError as error:
                _log.warning("the end of run %s waits to be stored: %s", job.run_id, error)
            time.sleep(STORE_WAIT_S)
        _log.error("%d rows of run %s could not be stored", len(job.unstored), job.run_id)


@dataclass(slots=True)
class _Open:
    """A prepared cell that waits for its rounds."""

    cell: Cell
    prediction: Prediction
    worker: Worker
    planned: bool
    rounds: int = 0
    timed_s: float = 0.0
    relative: float = 1.0

    @property
    def done(self) -> bool:
        """Whether it has its rounds: those of the plan, more while they are very short, fewer where they agree."""
        if self.rounds >= ENOUGH_ROUNDS and self.timed_s >= LEAST_TIMED_S and self.relative < AGREED:
            return True
        if self.rounds < self.cell.rounds:
            return False
        return self.timed_s >= LEAST_TIMED_S or self.rounds >= MOST_ROUNDS * self.cell.rounds


class _Turn:
    """Measure the groups of one run: every cell of a group is prepared, then they take turns round by round."""

    def __init__(self, runner: Runner, job: _Job, host: WorkerHost) -> None:
        self._runner, self._job, self._host = runner, job, host
        self._full: dict[tuple[str, str, str, int], int] = {}  # family and batch -> the shortest context without room
        self._ceilings: Mapping[str, float] | None = None

    def measure(self, group: Sequence[tuple[Cell, Prediction]]) -> None:
        """Give every cell of a group its row."""
        if self._ceilings is None and not self._job.cancelled.is_set():
            self._runner._note(self._job, phase="ceilings")
            self._ceilings = self._host.ceilings(group[0][0], cancelled=self._job.cancelled)
        opened = [found for cell, prediction in group if (found := self._prepare(cell, prediction)) is not None]
        for turn in count():
            waiting = [one for one in opened if not one.done]
            if not waiting:
                break
            for one in waiting[:: -1 if turn % 2 else 1]:
                if not self._round(one):
                    opened.remove(one)
        for one in opened:
            self._finish(one)

    def _prepare(self, cell: Cell, prediction: Prediction, *, planned: bool = True) -> _Open | None:
        """Start a cell and wait until it is ready; None when it has got its row already."""
        started = time.time_ns()
        skipped = _skip(self._job, cell, prediction, self._full)
        if skipped is not None:
            return self._failed(cell, prediction, skipped, planned=planned, started_ns=started)
        self._runner._note(self._job, cell=cell, phase="", round=0, worker_pid=None)
        worker = self._host.open(cell, run_id=self._job.run_id, prediction=prediction, ceilings=self._ceilings)
        ready = self._ask(worker, None, "ready", prediction)
        if isinstance(ready, Outcome):
            return self._failed(cell, prediction, ready, planned=planned, started_ns=started)
        return _Open(cell, prediction, worker, planned)

    def _round(self, one: _Open) -> bool:
        """Make one round of a cell; False when the cell failed and has got its row."""
        self._runner._note(self._job, cell=one.cell, round=one.rounds + 1)
        event = self._ask(one.worker, "round", "round", one.prediction)
        if isinstance(event, Outcome):
            self._failed(one.cell, one.prediction, event, planned=one.planned, started_ns=time.time_ns())
            return False
        one.rounds += 1
        one.timed_s += float(event.get("seconds", 0.0))
        one.relative = float(event.get("relative", 1.0))
        return True

    def _finish(self, one: _Open) -> None:
        event = self._ask(one.worker, "finish", "row", one.prediction)
        if isinstance(event, Outcome):
            self._failed(one.cell, one.prediction, event, planned=one.planned, started_ns=time.time_ns())
            return
        one.worker.close()
        self._runner._keep(self._job, from_row(event["row"]), one.prediction if one.planned else None)

    def _failed(
        self, cell: Cell, prediction: Prediction, outcome: Outcome, *, planned: bool, started_ns: int
    ) -> _Open | None:
        """Store why a cell has no row of its own; a search for the largest batch goes on with half of it."""
        row = _row_of_failure(self._job.run_id, cell, prediction, outcome, started_ns=started_ns)
        self._runner._keep(self._job, row, prediction if planned else None)
        if outcome.state == "oom" and cell.largest and cell.batch > 1:
            smaller = dataclasses.replace(cell, batch=cell.batch // 2, batch_limit="memory")
            return self._prepare(smaller, prediction, planned=False)
        if outcome.state == "oom":
            self._full[_family(cell)] = cell.context
        return None

    def _ask(self, worker: Worker, message: str | None, until: str, prediction: Prediction) -> Event | Outcome:
        def note(event: Event) -> None:
            if "phase" in event:
                self._runner._note(self._job, phase=str(event["phase"]))
            if event.get("event") == "started":
                self._runner._note(self._job, worker_pid=event.get("pid"))

        timeout_s = self._job.timeout_s or max(LEAST_TIMEOUT_S, 10 * prediction.seconds)
        return worker.ask(message, until=until, timeout_s=timeout_s, cancelled=self._job.cancelled, on_event=note)


def _unasked(_device: str) -> Lease:
    return Lease(None)


def _family(cell: Cell) -> tuple[str, str, str, int]:
    return cell.architecture, cell.size, cell.view, cell.batch


def _skip(
    job: _Job, cell: Cell, prediction: Prediction, full: Mapping[tuple[str, str, str, int], int]
) -> Outcome | None:
    """Say why a cell is not started, or None."""
    if job.cancelled.is_set():
        return Outcome("cancelled", "cancelled before it began", "errors.cell_cancelled")
    failed_at = full.get(_family(cell))
    if failed_at is not None and cell.context >= failed_at:
        sentence = f"not started: {failed_at} tokens already ran out of memory"
        return Outcome("predicted_oom_skipped", sentence, "errors.cell_skipped_after", {"context": failed_at})
    if not prediction.fits:
        gib = f"{prediction.bytes_total / 2**30:.1f}"
        sentence = f"not started: it would need about {gib} GiB, more than is free"
        return Outcome("predicted_oom_skipped", sentence, "errors.cell_skipped", {"gib": gib})
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
        environment=environment.environment(),
        started_ns=started_ns,
        ended_ns=time.time_ns(),
        **asked,
    )


def _remaining(job: _Job, elapsed: float) -> float | None:
    """Scale the prediction of what is left by how the cells done so far compared with theirs, less what it has run."""
    if job.state not in ("queued", "running"):
        return 0.0
    left = max(job.plan.seconds - job.spent_predicted_s, 0.0)
    pace = job.spent_s / job.spent_predicted_s if job.spent_predicted_s > 0 else 1.0
    return max(left * pace - (elapsed - job.spent_s), 0.1 * left * pace)


@lru_cache(maxsize=1)
def shared() -> Runner:
    """Return the one runner of this process, on the default store; its workers end with the process."""
    runner = Runner(Store(), lease=Lease.of)
    atexit.register(runner.close)
    return runner
