"""The causal convolution: fast equals reference and torch's grouped convolution, also from a state and in chunks."""

import operator_problems as problems
import pytest
import torch
import torch.nn.functional as F
from operator_problems import BATCHES, relative
from seqops.causal_conv import causal_conv_fast, causal_conv_ref, causal_conv_step
from torch import Tensor


def problem(b: int, l: int, taps: int, *, bias: bool) -> dict[str, Tensor]:
    g = problems.generator(b, l, taps)
    draw = lambda *shape: torch.randn(*shape, generator=g, dtype=torch.float64)  # noqa: E731
    made = {"x": draw(b, l, 5), "weight": draw(5, taps), "initial_state": draw(b, taps - 1, 5)}
    return made | ({"bias": draw(5)} if bias else {})


@pytest.mark.parametrize("l", (1, 2, 7, 63, 200))
@pytest.mark.parametrize("b", BATCHES)
@pytest.mark.parametrize("taps", (2, 4))
@pytest.mark.parametrize("bias", (True, False))
def test_fast_equals_reference_with_every_gradient(b: int, l: int, taps: int, bias: bool) -> None:
    made = problem(b, l, taps, bias=bias)
    problems.compare(causal_conv_ref, causal_conv_fast, made, value=1e-6, gradient=2e-6)


@pytest.mark.parametrize("l", (1, 2, 7, 63))
def test_without_a_state_it_is_the_grouped_convolution(l: int) -> None:
    made = problem(2, l, 4, bias=True)
    x, weight, bias = made["x"], made["weight"], made["bias"]
    grouped = F.conv1d(x.transpose(1, 2), weight[:, None], bias, padding=3, groups=5)[..., :l].transpose(1, 2)
    for conv in (causal_conv_ref, causal_conv_fast):
        assert relative(conv(x, weight, bias)[0], grouped) < 1e-12


def test_chunks_and_steps_equal_the_whole() -> None:
    made = problem(2, 20, 4, bias=True)
    x, weight, bias, state = made["x"], made["weight"], made["bias"], made["initial_state"]
    whole, end = causal_conv_ref(x, weight, bias, initial_state=state)
    pieces = []
    for first, last in ((0, 1), (1, 3), (3, 20)):
        y, state = causal_conv_fast(x[:, first:last], weight, bias, initial_state=state)
        pieces.append(y)
    assert relative(torch.cat(pieces, 1), whole) < 1e-12 and torch.equal(state, end)
    state = made["initial_state"]
    for t in range(20):
        y, state = causal_conv_step(state, x[:, t], weight, bias)
        assert relative(y, whole[:, t]) < 1e-12
    assert torch.equal(state, end)


def test_a_wrong_shape_is_refused() -> None:
    made = problem(1, 7, 4, bias=False)
    with pytest.raises(ValueError, match="state has shape"):
        causal_conv_fast(made["x"], made["weight"], initial_state=made["initial_state"][:, 1:])
