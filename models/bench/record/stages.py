"""Run the stages of a recording one after the other within a budget of time; each goes on where it was interrupted."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from models.bench.record.state import RecordingState, StageState

Say = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a stage ended. whole: nothing of it is left to do; problems: what is wrong; notes: what else to say."""

    whole: bool
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class Turn:
    """What a stage gets: its seconds, what it kept when it was interrupted, and a place to say what it does."""

    allowed_s: float
    state: StageState
    say: Say
    save_all: Callable[[], object]
    clock: Callable[[], float] = time.monotonic
    began: float = field(init=False)
    spent_before_s: float = field(init=False)

    def __post_init__(self) -> None:
        self.began, self.spent_before_s = self.clock(), self.state.spent_s

    @property
    def left_s(self) -> float:
        """Return the seconds that are left to it; negative when it has taken more."""
        return self.allowed_s - (self.clock() - self.began)

    @property
    def kept(self) -> dict[str, Any]:
        """Return what it needs in order to go on; call `save` after a change."""
        return self.state.kept

    def save(self) -> None:
        """Write how far it has come, and how long that took."""
        self.state.spent_s = self.spent_before_s + self.clock() - self.began
        self.save_all()


@dataclass(frozen=True, slots=True)
class Stage:
    """One part of a recording. share: of the time; least_s: with less it is not begun."""

    name: str
    share: float
    least_s: float
    work: Callable[[Turn], Ending]


def drive(
    stages: Sequence[Stage],
    state: RecordingState,
    *,
    budget_s: float,
    say: Say,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[str, ...]:
    """Run the stages that have not ended, and return the names of those for which no time was left.

    budget_s: of the whole recording, with what earlier sessions took. What is left of it is divided over the stages to
    come by their shares. A stage that raises is a problem of that stage alone; an interrupt (BaseException) is passed
    on once the state is saved.
    """
    unfit = []
    for index, stage in enumerate(stages):
        one = state.stage(stage.name)
        if one.ended:
            continue
        to_come = sum(later.share for later in stages[index:] if not state.stage(later.name).ended)
        left_s = budget_s - state.spent_s
        allowed_s = max(left_s * stage.share / to_come, stage.least_s)
        if left_s < stage.least_s:
            say(f"{stage.name}: left out, {max(left_s, 0):.0f} s are left and it needs {stage.least_s:.0f} s")
            unfit.append(stage.name)
            continue
        say(f"{stage.name}: begins, with {allowed_s:.0f} s")
        _run(stage, Turn(allowed_s, one, say, state.save, clock))
        for problem in one.problems:
            say(f"{stage.name}: {problem}")
    return tuple(unfit)


def _run(stage: Stage, turn: Turn) -> None:
    turn.save()
    try:
        ending = stage.work(turn)
    except Exception as error:  # noqa: BLE001 - whatever one stage meets, the others are recorded
        first = next(iter(str(error).strip().splitlines()), "")
        ending = Ending(False, (f"it broke off: {type(error).__name__}: {first[:300]}",))
    finally:
        turn.save()
    turn.state.ended = ending.whole
    turn.state.problems, turn.state.notes = list(ending.problems), list(ending.notes)
    turn.save()
