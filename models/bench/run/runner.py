"""Run plans from a queue with one thread per device, one run at a time. A row is stored when it is measured."""

import atexit
import dataclasses
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from functools import lru_cache, partial
from typing import Any

from models.bench.plan.plan import Plan, Prediction, Rates, measure_rates
from models.bench.plan.settings import check
from models.bench.run import remeasure, sentinel
from models.bench.run.board import CellProgress
from models.bench.run.host import WorkerHost
from models.bench.run.job import Job, Progress
from models.bench.run.lease import Lease
from models.bench.run.schedule import InterleavedSchedule
from models.bench.store.store import Store
from models.errors import SettingError, SourceError
from models.machine import facts
from models.records.measurement import Measurement
from models.records.run import Run

_log = logging.getLogger(__name__)

LEASE_POLL_S = 0.3
STORE_ATTEMPTS = 20  # to store the end of a run
STORE_WAIT_S = 3.0
CANCEL_WAIT_S = 3.0  # for the end of a queued run to be stored
KEPT_JOBS = 50  # newest ended runs whose progress can be asked for
LEARNT_ROWS = 500  # newest rows that predictions are learnt from


class Runner:
    """Measures plans, one run at a time per device. Thread-safe."""

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
        self._queues: dict[str, deque[Job]] = {}
        self._jobs: dict[str, Job] = {}
        self._hosts: dict[str, WorkerHost] = {}
        self._ended = 0
        self._closed = False
        self._rates: tuple[int, Rates] | None = None

    def submit(self, plan: Plan, *, title: str = "", timeout_s: float | None = None) -> str:
        """Store a plan as a run, put it in the line of its device and return the run's id.

        timeout_s: the limit of each cell; without it, generous against the prediction. ValueError for an empty plan.
        """
        if not plan.cells:
            raise ValueError("a plan without cells")
        if timeout_s is not None:
            check("timeout_s", timeout_s)
        run_id = self.store.create(cells=plan.to_json(), environment=facts.environment(), title=title)
        self._queue(Job(run_id, plan, timeout_s))
        return run_id

    def remeasure(self, run_id: str, cell_ids: Collection[str], *, timeout_s: float | None = None) -> str:
        """Measure cells of a stored run once more and return the id of the run that gets the rows.

        That is the run itself where it was measured on this machine, else a new one. Its former rows stay. Raises
        SettingError for an unknown run or cell, one that is being measured, or a device that is not here.
        """
        run = self.store.run(run_id)
        if run is None:
            raise SettingError("errors.store_no_run", f"there is no run {run_id!r}", run=run_id[:80])
        plan = remeasure.plan_remeasure(run, cell_ids, rates=self.rates())
        if not remeasure.is_local(run):
            return self.submit(plan, title=run.title, timeout_s=timeout_s)
        with self._lock:
            former = self._jobs.get(run_id)
            if former is not None and former.ended is None:
                raise SettingError("errors.run_live", f"run {run_id} is being measured", run=run_id)
            if self.measured_elsewhere(run):
                message = f"another program is measuring, perhaps run {run_id} itself; try again when it has ended"
                raise SettingError("errors.run_elsewhere", message, run=run_id)
            self._queue(Job(run_id, plan, timeout_s, ended_before=run.ended))
        return run_id

    def measured_elsewhere(self, run: Run) -> bool:
        """Return whether another process may measure a run: it has not ended, and its device is leased there."""
        if run.ended or self.progress(run.run_id) is not None or not run.cells:
            return False
        device = str(run.cells[0].get("device", "cpu"))
        with self._lock:
            ours = any(job.state == "running" for job in self._queues.get(device, ()))
        return not ours and self._lease(device).elsewhere()

    def _queue(self, job: Job) -> None:
        run_id, device = job.run_id, job.plan.cells[0].device
        with self._lock:
            self._jobs[run_id] = job
            fresh = device not in self._queues
            self._queues.setdefault(device, deque()).append(job)
            if fresh:
                threading.Thread(target=self._serve, args=(device,), name=f"bench-{device}", daemon=True).start()
            self._lock.notify_all()

    def progress(self, run_id: str) -> Progress | None:
        """Return the progress of a run of this process; None for any other run and for one that ended long ago."""
        with self._lock:
            job = self._jobs.get(run_id)
            if job is None:
                return None
            line = self._queues[job.plan.cells[0].device]
            position = line.index(job) if job in line else 0
            position += job.state == "queued" and job.elsewhere
            return job.progress(position)

    def plan(self, run_id: str) -> Plan | None:
        """Return the plan of a run whose progress is known, with what fits as it was found when it began."""
        with self._lock:
            job = self._jobs.get(run_id)
            return None if job is None else job.plan

    def pause(self, run_id: str) -> bool:
        """Pause a run after its current round; False if it is not being measured.

        It keeps its device, and goes on by itself after PAUSE_LIMIT_S.
        """
        with self._lock:
            job = self._jobs.get(run_id)
            if job is None or job.state != "running" or job.cancelled.is_set():
                return False
            job.going.clear()
            return True

    def resume(self, run_id: str) -> bool:
        """Resume a paused run; False if it is not paused."""
        with self._lock:
            job = self._jobs.get(run_id)
            if job is None or job.going.is_set():
                return False
            job.going.set()
            return True

    def cancel(self, run_id: str) -> bool:
        """End a run at once; its worker is killed and the cells left get rows that say so. False for an unknown run.

        One that waits leaves the line; this waits a moment for its end to be stored.
        """
        with self._lock:
            job = self._jobs.get(run_id)
            if job is None or job.state not in ("queued", "running"):
                return False
            job.cancelled.set()
            job.going.set()
            line = self._queues[job.plan.cells[0].device]
            if job is line[0]:
                return True
            line.remove(job)
            self._note_end(job)
        unasked = self._make_host(job.plan.cells[0].threads)
        ending = threading.Thread(target=self._go_through, args=(job, unasked), name="bench-cancel", daemon=True)
        ending.start()
        ending.join(CANCEL_WAIT_S)
        return True

    def unstored(self, run_id: str) -> tuple[Measurement, ...]:
        """Return the rows of a run that its store has refused so far; they are lost with this process."""
        with self._lock:
            job = self._jobs.get(run_id)
            return () if job is None else tuple(job.unstored)

    def waiting(self, device: str) -> int:
        """Return the number of runs of this process in the queue of a device, including the running one."""
        with self._lock:
            return len(self._queues.get(device, ()))

    def rates(self) -> Rates:
        """Return how fast this machine is taken to be, learnt anew after each run of this process."""
        with self._lock:
            if self._rates is None or self._rates[0] != self._ended:
                self._rates = (self._ended, measure_rates(self.store.recent_rows(LEARNT_ROWS)))
            return self._rates[1]

    def wait(self, run_id: str, *, timeout_s: float | None = None) -> bool:
        """Block until a run has ended. False when the time ran out first; one that is not known here has ended."""
        with self._lock:
            job = self._jobs.get(run_id)
            return job is None or self._lock.wait_for(lambda: job.state in ("done", "cancelled"), timeout=timeout_s)

    def close(self) -> None:
        """Cancel everything and end the workers."""
        with self._lock:
            self._closed = True
            for job in self._jobs.values():
                job.cancelled.set()
                job.going.set()
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
                    self._note_end(job)

    def _measure(self, job: Job, device: str) -> None:
        host = self._hosts.get(device)
        if host is None or host.threads != job.plan.cells[0].threads:
            if host is not None:
                host.stop()
            host = self._hosts[device] = self._make_host(job.plan.cells[0].threads)
        self._go_through(job, host)

    def _go_through(self, job: Job, host: WorkerHost) -> None:
        """Record a row for every cell of a run, and the end of the run. A cancelled run sends nothing to its host."""
        if not job.cancelled.is_set():
            self._note(job, plan=job.plan.refreshed())  # it may have stood in line for long
        schedule = InterleavedSchedule(
            job,
            host,
            note=partial(self._note, job),
            keep=partial(self._keep, job),
            sentinel_best_ms=self._sentinel_best(job.plan.cells[0].device) if job.plan.cells else None,
        )
        for group in job.plan.groups():
            schedule.measure([(job.plan.cells[i], job.plan.predictions[i]) for i in group])
        if not self._closed:
            self._end(job)

    def _sentinel_best(self, device: str) -> float | None:
        try:
            return sentinel.best_known(self.store.recent_rows(), device)
        except SourceError as error:
            _log.warning("earlier readings of the sentinel are out of reach: %s", error)
            return None

    def _note_end(self, job: Job) -> None:
        """Write that a run has left the line, and forget the oldest ended ones. Call it under the lock."""
        job.state = "cancelled" if job.cancelled.is_set() else "done"
        job.cell, job.ended = None, time.monotonic()
        self._ended += 1
        for run_id in [run_id for run_id, one in self._jobs.items() if one.ended is not None][:-KEPT_JOBS]:
            del self._jobs[run_id]
        self._lock.notify_all()

    def _note(self, job: Job, **changes: Any) -> None:
        with self._lock:
            for name, value in changes.items():
                setattr(job, name, value)

    def _keep(self, job: Job, row: Measurement, prediction: Prediction | None) -> None:
        """Store a row. prediction: of the planned cell that it finishes, None for one beside the plan."""
        job.unstored.append(row)
        self._flush(job)
        now = job.board.get(row.cell_id, CellProgress())
        self._note(job, board={**job.board, row.cell_id: dataclasses.replace(now, state=row.state)})
        if prediction is not None:
            with self._lock:
                job.done += 1
                job.spent_predicted_s += prediction.seconds if prediction.fits else 0.0
                job.spent_s = job.worked_s
                self._lock.notify_all()

    def _flush(self, job: Job) -> None:
        """Store what is not stored yet; what a store out of reach refuses is kept and tried again with the next row.

        A run that has been deleted meanwhile is cancelled.
        """
        try:
            while job.unstored:
                if not self.store.append(job.unstored[0]):
                    job.cancelled.set()
                job.unstored.popleft()
        except SourceError as error:
            _log.warning("%d rows of run %s wait to be stored: %s", len(job.unstored), job.run_id, error)

    def _end(self, job: Job) -> None:
        """Note the end of a run, trying for a while where the store is out of reach."""
        for _ in range(STORE_ATTEMPTS):
            self._flush(job)
            try:
                if not job.unstored:
                    self.store.finish(job.run_id, self._how_ended(job))
                    return
            except SourceError as error:
                _log.warning("the end of run %s waits to be stored: %s", job.run_id, error)
            time.sleep(STORE_WAIT_S)
        _log.error("%d rows of run %s could not be stored", len(job.unstored), job.run_id)

    def _how_ended(self, job: Job) -> str:
        """Return how a run ended; one that was measured again ends as before until nothing of it is missing."""
        if job.ended_before is None:
            return "cancelled" if job.cancelled.is_set() else "done"
        run = self.store.run(job.run_id)
        if run is None:
            return job.ended_before
        ended = {row.cell_id for row in run.current if row.state != "cancelled"}
        missing = {cell.cell_id for cell in remeasure.cells_of(run)} - ended
        return job.ended_before if missing else "done"


def _unasked(_device: str) -> Lease:
    return Lease(None)


@lru_cache(maxsize=1)
def shared() -> Runner:
    """Return the one runner of this process, on the default store; its workers end with the process."""
    runner = Runner(Store(), lease=Lease.of)
    atexit.register(runner.close)
    return runner
