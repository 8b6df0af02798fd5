"""Floors of a decoding step against the table computed by hand for an H200, and against the formula term by term."""

import pytest

from models.bench.judge.roofline import distinct_experts, floors, roofline_step_s, step_bytes
from models.counting.families import shape_of
from models.counting.shape import Shape
from models.records.measurement import Measurement

BANDWIDTH, FLOPS = 4.3e12, 788e12  # measured on one H200
LLAMA31 = {
    "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256,
}  # fmt: skip
SHAPES = {
    "gpt2": shape_of({"model_type": "gpt2"}),
    "llama-3.1-8b": shape_of(LLAMA31),
    "mixtral-8x7b": shape_of({"model_type": "mixtral"}),
    "mamba-130m": shape_of({"model_type": "mamba", "num_hidden_layers": 24}),
    "mamba-2.8b": shape_of({"model_type": "mamba", "hidden_size": 2560, "num_hidden_layers": 64}),
    "rwkv-7b": shape_of({"model_type": "rwkv"}),
    "jamba": shape_of({"model_type": "jamba"}),
}
FIXED = {"mamba-130m": (0.060, 0.065, 0.082), "mamba-2.8b": (1.29, 1.33, 1.48), "rwkv-7b": (3.34, 3.35, 3.37)}
GROWING = {  # context -> milliseconds at batch 1, 8, 32
    "gpt2": {1024: (0.066, 0.128, 0.339), 32768: (0.338, 2.31, 9.05), 262144: (2.31, 18.0, 72.0)},
    "llama-3.1-8b": {1024: (3.52, 3.74, 4.49), 32768: (4.49, 11.5, 35.5), 262144: (11.5, 67.4, 259)},
    "mixtral-8x7b": {1024: (5.96, 19.8, 22.7), 32768: (6.93, 27.6, 53.6), 262144: (13.9, 83, 277)},
    "jamba": {1024: (5.51, 16.7, 23.8), 32768: (5.64, 17.7, 27.7), 262144: (6.51, 24.7, 55.7)},
}
TABLE = [
    (model, context, batch, value)
    for model, contexts in {**GROWING, **{m: dict.fromkeys((1024, 262144), v) for m, v in FIXED.items()}}.items()
    for context, values in contexts.items()
    for batch, value in zip((1, 8, 32), values, strict=True)
]


@pytest.mark.parametrize(("model", "context", "batch", "ms"), TABLE)
def test_the_table_of_floors(model: str, context: int, batch: int, ms: float) -> None:
    found = roofline_step_s(
        SHAPES[model], context=context, batch=batch, dtype="bfloat16",
        bandwidth=BANDWIDTH, flops=FLOPS, scan_dtype="bfloat16",
    )  # fmt: skip
    assert found * 1e3 == pytest.approx(ms, rel=0.006)  # the table has two or three digits


@pytest.mark.parametrize(
    ("model", "batch", "experts"), [("mixtral-8x7b", 1, 2.0), ("mixtral-8x7b", 8, 7.2), ("mixtral-8x7b", 32, 8.0),
                                    ("jamba", 1, 2.0), ("jamba", 8, 10.5), ("jamba", 32, 15.8), ("gpt2", 8, 0.0)]
)  # fmt: skip
def test_a_batch_reaches_more_experts(model: str, batch: int, experts: float) -> None:
    assert distinct_experts(SHAPES[model], batch) == pytest.approx(experts, abs=0.05)


def test_transformers_keeps_the_scan_in_float32() -> None:
    shape = SHAPES["mamba-2.8b"]
    narrow, wide = (
        step_bytes(shape, context=1, batch=4, dtype="bfloat16", scan_dtype=kind) for kind in ("bfloat16", "float32")
    )
    assert wide - narrow == 2 * 4 * 64 * 5120 * 16 * 2  # read and written, four sequences, two bytes more each


def test_operations_bound_a_large_batch() -> None:
    shape = SHAPES["mamba-130m"]
    free = roofline_step_s(shape, context=1, batch=4096, dtype="bfloat16", bandwidth=1e18, flops=1e12)
    assert free == pytest.approx(4096 * 2.6e8 / 1e12, rel=0.1)
    assert roofline_step_s(shape, context=1, batch=4096, dtype="bfloat16", bandwidth=1e18, flops=None) < free / 1e3


def row(cell_id: str, state: str = "ok", **more: object) -> Measurement:
    """Build a row of the GPT-2 shape at 1024 tokens."""
    values: dict[str, object] = {"source": "gpt2", "context": 1024, "batch": 1, "dtype": "bfloat16", **more}
    return Measurement("r", cell_id, state, "transformer", device="cuda:0", decode_tokens=8, seed=0, **values)  # type: ignore[arg-type]


def test_floors_use_what_the_run_measured() -> None:
    shapes: dict[str, Shape] = {"gpt2": SHAPES["gpt2"]}
    rows = [
        row("a", bandwidth_bytes_per_s=BANDWIDTH, peak_flops_per_s=FLOPS),
        row("b", "oom", batch=32),
        row("c", source="unknown"),
        row("d", dtype="float32"),
    ]
    found = floors(rows, shapes)
    assert set(found) == {"a", "b"}
    assert found["a"] * 1e3 == pytest.approx(0.066, abs=5e-4)
    assert found["b"] * 1e3 == pytest.approx(0.339, abs=5e-4)
    assert floors(rows[1:], shapes) == {}
