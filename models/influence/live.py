"""Gradient rows of a text as they are asked for, and all the others in the background while somebody looks.

A page asks for the rows of the chosen token and gets them at once. The rows of all other tokens follow, a few at a
time, so that a later choice finds them. A text nobody has asked for within PATIENCE_S is left as it is.
"""

import atexit
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from models.influence.gradient import CHUNK, connectivity
from models.limits import GRADIENT_TOKENS
from models.records.influence import Influence
from models.records.trace import ModelTrace, NamedArray
from models.tracing.adapter import Checkpoint

PATIENCE_S = 6.0  # a hidden browser tab asks once a second

_log = logging.getLogger(__name__)

Around = Callable[[], AbstractContextManager[object]]


class GradientRows:
    """The gradient connectivity of one text by one model. Safe to use from any thread; rows only come.

    around: what holds while the model runs, as switches do.
    """

    def __init__(self, checkpoint: Checkpoint, trace: ModelTrace, *, around: Around = nullcontext) -> None:
        self._ids = [token.id for token in trace.tokens]
        self._checkpoint, self._around = checkpoint, around
        self._values = np.full((len(self._ids), len(self._ids)), np.nan, np.float32)
        self._names = trace.checkpoint, trace.prompt
        self._lock = threading.Lock()
        self._told: Influence | None = None
        self._asked = time.monotonic()

    @property
    def filled(self) -> bool:
        """Whether no row will follow by itself: all are there, or the text is too long for that."""
        return len(self._ids) > GRADIENT_TOKENS or not len(self._missing())

    @property
    def wanted(self) -> bool:
        """Whether somebody has asked lately."""
        return time.monotonic() - self._asked < PATIENCE_S

    def get(self, query: int) -> Influence:
        """Return a record that has the row of a query, the same one as before unless there is more to tell.

        It is computed where it is missing. Once all rows are there, the record of all of them comes.
        """
        self._asked = time.monotonic()
        if np.isnan(self._values[query, 0]):
            self._compute([query])
        with self._lock:
            whole = not len(self._missing())
            if self._told is None or query not in self._told.known or (whole and not self._told.whole):
                values = NamedArray(self._values.copy(), ("query", "key"))
                self._told = Influence("gradient", *self._names, values)
            return self._told

    def advance(self) -> None:
        """Compute some of the rows that are missing."""
        missing = self._missing()
        if len(missing):
            self._compute([int(t) for t in missing[:CHUNK]])

    def _missing(self) -> np.ndarray:
        return np.flatnonzero(np.isnan(self._values[:, 0]))

    def _compute(self, queries: Sequence[int]) -> None:
        with self._around():
            rows = connectivity(self._checkpoint, self._ids, queries)
        with self._lock:
            self._values[list(queries)] = rows


class Filling:
    """One thread that completes the rows of the texts that people look at, in turns. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._line: list[GradientRows] = []
        self._thread: threading.Thread | None = None
        self._over = False

    def add(self, rows: GradientRows) -> None:
        """Complete these rows, unless they are or nobody asks for them any more."""
        with self._lock:
            if rows.filled or rows in self._line:
                return
            self._line.append(rows)
            if self._over:
                return
            if self._thread is None:
                atexit.register(self.close)  # a thread that computes while the process ends would abort it
                self._thread = threading.Thread(target=self._work, name="gradients", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Stop after the rows that are being computed; nothing is completed any more."""
        with self._lock:
            self._over, self._line, thread = True, [], self._thread
        if thread is not None:
            thread.join()

    def _work(self) -> None:
        while True:
            with self._lock:
                self._line = [rows for rows in self._line if rows.wanted and not rows.filled]
                if not self._line:
                    self._thread = None
                    return
                rows = self._line.pop(0)
            try:
                rows.advance()
            except Exception:  # noqa: BLE001 - whatever it is, these rows stay as they are
                _log.exception("gradients of a text")
                continue
            with self._lock:
                if rows not in self._line and not self._over:  # somebody may have put them back meanwhile
                    self._line.append(rows)
