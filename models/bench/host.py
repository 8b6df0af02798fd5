"""Hold one worker server for the runner: start it, give it a cell, follow its events, end it at once when asked."""

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

from models.bench.environment import ROOT
from models.bench.plan import Cell, Prediction

COMMAND = (sys.executable, "-u", "-m", "models", "serve-worker")
POLL_S = 0.05
START_LIMIT_S = 180.0  # importing torch from a cold disk


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a cell ended: a row as the worker wrote it, or the state, sentence and values of its failure."""

    row: Mapping[str, Any] | None = None
    state: str = ""
    reason: str = ""
    key: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


class WorkerHost:
    """One worker server on this machine. Not safe for use from two threads; cancelling is by an Event."""

    def __init__(self, command: Sequence[str] = COMMAND, *, threads: int = 1) -> None:
        self.command, self.threads = tuple(command), threads
        self._process: subprocess.Popen[bytes] | None = None
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue()

    def run(
        self,
        cell: Cell,
        *,
        run_id: str,
        prediction: Prediction | None,
        timeout_s: float,
        cancelled: threading.Event,
        on_event: Callable[[Mapping[str, Any]], object] = bool,
    ) -> Outcome:
        """Measure a cell; whatever happens to the worker becomes an Outcome."""
        if not self._alive():
            self._start()
        request = {
            "cell": dataclasses.asdict(cell),
            "run_id": run_id,
            "prediction": prediction and dataclasses.asdict(prediction),
        }
        if not self._send(request):
            return self._died(cell)
        said = Outcome()
        for event in self._follow(cancelled, timeout_s):
            on_event(event)
            kind = event.get("event")
            if kind == "row":
                said = Outcome(row=event["row"])
            elif kind == "error":
                said = Outcome(None, event["state"], event["message"], event["key"], event.get("values") or {})
            elif kind in ("exit", "gone"):
                return self._ended(event, said, cell)
        self.stop()
        if cancelled.is_set():
            return Outcome(None, "cancelled", "cancelled", "errors.cell_cancelled")
        message = f"no result within {timeout_s:.0f} s, so the worker was stopped"
        return Outcome(None, "timeout", message, "errors.cell_timeout", {"seconds": round(timeout_s)})

    def stop(self) -> None:
        """End the server and its cell at once. The children die with it."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL) if os.name == "posix" else process.kill()
        with contextlib.suppress(OSError):
            process.stdin.close()  # type: ignore[union-attr]
        process.wait()

    def _start(self) -> None:
        self.stop()
        threads = str(self.threads)
        pinned = dict.fromkeys(
            ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), threads
        )
        self._events = queue.Queue()
        self._process = subprocess.Popen(
            self.command,
            cwd=ROOT,
            env={**os.environ, **pinned, "CUDA_DEVICE_ORDER": "PCI_BUS_ID", "HF_HUB_DISABLE_PROGRESS_BARS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        threading.Thread(target=_read, args=(self._process, self._events), daemon=True).start()

    def _alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _send(self, message: Mapping[str, Any]) -> bool:
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")  # type: ignore[union-attr]
            self._process.stdin.flush()  # type: ignore[union-attr]
        except (OSError, ValueError):
            return False
        return True

    def _follow(self, cancelled: threading.Event, timeout_s: float) -> Iterator[dict[str, Any]]:
        """Yield events until the cell is cancelled or late; its time begins with it, not while torch is imported."""
        deadline = time.monotonic() + START_LIMIT_S
        while not cancelled.is_set() and time.monotonic() < deadline:
            try:
                event = self._events.get(timeout=POLL_S)
            except queue.Empty:
                continue
            if event is None:
                yield {"event": "gone"}
                return
            if event.get("event") == "started":
                deadline = time.monotonic() + timeout_s
            yield event

    def _ended(self, event: Mapping[str, Any], said: Outcome, cell: Cell) -> Outcome:
        if said.row is not None or said.state:
            return said
        if event["event"] == "gone":
            return self._died(cell)
        return _killed(cell, event.get("signal"))

    def _died(self, cell: Cell) -> Outcome:
        process = self._process
        code = process.wait() if process is not None else None
        self.stop()
        return _killed(cell, -code if code is not None and code < 0 else None)


def _killed(cell: Cell, number: int | None) -> Outcome:
    if number is None:
        return Outcome(None, "failed", "the worker ended without a result", "errors.cell_failed", {"error": "exit"})
    name = signal.Signals(number).name if number in set(signal.Signals) else str(number)
    return Outcome(
        None,
        "killed",
        f"the worker of {cell.cell_id} was ended by {name}",
        "errors.cell_killed",
        {"cell": cell.cell_id, "signal": name},
    )


def _read(process: subprocess.Popen[bytes], events: "queue.Queue[dict[str, Any] | None]") -> None:
    """Turn the worker's lines into events; a line that is no JSON object is left out. None marks the end."""
    for line in process.stdout or ():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            events.put(event)
    events.put(None)
