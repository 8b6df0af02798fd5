"""The distribution over the next token: known answers, the laws it keeps, and transformers' own warpers as oracle."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.generation.logits_process import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from models.errors import ContextscopeError, SettingError, SourceError
from models.generation.distribution import Sampling, next_token, shares, softmax

Z = np.log([0.4, 0.3, 0.2, 0.1])  # logits whose softmax is easy to read

logits = st.lists(st.floats(-30, 30, width=32), min_size=1, max_size=40).map(np.array)
samplings = st.builds(
    Sampling,
    temperature=st.floats(0.05, 5),
    top_k=st.none() | st.integers(1, 50),
    top_p=st.floats(0.01, 1),
)


def test_without_settings_it_is_softmax_over_the_whole_vocabulary() -> None:
    found = next_token(Z)
    assert found.probs == pytest.approx([0.4, 0.3, 0.2, 0.1])
    assert (found.kept, found.kept_mass) == (4, pytest.approx(1))
    assert found.order.tolist() == [0, 1, 2, 3]
    assert found.surprisal(2) == pytest.approx(-math.log2(0.2))


def test_temperature_divides_the_logits() -> None:
    """At T = 1/2 probabilities are squared: 16, 9, 4, 1 of 30."""
    found = next_token(Z, Sampling(temperature=0.5))
    assert found.probs == pytest.approx(np.array([16, 9, 4, 1]) / 30)
    assert found.scaled == pytest.approx(2 * Z)
    assert found.own == pytest.approx([0.4, 0.3, 0.2, 0.1]), "the model's own probabilities do not change"


def test_top_k_keeps_exactly_k_of_equals_the_lower_ids() -> None:
    found = next_token([0.0, 1.0, 1.0, 1.0], Sampling(top_k=2))
    assert found.order[: found.kept].tolist() == [1, 2]
    assert found.probs.tolist() == [0, 0.5, 0.5, 0]
    assert found.kept_mass == pytest.approx(2 * math.e / (1 + 3 * math.e))
    assert np.isneginf(found.scaled[[0, 3]]).all()


@pytest.mark.parametrize(
    ("p", "kept"), [(0.05, 1), (0.4, 1), (0.41, 2), (0.7, 2), (0.71, 3), (0.9, 3), (0.95, 4), (1, 4)]
)
def test_top_p_keeps_the_shortest_list_that_reaches_p(p: float, kept: int) -> None:
    found = next_token(np.log([0.4, 0.3, 0.2, 0.1]) + 1e-9, Sampling(top_p=p - 1e-6 if p < 1 else p))
    assert found.kept == kept


def test_top_p_counts_within_what_top_k_left() -> None:
    """Of 0.4 and 0.3 the first is 4/7 = 0.571 of both: enough for p = 0.55, though not of the whole vocabulary."""
    found = next_token(Z, Sampling(top_k=2, top_p=0.55))
    assert found.kept == 1
    assert found.kept_mass == pytest.approx(0.4)
    assert next_token(Z, Sampling(top_p=0.55)).kept == 2


@settings(max_examples=80, deadline=None)
@given(logits, samplings)
def test_it_keeps_its_laws(z: np.ndarray, sampling: Sampling) -> None:
    found = next_token(z, sampling)
    assert found.probs.sum() == pytest.approx(1)
    assert 0 < found.kept_mass <= 1
    assert (found.probs > 0).sum() <= found.kept <= (sampling.top_k or len(z))
    assert sorted(found.order.tolist()) == list(range(len(z)))
    assert (np.diff(found.logits[found.order]) <= 0).all()
    assert found.greedy() == int(np.argmax(z)) and found.rank(found.greedy()) == 1
    least = found.probs[found.order[: found.kept]].min()
    assert found.probs == pytest.approx(
        np.where(found.probs > 0, softmax(z / sampling.temperature), 0) / found.kept_mass
    )
    assert least >= 0
    assert found.drawn(0.0) == found.greedy()
    assert found.drawn(math.nextafter(1, 0)) in found.order[: found.kept]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), samplings)
def test_it_is_what_transformers_draws_from(seed: int, sampling: Sampling) -> None:
    """The same order of the same three steps, on logits without equals."""
    z = np.random.default_rng(seed).normal(scale=3, size=60)
    scores = TemperatureLogitsWarper(sampling.temperature)(None, torch.tensor(z)[None])
    if sampling.top_k is not None:
        scores = TopKLogitsWarper(min(sampling.top_k, 60))(None, scores)
    if sampling.top_p < 1:
        scores = TopPLogitsWarper(sampling.top_p)(None, scores)
    assert next_token(z, sampling).probs == pytest.approx(torch.softmax(scores, -1)[0].numpy(), abs=1e-9)


def test_a_seed_draws_the_same_tokens() -> None:
    """Known answer: PCG64 with seed 3 begins with 0.0856, 0.2368, 0.8013, 0.5822, 0.0941."""
    lots = shares(3)
    found = [next(lots) for _ in range(5)]
    assert found == pytest.approx([0.08564917, 0.23681051, 0.80127447, 0.58216204, 0.09412864], abs=1e-7)
    assert [next_token(Z).drawn(share) for share in found] == [0, 0, 2, 1, 0]


@pytest.mark.parametrize(
    "sampling", [Sampling(), Sampling(temperature=1.7), Sampling(0.8, 3), Sampling(1.2, None, 0.75)]
)
def test_tokens_come_as_often_as_the_distribution_says(sampling: Sampling) -> None:
    """Pearson's chi-square of 20,000 draws with a fixed seed stays below its 99.9 % quantile for 3 degrees: 16.27."""
    found, count, lots = next_token(Z, sampling), 20_000, shares(11)
    seen = np.bincount([found.drawn(next(lots)) for _ in range(count)], minlength=4)
    expected = found.probs * count
    assert seen[expected == 0].sum() == 0
    kept = expected > 0
    assert (((seen - expected) ** 2)[kept] / expected[kept]).sum() < 16.27


def test_the_frequency_test_would_see_another_distribution() -> None:
    found, count, lots = next_token(Z), 20_000, shares(11)
    seen = np.bincount([found.drawn(next(lots)) for _ in range(count)], minlength=4)
    wrong = next_token(Z, Sampling(temperature=1.1)).probs * count
    assert ((seen - wrong) ** 2 / wrong).sum() > 16.27


@pytest.mark.parametrize(
    ("key", "options"),
    [("temperature", {"temperature": bad}) for bad in (0, -1, math.nan, math.inf, 1e-9)]
    + [("top_k", {"top_k": bad}) for bad in (0, -3, 1.5, True)]
    + [("top_p", {"top_p": bad}) for bad in (0, -0.1, 1.01, math.nan)],
)
def test_settings_that_mean_nothing_are_refused(key: str, options: dict) -> None:
    with pytest.raises(SettingError) as caught:
        Sampling(**options)
    assert caught.value.key == f"errors.{key}"
    assert isinstance(caught.value, ContextscopeError)


@pytest.mark.parametrize("bad", [[1, math.nan], [1, math.inf], [-math.inf, -math.inf]])
def test_logits_without_a_softmax_are_refused(bad: list[float]) -> None:
    with pytest.raises(SourceError) as caught:
        next_token(bad)
    assert caught.value.key == "errors.logits"


def test_excluded_tokens_are_never_drawn() -> None:
    found = next_token([0.0, -math.inf, 1.0])
    assert found.kept == 2 and found.own[1] == 0
    assert math.isinf(found.surprisal(1))
    with pytest.raises(ValueError, match="shape"):
        next_token([[1.0, 2.0]])
