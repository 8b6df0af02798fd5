"""Run plans: a queue and a thread per device, a worker process per cell, every row stored the moment it is known."""

import atexit
import dataclasses
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from models.bench import environment
from models.bench.host import Outcome, WorkerHost
from models.bench.plan import LEAST_TIMEOUT_S, Cell, Plan, Prediction, Rates, measure_rates
from models.bench.rows import Measurement, from_row
from models.bench.store import Store


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands. position: how many runs are before it on its device (0: it is running)."""

    run_id: str
    state: str  # "queued", "running", "done" or "cancelled"
    position: int
    total: int
    done: int
    cell: Cell | None
    phase: str
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
    state: str = "queued"
    done: int = 0
    cell: Cell | None = None
    phase: str = ""
    worker_pid: int | None = None
    started: float | None = None
    ended: float | None = None
    spent_predicted_s: float = 0.0


class Runner:
    """Measure plans one cell at a time per device, so that two runs never share one. Safe to use from any thread."""

    def __init__(self, store: Store, *, make_host: Callable[[int], WorkerHost] | None = None) -> None:
        self.store = store
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
            elapsed = ((job.ended or time.monotonic()) - job.started) if job.started else 0.0
            return Progress(
                run_id,
                job.state,
                position,
                len(job.plan.cells),
                job.done,
                job.cell,
                job.phase,
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

    def rates(self) -> Rates:
        """Return how fast this machine is taken to be, learnt anew after each run of this process."""
        with self._lock:
            ended = sum(job.ended is not None for job in self._jobs.values())
            if self._rates is None or self._rates[0] != ended:
                rows = [row for run in self.store.runs()[:8] for row in run.rows]
                self._rates = (ended, measure_rates(rows))
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
                job.state, job.started = "running", time.monotonic()
            try:
                self._measure(job, device)
            finally:
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
        full: dict[tuple[str, int], int] = {}  # (architecture, batch) -> the shortest context that ran out of memory
        for cell, prediction in zip(job.plan.cells, job.plan.predictions, strict=True):
            with self._lock:
                job.cell, job.phase, job.worker_pid = cell, "", None
            row = self._one(job, host, cell, prediction, full)
            if row.state == "oom":
                full[cell.architecture, cell.batch] = cell.context
            self.store.append(row)
            with self._lock:
                job.done += 1
                job.spent_predicted_s += prediction.seconds
                self._lock.notify_all()
        if not self._closed:
            self.store.finish(job.run_id, "cancelled" if job.cancelled.is_set() else "done")

    def _one(
        self, job: _Job, host: WorkerHost, cell: Cell, prediction: Prediction, full: Mapping[tuple[str, int], int]
    ) -> Measurement:
        started = time.time_ns()
        outcome = _skip(job, cell, prediction, full)
        if outcome is None:

            def note(event: Mapping[str, Any]) -> None:
                with self._lock:
                    job.phase = str(event.get("phase", job.phase))
                    job.worker_pid = (
                        event.get("pid", job.worker_pid) if event.get("event") == "started" else job.worker_pid
                    )

            timeout_s = job.timeout_s or max(LEAST_TIMEOUT_S, 10 * prediction.seconds)
            outcome = host.run(
                cell,
                run_id=job.run_id,
                prediction=prediction,
                timeout_s=timeout_s,
                cancelled=job.cancelled,
                on_event=note,
            )
        if outcome.row is not None:
            return from_row(outcome.row)
        return _row_of_failure(job.run_id, cell, prediction, outcome, started_ns=started)


def _skip(job: _Job, cell: Cell, prediction: Prediction, full: Mapping[tuple[str, int], int]) -> Outcome | None:
    """Say why a cell is not started, or None."""
    if job.cancelled.is_set():
        return Outcome(None, "cancelled", "cancelled before it began", "errors.cell_cancelled")
    failed_at = full.get((cell.architecture, cell.batch))
    if failed_at is not None and cell.context >= failed_at:
        return Outcome(
            None,
            "predicted_oom_skipped",
            f"not started: {failed_at} tokens already ran out of memory",
            "errors.cell_skipped_after",
            {"context": failed_at},
        )
    if not prediction.fits:
        return Outcome(
            None,
            "predicted_oom_skipped",
            f"not started: it would need about {prediction.bytes_total / 2**30:.1f} GiB, more than is free",
            "errors.cell_skipped",
            {"gib": f"{prediction.bytes_total / 2**30:.1f}"},
        )
    return None


def _row_of_failure(
    run_id: str, cell: Cell, prediction: Prediction, outcome: Outcome, *, started_ns: int
) -> Measurement:
    asked = dataclasses.asdict(cell)
    del asked["rounds"], asked["largest"]
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
        environment=environment.environment(),
        started_ns=started_ns,
        ended_ns=time.time_ns(),
        **asked,
    )


def _remaining(job: _Job, elapsed: float) -> float | None:
    """Scale the prediction of what is left by how the cells done so far compared with theirs."""
    if job.state not in ("queued", "running"):
        return 0.0
    left = max(job.plan.seconds - job.spent_predicted_s, 0.0)
    pace = elapsed / job.spent_predicted_s if job.spent_predicted_s > 0 else 1.0
    return left * pace


@lru_cache(maxsize=1)
def shared() -> Runner:
    """Return the one runner of this process, on the default store; its workers end with the process."""
    runner = Runner(Store())
    atexit.register(runner.close)
    return runner
