"""The time left is predicted from the pace so far, counts down between cells, and never goes below nothing."""

from dataclasses import replace

import pytest

from models.bench.plan.plan import Cell, Plan, Prediction
from models.bench.run import board
from models.bench.run.board import CellProgress
from models.bench.run.job import Job

FITS = Prediction(1, 1, 1, 1, 1.0, 1.0, 10.0, fits=True)


def job(**changes):
    cells = tuple(Cell("mamba", "mamba", 2**n) for n in range(4))
    too_large = replace(FITS, seconds=1e6, fits=False)
    made = Job("r", Plan(cells, (FITS, FITS, FITS, too_large)), None, state="running")
    for name, value in changes.items():
        setattr(made, name, value)
    done = zip(cells, range(round(made.spent_predicted_s / FITS.seconds)), strict=False)
    made.board = {cell.cell_id: CellProgress("ok") for cell, _ in done} | made.board
    return made


def at(context, *rounds, seconds=0.0, state="ready"):
    """Return the place on the board of one cell, after so many rounds of so many seconds together."""
    return {Cell("mamba", "mamba", context).cell_id: CellProgress(state, rounds, seconds)}


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


ROUNDS_S = replace(FITS, prefill_ms=1000.0, decode_ms=1000.0 / 32)  # two seconds a round, three rounds of ten seconds


@pytest.mark.parametrize(
    ("places", "worked", "left"),
    [
        ({}, 0.0, 30.0),
        (at(1), 4.0, 26.0),  # loaded as fast as predicted
        (at(1), 8.0, 52.0),  # half as fast
        (at(1, True, seconds=2.0), 6.0, 24.0),
        (at(1, True, seconds=8.0), 6.0, 36.0),  # its own rounds say more than the prediction
        (at(1, True, False, seconds=4.0), 8.0, 22.0),
        (at(1, True, True, True, True, seconds=8.0), 10.0, 20.0),  # one more than planned
        (at(1, True, True, True, seconds=6.0) | at(2, seconds=0.0), 14.0, 16.0),
        (at(1, state="oom"), 0.0, 20.0),
    ],
)
def test_rounds_tell_the_time_that_is_left(monkeypatch, places, worked, left):
    monkeypatch.setattr("models.bench.run.job.time.monotonic", lambda: 1000.0 + worked)
    made = job(started=1000.0, board=places)
    made.plan = replace(made.plan, predictions=(*[ROUNDS_S] * 3, replace(FITS, fits=False)))
    made.spent_s = worked
    assert made.remaining_s() == pytest.approx(left)


def test_rounds_are_counted_over_the_cells_that_fit():
    assert board.rounds(job().plan, {}) == (0, 9)
    assert board.rounds(job().plan, at(1, True, False)) == (2, 9)
    assert board.rounds(job().plan, at(1, *[True] * 7)) == (3, 9), "more than its own are not counted"
    assert board.rounds(job().plan, at(1, True, state="timeout") | at(8, state="predicted_oom_skipped")) == (3, 9)


def test_a_round_is_noted_with_its_times_where_it_was_steady():
    now = CellProgress("measuring").after({"steady": False, "seconds": 2.0, "prefill_ms": 5.0, "decode_ms": 1.0})
    now = now.after({"seconds": 1.0, "prefill_ms": 4.0, "decode_ms": 0.5})
    assert now == CellProgress("ready", (False, True), 3.0, (4.0,), (0.5,))
    assert not now.finished and CellProgress("ok").finished and not CellProgress().finished


def test_the_start_of_the_server_is_no_slowness(monkeypatch):
    """Six seconds until the first cell begins stand in no prediction of a cell."""
    monkeypatch.setattr("models.bench.run.job.time.monotonic", lambda: 1014.0)
    made = job(started=1000.0, begun_s=6.0, spent_s=14.0, board=at(1, True, seconds=2.0))
    made.plan = replace(made.plan, predictions=(*[ROUNDS_S] * 3, replace(FITS, fits=False)), budget_s=60.0)
    assert made.pace == pytest.approx(8.0 / 6.0)
    assert job(started=1000.0, begun_s=6.0, spent_s=0.0).pace == 1.0
