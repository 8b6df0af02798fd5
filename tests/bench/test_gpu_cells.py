"""Cells on a GPU: captured steps equal eager ones, the five memory numbers are there, the ceilings are plausible."""

from dataclasses import replace

import pytest
import torch

from models import registry
from models.bench.measure import cuda_graphs, peaks
from models.bench.measure.cell_run import measure
from models.bench.measure.clock import Clock
from models.bench.measure.loading import load
from models.bench.measure.parity import LIMIT, difference
from models.records.cell import Cell

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
DEVICE = "cuda:0"


@pytest.mark.parametrize("architecture", registry.bundled())
@pytest.mark.parametrize("batch", [1, 3])
def test_captured_steps_give_what_eager_steps_give(architecture, batch):
    dtype = "bfloat16" if architecture == "jamba" else "float32"  # torch's grouped product reads offsets in float32
    cell = Cell(architecture, architecture, 48, batch=batch, device=DEVICE, dtype=dtype, decode_tokens=12)
    adapter, checkpoint = load(cell)
    clock = Clock(cell, adapter, checkpoint)
    captured, said = cuda_graphs.captured_or_reason(clock)
    assert said == "captured"
    ids = clock.prompt(cell.context)
    token = adapter.step(checkpoint, ids, None)[0].argmax(-1, keepdim=True)
    captured.follow(clock, token, adapter.step(checkpoint, ids, None)[1])
    _, cache = adapter.step(checkpoint, ids, None)
    for step in captured.after(cell.decode_tokens):
        step.replay()
        logits, cache = adapter.step(checkpoint, token, cache)
        assert difference(captured.logits, logits) <= LIMIT[dtype]
        token = captured.ids.clone()


@pytest.mark.parametrize("architecture", registry.bundled())
def test_a_row_of_a_gpu_is_whole(architecture):
    cell = Cell(architecture, architecture, 256, device=DEVICE, dtype="bfloat16", decode_tokens=16, rounds=3)
    row = measure(cell, run_id="test", roofline_peaks=peaks.measure(DEVICE, "bfloat16", threads=1))
    assert row.graph == "captured"
    assert row.cache_bytes == row.cache_bytes_formula
    assert row.peak_reserved_bytes >= row.peak_bytes > 0
    assert row.peak_process_bytes is None or row.peak_process_bytes > row.peak_reserved_bytes
    assert 0 <= row.launch_fraction < 1
    assert row.environment["device_uuid"].startswith("GPU-")
    assert min(row.decode_ms_samples) > 0
    assert row.parity_float32_rel is None or row.parity_float32_rel < LIMIT["float32"]
    if row.energy_j_per_token is not None:
        assert row.energy_j_per_token > 0
        assert row.energy_idle_w > 1
        assert row.energy_window_s > 1


def test_captured_attention_runs_on_flash_attention():
    row = measure(Cell("transformer", "transformer", 512, device=DEVICE, dtype="bfloat16", rounds=3), run_id="test")
    assert row.graph == "captured"
    assert "flash" in row.implementation["attention"].lower()


def test_every_attention_backend_of_a_gpu_is_measured_or_says_why():
    for attention in ("flash", "efficient", "math"):
        cell = Cell("transformer", "transformer", 256, device=DEVICE, dtype="bfloat16", rounds=3, attention=attention)
        assert measure(cell, run_id="test").state in ("ok", "unstable")


def test_the_sentinel_lasts_longer_than_its_launches():
    cell = Cell("transformer", "transformer", 64, device=DEVICE, dtype="bfloat16")
    clock = Clock(cell, *load(cell))
    times = [clock.sentinel() for _ in range(5)]
    assert min(times) > 0.1
    assert max(times) / min(times) < 1.2


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_another_gpu_than_the_first_is_measured_as_well():
    cell = Cell("transformer", "transformer", 256, device="cuda:1", dtype="bfloat16", decode_tokens=16, rounds=3)
    first, second = (measure(one, run_id="test") for one in (replace(cell, device=DEVICE), cell))
    assert second.graph == "captured"
    assert 0.3 < second.tpot_ms_med / first.tpot_ms_med < 3


def test_captured_steps_are_faster_than_eager_ones():
    """What the capture is for: a model this small spends its time launching."""
    times = {}
    for view in ("architecture", "as_shipped"):
        cell = Cell("transformer", "transformer", 256, device=DEVICE, dtype="bfloat16", rounds=3, view=view)
        times[view] = measure(cell, run_id="test").tpot_ms_med
    assert times["architecture"] < times["as_shipped"]


def test_the_ceilings_of_a_gpu_are_far_above_those_of_a_cpu():
    found = peaks.measure(DEVICE, "bfloat16", threads=1)
    assert found.bandwidth_bytes_per_s > 1e11
    assert found.peak_flops_per_s > 1e12
