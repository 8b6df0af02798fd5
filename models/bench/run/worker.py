"""Worker server: one process per open cell, with requests and answers as JSON lines.

Started by the runner as `python -m models serve-worker`. The server imports torch once and forks a child per cell, so
that a cell costs no import; it computes nothing itself, so nothing is initialised before the fork. Children wait for
each round, so that cells can take turns. Where fork is not safe (not Linux) the process is itself the child of the one
cell it is asked for.

In:  {"open": cell id, "cell": {...}, "run_id", "prediction", "ceilings", "sentinel_best_ms"}, {"round": cell id},
     {"finish": cell id}, {"kill": cell id}, {"open": name, "ceilings_of": {"device", "dtype", "threads"}}
Out: {"event": "hello"}, and with "cell_id": {"event": "started", "pid"}, {"event": "phase", "phase", "done", "of"},
     {"event": "ready"}, {"event": "round", "seconds", "steady", "attempts", "relative", "sentinel_ms",
     "prefill_ms", "decode_ms"},
     {"event": "row", "row": {...}}, {"event": "ceilings", ...}, {"event": "exit", "signal"},
     {"event": "error", "state", "key", "message", "values"}
"""

import ctypes
import dataclasses
import json
import os
import re
import selectors
import signal
import socket
import statistics
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn, TextIO

from models.errors import CellError, ContextscopeError, out_of_memory

_PR_SET_PDEATHSIG = 1
_STATUS = Path("/proc/self/status")
FORKS = sys.platform == "linux" and hasattr(os, "pidfd_open")


Say = Callable[..., None]
Listen = Callable[[], dict[str, Any] | None]
Child = Callable[[Mapping[str, Any], Listen, Say], None]


def main() -> int:
    """Serve until standard input ends."""
    die_with_parent()
    out = _own_stdout()
    from models.bench.measure import cell_run  # noqa: F401  # the heavy import, before any fork

    say(out, event="hello", pid=os.getpid())
    return serve(out, attend) if FORKS else serve_one(out, attend)


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


def attend(request: Mapping[str, Any], listen: Listen, answer: Say) -> None:
    """Be the process of one cell: prepare it, make a round whenever asked, and end with its row or how it failed."""
    answer(event="started", pid=os.getpid())
    try:
        if "ceilings_of" in request:
            from models.bench.measure import peaks

            answer(event="ceilings", **dataclasses.asdict(peaks.measure(**request["ceilings_of"])))
        else:
            _measure(request, listen, answer)
    except Exception as error:  # noqa: BLE001  # a cell's failure is data: it becomes the row's state
        answer(event="error", **failure(error))


def _measure(request: Mapping[str, Any], listen: Listen, answer: Say) -> None:
    from models.bench.measure.cell_run import CellRun
    from models.bench.measure.peaks import RooflinePeaks
    from models.bench.plan.plan import Cell, Prediction

    cell = Cell(**request["cell"])
    if cell.device == "cpu":
        _limit_memory()
    run = CellRun(
        cell,
        run_id=request["run_id"],
        prediction=Prediction(**request["prediction"]) if request.get("prediction") else None,
        roofline_peaks=RooflinePeaks(**request["ceilings"]) if request.get("ceilings") else None,
        sentinel_best_ms=request.get("sentinel_best_ms"),
        report=lambda phase, done, of: answer(event="phase", phase=phase, done=done, of=of),
    )
    run.prepare()
    answer(event="ready")
    while (message := listen()) is not None:
        if "round" in message:
            made = run.round()
            seconds = (made.e2e + made.sentinel_before + made.sentinel_after) / 1e3
            answer(
                event="round", seconds=seconds, steady=made.steady, attempts=made.attempts, relative=run.spread,
                sentinel_ms=min(made.sentinel_before, made.sentinel_after),
                prefill_ms=made.prefill, decode_ms=statistics.median(made.decode),
            )  # fmt: skip
        if "finish" in message:
            answer(event="row", row=run.row().to_row())
            return


def _limit_memory(share: float = 0.95) -> None:
    """Limit the memory of this process to what is free now: allocations fail before the kernel kills one."""
    import resource

    from models.machine import facts

    free = facts.free_memory()
    held = next((line for line in _STATUS.read_text("ascii").splitlines() if line.startswith("VmData:")), None)
    if free is not None and held is not None:
        limit = int(held.split()[1]) * 1024 + int(share * free)
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def failure(error: BaseException) -> dict[str, Any]:
    """Turn an exception into the state, sentence and values of a row."""
    if isinstance(error, CellError):
        return {"state": "parity_fail", "key": error.key, "message": str(error), "values": error.values}
    if isinstance(error, ContextscopeError):
        return {"state": "unsupported", "key": error.key, "message": str(error), "values": error.values}
    text = str(error).strip()
    if out_of_memory(error):
        asked = _ASKED.search(text)
        values = {"requested": round(float(asked[1]) * _UNITS[asked[2]])} if asked else {}
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


_UNITS = {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_ASKED = re.compile(rf"allocate (\d+(?:\.\d+)?) ({'|'.join(_UNITS)})")  # torch: bytes on a CPU, GiB on a GPU


def _own_stdout() -> TextIO:
    """Reserve standard output for events; redirect output of libraries to standard error."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return out


def serve(out: TextIO, child: Child) -> int:
    """Fork a child per open cell and relay lines both ways; a child that ends by itself is reported as an exit.

    children holds those that are heard: of one that was killed, or has a namesake after it, nothing more is told.
    """
    asked = _Lines(0)
    children: dict[str, _Process] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(asked.descriptor, selectors.EVENT_READ, None)
        while True:
            for key, _ in selector.select():
                if key.data is None:
                    if not asked.fill():
                        for process in children.values():
                            process.kill()
                        return 0
                    for message in asked.held():
                        _obey(message, child, children, selector)
                else:
                    _hear(key.data, children, selector, out)


def serve_one(out: TextIO, child: Child) -> int:
    """Be the child of the first cell asked for."""
    asked = _Lines(0)
    request = asked.next()
    if request is not None:
        name = request["open"]
        child(request, asked.next, lambda **event: say(out, cell_id=name, **event))
    return 0


def _obey(
    message: Mapping[str, Any], child: Child, children: "dict[str, _Process]", selector: selectors.BaseSelector
) -> None:
    if "open" in message:
        process = _Process(message, child)
        children[process.name] = process
        selector.register(process.watched, selectors.EVENT_READ, process)
        return
    name = str(next((message[verb] for verb in ("round", "finish", "kill") if verb in message), None))
    if name not in children:
        return
    if "kill" in message:
        children.pop(name).kill()
    else:
        children[name].send(message)


def _hear(process: "_Process", children: "dict[str, _Process]", selector: selectors.BaseSelector, out: TextIO) -> None:
    heard = children.get(process.name) is process
    if process.relay(out if heard else None):
        return
    selector.unregister(process.watched)
    number = process.end()
    if heard:
        del children[process.name]
        say(out, event="exit", cell_id=process.name, signal=number)


class _Process:
    """A forked child process and the socket of its events, which closes when the child ends."""

    def __init__(self, request: Mapping[str, Any], child: Child) -> None:
        self.name = str(request["open"])
        ours, its = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            ours.close()
            _be(request, its, child)
        its.close()
        self.watched = ours
        self._said = _Lines(ours.fileno())

    def send(self, message: Mapping[str, Any]) -> None:
        """Pass a line on; a child that is gone is noticed when its socket ends."""
        try:
            self.watched.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            return

    def relay(self, out: TextIO | None) -> bool:
        """Relay the lines of the child, or drop them if out is None; False once it has ended."""
        more = self._said.fill()
        for event in self._said.held():
            if out is not None:
                say(out, **(event | {"cell_id": self.name}))
        return more

    def kill(self) -> None:
        """End the child at once; it is not yet waited for, so the number is still its own."""
        os.kill(self.pid, signal.SIGKILL)

    def end(self) -> int | None:
        """Wait for the child; returns the signal that ended it."""
        self.watched.close()
        _, status = os.waitpid(self.pid, 0)
        return os.WTERMSIG(status) if os.WIFSIGNALED(status) else None


def _be(request: Mapping[str, Any], link: socket.socket, child: Child) -> NoReturn:
    try:
        die_with_parent()
        link.set_inheritable(False)
        heard = _Lines(link.fileno())
        with link.makefile("w", encoding="utf-8") as out:
            child(request, heard.next, lambda **event: say(out, **event))
    finally:
        os._exit(0)


class _Lines:
    """JSON lines from a file descriptor, without read-ahead, so that select() stays correct."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._held = b""

    def fill(self) -> bool:
        """Read once; False at the end."""
        try:
            more = os.read(self.descriptor, 65536)
        except ConnectionResetError:
            more = b""
        self._held += more
        return bool(more)

    def held(self) -> list[dict[str, Any]]:
        """Return the complete lines read so far; a line that is no JSON object is left out."""
        *lines, self._held = self._held.split(b"\n")
        return [found for line in lines if (found := _object(line)) is not None]

    def next(self) -> dict[str, Any] | None:
        """Wait for one message; None at the end."""
        while b"\n" not in self._held:
            if not self.fill():
                return None
        line, self._held = self._held.split(b"\n", 1)
        message = _object(line)
        return self.next() if message is None else message


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


if __name__ == "__main__":
    sys.exit(main())
