"""The gate in 16 bits: rounding that a deep model amplifies is no fault, and a fault stays one."""

import dataclasses

import pytest
import torch

from models import registry
from models.bench.measure import loading, parity
from models.bench.measure.loading import load
from models.bench.measure.parity import LIMIT, check_parity
from models.errors import CellError
from models.records.cell import Cell

pytestmark = pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")


@pytest.mark.slow
def test_rounding_that_a_deep_recurrence_amplifies_is_no_fault(monkeypatch):
    """Twenty-four layers of large weights turn rounding into more than the limit; in float32 nothing differs."""
    monkeypatch.setattr(loading, "SCALE", 0.1)
    shape = {"model_type": "mamba", "vocab_size": 512, "hidden_size": 128, "num_hidden_layers": 24}
    found = []
    for seed in range(3):
        cell = Cell("mamba", "tiny", 64, dtype="bfloat16", seed=seed)
        checkpoint = loading.random_weights(cell, shape)
        found.append(check_parity(cell, registry.adapter("mamba"), checkpoint))
    again = [one for one in found if one.float32 is not None]
    assert again, "this is the case that the float32 gate is for"
    assert all(max(one.cached, one.chunked) > LIMIT["bfloat16"] for one in again)
    assert all(one.float32 < LIMIT["float32"] / 10 for one in again)


def test_a_model_within_the_limit_is_not_asked_again():
    cell = Cell("transformer", "transformer", 64, dtype="bfloat16", batch=2)
    assert check_parity(cell, *load(cell)).float32 is None


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "batch", "way"), [("rwkv", 2, "batch"), ("mamba", 1, "chunked")])
def test_a_fault_in_16_bits_is_still_refused(architecture, batch, way):
    cell = Cell(architecture, architecture, 64, dtype="bfloat16", batch=batch, view="as_shipped")
    with pytest.raises(CellError) as refused:
        check_parity(cell, *load(cell))
    assert refused.value.key == f"errors.cell_parity_{way}"
    assert refused.value.values["limit"] == "1e-04"


def test_the_weights_are_as_they_were_and_each_of_its_own_type(monkeypatch):
    cell = Cell("mamba", "mamba", 64, dtype="bfloat16")
    adapter, checkpoint = load(cell)
    next(checkpoint.model.parameters()).data = next(checkpoint.model.parameters()).data.float()
    tensors = [*checkpoint.model.parameters(), *checkpoint.model.buffers()]
    before = [x.clone() for x in tensors]
    monkeypatch.setitem(parity.LIMIT, "bfloat16", -1.0)
    assert check_parity(cell, adapter, checkpoint).float32 < LIMIT["float32"]
    assert {x.dtype for x in before} == {torch.float32, torch.bfloat16}
    assert all(torch.equal(x, y) and x.dtype == y.dtype for x, y in zip(tensors, before, strict=True))


def test_without_the_memory_for_float32_the_16_bits_decide(monkeypatch):
    cell = Cell("mamba", "mamba", 64, dtype="bfloat16")
    adapter, checkpoint = load(cell)
    differences = parity._differences

    def full(asked, *rest):
        if asked.dtype == "float32":
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return differences(dataclasses.replace(asked), *rest)

    monkeypatch.setattr(parity, "_differences", full)
    monkeypatch.setitem(parity.LIMIT, "bfloat16", 0.0)
    with pytest.raises(CellError, match="above 0e"):
        check_parity(cell, adapter, checkpoint)
