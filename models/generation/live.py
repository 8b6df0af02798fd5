"""One line in front of one thread that writes texts on: first come, first served, and who leaves frees it.

A page never waits: it starts a continuation, asks for its state as often as it likes, and says by asking that somebody
still looks. A continuation nobody has asked for within patience_s is dropped, waiting or writing.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from models.errors import ContextscopeError, SettingError
from models.generation.stream import Settings, Step, continue_text
from models.tracing.adapter import Checkpoint

PATIENCE_S = 6.0  # a hidden browser tab asks once a second
MOST_WAITING = 64  # continuations in line; each takes seconds

_log = logging.getLogger(__name__)

Write = Callable[[Checkpoint, str, Settings], Iterator[Step]]


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast one model wrote: seconds to its first token and to its last, counted from when it was its turn."""

    first_s: float
    last_s: float
    tokens: int

    @property
    def tokens_per_s(self) -> float | None:
        """Tokens after the first in a second, while the models take turns; None before the second."""
        return (self.tokens - 1) / (self.last_s - self.first_s) if self.tokens > 1 else None


class Continuation:
    """One text that one or several models write on. Read its fields at any time; steps only grow.

    names: of the models, in order. steps, paces, errors: by name; a model that fails leaves the others alone.
    """

    def __init__(
        self, models: Mapping[str, Checkpoint], prompt: str, settings: Settings, *, clock: Callable[[], float]
    ) -> None:
        self.names, self.prompt, self.settings = tuple(models), prompt, settings
        self.steps: Mapping[str, list[Step]] = {name: [] for name in models}
        self.paces: dict[str, Pace] = {}
        self.errors: dict[str, Exception] = {}
        self._models: Mapping[str, Checkpoint] = dict(models)
        self._clock, self._asked = clock, clock()
        self._stop, self._over, self._begun = threading.Event(), threading.Event(), threading.Event()
        self._shown = threading.Event()  # every model has written a token, or never will

    @property
    def running(self) -> bool:
        """Whether it writes, or waits for its turn."""
        return not self._over.is_set()

    @property
    def waiting(self) -> bool:
        """Whether it has not had its turn."""
        return self.running and not self._begun.is_set()

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop."""
        return self._stop.is_set()

    def text(self, name: str) -> str:
        """Return what a model has written, whole characters only."""
        return "".join(step.text for step in tuple(self.steps[name]))

    def cancel(self) -> None:
        """Stop before the next token; what is written stays."""
        self._stop.set()

    def asked(self) -> None:
        """Note that somebody looks."""
        self._asked = self._clock()

    def unwanted(self, patience_s: float) -> bool:
        """Tell whether it was stopped, or nobody has looked for so long."""
        return self._stop.is_set() or self._clock() - self._asked > patience_s

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it is over; return whether it is."""
        return self._over.wait(seconds)

    def wait_first(self, seconds: float | None = None) -> bool:
        """Wait until every model has a first token or has failed, or it is over; return whether that is so."""
        return self._shown.wait(seconds)

    def write(self, write: Write, patience_s: float) -> None:
        """Let the models write in turns, one token each, until all have ended or nobody wants it any more."""
        self._begun.set()
        began = time.monotonic()
        writing = {name: write(model, self.prompt, self.settings) for name, model in self._models.items()}
        while writing:
            if all(self.steps[name] for name in writing):
                self._shown.set()
            for name in tuple(writing):
                if self.unwanted(patience_s):
                    return
                try:
                    step = next(writing[name], None)
                except Exception as error:  # noqa: BLE001 - whatever it is, the visitor is told and the log has it
                    if not isinstance(error, ContextscopeError):
                        _log.exception("continuing with %s", name)
                    self.errors[name] = error
                    step = None
                if step is None:
                    del writing[name]
                    continue
                now, known = time.monotonic() - began, self.paces.get(name)
                self.paces[name] = Pace(known.first_s if known else now, now, step.index + 1)
                self.steps[name].append(step)

    def end(self) -> None:
        """Let go of the models: who looks at the text later does not keep them in memory."""
        self._models = {}
        self._over.set()
        self._shown.set()


class Continuations:
    """The line and its thread, which lives while somebody is in line. Safe to use from any thread."""

    def __init__(
        self,
        *,
        patience_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
        write: Write = continue_text,
    ) -> None:
        self.patience_s = patience_s
        self._clock, self._write = clock, write
        self._line: deque[Continuation] = deque()
        self._current: Continuation | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self, models: Mapping[str, Checkpoint], prompt: str, settings: Settings) -> Continuation:
        """Put a continuation at the end of the line. Raises SettingError when the line is full."""
        with self._lock:
            if len(self._waiting()) >= MOST_WAITING:
                message = f"{MOST_WAITING} others are in line: try again in a minute"
                raise SettingError("errors.line_full", message, waiting=MOST_WAITING)
            run = Continuation(models, prompt, settings, clock=self._clock)
            self._line.append(run)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="continuations", daemon=True)
                self._thread.start()
            return run

    def ahead(self, run: Continuation) -> int:
        """Count those who are served before a continuation: the one that is written now, and those in line."""
        with self._lock:
            if run not in self._line:
                return 0
            before = self._waiting()
            own = before.index(run) if run in before else len(before)
            return own + (self._current is not None)

    def _waiting(self) -> Sequence[Continuation]:
        """List who is in line and still wanted. The caller must hold the lock."""
        return [run for run in self._line if not run.unwanted(self.patience_s)]

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._line:
                    self._thread = self._current = None
                    return
                run = self._current = self._line.popleft()
            try:
                if not run.unwanted(self.patience_s):
                    run.write(self._write, self.patience_s)
            except Exception:  # noqa: BLE001 - the line goes on without it
                _log.exception("a continuation failed")
            finally:
                run.end()
