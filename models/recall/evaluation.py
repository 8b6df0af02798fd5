"""Measure the accuracy of a model in every cell of a task, one cell at a time, and answer single examples."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count as count_from
from zlib import crc32

import torch
from torch import Tensor
from transformers import PreTrainedModel

from models import registry
from models.counting import accounting
from models.recall.curriculum import Task
from models.recall.tasks import NOTHING, RecallCell, Sequences, values_of
from models.records.recall import Accuracy

QUERIES = 640  # per cell: a binomial standard error of at most 1.98 points
SEED = 20261122  # of the held-out sequences; training seeds are small numbers
TOKENS = 8192  # run at once
Z = 1.959964  # two-sided 95 %


@dataclass(frozen=True, slots=True)
class RecallExample:
    """One question: ids (l,), where it is asked, the token asked with, where and what the right answer is."""

    ids: tuple[int, ...]
    asked_at: int
    asked: int
    answer_at: int
    answer: int


def evaluate(
    model: PreTrainedModel,
    task: Task,
    cells: Iterable[RecallCell] | None = None,
    *,
    seed: int = SEED,
    queries: int = QUERIES,
) -> Iterator[Accuracy]:
    """Yield the accuracy of each cell as it is finished: greedy answers on sequences that depend on seed and cell only.

    cells: None for all of the task. queries: asked per cell at least; rounded up to whole sequences.
    """
    shape = accounting.shape_of(model.config)
    for cell in task.cells if cells is None else cells:
        right, asked = _answered(model, task, cell, seed=seed, queries=queries)
        low, high = wilson(right, asked)
        cache_bytes = accounting.cache_bytes(shape, context=cell.length, dtype="float32")
        yield Accuracy(values_of(cell), right / asked, low, high, asked, cell.length, cache_bytes)


def one_example(cell: RecallCell, task: Task, *, seed: int = SEED, question: int = 0) -> RecallExample:
    """Draw a sequence of a cell, a different one per question; return it with query and answer position."""
    drawn = cell.draw(1, seed=_seed(task, cell, seed, question))
    at = int((drawn.targets[0] != NOTHING).nonzero()[question % cell.answers])
    source = int(drawn.sources[0, at])
    ids = tuple(int(i) for i in drawn.ids[0])
    return RecallExample(ids, at, ids[at], source, int(drawn.targets[0, at]))


def answers(model: PreTrainedModel, ids: Tensor) -> Tensor:
    """Return the most likely next token (b, l) after every token of ids (b, l), under the switches that hold."""
    adapter = registry.adapter_for(model.config, source="micro")
    with torch.inference_mode(), adapter.switched(model, ids.shape[1]):
        found: Tensor = model(input_ids=ids.to(model.device), use_cache=False).logits.argmax(-1).cpu()
    return found


def wilson(right: int, asked: int) -> tuple[float, float]:
    """Return the Wilson score interval (95 %) of a share (Wilson 1927)."""
    share, z2 = right / asked, Z * Z
    centre = (share + z2 / (2 * asked)) / (1 + z2 / asked)
    half = Z / (1 + z2 / asked) * math.sqrt(share * (1 - share) / asked + z2 / (4 * asked * asked))
    return max(0.0, centre - half), min(1.0, centre + half)


def indistinguishable(a: Accuracy, b: Accuracy) -> bool:
    """Return whether 0 lies in the 95 % interval of the difference of two accuracies (Newcombe 1998, method 10)."""
    difference = a.accuracy - b.accuracy
    below = math.hypot(a.accuracy - a.low, b.high - b.accuracy)
    above = math.hypot(a.high - a.accuracy, b.accuracy - b.low)
    return difference - below <= 0 <= difference + above


def _answered(model: PreTrainedModel, task: Task, cell: RecallCell, *, seed: int, queries: int) -> tuple[int, int]:
    """Count right answers and questions."""
    left = math.ceil(queries / cell.answers)  # sequences
    right = asked = 0
    for part in count_from():
        batch = min(left, max(1, TOKENS // cell.length))
        drawn: Sequences = cell.draw(batch, seed=_seed(task, cell, seed, part))
        here = drawn.targets != NOTHING
        right += int((answers(model, drawn.ids)[here] == drawn.targets[here]).sum())
        asked += int(here.sum())
        left -= batch
        if left == 0:
            break
    return right, asked


def _seed(task: Task, cell: RecallCell, seed: int, part: int) -> list[int]:
    return [seed, crc32(task.name.encode()), *values_of(cell).values(), part]
