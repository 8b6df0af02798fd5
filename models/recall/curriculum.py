"""The three tasks: their training stages, and the cells in which they are measured."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from models.errors import SettingError
from models.recall.tasks import Induction, Mqar, RecallCell, SelectiveCopying


@dataclass(frozen=True, slots=True)
class Task:
    """One task: its vocabulary, the chance of a constant answer, the cells of its measurement and of its training.

    steps: of the study's budget, the same for every architecture; trained_to: the largest values met in training;
    lesson(progress, rng) returns the cell of one training step; progress runs from 0 to 1. far: cells along the first
    axis from training to many times its longest sequence, all else alike.
    """

    name: str
    vocab: int
    chance: float
    steps: int
    axes: tuple[str, ...]
    cells: tuple[RecallCell, ...]
    lesson: Callable[[float, np.random.Generator], RecallCell]
    trained_to: Mapping[str, int]
    far: tuple[RecallCell, ...]

    def guess(self, at: Mapping[str, int]) -> float:
        """Return what guessing scores in the cell at a place along the axes (RecallCell.guess)."""
        return replace(self.cells[0], **at).guess  # type: ignore[type-var]


def task(name: str) -> Task:
    """Return a task by name; SettingError lists the names."""
    if name not in TASKS:
        message = f"there is no task {name!r}: choose among {', '.join(TASKS)}"
        raise SettingError("errors.setting_value", message, name="task", value=name)
    return TASKS[name]


def _lesson_mqar(progress: float, rng: np.random.Generator) -> RecallCell:
    """Six pairs at up to 12 tokens for 55 % of training, then 2 to 8 pairs at up to 64; three places of four ask."""
    if progress < 0.55:
        pairs, bound = 6, 12
    else:
        pairs, bound = int(rng.choice((2, 4, 6, 8))), 16 + round(48 * min(1.0, 4 * (progress - 0.55)))
    distance = int(rng.integers(2 * pairs - 2, bound + 1))
    return Mqar(pairs, distance, queries=1 + 3 * distance // 4, scattered=True)


def _lesson_induction(progress: float, rng: np.random.Generator) -> RecallCell:
    """Distance up to 16 tokens, rising to 64 over the first half of training; up to eight triggers ask."""
    distance = int(rng.integers(4, 17 + round(48 * min(1.0, 2 * progress))))
    return Induction(distance, queries=min(8, 1 + distance // 4), lead=int(rng.integers(0, 17)))


def _lesson_copying(progress: float, rng: np.random.Generator) -> RecallCell:
    """Two to 8 tokens over up to 16 places, rising to 64 over the first half of training."""
    count = int(rng.choice((2, 4, 8)))
    return SelectiveCopying(count, int(rng.integers(8, 17 + round(48 * min(1.0, 2 * progress)))))


FAR = (16, 32, 64, 128, 256, 512, 1024, 2048)  # tokens

TASKS: Mapping[str, Task] = {
    "mqar": Task(
        "mqar", Mqar.vocab, 1 / Mqar.values, 640, Mqar.axes,
        tuple(Mqar(p, d, queries=min(p, 4)) for d in (16, 32, 64, 128) for p in (2, 4, 6, 8)),
        _lesson_mqar, {"distance": 64, "pairs": 8}, tuple(Mqar(4, d, queries=4) for d in FAR),
    ),
    "induction": Task(
        "induction", Induction.vocab, 1 / Induction.symbols, 600, Induction.axes,
        tuple(Induction(d) for d in (16, 32, 64, 128)),
        _lesson_induction, {"distance": 64}, tuple(map(Induction, FAR)),
    ),
    "selective_copying": Task(
        "selective_copying", SelectiveCopying.vocab, 1 / SelectiveCopying.colours, 1500, SelectiveCopying.axes,
        tuple(SelectiveCopying(c, s) for s in (16, 32, 64, 128) for c in (2, 4, 8)),
        _lesson_copying, {"span": 64, "count": 8}, tuple(SelectiveCopying(4, s) for s in FAR),
    ),
}  # fmt: skip
