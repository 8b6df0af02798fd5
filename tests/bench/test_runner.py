"""Whatever happens to a worker, no other row is lost and the state says what happened. Workers here are stand-ins."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from models.bench.host import WorkerHost


def states(runner, run_id, *, timeout_s=60):
    assert runner.wait(run_id, timeout_s=timeout_s), runner.progress(run_id)
    return [row.state for row in runner.store.run(run_id).rows]


def until(condition, *, timeout_s=30):
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.02)
    return value


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_every_cell_gets_a_row(runner, plan_of):
    run_id = runner.submit(plan_of("ok", "noise", "ok", "ok"))
    assert states(runner, run_id) == ["ok"] * 4
    run = runner.store.run(run_id)
    assert run.complete
    assert run.ended == "done"
    assert run.rows[0].implementation == {"scan": "stand-in"}


@pytest.mark.parametrize(
    ("bad", "state", "key"),
    [
        ("crash", "killed", "errors.cell_killed"),
        ("server-crash", "killed", "errors.cell_killed"),
        ("oom", "oom", "errors.cell_oom"),
        ("silent", "failed", "errors.cell_failed"),
    ],
)
def test_a_cell_that_fails_costs_no_other(runner, plan_of, bad, state, key):
    run_id = runner.submit(plan_of("ok", bad, "ok"))
    assert states(runner, run_id) == ["ok", state, "ok"]
    row = runner.store.run(run_id).rows[1]
    assert row.reason_key == key
    assert row.reason
    assert not row.decode_ms_samples


def test_kill_9_of_a_worker_in_the_middle_of_a_cell(runner, plan_of):
    run_id = runner.submit(plan_of("ok", "hang", "ok"))
    hanging = until(lambda: (now := runner.progress(run_id)).phase == "prefill" and now.worker_pid)
    os.kill(hanging, signal.SIGKILL)
    assert states(runner, run_id) == ["ok", "killed", "ok"]
    assert runner.store.run(run_id).rows[1].reason_values["signal"] == "SIGKILL"


def test_a_hung_worker_is_stopped_in_time(runner, plan_of):
    run_id = runner.submit(plan_of("ok", "hang", "ok"), timeout_s=2)
    assert states(runner, run_id) == ["ok", "timeout", "ok"]
    assert runner.store.run(run_id).rows[1].reason_values["seconds"] == 2


def test_cancel_ends_the_worker_at_once_and_keeps_the_rows(runner, plan_of):
    run_id = runner.submit(plan_of("ok", "hang", "ok", "ok"))
    hanging = until(lambda: (now := runner.progress(run_id)).phase == "prefill" and now.worker_pid)
    start = time.monotonic()
    assert runner.cancel(run_id)
    assert states(runner, run_id) == ["ok", "cancelled", "cancelled", "cancelled"]
    assert time.monotonic() - start < 3
    assert runner.store.run(run_id).ended == "cancelled"
    until(lambda: not alive(hanging))
    assert not runner.cancel(run_id)
    assert not runner.cancel("unknown")
    assert states(runner, runner.submit(plan_of("ok"))) == ["ok"], "the device serves the next run"


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


def test_runs_wait_in_line(runner, plan_of):
    first, second = runner.submit(plan_of("slow", "slow")), runner.submit(plan_of("ok"))
    until(lambda: runner.progress(first).state == "running")
    assert runner.progress(second).state == "queued"
    assert runner.progress(second).position == 1
    assert states(runner, second) == ["ok"]
    assert runner.progress(first).state == "done"
    assert runner.progress(first).done == 2
    assert runner.progress("unknown") is None


def test_an_empty_plan_is_refused(runner, plan_of):
    with pytest.raises(ValueError):
        runner.submit(plan_of())


def test_a_worker_that_cannot_start_is_a_failed_row(store, plan_of):
    from models.bench.runner import Runner

    broken = Runner(store, make_host=lambda threads: WorkerHost((sys.executable, "-c", "raise SystemExit(3)")))
    try:
        assert states(broken, broken.submit(plan_of("ok", "ok"))) == ["failed", "failed"]
    finally:
        broken.close()
