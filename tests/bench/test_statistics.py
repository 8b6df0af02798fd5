"""Spreads, ratios, verdicts and growth exponents against cases whose answer is known."""

import math

import numpy as np
import pytest

from models.bench.judge.statistics import (
    DECISIVE,
    compare_exponents,
    growth_exponent,
    median_time,
    rounds_of,
    spread,
    student,
    verdict,
)

TRIALS = 400
SIZES = [256, 1024, 4096, 8192]


def two_cells(
    rng: np.random.Generator, rounds: int, *, factor: float = 1.0, interleaved: bool = True, drift: float = 0.3
) -> tuple[list[list[float]], list[list[float]]]:
    """Simulate two cells on a shared machine: rounds have moods, steps have spikes, everything slows down by drift.

    interleaved: measured in turn within each round (AB, BA, AB ...), so that both share the round's mood.
    """
    moods = rng.normal(0, 0.1, (2, rounds))
    cells: list[list[list[float]]] = [[], []]
    for r in range(rounds):
        for which in range(2):
            slot = 2 * r + (which if r % 2 == 0 else 1 - which)
            level = moods[0 if interleaved else which, r] + rng.normal(0, 0.02) + drift * slot / (2 * rounds)
            steps = np.exp(rng.normal(level, 0.03, 24))
            steps[rng.random(24) < 0.08] *= 1 + rng.pareto(1.5)
            cells[which].append([float(v) for v in steps * (factor if which == 0 else 1.0)])
    return cells[0], cells[1]


def growing(rng: np.random.Generator, exponent: float, *, noise: float = 0.02) -> list[tuple[float, list[list[float]]]]:
    """Simulate times that grow as size^exponent, five rounds of one sample at each size."""
    return [(size, [[float(size**exponent * v)] for v in rng.lognormal(0, noise, 5)]) for size in SIZES]


def test_spread_of_known_samples():
    found = spread([1, 2, 3, 4, 100])
    assert (found.median, found.low, found.high, found.count) == (3, 2, 4, 5)
    assert found.relative == pytest.approx(2 / 3)


def test_nothing_comes_of_no_samples():
    calls = (
        lambda: spread([]),
        lambda: growth_exponent([1, 2], [[1], [2]]),
        lambda: growth_exponent([1, 2, 3], [[1], [2], []]),
        lambda: growth_exponent([1, 2, 3], [[1], [2]]),
        lambda: verdict([], [[1.0]]),
        lambda: verdict([[]], [[1.0]]),
        lambda: compare_exponents([(1, [[1.0]])], [(1, [[1.0]])]),
    )
    for call in calls:
        with pytest.raises(ValueError):
            call()


def test_samples_are_cut_into_their_rounds():
    assert rounds_of([1, 2, 3, 4, 5, 6], 3) == [[1, 2], [3, 4], [5, 6]]
    assert rounds_of([1, 2], None) == [[1, 2]]
    assert rounds_of((), 3) == []
    with pytest.raises(ValueError, match="5 samples do not divide into 2 rounds"):
        rounds_of([1, 2, 3, 4, 5], 2)


@pytest.mark.parametrize(
    ("freedom", "point"),
    [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (30, 2.0423), (120, 1.9799)],
)
def test_student_against_the_printed_table(freedom, point):
    assert student(freedom) == pytest.approx(point, abs=5e-5)


@pytest.mark.parametrize(("freedom", "point"), [(1, 31.8205), (2, 6.9646), (3, 4.5407), (4, 3.7469), (30, 2.4573)])
def test_what_decides_has_98_per_cent_inside(freedom, point):
    assert student(freedom, DECISIVE) == pytest.approx(point, abs=5e-5)


def test_a_typical_time_by_hand():
    found = median_time([[1.0, 2.0, 9.0], [8.0]])
    assert found.value == pytest.approx(4.0)
    assert found.high == pytest.approx(4 * math.exp(12.7062 * math.log(2)), rel=1e-4)
    assert median_time([[3.0, 4.0]]).high == math.inf


def test_a_paired_verdict_by_hand():
    found = verdict([[2.0], [2.2], [2.1]], [[1.0], [1.1], [1.0]])
    logs = np.log([2.0, 2.0, 2.1])
    half = 4.302653 * logs.std(ddof=1) / math.sqrt(3)
    assert found.ratio.value == pytest.approx(math.exp(logs.mean()))
    assert found.ratio.low == pytest.approx(math.exp(logs.mean() - half), rel=1e-6)
    assert found.ratio.high == pytest.approx(math.exp(logs.mean() + half), rel=1e-6)
    assert (found.kind, found.rounds) == ("slower", 3)
    half = 6.964557 * logs.std(ddof=1) / math.sqrt(3)
    assert found.decisive.low == pytest.approx(math.exp(logs.mean() - half), rel=1e-6)
    assert found.decisive.high == pytest.approx(math.exp(logs.mean() + half), rel=1e-6)


def test_a_difference_that_only_the_shown_interval_holds_is_not_called():
    """Half widths of 4.303 and 6.965 standard errors around five of them: outside the one, inside the other."""
    errors = np.array([-1.0, 0.0, 1.0]) * math.sqrt(3) * 0.05
    logs = 0.25 + errors
    found = verdict([[math.exp(v)] for v in logs], [[1.0]] * 3)
    assert found.ratio.low > 1.03 and found.decisive.low < 1
    assert found.kind == "indistinguishable"


def test_an_unpaired_verdict_by_welch():
    a, b = [[1.0], [1.1], [0.9], [1.0]], [[2.0], [2.2]]
    found = verdict(a, b)
    x, y = np.log([1.0, 1.1, 0.9, 1.0]), np.log([2.0, 2.2])
    parts = x.var(ddof=1) / 4, y.var(ddof=1) / 2
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / 3 + parts[1] ** 2)
    half = student(int(freedom)) * math.sqrt(sum(parts))
    assert found.ratio.high == pytest.approx(math.exp(x.mean() - y.mean() + half))
    assert (found.kind, found.rounds) == ("faster", 2)


def test_one_round_tells_nothing_apart():
    found = verdict([[1.0] * 500], [[9.0] * 500])
    assert (found.kind, found.rounds, found.ratio.low, found.ratio.high) == ("indistinguishable", 1, 0.0, math.inf)
    assert found.ratio.value == pytest.approx(1 / 9)


def test_a_difference_below_one_per_cent_is_none():
    assert verdict([[1.005]] * 5, [[1.0]] * 5).kind == "indistinguishable"
    assert verdict([[1.005]] * 5, [[1.0]] * 5, negligible=0).kind == "slower"


@pytest.mark.parametrize("interleaved", [True, False], ids=["interleaved", "apart"])
@pytest.mark.parametrize("rounds", [3, 4, 5])
def test_equal_cells_are_rarely_called_different(rounds, interleaved):
    rng = np.random.default_rng(rounds)
    kinds = [verdict(*two_cells(rng, rounds, interleaved=interleaved)).kind for _ in range(TRIALS)]
    assert TRIALS - kinds.count("indistinguishable") <= 0.02 * TRIALS


@pytest.mark.parametrize("rounds", [3, 4, 5])
def test_a_cell_twice_as_slow_is_found_every_time(rounds):
    rng = np.random.default_rng(rounds)
    assert {verdict(*two_cells(rng, rounds, factor=2.0)).kind for _ in range(TRIALS)} == {"slower"}
    assert {verdict(*reversed(two_cells(rng, rounds, factor=2.0))).kind for _ in range(TRIALS)} == {"faster"}


def test_steps_taken_as_independent_would_call_equal_cells_different():
    """The reason for counting rounds: a bootstrap over pooled steps fails the very test that verdict passes."""
    rng = np.random.default_rng(3)
    called = 0
    for _ in range(40):
        pooled = [[step for each in cell for step in each] for cell in two_cells(rng, 3, interleaved=False)]
        a, b = (np.median(rng.choice(steps, (2000, len(steps))), axis=1) for steps in pooled)
        low, high = np.percentile(a / b, [2.5, 97.5])
        called += not low <= 1.0 <= high
    assert called > 10


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_growth_exponent_is_recovered(exponent):
    rng = np.random.default_rng(2)
    found = growth_exponent(SIZES, [size**exponent * rng.lognormal(0, 0.02, 9) for size in SIZES])
    assert found.value == pytest.approx(exponent, abs=0.03)
    assert found.low <= found.value <= found.high
    assert found.high - found.low < 0.1


def test_growth_exponent_counts_rounds_not_samples():
    rng = np.random.default_rng(4)
    moods = {size: rng.normal(0, 0.2, 4) for size in SIZES}
    samples = [[size * math.exp(mood) for mood in moods[size] for _ in range(16)] for size in SIZES]
    alone, whole = growth_exponent(SIZES, samples), growth_exponent(SIZES, samples, rounds=4)
    assert whole.high - whole.low > 3 * (alone.high - alone.low)
    assert growth_exponent(SIZES, [[1.0], [2.0], [3.0], [4.0]]).high == math.inf


def test_the_interval_of_an_exponent_holds_it_as_often_as_it_says():
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(TRIALS):
        found = growth_exponent(SIZES, [size * rng.lognormal(0, 0.1, 3) for size in SIZES])
        held += not found.excludes(1.0)
    assert held >= 0.93 * TRIALS


@pytest.mark.slow
def test_exponents_are_told_apart_only_where_they_differ():
    rng = np.random.default_rng(6)
    same = sum(not compare_exponents(growing(rng, 1.0), growing(rng, 1.0)).excludes(0) for _ in range(TRIALS))
    assert same >= 0.93 * TRIALS
    for _ in range(40):
        found = compare_exponents(growing(rng, 2.0), growing(rng, 1.0))
        assert found.excludes(0.0)
        assert found.value == pytest.approx(1.0, abs=0.1)


def test_exponents_over_different_sizes_can_be_compared():
    rng = np.random.default_rng(7)
    assert compare_exponents(growing(rng, 2.0)[:3], growing(rng, 1.0)).excludes(0)
    assert not compare_exponents(growing(rng, 1.0)[:3], growing(rng, 1.0)).excludes(0)


def test_paired_exponents_cancel_what_both_went_through():
    rng = np.random.default_rng(8)
    drift = {size: rng.normal(0, 0.5, 5) for size in SIZES}
    a = [(s, [[s**1.2 * math.exp(d)] for d in drift[s]]) for s in SIZES]
    b = [(s, [[s**1.0 * math.exp(d)] for d in drift[s]]) for s in SIZES]
    assert compare_exponents(a, b).value == pytest.approx(0.2)
    assert compare_exponents(a, b).excludes(0)
    told, apart = compare_exponents(a, b), compare_exponents(a, b, paired=False)
    assert apart.high - apart.low > 100 * (told.high - told.low), "rounds of other turns cancel nothing"
