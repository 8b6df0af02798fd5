"""python -m models trace ends with 1 when a check fails, and passes healthy models in every number type."""

import json

import numpy as np
import pytest

from models import registry
from models.__main__ import main
from models.records.trace import NamedArray
from models.tracing import parts
from models.tracing.adapter import Adapter
from models.tracing.parts import attention, experts, state_space, time_mix


def run(capsys, *words):
    """Run a command in this process; returns code, output and complaint."""
    code = main(words)
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.slow
@pytest.mark.parametrize("name", registry.bundled())
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_healthy_model_passes_in_16_bit(capsys, name, dtype):
    text = "It was a bright cold day in April. 늑대는 배가 고팠다. f(x) = x**2 🐺"
    code, out, _ = run(capsys, "trace", name, "--text", text, "--dtype", dtype)
    assert code == 0 and "NOT" not in out, out


@pytest.mark.slow
@pytest.mark.parametrize(("name", "spoiled"), [("transformer", "head_output"), ("mamba", "mixer_output"),
                                               ("rwkv", "mixer_output"), ("jamba", "mixture_output")])  # fmt: skip
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "spoil", [lambda part: np.roll(part, 1, axis=-1), lambda part: part * np.nan], ids=["roll", "nan"]
)
def test_a_failed_check_is_said_and_ends_with_code_1(capsys, monkeypatch, name, spoiled, dtype, spoil):
    """The run is spoiled where it is recorded: what the layers captured is moved by a feature, or no number."""
    real = parts.named

    def named(part, values):
        found = real(part, values)
        return NamedArray(spoil(found.values), found.dims) if part == spoiled else found

    for module in (attention, experts, state_space, time_mix):
        monkeypatch.setattr(module, "named", named)
    code, out, _ = run(capsys, "trace", name, "--text", "Once upon a time", "--dtype", dtype)
    assert code == 1
    assert "does NOT rebuild the output" in out
    found_code, printed, _ = run(capsys, "trace", name, "--text", "Once upon a time", "--dtype", dtype, "--json")
    assert found_code == 1 and json.loads(printed)["passed"] is False


def test_a_cache_that_is_not_its_formula_ends_with_code_1(capsys, monkeypatch):
    monkeypatch.setattr(Adapter, "cache_bytes", lambda *_: 16)
    code, out, _ = run(capsys, "trace", "transformer", "--text", "Once")
    assert code == 1 and "they differ" in out
