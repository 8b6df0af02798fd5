"""What rows teach, on machines whose true rates are known; and how predictions are set against measurements."""

import dataclasses
import itertools
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prediction_rows import BARE, CONTEXTS, LAGGING, SHAPES, SLOWER, SOURCES, UNKNOWN, row_of, runs_of

from models.bench.plan import learning, prediction_error
from models.bench.plan.plan import make_plan
from models.bench.plan.prediction import Cell, predict
from models.bench.plan.prediction_error import held_out, of_store, pairs, summarise
from models.bench.plan.rates import by_device
from models.machine import facts


def middle(found, quantity, which="learnt"):
    return summarise(getattr(found[quantity], which)).middle


# --- what learning is worth


@pytest.mark.parametrize("quantity", ["prefill", "decode"])
def test_on_a_machine_of_half_the_speed_the_error_falls_from_one_half_to_nothing(quantity):
    found = held_out(runs_of(SLOWER, 2), BARE)
    assert middle(found, quantity, "bare") == pytest.approx(0.5, rel=1e-9)
    assert middle(found, quantity) == pytest.approx(0, abs=1e-9)
    assert len(found[quantity].learnt) == 6


def test_the_error_of_bytes_falls_from_a_known_value_to_nothing():
    """The peak above the weights is 1.5 times the accounted one: the whole is off by a third of that part."""
    rows = runs_of(BARE, 3, peak=1.5)
    found = held_out(rows, BARE)
    above = {row.context: row.peak_bytes / (row.peak_bytes + row.bytes_weights) for row in rows}
    for pair in found["bytes"].bare:
        assert pair.error == pytest.approx(above[pair.row.context] / 3, rel=1e-5)
    assert summarise(found["bytes"].learnt).worst.error < 1e-6


@pytest.mark.parametrize("name", SOURCES)
def test_other_lengths_are_learnt_from_those_between_which_they_lie(name):
    """No run has a length of another: ten times the overhead is learnt from what it makes of the neighbours."""
    rows = [row_of(LAGGING, c, run=f"r{n}", name=name) for n, c in enumerate((128, 256, 512, 1024, 2048, 4096))]
    inner = ("r1", "r2", "r3", "r4")
    found = held_out(rows, BARE)
    for quantity in ("decode", "prefill"):
        pair_of = {which: getattr(found[quantity], which) for which in ("bare", "learnt")}
        errors = {which: [pair.error for pair in every if pair.row.run_id in inner] for which, every in pair_of.items()}
        assert all(learnt < bare for bare, learnt in zip(errors["bare"], errors["learnt"], strict=True))
        assert 3 * statistics.median(errors["learnt"]) < statistics.median(errors["bare"])


def test_a_row_is_predicted_by_other_runs_alone():
    """One run is fast and one is slow: the fast one is predicted slow, and nothing of itself makes that better."""
    rows = [*runs_of(SLOWER, 1), *(row_of(BARE, c, run="fast") for c in CONTEXTS)]
    found = held_out(rows, BARE)["decode"]
    assert [round(pair.ratio, 9) for pair in found.learnt if pair.row.run_id == "fast"] == [2.0] * 3
    assert [round(pair.ratio, 9) for pair in found.bare if pair.row.run_id == "fast"] == [1.0] * 3


def test_a_single_run_cannot_be_judged_by_others():
    assert held_out(runs_of(SLOWER, 1), BARE) == {}


def spoilt(**changes):
    return row_of(SLOWER, 1024, run="odd", **changes)


@pytest.mark.parametrize(
    "odd",
    [
        spoilt(pace=20.0),
        spoilt(pace=1 / 20),
        spoilt(pace=20.0, state="unstable"),
        spoilt(pace=20.0, load_avg=99.0),
        spoilt(pace=20.0, params_total=7, peak=9.0),
        spoilt(pace=20.0, peak=9.0, protocol_version=5),
    ],
    ids=["outlier", "fast outlier", "unsteady", "busy", "another model", "another protocol"],
)
def test_an_odd_row_does_not_make_the_others_worse(odd):
    """Neither among several runs, where it is one of four at its place, nor alone at a place between others."""
    rows = runs_of(SLOWER, 4)
    for quantity, judged in held_out([*rows, odd], BARE).items():
        errors = [pair.error for pair in judged.learnt if pair.row.run_id != "odd"]
        assert max(errors) < 1e-6, quantity
    alone = runs_of(SLOWER, 1, contexts=(256, 512, 2048, 4096))
    taught = learning.learn([*alone, odd], BARE)
    guess = predict(Cell("transformer", "gpt2", 1024), SHAPES["transformer"], rates=taught)
    true = predict(Cell("transformer", "gpt2", 1024), SHAPES["transformer"], rates=SLOWER)
    assert guess.decode_ms == pytest.approx(true.decode_ms, rel=1e-6)
    assert guess.prefill_ms == pytest.approx(true.prefill_ms, rel=1e-6)


@pytest.mark.parametrize("change", [{"params_total": 7}, {"protocol_version": 5}, {"source": "no-such-model"}])
def test_a_row_of_another_model_or_protocol_teaches_nothing_at_all(change):
    assert learning.learn([row_of(SLOWER, 1024, peak=9.0, **change)], BARE) == BARE


def test_what_looks_odd_is_believed_when_it_is_measured_again():
    rows = [*runs_of(SLOWER, 1, contexts=(256, 512, 2048)), *(row_of(SLOWER, 8192, run=r, pace=5.0) for r in "ab")]
    taught = learning.learn(rows, BARE)
    cell = Cell("transformer", "gpt2", 8192)
    true = predict(cell, SHAPES["transformer"], rates=SLOWER)
    assert predict(cell, SHAPES["transformer"], rates=taught).decode_ms == pytest.approx(5 * true.decode_ms)


def test_of_two_rows_that_differ_the_one_near_the_others_is_believed():
    rows = [*runs_of(SLOWER, 1), row_of(SLOWER, 1024, run="odd", pace=20.0)]
    for order in itertools.permutations(rows):
        taught = learning.learn(order, BARE)
        factor = taught.factor(Cell("transformer", "gpt2", 1024), "decode")
        assert factor == pytest.approx(2)


@pytest.mark.parametrize("where", [{"host_cpu": "another"}, {"cores": 4096}, {}])
def test_rows_of_another_machine_are_not_of_this_one(where):
    here = facts.environment()
    machine = {"host_cpu": here["host_cpu"], "cores": here["cores"]} | where if where else {}
    rows = runs_of(SLOWER, 1)
    assert by_device([*rows, row_of(SLOWER, 64, pace=20.0, environment=machine)]) == {"": rows}


# --- bytes


def predicted(rows, context, **changes):
    cell = dataclasses.replace(Cell("transformer", "gpt2", context), **changes)
    return predict(cell, SHAPES["transformer"], rates=learning.learn(rows, BARE))


def test_a_plan_does_not_say_that_a_cell_fits_which_has_taken_more():
    """One row of three times the accounted peak, among many good ones: at its place it counts until it is outvoted."""
    rows = runs_of(BARE, 1, contexts=(128, 256, 1024, 2048))
    bad = row_of(BARE, 512, run="odd", peak=3.0)
    held = bad.bytes_weights + bad.peak_bytes
    free = round(held / 0.9) - 2
    shape, cell = SHAPES["transformer"], Cell("transformer", "gpt2", 512)

    def fits(*found):
        return predict(cell, shape, rates=learning.learn(found, BARE), free_bytes=free).fits

    assert fits(*rows)
    assert not fits(*rows, bad)
    assert not fits(*rows, bad, row_of(BARE, 512, run="good"))
    assert fits(*rows, bad, *(row_of(BARE, 512, run=run) for run in ("good", "better")))
    assert predicted([*rows, bad], 3000) == predicted(rows, 3000), "other places do not follow it"


def test_a_place_that_was_not_measured_has_the_highest_of_its_source():
    rows = [
        row for peak, c in ((1.2, 256), (1.4, 1024), (0.9, 4096)) for row in runs_of(BARE, 2, contexts=(c,), peak=peak)
    ]
    plain = predicted([], 2048)
    above = plain.bytes_total - plain.bytes_weights
    found = predicted(rows, 2048)
    assert found.bytes_total - found.bytes_weights == pytest.approx(1.4 * above, rel=1e-6)
    assert predicted(rows, 4096).bytes_total < predicted([], 4096).bytes_total


def test_a_row_alone_lowers_nothing_and_two_do():
    alone, two = runs_of(BARE, 1, contexts=(1024,), peak=0.8), runs_of(BARE, 2, contexts=(1024,), peak=0.8)
    assert predicted(alone, 1024) == predicted([], 1024)
    assert predicted(two, 1024).bytes_workspace < predicted([], 1024).bytes_workspace
    assert predicted(two, 2048) == predicted([], 2048), "other places are lowered by three rows"


def test_a_model_that_was_never_measured_is_only_raised_by_its_kind():
    other = dataclasses.replace(Cell("transformer", "gpt2-medium", 1024))
    for peak, factor in ((0.7, 1.0), (1.6, 1.6)):
        assert learning.learn(runs_of(BARE, 3, peak=peak), BARE).peak_factor(other) == pytest.approx(factor, rel=1e-6)
    assert learning.learn(runs_of(BARE, 3, peak=1.6), BARE).peak_factor(
        dataclasses.replace(other, dtype="bfloat16")
    ) == pytest.approx(1.0), "another number type has a workspace of its own"


@settings(max_examples=40, deadline=None)
@given(peaks=st.lists(st.floats(0.01, 20), min_size=1, max_size=12), context=st.sampled_from(CONTEXTS))
def test_what_is_certain_is_never_taken_off(peaks, context):
    rows = [row_of(BARE, CONTEXTS[n % 3], run=f"r{n}", peak=peak) for n, peak in enumerate(peaks)]
    found, plain = predicted(rows, context), predicted([], context)
    assert found.bytes_workspace >= 0
    assert (found.bytes_weights, found.bytes_cache, found.bytes_logits) == (
        plain.bytes_weights, plain.bytes_cache, plain.bytes_logits
    )  # fmt: skip
    here = [row for row in rows if row.context == context]
    if 0 < len(here) < 3:
        assert found.bytes_total >= max(row.bytes_weights + row.peak_bytes for row in here) - 1


def test_an_unsteady_row_teaches_its_bytes_and_no_time():
    row = row_of(SLOWER, 1024, peak=2.0, state="unstable", tpot_ms_med=None, prefill_ms_samples=(), rounds=0)
    taught = learning.learn([row], BARE)
    cell = Cell("transformer", "gpt2", 1024)
    assert taught.points == {} and taught.peak_factor(cell) == pytest.approx(2, rel=1e-6)
    made = make_plan({"transformer": "gpt2"}, [1024], rates=taught)
    assert made.predictions[0].bytes_total > predicted([], 1024).bytes_total


# --- predicted against measured


def test_pairs_are_what_stands_in_the_rows():
    row = row_of(BARE, 1024, peak=0.5, pred_ms=12.0, tpot_ms_med=10.0, pred_prefill_ms=300.0,
                 prefill_ms_samples=(100.0, 200.0, 900.0), pred_s=9.0, spent_s=6.0)  # fmt: skip
    found = {quantity: pairs([row], quantity) for quantity in prediction_error.QUANTITIES}
    assert {quantity: (pair.predicted, pair.measured) for quantity, (pair,) in found.items()} == {
        "bytes": (row.pred_bytes, row.bytes_weights + row.peak_bytes),
        "prefill": (0.3, 0.2), "decode": (0.012, 0.01), "seconds": (9.0, 6.0),
    }  # fmt: skip
    assert found["prefill"][0].error == pytest.approx(0.5) and found["decode"][0].ratio == pytest.approx(1.2)


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ({}, ("bytes", "prefill", "decode", "seconds")),
        ({"state": "unstable"}, ("bytes",)),
        ({"state": "unstable", "tpot_ms_med": None, "prefill_ms_samples": ()}, ("bytes",)),
        ({"load_avg": 99.0}, ("bytes",)),
        ({"foreign_processes": 2}, ("bytes",)),
        ({"pred_prefill_ms": None, "pred_s": None}, ("bytes", "decode")),
        ({"bytes_workspace": 5}, ()),  # its prediction was that of a longer cell
        ({"pred_bytes": None}, ()),
        ({"protocol_version": 5}, ()),
        ({"state": "oom", "peak_bytes": None}, ()),
    ],
)
def test_only_what_was_predicted_before_and_measured_soundly_counts(change, left):
    row = row_of(SLOWER, 1024, **change)
    assert tuple(quantity for quantity in prediction_error.QUANTITIES if pairs([row], quantity)) == left


def test_a_summary_counted_by_hand():
    """Ten errors of 1 to 10 %: the middle is 5.5, and nine of ten are within 9."""
    rows = [
        row_of(BARE, 1024, run=str(n), pred_ms=100.0 + (n if n % 2 else -n), tpot_ms_med=100.0) for n in range(1, 11)
    ]
    found = summarise(pairs(rows, "decode"))
    assert (found.count, found.worst.row.run_id) == (10, "10")
    assert found.middle == pytest.approx(0.055) and found.nine_of_ten == pytest.approx(0.09)
    assert found.ratio == pytest.approx((0.98 + 1.01) / 2)
    assert summarise(()) is None


def test_a_store_is_judged_device_by_device():
    elsewhere = {"host_cpu": "Another CPU", "cores": 2}
    rows = [*runs_of(SLOWER, 2), row_of(SLOWER, 64, environment=elsewhere), row_of(SLOWER, 64, state="timeout")]
    here, there = of_store(rows, BARE)
    assert (here.device, here.here, len(here.pairs["decode"])) == (facts.processor(), True, 6)
    assert (there.device, there.here, len(there.pairs["bytes"]), there.held_out) == ("Another CPU", False, 1, {})
    assert here.held_out.keys() == set(prediction_error.LEARNT)
    assert of_store([], BARE) == ()


def test_a_gpu_is_judged_by_careful_guesses_and_by_its_own_rows(monkeypatch):
    monkeypatch.setattr(facts, "gpus", lambda: ("Some GPU",))
    where = facts.environment() | {"device_name": "Some GPU"}
    peaks = {"peak_flops_per_s": 1e14, "bandwidth_bytes_per_s": 1e12}
    rows = runs_of(SLOWER, 2, device="cuda:0", dtype="bfloat16", environment=where, **peaks)
    rows = [dataclasses.replace(row, tpot_ms_med=3.0) for row in rows]
    (judged,) = of_store(rows, BARE)
    assert judged.device == "Some GPU"
    assert middle(judged.held_out, "decode") == pytest.approx(0, abs=1e-9)
    for pair in judged.held_out["decode"].bare:
        careful = predict(Cell("transformer", "gpt2", pair.row.context, 1, "cuda:0", "bfloat16"),
                          SHAPES["transformer"], rates=UNKNOWN)  # fmt: skip
        assert pair.predicted == careful.decode_ms / 1e3


def test_the_unlearnt_rates_are_those_before_any_row():
    taught = learning.learn(runs_of(SLOWER, 3, peak=1.5), BARE)
    assert taught != BARE and taught.unlearnt == BARE
