"""The mixture of experts: sorted by expert equals token by token, also with idle and crowded experts."""

import operator_problems as problems
import pytest
import torch
import torch.nn.functional as F
from operator_problems import relative
from seqops.moe import moe_fast, moe_ref
from torch import Tensor


def problem(tokens: int, experts: int) -> dict[str, Tensor]:
    g = problems.generator(tokens, experts)
    draw = lambda *shape: torch.randn(*shape, generator=g, dtype=torch.float64)  # noqa: E731
    return {
        "x": draw(tokens, 6),
        "gate_up": draw(experts, 14, 6),
        "down": draw(experts, 6, 7),
        "weights": draw(tokens, 2),
    }


def choices(tokens: int, experts: int) -> Tensor:
    g = problems.generator(tokens, experts, 1)
    return torch.stack([torch.randperm(experts, generator=g)[:2] for _ in range(tokens)])


@pytest.mark.parametrize("tokens", (1, 7, 63, 200))
@pytest.mark.parametrize("experts", (2, 5, 16))
def test_fast_equals_reference_with_every_gradient(tokens: int, experts: int) -> None:
    chosen = choices(tokens, experts)
    run = lambda moe: lambda x, gate_up, down, weights: (moe(x, gate_up, down, chosen, weights),)  # noqa: E731
    problems.compare(run(moe_ref), run(moe_fast), problem(tokens, experts), value=2e-6, gradient=5e-6)


def test_an_expert_that_nobody_chose_changes_nothing() -> None:
    made = problem(9, 5)
    chosen = torch.tensor([[0, 3]]).repeat(9, 1)
    made["gate_up"][[1, 2, 4]] = float("nan")
    found = moe_fast(made["x"], made["gate_up"], made["down"], chosen, made["weights"])
    assert relative(found, moe_ref(made["x"], made["gate_up"], made["down"], chosen, made["weights"])) < 1e-12


def test_the_activation_is_the_model_s_own() -> None:
    made, chosen = problem(9, 5), choices(9, 5)
    args = (made["x"], made["gate_up"], made["down"], chosen, made["weights"])
    assert relative(moe_fast(*args, F.gelu), moe_ref(*args, F.gelu)) < 1e-12
    assert relative(moe_fast(*args, F.gelu), moe_ref(*args)) > 1e-3
    assert moe_fast(made["x"][:0], *args[1:3], chosen[:0], made["weights"][:0]).shape == (0, 6)
