"""One question in detail: the sequence, the answer of each trained model, and its trace."""

from dataclasses import dataclass

import numpy as np
import torch

from models import registry
from models.errors import SettingError
from models.machine import threads
from models.recall import curriculum, evaluation, micro
from models.recall.tasks import RecallCell
from models.records.trace import ModelTrace, Token
from models.tracing import recorder
from models.tracing.adapter import Checkpoint
from models.tracing.tokens import Encoded


@dataclass(frozen=True, slots=True)
class Answer:
    """One model's answer: the token it finds likeliest and its probability, and that of the right one."""

    trace: ModelTrace
    token: int
    label: str
    probability: float
    right_probability: float
    right: bool


@dataclass(frozen=True, slots=True)
class Opened:
    """One question with every model's answer. tokens: the sequence up to where it is asked; places count from 0.

    roles: what each token is for (models.recall.tasks).
    """

    tokens: tuple[Token, ...]
    asked_at: int
    answer_at: int
    asked: str
    expected: str
    answers: tuple[Answer, ...]
    roles: tuple[str, ...]


def opened(task: str, at: dict[str, int], *, seed: int, question: int = 0) -> Opened:
    """Draw one sequence of a cell and let every trained model answer; SettingError for a cell the task lacks."""
    chosen = curriculum.task(task)
    cell = _cell(task, at)
    drawn = evaluation.one_example(cell, chosen, seed=seed, question=question)
    ids = drawn.ids[: drawn.asked_at + 1]
    tokens = tuple(Token(i, id_, cell.label(id_), i, i + 1) for i, id_ in enumerate(ids))
    prompt = "".join(token.label for token in tokens)
    answers = tuple(
        _answer(micro.load(task, name, device=registry.preferred_device()), Encoded(prompt, tokens, ()), drawn, cell)
        for name in micro.trained(task)
    )
    return Opened(tokens, drawn.asked_at, drawn.answer_at, cell.label(drawn.asked), cell.label(drawn.answer), answers,
                  tuple(map(cell.role, ids)))  # fmt: skip


def right_answers(task: str, at: dict[str, int], *, seed: int, questions: int) -> dict[str, tuple[bool, ...]]:
    """Return, for every trained model, which of the first questions of a cell it answers right, as opened does.

    The sequences of a cell have one length, so each model reads them all at once.
    """
    chosen = curriculum.task(task)
    cell = _cell(task, at)
    drawn = [evaluation.one_example(cell, chosen, seed=seed, question=number) for number in range(questions)]
    ids = torch.tensor([one.ids for one in drawn])  # (question, l)
    found = {}
    for name in micro.trained(task):
        checkpoint = micro.load(task, name, device=registry.preferred_device())
        with checkpoint.lock, threads.limited(1):
            said = evaluation.answers(checkpoint.model, ids)
        found[name] = tuple(int(said[i, one.asked_at]) == one.answer for i, one in enumerate(drawn))
    return found


def _cell(task: str, at: dict[str, int]) -> RecallCell:
    for cell in curriculum.task(task).cells:
        if all(getattr(cell, axis) == at.get(axis) for axis in cell.axes):
            return cell
    message = f"{task} has no cell {at}"
    raise SettingError("errors.setting_value", message, name="cell", value=str(at))


def _answer(checkpoint: Checkpoint, encoded: Encoded, drawn: evaluation.RecallExample, cell: RecallCell) -> Answer:
    trace = recorder.trace_encoded(registry.adapter(checkpoint.architecture), checkpoint, encoded)
    row = trace.logits.values[drawn.asked_at].astype(np.float64)
    odds = np.exp(row - row.max())
    odds /= odds.sum()
    said = int(odds.argmax())
    return Answer(trace, said, cell.label(said), float(odds[said]), float(odds[drawn.answer]), said == drawn.answer)
