"""Softmax attention: fast equals reference with grouped heads, from a cache and in chunks; the operator equals both."""

import operator_problems as problems
import pytest
import torch
from operator_problems import BATCHES, relative
from seqops.attention import KeyValues, attention_fast, attention_matrix, attention_ref, attention_step, per_head
from torch import Tensor


def problem(b: int, l: int, past: int = 0, heads: int = 4, kv: int = 2) -> dict[str, Tensor]:
    g = problems.generator(b, l, past)
    draw = lambda *shape: torch.randn(*shape, generator=g, dtype=torch.float64)  # noqa: E731
    made = {"q": draw(b, heads, l, 6), "k": draw(b, kv, l, 6), "v": draw(b, kv, l, 6)}
    return made | ({"past_k": draw(b, kv, past, 6), "past_v": draw(b, kv, past, 6)} if past else {})


def flat(attention):
    def run(q, k, v, past_k=None, past_v=None):
        past = None if past_k is None else KeyValues(past_k, past_v)
        out, cache = attention(q, k, v, past=past)
        return out, *cache

    return run


@pytest.mark.parametrize("l", (1, 7, 63, 200))
@pytest.mark.parametrize("b", BATCHES)
@pytest.mark.parametrize("past", (0, 11))
def test_fast_equals_reference_with_every_gradient(b: int, l: int, past: int) -> None:
    problems.compare(flat(attention_ref), flat(attention_fast), problem(b, l, past), value=2e-6, gradient=5e-6)


def test_chunks_and_steps_equal_the_whole() -> None:
    made = problem(3, 20)
    whole, _ = attention_ref(**made)
    cache, pieces = None, []
    for first, last in ((0, 1), (1, 9), (9, 20)):
        out, cache = attention_fast(**{k: x[:, :, first:last] for k, x in made.items()}, past=cache)
        pieces.append(out)
    assert relative(torch.cat(pieces, 2), whole) < 1e-12
    cache = KeyValues(made["k"][:, :, :0], made["v"][:, :, :0])
    for t in range(20):
        out, cache = attention_step(cache, *(x[:, :, t] for x in made.values()))
        assert relative(out, whole[:, :, t]) < 1e-12


def test_the_operator_mixes_values_into_the_output() -> None:
    made = problem(2, 30)
    logits, weights = attention_matrix(made["q"], made["k"])
    assert torch.equal(weights, weights.tril())
    assert torch.allclose(weights.sum(-1), torch.ones(2, 4, 30, dtype=torch.float64), atol=1e-12)
    assert relative(weights @ per_head(made["v"], 4), attention_ref(**made)[0]) < 1e-12
    assert relative(logits[0, 3, 5, 2], made["q"][0, 3, 5] @ made["k"][0, 1, 2] / 6**0.5) < 1e-12


def test_a_scale_of_its_own_replaces_the_usual_one() -> None:
    made = problem(1, 9)
    assert relative(attention_fast(**made, scale=0.3)[0], attention_ref(**made, scale=0.3)[0]) < 1e-12
    assert relative(attention_fast(**made)[0], attention_ref(**made, scale=0.3)[0]) > 1e-3
