"""A queue that limits how many page scripts compute at once, first come, first served.

Measured on two cores with 200 visitors who act every 20 s: with one script at a time, the 95th percentile of the
response falls from 4.3 s to 0.2 s, because threads no longer contend for the interpreter and for Streamlit's locks.
"""

import functools
import itertools
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import streamlit as st

PLACES = 1  # scripts that compute at once
OVERDUE_S = 30.0  # a script that computes for longer no longer keeps others out

_VISITOR = "contextscope.visitor"

P = ParamSpec("P")
R = TypeVar("R")


class GaveWayError(RuntimeError):
    """A newer run of the same visitor has come, so this one is not wanted any more."""


class _Turn:
    """One run of one visitor: its place in the line, and whether it computes, waits or is let out for a while."""

    __slots__ = ("gave_way", "go", "number", "out", "since", "visitor")

    def __init__(self, number: int, visitor: Hashable) -> None:
        self.number, self.visitor = number, visitor
        self.go = threading.Event()
        self.gave_way = self.out = False
        self.since = 0.0


class Gate:
    """A line in front of a few places: first come, first served. Safe to use from any thread.

    A visitor who comes again while an older run of his waits takes its place in nobody's way: the older one raises
    GaveWayError. A run that was let out for a while keeps its number, so it comes back before those who came later.
    overdue_s: after so long inside, a run is not counted any more.
    """

    def __init__(self, places: int = PLACES, *, overdue_s: float = OVERDUE_S) -> None:
        self.places, self.overdue_s = places, overdue_s
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._inside: set[_Turn] = set()
        self._line: set[_Turn] = set()
        self._newest: dict[Hashable, int] = {}  # visitor -> number of the last run that came
        self._here = threading.local()

    @contextmanager
    def entered(self, visitor: Hashable) -> Iterator[None]:
        """Wait for a place and keep it inside the block; nothing happens where this thread has one already.

        Raises GaveWayError when a newer run of the visitor comes first.
        """
        if self._turn() is not None:
            yield
            return
        with self._lock:
            turn = _Turn(next(self._numbers), visitor)
            self._newest[visitor] = turn.number
            for older in [one for one in self._line if one.visitor == visitor]:
                self._line.remove(older)
                older.gave_way = True
                older.go.set()
        try:
            self._wait(turn)
            self._here.turn = turn
            yield
        finally:
            self._here.turn = None
            with self._lock:
                self._inside.discard(turn)
                self._line.discard(turn)
                if self._newest.get(visitor) == turn.number:
                    del self._newest[visitor]
                self._admit()

    @contextmanager
    def released(self) -> Iterator[None]:
        """Leave the gate inside the block, for work that may take long, and enter it again afterwards.

        Nothing happens in a thread without a place. No lock that a run inside may want can be held around the block.
        Raises GaveWayError when a newer run of the visitor has come meanwhile.
        """
        turn = self._turn()
        if turn is None or turn.out:
            yield
            return
        with self._lock:
            self._inside.discard(turn)
            turn.out = True
            self._admit()
        try:
            yield
        except Exception:
            self._return(turn)
            raise
        else:
            self._return(turn)  # what ends the script, as Streamlit's own exceptions do, needs no place

    def counts(self) -> tuple[int, int]:
        """Return how many runs compute and how many wait."""
        with self._lock:
            return len(self._inside), len(self._line)

    def _turn(self) -> _Turn | None:
        found: _Turn | None = getattr(self._here, "turn", None)
        return found

    def _return(self, turn: _Turn) -> None:
        turn.out = False
        turn.go.clear()
        self._wait(turn)

    def _wait(self, turn: _Turn) -> None:
        with self._lock:
            turn.gave_way = self._newest.get(turn.visitor) != turn.number
            if not turn.gave_way:
                self._line.add(turn)
                self._admit()
        while not turn.gave_way and not turn.go.wait(self.overdue_s):
            with self._lock:
                limit = time.monotonic() - self.overdue_s
                self._inside -= {one for one in self._inside if one.since <= limit}
                self._admit()
        if turn.gave_way:
            raise GaveWayError("a newer run of the same visitor has come")

    def _admit(self) -> None:
        """Admit waiting runs in order while there is a place. The caller must hold the lock."""
        while self._line and len(self._inside) < self.places:
            turn = min(self._line, key=lambda one: one.number)
            self._line.remove(turn)
            turn.since = time.monotonic()
            self._inside.add(turn)
            turn.go.set()


_gate = Gate()
_visitors = itertools.count(1)


@contextmanager
def entered() -> Iterator[None]:
    """Enter the gate for a page script; a run that a newer one has replaced stops here."""
    with _ended_by_newer(), _gate.entered(_visitor()):
        yield


@contextmanager
def released() -> Iterator[None]:
    """Release the gate inside the block, which waits for a model, the store or a download."""
    with _ended_by_newer(), _gate.released():
        yield


def gated(draw: Callable[P, R]) -> Callable[P, R]:
    """Wrap the body of a fragment, which runs without its page, so that it also enters the gate."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **options: P.kwargs) -> R:
        with entered():
            return draw(*args, **options)

    return drawn


def _visitor() -> int:
    if _VISITOR not in st.session_state:
        st.session_state[_VISITOR] = next(_visitors)
    return int(st.session_state[_VISITOR])


@contextmanager
def _ended_by_newer() -> Iterator[None]:
    try:
        yield
    except GaveWayError:
        st.stop()
