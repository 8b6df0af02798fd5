"""WKV: fast equals reference in value, state and gradient; the operator equals the loop."""

import pytest
import torch
from seqops.wkv import empty_state, wkv_fast, wkv_matrix, wkv_ref, wkv_states
from torch import Tensor

VALUE, GRADIENT = 5e-6, 1e-5


def relative(x: Tensor, reference: Tensor) -> float:
    return ((x.double() - reference.double()).abs().max() / reference.abs().max()).item()


def problem(b: int, l: int, d: int = 19) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(1000 * b + l)
    draw = lambda *shape: torch.randn(*shape, generator=g, dtype=torch.float64)  # noqa: E731
    return {"w": torch.exp(draw(d)), "u": draw(d), "k": 3 * draw(b, l, d), "v": draw(b, l, d)}


@pytest.mark.parametrize("l", (1, 7, 63, 200))
@pytest.mark.parametrize("b", (1, 3))
def test_fast_equals_reference_in_output_state_and_every_gradient(b: int, l: int) -> None:
    tensors = problem(b, l)
    exact = {k: v.clone().requires_grad_() for k, v in tensors.items()}
    single = {k: v.float().requires_grad_() for k, v in tensors.items()}
    y, state = wkv_ref(**exact)
    y_fast, state_fast = wkv_fast(**single)
    assert relative(y_fast, y) < VALUE
    for mine, reference in zip(state_fast, state, strict=True):
        assert relative(mine, reference) < VALUE
    weight = torch.cos(torch.arange(y.numel(), dtype=torch.float64)).view_as(y)
    (y * weight).sum().backward()
    (y_fast * weight.float()).sum().backward()
    # With one token wkv is v itself: neither decay nor bonus nor key has any influence.
    expected = {n: torch.zeros_like(x) if x.grad is None else x.grad for n, x in exact.items()}
    scale = max(g.abs().max().item() for g in expected.values())
    for name, gradient in expected.items():
        error = (single[name].grad.double() - gradient).abs().max().item()
        assert error < GRADIENT * max(gradient.abs().max().item(), 1e-3 * scale), name


def test_the_stable_state_is_the_direct_recurrence() -> None:
    """R-b: num e^max and den e^max are the plain sums in double precision."""
    t = problem(2, 63)
    _, state = wkv_fast(**{k: v.float() for k, v in t.items()})
    num = den = torch.zeros(2, 19, dtype=torch.float64)
    for i in range(63):
        num = torch.exp(-t["w"]) * num + torch.exp(t["k"][:, i]) * t["v"][:, i]
        den = torch.exp(-t["w"]) * den + torch.exp(t["k"][:, i])
    scale = torch.exp(state.max.double())
    assert relative(state.num * scale, num) < 2e-5
    assert relative(state.den * scale, den) < 2e-5


def test_huge_keys_do_not_overflow() -> None:
    t = {k: v.float() for k, v in problem(1, 63).items()}
    y, state = wkv_fast(t["w"], t["u"], t["k"] * 200, t["v"])
    assert torch.isfinite(y).all() and all(torch.isfinite(s).all() for s in state)


def test_chunks_equal_the_whole() -> None:
    t = problem(2, 63)
    whole, end = wkv_ref(**t)
    state, pieces = None, []
    for first, last in ((0, 1), (1, 30), (30, 63)):
        y, state = wkv_fast(t["w"], t["u"], t["k"][:, first:last], t["v"][:, first:last], initial_state=state)
        pieces.append(y)
    assert relative(torch.cat(pieces, 1), whole) < VALUE
    assert state is not None and relative(state.num, end.num) < VALUE


def test_recorded_states_end_where_the_loop_ends() -> None:
    t = problem(2, 17)
    _, end = wkv_ref(**t)
    states = wkv_states(t["w"], t["k"], t["v"])
    for recorded, last in zip(states, end, strict=True):
        assert torch.equal(recorded[:, -1], last)
    assert empty_state(t["k"]).max.max() < -1e37


@pytest.mark.parametrize("l", (1, 7, 63))
def test_effective_attention_rebuilds_wkv_and_its_rows_sum_to_one(l: int) -> None:
    """R-a, on the operator."""
    t = problem(1, l)
    p = wkv_matrix(t["w"], t["u"], t["k"][0])
    assert torch.allclose(p.sum(-1), torch.ones(19, l, dtype=torch.float64), atol=1e-12)
    assert torch.equal(p, p.tril())
    assert relative(torch.einsum("cti,ic->tc", p, t["v"][0]), wkv_ref(**t)[0][0]) < 1e-12


def test_a_wrong_shape_is_refused_before_the_compiled_loop() -> None:
    t = {k: v.float() for k, v in problem(1, 7).items()}
    with pytest.raises(ValueError, match="state has shape"):
        wkv_fast(**t, initial_state=empty_state(t["k"][..., :3]))
