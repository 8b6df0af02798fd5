"""Serve cells: read one JSON line each, run every cell in a process of its own, answer in JSON lines.

Started by the runner as `python -m models serve-worker`. The server imports torch once and forks a child per cell, so
that a cell costs no import; it computes nothing itself, so nothing is initialised before the fork. Where fork is not
safe (not Linux) it runs a single cell in its own process and ends.

In:  {"cell": {...}, "run_id": "...", "prediction": {...} or null} or {"cancel": cell id}
Out: {"event": "ready"}, {"event": "started", "pid"}, {"event": "phase", "phase", "done", "of"},
     {"event": "row", "row": {...}}, {"event": "error", "state", "key", "message", "values"},
     {"event": "exit", "signal"}
"""

import ctypes
import json
import os
import re
import selectors
import signal
import sys
import threading
from typing import Any, NoReturn, TextIO

from models.errors import CellError, ContextscopeError

_PR_SET_PDEATHSIG = 1
FORKS = sys.platform == "linux" and hasattr(os, "pidfd_open")


def main() -> int:
    """Serve until standard input ends."""
    die_with_parent()
    out = _own_stdout()
    from models.bench import measure  # noqa: F401  # the heavy import, before any fork

    say(out, event="ready", pid=os.getpid())
    return _serve(out) if FORKS else _serve_once(out)


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent goes, and leave at once if it has gone already."""
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def say(out: TextIO, **event: Any) -> None:
    """Write one event as a line."""
    out.write(json.dumps(event, allow_nan=False, default=str) + "\n")
    out.flush()


def run_cell(request: dict[str, Any], out: TextIO) -> None:
    """Measure one cell and say the row, or how it failed."""
    from models.bench import measure
    from models.bench.plan import Cell, Prediction

    say(out, event="started", pid=os.getpid())
    prediction = Prediction(**request["prediction"]) if request.get("prediction") else None

    def report(phase: str, done: int, of: int) -> None:
        say(out, event="phase", phase=phase, done=done, of=of)

    try:
        row = measure.measure(Cell(**request["cell"]), run_id=request["run_id"], prediction=prediction, report=report)
    except Exception as error:  # noqa: BLE001  # a cell's failure is data: it becomes the row's state
        say(out, event="error", **failure(error))
    else:
        say(out, event="row", row=row.to_row())


def failure(error: BaseException) -> dict[str, Any]:
    """Turn an exception into the state, sentence and values of a row."""
    if isinstance(error, CellError):
        return {"state": "parity_fail", "key": error.key, "message": str(error), "values": error.values}
    if isinstance(error, ContextscopeError):
        return {"state": "unsupported", "key": error.key, "message": str(error), "values": error.values}
    text = str(error).strip()
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or _ALLOCATION.search(text):
        asked = _BYTES.search(text)
        values = {"requested": int(asked[1])} if asked else {}
        return {
            "state": "oom",
            "key": "errors.cell_oom",
            "message": "the machine could not give the memory",
            "values": values,
        }
    said = text.splitlines()[0][:300] if text else ""
    return {
        "state": "failed",
        "key": "errors.cell_failed",
        "message": f"{type(error).__name__}: {said}",
        "values": {"error": type(error).__name__},
    }


_ALLOCATION = re.compile(r"can't allocate memory|not enough memory|out of memory", re.IGNORECASE)
_BYTES = re.compile(r"allocate (\d+) bytes")


def _own_stdout() -> TextIO:
    """Keep the real standard output for events; whatever libraries print goes to standard error."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return out


def _serve(out: TextIO) -> int:
    """Fork a child per cell, and listen for a cancel while it runs."""
    lines = _Lines(0)
    while (request := lines.next()) is not None:
        if "cell" not in request:
            continue
        pid = os.fork()
        if pid == 0:
            _child(request, out)
        watched = os.pidfd_open(pid)
        try:
            if not _attend(pid, watched, lines):
                return 0
        finally:
            os.close(watched)
        _, status = os.waitpid(pid, 0)
        say(out, event="exit", signal=os.WTERMSIG(status) if os.WIFSIGNALED(status) else None)
    return 0


def _attend(pid: int, watched: int, lines: "_Lines") -> bool:
    """Wait for a child; a cancel or the end of input kills it. False when input has ended."""
    with selectors.DefaultSelector() as selector:
        selector.register(watched, selectors.EVENT_READ)
        selector.register(lines.descriptor, selectors.EVENT_READ)
        while True:
            ready = {key.fd for key, _ in selector.select()}
            if watched in ready:
                return True
            message = lines.next()
            if message is None or "cancel" in message:
                os.kill(pid, signal.SIGKILL)  # not yet waited for, so the number is still this child's
            if message is None:
                os.waitpid(pid, 0)
                return False


def _child(request: dict[str, Any], out: TextIO) -> NoReturn:
    try:
        die_with_parent()
        run_cell(request, out)
    finally:
        out.flush()
        os._exit(0)


def _serve_once(out: TextIO) -> int:
    """Run one cell in this process; a thread leaves when input ends or a cancel comes."""
    lines = _Lines(0)
    request = lines.next()
    if request is None:
        return 0

    def watch() -> None:
        while (message := lines.next()) is not None and "cancel" not in message:
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    run_cell(request, out)
    return 0


class _Lines:
    """JSON lines from a descriptor, unbuffered beyond the line asked for, so that select() tells the truth."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._held = b""

    def next(self) -> dict[str, Any] | None:
        """Return the next message, or None at the end of input."""
        while b"\n" not in self._held:
            more = os.read(self.descriptor, 65536)
            if not more:
                return None
            self._held += more
        line, self._held = self._held.split(b"\n", 1)
        message: dict[str, Any] = json.loads(line)
        return message


if __name__ == "__main__":
    sys.exit(main())
