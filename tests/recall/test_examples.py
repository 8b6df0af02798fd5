"""An opened question: the answer stands where it says, the models answer as they are measured to."""

import numpy as np
import pytest
import torch

from models.errors import SettingError
from models.recall import evaluation, examples, micro
from models.recall.curriculum import TASKS
from models.recall.tasks import values_of
from models.reconstruction import reconstruction_errors
from viz.trace.matrix import mixing_part


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("place", [0, -1])
def test_the_answer_stands_where_it_is_said_to(task: str, place: int) -> None:
    found = examples.opened(task, values_of(TASKS[task].cells[place]), seed=3, question=1)
    assert found.tokens[found.answer_at].label == found.expected
    assert found.tokens[found.asked_at].label == found.asked
    assert len(found.tokens) == found.asked_at + 1  # nothing after the question is shown
    assert [token.start for token in found.tokens] == list(range(len(found.tokens)))


@pytest.mark.parametrize("task", TASKS)
def test_every_question_is_asked_in_a_sequence_of_its_own(task: str) -> None:
    for cell in TASKS[task].cells:
        drawn = [evaluation.one_example(cell, TASKS[task], seed=3, question=number) for number in range(20)]
        assert len({example.ids for example in drawn}) == 20, values_of(cell)
        assert len({example.asked_at for example in drawn}) >= min(2, cell.answers), "not the same place each time"
        first = cell.draw(1, seed=evaluation._seed(TASKS[task], cell, 3, 0))
        assert drawn[0].ids == tuple(first.ids[0].tolist())


@pytest.mark.parametrize("task", TASKS)
def test_answers_are_the_models_own(task: str) -> None:
    cell = TASKS[task].cells[1]
    found = examples.opened(task, values_of(cell), seed=5)
    drawn = evaluation.one_example(cell, TASKS[task], seed=5)
    ids = torch.tensor([drawn.ids])
    assert [answer.trace.architecture for answer in found.answers] == list(micro.trained(task))
    for answer in found.answers:
        whole = evaluation.answers(micro.load(task, answer.trace.architecture).model, ids)
        assert answer.token == int(whole[0, drawn.asked_at])
        assert answer.right == (answer.token == drawn.answer)
        assert 0 < answer.right_probability <= answer.probability <= 1
        assert all(reconstruction_errors(layer)[mixing_part(layer)] < 1e-4 for layer in answer.trace)


@pytest.mark.slow
def test_a_transformer_that_is_right_looks_at_the_answer() -> None:
    """Over 20 questions at least one head of the last layer reads most from the answer whenever it is right."""
    looked = 0
    for number in range(20):
        found = examples.opened("mqar", {"distance": 64, "pairs": 8}, seed=number)
        answer = next(a for a in found.answers if a.trace.architecture == "transformer")
        assert answer.right
        row = np.asarray(answer.trace.layer(1).part("attention"))[:, found.asked_at]  # (head, token)
        looked += bool((row.argmax(-1) == found.answer_at).any())
    assert looked >= 18


def test_a_cell_the_task_lacks_is_refused() -> None:
    with pytest.raises(SettingError, match="no cell"):
        examples.opened("mqar", {"distance": 17, "pairs": 2}, seed=0)


def test_labels_tell_tokens_apart_where_it_matters() -> None:
    for task in TASKS.values():
        labels = [task.cells[0].label(token) for token in range(task.vocab)]
        named = [label for label in labels if label != "\u00b7"]
        assert len(set(named)) == len(named)
        assert len(named) >= task.vocab - 8


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_questions_asked_at_once_are_answered_as_one_by_one(task: str) -> None:
    at = values_of(TASKS[task].cells[1])
    right = examples.right_answers(task, at, seed=7, questions=5)
    assert list(right) == micro.trained(task) or tuple(right) == tuple(micro.trained(task))
    for number in range(5):
        found = examples.opened(task, at, seed=7, question=number)
        assert {one.trace.architecture: one.right for one in found.answers} == {
            name: every[number] for name, every in right.items()
        }


@pytest.mark.parametrize(
    ("task", "text", "roles"),
    [
        ("mqar", "A1·", ("key", "value", "filler")),
        ("induction", "a▸", ("other", "key")),
        ("selective_copying", "A·?", ("value", "filler", "key")),
    ],
)
def test_every_token_has_a_role(task: str, text: str, roles: tuple[str, ...]) -> None:
    cell = TASKS[task].cells[0]
    ids = {cell.label(token): token for token in reversed(range(TASKS[task].vocab))}
    assert tuple(cell.role(ids[letter]) for letter in text) == roles
    assert {cell.role(token) for token in range(TASKS[task].vocab)} == set(roles)
