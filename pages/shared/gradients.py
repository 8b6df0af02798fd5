"""Gradient rows of the texts that pages show: those of the chosen token at once, the others in the background."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from models.records.influence import Influence
from models.records.trace import ModelTrace
from models.switches.value import NONE, Switches
from pages.shared import ablation, cache, gate
from pages.shared.memo import Memo

if TYPE_CHECKING:
    from models.influence.live import Filling, GradientRows

_rows: "Memo[GradientRows]" = Memo(32)
_filling: "list[Filling]" = []


def at(traces: Sequence[ModelTrace], queries: Sequence[int], off: Sequence[Switches] = ()) -> tuple[Influence, ...]:
    """Return a record for each trace that has the row of its query; rows that are missing are computed.

    off: what is switched off in the run of each trace, nothing without it.
    """
    found = _all(traces, off)
    with gate.released():
        return tuple(rows.get(query) for rows, query in zip(found, queries, strict=True))


def every(traces: Sequence[ModelTrace], off: Sequence[Switches] = ()) -> tuple[Influence, ...]:
    """Return a record of all rows for each trace; what is missing is computed now."""
    known = _all(traces, off)
    with gate.released():
        found = []
        for rows in known:
            while not rows.get(0).whole:
                rows.advance()
            found.append(rows.get(0))
        return tuple(found)


def complete(traces: Sequence[ModelTrace], off: Sequence[Switches] = ()) -> bool:
    """Have the other rows computed in the background; return whether there are none left to compute."""
    from models.influence.live import Filling

    if not _filling:
        _filling.append(Filling())
    found = _all(traces, off)
    for rows in found:
        _filling[0].add(rows)
    return all(rows.filled for rows in found)


def around(trace: ModelTrace, switches: Switches) -> "Callable[[], AbstractContextManager[object]]":
    """Return what opens a block in which the model of a trace runs with parts switched off."""
    from models.switches import context

    means = ablation.means(trace.checkpoint) if switches.need_means else None
    return lambda: context.use(switches, means=means)


def _all(traces: Sequence[ModelTrace], off: Sequence[Switches]) -> "list[GradientRows]":
    switches = off or (NONE,) * len(traces)
    return [_of(trace, one) for trace, one in zip(traces, switches, strict=True)]


def _of(trace: ModelTrace, switches: Switches) -> "GradientRows":
    from models.influence.live import GradientRows

    def make() -> GradientRows:
        return GradientRows(cache.checkpoint(trace.checkpoint), trace, around=around(trace, switches))

    return _rows.get((trace.checkpoint, trace.prompt, switches), (trace,), make)
