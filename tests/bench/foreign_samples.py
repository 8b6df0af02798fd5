"""Small files of other programs, written by hand after their formats; changes are fields of one object."""

import csv
import io
import json
from typing import Any

LLAMA_BENCH: dict[str, Any] = {
    "build_commit": "8cf427ff", "build_number": 5163, "cpu_info": "AMD Ryzen 7", "gpu_info": "RTX 4080",
    "backends": "CUDA", "model_filename": "models/Qwen2.5-7B-Q4_K_M.gguf", "model_type": "qwen2 7B Q4_K - Medium",
    "model_size": 4677120000, "model_n_params": 7615616512, "n_batch": 2048, "n_ubatch": 512, "n_threads": 8,
    "cpu_mask": "0x0", "cpu_strict": False, "poll": 50, "type_k": "f16", "type_v": "f16", "n_gpu_layers": -1,
    "split_mode": "layer", "main_gpu": 0, "flash_attn": -1, "use_mmap": True, "n_prompt": 512, "n_gen": 0,
    "n_depth": 0, "test_time": "2025-04-24T11:58:50Z", "avg_ns": 70000000, "stddev_ns": 1453752,
    "avg_ts": 7314.3, "stddev_ts": 140.3, "samples_ns": [74000000, 70000000, 66000000],
    "samples_ts": [6918.9, 7314.3, 7757.6],
}  # fmt: skip


def reading(**changes: Any) -> dict[str, Any]:
    """Return a test of llama-bench that reads 512 tokens: three repetitions of 74, 70 and 66 ms."""
    return LLAMA_BENCH | changes


def generating(**changes: Any) -> dict[str, Any]:
    """Return a test of llama-bench that generates 100 tokens in 1.0 and 1.2 s: 10 and 12 ms a token."""
    times = {"n_prompt": 0, "n_gen": 100, "avg_ns": 1100000000, "avg_ts": 90.9, "samples_ns": [1000000000, 1200000000]}
    return LLAMA_BENCH | times | {"test_time": "2025-04-24T11:58:51Z"} | changes


def as_lines(tests: list[dict[str, Any]]) -> bytes:
    return "\n".join(map(json.dumps, tests)).encode() + b"\n"


def as_table(tests: list[dict[str, Any]]) -> bytes:
    """Write tests as llama-bench writes CSV: every value quoted, booleans as 0 and 1, no samples."""
    file = io.StringIO()
    columns = [name for name in tests[0] if not name.startswith("samples")]
    csv.writer(file, lineterminator="\n").writerow(columns)
    writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows(
        [int(test[name]) if isinstance(test[name], bool) else test[name] for name in columns] for test in tests
    )
    return file.getvalue().encode()


def metric(*values: float) -> dict[str, Any]:
    return {"mean": sum(values) / len(values), "std": 0.5, "values": list(values)}


def benchy_test(**changes: Any) -> dict[str, Any]:
    """Return a test of llama-benchy: 2048 tokens read in 1000 and 1100 ms, then 50 and 40 tokens per second."""
    return {
        "concurrency": 1, "context_size": 0, "prompt_size": 2048, "response_size": 33,
        "is_context_prefill_phase": False, "pp_throughput": metric(2048.0, 1861.8), "pp_req_throughput": None,
        "tg_throughput": metric(50.0, 40.0), "tg_req_throughput": None, "peak_throughput": None,
        "ttfr": metric(1010.0, 1110.0), "est_ppt": metric(1000.0, 1100.0), "e2e_ttft": metric(1020.0, 1120.0),
    } | changes  # fmt: skip


def benchy(*tests: dict[str, Any], **changes: Any) -> bytes:
    report = {
        "version": "0.4.0", "timestamp": "2026-08-28 10:00:00Z", "latency_mode": "api", "latency_ms": 12.5,
        "model": "unsloth/Qwen3-4B-GGUF", "prefix_caching_enabled": False, "max_concurrency": 2,
        "benchmarks": list(tests or (benchy_test(),)),
    }  # fmt: skip
    return json.dumps(report | changes, indent=2).encode()


def spread(middle: float, count: int = 3) -> dict[str, Any]:
    """Return what GuideLLM says of a quantity: of successful requests a middle, of errored ones zeros."""

    def one(value: float, count: int) -> dict[str, Any]:
        return {"mean": value, "median": value, "mode": value, "variance": 0.0, "std_dev": 0.0, "min": value,
                "max": value, "count": count, "total_sum": value * count, "percentiles": {"p50": value}}  # fmt: skip

    return {"successful": one(middle, count), "errored": one(0.0, 0), "incomplete": one(0.0, 0)}


def request(first: float, step: float, seconds: float) -> dict[str, Any]:
    return {
        "type_": "generative_request_stats", "request_args": "secret prompt", "output": "secret answer",
        "time_to_first_token_ms": first, "inter_token_latency_ms": step, "request_latency": seconds,
        "prompt_tokens": 512, "output_tokens": 129,
    }  # fmt: skip


def guidellm_test(kind: str = "synchronous", **changes: Any) -> dict[str, Any]:
    """Return a benchmark of GuideLLM: three requests of 512 tokens, first token after 50 ms, 10 ms for each further."""
    return {
        "type_": "generative_benchmark", "start_time": 1777451316.5, "end_time": 1777451697.0, "duration": 380.5,
        "config": {
            "strategy": {"type_": kind, "streams": 4} if kind == "concurrent" else {"type_": kind},
            "backend": {"target": "http://secret:8000", "model": "org/Model-7B", "api_key": "secret key"},
        },
        "metrics": {
            "request_totals": {"successful": 3, "errored": 1, "incomplete": 0, "total": 4},
            "request_concurrency": spread(1.0), "request_latency": spread(1.33),
            "prompt_token_count": spread(512.0), "output_token_count": spread(129.0),
            "time_to_first_token_ms": spread(50.0), "inter_token_latency_ms": spread(10.0),
            "output_tokens_per_second": spread(97.0),
        },
        "requests": {
            "successful": [request(48.0, 9.5, 1.3), request(50.0, 10.0, 1.33), request(52.0, 11.0, 1.5)],
            "errored": [], "incomplete": [],
        },
    } | changes  # fmt: skip


def guidellm(*tests: dict[str, Any], **changes: Any) -> bytes:
    report = {
        "metadata": {"version": 1, "guidellm_version": "0.6.0", "python_version": "3.12.3", "platform": "Linux-6.17"},
        "args": {"profile": "concurrent", "backend_kwargs": {"api_key": "secret key"}, "data": ["prompt_tokens=512"]},
        "benchmarks": list(tests or (guidellm_test(),)),
    }
    return json.dumps(report | changes).encode()


def latency(*seconds: float) -> dict[str, Any]:
    middle = sorted(seconds)[len(seconds) // 2]
    return {"unit": "s", "values": list(seconds), "count": len(seconds), "total": sum(seconds),
            "mean": sum(seconds) / len(seconds), "p50": middle, "p90": middle, "stdev": 0.0}  # fmt: skip


def target(times: dict[str, Any] | None, memory: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"memory": memory, "latency": times, "throughput": None, "energy": None, "efficiency": None}


def optimum_report(**changes: Any) -> dict[str, Any]:
    """Return a report of optimum-benchmark: 40 and 60 ms of prefill, 1 and 2 s for 4 further tokens."""
    memory = {"unit": "MB", "max_ram": 900.5, "max_global_vram": 2000.0, "max_process_vram": 1500.0,
              "max_reserved": 1400.0, "max_allocated": 1300.0}  # fmt: skip
    return {
        "load_model": target(latency(15.6)), "first_generate": target(latency(3.0)),
        "generate": target(latency(1.04, 2.06)), "prefill": target(latency(0.04, 0.06), memory),
        "decode": target(latency(1.0, 2.0), memory), "per_token": target(latency(0.25, 0.5)),
    } | changes  # fmt: skip


def optimum(report: dict[str, Any] | None = None, **backend: Any) -> bytes:
    config = {
        "name": "cuda_pytorch",
        "backend": {"name": "pytorch", "version": "2.4.1", "task": "text-generation", "model": "openai-community/gpt2",
                    "device": "cuda", "device_ids": "0", "seed": 42, "intra_op_num_threads": None,
                    "torch_dtype": "float16", "quantization_scheme": None} | backend,
        "scenario": {"name": "inference", "iterations": 2, "input_shapes": {"batch_size": 2, "sequence_length": 256},
                     "generate_kwargs": {"max_new_tokens": 5, "min_new_tokens": 5}},
        "environment": {"cpu": " Intel Xeon", "cpu_count": 8, "platform": "Linux-5.15", "python_version": "3.10.14",
                        "gpu": ["Tesla T4"], "optimum_benchmark_version": "0.5.0", "transformers_version": "4.45.2"},
    }  # fmt: skip
    return json.dumps({"config": config, "report": optimum_report() if report is None else report}).encode()
