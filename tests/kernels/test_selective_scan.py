"""The selective scan: fast equals reference in value, state and gradient; the operator equals the scan."""

import pytest
import torch
from seqops.selective_scan import (
    hidden_attention_summary,
    selective_scan_fast,
    selective_scan_matrix,
    selective_scan_ref,
    selective_scan_states,
    selective_scan_step,
)
from torch import Tensor

LENGTHS = (1, 7, 63, 200)
VALUE, GRADIENT = 2e-6, 5e-6  # float32 against a float64 reference, relative to the largest entry


def relative(x: Tensor, reference: Tensor) -> float:
    return ((x.double() - reference.double()).abs().max() / reference.abs().max()).item()


def problem(b: int, l: int, d: int = 21, n: int = 5, *, step: float = 1.0) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(1000 * b + l)
    draw = lambda *shape: torch.randn(*shape, generator=g, dtype=torch.float64)  # noqa: E731
    return {
        "u": draw(b, l, d),
        "dt": step * torch.nn.functional.softplus(draw(b, l, d)),
        "A": -torch.exp(draw(d, n)),
        "B": draw(b, l, n),
        "C": draw(b, l, n),
        "D": draw(d),
        "initial_state": draw(b, d, n),
    }


def leaves(tensors: dict[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    return {k: v.detach().clone().to(dtype).requires_grad_() for k, v in tensors.items()}


@pytest.mark.parametrize("l", LENGTHS)
@pytest.mark.parametrize("b", (1, 3))
def test_fast_equals_reference_in_output_state_and_every_gradient(b: int, l: int) -> None:
    tensors = problem(b, l)
    exact, single = leaves(tensors, torch.float64), leaves(tensors, torch.float32)
    y, state = selective_scan_ref(**exact)
    y_fast, state_fast = selective_scan_fast(**single)
    assert relative(y_fast, y) < VALUE
    assert relative(state_fast, state) < VALUE
    weight = torch.cos(torch.arange(y.numel(), dtype=torch.float64)).view_as(y)
    ((y * weight).sum() + state.sum()).backward()
    ((y_fast * weight.float()).sum() + state_fast.sum()).backward()
    for name in tensors:
        assert relative(single[name].grad, exact[name].grad) < GRADIENT, name


def test_fast_survives_poisoned_memory() -> None:
    tensors = {k: v.float() for k, v in problem(2, 63).items()}
    poison = [torch.full((1 << 18,), float("nan")) for _ in range(8)]
    del poison
    y, state = selective_scan_fast(**tensors)
    assert torch.isfinite(y).all() and torch.isfinite(state).all()


def test_large_steps_forget_without_overflow() -> None:
    tensors = problem(1, 63, step=400.0)
    y, _ = selective_scan_ref(**tensors)
    y_fast, _ = selective_scan_fast(**{k: v.float() for k, v in tensors.items()})
    assert relative(y_fast, y) < VALUE


def test_chunks_with_the_carried_state_equal_the_whole() -> None:
    tensors = problem(2, 63)
    start = tensors.pop("initial_state")
    shared = {k: tensors.pop(k) for k in ("A", "D")}
    whole, end = selective_scan_ref(**tensors, **shared, initial_state=start)
    state, pieces = start.float(), []
    for first, last in ((0, 17), (17, 18), (18, 63)):
        chunk = {k: v[:, first:last].float() for k, v in tensors.items()}
        y, state = selective_scan_fast(**chunk, **{k: v.float() for k, v in shared.items()}, initial_state=state)
        pieces.append(y)
    assert relative(torch.cat(pieces, 1), whole) < VALUE
    assert relative(state, end) < VALUE


def test_steps_and_recorded_states_equal_the_scan() -> None:
    tensors = problem(2, 7)
    y, end = selective_scan_ref(**tensors)
    state, out = tensors["initial_state"], []
    for t in range(7):
        args = [tensors[k][:, t] for k in ("u", "dt")] + [tensors["A"]] + [tensors[k][:, t] for k in ("B", "C")]
        y_t, state = selective_scan_step(state, *args, tensors["D"])
        out.append(y_t)
    assert torch.equal(torch.stack(out, 1), y) and torch.equal(state, end)
    u, dt, a, b = (tensors[k] for k in ("u", "dt", "A", "B"))
    every = selective_scan_states(u, dt, a, b, initial_state=tensors["initial_state"])
    assert torch.equal(every[:, -1], end)
    third = selective_scan_states(u, dt, a, b, initial_state=tensors["initial_state"], every=3)
    assert torch.equal(third, every[:, 2::3])


@pytest.mark.parametrize("l", LENGTHS)
def test_matrix_and_summary_rebuild_the_scan(l: int) -> None:
    tensors = problem(1, l)
    u, dt, a, b, c = (tensors[k] for k in ("u", "dt", "A", "B", "C"))
    y, _ = selective_scan_ref(u, dt, a, b, c)
    alpha = selective_scan_matrix(dt[0], a, b[0], c[0])
    assert torch.equal(alpha, alpha.tril())
    assert relative(torch.einsum("cij,jc->ic", alpha, u[0]), y[0]) < 1e-12
    mean, rebuilt = hidden_attention_summary(dt[0], a, b[0], c[0], u[0])
    assert relative(mean, alpha.abs().mean(0)) < VALUE
    assert relative(rebuilt, y[0]) < VALUE


def test_one_token_reduces_to_step_times_read_times_write() -> None:
    """M-i."""
    t = problem(1, 1)
    alpha = selective_scan_matrix(t["dt"][0], t["A"], t["B"][0], t["C"][0])[:, 0, 0]
    assert torch.allclose(alpha, t["dt"][0, 0] * (t["C"][0, 0] @ t["B"][0, 0]), rtol=1e-12)


def test_constant_selection_gives_a_toeplitz_operator() -> None:
    """M-d: without selectivity the model is time invariant."""
    t = problem(1, 40)
    dt, b, c = (t[k][0, :1].expand(40, -1) for k in ("dt", "B", "C"))
    alpha = selective_scan_matrix(dt, t["A"], b, c)
    for k in range(40):
        diagonal = alpha.diagonal(-k, 1, 2)  # (c, 40 - k)
        assert relative(diagonal, diagonal[:, :1].expand_as(diagonal)) < 1e-10


def test_stretched_steps_stay_finite_where_the_factorised_form_does_not() -> None:
    """M-j: exp(s_i) exp(-s_j) overflows at forty times the step; differences of cumulative sums do not."""
    t = {k: v.float() for k, v in problem(1, 63, step=40.0).items()}
    total = torch.cumsum(t["dt"][0, :, 0], 0) * t["A"][0, 0]
    factorised = torch.exp(total)[:, None] * torch.exp(-total)[None, :]
    assert not torch.isfinite(factorised.tril()).all()
    assert torch.isfinite(selective_scan_matrix(t["dt"][0], t["A"], t["B"][0], t["C"][0])).all()


def test_a_wrong_shape_is_refused_before_the_compiled_loop() -> None:
    t = {k: v.float() for k, v in problem(1, 7).items()}
    with pytest.raises(ValueError, match="B has shape"):
        selective_scan_fast(**{**t, "B": t["B"][:, :3]})
