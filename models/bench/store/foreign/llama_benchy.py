"""Read the JSON that llama-benchy writes: one model behind a server, and tests by prompt, depth and concurrency.

A test reads prompt_size tokens after context_size tokens and has response_size tokens generated, by so many requests at
a time as its concurrency (schemas/benchmark_report_schema.json); times are milliseconds over the network, rates tokens
per second. est_ppt is the time to the first response less the latency that was measured beforehand.
With prefix caching the server has read the context before, so that the time of the prompt is not that of the whole.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from models.bench.store.foreign.fields import Fields, middle
from models.bench.store.foreign.found import Found
from models.records.measurement import TOOLS

TOOL = TOOLS[1]
_SIZES = ("concurrency", "context_size", "prompt_size", "response_size")
_FACTS = ("latency_mode", "latency_ms", "prefix_caching_enabled", "prompt_source", "dataset_revision")


def claims(documents: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether an object of a file is a report of llama-benchy."""
    tests = documents[0].get("benchmarks")
    first = tests[0] if isinstance(tests, list) and tests else None
    return "latency_mode" in documents[0] or (isinstance(first, dict) and "is_context_prefill_phase" in first)


def read(name: str, documents: Sequence[Mapping[str, Any]]) -> Found:
    """Return a row for each test of each report; SourceError names a field that cannot be read."""
    rows: list[dict[str, Any]] = []
    created = []
    for document in documents:
        report = Fields(name, TOOL, len(rows) + 1, document)
        if "benchmarks" not in document:
            report.missing("benchmarks")
        created.append(report.moment("timestamp"))
        for test in report.listed("benchmarks"):
            if not isinstance(test, dict):
                report.refuse("benchmarks", test)
            rows.append(_row(report, Fields(name, TOOL, len(rows) + 1, test, "benchmarks.")))
    known = [moment for moment in created if moment is not None]
    return Found(rows, ("response_size",), created_ns=min(known, default=None))


def _row(report: Fields, test: Fields) -> dict[str, Any]:
    concurrency, context, prompt, response = (test.count(field, needed=True) or 0 for field in _SIZES)
    alone = test.values.get("is_context_prefill_phase") is True
    length = context if alone else context + prompt
    for field, size in (("concurrency", concurrency), ("prompt_size", length)):
        if not size:
            test.refuse(field, 0)
    cached = report.values.get("prefix_caching_enabled") is True and context > 0 and not alone
    read, first = ((), ()) if cached else (_values(test, "est_ppt"), _values(test, "e2e_ttft"))
    steps = _steps(test, concurrency)
    counts = {len(times) for times in (read, first, steps) if times}
    name = f"{'ctx' if alone else 'pp'}{length if alone else prompt}-tg{response}-d{context}-c{concurrency}"
    row = {
        "cell_id": f"{test.row}-{name}",
        "architecture": report.text("model"),
        "source": report.text("model"),
        "context": length,
        "batch": concurrency,
        "device": "",
        "dtype": "",
        "decode_tokens": max(response - 1, 0),  # the first one comes with the prompt
        "rounds": counts.pop() if concurrency == 1 and len(counts) == 1 else None,
        "prefill_ms_samples": read,
        "first_token_ms_samples": first,
        "decode_ms_samples": steps,
        "ttft_ms_med": None if cached else middle(first, _mean(test, "e2e_ttft")),
        "tpot_ms_med": middle(steps, _step(test, concurrency)),
        "decode_tokens_per_s": middle(_values(test, "tg_throughput"), _mean(test, "tg_throughput")),
        "environment": report.facts(without=[key for key in report.values if key not in _FACTS])
        | {"tool_version": report.text("version"), "context_size": context, "prompt_size": prompt}
        | {"response_size": response},
    }
    measured = read or first or steps or row["ttft_ms_med"] or row["tpot_ms_med"] or row["decode_tokens_per_s"]
    return row if measured else row | {"state": "failed", "reason_key": "benchmark.tool.nothing", "reason": "no value"}


def _values(test: Fields, field: str) -> tuple[float, ...]:
    """Return the single values of a metric, those of zero left out."""
    return test.inside(field).times("values")


def _mean(test: Fields, field: str) -> float | None:
    return test.inside(field).number("mean")


def _steps(test: Fields, concurrency: int) -> tuple[float, ...]:
    """Return milliseconds for each token, one of every request."""
    rates = _values(test, "tg_req_throughput") or (_values(test, "tg_throughput") if concurrency == 1 else ())
    return tuple(1e3 / rate for rate in rates)


def _step(test: Fields, concurrency: int) -> float | None:
    rate = _mean(test, "tg_req_throughput") or (_mean(test, "tg_throughput") if concurrency == 1 else None)
    return 1e3 / rate if rate else None
