"""The two curves that a badge opens are those of its error: the same two arrays, by the same formula."""

import numpy as np
import pytest
from proof_cases import DRAWN, RED, another, drawn, english, nothing, spoiled, token_before, verdict

from models.reconstruction.check import against_output, relative, watching
from models.records.trace import ModelTrace
from viz import proof
from viz.gallery.figures import every
from viz.look.theme import LIGHT
from viz.proof.curves import POINTS, _kept, curves

# Figures whose error is of no two arrays in this run, and why.
NO_CURVES = {
    "half_life": "its worst error is of a distance that is read off between whole distances",
    "memory_histogram": "it draws counts, which are right or wrong",
    "token_steps": "both of its curves are in the picture",
}
NOT_OF_OUTPUT = {"logit_lens": "its output is a distribution, compared with the model's own softmax"}


@pytest.mark.parametrize("name", DRAWN)
def test_the_largest_difference_of_the_curves_is_the_error_of_the_badge(name: str, runs: dict[str, ModelTrace]) -> None:
    trace, choice = runs[DRAWN[name][0]], DRAWN[name][2]
    made, check = drawn(name, trace), verdict(name, drawn(name, trace), trace)
    found = curves(made, trace, **choice)
    assert bool(found) == (name not in NO_CURVES), name
    assert len(found) <= 2
    for pair in found:
        assert len(pair.own) == len(pair.rebuilt) == len(pair.error) == min(pair.count, POINTS)
        assert np.array_equal(np.abs(pair.own - pair.rebuilt) > 0, pair.error > 0), "a difference and no error, or back"
    if found:
        assert max(pair.error.max() for pair in found) == check.error
        assert found[0].output or not any(pair.output for pair in found), "the output of the model comes first"
        assert found[0].output or check.kind != "rebuilds" or name in NOT_OF_OUTPUT


@pytest.mark.parametrize(
    ("name", "part"), [("head_matrix", "attention"), ("state_slice", "state"), ("expert_lanes", "chosen_weights")]
)
def test_a_spoiled_figure_shows_two_curves_that_differ(name: str, part: str, runs: dict[str, ModelTrace]) -> None:
    trace = spoiled(runs[DRAWN[name][0]], part, token_before if part == "chosen_weights" else another)
    made = drawn(name, trace)
    check, found = verdict(name, made, trace), curves(made, trace, **DRAWN[name][2])
    assert not check.passed and max(pair.error.max() for pair in found) == check.error > RED
    pair = found[0]
    assert pair.output and np.abs(pair.own - pair.rebuilt).max() > 0.01 * np.abs(pair.own).max()


def test_numbers_that_are_none_are_shown_as_gaps(runs: dict[str, ModelTrace]) -> None:
    trace = spoiled(runs["transformer"], "attention", nothing)
    made = drawn("head_matrix", trace)
    found = curves(made, trace, **DRAWN["head_matrix"][2])
    assert np.isnan(verdict("head_matrix", made, trace).error)
    assert found and np.isnan(found[0].error).any()


@pytest.mark.parametrize("name", ["four_machines", "reading", "next_word"])
def test_figures_of_several_runs_have_curves_too(name: str, runs: dict[str, ModelTrace]) -> None:
    traces = list(runs.values())
    made = every()[name].draw(traces, theme=LIGHT, t=english)
    check, found = proof.check(made, traces), curves(made, traces)
    assert check is not None and check.passed
    assert max(pair.error.max() for pair in found) == check.error


def test_a_figure_that_nothing_checks_has_no_curves(runs: dict[str, ModelTrace]) -> None:
    assert curves(drawn("head_matrix", runs["transformer"]), [runs["rwkv"]]) == ()


def test_comparisons_are_kept_only_while_somebody_watches() -> None:
    one, two = np.array([1.0, 2.0]), np.array([1.0, 4.0])
    with watching() as seen:
        assert relative(one, two, two).tolist() == [0, 0.5]
        against_output(one, two, two)
        with watching() as inner:
            relative(one, one, one)
    assert [compared.output for compared in seen] == [False, True] and len(inner) == 1
    relative(one, two, two)
    assert len(seen) == 2
    assert seen[0].errors.tolist() == [0, 0.5]


def test_of_a_long_row_the_largest_errors_are_kept() -> None:
    error = np.zeros(1003)
    error[[0, 501, 502, 1002]] = 3, 1, 2, np.nan
    kept = _kept(error)
    assert len(kept) == POINTS and {0, 502, 1002} <= set(kept) and 501 not in kept
    assert (np.diff(kept) > 0).all()
    assert _kept(error[:POINTS]).tolist() == list(range(POINTS))
