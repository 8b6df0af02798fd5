"""Measuring cells of a stored run again: where the rows go, which of them count, and the command that does it all."""

import argparse
import dataclasses
import shlex
from itertools import pairwise

import pytest
from run_helpers import states, until

from models.bench.plan.plan import Rates, make_plan
from models.bench.run import remeasure
from models.bench.run.lease import Lease
from models.bench.run.runner import Runner
from models.bench.store import files
from models.bench.store.store import RECORDED, Store
from models.cli import benchmark
from models.errors import SettingError, SourceError
from models.machine import facts
from models.records.run import Run, fingerprint
from models.sources import sizes

RATES = Rates(1e11, 1e10)


def run_of(*rows, **changes):
    head = {"run_id": "r", "title": "", "created_ns": 1, "cells": (), "environment": facts.environment()}
    return Run(**(head | changes), rows=tuple(rows))


@pytest.mark.slow
def test_what_was_cancelled_is_measured_into_the_same_run(runner, plan_of, stand_in_shapes):
    run_id = runner.submit(plan_of("ok", "ok", "ok", "ok", "hang", "ok", "ok"))
    until(lambda: runner.progress(run_id).phase == "prefill")
    runner.cancel(run_id)
    assert states(runner, run_id) == ["ok"] * 4 + ["cancelled"] * 3
    left = [row.cell_id for row in runner.store.run(run_id).last if row.state == "cancelled"]
    assert runner.remeasure(run_id, left[2:]) == run_id
    assert runner.wait(run_id, timeout_s=240)
    found = runner.store.run(run_id)
    assert [row.state for row in found.current] == ["ok"] * 4 + ["cancelled"] * 2 + ["ok"]
    assert len(found.rows) == 8
    assert found.ended == "cancelled", "some of it is still missing"
    assert runner.progress(run_id).total == 1


@pytest.mark.slow
def test_a_run_of_which_nothing_is_missing_any_more_has_ended(runner, plan_of, stand_in_shapes):
    run_id = runner.submit(plan_of("slow", "slow"))
    until(lambda: runner.progress(run_id).state == "running")
    runner.cancel(run_id)
    assert states(runner, run_id) == ["cancelled", "cancelled"]
    runner.remeasure(run_id, [row.cell_id for row in runner.store.run(run_id).last])
    assert runner.wait(run_id, timeout_s=240)
    assert runner.store.run(run_id).ended == "done"
    assert runner.store.summaries()[0].measured == 2


@pytest.mark.slow
def test_cancelling_the_second_time_leaves_what_the_first_one_found(runner, plan_of, stand_in_shapes):
    run_id = runner.submit(plan_of("ok", "slow"))
    assert runner.wait(run_id, timeout_s=240)
    before = runner.store.run(run_id).current
    runner.remeasure(run_id, [before[1].cell_id])
    until(lambda: runner.progress(run_id).state == "running")
    runner.cancel(run_id)
    assert runner.wait(run_id, timeout_s=240)
    after = runner.store.run(run_id)
    assert after.current == before
    assert after.last[1].state == "cancelled"
    assert after.ended == "done"


def test_the_last_measured_row_of_a_cell_counts_and_every_row_is_kept(measurement):
    first, failed = measurement(), measurement(state="killed", prefill_ms_samples=())
    second, other = measurement(cache_bytes=200), measurement(context=128)
    assert run_of(first, other, second).current == (second, other)
    assert run_of(first, failed).current == (first,)
    assert run_of(first, failed).last == (failed,)
    assert run_of(failed, first).current == (first,)
    assert run_of(failed, failed).current == (failed,)


def test_a_cell_measured_twice_is_counted_once(store, measurement):
    run_id = store.create(cells=[{}, {}], environment={})
    for row in (measurement(run_id), measurement(run_id), measurement(run_id, context=128)):
        store.append(row)
    (summary,) = store.summaries()
    assert (summary.measured, summary.cells) == (2, 2)


def test_a_run_that_is_measured_now_is_left_alone(runner, plan_of, stand_in_shapes):
    run_id = runner.submit(plan_of("slow", "slow"))
    names = [cell.cell_id for cell in remeasure.cells_of(runner.store.run(run_id))]
    with pytest.raises(SettingError, match="is being measured"):
        runner.remeasure(run_id, names)
    with pytest.raises(SettingError, match="no run"):
        runner.remeasure("unknown", names)


def test_cells_that_the_run_does_not_have_are_refused(runner, plan_of, stand_in_shapes):
    run_id = runner.submit(plan_of("ok"))
    assert runner.wait(run_id, timeout_s=240)
    for asked in (["transformer-nothing"], []):
        with pytest.raises(SettingError, match="no cell of this run"):
            runner.remeasure(run_id, asked)


def test_a_recorded_run_is_measured_into_a_new_one_on_all_cores_of_here():
    run = Store(recorded=RECORDED).run("quick-cpu")
    elsewhere = dataclasses.replace(run, cells=tuple({**cell, "threads": 96} for cell in run.cells))
    plan = remeasure.plan_remeasure(elsewhere, [remeasure.cells_of(elsewhere)[0].cell_id], rates=RATES)
    assert not remeasure.is_local(elsewhere)
    assert {cell.threads for cell in plan.cells} == {facts.usable_cores()}


@pytest.mark.slow
def test_a_run_of_another_machine_becomes_a_new_run(runner, plan_of, stand_in_shapes):
    run_id = runner.submit(plan_of("ok", "ok"))
    assert runner.wait(run_id, timeout_s=240)
    run = runner.store.run(run_id)
    other = dataclasses.replace(run, run_id="other", environment={**run.environment, "host_cpu": "PDP-11"})
    there = runner.store._add(other)
    made = runner.remeasure(there, [remeasure.cells_of(other)[0].cell_id])
    assert made not in (run_id, there)
    assert runner.wait(made, timeout_s=240)
    assert len(runner.store.run(made).rows) == 1
    assert len(runner.store.run(there).rows) == 2


def test_a_file_cannot_have_a_folder_or_a_hub_loaded(measurement):
    cell = {"architecture": "mamba", "source": "/etc", "context": 64}
    run = run_of(measurement(source="/etc"), cells=(cell,), imported=True)
    with pytest.raises(SettingError, match="machine that measured"):
        remeasure.plan_remeasure(run, [remeasure.cells_of(run)[0].cell_id], rates=RATES)


def test_a_device_that_is_not_here_is_said(measurement):
    cell = {"architecture": "mamba", "source": "mamba", "context": 64, "device": "cuda:7"}
    run = run_of(measurement(), cells=(cell,), imported=True)
    with pytest.raises(SettingError, match="cuda:7"):
        remeasure.plan_remeasure(run, [remeasure.cells_of(run)[0].cell_id], rates=RATES)


@pytest.mark.parametrize("cell", [{}, {"architecture": "mamba"}, {"architecture": 3, "source": "x", "context": 1},
                                  {"architecture": "mamba", "source": "mamba", "context": "many"}])  # fmt: skip
def test_a_planned_cell_that_is_none_is_left_out(cell):
    run = run_of(cells=(cell,), imported=True)
    assert remeasure.cells_of(run) == ()
    assert remeasure.command(run) is None


def of_command(line):
    """Plan what a command would measure."""
    words = shlex.split(line)
    assert " ".join(words[:4]) == remeasure.COMMAND
    parser = argparse.ArgumentParser()
    benchmark.add_arguments(parser)
    return benchmark._plan(parser.parse_args(words[4:]), RATES)


BUNDLED, SIZED = sizes.sources("bundled"), sizes.sources("130m", match="total")


@pytest.mark.parametrize(
    ("sources", "contexts", "options"),
    [
        (BUNDLED, (64, 128), {}),
        (BUNDLED, (64, 128), {"batches": (8, 1), "rounds": 4, "seed": 7, "threads": 1, "decode_tokens": 9}),
        ({"rwkv": "rwkv"}, (33,), {"view": "as_shipped", "dtype": "bfloat16"}),
        (BUNDLED, (64,), {"experts": "grouped", "attention": "math", "kernels": "reference"}),
        (SIZED, (64, 256), {"size": "130m", "experts": "loop"}),
        ({"mamba": "mamba", "rwkv": "rwkv-4-169m"}, (64,), {"size": "custom"}),
        (BUNDLED, (64, 512, 4096, 65536), {"budget_s": 25, "batches": (1, 8)}),
        (BUNDLED, (64,), {"throughput": True, "budget_s": 60}),
        (BUNDLED, (), {"places": ((1, 64), (8, 16), (1, 512))}),
    ],
    ids=["plain", "numbers", "as-shipped", "ways", "stored", "custom", "budget", "largest", "places"],
)
def test_the_command_measures_the_same_cells(sources, contexts, options):
    made = make_plan(sources, contexts, rates=RATES, **options)
    run = run_of(cells=tuple(made.to_json()))
    told = of_command(remeasure.command(run)).cells
    swept = [cell for cell in told if not cell.largest]
    assert swept == [cell for cell in made.cells if not cell.largest]
    wanted = {cell.architecture for cell in made.cells if cell.largest}
    assert {cell.architecture for cell in told if cell.largest} == wanted


def test_a_file_can_put_nothing_into_the_command_but_words():
    evil = "x'; rm -rf ~ #\n$(reboot)"
    cell = {"architecture": "mamba", "source": evil, "context": 64, "view": evil, "device": evil}
    line = remeasure.command(run_of(cells=(cell,), imported=True))
    words = shlex.split(line.removeprefix(remeasure.COMMAND))
    assert [words[words.index(name) + 1] for name in ("--sources", "--view", "--device")] == [evil] * 3


def test_the_command_of_the_recorded_run_is_whole():
    run = Store(recorded=RECORDED).run("quick-cpu")
    assert {cell.cell_id for cell in of_command(remeasure.command(run)).cells} == {row.cell_id for row in run.rows}


def test_the_fingerprint_is_that_of_the_rows_alone(store, measurement, tmp_path):
    rows = (measurement(), measurement(context=128))
    run = run_of(*rows)
    renamed = dataclasses.replace(run, run_id="s", title="other", created_ns=5,
                                  rows=tuple(dataclasses.replace(row, run_id="s") for row in rows))  # fmt: skip
    assert fingerprint(run) == fingerprint(renamed)
    changed = dataclasses.replace(rows[1], decode_ms_samples=(1.0, 2.0, 3.0, 2.6))
    several = [fingerprint(one) for one in (run, run_of(rows[0]), run_of(*rows[::-1]), run_of(rows[0], changed))]
    assert len(set(several)) == 4
    for fmt in ("jsonl", "csv", "parquet"):
        there = store.run(store.import_file(f"x.{fmt}", files.export(run, fmt)))
        assert fingerprint(there) == fingerprint(run), fmt


def test_the_fingerprint_is_that_of_every_row_and_not_of_the_current_ones(measurement):
    first, second = measurement(), measurement(decode_ms_samples=(1.0, 2.0, 3.0, 2.6))
    twice, once = run_of(first, second), run_of(second)
    assert twice.current == once.current
    assert fingerprint(twice) != fingerprint(once)


@pytest.mark.parametrize("text", ["1x", "x5", "8", "1x2x3", "1*64", "a,b", "1x-64"])
def test_places_that_are_none_are_refused(text):
    with pytest.raises(SettingError, match="is not a list of batch x tokens"):
        of_command(f"{remeasure.COMMAND} --places={text}")


@pytest.mark.parametrize("line", ["--places 1x64 --contexts 64", "--places 1x64 --batch 2", "--match total"])
def test_options_that_contradict_each_other_are_refused(line):
    with pytest.raises(SettingError):
        of_command(f"{remeasure.COMMAND} {line}")


def test_the_place_between_what_fits_and_what_does_not_is_tried_once(runner, plan_of):
    run_id = runner.submit(plan_of("fits-to-20", "ok", "ok", "ok", "fits-to-20", "ok", "ok", "ok", "fits-to-20"))
    assert runner.wait(run_id, timeout_s=240)
    own = {row.context: row.state for row in runner.store.run(run_id).rows if row.architecture == "transformer"}
    assert own == {16: "ok", 24: "oom", 32: "oom", 64: "predicted_oom_skipped"}
    run_id = runner.submit(plan_of("fits-to-30", "ok", "ok", "ok", "fits-to-30"))
    assert runner.wait(run_id, timeout_s=240)
    own = {row.context: row.state for row in runner.store.run(run_id).rows if row.architecture == "transformer"}
    assert own == {16: "ok", 24: "ok", 32: "oom"}
    assert all(small < large for small, large in pairwise(sorted(own)))
    assert runner.progress(run_id).done == 5, "what is tried beside the plan is no cell of it"


def test_nothing_between_is_tried_where_nothing_fitted_or_time_is_up(runner, plan_of):
    run_id = runner.submit(plan_of("oom"))
    assert states(runner, run_id) == ["oom"]
    plan = plan_of("fits-to-20", "ok", "ok", "ok", "fits-to-20")
    run_id = runner.submit(dataclasses.replace(plan, budget_s=0.05))
    assert runner.wait(run_id, timeout_s=240)
    assert {row.context for row in runner.store.run(run_id).rows} == {16, 32}


def test_an_unknown_way_of_measuring_in_a_file_is_refused(measurement):
    for column in ("view", "kernels", "attention", "experts"):
        run = run_of(measurement(**{column: "magic"}))
        with pytest.raises(SourceError, match=f"{column} 'magic' is not known"):
            files.parse("x.jsonl", files.export(run, "jsonl"))


def test_what_a_crash_left_without_rows_is_missing_too(runner, plan_of, stand_in_shapes, measurement):
    run_id = runner.submit(plan_of("ok", "ok", "ok", "crash"))
    assert runner.wait(run_id, timeout_s=240)
    whole = runner.store.run(run_id)
    first, *others = sorted(whole.rows, key=lambda row: not row.measured)
    assert [*remeasure.unfinished_cells(whole)] == [row.cell_id for row in whole.rows if row.state == "killed"]
    broken = dataclasses.replace(whole, rows=(first,), ended="")
    assert {*remeasure.unfinished_cells(broken)} == {row.cell_id for row in others}
    refused = dataclasses.replace(broken, rows=(dataclasses.replace(first, state="parity_fail", decode_ms_samples=()),))
    assert remeasure.unfinished_cells(refused) == remeasure.unfinished_cells(broken), "it would be refused again"


def test_a_run_that_another_program_measures_is_left_alone(store, plan_of, tmp_path, stand_in_shapes):
    path = tmp_path / "cpu.lock"
    other, here = Lease(path), Runner(store, lease=lambda device: Lease(path))
    try:
        run_id = store.create(cells=plan_of("ok").to_json(), environment=facts.environment())
        assert not here.measured_elsewhere(store.run(run_id)), "it broke off"
        assert other.taken()
        assert here.measured_elsewhere(store.run(run_id))
        with pytest.raises(SettingError, match="another program is measuring"):
            here.remeasure(run_id, remeasure.unfinished_cells(store.run(run_id)))
        store.finish(run_id, "cancelled")
        assert not here.measured_elsewhere(store.run(run_id))
    finally:
        here.close()
