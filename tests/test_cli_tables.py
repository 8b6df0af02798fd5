"""Every table that a command prints: each cell under its own heading, from records whose numbers are all different."""

import dataclasses
import math
import re
from collections.abc import Callable

import pytest

from models.bench.plan.plan import Plan
from models.bench.report import svg
from models.cli import bench_report, description, evaluation, kernels, listing, output, recall, tracing
from models.describe import Description, Layer
from models.opbench.compare import Row
from models.records.cell import Cell, Prediction
from models.records.measurement import Measurement
from models.sources import downloadable, hub

KIB = 1024
Table = list[dict[str, object]]


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Callable[[object], list[Table]]:
    """Give a function that returns the tables a module prints, each row by heading."""
    tables: list[Table] = []

    def kept(rows) -> None:
        header, *body = rows
        assert all(len(row) == len(header) for row in body)
        names = [f"{name} {header[:at].count(name) + 1}" if header.count(name) > 1 else name for at, name in
                 enumerate(header)]  # fmt: skip
        tables.append([dict(zip(names, row, strict=True)) for row in body])

    def of(module: object) -> list[Table]:
        monkeypatch.setattr(module, "print_table", kept)
        return tables

    return of


def test_a_table_is_aligned_numbers_to_the_right(capsys) -> None:
    output.print_table([("name", "count", "share"), ("a", 12345, 0.5), ("longer", 7, None), ("b", True, 1.23456)])
    assert capsys.readouterr().out.splitlines() == [
        "name    count   share",
        "a       12,345  0.500",
        "longer       7",
        "b         true  1.235",
    ]


def measurement(architecture: str, context: int, **values) -> Measurement:
    asked = {"run_id": "r", "cell_id": f"{architecture}-{context}", "state": "ok", "architecture": architecture,
             "source": architecture, "context": context, "batch": 1, "device": "cpu", "dtype": "float32",
             "decode_tokens": 2, "seed": 0, "rounds": 3}  # fmt: skip
    return Measurement(**(asked | values))


def test_rows_of_a_run(printed) -> None:
    tables = printed(bench_report)
    row = measurement(
        "mamba", 96, batch=4, cache_bytes=2 * KIB, cache_bytes_formula=3 * KIB, peak_bytes=5 * KIB, ttft_ms_med=7.5,
        tpot_ms_med=1.25, ttft_iqr_rel=0.5, tpot_iqr_rel=0.04, batch_limit="time",
    )  # fmt: skip
    others = [measurement("mamba", 64, batch=4), measurement("mamba", 512), measurement("jamba", 999, batch=9)]
    bench_report.print_rows([row, *others], as_json=False)
    (table,) = tables
    assert [(one["architecture"], one["batch"], one["context"]) for one in table] == [
        ("jamba", 9, 999), ("mamba", 1, 512), ("mamba", 4, 64), ("mamba", 4, 96),
    ]  # fmt: skip
    assert table[-1] == {
        "architecture": "mamba", "batch": 4, "context": 96, "state": "ok (time)", "cache": "2 KiB", "formula": "3 KiB",
        "peak": "5 KiB", "prefill ms": 7.5, "decode ms": 1.25, "IQR %": 4.0,
    }  # fmt: skip
    empty = {name: table[0][name] for name in ("cache", "formula", "peak", "prefill ms", "decode ms", "IQR %")}
    assert set(empty.values()) == {"", None}


def test_a_plan(printed, capsys) -> None:
    tables = printed(bench_report)
    cell = Cell("rwkv", "folder", 128, batch=2, rounds=9)
    asked = {field.name: 0 for field in dataclasses.fields(Prediction)} | {
        "bytes_weights": KIB, "bytes_cache": 2 * KIB, "prefill_ms": 11.0, "decode_ms": 3.0, "seconds": 90.0,
        "fits": True, "known": True,
    }  # fmt: skip
    prediction = Prediction(**asked)
    bench_report.print_plan(Plan((cell,), (prediction,)), as_json=False)
    assert tables == [[{
        "cell": "rwkv-bundled-128-b2-float32-cpu", "source": "folder", "rounds": 9,
        "bytes": f"{prediction.bytes_total // KIB} KiB", "cache": "2 KiB", "prefill ms": 11.0, "decode ms": 3.0,
        "seconds": 90.0, "fits": True,
    }]]  # fmt: skip
    assert prediction.bytes_total >= 3 * KIB
    assert "1 cells, about 1.5 min" in capsys.readouterr().out


def test_bits_of_a_model(printed, capsys) -> None:
    tables = printed(evaluation)
    judged = {
        lang: {"bits_per_byte": at + 0.1, "unigram_bits_per_byte": at + 0.2, "bytes_per_token": at + 0.3,
               "characters_per_token": at + 0.4}
        for at, lang in enumerate(("en", "ko"))
    }  # fmt: skip
    findings = [{"holds": True, "text": "first"}, {"holds": False, "text": "second"}]
    found = {"model": "jamba", "languages": judged, "card": {"ko": 9.0}, "expert_shares": [[0.25, 0.75], [0.4, 0.6]],
             "structure": {"findings": findings}}  # fmt: skip
    evaluation._print([found])
    assert tables == [[
        {"model": "jamba", "language": lang, "bits/byte": at + 0.1, "in its card": {"ko": 9.0}.get(lang),
         "token frequencies": at + 0.2, "bytes/token": at + 0.3, "characters/token": at + 0.4}
        for at, lang in enumerate(("en", "ko"))
    ]]  # fmt: skip
    assert capsys.readouterr().out.splitlines() == [
        "jamba: every expert takes 0.50 to 1.50 times its fair share", "jamba: yes  first", "jamba: no   second",
    ]  # fmt: skip


def test_kernels_beside_their_baseline(printed, capsys) -> None:
    tables = printed(kernels)
    row = Row("scan", "forward", "4x8", "float32", "cpu", "eager", "fused", 1e-6, 1e-4, 2.5, 7, 8.0, 4.0, 2.0, 1.9, 2.1,
              1.5, 6 * KIB, 3 * KIB, 2.05, 1.6)  # fmt: skip
    wrong = dataclasses.replace(row, difference=1e-2, ratio=None, baseline_peak_bytes=None)
    machine = {"device_name": "a CPU", "threads": 3, "load_average": 0.5, "python": "1", "torch": "2",
               "transformers": "3", "numba": "4", "quick": True}  # fmt: skip
    kernels._print(machine, [row, wrong], {"wkv": "no compiler"})
    told = {"name": "scan", "operation": "forward", "shape": "4x8", "dtype": "float32", "baseline ms": 8.0,
            "ours ms": 4.0, "times faster": 2.0, "quartiles": "1.90 to 2.10", "goal 1": 1.5, "baseline peak": "6 KiB",
            "our peak": "3 KiB", "times less": 2.05, "goal 2": 1.6, "rounds": 7, "first call s": 2.5}  # fmt: skip
    assert tables == [[told, told | {"times faster": "values differ", "quartiles": "", "baseline peak": ""}]]
    assert capsys.readouterr().out.splitlines() == [
        "a CPU, 3 threads, load 0.5; python 1, torch 2, transformers 3, numba 4",
        "scan: eager against fused",
        "scan: eager against fused; no ratio: values differ by 1.0e-02, 1e-04 is allowed",
        "wkv: left out, no compiler",
        "quick: the shapes are too small to say anything about speed",
    ]


def test_recall_by_run_and_by_cell(printed) -> None:
    tables = printed(recall)
    runs = [{"seed": 5, "cells": [{"accuracy": 0.25}, {"accuracy": 0.75}], "training_s": 33.0}]
    entry = {"parameters": 100, "parameters_active": 40, "lr": 0.003, "runs": runs}
    recall._print_task("mqar", {"chance": 0.1, "architectures": {"jamba": entry}})
    cell = {"task": "mqar", "architecture": "rwkv", "at": {"pairs": 4, "distance": 11}, "accuracy": 0.5, "low": 0.4,
            "high": 0.7, "count": 102, "recorded": 0.6, "bytes_carried": 2 * KIB}  # fmt: skip
    recall._print_cells([cell])
    assert tables == [
        [{"architecture": "jamba", "parameters": 100, "active": 40, "lr": 0.003, "seed": 5, "accuracy": 0.5,
          "train s": 33.0}],
        [{"task": "mqar", "architecture": "rwkv", "cell": "pairs 4, distance 11", "accuracy": 0.5,
          "95 %": "0.400 to 0.700", "asked": 102, "recorded": 0.6, "carried": "2 KiB"}],
    ]  # fmt: skip


def test_what_a_trace_prints(capsys) -> None:
    tokens = [{"index": at, "id": 7, "label": label, "surprisal_bits": bits}
              for at, (label, bits) in enumerate((("a", math.nan), ("b", 3.25)))]  # fmt: skip
    layer = {"index": 1, "mixer": "attention", "ffn": "moe",
             "parts": {"attention": {"head": 2, "query": 3}, "x": {"d": 4}},
             "reconstruction_errors": {"attention": 2e-7},
             "checks": {"attention": {"kind": "rebuilds", "passed": True}}}  # fmt: skip
    red = layer | {"index": 2, "reconstruction_errors": {"x": 0.5}, "parts": {"x": {"d": 4}},
                   "checks": {"x": {"kind": "recomputed", "passed": False}}}  # fmt: skip
    found = {"checkpoint": "c", "architecture": "jamba", "tokens": tokens, "seconds": 1.5, "device": "cpu",
             "limit": 1e-4, "layers": [layer, red], "cache_bytes": KIB, "cache_bytes_formula": 2 * KIB,
             "implementation": {"scan": "numba"}, "passed": False, "dtype": "float32"}  # fmt: skip
    tracing._print(found)
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "c (jamba), 2 tokens, 1.500 s on cpu",
        "token     surprisal (bits)",
        "    0  a",
        "    1  b             3.250",
        "layer 1: attention, moe",
        "  attention (head 2, query 3)  rebuilds the output to 2.0e-07",
        "  x (d 4)",
        "layer 2: attention, moe",
        "  x (d 4)  does NOT equal a float64 computation: error 5.0e-01, limit 1.0e-04",
        "cache: 1 KiB in the live object, 2 KiB by the formula: they differ",
        "scan: numba",
        "some parts do NOT stand up to their check: the limit for float32 is 1.0e-04",
    ]


def test_a_description(capsys) -> None:
    found = Description(
        "s", "folder", "mamba", 4096, 2, "float16", 3000, 2000, {"embedding": 50, "mixers": 60}, 7 * KIB, 2 * KIB,
        3 * KIB, 5 * KIB, 999, (Layer(0, "mamba", "none"), Layer(1, "attention", "moe")), ("a note",), "float32",
        9 * KIB,
    )  # fmt: skip
    description._print(found)
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        line.split()
        for line in (
            "s (folder, mamba)", "4,096 tokens, batch 2, float16", "params_total 3,000 3K", "params_active 2,000 2K",
            "embedding 50", "mixers 60", "stored_bytes 9,216 9 KiB", "weight_bytes 7,168 7 KiB", "kv_bytes 2,048 2 KiB",
            "state_bytes 3,072 3 KiB", "cache_bytes 5,120 5 KiB", "flops_per_token 999", "layers", "index mixer ffn",
            "0 mamba none", "1 attention moe", "note: a note",
        )
    ]  # fmt: skip


def test_models_that_are_offered(printed, monkeypatch) -> None:
    tables = printed(listing)
    offer = dataclasses.replace(
        downloadable.offers()[0], id="o/n", architecture="rwkv", params_total=30, params_active=20,
        download_bytes=4_000_000, need_bytes=6 * KIB, licence=None, tokenizer="pieces", vocabulary=5000,
    )  # fmt: skip
    monkeypatch.setattr(listing.downloadable, "offers", lambda: (offer, dataclasses.replace(offer, licence="MIT")))
    monkeypatch.setattr(hub, "folder_of", lambda _: None)
    assert listing._print_offered(as_json=False) == 0
    told = {"id": "o/n", "architecture": "rwkv", "parameters": 30, "active": 20, "download": "4 MB", "memory": "6 KiB",
            "licence": "not confirmed", "tokenizer": "pieces, 5,000", "downloaded": "no"}  # fmt: skip
    assert tables == [[told, told | {"licence": "MIT"}]]


@pytest.mark.parametrize(
    ("value", "text"),
    [(999, "999"), (1000, "1k"), (8192, "8.19k"), (1e6, "1M"), (2.5e6, "2.5M"), (1e9, "1G"), (0.05, "0.05"), (1, "1")],
)
def test_numbers_on_the_axes_of_a_report(value: float, text: str) -> None:
    assert svg._short(value) == text
    assert svg._length(value) == (f"{value:,.0f}" if value < 1e5 else text)


def test_a_report_draws_points_bars_and_ticks_where_they_belong() -> None:
    """Read back from the picture: the middle of a logarithmic axis is the geometric mean of its ends."""
    drawn = svg.chart([("mamba", [(100, 1.0, 0.5, 2.0), (10_000, 100.0, 80.0, 125.0)])], x="tokens", y="ms")
    lines = [y for (y,) in _floats(drawn, "line", "y1")]
    (x1, y1), (x2, y2) = _floats(drawn, "circle", "cx", "cy")
    assert x1 < x2 and y1 > y2, "longer to the right, slower to the top"
    xs = svg._scale([100, 10_000], svg._LEFT, svg.WIDTH - svg._RIGHT)
    assert (x1 + x2) / 2 == pytest.approx(svg._place(1000, xs), abs=0.2)
    ticks = [1.0, 10.0, 100.0]
    ys = svg._scale([0.5, 125.0], svg.HEIGHT - svg._BOTTOM, svg._TOP)
    assert lines == pytest.approx([svg._place(tick, ys) for tick in ticks], abs=0.06)
    assert [y1, y2] == pytest.approx([lines[0], lines[2]], abs=0.2)
    assert re.findall(r'text-anchor="end">([^<]+)<', drawn) == ["1", "10", "100"]


def _floats(drawn: str, tag: str, *names: str) -> list[tuple[float, ...]]:
    """Return the numbers of every element of a kind."""
    found = re.findall(rf"<{tag}\b[^>]*>", drawn)
    return [tuple(float(re.search(rf'\b{name}="([-\d.]+)"', one)[1]) for name in names) for one in found]
