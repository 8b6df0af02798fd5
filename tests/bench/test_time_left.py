"""The time left is predicted from the pace so far, counts down between cells, and never goes below nothing."""

from dataclasses import replace

import pytest

from models.bench.plan.plan import Cell, Plan, Prediction
from models.bench.run.job import Job

FITS = Prediction(1, 1, 1, 1, 1.0, 1.0, 10.0, fits=True)


def job(**changes):
    cells = tuple(Cell("mamba", "mamba", 2**n) for n in range(4))
    too_large = replace(FITS, seconds=1e6, fits=False)
    made = Job("r", Plan(cells, (FITS, FITS, FITS, too_large)), None, state="running")
    for name, value in changes.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("changes", "elapsed", "left"),
    [
        ({}, 0.0, 30.0),  # as predicted
        ({}, 4.0, 26.0),  # counts down within a cell
        ({"spent_predicted_s": 10.0, "spent_s": 20.0}, 20.0, 40.0),  # twice as slow as predicted
        ({"spent_predicted_s": 10.0, "spent_s": 20.0}, 35.0, 25.0),
        ({"spent_predicted_s": 10.0, "spent_s": 20.0}, 900.0, 4.0),  # far behind: little, not nothing
        ({"spent_predicted_s": 30.0, "spent_s": 60.0}, 60.0, 0.0),
        ({"state": "done"}, 60.0, 0.0),
    ],
)
@pytest.mark.parametrize("held", [0.0, 500.0], ids=["", "after-pauses"])
def test_time_left(monkeypatch, changes, elapsed, left, held):
    monkeypatch.setattr("models.bench.run.job.time.monotonic", lambda: 1000.0 + elapsed + held)
    made = job(started=1000.0, held_s=held, **changes)
    assert made.worked_s == pytest.approx(elapsed)
    assert made.remaining_s() == pytest.approx(left)


def test_a_pause_that_lasts_is_no_time_of_the_run(monkeypatch):
    monkeypatch.setattr("models.bench.run.job.time.monotonic", lambda: 1100.0)
    assert job().worked_s == 0.0, "a run in the line has done nothing"
    assert job(started=1000.0, held_s=20.0, held_since=1070.0).worked_s == pytest.approx(50.0)
    assert job(started=1000.0, ended=1060.0, held_s=20.0).worked_s == pytest.approx(40.0)


@pytest.mark.parametrize(
    ("budget", "elapsed", "turn", "spent", "lacks"),
    [
        (None, 1e6, 1e6, 10.0, False),
        (60.0, 30.0, 9.0, 10.0, False),  # 10 of 30 s were as predicted, and one more group of 10 s is to come
        (60.0, 45.0, 9.0, 10.0, True),
        (60.0, 30.0, 30.0, 10.0, True),  # the next turn itself is too long
        (60.0, 30.0, 9.0, 25.0, True),  # cells take two and a half times as long as predicted
    ],
)
def test_a_budget_stops_further_turns(monkeypatch, budget, elapsed, turn, spent, lacks):
    monkeypatch.setattr("models.bench.run.job.time.monotonic", lambda: 1000.0 + elapsed)
    made = job(started=1000.0, spent_predicted_s=10.0, spent_s=spent)
    made.plan = replace(made.plan, budget_s=budget)
    assert made.lacks_time(10.0, turn) is lacks
