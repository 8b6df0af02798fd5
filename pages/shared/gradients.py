"""Gradient rows of the texts that pages show: those of the chosen token at once, the others in the background."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from models.records.influence import Influence
from models.records.trace import ModelTrace
from pages.shared import cache, gate
from pages.shared.memo import Memo

if TYPE_CHECKING:
    from models.influence.live import Filling, GradientRows

_rows: "Memo[GradientRows]" = Memo(32)
_filling: "list[Filling]" = []


def at(traces: Sequence[ModelTrace], queries: Sequence[int]) -> tuple[Influence, ...]:
    """Return a record for each trace that has the row of its query; rows that are missing are computed."""
    with gate.released():
        return tuple(_of(trace).get(query) for trace, query in zip(traces, queries, strict=True))


def every(traces: Sequence[ModelTrace]) -> tuple[Influence, ...]:
    """Return a record of all rows for each trace; what is missing is computed now."""
    with gate.released():
        found = []
        for trace in traces:
            rows = _of(trace)
            while not rows.get(0).whole:
                rows.advance()
            found.append(rows.get(0))
        return tuple(found)


def complete(traces: Sequence[ModelTrace]) -> bool:
    """Have the other rows computed in the background; return whether there are none left to compute."""
    from models.influence.live import Filling

    if not _filling:
        _filling.append(Filling())
    for trace in traces:
        _filling[0].add(_of(trace))
    return all(_of(trace).filled for trace in traces)


def _of(trace: ModelTrace) -> "GradientRows":
    from models.influence.live import GradientRows

    key = (trace.checkpoint, trace.prompt)
    return _rows.get(key, (trace,), lambda: GradientRows(cache.checkpoint(trace.checkpoint), trace))
