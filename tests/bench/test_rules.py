"""Rules of expectations: what is met, what is not, what cannot be told, each with rows whose answer is known."""

import dataclasses
from pathlib import Path

import pytest
from synthetic_rows import CONTEXTS, swept, timed

from models import describe
from models.bench.judge import expectations
from models.bench.judge.expectations import (
    BytesGrow,
    Crosses,
    Evidence,
    ExponentBetween,
    ExponentHigher,
    LargerBatch,
    ThroughputRatio,
    Timed,
    TimeRatio,
)

MIB = 2**20


def outcome(rule, rows, shapes=None):
    return rule.judge(Evidence(rows, shapes or {}))


def untimed(row):
    return dataclasses.replace(row, state="unstable", prefill_ms_samples=(), decode_ms_samples=(), e2e_ms_samples=())


# --- growth ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("power", "expected"), [(1.0, "met"), (1.5, "not_met"), (0.5, "not_met")])
def test_an_exponent_between_two_numbers(power, expected):
    found = outcome(ExponentBetween("mamba", "prefill", 0.9, 1.1), swept("mamba", prefill=lambda n: n**power / 10))
    assert found.outcome == expected
    assert found.values["found"].value == pytest.approx(power)
    assert found.values["name"] == "mamba"


def test_an_interval_that_reaches_over_the_end_decides_nothing():
    moods = {n: [1.0, 2.0, 0.5, 1.3] for n in CONTEXTS}
    found = outcome(ExponentBetween("mamba", "prefill", 0.9, 1.1), swept("mamba", shared=moods))
    assert (found.outcome, found.why, found.seen) == ("undecided", "unsure", "exponent")


def test_an_estimate_outside_refutes_nothing_while_its_interval_reaches_inside():
    moods = {n: [1.0, 1.3, 0.8, 1.1] for n in CONTEXTS}
    found = outcome(ExponentBetween("mamba", "prefill", 1.05, 2.0), swept("mamba", shared=moods))
    assert found.values["found"].value < 1.05 < found.values["found"].high
    assert (found.outcome, found.why) == ("undecided", "unsure")


def test_one_round_and_too_few_lengths_say_so():
    rule = ExponentBetween("mamba", "prefill", 0.9, 1.1)
    assert outcome(rule, swept("mamba", rounds=1)).why == "once"
    assert outcome(rule, swept("mamba", contexts=(256, 512))).why == "few_lengths"
    assert outcome(rule, swept("rwkv")).why == "few_lengths"
    assert outcome(rule, [untimed(row) for row in swept("mamba")]).why == "few_lengths"
    assert outcome(rule, []).outcome == "undecided"


def test_writing_grows_without_the_prompt_in_it():
    """A prompt of an hour would hide the growth of steps that grow from nothing."""
    rows = swept("transformer", prefill=lambda _: 3.6e6, step=lambda n: n - 256 + 1e-6)
    found = outcome(ExponentBetween("transformer", "generation", 1.9, 2.1), rows)
    assert (found.outcome, round(found.values["found"].value, 3)) == ("met", 2.0)


def test_one_grows_faster_than_each_of_the_others():
    rows = [*swept("transformer", step=lambda n: n / 100), *swept("mamba"), *swept("rwkv", step=lambda n: n / 100)]
    rule = ExponentHigher("transformer", ("mamba",), "generation")
    assert outcome(rule, rows).outcome == "met"
    assert outcome(ExponentHigher("mamba", ("transformer",), "generation"), rows).outcome == "not_met"
    both = outcome(ExponentHigher("transformer", ("mamba", "rwkv"), "generation"), rows)
    assert both.values["other"] == "rwkv", "the one that comes nearest decides"
    assert outcome(ExponentHigher("transformer", ("jamba",), "generation"), rows).why == "few_lengths"


# --- crossings ---------------------------------------------------------------------------------------------------
def pair(**laws):
    return [*swept("transformer", prefill=lambda n: n * n / 1e4), *swept("mamba", prefill=laws["mamba"])]


def test_the_order_turns_as_it_was_said_or_the_other_way_or_never():
    rule = Crosses("transformer", "mamba", "prefill")
    found = outcome(rule, pair(mamba=lambda n: n / 5))
    assert (found.outcome, found.seen) == ("met", "crosses_rounds")
    assert found.values["at"].value == pytest.approx(2000, rel=0.02)
    assert outcome(Crosses("mamba", "transformer", "prefill"), pair(mamba=lambda n: n / 5)).outcome == "not_met"
    never = outcome(rule, pair(mamba=lambda n: n / 500))
    assert (never.outcome, never.seen, never.values["then"]) == ("not_met", "always", "mamba")
    same = outcome(rule, pair(mamba=lambda n: n * n / 1e4))
    assert (same.outcome, same.seen, same.why) == ("undecided", "undecided", "unsure")
    assert outcome(rule, swept("mamba")).why == "few_lengths"


def test_carried_bytes_cross_by_their_formula_and_peaks_by_their_cells():
    rows = [*swept("transformer", peak_bytes=0), *swept("mamba", peak_bytes=5 * MIB)]
    rows = [dataclasses.replace(r, peak_bytes=r.context * 1024) if r.architecture == "transformer" else r for r in rows]
    shapes = {name: describe.resolve(name).shape for name in ("transformer", "mamba")}
    carried = outcome(Crosses("transformer", "mamba", "carried_bytes"), rows, shapes)
    assert (carried.outcome, carried.seen) == ("met", "crosses_formula")
    peak = outcome(Crosses("transformer", "mamba", "peak_bytes"), rows)
    assert (peak.outcome, peak.seen, peak.values["at"].value) == ("met", "crosses_cells", pytest.approx(5120))
    assert outcome(Crosses("transformer", "mamba", "carried_bytes"), rows).outcome == "undecided", "no shape is known"


# --- ratios ------------------------------------------------------------------------------------------------------
def test_a_ratio_of_one_phase_at_the_ends_of_what_both_have():
    rows = [*swept("transformer", step=lambda n: n / 256), *swept("mamba", step=lambda _: 4.0, contexts=CONTEXTS[:-1])]
    for context, ratio in (("shortest", 0.25), ("longest", 4.0), (512, 0.5)):
        over, under = (Timed(name, "decode", context) for name in ("transformer", "mamba"))
        assert outcome(TimeRatio(over, under, high=9), rows).values["found"].value == pytest.approx(ratio)
        assert outcome(TimeRatio(over, under, low=ratio * 1.01), rows).outcome == "not_met"
        assert outcome(TimeRatio(over, under, low=ratio * 0.99, high=ratio * 1.01), rows).outcome == "met"
    beyond = TimeRatio(Timed("transformer", "decode", 8192), Timed("mamba", "decode", 8192))
    assert outcome(beyond, rows).why == "no_times"


def test_a_whole_generation_against_one_call_of_a_block_by_their_sizes():
    """50 steps of 2 ms after 3 ms, against 4 ms: (3 + 2 x 2) / 4 by the two steps a synthetic row has."""
    rows = [
        timed("transformer", 8, prefill=3.0, step=2.0, size="custom"),
        timed("transformer", 50, prefill=9.0, step=2.0, size="custom"),
        timed("mamba", 50, prefill=4.0, step=1.0, size="block"),
        timed("mamba", 50, prefill=400.0, step=1.0, size="custom"),
    ]
    rule = TimeRatio(Timed("transformer", "e2e", 8, "custom"), Timed("mamba", "prefill", 50, "block"), low=1.7)
    found = outcome(rule, rows)
    assert (found.outcome, found.seen, found.values["found"].value) == ("met", "ratio_unlike", pytest.approx(7 / 4))


def test_largest_batches_and_untimed_cells_are_no_part_of_a_ratio():
    rule = TimeRatio(Timed("transformer", "decode", "longest"), Timed("mamba", "decode", "longest"), low=1)
    rows = [*swept("transformer"), *swept("mamba")]
    weak = [untimed(row) if row.context == 8192 and row.architecture == "mamba" else row for row in rows]
    assert outcome(rule, weak).values["context"] == 4096
    only = [*swept("transformer"), *swept("mamba", batch=64, batch_limit="cap")]
    assert outcome(rule, only).why == "no_times"


# --- bytes -------------------------------------------------------------------------------------------------------
def carrying(law):
    return [dataclasses.replace(row, cache_bytes=law(row.context)) for row in swept("mamba")]


@pytest.mark.parametrize(
    ("law", "constant", "proportional"),
    [
        (lambda _: 430_080, "met", "not_met"),
        (lambda n: 512 * n, "not_met", "met"),
        (lambda n: 512 * n + 430_080, "not_met", "not_met"),
    ],
)
def test_bytes_that_stay_and_bytes_that_grow(law, constant, proportional):
    assert outcome(BytesGrow("mamba", "constant"), carrying(law)).outcome == constant
    found = outcome(BytesGrow("mamba", "proportional"), carrying(law))
    assert found.outcome == proportional
    assert (found.values["low_bytes"], found.values["high_bytes"]) == (law(256), law(8192))


def test_bytes_need_no_times_but_two_lengths():
    rows = [untimed(row) for row in carrying(lambda _: 7)]
    assert outcome(BytesGrow("mamba", "constant"), rows).outcome == "met"
    assert outcome(BytesGrow("mamba", "constant"), rows[:1]).why == "few_lengths"


# --- throughput --------------------------------------------------------------------------------------------------
def batches(*, step=20.0):
    def cell(name, batch, took, peak, **more):
        return timed(name, 1024, prefill=9.0, step=took, batch=batch, peak_bytes=peak * MIB, bytes_weights=MIB, **more)

    return [
        *(cell("transformer", b, 4.0 + b, 10 * b) for b in (1, 4, 16)),
        *(cell("mamba", b, 5.0, b) for b in (1, 4, 16)),
        cell("mamba", 64, step, 64, batch_limit="cap"),
        cell("rwkv", 64, 1.0, 1),
    ]


def test_throughput_at_batch_one_and_in_one_memory():
    """65 MiB hold batch 64 of Mamba and batch 4 of the Transformer; a third architecture does not change them."""
    low, high = (ThroughputRatio("mamba", "transformer", at, low=2) for at in ("batch_1", "equal_memory"))
    assert outcome(low, batches()).outcome == "not_met"
    found = outcome(high, batches())
    assert (found.outcome, found.values["found"].value) == ("met", pytest.approx((64 / 20) / (4 / 8)))
    assert (found.values["batch"], found.values["other_batch"], found.values["limit_bytes"]) == (64, 4, 65 * MIB)
    assert outcome(high, swept("mamba")).why == "no_batches"


def test_the_larger_batch_of_one_memory():
    assert outcome(LargerBatch("mamba", "transformer"), batches()).outcome == "met"
    assert outcome(LargerBatch("transformer", "mamba"), batches()).outcome == "not_met"
    assert outcome(LargerBatch("mamba", "jamba"), batches()).why == "no_batches"


# --- bad input ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: ExponentBetween("mamba", "speed", 0, 1), "quantity is 'speed': choose one of generation, prefill"),
        (lambda: ExponentBetween("mamba", "prefill", 2, 1), "low is 2 and high is 1"),
        (lambda: Crosses("a", "b", "joy"), "quantity is 'joy'"),
        (lambda: Timed("mamba", "first", 8), "phase is 'first'"),
        (lambda: Timed("mamba", "decode", "middle"), "context is 'middle'"),
        (lambda: BytesGrow("mamba", "square"), "growth is 'square'"),
        (lambda: ThroughputRatio("a", "b", "home"), "at is 'home'"),
    ],
)
def test_a_rule_refuses_what_it_does_not_know(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_every_kind_of_rule_is_held_here():
    text = Path(__file__).read_text(encoding="utf-8")
    assert [kind.__name__ for kind in expectations.RULES.values() if f"{kind.__name__}(" not in text] == []
