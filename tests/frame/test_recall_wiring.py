"""What the recall page shows where, against its address: the task, the cell, the question, and every figure."""

import pytest
from showing import noting, opened
from test_wiring import LOOK, assert_same_picture

from models.recall import curriculum, examples, study
from pages.compare.recall import results
from pages.shared.words import i18n
from viz.recall import maps
from viz.recall.example import recall_example
from viz.recall.far import recall_far

ADDRESS = {  # task -> choices of its address that are not the defaults, and the cell that they mean
    "mqar": ({"distance": "32", "load": "2", "question": "3"}, {"distance": 32, "pairs": 2}),
    "induction": ({"distance": "32", "question": "5"}, {"distance": 32}),
    "selective_copying": ({"distance": "32", "load": "8", "question": "7"}, {"span": 32, "count": 8}),
}


def _far(task: str):
    cells, about = results.far_record(task)
    chosen = curriculum.task(task)
    axis = chosen.axes[0]
    assert (about["task"], about["axis"]) == (task, axis)
    return recall_far(cells, axis=axis, trained_to=chosen.trained_to[axis], guess=chosen.guess, **LOOK)


def expected(task: str, at: dict[str, int], question: int) -> list[tuple]:
    record = results.record(task)
    found = examples.opened(task, at, seed=int(record.about["held_out_seed"]) - 1, question=question)
    logs = {name: study.training_log(task, name, 0) for name in record.runs}
    traces = [answer.trace for answer in found.answers]
    return [
        ("hero", "recall.map", maps.recall_map(record.bundled, record.layout, live=False, **LOOK)),
        ("chapter1", "recall.bytes", maps.recall_against_bytes(record.bundled, layout=record.layout, **LOOK)),
        ("far", "recall.far", _far(task)),
        ("chapter2", "recall.example",
         recall_example(traces, asked_at=found.asked_at, answer_at=found.answer_at, roles=found.roles, **LOOK)),
        ("hood.recall_seeds", "recall.seeds",
         maps.recall_seeds(record.runs, bundled=0, guess=record.layout.guess, **LOOK)),
        ("hood.training", "recall.lessons", maps.recall_lessons(logs, **LOOK)),
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("task", results.TASKS)
def test_the_recall_page_shows_what_its_address_names(monkeypatch, task: str) -> None:
    query, at = ADDRESS[task]
    with noting(monkeypatch) as seen:
        page = opened("recall", task=str(results.TASKS.index(task)), **query)
    rows = expected(task, at, int(query["question"]))
    assert [(one.section, one.key, one.fig.id) for one in seen] == [(*row[:2], row[2].id) for row in rows]
    assert [one.fig.id for one in seen] == ["recall_map", "recall_against_bytes", "recall_far", "recall_example",
                                            "recall_seeds", "recall_lessons"]  # fmt: skip
    for one, (_, _, figure) in zip(seen, rows, strict=True):
        assert_same_picture(one.fig, figure)
    name = i18n.say("en", f"recall.task.{task}")
    assert seen[0].subtitle == i18n.say("en", "recall.shown.recorded", task=name)
    for link in [code.value for code in page.code if code.value.startswith("/recall")]:
        assert all(f"{name}={value}" in link.split("?")[1].split("&") for name, value in query.items())
    assert page.button(key="recall.another")


@pytest.mark.slow
def test_the_choices_are_not_those_of_a_first_visit(monkeypatch) -> None:
    for task in results.TASKS:
        with noting(monkeypatch) as seen:
            opened("recall", task=str(results.TASKS.index(task)))
        usual = next(one.fig for one in seen if one.key == "recall.example")
        query, at = ADDRESS[task]
        chosen = expected(task, at, int(query["question"]))[2][2]
        assert usual.body.payload() != chosen.body.payload()
        monkeypatch.undo()
