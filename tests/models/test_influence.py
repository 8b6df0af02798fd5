"""Gradients and replaced tokens against finite differences, plain loops and the model as transformers runs it."""

import copy
import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch

from models.influence.gradient import connectivity, gradient
from models.influence.reading import embeddings, hidden, logits, reading
from models.influence.replacement import replacement
from models.operators import backends
from models.records.trace import ModelTrace
from models.scores import rank_correlation, ranks, recency, row_agreement
from models.tracing.adapter import Checkpoint

Loader = Callable[[str], Checkpoint]
Tracer = Callable[[str, str], ModelTrace]
TEXT = "The wolf met a wolf, and 늑대 said to the King"
CLOSE = 2e-4  # of the largest value of a row, in float32


def ids_of(trace: ModelTrace) -> list[int]:
    return [token.id for token in trace.tokens]


def by_autograd(checkpoint: Checkpoint, ids: list[int], t: int) -> np.ndarray:
    """Differentiate the model's own head over the whole text, its future included, one copy, one query."""
    model = checkpoint.model
    vectors = model.get_input_embeddings()(torch.tensor([ids])).detach().requires_grad_(True)
    with torch.enable_grad():
        largest = model(inputs_embeds=vectors, use_cache=False).logits[0, t].max()
        (slope,) = torch.autograd.grad(largest, vectors)
    return slope[0].norm(dim=-1).numpy()


def test_embeddings_in_place_of_tokens_give_the_logits_of_the_run(
    name: str, checkpoint_of: Loader, trace_of: Tracer
) -> None:
    trace, checkpoint = trace_of(name, TEXT), checkpoint_of(name)
    with reading(checkpoint, grad=False):
        found = logits(checkpoint, hidden(checkpoint, embeddings(checkpoint, ids_of(trace))[None])[0]).numpy()
    size = np.abs(trace.logits.values).max()
    assert np.abs(found - trace.logits.values).max() < 1e-4 * size


def test_the_gradient_is_zero_to_the_future_and_positive_to_the_past(
    name: str, checkpoint_of: Loader, trace_of: Tracer
) -> None:
    """Test C-a: also where the whole text is read and nothing is cut off after the query."""
    trace, checkpoint = trace_of(name, TEXT), checkpoint_of(name)
    values, count = gradient(checkpoint, trace).values.values, len(trace.tokens)
    past = np.tri(count, dtype=bool)
    assert (values[~past] == 0).all() and np.isfinite(values).all()
    seen = past
    if name == "seeded-mistral":  # a window of 5 tokens in each of 3 layers: what lies farther back cannot be read
        place = np.arange(count)
        seen = past & (place[:, None] - place[None] <= 3 * 4)
        assert (values[past & ~seen] == 0).all()
    assert (values[seen] > 0).all()
    whole = by_autograd(checkpoint, ids_of(trace), count // 2)
    assert (whole[count // 2 + 1 :] == 0).all() and whole[: count // 2 + 1].max() > 0


def test_the_gradient_is_that_of_the_model_itself(name: str, checkpoint_of: Loader, trace_of: Tracer) -> None:
    trace, checkpoint = trace_of(name, TEXT), checkpoint_of(name)
    ids = ids_of(trace)
    values = gradient(checkpoint, trace).values.values
    for t in (0, 1, len(ids) // 2, len(ids) - 1):
        second, first = np.sort(trace.logits.values[t])[-2:]
        if first - second <= 1e-4 * abs(first):  # a tie, as after a start token whose embedding is zero
            continue
        known = by_autograd(checkpoint, ids, t)
        assert np.abs(values[t] - known).max() <= CLOSE * known.max(), t


@pytest.mark.parametrize("kind", ["llama", "mamba", "rwkv", "jamba", "mixtral"])
def test_the_gradient_is_that_of_finite_differences(kind: str, checkpoint_of: Loader, trace_of: Tracer) -> None:
    """In float64 on tiny models: the slope along single directions, by reading the text twice."""
    known = checkpoint_of(f"seeded-{kind}")
    checkpoint = dataclasses.replace(known, model=copy.deepcopy(known.model).double())
    table = checkpoint.model.get_input_embeddings().weight
    table.copy_(torch.randn(table.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64))
    ids = ids_of(trace_of(f"seeded-{kind}", TEXT))[:7]
    t, step = 5, 1e-2  # transformers' norms are in float32, whose noise is divided by the step
    with backends.use("reference"):
        found = connectivity(checkpoint, ids, [t])[0]
        with reading(checkpoint, grad=False):
            own = embeddings(checkpoint, ids)
            best = int(logits(checkpoint, hidden(checkpoint, own[None])[0, t]).argmax())

            def score(vectors: torch.Tensor) -> float:
                return float(logits(checkpoint, hidden(checkpoint, vectors[None])[0, t])[best])

            for j in range(len(ids)):
                slope = torch.zeros(own.shape[1], dtype=torch.float64)
                for k in range(own.shape[1]):
                    moved = torch.zeros_like(own)
                    moved[j, k] = step
                    slope[k] = (score(own + moved) - score(own - moved)) / (2 * step)
                assert float(slope.norm()) == pytest.approx(float(found[j]), rel=1e-2, abs=5e-3 * float(found.max())), j
    assert found[t + 1 :].max(initial=0) == 0


@pytest.mark.parametrize("bundled", ["mamba", "rwkv", "jamba"])
def test_compiled_and_reference_operators_have_one_gradient(
    bundled: str, checkpoint_of: Loader, trace_of: Tracer
) -> None:
    ids, checkpoint = ids_of(trace_of(bundled, TEXT)), checkpoint_of(bundled)
    fast = connectivity(checkpoint, ids, [3, len(ids) - 1])
    with backends.use("reference"):
        slow = connectivity(checkpoint, ids, [3, len(ids) - 1])
    assert np.abs(fast - slow).max() <= CLOSE * slow.max()


def test_only_the_queries_that_are_asked_for_are_known(checkpoint_of: Loader, trace_of: Tracer) -> None:
    trace, checkpoint = trace_of("seeded-rwkv", TEXT), checkpoint_of("seeded-rwkv")
    some, every = gradient(checkpoint, trace, [7, 2]), gradient(checkpoint, trace)
    assert some.known == (2, 7) and every.known == tuple(range(len(trace.tokens)))
    assert np.allclose(some.values.values[[2, 7]], every.values.values[[2, 7]], rtol=1e-4, atol=1e-9)
    assert np.isnan(some.values.values[3]).all()


def test_a_padded_batch_changes_nothing(checkpoint_of: Loader, trace_of: Tracer) -> None:
    """Test C-b: a query alone, and beside longer ones, whose copies go on after it."""
    for name in ("seeded-llama", "seeded-mamba", "seeded-rwkv", "seeded-jamba"):
        ids, checkpoint = ids_of(trace_of(name, TEXT)), checkpoint_of(name)
        alone, beside = connectivity(checkpoint, ids, [4]), connectivity(checkpoint, ids, [4, len(ids) - 1])
        assert np.abs(alone[0] - beside[0]).max() <= CLOSE * alone.max(), name


@pytest.mark.parametrize("text", ["", "a"], ids=["one token", "two tokens"])
def test_the_shortest_texts(text: str, checkpoint_of: Loader, trace_of: Tracer) -> None:
    trace = trace_of("seeded-mamba", text or "a")
    found = gradient(checkpoint_of("seeded-mamba"), trace).values.values
    moved = replacement(checkpoint_of("seeded-mamba"), trace).values.values
    assert found.shape == moved.shape == (len(trace.tokens),) * 2 and (np.diagonal(found) > 0).all()


def test_replacing_a_token_is_reading_another_text(name: str, checkpoint_of: Loader, trace_of: Tracer) -> None:
    """By the model's own forward pass on one text at a time, and the whole distribution."""
    trace, checkpoint = trace_of(name, TEXT), checkpoint_of(name)
    ids, model = ids_of(trace), checkpoint.model
    values = replacement(checkpoint, trace).values.values
    average = model.get_input_embeddings().weight.detach().mean(0)
    with torch.no_grad():
        own = model.get_input_embeddings()(torch.tensor([ids])).detach()
        before = torch.log_softmax(model(inputs_embeds=own, use_cache=False).logits[0].double(), -1)
        for j in (0, len(ids) // 2, len(ids) - 1):
            other = own.clone()
            other[0, j] = average
            after = torch.log_softmax(model(inputs_embeds=other, use_cache=False).logits[0].double(), -1)
            known = ((before.exp() * (before - after)).sum(-1) / np.log(2)).numpy()
            assert np.abs(values[:, j] - known).max() <= 1e-3 * max(known.max(), 1e-3), j
            assert (values[:j, j] == 0).all()


def test_ranks_share_the_mean_of_equal_values() -> None:
    assert ranks(np.array([3.0, 1.0, 3.0, 3.0])).tolist() == [3.0, 1.0, 3.0, 3.0]


def test_the_rank_correlation_of_known_orders() -> None:
    up = np.arange(6.0)
    assert rank_correlation(up, np.exp(up)) == pytest.approx(1) and rank_correlation(up, -(up**3)) == pytest.approx(-1)
    assert np.isnan(rank_correlation(up, np.ones(6)))
    other = np.array([2.0, 0.0, 1.0, 5.0, 4.0, 3.0])
    assert rank_correlation(up, other) == pytest.approx(1 - 6 * ((up - other) ** 2).sum() / (6 * 35))


def test_the_agreement_of_rows_looks_at_the_past_alone() -> None:
    map_ = np.random.default_rng(3).random((8, 8))
    effect = map_ + np.triu(np.full((8, 8), 9.0), 1)  # what differs lies in the future
    assert row_agreement(map_, effect, range(8)) == pytest.approx(1)
    assert row_agreement(map_, recency(8), [7]) == pytest.approx(rank_correlation(map_[7], np.arange(8)))
    assert np.isnan(row_agreement(map_, effect, [0, 1]))
