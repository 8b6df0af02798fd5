"""The gate's limit of each number type, written out here: 0.9 of it passes and 1.1 of it is refused, for each check."""

import pytest
import torch
from scripted import Wrong, checkpoint

from models.bench.measure import parity
from models.errors import CellError
from models.records.cell import Cell

FLOAT32, SIXTEEN = 1e-4, 2e-2
LIMITS = {"float32": FLOAT32, "bfloat16": SIXTEEN, "float16": SIXTEEN}
CHECKS = {"cached": 1, "chunked": 1, "batch": 2}  # and the batch that it needs


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    """Compare in float64: the limit is asked for, not the rounding of float32 around 1."""

    def difference(a, b):
        return ((a - b).abs().max() / b.abs().max()).item()

    monkeypatch.setattr(parity, "difference", difference)


def gate(check, dtype, error, *, in_float32=None):
    """Run the gate over a model that is wrong by so much in one check; in_float32: by how much when asked again."""
    kind = getattr(torch, dtype)
    errors = {kind: error} | ({torch.float32: in_float32} if in_float32 is not None else {})
    cell = Cell("transformer", "x", 64, dtype=dtype, batch=CHECKS[check])
    return parity.check_parity(cell, Wrong(check, errors), checkpoint(kind))


def test_the_limits_are_those_of_the_protocol():
    assert dict(parity.LIMIT) == LIMITS


@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("check", CHECKS)
def test_nine_tenths_of_the_limit_pass(check, dtype):
    found = gate(check, dtype, 0.9 * LIMITS[dtype])
    assert getattr(found, check) == pytest.approx(0.9 * LIMITS[dtype], rel=0.03)
    assert found.float32 is None


@pytest.mark.parametrize("check", CHECKS)
def test_a_tenth_above_the_limit_is_refused(check):
    with pytest.raises(CellError) as refused:
        gate(check, "float32", 1.1 * FLOAT32)
    assert refused.value.key == f"errors.cell_parity_{check}"
    assert refused.value.values["limit"] == "1e-04"


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("check", CHECKS)
def test_a_tenth_above_in_16_bits_is_decided_in_float32(check, dtype):
    found = gate(check, dtype, 1.1 * SIXTEEN, in_float32=0.9 * FLOAT32)
    assert found.float32 == pytest.approx(0.9 * FLOAT32, rel=0.03)
    with pytest.raises(CellError) as refused:
        gate(check, dtype, 1.1 * SIXTEEN, in_float32=1.1 * FLOAT32)
    assert refused.value.key == f"errors.cell_parity_{check}"
    assert refused.value.values["limit"] == "1e-04"


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("check", CHECKS)
def test_without_memory_for_float32_a_tenth_above_is_refused(monkeypatch, check, dtype):
    monkeypatch.setattr(parity, "_in_float32", lambda *_: None)
    with pytest.raises(CellError) as refused:
        gate(check, dtype, 1.1 * SIXTEEN)
    assert refused.value.key == f"errors.cell_parity_{check}"
    assert refused.value.values["limit"] == "2e-02"


@pytest.mark.parametrize("check", CHECKS)
def test_what_is_no_number_is_refused(monkeypatch, check):
    monkeypatch.undo()
    with pytest.raises(CellError):
        gate(check, "float32", float("nan"))
