"""Where each cell of a running plan stands: which rounds it made, what they took, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from models.bench.plan.plan import Cell, Plan, Prediction

OPENED = ("loading", "ready", "measuring")


@dataclass(frozen=True, slots=True)
class CellProgress:
    """A cell of a running plan.

    state: "loading", "ready" (prepared, waiting for its turn), "measuring", or that of its row once it has one. rounds:
    of each one made, whether it was steady. seconds: that the rounds took. prefill_ms, decode_ms: of each steady round,
    the prompt and the median step.
    """

    state: str = ""
    rounds: tuple[bool, ...] = ()
    seconds: float = 0.0
    prefill_ms: tuple[float, ...] = ()
    decode_ms: tuple[float, ...] = ()

    @property
    def finished(self) -> bool:
        """Return whether it has its row."""
        return bool(self.state) and self.state not in OPENED

    def after(self, event: Mapping[str, Any]) -> "CellProgress":
        """Return it after a round, by the event of its worker."""
        steady = bool(event.get("steady", True))
        times = {
            name: (*getattr(self, name), float(event[name])) for name in ("prefill_ms", "decode_ms") if name in event
        }
        seconds = self.seconds + float(event.get("seconds", 0.0))
        return replace(self, state="ready", rounds=(*self.rounds, steady), seconds=seconds, **(times if steady else {}))


Board = Mapping[str, CellProgress]  # by cell_id; a cell that is not there waits
_WAITS = CellProgress()


def rounds(plan: Plan, board: Board) -> tuple[int, int]:
    """Count the rounds that are made and all that are planned; a cell with a row has made its own, however it ended."""
    every = [(cell, board.get(cell.cell_id, _WAITS)) for cell, its in _fitting(plan)]
    made = sum(cell.rounds if now.finished else min(len(now.rounds), cell.rounds) for cell, now in every)
    return made, sum(cell.rounds for cell, _ in every)


def worth_s(plan: Plan, board: Board) -> float:
    """Return the predicted time of what open cells have done: their loading, and the rounds made."""
    found = 0.0
    for cell, prediction in _fitting(plan):
        now = board.get(cell.cell_id, _WAITS)
        if now.state in ("ready", "measuring"):
            found += max(prediction.seconds - _rounds_left(cell, now) * round_s(cell, prediction), 0.0)
    return found


def left_s(plan: Plan, board: Board, pace: float) -> float:
    """Return the time of what is left: rounds as long as those before of their cell, the rest as predicted, by pace."""
    found = 0.0
    for cell, prediction in _fitting(plan):
        now = board.get(cell.cell_id, _WAITS)
        if now.rounds and not now.finished:
            found += _rounds_left(cell, now) * now.seconds / len(now.rounds)
        elif now.state in ("ready", "measuring"):
            found += pace * cell.rounds * round_s(cell, prediction)
        elif not now.finished:
            found += pace * prediction.seconds
    return found


def round_s(cell: Cell, prediction: Prediction) -> float:
    """Return the predicted time of one round, never more than its part of the whole."""
    alone = (prediction.prefill_ms + cell.decode_tokens * prediction.decode_ms) / 1e3
    return min(alone, prediction.seconds / cell.rounds)


def _rounds_left(cell: Cell, now: CellProgress) -> int:
    return max(cell.rounds - len(now.rounds), 0)


def _fitting(plan: Plan) -> list[tuple[Cell, Prediction]]:
    return [(cell, its) for cell, its in zip(plan.cells, plan.predictions, strict=True) if its.fits]
