"""The real worker on the bundled models: exact bytes, parity gate, provenance, containment."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, RwkvConfig

from models import registry
from models.bench import measure, worker
from models.bench.plan import Cell, make_plan, sources_of
from models.bench.runner import Runner
from models.errors import CellError
from models.spec import Checkpoint

ROOT = Path(__file__).resolve().parents[2]
BUNDLED = registry.bundled()
needs_models = pytest.mark.skipif(not BUNDLED, reason="no bundled checkpoints")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Measure every bundled model at two lengths, batch 2, once for this module."""
    from models.bench.store import Store

    runner = Runner(Store(tmp_path_factory.mktemp("runs"), recorded=None))
    plan = make_plan(sources_of(), [16, 48], batch=2, decode_tokens=4, rounds=2)
    run_id = runner.submit(plan)
    assert runner.wait(run_id, timeout_s=240), runner.progress(run_id)
    runner.close()
    return runner.store.run(run_id)


@needs_models
def test_every_bundled_model_is_measured(measured):
    assert [row.state for row in measured.rows if row.state not in ("ok", "unstable")] == []
    assert {row.architecture for row in measured.rows} == {adapter.name for adapter in registry.ADAPTERS}
    for row in measured.rows:
        assert row.cache_bytes == row.cache_bytes_formula
        assert len(row.prefill_ms_samples) == 2
        assert len(row.decode_ms_samples) == 4
        assert row.parity_max_rel < 1e-4
        assert row.parity_batch_rel < 1e-4
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


@needs_models
def test_killing_the_real_worker_loses_no_other_row(store):
    runner = Runner(store)
    plan = make_plan({"mamba": "mamba"}, [16, 4096, 32], decode_tokens=64, rounds=8)
    run_id = runner.submit(plan)
    deadline = time.monotonic() + 120
    try:
        while not ((now := runner.progress(run_id)).cell and now.cell.context == 4096 and now.worker_pid):
            assert time.monotonic() < deadline
            assert now.live, [row.reason for row in store.run(run_id).rows]
            time.sleep(0.005)
        os.kill(now.worker_pid, signal.SIGKILL)
        assert runner.wait(run_id, timeout_s=120)
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
    assert (run.ended, run.complete) == ("", False)


def _rwkv(*, mended):
    torch.manual_seed(0)
    made = RwkvConfig(vocab_size=32, hidden_size=16, num_hidden_layers=2, attention_hidden_size=16, rescale_every=0)
    adapter = registry.adapter_for(made, source="test")
    model = AutoModelForCausalLM.from_config(made).eval()
    return adapter, Checkpoint("test", "rwkv", adapter.prepare(model) if mended else model, None)


def test_the_gate_catches_the_batch_fault_of_transformers():
    cell = Cell("rwkv", "test", 16, batch=3)
    adapter, broken = _rwkv(mended=False)
    with pytest.raises(CellError, match="differ by"):
        measure.check_parity(cell, adapter, broken)
    adapter, mended = _rwkv(mended=True)
    assert max(measure.check_parity(cell, adapter, mended)) < 1e-4


def test_a_published_shape_gets_seeded_random_weights():
    from models import catalogue

    made = measure._random_weights(
        Cell("rwkv", "tiny", 16), {"model_type": "rwkv", "vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 2}
    )
    again = measure._random_weights(
        Cell("rwkv", "tiny", 16), {"model_type": "rwkv", "vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 2}
    )
    assert made.architecture == "rwkv"
    assert catalogue.find("tiny") is None
    assert all(torch.equal(a, b) for a, b in zip(made.model.parameters(), again.model.parameters(), strict=True))


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (MemoryError(), "oom"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes."), "oom"),
        (torch.cuda.OutOfMemoryError("CUDA out of memory"), "oom"),
        (CellError("errors.cell_parity", "differ"), "parity_fail"),
        (ValueError("boom\nmore"), "failed"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_failures_become_states(error, state):
    said = worker.failure(error)
    assert said["state"] == state
    assert "\n" not in said["message"]
