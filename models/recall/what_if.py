"""Recall of a small model with and without a part: the same questions, asked twice."""

from collections.abc import Sequence

import torch

from models import registry
from models.recall import evaluation
from models.recall.curriculum import Task
from models.recall.tasks import RecallCell, values_of
from models.records.recall import Accuracy
from models.switches import context, hooks
from models.switches.context import Means
from models.switches.value import Switches
from models.tracing.adapter import Checkpoint

QUERIES = 320  # per cell: a binomial standard error of at most 2.8 points
MEASURED = 16  # sequences of each cell from which means are taken
SEED = evaluation.SEED + 10_000  # of these: never those of a measurement


def means_of(checkpoint: Checkpoint, task: Task) -> Means:
    """Measure the means of a model's parts over sequences of every cell of its task."""
    adapter = registry.adapter(checkpoint.architecture)
    with checkpoint.lock, torch.inference_mode(), hooks.measuring(adapter.sites(checkpoint.model)) as found:
        for cell in task.cells:
            ids = cell.draw(MEASURED, seed=[SEED, *values_of(cell).values()]).ids
            adapter.run(checkpoint.model, ids.to(checkpoint.device), None, last_only=True)
        return found()


def accuracies(
    checkpoint: Checkpoint, task: Task, cells: Sequence[RecallCell], switches: Switches, means: Means
) -> list[Accuracy]:
    """Measure cells with something switched off; the questions of a cell are the same whatever is off."""
    with context.use(switches, means=means):
        return list(evaluation.evaluate(checkpoint.model, task, cells, seed=SEED, queries=QUERIES))


def cells_of(task: Task, up: str | None, row: int) -> list[RecallCell]:
    """Return the cells of a task along its first axis; up, row: the second axis and the chosen value on it."""
    return [cell for cell in task.cells if up is None or values_of(cell)[up] == row]
