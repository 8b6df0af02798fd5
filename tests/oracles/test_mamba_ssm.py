"""The selective scan against the torch references of mamba-ssm, whose layout is (b, d, l)."""

import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from unittest import mock

import pytest
import torch
import torch.nn.functional as F
from seqops.selective_scan import (
    selective_scan_fast,
    selective_scan_ref,
    selective_scan_step,
    selective_scan_traced,
)
from torch import Tensor

LENGTHS = (1, 7, 63, 200, 1025)
EXACT = 1e-12  # both in float64
VALUE, GRADIENT = 2e-6, 5e-6  # ours in float32 against theirs in float64
HALF = {torch.bfloat16: 2**-8, torch.float16: 2**-11}  # one rounding of the output
OPTIONS: Mapping[str, tuple[str, ...]] = {"bare": (), "skip": ("D",), "whole": ("D", "z", "bias")}


def relative(x: Tensor, reference: Tensor) -> float:
    error = (x.double() - reference.double()).abs().max()
    return (error / reference.double().abs().max()).item() if error else 0.0  # A has no gradient at the first token


def problem(b: int, l: int, option: str = "whole", d: int = 21, n: int = 5) -> dict[str, Tensor]:
    """Draw the inputs of a scan; dt is raw where a bias and softplus make it positive, and positive where not."""
    g = torch.Generator().manual_seed(100 * b + l)
    draw = lambda *shape: torch.randn(*shape, generator=g, dtype=torch.float64)  # noqa: E731
    drawn = {
        "u": draw(b, l, d),
        "dt": draw(b, l, d),
        "A": -torch.exp(draw(d, n)),
        "B": draw(b, l, n),
        "C": draw(b, l, n),
        "D": draw(d),
        "z": draw(b, l, d),
        "bias": draw(d),
    }
    if option != "whole":
        drawn["dt"] = F.softplus(drawn["dt"])
    wanted = ("u", "dt", "A", "B", "C", *OPTIONS[option])
    return {name: drawn[name] for name in wanted}


def leaves(tensors: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    return {name: x.detach().to(dtype, copy=True).requires_grad_() for name, x in tensors.items()}


@contextmanager
def in_double() -> Iterator[None]:
    """Let the references compute in float64: they call .float() on their inputs."""
    with mock.patch.object(torch.Tensor, "float", torch.Tensor.double):
        yield


def theirs(mamba_ssm: SimpleNamespace, x: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Scan with mamba-ssm; returns y (b, l, d) and the last state (b, d, n)."""
    turned = {name: x[name].transpose(1, 2) for name in ("u", "dt", "B", "C", "z") if name in x}
    y, state = mamba_ssm.scan(
        turned["u"],
        turned["dt"],
        x["A"],
        turned["B"],
        turned["C"],
        x.get("D"),
        turned.get("z"),
        x.get("bias"),
        delta_softplus="bias" in x,
        return_last_state=True,
    )
    return y.transpose(1, 2), state


def ours(
    scan: Callable[..., tuple[Tensor, Tensor]], x: Mapping[str, Tensor], start: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Scan with ours, with bias, softplus and gate around it."""
    dt = F.softplus(x["dt"] + x["bias"]) if "bias" in x else x["dt"]
    y, state = scan(x["u"], dt, x["A"], x["B"], x["C"], x.get("D"), initial_state=start)
    return (y * F.silu(x["z"]) if "z" in x else y), state


def backward(y: Tensor, state: Tensor) -> None:
    weight = torch.cos(torch.arange(y.numel(), dtype=torch.float64)).view(y.shape).to(y.dtype)
    ((y * weight).sum() + (state * state).sum()).backward()


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("l", LENGTHS)
@pytest.mark.parametrize("b", (1, 3))
def test_output_state_and_every_gradient(mamba_ssm: SimpleNamespace, b: int, l: int, option: str) -> None:
    tensors = problem(b, l, option)
    oracle, exact, single = (leaves(tensors, dtype) for dtype in (torch.float64, torch.float64, torch.float32))
    with in_double():
        y, state = theirs(mamba_ssm, oracle)
        backward(y, state)
    assert y.dtype == state.dtype == torch.float64
    for scan, inputs, value, gradient in (
        (selective_scan_ref, exact, EXACT, EXACT),
        (selective_scan_fast, single, VALUE, GRADIENT),
    ):
        y_ours, state_ours = ours(scan, inputs)
        assert relative(y_ours, y) < value, scan.__name__
        assert relative(state_ours, state) < value, scan.__name__
        backward(y_ours, state_ours)
        for name, leaf in inputs.items():
            assert relative(leaf.grad, oracle[name].grad) < gradient, (scan.__name__, name)


@pytest.mark.parametrize("dtype", HALF, ids=str)
@pytest.mark.parametrize("l", (7, 200))
def test_half_precision_inputs_are_scanned_in_single(mamba_ssm: SimpleNamespace, l: int, dtype: torch.dtype) -> None:
    tensors = problem(3, l, "skip")
    halves = {name: x.to(dtype) if x.dim() == 3 else x.float() for name, x in tensors.items()}
    y, state = theirs(mamba_ssm, halves)
    y_ours, state_ours = ours(selective_scan_fast, halves)
    assert y_ours.dtype == y.dtype == dtype
    assert relative(y_ours, y) < HALF[dtype]
    assert relative(state_ours, state) < VALUE


@pytest.mark.parametrize(
    ("scan", "dtype", "value", "gradient"),
    [(selective_scan_ref, torch.float64, EXACT, EXACT), (selective_scan_fast, torch.float32, VALUE, GRADIENT)],
    ids=("ref", "fast"),
)
def test_chunks_with_the_carried_state(
    mamba_ssm: SimpleNamespace,
    scan: Callable[..., tuple[Tensor, Tensor]],
    dtype: torch.dtype,
    value: float,
    gradient: float,
) -> None:
    """Gradients too: they reach the first chunk through the state."""
    tensors = problem(3, 63)
    oracle, inputs = leaves(tensors, torch.float64), leaves(tensors, dtype)
    with in_double():
        y, state = theirs(mamba_ssm, oracle)
        backward(y, state)
    carried, pieces = None, []
    for first, last in ((0, 17), (17, 18), (18, 63)):
        chunk = {name: x[:, first:last] if x.dim() == 3 else x for name, x in inputs.items()}
        piece, carried = ours(scan, chunk, carried)
        pieces.append(piece)
    assert relative(torch.cat(pieces, 1), y) < value
    assert relative(carried, state) < value
    backward(torch.cat(pieces, 1), carried)
    for name, leaf in inputs.items():
        assert relative(leaf.grad, oracle[name].grad) < gradient, name


@pytest.mark.parametrize(("dtype", "value"), [(torch.float64, EXACT), (torch.float32, VALUE)], ids=str)
@pytest.mark.parametrize("b", (1, 3))
def test_steps_of_decoding(mamba_ssm: SimpleNamespace, b: int, dtype: torch.dtype, value: float) -> None:
    x = problem(b, 9)
    start = torch.linspace(-2, 2, b * 21 * 5, dtype=torch.float64).view(b, 21, 5)
    state, mine = start.clone(), start.to(dtype)
    for t in range(9):
        u, dt, B, C, z = (x[name][:, t] for name in ("u", "dt", "B", "C", "z"))
        y = mamba_ssm.step(state, u, dt, x["A"], B, C, x["D"], z, x["bias"], dt_softplus=True)  # writes into state
        args = (p.to(dtype) for p in (u, F.softplus(dt + x["bias"]), x["A"], B, C, x["D"]))
        y_ours, mine = selective_scan_step(mine, *args)
        assert relative(y_ours * F.silu(z.to(dtype)), y) < value, t
        assert relative(mine, state) < value, t


def test_a_start_state_equals_their_steps_from_it(mamba_ssm: SimpleNamespace) -> None:
    """Their scan starts from zero, their step from any state."""
    x = problem(3, 63, "skip")
    start = torch.linspace(-2, 2, 3 * 21 * 5, dtype=torch.float64).view(3, 21, 5)
    state, y, states = start.clone(), [], []
    for t in range(63):
        u, dt, B, C = (x[name][:, t] for name in ("u", "dt", "B", "C"))
        y.append(mamba_ssm.step(state, u, dt, x["A"], B, C, x["D"]))
        states.append(state.clone())
    for scan, dtype, value in ((selective_scan_ref, torch.float64, EXACT), (selective_scan_fast, torch.float32, VALUE)):
        out, end = ours(scan, {name: p.to(dtype) for name, p in x.items()}, start.to(dtype))
        assert relative(out, torch.stack(y, 1)) < value, scan.__name__
        assert relative(end, state) < value, scan.__name__
    single = {name: p.float() for name, p in x.items()}
    for every in (1, 7, 63):
        _, _, kept = selective_scan_traced(**single, initial_state=start.float(), every=every)
        expected = torch.stack(states[every - 1 :: every], 1)
        assert kept.shape == expected.shape
        for t in range(kept.shape[1]):
            assert relative(kept[:, t], expected[:, t]) < VALUE, (every, t)


def test_the_missing_extension_says_so(mamba_ssm: SimpleNamespace) -> None:
    x = {name: p.float() for name, p in problem(1, 7, "bare").items()}
    turned = [x[name].transpose(1, 2) for name in ("u", "dt", "B", "C")]
    with pytest.raises(RuntimeError, match=r"selective_scan_cuda\.fwd: the CUDA extension is not built"):
        mamba_ssm.kernel(turned[0], turned[1], x["A"], turned[2], turned[3])


def test_nobody_else_finds_it(mamba_ssm: SimpleNamespace) -> None:
    """transformers would bind the functions of a package that it can import."""
    names = ("mamba_ssm", "selective_scan_cuda")
    loaded = [sys.modules[name] for name in sys.modules if name.partition(".")[0] in names]
    assert not [m for m in loaded if "oracles" in str(getattr(m, "__file__", "")) or type(m).__name__ == "NoExtension"]
    spec = importlib.util.find_spec("mamba_ssm")
    assert spec is None or "oracles" not in str(spec.origin)
