"""Every column of a measured row, from a hand-made run with round numbers: each expected value is counted by hand here.

The model: one attention layer of d_model 8 with 2 heads and 1 key-value head of 4, a gated feed-forward of 16, a
vocabulary of 10, nothing tied. Its matrices: attention 2 x 8 x (2 + 1) x 4 = 192, feed-forward 3 x 8 x 16 = 384, output
8 x 10 = 80, together 656; with the embedding (80) and three norms of 8: 760.
"""

import dataclasses
import math
from types import SimpleNamespace

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from models.bench.measure import cell_run, memory
from models.bench.measure.derived import Round, Sizes
from models.bench.measure.energy import Energy
from models.bench.measure.parity import Parity
from models.bench.measure.peaks import RooflinePeaks
from models.bench.measure.profile import Profile
from models.machine import facts
from models.records.cell import Cell, Prediction
from models.records.measurement import PROTOCOL_VERSION, Measurement, from_row

CELL = Cell(
    "transformer", "somewhere/tiny", 100, batch=2, decode_tokens=2, rounds=3, threads=4, seed=5, size="130m",
    attention="math", kernels="reference", experts="loop", view="as_shipped", batch_limit="cap",
)  # fmt: skip
ROUNDS = [  # medians of the steady ones: prompt 20, first token 40, all 80, a step 2
    Round(10.0, 30.0, 50.0, (1.0, 2.0), 0.5, 0.6, steady=True, waited=0.01, others=0.3),
    Round(77.0, 88.0, 99.0, (66.0, 55.0), 0.6, 0.9, steady=False, attempts=3, waited=0.4, others=3.0),
    Round(20.0, 40.0, 80.0, (2.0, 3.0), 0.7, 0.8, steady=True, attempts=3, waited=0.05, others=0.2),
    Round(90.0, 110.0, 200.0, (2.0, 10.0), 0.9, 1.1, steady=True),
]
MOVED = 656 * 4 + 2 * 101 * 1 * 4 * 2 * 4  # weights once; keys and values of 101 tokens, batch 2
FLOPS = 2 * (100 * (2 * (656 - 80) + 4 * 2 * 4 * 50) + 2 * 80)  # half the prompt seen on average, the head once

EXPECTED = {
    "run_id": "r1",
    "cell_id": "transformer-130m-100-b2-float32-cpu-as_shipped-math-reference-loop",
    "state": "ok",
    "architecture": "transformer",
    "source": "somewhere/tiny",
    "context": 100,
    "batch": 2,
    "device": "cpu",
    "dtype": "float32",
    "decode_tokens": 2,
    "seed": 5,
    "view": "as_shipped",
    "size": "130m",
    "attention": "math",
    "kernels": "reference",
    "experts": "loop",
    "protocol_version": PROTOCOL_VERSION,
    "reason": "",
    "reason_key": "",
    "reason_values": {},
    "params_total": 760,
    "params_active": 760,
    "config_hash": "the hash",
    "threads": 4,
    "rounds": 3,
    "rounds_unsteady": 1,
    "rounds_repeated": 4,
    "prefill_ms_samples": (10.0, 20.0, 90.0),
    "decode_ms_samples": (1.0, 2.0, 2.0, 3.0, 2.0, 10.0),
    "first_token_ms_samples": (30.0, 40.0, 110.0),
    "e2e_ms_samples": (50.0, 80.0, 200.0),
    "warmup_steps": 7,
    "ttft_ms_med": 40.0,
    "ttft_iqr_rel": (75 - 35) / 40,
    "tpot_ms_med": 2.0,
    "tpot_iqr_rel": (2.75 - 2) / 2,
    "decode_tokens_per_s": 2 / 0.002,
    "e2e_tokens_per_s": 2 * 3 / 0.080,  # the prompt gives the first of three tokens
    "bytes_weights": 760 * 4,
    "cache_bytes": 6401,
    "cache_bytes_formula": 2 * 100 * 1 * 4 * 2 * 4,
    "bytes_logits": 2 * 10 * 4,
    "bytes_workspace": 40,
    "baseline_bytes": 5000,
    "peak_bytes": 9000,
    "peak_prefill_bytes": 9000,
    "peak_decode_bytes": 8000,
    "peak_reserved_bytes": 11000,
    "peak_process_bytes": 12000,
    "pred_bytes": 100,
    "pred_ms": 60.0,
    "pred_prefill_ms": 50.0,
    "pred_s": 1.0,
    "spent_s": 4.5,
    "oom_requested_bytes": None,
    "parity_max_rel": 1e-6,
    "parity_batch_rel": 2e-6,
    "parity_chunk_rel": 3e-6,
    "parity_float32_rel": 4e-6,
    "ops_per_token": 55,
    "launch_fraction": 0.75,  # 1 of the 4 ms of a watched step
    "harness_ms": 0.02,
    "graph": "no GPU",
    "experts_distinct": 3.5,
    "bandwidth_bytes_per_s": MOVED / 0.002 / 0.5,
    "peak_flops_per_s": FLOPS / 0.020 / 0.25,
    "mbu": 0.5,
    "mfu": 0.25,
    "batch_limit": "cap",
    "energy_j_per_token": 0.3,
    "energy_idle_w": 70.0,
    "energy_window_s": 2.5,
    "foreign_processes": 6,
    "sentinel_before_ms": 0.5,
    "sentinel_after_ms": 1.1,
    "sentinel_best_ms": 0.5,  # of its own rounds
    "cpu_waited": 0.05,
    "cpu_others": 0.3,
    "load_avg": 0.125,
    "implementation": {"conv": "loop", "attention": "a kernel"},
    "environment": {"torch": "x", "temperature_c": 31, "threads": 4, "omp_wait_policy": "passive"},
    "started_ns": 1000,
    "ended_ns": 2000,
}


@pytest.fixture
def run(monkeypatch):
    """A run whose every measured value is set by hand; nothing is loaded or timed."""
    config = LlamaConfig(
        vocab_size=10, hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, tie_word_embeddings=False,
    )  # fmt: skip
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    made = cell_run.CellRun(
        CELL,
        run_id="r1",
        prediction=Prediction(10, 20, 30, 40, prefill_ms=50.0, decode_ms=60.0, seconds=1.0, fits=True),
        roofline_peaks=RooflinePeaks(MOVED / 0.002 / 0.5, FLOPS / 0.020 / 0.25),
    )
    made.checkpoint = SimpleNamespace(config=config, model=model)
    made.adapter = SimpleNamespace(parts=frozenset({"attention"}))
    made.meter = SimpleNamespace(baseline=5000)
    made.rounds = list(ROUNDS)
    made.sizes = Sizes(6401, 9000, 8000, 20.0, 11000, 12000)
    made.profile = Profile(55, 1.0, 4.0, 3.5, "a kernel")
    made.parity = Parity(1e-6, 3e-6, 2e-6, 4e-6)
    made.used = {"conv": "loop"}
    made.energy = Energy(0.3, 70.0, 2.5)
    made.best, made.spent_s = 0.4, 4.5
    made.graph_said, made.warmup_steps, made.harness_ms, made.foreign, made.started_ns = "no GPU", 7, 0.02, 6, 1000
    monkeypatch.setattr(cell_run, "config_hash", lambda _: "the hash")
    monkeypatch.setattr(facts, "load_average", lambda: 0.125)
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    monkeypatch.setattr(facts, "environment", lambda: {"torch": "x"})
    monkeypatch.setattr(memory, "device_facts", lambda _: {"temperature_c": 31})
    monkeypatch.setattr(cell_run.time, "time_ns", lambda: 2000)
    return made


def test_every_column_has_an_expected_value():
    assert set(EXPECTED) == {field.name for field in dataclasses.fields(Measurement)}


@pytest.mark.parametrize("column", EXPECTED)
def test_a_column_is_what_was_measured_or_follows_from_it(run, column):
    found, expected = getattr(run.row(), column), EXPECTED[column]
    assert found == (pytest.approx(expected, rel=1e-12) if isinstance(expected, float) else expected)


def test_all_parameters_and_those_of_one_token_are_told_apart(run, monkeypatch):
    monkeypatch.setattr(cell_run.accounting, "params_active", lambda shape: 321 * shape.n_kv_heads)
    assert (run.row().params_total, run.row().params_active) == (760, 321)


def test_what_was_not_measured_is_none(run):
    run.roofline_peaks = run.prediction = run.energy = None
    run.profile = dataclasses.replace(run.profile, attention_kernel="", watched_ms=None)
    row = run.row()
    empty = ("mbu", "mfu", "bandwidth_bytes_per_s", "peak_flops_per_s", "bytes_workspace", "pred_bytes", "pred_ms",
             "pred_prefill_ms", "pred_s", "energy_j_per_token", "energy_idle_w", "energy_window_s")  # fmt: skip
    assert {name: getattr(row, name) for name in empty} == dict.fromkeys(empty)
    assert row.launch_fraction == 0.5, "on a GPU operators fill the timed step of 2 ms"
    assert row.implementation["attention"].startswith("transformers"), "as shipped, what transformers names"


@pytest.mark.parametrize(
    ("unsteady", "state"), [(0, "ok"), (1, "ok"), (2, "unstable"), (3, "unstable"), (4, "unstable")]
)
def test_a_row_is_unstable_from_half_of_its_rounds_on(run, unsteady, state):
    run.rounds = [dataclasses.replace(made, steady=n >= unsteady) for n, made in enumerate(ROUNDS)]
    row = run.row()
    assert (row.state, row.rounds_unsteady, row.rounds) == (state, unsteady, len(ROUNDS) - unsteady)
    assert row.prefill_ms_samples == tuple(made.prefill for made in ROUNDS[unsteady:])


def test_a_row_without_a_steady_round_has_its_bytes_and_no_time(run):
    run.rounds = [dataclasses.replace(made, steady=False) for made in ROUNDS]
    row = run.row()
    assert (row.state, row.rounds, row.measured, row.timed) == ("unstable", 0, True, False)
    assert (row.cache_bytes, row.peak_bytes) == (6401, 9000)
    times = [name for name in EXPECTED if "_ms" in name or "per_s" in name or "iqr" in name or name in ("mbu", "mfu")]
    given = {"sentinel_before_ms", "sentinel_after_ms", "sentinel_best_ms", "harness_ms", "pred_ms", "pred_prefill_ms",
             "parity_max_rel"}  # fmt: skip
    assert {name: getattr(row, name) for name in times if name not in given and getattr(row, name)} == {}
    assert row.launch_fraction is None
    assert (row.cpu_waited, row.cpu_others) == (0.4, 3.0), "why is told by all rounds"
    assert from_row(row.to_row()) == row


def test_the_peak_is_the_larger_of_both_phases(run):
    run.sizes = dataclasses.replace(run.sizes, peak_decode=9500)
    assert run.row().peak_bytes == 9500


def test_a_row_comes_back_from_its_flat_form_with_every_column(run):
    row = run.row()
    assert from_row(row.to_row()) == row
    assert math.isfinite(row.mbu)
