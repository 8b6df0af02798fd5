"""python -m models bench-kernels: equal values before any ratio, honest peaks, one line for bad use."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from models.__main__ import main
from models.opbench import compare
from models.opbench.pairs import CASES
from models.operators import binding

ROOT = Path(__file__).resolve().parents[2]
ON_CPU = [name for name, case in CASES.items() if case.runs_on("cpu")]


def run(capsys, *words):
    """Run the command in this process; returns code, output and complaint."""
    try:
        code = main(("bench-kernels", *words))
    except SystemExit as stop:
        code = stop.code
    said = capsys.readouterr()
    return code, said.out, said.err


def rows(capsys, *words):
    code, out, err = run(capsys, "--quick", "--rounds", "3", "--json", "-", *words)
    return code, json.loads(out, parse_constant=pytest.fail), err


@pytest.mark.slow
def test_every_row_has_equal_values_a_ratio_and_a_layer_its_peaks(capsys, tmp_path):
    """As without --only: one run of all rows, which is as long as two fresh processes for each peak."""
    code, out, err = run(capsys, "--quick", "--rounds", "3", "--json", str(tmp_path / "rows.json"))
    assert code == 0, err
    assert "Mamba layer, forward and backward" in out
    found = json.loads((tmp_path / "rows.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert not found["left_out"]
    assert [row["name"] for row in found["rows"]] == ON_CPU
    for row in found["rows"]:
        assert row["difference"] <= row["tolerance"], row["name"]
        assert 0 < row["ratio_low"] <= row["ratio"] <= row["ratio_high"], row["name"]
        assert row["baseline_ms"] > 0 and row["ours_ms"] > 0
        assert row["rounds"] == 3
        assert row["baseline"] != row["ours"]
    peaks = {row["name"]: (row["baseline_peak_bytes"], row["ours_peak_bytes"]) for row in found["rows"]}
    layers = {name: peaks.pop(name) for name in ON_CPU if CASES[name].memory}
    assert layers and set(peaks.values()) == {(None, None)}
    assert all(theirs > ours > 0 for theirs, ours in layers.values())
    assert all(row["peak_ratio"] > 1 for row in found["rows"] if row["name"] in layers)
    machine = found["environment"]
    assert machine["torch"] == torch.__version__
    assert machine["threads"] == torch.get_num_threads()
    assert machine["host_cpu"] and machine["quick"] is True


@pytest.mark.slow
def test_rows_name_the_code_that_ran(capsys):
    _, found, _ = rows(capsys, "--only", "scan", "wkv")
    for row in found["rows"]:
        assert "transformers" in row["baseline"]
        assert "seqops" in row["ours"]


@pytest.mark.slow
def test_the_peak_is_what_a_call_holds():
    """In MiB, in a process whose calls free as much as they take: what was freed before serves no call unseen."""
    code = """
import torch
from models.opbench import compare
from models.opbench.pairs import CASES, Case, Pair, Side

def ones(mib):
    return Side(lambda: [torch.ones(size << 18) for size in (mib, mib // 2)][:1])

CASES["ones"] = Case(lambda device, quick: Pair("ones", "", "float32", *map(ones, sizes)))
for sizes in ((4, 4), (24, 2), (192, 64), (6, 30)):
    print(*(compare.peak_bytes("ones", side, "cpu", False, 1) >> 10 for side in ("baseline", "ours")))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    found = [[int(word) / 1024 / 1.5 for word in line.split()] for line in done.stdout.splitlines()]
    wanted = ((4, 4), (24, 2), (192, 64), (6, 30))
    assert np.allclose(found, wanted, rtol=0.01, atol=0.3)  # Linux counts pages in lots


def wrong_values(y, state):
    return y * (1 + 1e-3), state


def wrong_state(y, state):
    return y, state + 1


def no_numbers(y, state):
    return torch.full_like(y, math.nan), state


@pytest.mark.slow
@pytest.mark.parametrize("spoil", (wrong_values, wrong_state, no_numbers))
def test_unequal_results_get_no_ratio(capsys, monkeypatch, spoil):
    right = binding.selective_scan_fast
    monkeypatch.setattr(binding, "selective_scan_fast", lambda *args, **options: spoil(*right(*args, **options)))
    code, found, _ = rows(capsys, "--only", "scan", "wkv")
    assert code == 1
    scan, wkv = found["rows"]
    assert scan["ratio"] is scan["ours_ms"] is scan["baseline_ms"] is None
    assert wkv["ratio"] > 0
    code, out, _ = run(capsys, "--quick", "--rounds", "1", "--only", "scan")
    assert code == 1
    assert "values differ" in out
    assert "no ratio" in out


def test_a_wrong_gradient_alone_is_refused(monkeypatch):
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, y):
            return y.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient * 1.01

    right = binding.selective_scan_fast

    def spoiled(*args, **options):
        y, state = right(*args, **options)
        return Wrong.apply(y), state

    monkeypatch.setattr(binding, "selective_scan_fast", spoiled)
    row = compare.compare("layer", rounds=1, quick=True)
    assert not row.equal
    assert row.ratio is row.peak_ratio is None


def test_differences_are_relative_and_see_shapes_and_nan():
    one = torch.tensor([1000.0, 0.0])
    assert compare.difference((one,), (one,)) == 0
    assert compare.difference((one + 1,), (one,)) == pytest.approx(1e-3)
    assert compare.difference((one[:1],), (one,)) == math.inf
    assert math.isnan(compare.difference((one * math.nan,), (one,)))
    assert compare.difference((torch.ones(1),), (torch.zeros(1),)) == math.inf


BAD = {
    "an unknown row": ("--only", "flight"),
    "rows without a name": ("--only",),
    "no rounds": ("--rounds", "0"),
    "rounds that are no number": ("--rounds", "many"),
    "a device that is not there": ("--device", "cuda:7"),
    "a device that is none": ("--device", "abacus"),
    "a row that needs a GPU": ("--only", "scan-2048"),
    "a folder that is not there": ("--json", "/no/such/folder/rows.json"),
    "a folder instead of a file": ("--json", "/tmp"),
    "an unknown option": ("--colour",),
}


@pytest.mark.parametrize("words", BAD.values(), ids=BAD.keys())
def test_bad_use_is_one_line_and_code_2(capsys, words):
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1, err
    assert err.startswith("python -m models")
