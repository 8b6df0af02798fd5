"""Read the benchmark.json that optimum-benchmark writes: the configuration of one model, and a report by target.

Text generation has the targets prefill, decode and, of some backends, per_token; latencies are seconds of a repetition
of the whole batch, memory megabytes (optimum_benchmark/scenarios/inference, trackers). A benchmark_report.json lacks
model and lengths, without which no row can be drawn.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from models.bench.store.foreign.fields import Fields, middle
from models.bench.store.foreign.found import Found
from models.records.measurement import TOOLS

TOOL = TOOLS[3]
GENERATED = 100  # tokens, where the configuration says nothing else
_MS, _BYTES = 1e3, 1_000_000  # in a second, in a megabyte
_TARGETS = {"load", "load_model", "prefill", "decode", "generate", "forward", "per_token", "call", "train"}
_MACHINE = {"host_cpu": "cpu", "cores": "cpu_count", "os": "platform", "python": "python_version"}


def claims(documents: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether an object of a file is a benchmark or a report of optimum-benchmark."""
    first = documents[0]
    return {"config", "report"} <= first.keys() or any(
        isinstance(first[target], dict) and "latency" in first[target] for target in _TARGETS & first.keys()
    )


def read(name: str, documents: Sequence[Mapping[str, Any]]) -> Found:
    """Return a row for each benchmark; SourceError names a field that cannot be read."""
    return Found([_row(Fields(name, TOOL, number, document)) for number, document in enumerate(documents, 1)])


def _row(file: Fields) -> dict[str, Any]:
    if "config" not in file.values:
        file.missing("config")
    config, report = file.inside("config"), file.inside("report")
    backend, scenario = (
        config.inside("backend"),
        config.inside("scenario" if "scenario" in config.values else "benchmark"),
    )
    shapes = scenario.inside("input_shapes")
    batch, context = (shapes.count(field, needed=True) or 0 for field in ("batch_size", "sequence_length"))
    for field, count in (("batch_size", batch), ("sequence_length", context)):
        if not count:
            shapes.refuse(field, 0)
    if not report.inside("prefill").values:
        report.missing("prefill")
    generated = scenario.inside("generate_kwargs").count("max_new_tokens") or scenario.count("new_tokens") or GENERATED
    read = _latency(report, "prefill")
    steps = _steps(report, generated - 1)
    first = _median(report, "prefill")
    step = middle(steps, _per_step(_median(report, "decode"), generated - 1))
    rounds = len(read) if read and len(steps) % len(read) == 0 else None
    model = backend.text("model") or backend.text("name")
    return {
        "cell_id": f"{file.row}-{context}-b{batch}",
        "architecture": model,
        "source": model,
        "context": context,
        "batch": batch,
        "device": backend.text("device"),
        "dtype": backend.text("quantization_scheme") or backend.text("torch_dtype") or backend.text("dtype"),
        "decode_tokens": generated - 1,  # the first one comes with the prompt
        "seed": backend.count("seed"),
        "threads": backend.count("intra_op_num_threads"),
        "rounds": rounds,
        "prefill_ms_samples": read,
        "decode_ms_samples": steps,
        "ttft_ms_med": first,
        "tpot_ms_med": step,
        "decode_tokens_per_s": batch / step * 1e3 if step else None,
        "peak_reserved_bytes": _memory(report, "max_reserved"),
        "peak_process_bytes": _memory(report, "max_process_vram") or _memory(report, "max_ram"),
        "environment": _facts(config, backend),
    }


def _latency(report: Fields, target: str) -> tuple[float, ...]:
    return _of(report, target).times("values", ms=_MS)


def _of(report: Fields, target: str) -> Fields:
    """Return the latency of a target; SourceError for one that is not in seconds."""
    found = report.inside(target).inside("latency")
    if found.values and found.text("unit") != "s":
        found.refuse("unit", found.values.get("unit"))
    return found


def _median(report: Fields, target: str) -> float | None:
    found = _of(report, target)
    stated = found.number("p50") or found.number("mean")
    return middle(_latency(report, target), stated * _MS if stated else None)


def _steps(report: Fields, tokens: int) -> tuple[float, ...]:
    """Return milliseconds for each token: single ones where every repetition has all of its own, else their means."""
    single, decoded = _latency(report, "per_token"), _latency(report, "decode")
    if tokens < 1:
        return ()
    return single if decoded and len(single) == len(decoded) * tokens else tuple(time / tokens for time in decoded)


def _per_step(decoded: float | None, tokens: int) -> float | None:
    return decoded / tokens if decoded and tokens > 0 else None


def _memory(report: Fields, field: str) -> int | None:
    """Return the most that prefill and decoding held, in bytes."""
    found = []
    for target in ("prefill", "decode"):
        memory = report.inside(target).inside("memory")
        if memory.values and memory.text("unit") != "MB":
            memory.refuse("unit", memory.values.get("unit"))
        found.append(memory.number(field) or 0)
    return round(max(found) * _BYTES) or None


def _facts(config: Fields, backend: Fields) -> dict[str, Any]:
    environment = config.inside("environment")
    gpus = environment.values.get("gpu")
    named = {name: environment.text(field) for name, field in _MACHINE.items()}
    versions = {
        key.removesuffix("_version"): environment.text(key)
        for key in ("transformers_version", "accelerate_version", "optimum_version")
    }
    facts = named | versions | {
        "tool_version": environment.text("optimum_benchmark_version"),
        "device_name": str(gpus[0]) if isinstance(gpus, list) and gpus and backend.text("device") != "cpu" else "",
        "backend": backend.text("name"), "backend_version": backend.text("version"),
    }  # fmt: skip
    return {key: value for key, value in facts.items() if value}
