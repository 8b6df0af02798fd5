"""WKV: fast equals reference in value, state and gradient; the operator equals the loop."""

import operator_problems as problems
import pytest
import torch
from operator_problems import BATCHES, LENGTHS, relative
from seqops.wkv import (
    WkvState,
    effective_attention_summary,
    empty_state,
    wkv_fast,
    wkv_matrix,
    wkv_ref,
    wkv_step,
    wkv_traced,
)
from torch import Tensor

VALUE, GRADIENT = 5e-6, 1e-5
KEYS = ("w", "u", "k", "v")


def flat(wkv):
    """Turn a WKV into a function of seven tensors that returns four: output and state."""

    def run(w, u, k, v, num, den, top):
        y, state = wkv(w, u, k, v, initial_state=WkvState(num, den, top))
        return y, *state

    return run


def started(t: dict[str, Tensor]) -> WkvState:
    return WkvState(t["num"], t["den"], t["top"])


@pytest.mark.parametrize("l", LENGTHS)
@pytest.mark.parametrize("b", BATCHES)
def test_fast_equals_reference_in_output_state_and_every_gradient(b: int, l: int) -> None:
    problems.compare(flat(wkv_ref), flat(wkv_fast), problems.wkv(b, l), value=VALUE, gradient=GRADIENT)


@pytest.mark.parametrize("l", (1, 7, 200))
def test_from_an_empty_state_too(l: int) -> None:
    t = {k: v for k, v in problems.wkv(2, l).items() if k in KEYS}
    run = lambda wkv: lambda **x: (lambda y, s: (y, s.num, s.den))(*wkv(**x))  # noqa: E731
    problems.compare(run(wkv_ref), run(wkv_fast), t, value=VALUE, gradient=GRADIENT)


@pytest.mark.parametrize("threads", (1, 2, 5))
@pytest.mark.parametrize("b", BATCHES)
def test_the_slices_of_several_threads_make_the_same_whole(b: int, threads: int, monkeypatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr("seqops.cpu.threads.SMALLEST", 0)
    problem = problems.wkv(b, 20, d=200)
    problems.compare(flat(wkv_ref), flat(wkv_fast), problem, value=VALUE, gradient=GRADIENT)


def test_poisoned_memory_is_never_read(monkeypatch) -> None:
    problem = problems.wkv(2, 63)
    problems.poison(monkeypatch)
    problems.compare(flat(wkv_ref), flat(wkv_fast), problem, value=VALUE, gradient=GRADIENT)
    y, state, states = wkv_traced(*(problem[k].float() for k in KEYS), every=7)
    assert all(torch.isfinite(x).all() for x in (y, *state, *states))


def test_the_stable_state_is_the_direct_recurrence() -> None:
    """R-b: num e^max and den e^max are the plain sums in double precision."""
    t = problems.wkv(2, 63)
    _, state = wkv_fast(*(t[k].float() for k in KEYS))
    num = den = torch.zeros(2, 19, dtype=torch.float64)
    for i in range(63):
        num = torch.exp(-t["w"]) * num + torch.exp(t["k"][:, i]) * t["v"][:, i]
        den = torch.exp(-t["w"]) * den + torch.exp(t["k"][:, i])
    scale = torch.exp(state.max.double())
    assert relative(state.num * scale, num) < 2e-5
    assert relative(state.den * scale, den) < 2e-5


def test_huge_keys_do_not_overflow() -> None:
    t = problems.wkv(1, 63)
    k = (t["k"] * 200).requires_grad_()
    y, state = wkv_fast(t["w"].float(), t["u"].float(), k.float(), t["v"].float())
    y.sum().backward()
    assert torch.isfinite(y).all() and all(torch.isfinite(s).all() for s in state)
    assert k.grad is not None and torch.isfinite(k.grad).all()


@pytest.mark.parametrize("b", BATCHES)
def test_chunks_equal_the_whole(b: int) -> None:
    t = problems.wkv(b, 200)
    whole, end = wkv_ref(*(t[k] for k in KEYS), initial_state=started(t))
    state, pieces = WkvState(*(s.float() for s in started(t))), []
    w, u, k, v = (t[name].float() for name in KEYS)
    for first, last in ((0, 1), (1, 1), (1, 130), (130, 200)):
        y, state = wkv_fast(w, u, k[:, first:last], v[:, first:last], initial_state=state)
        pieces.append(y)
    assert relative(torch.cat(pieces, 1), whole) < VALUE
    assert all(relative(mine, theirs) < VALUE for mine, theirs in zip(state, end, strict=True))


def test_gradients_cross_the_border_between_chunks() -> None:
    def chunked(w, u, k, v, num, den, top):
        first, state = wkv_fast(w, u, k[:, :13], v[:, :13], initial_state=WkvState(num, den, top))
        second, state = wkv_fast(w, u, k[:, 13:], v[:, 13:], initial_state=state)
        return torch.cat([first, second], 1), *state

    problems.compare(flat(wkv_ref), chunked, problems.wkv(2, 30), value=VALUE, gradient=GRADIENT)


@pytest.mark.parametrize("every", (1, 3, 17, 18))
def test_traced_returns_wkv_and_the_states_asked_for(every: int) -> None:
    t = problems.wkv(2, 17)
    start, state, out, kept = started(t), started(t), [], []
    for i in range(17):
        y, state = wkv_step(state, t["w"], t["u"], t["k"][:, i], t["v"][:, i])
        out.append(y)
        kept.append(state)
    y, end, states = wkv_traced(
        *(t[k].float() for k in KEYS), initial_state=WkvState(*(s.float() for s in start)), every=every
    )
    assert relative(y, torch.stack(out, 1)) < VALUE
    for name in range(3):
        wanted = torch.stack([s[name] for s in kept], 1)[:, every - 1 :: every]
        assert states[name].shape == wanted.shape == (2, 17 // every, 19)
        assert not wanted.numel() or relative(states[name], wanted) < VALUE
        assert relative(end[name], kept[-1][name]) < VALUE


@pytest.mark.parametrize("l", (1, 7, 63))
def test_effective_attention_rebuilds_wkv_and_its_rows_sum_to_one(l: int) -> None:
    """R-a, on the operator and on its summary."""
    t = problems.wkv(1, l)
    w, u, k, v = (t[name] for name in KEYS)
    p = wkv_matrix(w, u, k[0])
    assert torch.allclose(p.sum(-1), torch.ones(19, l, dtype=torch.float64), atol=1e-12)
    assert torch.equal(p, p.tril())
    whole = wkv_ref(w, u, k, v)[0][0]
    assert relative(torch.einsum("cti,ic->tc", p, v[0]), whole) < 1e-12
    mean, mixed = effective_attention_summary(w, u, k[0], v[0])
    assert torch.equal(mean, mean.tril())
    assert relative(mean, p.mean(0)) < VALUE and relative(mixed, whole) < VALUE
    gate = torch.sigmoid(v[0])
    gated, same = effective_attention_summary(w, u, k[0], v[0], gate=gate)
    assert relative(gated, (gate.T[:, :, None] * p).mean(0)) < VALUE and torch.equal(same, mixed)


def test_wrong_shapes_and_intervals_are_refused_before_the_compiled_loop() -> None:
    t = {k: v.float() for k, v in problems.wkv(1, 7).items()}
    w, u, k, v = (t[name] for name in KEYS)
    with pytest.raises(ValueError, match="num has shape"):
        wkv_fast(w, u, k, v, initial_state=empty_state(k[..., :3]))
    with pytest.raises(ValueError, match="at least 1, got 0"):
        wkv_traced(w, u, k, v, every=0)
    assert empty_state(k).max.max() < -1e37
