"""Cells on a GPU: captured steps equal eager ones, the five memory numbers are there, the ceilings are plausible."""

import pytest
import torch

from models import registry
from models.bench import ceilings, graphs
from models.bench.cells import Cell
from models.bench.clock import Clock
from models.bench.measure import load, measure

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
DEVICE = "cuda:0"


@pytest.mark.parametrize("architecture", registry.bundled())
@pytest.mark.parametrize("batch", [1, 3])
def test_captured_steps_write_what_eager_steps_write(architecture, batch):
    cell = Cell(architecture, architecture, 48, batch=batch, device=DEVICE, decode_tokens=12)
    adapter, checkpoint = load(cell)
    clock = Clock(cell, adapter, checkpoint)
    ids = clock.prompt(cell.context)
    logits, cache = adapter.step(checkpoint, ids, graphs.static_cache(clock, 80))
    first = logits.argmax(-1, keepdim=True)
    captured = graphs.capture(clock, first, cache)
    written = [captured.ids.clone() for _ in captured.decode(cell.decode_tokens)]
    logits, cache = adapter.step(checkpoint, ids, None)
    token, eager = logits.argmax(-1, keepdim=True), []
    for _ in range(cell.decode_tokens):
        logits, cache = adapter.step(checkpoint, token, cache)
        token = logits.argmax(-1, keepdim=True)
        eager.append(token)
    assert torch.equal(torch.cat(written, dim=1), torch.cat(eager, dim=1))


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
