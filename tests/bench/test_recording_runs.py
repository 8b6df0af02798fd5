"""The standard runs of `make gpu` over stand-in workers: half of a run is completed, and what is wrong is named."""

import dataclasses
import sys
from pathlib import Path

import pytest

from models.bench.plan.plan import Rates
from models.bench.record import standard
from models.bench.record.stages import Turn
from models.bench.record.standard import REHEARSAL, Recorder, file_name, judged, missing
from models.bench.record.state import StageState
from models.bench.run.host import WorkerHost
from models.bench.run.runner import Runner
from models.bench.store.store import Store, read_file
from models.machine import facts
from models.records.run import Run
from models.sources import sizes

STAND_IN = Path(__file__).with_name("stand_in_worker.py")


@pytest.fixture
def made(store, monkeypatch, tmp_path):
    """Build a recorder over stand-ins, each behaving as a word says; every build is a session of its own."""
    runners = []
    monkeypatch.setattr(Recorder, "_rates", lambda self: Rates(1e11, 1e11))
    monkeypatch.setattr(Runner, "rates", lambda self: Rates(1e11, 1e11))

    def build(*words, **changes):
        command = (sys.executable, "-u", str(STAND_IN), *words)
        runners.append(Runner(store, make_host=lambda threads: WorkerHost(command, threads=threads)))
        asked = dataclasses.replace(REHEARSAL, **changes)
        return Recorder("cpu", asked, store=store, runner=runners[-1], folder=tmp_path / "assets" / "runs")

    yield build
    for runner in runners:
        runner.close()


def turn_of(state, *, allowed_s=120.0, save_all=lambda: None, said=None):
    return Turn(allowed_s, state, (said if said is not None else []).append, save_all)


def test_a_run_is_recorded_whole_and_the_app_lists_it(made, store, tmp_path):
    recorder, state = made(), StageState()
    ending = recorder.run(turn_of(state), size="bundled")
    assert ending.whole and ending.problems == ()
    assert ending.notes[0] == "8 cells with times, 0 do not fit this machine or model"
    name = file_name("cpu", "bundled")
    listed = Store(tmp_path / "other", recorded=recorder.folder)
    (run,) = listed.recorded_runs()
    assert f"{run.run_id}.jsonl" == name and run.recorded and run.ended == "done"
    assert run.title == f"{facts.processor()}, {sizes.tier('bundled').name['en']}"
    assert {cell["context"] for cell in run.cells} == {32, 64}
    assert [row.state for row in run.rows] == ["ok"] * 8
    assert listed.latest().run_id == run.run_id


def test_half_a_run_is_completed_and_no_cell_is_measured_twice(made, store, tmp_path):
    state = StageState()

    def cut():
        if state.kept.get("run_id") and len(store.run(state.kept["run_id"]).rows) >= 4:
            raise KeyboardInterrupt

    recorder = made("slow")
    with pytest.raises(KeyboardInterrupt):
        recorder.run(turn_of(state, save_all=cut), size="bundled")
    half = store.run(state.kept["run_id"])
    before = {row.cell_id for row in half.rows if row.state == "ok"}
    assert 4 <= len(before) < 8 and {*missing(half)} == {cell_id_of(cell) for cell in half.cells} - before
    file = recorder.folder / file_name("cpu", "bundled")
    assert len([row for row in read_file(file).rows if row.measured]) == len(before), "what was measured is on disk"
    assert not judged(half).whole
    said = []
    ending = made().run(turn_of(state, said=said), size="bundled")
    assert ending.whole and ending.problems == ()
    assert said[0] == f"bundled: goes on with {8 - len(before)} of 8 cells"
    whole = store.run(half.run_id)
    assert sorted(row.cell_id for row in whole.rows if row.measured) == sorted(map(cell_id_of, whole.cells))
    assert {row.cell_id for row in read_file(file).current if row.timed} == {*map(cell_id_of, whole.cells)}
    assert len(store.runs()) == 1


def cell_id_of(planned):
    from models.records.cell import Cell

    return Cell(**planned).cell_id


def test_what_a_crash_left_open_is_completed_too(made, store):
    """Killed at once, a session notes neither an end nor what was cancelled."""
    state = StageState()
    recorder = made()
    recorder.run(turn_of(state), size="bundled")
    run = store.run(state.kept["run_id"])
    crashed = store.create(cells=run.cells, environment=facts.environment())
    for row in run.rows[:3]:
        store.append(dataclasses.replace(row, run_id=crashed))
    left = StageState(kept={"run_id": crashed, "left_out": []})
    assert made().run(turn_of(left), size="bundled").whole
    assert len(store.run(crashed).rows) == 8


def test_a_run_that_takes_too_long_is_cancelled_and_goes_on_later(made, store):
    state = StageState()
    ending = made("slow").run(turn_of(state, allowed_s=1.0), size="bundled")
    assert not ending.whole
    assert ending.problems[0].startswith("not measured, its time ran out or it was interrupted: ")
    assert made().run(turn_of(state), size="bundled").whole


def test_a_run_whose_worker_dies_is_recorded_with_what_is_wrong_and_retried_on_request(made, store):
    state = StageState()
    ending = made("crash").run(turn_of(state), size="bundled")
    assert ending.whole, "there is nothing left to try in this session"
    assert "transformer-bundled-32-b1-float32-cpu (the worker of" in ending.problems[0]
    assert "SIGKILL" in ending.problems[0]
    recorder = made()
    assert not (recorder.folder / file_name("cpu", "bundled")).exists(), "a run without a measured cell is no record"
    assert recorder.run(turn_of(state), size="bundled").problems, "it was tried"
    state.kept["again"] = True
    again = recorder.run(turn_of(state), size="bundled")
    assert again.problems == () and "again" not in state.kept
    assert (recorder.folder / file_name("cpu", "bundled")).is_file()


def run_of(*rows):
    return Run("r", "", 0, (), {}, rows)


def test_every_kind_of_trouble_is_named_and_limits_are_none(measurement):
    gpu = {"device": "cuda:0", "dtype": "bfloat16", "graph": "captured"}
    no_time = {"prefill_ms_samples": (), "decode_ms_samples": (), "rounds": 0}
    rows = (
        measurement(context=1, **gpu),
        measurement(context=2, state="parity_fail", reason="batch decoding differs", **gpu | no_time),
        measurement(context=3, state="failed", reason="a bug", **gpu | no_time),
        measurement(context=4, state="unstable", **gpu | no_time),
        measurement(context=5, tpot_iqr_rel=0.6, **gpu),
        measurement(context=6, **gpu | {"graph": "RuntimeError: no capture"}),
        measurement(context=7, state="predicted_oom_skipped", reason="too large", **gpu | no_time),
        measurement(context=8, state="unsupported", reason="2048 positions", **gpu | no_time),
        measurement(context=9, state="oom", reason="no memory", **gpu | no_time),
    )
    found = judged(run_of(*rows), left_out=("left out for time: 8,192 tokens at batch 8",))
    assert found.problems == (
        "parity failed, so no speed is shown: mamba-2 (batch decoding differs)",
        "not measured: mamba-3 (a bug)",
        "unsteady: no steady round, bytes alone: mamba-4",
        "unsteady: its rounds differ too much: mamba-5",
        "decoded without a CUDA graph: mamba-6 (RuntimeError: no capture)",
    )
    assert found.notes == ("3 cells with times, 3 do not fit this machine or model",
                           "left out for time: 8,192 tokens at batch 8")  # fmt: skip
    assert found.whole


def test_many_cells_with_one_trouble_are_counted(measurement):
    rows = [measurement(context=n, state="failed", reason="", rounds=0) for n in range(1, 21)]
    (problem,) = judged(run_of(*rows)).problems
    assert problem.endswith("mamba-8, and 12 more")


def test_what_no_time_was_left_for_is_missing_and_what_failed_is_not(store, measurement, plan_of):
    cells = plan_of("a", "b", "c", "d").to_json()
    ids = [*map(cell_id_of, cells)]
    states = [("ok", ""), ("timeout", standard.NO_TIME), ("timeout", "errors.cell_timeout"), ("cancelled", "")]
    rows = [
        measurement(state=state, reason_key=key, cell_id=cell_id, decode_ms_samples=(), prefill_ms_samples=())
        for (state, key), cell_id in zip(states, ids, strict=True)
    ]
    run = dataclasses.replace(run_of(*rows), cells=tuple(cells))
    assert missing(run) == (ids[1], ids[3])


def test_the_standard_runs_of_a_gpu_are_the_ladder_within_what_a_plan_may_hold():
    from models.bench.plan.settings import LIMITS

    asked = standard.ON_GPU
    assert tuple(asked.shares) == sizes.TIERS
    assert asked.dtype == "bfloat16"
    assert asked.contexts[-1] == LIMITS["context"][1], "to the longest that fits: no plan goes further"
    planned = len(sizes.tier("7b").models) * len(asked.contexts) * len(asked.batches)
    assert planned <= LIMITS["cells"][1]


def test_a_gpu_without_rows_is_planned_by_its_measured_ceilings(store, monkeypatch):
    asked = []

    class Ceilings:
        def __init__(self, **_):
            pass

        def roofline_peaks(self, cell, *, cancelled):
            asked.append((cell.device, cell.dtype))
            return {"bandwidth_bytes_per_s": 4e12, "peak_flops_per_s": 7e14}

        def stop(self):
            asked.append("stopped")

    monkeypatch.setattr(standard, "WorkerHost", Ceilings)
    monkeypatch.setattr(facts, "gpus", lambda: ("GPU X",))
    recorder = Recorder("cuda:0", standard.ON_GPU, store=store, runner=None, folder=Path())
    rates = recorder._rates().of("cuda:0")
    assert (rates.flops_per_s, rates.bytes_per_s, rates.known) == (7e14, 4e12, True)
    assert asked == [("cuda:0", "bfloat16"), "stopped"]


def test_the_plan_of_a_large_size_goes_to_the_longest_context_that_fits(store, monkeypatch):
    monkeypatch.setattr(facts, "gpus", lambda: ("GPU X",))
    monkeypatch.setattr(facts, "devices", lambda: ("cpu", "cuda:0"))
    monkeypatch.setattr(facts, "free_bytes", lambda device: 140 * 10**9)
    fast = Rates(7e14, 4e12, gpus={"GPU X": Rates(7e14, 4e12, overhead_s=2e-5)})
    monkeypatch.setattr(Recorder, "_rates", lambda self: fast)
    recorder = Recorder("cuda:0", standard.ON_GPU, store=store, runner=None, folder=Path())
    plan = recorder._plan("7b", recorder._rates(), budget_s=1200.0)
    fits = {(cell.architecture, cell.context) for cell, p in zip(plan.cells, plan.predictions, strict=True) if p.fits}
    longest = {name: max(context for other, context in fits if other == name) for name, _ in fits}
    # Llama-2-7B keeps 512 KiB a token, twice where steps are captured: 64 GiB at 65,536 tokens.
    assert longest == {"transformer": 65536, "mamba": 262144, "rwkv": 262144, "jamba": 262144}, longest
    assert any(not prediction.fits for prediction in plan.predictions), "and says of longer ones that they do not"
    half = recorder._plan("7b", recorder._rates(), budget_s=60 * standard.ON_GPU.shares["7b"])
    assert max(cell.context for cell in half.cells) == 65536, "its share of half an hour"
    assert half.seconds <= 360.0 and {note.key for note in half.notes} >= {"plan.dropped"}
    assert {cell.dtype for cell in plan.cells} == {"bfloat16"} and {cell.view for cell in plan.cells} == {
        "architecture"
    }


def test_the_name_of_a_file_is_an_id_that_the_app_takes(monkeypatch):
    from models.records.run import RUN_ID

    for name in ("NVIDIA H200", "NVIDIA A100-SXM4-80GB MIG 1g.10gb", "…", "x" * 300, "../../etc"):
        monkeypatch.setattr(facts, "device_name", lambda _, name=name: name)
        for size in sizes.TIERS:
            file = file_name("cuda:0", size)
            assert RUN_ID.fullmatch(file.removesuffix(".jsonl")) and "/" not in file, file
    monkeypatch.setattr(facts, "device_name", lambda _: "NVIDIA H200")
    assert file_name("cuda:0", "1.4b") == "nvidia-h200-1.4b.jsonl"
