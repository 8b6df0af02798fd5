"""The real worker on the bundled models: exact bytes, parity gate, provenance, containment."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig

from models import registry
from models.bench.measure import cell_run, clock, cuda_graphs, loading, parity
from models.bench.plan.plan import Cell, Plan, Prediction, make_plan, sources_of
from models.bench.run import worker
from models.bench.run.runner import Runner
from models.errors import CellError, SettingError
from models.operators import backends

ROOT = Path(__file__).resolve().parents[2]
BUNDLED = registry.bundled()
needs_models = pytest.mark.skipif(not BUNDLED, reason="no bundled checkpoints")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Measure every bundled model at one length, batch 2, once for this module."""
    from models.bench.store.store import Store

    runner = Runner(Store(tmp_path_factory.mktemp("runs"), recorded=None))
    plan = make_plan(sources_of(), [48], batch=2, decode_tokens=4, rounds=2, threads=1)
    run_id = runner.submit(plan)
    assert runner.wait(run_id, timeout_s=240), runner.progress(run_id)
    runner.close()
    return runner.store.run(run_id)


@pytest.mark.slow
@needs_models
def test_every_bundled_model_is_measured(measured):
    assert [row.state for row in measured.rows if row.state not in ("ok", "unstable")] == []
    assert {row.architecture for row in measured.rows} == {adapter.name for adapter in registry.ADAPTERS}
    for row in measured.rows:
        assert row.cache_bytes == row.cache_bytes_formula
        assert row.rounds + row.rounds_unsteady >= 2
        assert len(row.prefill_ms_samples) == len(row.e2e_ms_samples) == row.rounds
        assert len(row.decode_ms_samples) == 4 * row.rounds
        assert max(row.parity_max_rel, row.parity_batch_rel, row.parity_chunk_rel) < 1e-4
        assert all(e2e >= first for e2e, first in zip(row.e2e_ms_samples, row.first_token_ms_samples, strict=True))
        assert row.ops_per_token > 50
        assert row.launch_fraction is None if not row.timed else 0 <= row.launch_fraction < 1
        assert row.harness_ms > 0
        assert not row.timed or row.harness_ms < row.tpot_ms_med / 5
        for peak in (row.bandwidth_bytes_per_s, row.peak_flops_per_s):
            assert peak is None if not row.timed else peak > 1e8
        assert (row.experts_distinct is None) == (row.architecture != "jamba")
        assert row.peak_bytes >= 0
        assert row.environment["torch"] == torch.__version__
        assert row.ended_ns > row.started_ns


@needs_models
def test_rows_name_the_code_that_ran(measured):
    ran = {row.architecture: row.implementation for row in measured.rows}
    assert ran["transformer"] == {"attention": "torch scaled_dot_product_attention (CPU)"}
    assert set(ran["mamba"]) == {"conv", "conv_step", "scan", "scan_step"}
    assert set(ran["rwkv"]) == {"wkv", "wkv_step"}
    assert set(ran["jamba"]) == {"attention", "conv", "conv_step", "scan", "scan_step", "experts"}
    assert ran["jamba"]["scan"] == "seqops compiled loop (CPU)"


@pytest.mark.slow
@needs_models
def test_killing_the_real_worker_loses_no_other_row(store):
    runner = Runner(store)
    plan = make_plan({"mamba": "mamba"}, [16, 4096, 32], decode_tokens=8, rounds=3, threads=1)
    run_id = runner.submit(plan)
    deadline = time.monotonic() + 120
    try:
        while not ((now := runner.progress(run_id)).cell and now.cell.context == 4096 and now.worker_pid):
            assert time.monotonic() < deadline
            assert now.live, [row.reason for row in store.run(run_id).rows]
            time.sleep(0.005)
        os.kill(now.worker_pid, signal.SIGKILL)
        assert runner.wait(run_id, timeout_s=240)
        rows = {row.context: row for row in store.run(run_id).rows}
    finally:
        runner.close()
    assert {context: row.state in ("ok", "unstable") for context, row in rows.items()} == {
        16: True,
        32: True,
        4096: False,
    }
    assert rows[4096].state == "killed"
    assert rows[4096].reason_values["signal"] == "SIGKILL"


@pytest.mark.slow
@needs_models
@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_kill_9_of_the_server_ends_the_workers_and_keeps_the_rows(store):
    command = [sys.executable, str(Path(__file__).with_name("lone_server.py")), str(store.folder)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    _, forker, child, run_id = server.stdout.readline().split()
    assert Path(f"/proc/{child}").exists()
    server.kill()
    server.wait()
    deadline = time.monotonic() + 5
    while Path(f"/proc/{forker}").exists() or Path(f"/proc/{child}").exists():
        assert time.monotonic() < deadline, "a worker outlived the server"
        time.sleep(0.02)
    run = store.run(run_id)
    assert [row.context for row in run.rows] == [16]
    assert run.ended == ""
    assert len(run.cells) == 2


def _shipped(architecture, *, batch=1):
    cell = Cell(architecture, architecture, 16, batch=batch, view="as_shipped")
    return cell, *loading.load(cell)


@needs_models
@pytest.mark.parametrize(
    ("architecture", "batch", "key"),
    [("rwkv", 3, "errors.cell_parity_batch"), ("mamba", 1, "errors.cell_parity_chunked"),
     ("jamba", 1, "errors.cell_parity_chunked")],
)  # fmt: skip
def test_the_gate_catches_the_faults_of_transformers_as_shipped(architecture, batch, key):
    cell, adapter, checkpoint = _shipped(architecture, batch=batch)
    with pytest.raises(CellError, match="differs by") as caught, clock.implementation(cell):
        parity.check_parity(cell, adapter, checkpoint)
    assert caught.value.key == key
    assert float(caught.value.values["difference"]) > 1e-3


@needs_models
@pytest.mark.parametrize("architecture", BUNDLED)
def test_our_own_path_passes_the_gate(architecture):
    cell = Cell(architecture, architecture, 16, batch=3)
    adapter, checkpoint = loading.load(cell)
    found = parity.check_parity(cell, adapter, checkpoint)
    assert max(found.cached, found.chunked, found.batch) < 1e-4


@pytest.mark.slow
@needs_models
@pytest.mark.parametrize(
    ("experts", "ran"),
    [("sorted", "seqops products grouped by expert (torch)"), ("grouped", "transformers grouped_mm"),
     ("batched", "transformers batched_mm"), ("loop", "transformers loop over experts")],
)  # fmt: skip
def test_experts_run_as_asked_and_pass_the_gate(experts, ran):
    row = cell_run.measure(Cell("jamba", "jamba", 16, batch=2, experts=experts, decode_tokens=2, rounds=2), run_id="x")
    assert row.implementation["experts"] == ran
    assert row.implementation["scan"].startswith("seqops"), "the rest is as it was"
    assert row.experts == experts
    assert max(row.parity_max_rel, row.parity_batch_rel, row.parity_chunk_rel) < 1e-4
    assert experts in row.cell_id


@needs_models
def test_as_shipped_the_experts_are_those_of_the_configuration():
    cell, adapter, checkpoint = _shipped("jamba")
    with clock.implementation(cell), backends.recording() as used:
        clock.Clock(cell, adapter, checkpoint).step(torch.ones(1, 5, dtype=torch.long), None)
    assert used["experts"] == "transformers grouped_mm"
    with clock.implementation(dataclasses.replace(cell, experts="loop")), backends.recording() as used:
        clock.Clock(cell, adapter, checkpoint).step(torch.ones(1, 5, dtype=torch.long), None)
    assert used["experts"] == "transformers loop over experts"


@pytest.mark.slow
@needs_models
def test_rounds_that_were_made_again_or_stayed_unsteady_are_counted(monkeypatch):
    """The sentinel drifts in the first attempt of round 1 and in all three of round 2."""
    run = cell_run.CellRun(Cell("rwkv", "rwkv", 16, decode_tokens=2, rounds=4), run_id="x")
    run.prepare()
    drifts = iter([True, False, True, True, True, False, False])
    monkeypatch.setattr(cell_run, "drifted", lambda *_: next(drifts))
    monkeypatch.setattr(cell_run, "slowed", lambda *_: False)
    monkeypatch.setattr(cell_run.cpu_share, "between", lambda *_: None)
    made = [run.round() for _ in range(4)]
    assert [(one.steady, one.attempts) for one in made] == [(True, 2), (False, 3), (True, 1), (True, 1)]
    row = run.row()
    assert (row.rounds, row.rounds_repeated, row.rounds_unsteady, row.state) == (3, 3, 1, "ok")
    assert next(drifts, None) is None


@pytest.mark.slow
@needs_models
def test_a_row_as_shipped_names_transformers_own_attention():
    cell = Cell("transformer", "transformer", 16, view="as_shipped", decode_tokens=2, rounds=2)
    row = cell_run.measure(cell, run_id="test")
    assert row.implementation["attention"] == "transformers sdpa"


@pytest.mark.slow
@needs_models
def test_a_fault_as_shipped_is_a_row_without_speed(store):
    runner = Runner(store)
    try:
        run_id = runner.submit(
            make_plan({"mamba": "mamba"}, [16], decode_tokens=4, rounds=3, threads=1, view="as_shipped")
        )
        assert runner.wait(run_id, timeout_s=240)
        (row,) = store.run(run_id).rows
    finally:
        runner.close()
    assert (row.state, row.reason_key) == ("parity_fail", "errors.cell_parity_chunked")
    assert not row.decode_ms_samples
    assert row.parity_chunk_rel > 1e-3
    assert row.parity_max_rel < 1e-4


@pytest.mark.slow
@needs_models
@pytest.mark.skipif(sys.platform != "linux", reason="the limit of data memory is Linux's")
def test_a_cell_beyond_the_memory_is_a_row_that_says_so(store):
    """Embeddings of a batch that no machine of this kind holds: torch is refused the memory, nothing is killed."""
    cell = Cell("transformer", "transformer", 2**22, batch=16, decode_tokens=4)
    fits = Prediction(0, 0, 0, 0, prefill_ms=1.0, decode_ms=1.0, seconds=1.0, fits=True)
    runner = Runner(store)
    try:
        run_id = runner.submit(Plan((cell,), (fits,)), timeout_s=240)
        assert runner.wait(run_id, timeout_s=240)
        (row,) = store.run(run_id).rows
    finally:
        runner.close()
    assert row.state == "oom", row.reason
    assert row.oom_requested_bytes > 2**30


@needs_models
@pytest.mark.parametrize("architecture", BUNDLED)
def test_keys_and_values_in_their_place_decode_as_growing_ones(architecture):
    cell = Cell(architecture, architecture, 16, batch=2, decode_tokens=8)
    adapter, checkpoint = loading.load(cell)
    one = clock.Clock(cell, adapter, checkpoint)
    ids = one.prompt(20)
    logits, cache = adapter.step(checkpoint, ids[:, :13], None)
    cache = cuda_graphs.on_fixed_memory(cache, 20)
    for position in range(13, 20):
        logits, cache = adapter.step(checkpoint, ids[:, position : position + 1], cache)
    assert parity.difference(logits, adapter.step(checkpoint, ids, None)[0]) < 1e-5


def test_a_step_without_a_gpu_is_not_captured():
    cell = Cell("transformer", "transformer", 16)
    one = clock.Clock(cell, *loading.load(cell))
    assert cuda_graphs.captured_or_reason(one) == (None, "no GPU")


@pytest.mark.parametrize(("attention", "message"), [("flsh", "choose one of"), ("cudnn", "needs a GPU")])
def test_an_attention_backend_that_is_not_here_is_refused(attention, message):
    with pytest.raises(SettingError, match=message):
        clock.pinned(Cell("transformer", "transformer", 16, attention=attention))


@needs_models
def test_the_attention_backend_is_held_and_agrees(store):
    cell = Cell("transformer", "transformer", 16)
    adapter, checkpoint = loading.load(cell)
    ids = clock.Clock(cell, adapter, checkpoint).prompt(12)
    with clock.pinned(Cell("transformer", "transformer", 16, attention="math")):
        plain = adapter.step(checkpoint, ids, None)[0]
    with clock.pinned(Cell("transformer", "transformer", 16, attention="flash")):
        assert parity.difference(adapter.step(checkpoint, ids, None)[0], plain) < 1e-5


def test_a_published_shape_gets_seeded_random_weights():
    config = {"model_type": "rwkv", "vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 2}
    made, again = (loading.random_weights(Cell("rwkv", "tiny", 16), config) for _ in range(2))
    assert made.architecture == "rwkv"
    assert all(torch.equal(a, b) for a, b in zip(made.model.parameters(), again.model.parameters(), strict=True))


def test_random_weights_have_one_scale_and_the_configuration_is_that_of_the_shape():
    config = {"model_type": "mamba", "vocab_size": 300, "hidden_size": 64, "num_hidden_layers": 2}
    made = loading.random_weights(Cell("mamba", "tiny", 16), config)
    assert made.model.config.initializer_range == AutoConfig.for_model(**config).initializer_range == 0.1
    assert made.model.get_input_embeddings().weight.std().item() == pytest.approx(loading.SCALE, rel=0.05)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (MemoryError(), "oom"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes."), "oom"),
        (torch.cuda.OutOfMemoryError("CUDA out of memory"), "oom"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), "oom"),
        (CellError("errors.cell_parity", "differ"), "parity_fail"),
        (ValueError("boom\nmore"), "failed"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_failures_become_states(error, state):
    said = worker.failure(error)
    assert said["state"] == state
    assert "\n" not in said["message"]


@pytest.mark.parametrize(
    ("text", "requested"),
    [
        ("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1099511627776 bytes.", 2**40),
        ("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 79.11 GiB", 20 * 2**30),
        ("CUDA out of memory. Tried to allocate 1.50 MiB. GPU 0 has 3.00 GiB free", 3 * 2**19),
        ("HIP out of memory. Tried to allocate 2.00 KiB.", 2048),
        ("CUDA error: out of memory", None),
    ],
)
def test_the_bytes_that_were_refused_are_read_from_what_torch_says(text, requested):
    assert worker.failure(RuntimeError(text))["values"].get("requested") == requested


@pytest.mark.skipif(not worker.FORKS, reason="the server is itself the child")
@pytest.mark.parametrize("apart", [False, True], ids=["in one read", "apart"])
def test_a_killed_child_is_not_taken_for_its_namesake(apart):
    server = subprocess.Popen(
        [sys.executable, "-u", str(Path(__file__).with_name("stand_in_worker.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )

    def say(*messages):
        server.stdin.write("".join(json.dumps(message) + "\n" for message in messages))
        server.stdin.flush()

    def heard(until):
        events = []
        while not {"exit", until} & set(events):
            if (line := server.stdout.readline()).startswith("{"):
                event = json.loads(line)
                events += [event["event"]]
        return events, event

    def gone(pid):
        deadline = time.monotonic() + 10
        while Path(f"/proc/{pid}").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    opened = {"open": "x", "run_id": "r", "cell": {"source": "hang", "context": 16}, "ceilings": None}
    again = opened | {"cell": {"source": "ok", "context": 16}}
    try:
        say(opened)
        _, started = heard("started")
        heard("phase")
        if apart:
            say({"kill": "x"})
            gone(started["pid"])
            say(again)
        else:
            say({"kill": "x"}, again)
        assert heard("ready")[0] == ["started", "ready"]
        gone(started["pid"])
        say({"round": "x"})
        assert heard("round")[0] == ["round"]
    finally:
        server.kill()
        server.communicate()
