"""Known answers of what figures compute themselves: head scores, look-back, channel choice, spacing, numbers."""

import dataclasses

import numpy as np
import pytest

from models.records.trace import LayerTrace, ModelTrace, NamedArray, Token
from pages.shared.words import i18n
from viz.look.labels import seconds, short, size, spread_apart
from viz.look.theme import LIGHT
from viz.trace.attention import SCORES, head_matrix, head_scores, most_structured_head, most_telling_head
from viz.trace.channels import binned, longest_first, most_varied, quantile_channels
from viz.trace.matrix import look_back


def scores_of(trace: ModelTrace, weights: np.ndarray, ids: list[int]) -> dict[str, float]:
    """Score one head with given weights over given token ids."""
    part = NamedArray(weights[None].astype(np.float32), ("head", "query", "key"))
    tokens = tuple(Token(i, n, str(n), i, i + 1) for i, n in enumerate(ids))
    only = dataclasses.replace(trace, tokens=tokens, layers=(LayerTrace(0, "attention", "dense", {"attention": part}),))
    return dict(zip(SCORES, head_scores(only).values[0, 0], strict=True))


def one_hot(columns: list[int]) -> np.ndarray:
    return np.eye(len(columns))[columns]


REPEATED = [3, 5, 7, 9, 3, 5, 7, 9]


def test_previous_token_pattern_scores_one(traces):
    found = scores_of(traces["transformer"], one_hot([0, 0, 1, 2, 3, 4, 5, 6]), REPEATED)
    assert found["previous_token"] == pytest.approx(1)
    assert found["entropy"] == pytest.approx(0, abs=1e-9)


def test_sink_pattern_scores_one(traces):
    assert scores_of(traces["transformer"], one_hot([0] * 8), REPEATED)["sink"] == pytest.approx(1)


def test_duplicate_pattern_scores_one(traces):
    found = scores_of(traces["transformer"], one_hot([0, 1, 2, 3, 0, 1, 2, 3]), REPEATED)
    assert found["duplicate"] == pytest.approx(1)
    assert found["induction"] == pytest.approx(0)


def test_induction_pattern_scores_one(traces):
    """T-h: the ideal shifted pattern, each repeated token attends to what followed its first copy."""
    found = scores_of(traces["transformer"], one_hot([0, 1, 2, 3, 1, 2, 3, 4]), REPEATED)
    assert found["induction"] == pytest.approx(1)
    assert found["duplicate"] == pytest.approx(0)


def test_uniform_attention_has_full_entropy(traces):
    weights = np.tril(np.ones((8, 8))) / np.arange(1, 9)[:, None]
    found = scores_of(traces["transformer"], weights, REPEATED)
    assert found["entropy"] == pytest.approx(1, rel=1e-6)
    assert found["sink"] == pytest.approx(np.mean(1 / np.arange(2, 9)), rel=1e-6)
    assert found["induction"] == pytest.approx(np.mean(1 / np.arange(5, 9)), rel=1e-6)


def test_no_repeated_token_means_no_induction(traces):
    assert scores_of(traces["transformer"], one_hot([0, 0, 1]), [1, 2, 3])["induction"] == 0


def test_one_token_has_no_scores(traces):
    assert set(scores_of(traces["transformer"], np.ones((1, 1)), [1]).values()) == {0.0}


def test_most_structured_head_is_not_a_sink(traces):
    sink, previous = one_hot([0, 0, 0, 0]), one_hot([0, 0, 1, 2])
    part = NamedArray(np.stack([sink, previous]).astype(np.float32), ("head", "query", "key"))
    tokens = tuple(Token(i, i, str(i), i, i + 1) for i in range(4))
    layers = (LayerTrace(0, "attention", "dense", {"attention": part}),)
    trace = dataclasses.replace(traces["transformer"], tokens=tokens, layers=layers)
    assert most_structured_head(trace) == (0, 1)


def with_heads(trace, *heads):
    part = NamedArray(np.stack(heads).astype(np.float32), ("head", "query", "key"))
    tokens = tuple(Token(i, i, str(i), i, i + 1) for i in range(len(heads[0])))
    return dataclasses.replace(trace, tokens=tokens, layers=(LayerTrace(0, "attention", "dense", {"attention": part}),))


def test_most_telling_head_looks_beyond_itself_the_one_before_and_the_first(traces):
    first, previous, itself, far = ([0, 0, 0, 0, n] for n in (0, 3, 4, 2))
    trace = with_heads(traces["transformer"], *map(one_hot, (first, previous, itself, far)))
    assert most_telling_head(trace) == (0, 3)
    short = with_heads(traces["transformer"], one_hot([0, 0, 0]), one_hot([0, 0, 1]))
    assert most_telling_head(short) == most_structured_head(short)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([0, 0, 1, 2, 3, 0], "75% of its attention to the token before"),
        ([0, 0, 0, 0, 0, 4], "75% of its attention to the first token"),
        ([0, 0, 2, 3, 4, 0], "75% of its attention to the token itself"),
        ([0, 0, 0, 1, 2, 1], "75% of its attention to tokens between"),
        ([0, 0], ""),
    ],
)
def test_a_head_says_where_its_attention_goes(traces, rows, told):
    trace = with_heads(traces["transformer"], one_hot(rows))
    finding = head_matrix(trace, theme=LIGHT, t=i18n.translator("en"), layer=0, head=0).finding
    assert told in finding and bool(told) == bool(finding)


def test_look_back_of_known_patterns():
    np.testing.assert_allclose(look_back(np.eye(5)), 0)
    np.testing.assert_allclose(look_back(np.eye(5, k=-1)), [0, 1, 1, 1, 1])
    np.testing.assert_allclose(look_back(np.tril(np.ones((5, 5)))), np.arange(5) / 2)


def test_look_back_ignores_signs_and_scale():
    matrix = np.tril(np.sin(np.arange(36.0)).reshape(6, 6))
    np.testing.assert_allclose(look_back(-3 * matrix), look_back(matrix))


def test_most_varied_takes_one_channel_from_each_run():
    half_life = np.arange(1.0, 9.0)
    track = np.zeros((3, 8))
    track[:, [1, 6]] = [[0, 0], [1, 1], [-1, -1]]
    np.testing.assert_array_equal(most_varied(half_life, track, count=2), [6, 1])


def test_more_channels_than_there_are_shows_all():
    half_life = np.array([2.0, 8.0, 4.0])
    np.testing.assert_array_equal(most_varied(half_life, np.zeros((2, 3)), count=9), [1, 2, 0])
    np.testing.assert_array_equal(quantile_channels(half_life, count=9), [1, 2, 0])


def test_binned_rows_average_neighbours():
    values = np.array([[1.0, 2.0, 3.0, 4.0]])
    rows, runs = binned(values, longest_first(np.array([1.0, 2.0, 3.0, 4.0])), rows=2)
    np.testing.assert_allclose(rows, [[3.5], [1.5]])
    assert [run.tolist() for run in runs] == [[3, 2], [1, 0]]


@pytest.mark.parametrize(
    "places",
    [[0.0, 0.0, 0.0], [1.0, 0.9, 5.0, 5.05], [], [3.0], [0.0, 10.0]],
    ids=["equal", "two pairs", "none", "one", "apart"],
)
def test_dodged_labels_are_apart_and_in_order(places):
    moved = spread_apart(places, gap=1.0)
    assert np.argsort(moved, kind="stable").tolist() == np.argsort(places, kind="stable").tolist()
    assert (np.diff(np.sort(moved)) >= 1.0 - 1e-9).all()
    assert np.mean(moved or [0]) == pytest.approx(np.mean(places or [0]))


def test_labels_that_do_not_touch_do_not_move():
    assert spread_apart([0.0, 2.0, 9.0], gap=1.0) == [0.0, 2.0, 9.0]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.25, "0.25"), (1 / 3, "0.333"), (104.4, "104"), (0.00012, "1.2e-4"), (2e6, "2e6"), (-0.5, "-0.5")],
)
def test_short_numbers(value, text):
    assert short(value) == text


@pytest.mark.parametrize(
    ("count", "text"), [(512, "512 B"), (7680, "7.5 KiB"), (1 << 30, "1 GiB"), (300 << 20, "300 MiB")]
)
def test_sizes(count, text):
    assert size(count) == text


@pytest.mark.parametrize(("value", "text"), [(2.5, "2.5 s"), (0.0125, "12.5 ms"), (3e-6, "3 µs")])
def test_durations(value, text):
    assert seconds(value) == text
