"""The time of a generation: sums of known laws, exponents 1 and 2, intervals, nothing beyond what was measured."""

import numpy as np
import pytest
from synthetic_rows import CONTEXTS, by_context, swept

from models.bench.judge import crossing, curves, generation
from models.bench.judge.generation import GenerationCurve

FIRST, LAST = CONTEXTS[0], CONTEXTS[-1]


def curve(step, *, prompt=True, prefill=lambda n: n / 10, **options):
    return GenerationCurve(by_context(swept("transformer", step=step, prefill=prefill, **options)), prompt)


def test_steps_that_grow_by_a_line_add_up_as_arithmetic_says():
    """Step of 2 + d / 1,000 ms at depth d: n of them after 256 tokens take 2 n + (256 n + n^2 / 2) / 1,000 ms."""
    made = curve(lambda d: 2 + d / 1000)
    for n in (1, 100, 256, 1000, LAST - FIRST):
        expected = FIRST / 10 + 2 * n + (FIRST * n + n * n / 2) / 1000
        assert generation.seconds(made, n).value == pytest.approx(expected / 1e3, rel=1e-9)


def test_the_sum_of_single_steps_agrees_with_the_area_below_the_line():
    made = curve(lambda d: 2 + d / 1000, prompt=False)
    steps = sum(2 + (FIRST + i + 0.5) / 1000 for i in range(1000))
    assert generation.seconds(made, 1000).value == pytest.approx(steps / 1e3, rel=1e-9)


def test_nothing_is_said_beyond_the_last_depth():
    made = curve(lambda d: 2 + d / 1000)
    assert made.lengths == (1, *(n - FIRST for n in CONTEXTS[1:]))
    for beyond in (0.5, LAST - FIRST + 1):
        with pytest.raises(ValueError, match="outside the measured"):
            made.at(beyond)


@pytest.mark.parametrize(("step", "expected"), [(lambda _: 5.0, 1.0), (lambda d: d - FIRST + 1e-9, 2.0)])
def test_the_exponent_of_a_generation_is_one_for_equal_steps_and_two_for_steps_that_grow_from_nothing(step, expected):
    found = curves.exponent(curve(step, prompt=False))
    assert found.value == pytest.approx(expected, abs=1e-6)
    assert found.low <= found.value <= found.high


def test_an_exponent_needs_four_contexts():
    with pytest.raises(ValueError, match="three"):
        curves.exponent(curve(lambda _: 5.0, contexts=(256, 512, 1024)))


def test_what_an_architecture_follows_is_the_slope_by_small_changes():
    """The weights of the interval are derivatives: each measured time raised by 0.1 % moves the exponent by as much."""
    law = {n: 3 + n / 700 for n in CONTEXTS}
    made = curve(law.__getitem__, prompt=False)
    value, follows = curves._slope(made)
    for context in CONTEXTS:
        raised = {n: v * (1.001 if n == context else 1) for n, v in law.items()}
        moved = curves._slope(curve(raised.__getitem__, prompt=False))[0] - value
        assert follows["decode", context] * 1e-3 == pytest.approx(moved, rel=2e-2, abs=1e-8)


@pytest.mark.parametrize("rounds", [3, 5])
def test_the_interval_of_a_whole_generation_holds_the_truth_nineteen_times_of_twenty(rounds):
    rng = np.random.default_rng(11)
    truth = np.log(generation.seconds(curve(lambda d: 2 + d / 1000), LAST - FIRST).value)
    found = [generation.seconds(curve(lambda d: 2 + d / 1000, rng=rng, noise=0.05, rounds=rounds), LAST - FIRST)
             for _ in range(300)]  # fmt: skip
    held = [np.log(one.low) <= truth <= np.log(one.high) for one in found]
    assert 0.92 <= np.mean(held) <= 0.995


def test_rounds_of_two_architectures_are_paired_and_shared_moods_cancel():
    rng = np.random.default_rng(5)
    shared = {context: rng.lognormal(0, 0.2, 4) for context in CONTEXTS}
    one, other = (curve(lambda d, k=k: 2 + d / k, prompt=False, shared=shared) for k in (800, 2000))
    apart = curves.exponent_difference(one, other)
    alone = curves.exponent(one)
    assert apart.value > 0
    assert apart.low > 0, "moods that both went through cancel"
    assert apart.high - apart.low < 0.2 * (alone.high - alone.low)


def test_a_generation_crosses_where_the_sums_are_equal():
    """10 ms a step against 5 + d / 1,000 ms after 256 tokens: the sums meet at n = 2 (5,000 - 256)."""
    law = lambda d: 5 + d / 1000  # noqa: E731
    fine = tuple(range(FIRST, 12_000, 512))
    a = curve(law, contexts=fine, prefill=lambda _: 7.0)
    b = curve(lambda _: 10.0, contexts=fine, prefill=lambda _: 7.0)
    found = crossing.of_times(a, b, names=("transformer", "mamba"))
    assert (found.first, found.then, found.kind) == ("transformer", "mamba", "crosses")
    assert found.at.value == pytest.approx(2 * (5000 - FIRST), rel=2e-3)


def test_curves_take_rows_of_one_kind_and_of_one_prompt():
    rows = [
        *swept("transformer"), *swept("mamba"), *swept("rwkv", contexts=CONTEXTS[1:]),
        *swept("transformer", batch=8), *swept("jamba", contexts=(256,)),
        *swept("transformer", batch=64, batch_limit="cap"),
    ]  # fmt: skip
    found = generation.curves(rows)
    assert list(found) == ["transformer", "mamba"]
    assert {row.batch for row in found["transformer"].rows.values()} == {1}
    assert generation.curves([]) == {}
    assert generation.curves(swept("mamba", contexts=(256,))) == {}


def test_a_cell_without_a_steady_round_ends_nothing_but_is_left_out():
    rows = swept("transformer")
    rows[2] = rows[2].__class__(**{**{f: getattr(rows[2], f) for f in rows[2].__dataclass_fields__},
                                   "state": "unstable", "prefill_ms_samples": (), "decode_ms_samples": ()})  # fmt: skip
    found = generation.curves(rows)["transformer"]
    assert list(found.rows) == [n for n in CONTEXTS if n != CONTEXTS[2]]
