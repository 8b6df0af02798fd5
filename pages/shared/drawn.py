"""A cache of finished figures of traces, shared by all sessions; a figure is a pure function of its arguments."""

import sys
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from models.records.encoder_decoder import EncoderDecoderRun
from models.records.trace import ModelTrace
from viz.canvas import CanvasSpec
from viz.figure import Figure

Record = ModelTrace | EncoderDecoderRun
BUDGET_BYTES = 128 * 2**20


@dataclass(frozen=True, slots=True)
class _KeptFigure:
    draw: Callable[..., Figure]
    traces: tuple["weakref.ref[Record]", ...]
    figure: Figure
    weight: int


class Figures:
    """A cache bounded by bytes. A figure is valid for the very function and traces it was made from.

    Traces are not kept alive, though the arrays that a figure exports are, and count. Safe to use from any thread.
    """

    def __init__(self, budget_bytes: int = BUDGET_BYTES) -> None:
        self.budget_bytes = budget_bytes
        self._held: OrderedDict[Hashable, _KeptFigure] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def held_bytes(self) -> int:
        """Count the bytes of everything that is kept."""
        with self._lock:
            return sum(kept.weight for kept in self._held.values())

    def get(self, draw: Callable[..., Figure], shown: Any, key: Hashable, make: Callable[[], Figure]) -> Figure:
        """Return the figure that a function drew of a trace, or of several, under this key; else make it.

        key: everything else that the figure depends on. What is no trace, a function that is made anew in every run
        and a key that cannot be hashed are not kept.
        """
        traces = [shown] if isinstance(shown, Record) else shown
        if not _is_lasting(draw) or not _are_traces(traces) or not _is_hashable(key):
            return make()
        with self._lock:
            known = self._held.get(key)
            if known is not None and known.draw is draw and _same(known.traces, traces):
                self._held.move_to_end(key)
                return known.figure
        made = make()
        with self._lock:
            self._held[key] = _KeptFigure(draw, tuple(map(weakref.ref, traces)), made, _weight(made))
            self._held.move_to_end(key)
            while len(self._held) > 1 and sum(kept.weight for kept in self._held.values()) > self.budget_bytes:
                self._held.popitem(last=False)
        return made


def _same(known: Sequence["weakref.ref[Record]"], traces: Sequence[Record]) -> bool:
    return len(known) == len(traces) and all(one() is trace for one, trace in zip(known, traces, strict=True))


def _is_lasting(draw: Callable[..., Figure]) -> bool:
    """Return whether a function is one of a module, not a closure that may hold something else the next time."""
    module = sys.modules.get(getattr(draw, "__module__", ""))
    return getattr(module, getattr(draw, "__qualname__", ""), None) is draw and module is not sys.modules["__main__"]


def _are_traces(shown: object) -> bool:
    return isinstance(shown, list | tuple) and bool(shown) and all(isinstance(one, Record) for one in shown)


def _is_hashable(key: Hashable) -> bool:
    try:
        hash(key)
    except TypeError:
        return False
    return True


def _weight(figure: Figure) -> int:
    """Count the bytes of the arrays that are drawn and exported; those that are both count twice."""
    exported = sum(array.values.nbytes for array in figure.data.values())
    grid = figure.body.grid if isinstance(figure.body, CanvasSpec) else None
    return exported + (grid.values.nbytes if grid is not None else 0)
