"""Lengths from which one architecture is cheaper: known answers, noise, ties, coverage, nothing beyond the measured."""

import dataclasses

import numpy as np
import pytest
from synthetic_rows import CONTEXTS, by_context, swept

from models import describe
from models.bench.judge import crossing, curves
from models.bench.judge.curves import PhaseCurve
from models.counting import accounting

NAMES = ("transformer", "mamba")
A, B, C, D = 1e-5, 20.0, 0.05, 40.0  # of a L^2 + b against c L + d
TRUE = (C + np.sqrt(C * C + 4 * A * (D - B))) / (2 * A)  # where they meet


def prefills(law, name, **options):
    return PhaseCurve(by_context(swept(name, prefill=law, **options)), "prefill")


def square(length):
    return A * length * length + B


def line(length):
    return C * length + D


def test_a_square_crosses_a_line_where_algebra_says():
    """Between neighbours a line over both logarithms stands for the law: on a grid this fine it is exact to 0.1 %."""
    fine = tuple(range(4096, 8193, 64))
    found = crossing.of_times(
        prefills(square, "transformer", contexts=fine), prefills(line, "mamba", contexts=fine), names=NAMES
    )
    assert (found.first, found.then, found.kind, found.basis) == ("transformer", "mamba", "crosses", "rounds")
    assert found.at.value == pytest.approx(TRUE, rel=1e-3)
    assert found.within == (4096, 8192)


def test_the_order_of_the_two_does_not_matter():
    one, other = prefills(square, "transformer"), prefills(line, "mamba")
    there, back = crossing.of_times(one, other, names=NAMES), crossing.of_times(other, one, names=NAMES[::-1])
    assert (there.first, there.then, there.kind) == (back.first, back.then, back.kind)
    assert there.at.value == pytest.approx(back.at.value)


def test_lines_over_both_logarithms_cross_exactly_between_far_lengths():
    """2 n against n^1.5: they meet at 4; the interpolation is the law itself, so two lengths are enough."""
    far = (1, 16)
    found = crossing.of_times(prefills(lambda n: n**1.5, "transformer", contexts=far),
                              prefills(lambda n: 2.0 * n, "mamba", contexts=far), names=NAMES)  # fmt: skip
    assert found.at.value == pytest.approx(4, rel=1e-6)


def test_a_crossing_beyond_the_measured_lengths_is_not_told():
    short = (256, 512, 1024)
    found = crossing.of_times(
        prefills(square, "transformer", contexts=short), prefills(line, "mamba", contexts=short), names=NAMES
    )
    assert (found.then, found.kind, found.at, found.within) == ("transformer", "always", None, (256, 1024))
    with pytest.raises(ValueError, match="outside the measured"):
        prefills(square, "transformer", contexts=short).at(2048)
    with pytest.raises(ValueError, match="outside the measured"):
        prefills(square, "transformer", contexts=short).at(128)


def test_only_lengths_of_both_are_compared():
    found = crossing.of_times(
        prefills(square, "transformer"), prefills(line, "mamba", contexts=(512, 4096)), names=NAMES
    )
    assert found.within == (512, 4096)
    apart = crossing.of_times(prefills(square, "transformer", contexts=(256, 512)),
                              prefills(line, "mamba", contexts=(1024, 2048)), names=NAMES)  # fmt: skip
    assert apart is None


def test_equal_times_are_undecided_and_so_is_one_round():
    same = crossing.of_times(prefills(line, "transformer"), prefills(line, "mamba"), names=NAMES)
    assert (same.kind, same.at) == ("undecided", None)
    once = crossing.of_times(prefills(square, "transformer", rounds=1), prefills(line, "mamba", rounds=1), names=NAMES)
    assert once.kind == "undecided"


def test_a_difference_below_one_per_cent_does_not_count_and_one_above_does():
    for more, kind in ((1.005, "undecided"), (1.02, "always")):
        found = crossing.of_times(
            prefills(line, "transformer"), prefills(lambda n, m=more: m * line(n), "mamba"), names=NAMES
        )
        assert found.kind == kind
    late = {"started_ns": 10**15, "ended_ns": 10**15 + 1}
    for more, kind in ((1.02, "undecided"), (1.08, "always")):  # measured one after the other: five per cent
        other = prefills(lambda n, m=more: m * line(n), "mamba", **late)
        assert crossing.of_times(prefills(line, "transformer"), other, names=NAMES).kind == kind


def test_what_cannot_be_told_at_short_lengths_leaves_a_crossing_without_a_lower_end():
    """Equal up to 1,024 tokens, then apart."""
    found = crossing.of_times(prefills(lambda n: max(n, 1024.0) ** 2, "transformer"),
                              prefills(lambda n: 1024.0**2, "mamba"), names=NAMES)  # fmt: skip
    assert (found.then, found.kind) == ("mamba", "by")
    assert 1024 < found.at.high < 1100
    assert found.at.low == 256


def trial(rng, *, rounds, paired):
    """Measure a square and a line with three per cent between rounds, and moods of the machine that both share."""
    moods = [{context: rng.lognormal(0, 0.15, rounds) for context in CONTEXTS} for _ in range(2)]
    late = {} if paired else {"started_ns": 10**15, "ended_ns": 10**15 + 1}
    one = prefills(lambda n: (n / 2000) ** 1.5, "transformer", rng=rng, noise=0.03, rounds=rounds, shared=moods[0])
    other = prefills(lambda n: n / 2000, "mamba", rng=rng, noise=0.03, rounds=rounds,
                     shared=moods[0 if paired else 1], **late)  # fmt: skip
    return crossing.of_times(one, other, names=NAMES)


@pytest.fixture
def coarse(monkeypatch):
    """Look at fewer lengths, which widens an interval by less than a twentieth."""
    monkeypatch.setattr(crossing, "STEPS", 80)


@pytest.mark.usefixtures("coarse")
@pytest.mark.parametrize("rounds", [3, 5, 9])
def test_the_interval_holds_the_true_length_nineteen_times_of_twenty(rounds):
    """The laws are straight over both logarithms and meet at 2,000 tokens. 200 trials of a fixed seed."""
    rng = np.random.default_rng(7)
    found = [trial(rng, rounds=rounds, paired=True) for _ in range(200)]
    told = [one for one in found if one.kind == "crosses"]
    assert len(told) > 190, "a shared mood cancels, so nearly every trial finds it"
    assert sum(one.at.low <= 2000 <= one.at.high for one in told) / len(told) >= 0.93
    assert all(one.then == "mamba" for one in told)


@pytest.mark.usefixtures("coarse")
def test_moods_that_are_not_shared_widen_the_interval():
    rng = np.random.default_rng(3)
    paired, alone = ([trial(rng, rounds=5, paired=how) for _ in range(40)] for how in (True, False))
    assert sum(one.kind == "crosses" for one in alone) < sum(one.kind == "crosses" for one in paired)
    widths = [
        np.median([one.at.high / one.at.low for one in found if one.kind == "crosses"]) for found in (paired, alone)
    ]
    assert widths[1] > widths[0]


def test_rounds_that_were_left_out_are_not_paired():
    one, other = swept("transformer", prefill=square), swept("mamba", prefill=line)
    first = PhaseCurve(by_context(one), "prefill")
    assert curves.paired(first, PhaseCurve(by_context(other), "prefill"), ("prefill", 512))
    ragged = [dataclasses.replace(row, rounds_unsteady=1) for row in other]
    assert not curves.paired(first, PhaseCurve(by_context(ragged), "prefill"), ("prefill", 512))


def test_bytes_of_cells_cross_between_two_measured_lengths():
    """100 n against 51,200: equal at 512, so the crossing lies after it; the bracket is the two lengths around."""
    a, b = {n: 100.0 * n for n in CONTEXTS}, dict.fromkeys(CONTEXTS, 70_000.0)
    found = crossing.of_cells(a, b, names=NAMES)
    assert (found.first, found.then, found.kind, found.basis) == ("transformer", "mamba", "crosses", "cells")
    assert (found.at.low, found.at.high) == (512, 1024)
    assert found.at.value == pytest.approx(700, rel=1e-9)
    assert crossing.of_cells(b, a, names=NAMES[::-1]) == found
    assert crossing.of_cells(a, a, names=NAMES).kind == "undecided"
    assert crossing.of_cells({256: 1.0}, b, names=NAMES) is None
    assert crossing.of_cells(a, {n: 2 * v for n, v in a.items()}, names=NAMES).kind == "always"


@pytest.mark.parametrize(("one", "other"), [("transformer", "mamba"), ("transformer", "rwkv"), ("jamba", "mamba")])
def test_a_formula_gives_the_first_length_at_which_the_other_is_smaller(one, other):
    """Found again by counting up."""
    shapes = [describe.resolve(name).shape for name in (one, other)]
    found = crossing.of_formula(*shapes, names=(one, other), dtype="float32")

    def carried(place, length):
        return accounting.cache_bytes(shapes[place], context=length, batch=1, dtype="float32")

    first = next(length for length in range(1, 5000) if carried(0, length) > carried(1, length))
    assert (found.first, found.then, found.kind, found.basis) == (one, other, "crosses", "formula")
    assert found.at.value == found.at.low == found.at.high == first
    assert crossing.of_formula(*shapes[::-1], names=(other, one), dtype="float32") == found


def test_a_formula_that_never_crosses_says_who_is_smaller_always():
    shapes = [describe.resolve(name).shape for name in ("mamba", "rwkv")]
    found = crossing.of_formula(*shapes, names=("mamba", "rwkv"), dtype="float32")
    assert (found.then, found.kind) == ("rwkv", "always")
    assert crossing.of_formula(shapes[0], shapes[0], names=("mamba", "mamba"), dtype="float32").kind == "undecided"
