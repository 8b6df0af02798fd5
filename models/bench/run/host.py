"""The runner's side of the worker server: open one process per cell, send it steps, kill it on request."""

import contextlib
import dataclasses
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from models.bench.plan.plan import Cell, Prediction
from models.bench.run.variables import passed_on
from models.bench.run.worker import FORKS
from models.machine.paths import ROOT

COMMAND = (sys.executable, "-u", "-m", "models", "serve-worker")
POLL_S = 0.05
LATE_S = 0.05  # for what was said in time to arrive
# Threads that spin while they wait take the cores from those that have something to do: beside two busy processes a
# token of the bundled Mamba took 34 to 152 ms so, and 20 ms where they sleep.
WAITING = {"OMP_WAIT_POLICY": "PASSIVE"}
START_LIMIT_S = 180.0  # importing torch from a cold disk

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a cell ended without a row: its state, sentence and values."""

    state: str
    reason: str
    key: str
    values: Mapping[str, Any] = field(default_factory=dict)


class WorkerHost:
    """The worker servers of one device: one that forks a process per cell, or one process for each where it cannot.

    Not safe for use from two threads; cancelling is by an Event.
    """

    def __init__(self, command: Sequence[str] = COMMAND, *, threads: int = 1) -> None:
        self.command, self.threads = tuple(command), threads
        self._servers: list[_Server] = []

    def open(
        self,
        cell: Cell,
        *,
        run_id: str,
        prediction: Prediction | None,
        roofline_peaks: Mapping[str, float] | None,
        sentinel_best_ms: float | None = None,
    ) -> "Worker":
        """Begin a cell in a process of its own."""
        request = {
            "open": cell.cell_id,
            "cell": dataclasses.asdict(cell),
            "run_id": run_id,
            "prediction": prediction and dataclasses.asdict(prediction),
            "ceilings": roofline_peaks and dict(roofline_peaks),
            "sentinel_best_ms": sentinel_best_ms,
        }
        return Worker(self._server(), cell.cell_id, request)

    def roofline_peaks(
        self, cell: Cell, *, cancelled: threading.Event, timeout_s: float = 60.0
    ) -> Mapping[str, float] | None:
        """Measure what a cell's device can do at most; None when that fails."""
        asked = {"device": cell.device, "dtype": cell.dtype, "threads": cell.threads}
        worker = Worker(self._server(), "ceilings", {"open": "ceilings", "ceilings_of": asked})
        found = worker.ask(None, until="ceilings", timeout_s=timeout_s, cancelled=cancelled)
        worker.close()
        if isinstance(found, Outcome):
            return None
        return {name: float(found[name]) for name in ("bandwidth_bytes_per_s", "peak_flops_per_s")}

    def stop(self) -> None:
        """End every server and its cells at once. The children die with their server."""
        servers, self._servers = self._servers, []
        for server in servers:
            server.stop()

    def _server(self) -> "_Server":
        self._servers = [server for server in self._servers if server.alive]
        if not self._servers or not FORKS:
            self._servers.append(_Server(self.command, self.threads))
        return self._servers[-1]


class Worker:
    """One cell's process, driven from one thread."""

    def __init__(self, server: "_Server", name: str, request: Mapping[str, Any]) -> None:
        self._server, self._name = server, name
        self._events = server.listen(name)
        self._server.send(request)

    def ask(
        self,
        message: str | None,
        *,
        until: str,
        timeout_s: float,
        cancelled: threading.Event,
        on_event: Callable[[Event], object] = bool,
    ) -> Event | Outcome:
        """Send a verb ("round", "finish") and wait for an event of a kind; anything else is returned as an Outcome.

        The time begins when the process has started, not while torch is imported. After an Outcome it is gone.
        """
        if message is not None:
            self._server.send({message: self._name})
        failed: Outcome | None = None
        for event in self._follow(cancelled, timeout_s, started=message is not None):
            on_event(event)
            kind = event.get("event")
            if kind == until:
                return event
            if kind == "error":
                failed = Outcome(event["state"], event["message"], event["key"], event.get("values") or {})
            elif kind in ("exit", "gone"):
                return failed or _killed(self._name, event.get("signal"))
        self.close()
        if cancelled.is_set():
            return Outcome("cancelled", "cancelled", "errors.cell_cancelled")
        sentence = f"no result within {timeout_s:.0f} s, so the worker was stopped"
        return Outcome("timeout", sentence, "errors.cell_timeout", {"seconds": round(timeout_s)})

    def close(self) -> None:
        """End the process."""
        self._server.send({"kill": self._name})
        self._server.forget(self._name, self._events)

    def _follow(self, cancelled: threading.Event, timeout_s: float, *, started: bool) -> Iterator[Event]:
        """Yield events until the cell is cancelled or late. Events sent in time count, also after ctrl-Z and fg."""
        deadline = time.monotonic() + (timeout_s if started else START_LIMIT_S)
        while not cancelled.is_set():
            late = time.monotonic() >= deadline
            try:
                event = self._events.get(timeout=LATE_S if late else POLL_S)
            except queue.Empty:
                if late:
                    return
                continue
            if event.get("event") == "started":
                deadline = time.monotonic() + timeout_s
            yield event


class _Server:
    """A server process, its standard input, and a queue of events for every cell that listens."""

    def __init__(self, command: Sequence[str], threads: int) -> None:
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
        pinned = dict.fromkeys(names, str(threads))
        quiet = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "KINETO_LOG_LEVEL": "99"}
        self._listening: dict[str, queue.Queue[Event]] = {}
        self._lock = threading.Lock()
        self._gone: Event | None = None  # how it ended
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**WAITING, **passed_on(os.environ), **pinned, **quiet},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def listen(self, name: str) -> "queue.Queue[Event]":
        """Return the event queue of a cell; events of an earlier cell of the same name are dropped."""
        with self._lock:
            events: queue.Queue[Event] = queue.Queue()
            self._listening[name] = events
            if self._gone is not None:
                events.put(self._gone)
            return events

    def forget(self, name: str, events: "queue.Queue[Event]") -> None:
        """Stop listening to a cell."""
        with self._lock:
            if self._listening.get(name) is events:
                del self._listening[name]

    def send(self, message: Mapping[str, Any]) -> None:
        """Write a line; a server that is gone is noticed when its output ends."""
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(json.dumps(message).encode() + b"\n")  # type: ignore[union-attr]
            self._process.stdin.flush()  # type: ignore[union-attr]

    def stop(self) -> None:
        """End it and its cells."""
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL) if os.name == "posix" else self._process.kill()
        with contextlib.suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]
        self._process.wait()

    def _read(self) -> None:
        """Turn lines into events for whom they concern; a line that is no JSON object is left out."""
        for line in self._process.stdout or ():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict):
                self._tell(str(event.get("cell_id", "")), event)
        code = self._process.wait()
        with self._lock:
            self._gone = {"event": "gone", "signal": -code if code < 0 else None}
            for events in self._listening.values():
                events.put(self._gone)

    def _tell(self, name: str, event: Event) -> None:
        with self._lock:
            listening = self._listening.get(name)
        if listening is not None:
            listening.put(event)


def _killed(name: str, number: int | None) -> Outcome:
    if number is None:
        return Outcome("failed", "the worker ended without a result", "errors.cell_failed", {"error": "exit"})
    known = signal.Signals(number).name if number in set(signal.Signals) else str(number)
    sentence = f"the worker of {name} was ended by {known}"
    return Outcome("killed", sentence, "errors.cell_killed", {"cell": name, "signal": known})
