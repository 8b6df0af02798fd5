"""Measure a task again in a background thread, cell by cell, on sequences that were not measured before."""

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from models import registry
from models.errors import ContextscopeError
from models.machine import threads
from models.recall import curriculum, evaluation, micro
from models.records.recall import Accuracy

QUERIES = 320  # per cell: a binomial standard error of at most 2.8 points
FAR_QUERIES = 160  # per cell of the far ones, whose sequences are long: at most 4 points
KEPT = 8  # finished runs that are remembered

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Key:
    """What makes two runs the same."""

    task: str
    seed: int
    queries: int = QUERIES
    far: bool = False  # the far cells of the task in place of its map


class LiveRun:
    """One measurement of every architecture on a task. Read its fields at any time; they only grow.

    cells: finished cells by architecture. error: what stopped it, None where nothing did. All four models are loaded
    before the first cell; architectures alternate, so that an unfinished run compares equal cells.
    """

    def __init__(self, key: Key) -> None:
        self.key = key
        self.task = curriculum.task(key.task)
        self.places = self.task.far if key.far else self.task.cells
        self.architectures = micro.trained(key.task)
        self.cells: Mapping[str, list[Accuracy]] = {name: [] for name in self.architectures}
        self.started = time.monotonic()
        self.seconds = 0.0
        self.error: Exception | None = None
        self.watchers = 0  # visitors who asked for it and have not left
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._measure, name=f"recall-{key.task}", daemon=True)

    @property
    def planned(self) -> int:
        """Cells there are, over all architectures."""
        return len(self.architectures) * len(self.places)

    @property
    def measured(self) -> int:
        """Cells that are finished."""
        return sum(map(len, self.cells.values()))

    @property
    def running(self) -> bool:
        """Whether it still measures, or waits for its turn."""
        return self._thread.is_alive()

    @property
    def stopping(self) -> bool:
        """Whether a stop was requested; the run then ends after the current cell."""
        return self._stop.is_set()

    @property
    def cancelled(self) -> bool:
        """Whether it was stopped before its end."""
        return self._stop.is_set() and self.measured < self.planned

    def start(self) -> None:
        """Begin, after any run that has not ended."""
        self._thread.start()

    def cancel(self) -> None:
        """Stop after the cell that is being measured; what is finished stays."""
        self._stop.set()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until it ends."""
        self._thread.join(seconds)

    def _measure(self) -> None:
        while not _turn.acquire(timeout=0.2):
            if self._stop.is_set():  # nobody waits for it any more
                return
        try:
            with threads.limited(1):  # the operators are tiny, and the other cores serve the visitors
                self.started = time.monotonic()
                for name, cell in self._cells():
                    self.cells[name].append(cell)
                    self.seconds = time.monotonic() - self.started
                    if self._stop.is_set():
                        return
        except ContextscopeError as error:
            self.error = error
        except Exception as error:  # noqa: BLE001 - whatever it is, the visitor is told and the log has it
            _log.exception("measuring %s", self.key)
            self.error = error
        finally:
            _turn.release()

    def _cells(self) -> Iterator[tuple[str, Accuracy]]:
        if self._stop.is_set():
            return
        device = registry.preferred_device()
        loaded = {name: micro.load(self.key.task, name, device=device) for name in self.architectures}
        for cell in self.places:
            for name, checkpoint in loaded.items():
                asked = {"seed": self.key.seed, "queries": self.key.queries}
                yield name, next(evaluation.evaluate(checkpoint.model, self.task, [cell], **asked))


class LiveRuns:
    """The live runs of one server. Concurrent requests for the same run share it."""

    def __init__(self) -> None:
        self._runs: dict[Key, LiveRun] = {}
        self._lock = threading.Lock()

    def start(self, key: Key) -> LiveRun:
        """Return the run of a key, begun now unless it was finished or is under way and not being stopped."""
        with self._lock:
            known = self._runs.get(key)
            going = known is not None and known.running and not known.stopping
            if known is not None and (going or known.measured == known.planned):
                known.watchers += 1
                return known
            ended = [other for other, run in self._runs.items() if not run.running]
            for other in ended[: max(0, len(ended) - KEPT + 1)]:
                del self._runs[other]
            run = LiveRun(key)
            run.watchers = 1
            self._runs.pop(key, None)  # one that is stopping ends by itself; its successor is the youngest entry
            self._runs[key] = run
            run.start()
            return run

    def leave(self, key: Key) -> None:
        """Withdraw one request for a run; the run stops when no request is left."""
        with self._lock:
            run = self._runs.get(key)
            if run is not None:
                run.watchers -= 1
                if run.watchers <= 0:
                    run.cancel()

    def get(self, key: Key) -> LiveRun | None:
        """Return the run of a key; None when there is none, or it was forgotten."""
        return self._runs.get(key)


_turn = threading.Lock()  # one measurement at a time: a second one would only slow both
