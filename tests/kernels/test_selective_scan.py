"""The selective scan: fast equals reference in value, state and gradient; the operator equals the scan."""

import operator_problems as problems
import pytest
import torch
from operator_problems import BATCHES, LENGTHS, relative
from seqops.selective_scan import (
    hidden_attention_summary,
    selective_scan_fast,
    selective_scan_matrix,
    selective_scan_ref,
    selective_scan_step,
    selective_scan_traced,
)
from torch import Tensor

VALUE, GRADIENT = 2e-6, 5e-6  # float32 against a float64 reference, relative to the largest entry


def single(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: x.float() for name, x in tensors.items()}


@pytest.mark.slow
@pytest.mark.parametrize("l", LENGTHS)
@pytest.mark.parametrize("b", BATCHES)
def test_fast_equals_reference_in_output_state_and_every_gradient(b: int, l: int) -> None:
    problems.compare(selective_scan_ref, selective_scan_fast, problems.scan(b, l), value=VALUE, gradient=GRADIENT)


@pytest.mark.parametrize("threads", (1, 2, 5))
@pytest.mark.parametrize("b", BATCHES)
def test_the_slices_of_several_threads_make_the_same_whole(b: int, threads: int, monkeypatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr("seqops.cpu.threads.SMALLEST", 0)
    problem = problems.scan(b, 63, d=70, n=16)
    problems.compare(selective_scan_ref, selective_scan_fast, problem, value=VALUE, gradient=GRADIENT)


@pytest.mark.parametrize("n", (1, 3, 16, 40))
def test_any_number_of_states_per_channel(n: int) -> None:
    problem = problems.scan(2, 20, d=33, n=n)
    problems.compare(selective_scan_ref, selective_scan_fast, problem, value=VALUE, gradient=GRADIENT)


def test_poisoned_memory_is_never_read(monkeypatch) -> None:
    problem = problems.scan(2, 63)
    problems.poison(monkeypatch)
    problems.compare(selective_scan_ref, selective_scan_fast, problem, value=VALUE, gradient=GRADIENT)
    y, state, states = selective_scan_traced(**single(problem), every=7)
    assert all(torch.isfinite(x).all() for x in (y, state, states))


def test_large_steps_forget_without_overflow() -> None:
    tensors = problems.scan(1, 63, step=400.0)
    y, _ = selective_scan_ref(**tensors)
    y_fast, _ = selective_scan_fast(**single(tensors))
    assert relative(y_fast, y) < VALUE


@pytest.mark.parametrize("b", BATCHES)
def test_chunks_with_the_carried_state_equal_the_whole(b: int) -> None:
    tensors = problems.scan(b, 200)
    start = tensors.pop("initial_state")
    shared = {k: tensors.pop(k) for k in ("A", "D")}
    whole, end = selective_scan_ref(**tensors, **shared, initial_state=start)
    state, pieces = start.float(), []
    for first, last in ((0, 17), (17, 18), (18, 18), (18, 129), (129, 200)):
        chunk = {k: v[:, first:last].float() for k, v in tensors.items()}
        y, state = selective_scan_fast(**chunk, **single(shared), initial_state=state)
        pieces.append(y)
    assert relative(torch.cat(pieces, 1), whole) < VALUE
    assert relative(state, end) < VALUE


def test_gradients_cross_the_border_between_chunks() -> None:
    tensors = problems.scan(2, 30)

    def chunked(u, dt, A, B, C, D, initial_state):
        first, state = selective_scan_fast(
            u[:, :13], dt[:, :13], A, B[:, :13], C[:, :13], D, initial_state=initial_state
        )
        second, state = selective_scan_fast(u[:, 13:], dt[:, 13:], A, B[:, 13:], C[:, 13:], D, initial_state=state)
        return torch.cat([first, second], 1), state

    problems.compare(selective_scan_ref, chunked, tensors, value=VALUE, gradient=GRADIENT)


@pytest.mark.parametrize("every", (1, 3, 63, 64))
def test_traced_returns_the_scan_and_the_states_asked_for(every: int) -> None:
    tensors = problems.scan(2, 63)
    y, end = selective_scan_ref(**tensors)
    shared = {k: tensors.pop(k) for k in ("A", "D")}
    state, kept = tensors.pop("initial_state"), []
    start = state
    for t in range(63):
        token = {k: v[:, t : t + 1] for k, v in tensors.items()}
        _, state = selective_scan_ref(**token, **shared, initial_state=state)
        kept.append(state)
    wanted = torch.stack(kept, 1)[:, every - 1 :: every]
    found, last, states = selective_scan_traced(**single(tensors | shared), initial_state=start.float(), every=every)
    assert states.shape == (2, 63 // every, 21, 5) == wanted.shape
    assert relative(found, y) < VALUE and relative(last, end) < VALUE
    assert not wanted.numel() or relative(states, wanted) < VALUE


def test_traced_keeps_no_more_than_asked_for() -> None:
    _, _, states = selective_scan_traced(**single(problems.scan(1, 63)), every=63)
    assert states.numel() == states.untyped_storage().nbytes() // 4 == 21 * 5


def test_steps_equal_the_scan() -> None:
    tensors = problems.scan(3, 7)
    y, end = selective_scan_ref(**tensors)
    state, out = tensors["initial_state"], []
    for t in range(7):
        args = [tensors[k][:, t] for k in ("u", "dt")] + [tensors["A"]] + [tensors[k][:, t] for k in ("B", "C")]
        y_t, state = selective_scan_step(state, *args, tensors["D"])
        out.append(y_t)
    assert relative(torch.stack(out, 1), y) < 1e-14 and relative(state, end) < 1e-14


@pytest.mark.parametrize("dtype", (torch.bfloat16, torch.float16))
def test_half_precision_inputs_keep_a_single_precision_state(dtype: torch.dtype) -> None:
    tensors = problems.scan(2, 63)
    rounded = {k: v.to(dtype) if k in ("u", "dt", "B", "C") else v.float() for k, v in tensors.items()}
    wanted, end = selective_scan_ref(**{k: v.double() for k, v in rounded.items()})
    y, state = selective_scan_fast(**rounded)
    assert y.dtype == dtype and state.dtype == torch.float32
    assert relative(state, end) < VALUE
    assert relative(y, wanted) < torch.finfo(dtype).eps


@pytest.mark.parametrize("l", (1, 7, 16, 63, 200))
@pytest.mark.parametrize("n", (1, 5, 16))
def test_matrix_and_summary_rebuild_the_scan(l: int, n: int) -> None:
    tensors = problems.scan(1, l, n=n)
    u, dt, a, b, c = (tensors[k] for k in ("u", "dt", "A", "B", "C"))
    y, _ = selective_scan_ref(u, dt, a, b, c)
    alpha = selective_scan_matrix(dt[0], a, b[0], c[0])
    assert torch.equal(alpha, alpha.tril())
    assert relative(torch.einsum("cij,jc->ic", alpha, u[0]), y[0]) < 1e-12
    mean, rebuilt = hidden_attention_summary(dt[0], a, b[0], c[0], u[0])
    assert torch.equal(mean, mean.tril())
    assert relative(mean, alpha.abs().mean(0)) < VALUE
    assert relative(rebuilt, y[0]) < VALUE


def test_one_token_reduces_to_step_times_read_times_write() -> None:
    """M-i."""
    t = problems.scan(1, 1)
    alpha = selective_scan_matrix(t["dt"][0], t["A"], t["B"][0], t["C"][0])[:, 0, 0]
    assert torch.allclose(alpha, t["dt"][0, 0] * (t["C"][0, 0] @ t["B"][0, 0]), rtol=1e-12)


def test_constant_selection_gives_a_toeplitz_operator() -> None:
    """M-d: without selectivity the model is time invariant."""
    t = problems.scan(1, 40)
    dt, b, c = (t[k][0, :1].expand(40, -1) for k in ("dt", "B", "C"))
    alpha = selective_scan_matrix(dt, t["A"], b, c)
    for k in range(40):
        diagonal = alpha.diagonal(-k, 1, 2)  # (c, 40 - k)
        assert relative(diagonal, diagonal[:, :1].expand_as(diagonal)) < 1e-10


def test_stretched_steps_stay_finite_where_the_factorised_form_does_not() -> None:
    """M-j: exp(s_i) exp(-s_j) overflows at forty times the step; differences of cumulative sums do not."""
    t = single(problems.scan(1, 63, step=40.0))
    dt, a, b, c, u = t["dt"][0], t["A"], t["B"][0], t["C"][0], t["u"][0]
    total = torch.cumsum(dt[:, 0], 0) * a[0, 0]
    factorised = torch.exp(total)[:, None] * torch.exp(-total)[None, :]
    assert not torch.isfinite(factorised.tril()).all()
    alpha = selective_scan_matrix(dt, a, b, c)
    mean, _ = hidden_attention_summary(dt, a, b, c, u)
    assert torch.isfinite(alpha).all() and relative(mean, alpha.abs().mean(0)) < VALUE


def test_wrong_shapes_and_intervals_are_refused_before_the_compiled_loop() -> None:
    t = single(problems.scan(1, 7))
    with pytest.raises(ValueError, match="B has shape"):
        selective_scan_fast(**{**t, "B": t["B"][:, :3]})
    with pytest.raises(ValueError, match="at least 1, got 0"):
        selective_scan_traced(**t, every=0)
