"""Measure the small encoder-decoder on held-out inputs: an answer is right when every word and its end are right."""

from dataclasses import dataclass
from itertools import islice

from transformers import MarianMTModel

from models.encoder_decoder import tasks
from models.encoder_decoder.batches import answers
from models.encoder_decoder.tasks import Exercise
from models.encoder_decoder.vocabulary import LISTS, TASKS
from models.recall.evaluation import wilson

SEED = 20261201  # of the held-out inputs; that of the training is a small number
INPUTS = 1000  # per task
LONGER = (11, 12)  # words of lists that are longer than all in training
BATCH = 250


@dataclass(frozen=True, slots=True)
class Measured:
    """The share of inputs answered right and its Wilson 95 % interval. lengths: of the lists, None for all."""

    task: str
    lengths: tuple[int, int] | None
    accuracy: float
    low: float
    high: float
    count: int


def evaluate(model: MarianMTModel, *, seed: int = SEED, inputs: int = INPUTS) -> list[Measured]:
    """Measure every task on held-out inputs, then the lists that are longer than in training."""
    found = [measure(model, task, seed=seed, inputs=inputs) for task in TASKS]
    return found + [measure(model, task, seed=seed, inputs=inputs, lengths=LONGER) for task in LISTS]


def measure(
    model: MarianMTModel, task: str, *, seed: int, inputs: int, lengths: tuple[int, int] | None = None
) -> Measured:
    """Measure one task on held-out inputs, all different."""
    asked = drawn(task, seed=seed, inputs=inputs, lengths=lengths)
    right = 0
    for start in range(0, len(asked), BATCH):
        part = asked[start : start + BATCH]
        given = answers(model, [example.source for example in part])
        right += sum(answer == example.target for answer, example in zip(given, part, strict=True))
    low, high = wilson(right, len(asked))
    return Measured(task, lengths, right / len(asked), low, high, len(asked))


def drawn(task: str, *, seed: int, inputs: int, lengths: tuple[int, int] | None = None) -> list[Exercise]:
    """Draw so many different held-out examples of a task."""
    stream = tasks.examples(seed, held=True, tasks=(task,), lengths=lengths or tasks.LENGTHS)
    found: dict[tuple[str, ...], Exercise] = {}
    for example in stream:
        found.setdefault(example.source.words, example)
        if len(found) == inputs:
            break
    return list(islice(found.values(), inputs))
