"""Read what llama-bench of llama.cpp writes as JSON, JSONL or CSV: an object or a line per test.

A test reads n_prompt tokens, or generates n_gen tokens at a depth of n_depth, or does both; times are nanoseconds of a
repetition (tools/llama-bench/README.md). At depth 0 generation begins with one token of its own, a context of 1.
Reading at a depth is not reading a whole context, so that such tests are left out.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from models.bench.store.foreign.fields import Fields, middle
from models.bench.store.foreign.found import Found
from models.records.measurement import TOOLS

TOOL = TOOLS[0]
NEEDED = ("n_prompt", "n_gen")
TEXTS = ("build_commit", "cpu_info", "gpu_info", "model_filename", "model_type")  # may read like a number and be none
_MS = 1e-6  # in a nanosecond
_TIMES = ("test_time", "avg_ns", "stddev_ns", "avg_ts", "stddev_ts", "samples_ns", "samples_ts")
_TOLD = (
    "model_type", "model_size", "model_n_params", "cpu_info", "gpu_info", "n_prompt", "n_gen", "n_depth", "n_threads",
    "build_commit", "build_number", *_TIMES,
)  # fmt: skip
# The number type ends the type of a model: "qwen2 7B Q4_K - Medium".
_QUANTIZED = re.compile(r"(?<!\S)(?:BF16|F16|F32|I?Q\d\S*|TQ\d\S*|MXFP4\S*)(?: - \w+)?(?= \(guessed\)|$)")


def claims(documents: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether objects of a file are tests of llama-bench."""
    return all(name in documents[0] for name in NEEDED)


def read(name: str, documents: Sequence[Mapping[str, Any]]) -> Found:
    """Return a row for each test that is not left out; SourceError names a field that cannot be read."""
    every = [Fields(name, TOOL, number, document) for number, document in enumerate(documents, 1)]
    made = {_named(test): _row(test) for test in every}
    return Found(
        [row for row in made.values() if row is not None],
        left_out=tuple(test for test, row in made.items() if row is None),
    )


def _named(test: Fields) -> str:
    """Name a test as llama-bench does, after its number in the file: 3-pp512, 4-tg128-d4096."""
    prompt, generated = (test.count(field, needed=True) for field in NEEDED)
    depth = test.count("n_depth")
    parts = (f"{short}{count}" for short, count in (("pp", prompt), ("tg", generated), ("d", depth)) if count)
    return "-".join([str(test.row), *parts])


def _row(test: Fields) -> dict[str, Any] | None:
    prompt, generated = (test.count(field, needed=True) or 0 for field in NEEDED)
    depth = test.count("n_depth") or 0
    if not prompt + generated:
        test.refuse("n_prompt", 0)
    times = test.times("samples_ns", ms=_MS)
    taken = middle(times, _average(test, prompt + generated))
    if taken is None:
        test.missing("avg_ns")
    known = _setting(test) | {
        "cell_id": _named(test),
        "context": prompt or max(depth, 1),
        "decode_tokens": generated,
        "rounds": len(times) or None,
        "started_ns": test.moment("test_time"),
    }
    if prompt and depth:
        return None
    if prompt and generated:
        return known | {"e2e_ms_samples": times, "e2e_tokens_per_s": generated / taken * 1e3}
    if prompt:
        return known | {"prefill_ms_samples": times, "ttft_ms_med": taken}
    steps = tuple(time / generated for time in times)
    step = taken / generated
    return known | {"decode_ms_samples": steps, "tpot_ms_med": step, "decode_tokens_per_s": 1e3 / step}


def _average(test: Fields, tokens: int) -> float | None:
    """Return the mean time of a repetition in milliseconds; SourceError where the rate of the file belies its unit."""
    average, rate = test.number("avg_ns", most=1e18), test.number("avg_ts")
    if average and rate and not 0.5 < rate * average / tokens / 1e9 < 2:
        test.refuse("avg_ns", test.values["avg_ns"])
    return average * _MS if average else None


def _setting(test: Fields) -> dict[str, Any]:
    """Return what a test was made with; n_gpu_layers says whether a backend was used that the build has."""
    file = re.split(r"[/\\]", test.text("model_filename"))[-1]
    kind = test.text("model_type")
    if not (kind or file):
        test.missing("model_type")
    backends = test.text("backends")
    device = "cpu" if backends in ("CPU", "BLAS") or test.values.get("n_gpu_layers") in (0, "0") else backends
    quantized = _QUANTIZED.search(kind)
    build = [test.text(field) for field in ("build_commit", "build_number")]
    facts = test.facts(without=_TOLD) | {"model_filename": file, "tool_version": " ".join(filter(None, build))}
    facts |= {"host_cpu": test.text("cpu_info"), "device_name": "" if device == "cpu" else test.text("gpu_info")}
    return {
        "architecture": kind or file,
        "source": file,
        "batch": 1,
        "device": "cuda" if device == "CUDA" else device.lower(),
        "dtype": quantized[0] if quantized else "",
        "threads": test.count("n_threads"),
        "params_total": test.count("model_n_params") or None,
        "bytes_weights": test.count("model_size") or None,
        "environment": {key: value for key, value in facts.items() if value != ""},
    }
