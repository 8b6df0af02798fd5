"""Cells on a GPU: captured steps equal eager ones, the five memory numbers are there, the ceilings are plausible."""

import pytest
import torch

from models import registry
from models.bench import ceilings, graphs
from models.bench.cells import Cell
from models.bench.clock import Clock
from models.bench.loading import load
from models.bench.measure import measure
from models.bench.parity import LIMIT, difference

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
    captured, said = graphs.captured_or_reason(clock)
    assert said == "captured"
    ids = clock.prompt(cell.context)
    token = adapter.step(checkpoint, ids, None)[0].argmax(-1, keepdim=True)
    captured.follow(clock, token, adapter.step(checkpoint, ids, None)[1])
    _, cache = adapter.step(checkpoint, ids, None)
    for _ in captured.decode(cell.decode_tokens):
        logits, cache = adapter.step(checkpoint, token, cache)
        assert difference(captured.logits, logits) <= LIMIT[dtype]
        token = captured.ids.clone()


@pytest.mark.parametrize("architecture", registry.bundled())
def test_a_row_of_a_gpu_is_whole(architecture):
    cell = Cell(architecture, architecture, 256, device=DEVICE, dtype="bfloat16", decode_tokens=16, rounds=3)
    row = measure(cell, run_id="test", ceilings=ceilings.measure(DEVICE, "bfloat16", threads=1))
    assert row.graph == "captured"
    assert row.cache_bytes == row.cache_bytes_formula
    assert row.peak_reserved_bytes >= row.peak_bytes > 0
    assert row.peak_process_bytes is None or row.peak_process_bytes > row.peak_reserved_bytes
    assert 0 <= row.launch_fraction < 1
    assert row.environment["device_uuid"].startswith("GPU-")
    assert min(row.decode_ms_samples) > 0


def test_captured_steps_are_faster_than_eager_ones():
    """What the capture is for: a model this small spends its time launching."""
    times = {}
    for view in ("architecture", "as_shipped"):
        cell = Cell("transformer", "transformer", 256, device=DEVICE, dtype="bfloat16", rounds=3, view=view)
        times[view] = measure(cell, run_id="test").tpot_ms_med
    assert times["architecture"] < times["as_shipped"]


def test_the_ceilings_of_a_gpu_are_far_above_those_of_a_cpu():
    found = ceilings.measure(DEVICE, "bfloat16", threads=1)
    assert found.bandwidth_bytes_per_s > 1e11
    assert found.peak_flops_per_s > 1e12
