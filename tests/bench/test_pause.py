"""A paused run measures nothing, loses nothing, and goes on; the time it is held does not count. Stand-in workers."""

import dataclasses
import time
from itertools import pairwise

import pytest
from run_helpers import row_of, states, until

from models.bench.run import job

SLOW_S = 0.3  # a round of the stand-in "slow"


def held(runner, run_id):
    return until(lambda: (now := runner.progress(run_id)).held_s is not None and now)


@pytest.mark.slow
def test_a_pause_falls_between_turns_and_never_inside_one(runner, plan_of):
    run_id = runner.submit(plan_of("slow", "slow", "slow", rounds=5))
    until(lambda: runner.progress(run_id).round == 2)
    assert runner.pause(run_id)
    assert runner.progress(run_id).paused
    before = held(runner, run_id)
    time.sleep(4.0)
    after = runner.progress(run_id)
    assert after.held_s > 3.9
    assert after.elapsed_s == pytest.approx(before.elapsed_s, abs=0.05), "a pause is no time of the run"
    assert after.remaining_s == pytest.approx(before.remaining_s, abs=0.05)
    assert runner.resume(run_id)
    assert states(runner, run_id) == ["ok"] * 3
    times = [row_of(runner, run_id, name).first_token_ms_samples for name in ("transformer", "mamba", "rwkv")]
    gaps = [[late - early for early, late in pairwise(own)] for own in times]
    paused = [[gap > 4.0 for gap in own] for own in gaps]
    assert paused[0] == paused[1] == paused[2], "each cell had the same rounds before the pause"
    assert sum(paused[0]) == 1


@pytest.mark.slow
def test_a_pause_falls_between_cells_that_are_prepared(runner, plan_of):
    run_id = runner.submit(plan_of("hang", "ok", "ok"), timeout_s=1.0)
    until(lambda: runner.progress(run_id).phase == "prefill")
    assert runner.pause(run_id)
    held(runner, run_id)
    assert runner.progress(run_id).done == 1, "the cell under way got its row first"
    assert runner.resume(run_id)
    assert states(runner, run_id) == ["timeout", "ok", "ok"]


@pytest.mark.slow
def test_the_budget_is_not_spent_by_a_pause(runner, plan_of):
    plan = dataclasses.replace(plan_of("slow", "slow", rounds=6), budget_s=6 * 2 * SLOW_S + 3)
    run_id = runner.submit(plan)
    until(lambda: runner.progress(run_id).round == 2)
    runner.pause(run_id)
    held(runner, run_id)
    time.sleep(4)
    runner.resume(run_id)
    assert states(runner, run_id) == ["ok", "ok"]
    assert {row.rounds for row in runner.store.run(run_id).rows} == {6}


@pytest.mark.slow
def test_a_pause_ends_by_itself_as_others_may_wait(runner, plan_of, monkeypatch):
    monkeypatch.setattr(job, "PAUSE_LIMIT_S", 0.4)
    run_id, waiting = runner.submit(plan_of("slow", "slow")), runner.submit(plan_of("ok"))
    until(lambda: runner.progress(run_id).round == 1)
    runner.pause(run_id)
    held(runner, run_id)
    assert runner.progress(waiting).position == 1
    assert states(runner, run_id) == ["ok", "ok"]
    assert not runner.progress(run_id).paused
    assert states(runner, waiting) == ["ok"]


@pytest.mark.slow
def test_a_paused_run_is_cancelled_at_once(runner, plan_of):
    run_id = runner.submit(plan_of("slow", "slow", "ok", "ok", "ok"))
    until(lambda: runner.progress(run_id).round == 2)
    runner.pause(run_id)
    held(runner, run_id)
    assert runner.cancel(run_id)
    assert "cancelled" in states(runner, run_id), "before the pause would have ended by itself"
    assert not runner.pause(run_id)


@pytest.mark.slow
def test_a_paused_run_does_not_keep_the_process_from_ending(runner, plan_of):
    run_id = runner.submit(plan_of("slow", "slow"))
    until(lambda: runner.progress(run_id).round == 1)
    runner.pause(run_id)
    held(runner, run_id)
    runner.close()
    until(lambda: not runner.progress(run_id).live)  # long before the pause would have ended by itself


@pytest.mark.slow
def test_only_a_run_that_is_measured_can_be_paused(runner, plan_of):
    first, second = runner.submit(plan_of("slow", "slow")), runner.submit(plan_of("ok"))
    until(lambda: runner.progress(first).state == "running")
    assert not runner.pause(second)
    assert not runner.pause("unknown")
    assert not runner.resume(first)
    assert not runner.resume("unknown")
    assert states(runner, second) == ["ok"]
    assert not runner.pause(first)
