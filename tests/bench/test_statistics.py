"""Spreads, ratios and growth exponents against cases whose answer is known."""

import numpy as np
import pytest

from models.bench.statistics import growth_exponent, ratio_of_medians, spread


def test_spread_of_known_samples():
    found = spread([1, 2, 3, 4, 100])
    assert (found.median, found.low, found.high, found.count) == (3, 2, 4, 5)
    assert found.relative == pytest.approx(2 / 3)


def test_nothing_comes_of_no_samples():
    for call in (lambda: spread([]), lambda: ratio_of_medians([], [1]), lambda: growth_exponent([1, 2], [[1], [2]])):
        with pytest.raises(ValueError):
            call()


def test_two_times_slower_is_found_and_equal_is_not_called_different():
    rng = np.random.default_rng(1)
    different = 0
    for _ in range(40):
        a, b = rng.lognormal(0, 0.05, (2, 40))
        assert ratio_of_medians(2 * a, b).excludes(1.0)
        different += ratio_of_medians(a, b).excludes(1.0)
    assert different <= 4


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_growth_exponent_is_recovered(exponent):
    rng = np.random.default_rng(2)
    sizes = [256, 1024, 4096, 8192]
    found = growth_exponent(sizes, [size**exponent * rng.lognormal(0, 0.02, 9) for size in sizes])
    assert found.value == pytest.approx(exponent, abs=0.03)
    assert found.low <= found.value <= found.high
    assert found.high - found.low < 0.1
