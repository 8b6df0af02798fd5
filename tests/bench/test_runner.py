"""Whatever happens to a worker, no other row is lost and the state says what happened. Workers here are stand-ins."""

import dataclasses
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from run_helpers import alive, row_of, states, until

from models.bench.run import remeasure
from models.bench.run.host import WorkerHost
from models.machine import facts


def test_every_cell_gets_a_row(runner, plan_of):
    run_id = runner.submit(plan_of("ok", "ok", "ok", "ok"))
    assert states(runner, run_id) == ["ok"] * 4
    run = runner.store.run(run_id)
    assert len(run.rows) == len(run.cells)
    assert run.ended == "done"
    assert run.rows[0].implementation == {"scan": "stand-in"}
    assert run.rows[0].bandwidth_bytes_per_s == 1e10


def test_cells_of_a_group_take_turns_forwards_and_backwards(runner, plan_of):
    run_id = runner.submit(plan_of("ok", "ok", "ok"))
    states(runner, run_id)
    made = {row.architecture: row.first_token_ms_samples for row in runner.store.run(run_id).rows}
    order = sorted((when, name) for name, times in made.items() for when in times)
    names = [name for _, name in order]
    assert names[:6] == ["transformer", "mamba", "rwkv", "rwkv", "mamba", "transformer"]
    assert {len(times) for times in made.values()} == {3}


@pytest.mark.parametrize("source", ["fits-small", "fits-at-first"])
def test_a_search_for_the_largest_batch_goes_on_with_half_of_it(runner, plan_of, source):
    import dataclasses

    made = plan_of(source)
    cell = dataclasses.replace(made.cells[0], batch=32, largest=True, batch_limit="cap")
    run_id = runner.submit(dataclasses.replace(made, cells=(cell,)))
    assert states(runner, run_id) == ["oom", "oom", "oom", "ok"]
    last = runner.store.run(run_id).rows[-1]
    assert (last.batch, last.batch_limit) == (4, "memory")
    assert runner.progress(run_id).done == 1


def test_a_cell_that_dies_in_its_rounds_leaves_the_others_theirs(runner, plan_of):
    run_id = runner.submit(plan_of("ok", "crash-later", "ok"))
    runner.wait(run_id, timeout_s=240)
    found = {row.architecture: row.state for row in runner.store.run(run_id).rows}
    assert found == {"transformer": "ok", "mamba": "killed", "rwkv": "ok"}


def test_another_program_that_measures_is_waited_for(store, plan_of, tmp_path):
    from models.bench.run.lease import Lease
    from models.bench.run.runner import Runner

    path = tmp_path / "cpu.lock"
    other = Lease(path)
    assert other.taken()
    command = (sys.executable, "-u", str(Path(__file__).with_name("stand_in_worker.py")))
    waiting = Runner(store, make_host=lambda threads: WorkerHost(command), lease=lambda device: Lease(path))
    try:
        run_id = waiting.submit(plan_of("ok"))
        until(lambda: waiting.progress(run_id).position == 1)
        assert waiting.progress(run_id).state == "queued"
        other.give_back()
        assert states(waiting, run_id) == ["ok"]
        assert other.taken(), "the runner has given it back"
    finally:
        waiting.close()


@pytest.mark.parametrize(
    ("bad", "state", "key"),
    [
        ("crash", "killed", "errors.cell_killed"),
        ("oom", "oom", "errors.cell_oom"),
        ("silent", "failed", "errors.cell_failed"),
    ],
)
def test_a_cell_that_fails_costs_no_other(runner, plan_of, bad, state, key):
    run_id = runner.submit(plan_of("ok", bad, "ok"))
    assert states(runner, run_id) == ["ok", state, "ok"]
    row = row_of(runner, run_id, "mamba")
    assert row.reason_key == key
    assert row.reason
    assert not row.decode_ms_samples


def test_the_end_of_the_server_costs_the_cells_that_were_open_and_no_other(runner, plan_of):
    run_id = runner.submit(plan_of("ok", "server-crash", "ok", "ok", "ok"))
    assert states(runner, run_id) == ["killed", "killed", "ok", "ok", "ok"]
    assert row_of(runner, run_id, "mamba").reason_key == "errors.cell_killed"


def test_kill_9_of_a_worker_in_the_middle_of_a_cell(runner, plan_of):
    run_id = runner.submit(plan_of("ok", "hang", "ok"))
    hanging = until(lambda: (now := runner.progress(run_id)).phase == "prefill" and now.worker_pid)
    os.kill(hanging, signal.SIGKILL)
    assert states(runner, run_id) == ["ok", "killed", "ok"]
    assert row_of(runner, run_id, "mamba").reason_values["signal"] == "SIGKILL"


@pytest.mark.slow
def test_a_hung_worker_is_stopped_in_time(runner, plan_of):
    run_id = runner.submit(plan_of("ok", "hang", "ok"), timeout_s=2)
    assert states(runner, run_id) == ["ok", "timeout", "ok"]
    assert row_of(runner, run_id, "mamba").reason_values["seconds"] == 2


def test_cancel_ends_the_worker_at_once_and_keeps_the_rows(runner, plan_of):
    run_id = runner.submit(plan_of("ok", "ok", "ok", "ok", "ok", "hang", "ok"))
    hanging = until(lambda: (now := runner.progress(run_id)).phase == "prefill" and now.worker_pid)
    start = time.monotonic()
    assert runner.cancel(run_id)
    assert states(runner, run_id) == ["ok"] * 4 + ["cancelled"] * 3
    assert time.monotonic() - start < 3
    assert runner.store.run(run_id).ended == "cancelled"
    until(lambda: not alive(hanging))
    assert not runner.cancel(run_id)
    assert not runner.cancel("unknown")
    assert states(runner, runner.submit(plan_of("ok"))) == ["ok"], "the device serves the next run"


def test_cells_with_rounds_enough_keep_them_when_the_run_is_cancelled(runner, plan_of):
    run_id = runner.submit(plan_of("hang-later", "ok", "ok", rounds=9))
    until(lambda: runner.progress(run_id).phase == "stuck")
    start = time.monotonic()
    assert runner.cancel(run_id)
    assert states(runner, run_id) == ["cancelled", "ok", "ok"]
    assert time.monotonic() - start < 3
    assert {row.rounds for row in runner.store.run(run_id).rows if row.state == "ok"} == {4}


def test_cells_with_few_rounds_are_not_compared_when_the_run_is_cancelled(runner, plan_of):
    run_id = runner.submit(plan_of("hang-at-once", "ok", rounds=9))
    until(lambda: runner.progress(run_id).phase == "stuck")
    assert runner.cancel(run_id)
    assert states(runner, run_id) == ["cancelled", "cancelled"]


@pytest.mark.slow
def test_a_slow_machine_makes_fewer_rounds_than_planned_and_never_fewer_than_three(runner, plan_of):
    import dataclasses

    made = plan_of("slow", "slow", rounds=9)
    hurried = runner.submit(dataclasses.replace(made, budget_s=0.5))
    unhurried = runner.submit(plan_of("slow", rounds=4))
    assert states(runner, hurried) == ["ok", "ok"]
    assert {row.rounds for row in runner.store.run(hurried).rows} == {3}
    assert states(runner, unhurried) == ["ok"]
    assert runner.store.run(unhurried).rows[0].rounds == 4


def test_longer_contexts_are_not_tried_after_the_memory_ran_out(runner, plan_of):
    run_id = runner.submit(plan_of("oom", "ok", "ok", "ok", "ok", "ok"))
    assert states(runner, run_id) == ["oom", "ok", "ok", "ok", "predicted_oom_skipped", "ok"]
    assert runner.store.run(run_id).rows[0].oom_requested_bytes == 123


def test_a_cell_predicted_not_to_fit_is_not_started(runner, plan_of):
    import dataclasses

    made = plan_of("ok", "ok")
    made = dataclasses.replace(
        made, predictions=(dataclasses.replace(made.predictions[0], fits=False), made.predictions[1])
    )
    assert states(runner, runner.submit(made)) == ["predicted_oom_skipped", "ok"]


@pytest.mark.slow
def test_runs_wait_in_line(runner, plan_of):
    first, second = runner.submit(plan_of("slow", "slow")), runner.submit(plan_of("ok"))
    until(lambda: runner.progress(first).state == "running")
    assert runner.progress(second).state == "queued"
    assert runner.progress(second).position == 1
    assert states(runner, second) == ["ok"]
    assert runner.progress(first).state == "done"
    assert runner.progress(first).done == 2
    assert runner.progress("unknown") is None


def test_a_queued_run_leaves_the_line_when_it_is_cancelled(runner, plan_of):
    first, second, third = (runner.submit(plan_of(*sources)) for sources in (["hang"], ["ok", "ok"], ["ok"]))
    until(lambda: runner.progress(first).phase == "prefill")
    assert runner.progress(third).position == 2
    assert runner.cancel(second)
    assert runner.progress(second).state == "cancelled"
    assert runner.progress(third).position == 1
    assert runner.waiting("cpu") == 2
    assert runner.store.run(second).ended == "cancelled"
    assert states(runner, second) == ["cancelled", "cancelled"]
    assert not runner.cancel(second)
    assert runner.progress(first).state == "running"
    runner.cancel(first)
    assert states(runner, third) == ["ok"]


def test_cancelling_a_queued_run_does_not_hang_on_a_store_out_of_reach(runner, plan_of, monkeypatch):
    from models.bench.run import runner as runner_module
    from models.errors import SourceError

    monkeypatch.setattr(runner_module, "STORE_WAIT_S", 0.05)
    monkeypatch.setattr(runner_module, "CANCEL_WAIT_S", 0.1)
    first, second = runner.submit(plan_of("hang")), runner.submit(plan_of("ok", "ok"))
    until(lambda: runner.progress(first).phase == "prefill")
    append, reachable = runner.store.append, threading.Event()

    def unwilling(row):
        if not reachable.is_set():
            raise SourceError("errors.store_locked", "in use by another program", place="here")
        return append(row)

    monkeypatch.setattr(runner.store, "append", unwilling)
    assert runner.cancel(second)
    assert runner.progress(second).state == "cancelled"
    assert not runner.store.run(second).ended
    reachable.set()
    until(lambda: runner.store.run(second).ended == "cancelled")
    assert states(runner, second) == ["cancelled", "cancelled"]


def test_a_run_that_another_program_deletes_is_cancelled(runner, plan_of):
    from models.bench.store.store import Store

    run_id = runner.submit(plan_of("hang", "ok", "ok", "ok", "hang"))
    hanging = until(lambda: (now := runner.progress(run_id)).phase == "prefill" and now.worker_pid)
    Store(runner.store.folder, recorded=None).delete(run_id)
    os.kill(hanging, signal.SIGKILL)
    assert runner.wait(run_id, timeout_s=10), runner.progress(run_id)
    assert runner.progress(run_id).state == "cancelled"
    assert runner.store.run(run_id) is None
    assert states(runner, runner.submit(plan_of("ok"))) == ["ok"]


def test_runs_that_ended_long_ago_are_forgotten(runner, plan_of, monkeypatch):
    from models.bench.run import runner as runner_module

    monkeypatch.setattr(runner_module, "KEPT_JOBS", 1)
    hanging, *others = (runner.submit(plan_of(source)) for source in ("hang", "ok", "ok"))
    for run_id in others:
        assert runner.cancel(run_id)
    assert runner.progress(others[0]) is None
    assert runner.wait(others[0], timeout_s=0)
    assert runner.progress(others[1]).state == "cancelled"
    assert runner.progress(hanging).live


def test_an_empty_plan_is_refused(runner, plan_of):
    with pytest.raises(ValueError):
        runner.submit(plan_of())


def test_a_worker_that_cannot_start_is_a_failed_row(store, plan_of):
    from models.bench.run.runner import Runner

    broken = Runner(store, make_host=lambda threads: WorkerHost((sys.executable, "-c", "raise SystemExit(3)")))
    try:
        assert states(broken, broken.submit(plan_of("ok", "ok"))) == ["failed", "failed"]
    finally:
        broken.close()


def test_a_store_out_of_reach_loses_no_row_and_no_later_run(runner, plan_of, monkeypatch):
    from models.bench.run import runner as runner_module
    from models.errors import SourceError

    monkeypatch.setattr(runner_module, "STORE_WAIT_S", 0.05)
    append, refused = runner.store.append, []

    def unwilling(row):
        if len(refused) < 3:
            refused.append(row)
            raise SourceError("errors.store_locked", "in use by another program", place="here")
        return append(row)

    monkeypatch.setattr(runner.store, "append", unwilling)
    run_id = runner.submit(plan_of("ok", "ok"))
    assert states(runner, run_id) == ["ok", "ok"]
    assert len(refused) == 3
    assert runner.store.run(run_id).ended == "done"
    assert states(runner, runner.submit(plan_of("ok"))) == ["ok"]


def test_a_cell_beyond_the_positions_of_its_model_is_unsupported(runner, plan_of):
    plan = plan_of("ok", "ok")
    short = dataclasses.replace(plan.predictions[1], fits=False, positions_needed=1052, positions=1024)
    run_id = runner.submit(dataclasses.replace(plan, predictions=(plan.predictions[0], short)))
    assert states(runner, run_id) == ["ok", "unsupported"]
    row = next(row for row in runner.store.run(run_id).rows if row.state == "unsupported")
    assert (row.reason_key, row.reason_values) == ("errors.cell_positions", {"positions": 1024, "needed": 1052})


def test_what_fits_is_asked_again_when_the_run_begins(runner, plan_of, monkeypatch):
    """Another run may have held the memory while this one was planned, or hold it now."""
    plan = plan_of("ok", "ok")
    large = dataclasses.replace(plan.predictions[1], bytes_cache=10 * 2**30, fits=True)
    small = dataclasses.replace(plan.predictions[0], fits=False)
    plan = dataclasses.replace(plan, predictions=(small, large), free_bytes=2**20)
    monkeypatch.setattr(facts, "free_memory", lambda: 2**30)
    assert states(runner, runner.submit(plan)) == ["ok", "predicted_oom_skipped"]
    unknown = dataclasses.replace(plan, free_bytes=None)
    assert unknown.refreshed() is unknown


def test_a_run_far_over_its_budget_starts_nothing_more_after_its_first_cells(runner, plan_of):
    plan = plan_of("ok", "ok")
    longer = tuple(dataclasses.replace(cell, context=2 * cell.context) for cell in plan.cells)
    plan = dataclasses.replace(plan, cells=(*plan.cells, *longer), predictions=plan.predictions * 2, budget_s=1e-9)
    run_id = runner.submit(plan)
    assert states(runner, run_id) == ["ok", "ok", "timeout", "timeout"]
    run = runner.store.run(run_id)
    late = [row for row in run.rows if row.state == "timeout"]
    assert {row.reason_key for row in late} == {"errors.cell_out_of_time"}
    assert {row.cell_id for row in late} == set(remeasure.unfinished_cells(run)), "they can be measured later"


@pytest.mark.slow
def test_longer_cells_of_what_took_too_long_are_not_tried(runner, plan_of):
    plan = plan_of("hang", "ok")
    longer = dataclasses.replace(plan.cells[0], context=2 * plan.cells[0].context)
    plan = dataclasses.replace(plan, cells=(*plan.cells, longer), predictions=(*plan.predictions, plan.predictions[0]))
    run_id = runner.submit(plan, timeout_s=1)
    assert states(runner, run_id) == ["timeout", "ok", "timeout"]
    assert {row.reason_key for row in runner.store.run(run_id).rows if row.context == longer.context} == {
        "errors.cell_skipped_slow"
    }
