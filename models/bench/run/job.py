"""A run in the queue of a device: its plan, finished cells, elapsed time and status."""

import threading
import time
from collections import deque
from dataclasses import dataclass, field

from models.bench.plan.plan import Cell, Plan
from models.bench.run import board
from models.bench.run.board import Board
from models.records.measurement import Measurement

OVERRUN = 1.5  # of the budget, from which no further group of cells is started
PAUSE_LIMIT_S = 900.0  # after which a paused run goes on by itself: others may wait for the device


def _set() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


@dataclass(slots=True)
class Job:
    """The state of a plan that runs, with rows that are not stored yet. Its runner writes it under a lock."""

    run_id: str
    plan: Plan
    timeout_s: float | None
    ended_before: str | None = None  # how the run had ended whose cells are measured again, None for a new run
    cancelled: threading.Event = field(default_factory=threading.Event)
    going: threading.Event = field(default_factory=_set)  # cleared: paused, or about to be
    held_since: float | None = None  # since when it does not measure, paused
    held_s: float = 0.0  # in the pauses before
    unstored: deque[Measurement] = field(default_factory=deque)
    elsewhere: bool = False  # another program measures on the device
    state: str = "queued"
    done: int = 0
    cell: Cell | None = None
    phase: str = ""
    round: int = 0
    worker_pid: int | None = None
    started: float | None = None
    ended: float | None = None
    begun_s: float = 0.0  # when the first cell began: no prediction contains the start of the server and the peaks
    spent_s: float = 0.0  # when the last cell or round was done
    spent_predicted_s: float = 0.0  # of the cells that are done
    board: Board = field(default_factory=dict)

    @property
    def worked_s(self) -> float:
        """Return how long it has measured so far, pauses left out."""
        if self.started is None:
            return 0.0
        now = time.monotonic()
        held = self.held_s + (now - self.held_since if self.held_since is not None else 0.0)
        return (self.ended or now) - self.started - held

    @property
    def pace(self) -> float:
        """Return how many times as long as predicted everything took that is done."""
        predicted_s = self.spent_predicted_s + board.worth_s(self.plan, self.board)
        spent_s = self.spent_s - self.begun_s
        return spent_s / predicted_s if predicted_s > 0 and spent_s > 0 else 1.0

    def remaining_s(self) -> float | None:
        """Return how long it will take: by the rounds of open cells, by prediction and pace for the others."""
        if self.state not in ("queued", "running"):
            return 0.0
        left = board.left_s(self.plan, self.board, self.pace)
        return max(left - (self.worked_s - self.spent_s), 0.1 * left)

    def lacks_time(self, group_s: float, turn_s: float) -> bool:
        """Return whether one more round of a group (predicted: group_s in all) would exceed the budget of the plan."""
        if self.plan.budget_s is None or self.started is None:
            return False
        later = max(self.plan.seconds - self.spent_predicted_s - group_s, 0.0) * self.pace
        return self.worked_s + turn_s + later > self.plan.budget_s

    @property
    def out_of_time(self) -> bool:
        """Return whether a run has exceeded its budget so far that no further cell may start."""
        return self.plan.budget_s is not None and self.done > 0 and self.worked_s > OVERRUN * self.plan.budget_s

    def progress(self, position: int) -> "Progress":
        """Return its progress, with so many runs before it. The caller must hold the lock of its runner."""
        return Progress(
            self.run_id,
            self.state,
            position,
            len(self.plan.cells),
            self.done,
            self.cell,
            self.phase,
            self.round,
            self.worker_pid,
            self.worked_s,
            self.remaining_s(),
            not self.going.is_set(),
            None if self.held_since is None else time.monotonic() - self.held_since,
            self.board,
            *board.rounds(self.plan, self.board),
            self.plan.cells[0].device,
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a run.

    position: how many runs are before it on its device, those of other programs included (0: it is running). round: of
    the cell being measured, 0 while it is prepared. elapsed_s: without pauses. paused: it was asked to pause; held_s:
    for how long it has done nothing since, None while it still ends the turn it is in. board: where each cell stands.
    rounds: made so far, of rounds_total.
    """

    run_id: str
    state: str  # "queued", "running", "done" or "cancelled"
    position: int
    total: int
    done: int
    cell: Cell | None
    phase: str
    round: int
    worker_pid: int | None
    elapsed_s: float
    remaining_s: float | None
    paused: bool = False
    held_s: float | None = None
    board: Board = field(default_factory=dict)
    rounds: int = 0
    rounds_total: int = 0
    device: str = "cpu"

    @property
    def live(self) -> bool:
        """Return whether the run has not ended."""
        return self.state in ("queued", "running")
