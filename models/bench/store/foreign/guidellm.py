"""Read the benchmarks.json that GuideLLM writes: one model behind a server, a benchmark for each pattern of load.

A benchmark sums up its successful requests (metrics.<name>.successful) and may list them; times are milliseconds at the
client, those of a whole request seconds. A missing value stands there as 0 (src/guidellm/benchmark/schemas). Requests
that overlap are no rounds. Of the settings nothing is taken over but names: they may hold keys and addresses.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from models.bench.store.foreign.fields import Fields, middle
from models.bench.store.foreign.found import Found
from models.records.measurement import TOOLS

TOOL = TOOLS[2]
NEWEST = 2  # metadata.version of a report
_S = 1e3  # milliseconds in a second
_TIMES = {"first_token_ms_samples": "time_to_first_token_ms", "decode_ms_samples": "inter_token_latency_ms"}


def claims(documents: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether an object of a file is a report of GuideLLM."""
    metadata, tests = (documents[0].get(field) for field in ("metadata", "benchmarks"))
    if isinstance(metadata, dict) and "guidellm_version" in metadata:
        return True
    return isinstance(tests, list) and any(isinstance(test, dict) and "metrics" in test for test in tests[:1])


def read(name: str, documents: Sequence[Mapping[str, Any]]) -> Found:
    """Return a row for each benchmark of each report; SourceError names a field that cannot be read."""
    rows: list[dict[str, Any]] = []
    for document in documents:
        report = Fields(name, TOOL, len(rows) + 1, document)
        version = report.inside("metadata").count("version") or 1
        if version > NEWEST:
            report.inside("metadata").refuse("version", version)
        if "benchmarks" not in document:
            report.missing("benchmarks")
        for test in report.listed("benchmarks"):
            if not isinstance(test, dict):
                report.refuse("benchmarks", test)
            rows.append(_row(report, Fields(name, TOOL, len(rows) + 1, test, "benchmarks.")))
    return Found(rows, ("strategy", "rate"))


def _row(report: Fields, test: Fields) -> dict[str, Any]:
    metrics = test.inside("metrics")
    load = test.inside("config").inside("strategy")
    load = load if load.values else test.inside("args").inside("strategy")
    kind = load.text("type_") or load.text("kind")
    concurrency = _concurrency(metrics, load, kind)
    requests = _successful(test)
    times = {column: _every(requests, field) for column, field in _TIMES.items()}
    whole = _every(requests, "request_latency", ms=_S)
    counts = {len(values) for values in (*times.values(), whole) if values}
    model = _model(report, test)
    totals = metrics.inside("request_totals")
    generated = _middle(metrics, "output_token_count")
    row = {
        "cell_id": f"{test.row}-{kind or 'load'}-c{concurrency}",
        "architecture": model,
        "source": model,
        "context": _prompt(metrics, requests),
        "batch": concurrency,
        "device": "",
        "dtype": "",
        "decode_tokens": max(round(generated or 0) - 1, 0),  # the first one comes with the prompt
        "rounds": counts.pop() if kind == "synchronous" and len(counts) == 1 else None,
        "e2e_ms_samples": whole,
        "ttft_ms_med": _middle(metrics, "time_to_first_token_ms"),
        "tpot_ms_med": _middle(metrics, "inter_token_latency_ms"),
        "decode_tokens_per_s": _middle(metrics, "output_tokens_per_second", of="mean"),
        "started_ns": _moment(test, "start_time"),
        "ended_ns": _moment(test, "end_time"),
        "environment": _facts(report) | {"strategy": kind, "rate": load.number("rate") or ""}
        | {f"requests_{state}": count for state in ("successful", "incomplete", "errored")
           if (count := totals.count(state)) is not None},
    } | times  # fmt: skip
    if any((*times.values(), whole, row["ttft_ms_med"], row["tpot_ms_med"])):
        return row
    return row | {"state": "failed", "reason_key": "benchmark.tool.nothing", "reason": "no value"}


def _concurrency(metrics: Fields, load: Fields, kind: str) -> int:
    """Return how many requests ran at a time: as it was asked for, else the mean that was measured."""
    if kind == "synchronous":
        return 1
    asked = load.count("streams") if kind == "concurrent" else None
    measured = _middle(metrics, "request_concurrency", of="mean")
    if asked or measured:
        return asked or max(round(measured or 1), 1)
    return metrics.missing("request_concurrency")


def _middle(metrics: Fields, field: str, *, of: str = "median") -> float | None:
    """Return the median of successful requests; None where there is none, which the file writes as 0."""
    return metrics.inside(field).inside("successful").number(of) or None


def _prompt(metrics: Fields, requests: Sequence[Fields]) -> int:
    """Return the median length of the prompts in tokens."""
    told = _middle(metrics, "prompt_token_count") or middle(_every(requests, "prompt_tokens"))
    return max(round(told), 1) if told else metrics.missing("prompt_token_count")


def _successful(test: Fields) -> list[Fields]:
    """Return the requests that the report lists, which may be none or a part of them."""
    requests = test.inside("requests")
    every = requests.listed("successful")
    for request in every:
        if not isinstance(request, dict):
            requests.refuse("successful", request)
    return [Fields(test.name, TOOL, test.row, request, f"{requests.path}successful.") for request in every]


def _every(requests: Sequence[Fields], field: str, *, ms: float = 1.0) -> tuple[float, ...]:
    found = (request.number(field, most=1e12) for request in requests)
    return tuple(value * ms for value in found if value)


def _model(report: Fields, test: Fields) -> str:
    """Return the name of the model where the versions of a report have it; "" where none was given."""
    args = report.inside("args")
    spec = report.inside("config").inside("spec")
    places = (
        (test.inside("config").inside("backend"), "model"), (test.inside("worker"), "backend_model"),
        (args, "model"), (args.inside("backend_kwargs"), "model"), (spec.inside("backend"), "model"),
        (args, "processor"),
    )  # fmt: skip
    return next((text for place, field in places if (text := place.text(field))), "")


def _facts(report: Fields) -> dict[str, Any]:
    metadata = report.inside("metadata")
    named = {"tool_version": "guidellm_version", "python": "python_version", "os": "platform"}
    return {name: text for name, field in named.items() if (text := metadata.text(field))}


def _moment(test: Fields, field: str) -> int | None:
    """Return a time of day in nanoseconds; the file has seconds, and -1 or 0 for none."""
    if test.values.get(field) == -1:
        return None
    seconds = test.number(field, most=4e9)
    return int(seconds * 1e9) if seconds else None
