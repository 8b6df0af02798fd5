"""Seeded problems for the operators, and the comparison that every test of a fast path makes."""

import math
from collections.abc import Callable, Mapping, Sequence

import pytest
import torch
from torch import Tensor

LENGTHS = (1, 7, 63, 200, 1025)
BATCHES = (1, 3)
ZERO_ULPS = 4  # units of float32 that may be left where terms cancel to nothing
Run = Callable[..., Sequence[Tensor]]


def relative(x: Tensor, reference: Tensor) -> float:
    """Return max |x - reference| / max |reference|; infinity for values that are no numbers."""
    error = ((x.double() - reference.double()).abs().max() / reference.double().abs().max().clamp(min=1e-30)).item()
    return float("inf") if math.isnan(error) else error


def generator(*numbers: int) -> torch.Generator:
    return torch.Generator().manual_seed(hash(numbers) & 0x7FFFFFFF)


def scan(b: int, l: int, d: int = 21, n: int = 5, *, step: float = 1.0) -> dict[str, Tensor]:
    """Draw a selective scan with a random initial state, float64."""
    g = generator(b, l, d, n)
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


def wkv(b: int, l: int, d: int = 19) -> dict[str, Tensor]:
    """Draw a WKV problem with a random initial state (num, den > 0, top: the running maximum), float64."""
    g = generator(b, l, d)
    draw = lambda *shape: torch.randn(*shape, generator=g, dtype=torch.float64)  # noqa: E731
    return {
        "w": torch.exp(draw(d)),
        "u": draw(d),
        "k": 3 * draw(b, l, d),
        "v": draw(b, l, d),
        "num": draw(b, d),
        "den": torch.exp(draw(b, d)),
        "top": draw(b, d),
    }


def compare(exact: Run, fast: Run, problem: Mapping[str, Tensor], *, value: float, gradient: float) -> None:
    """Assert that fast (float32) gives the outputs and every gradient of exact (float64).

    Each output is weighted with its own cosine, so that no gradient cancels. A gradient that is zero in truth (the
    decay of a single token, the query that sees one key) is a difference of equal terms: float32 may leave a few units
    of rounding of the largest one, as a kernel does on one processor and not on another.
    """
    doubles = {name: x.clone().requires_grad_() for name, x in problem.items()}
    singles = {name: x.float().requires_grad_() for name, x in problem.items()}
    wanted, found = exact(**doubles), fast(**singles)
    weights = [torch.cos(torch.arange(y.numel(), dtype=torch.float64) + i).view_as(y) for i, y in enumerate(wanted)]
    for i, (y, reference) in enumerate(zip(found, wanted, strict=True)):
        assert relative(y.detach(), reference.detach()) < value, f"output {i}"
    torch.stack([(y * w).sum() for y, w in zip(wanted, weights, strict=True)]).sum().backward()
    torch.stack([(y * w.to(y.dtype)).sum() for y, w in zip(found, weights, strict=True)]).sum().backward()
    truth = {name: torch.zeros_like(x) if x.grad is None else x.grad for name, x in doubles.items()}
    largest = max(g.abs().max().item() for g in truth.values())
    for name, reference in truth.items():
        given = singles[name].grad
        assert given is not None, name
        error = (given.double() - reference).abs().max().item()
        size = reference.abs().max().item()
        rounding = ZERO_ULPS * torch.finfo(torch.float32).eps * largest
        assert error < (gradient * max(size, 1e-3 * largest) if size else rounding), name


def poison(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill every tensor that torch leaves uninitialised with NaN: what is read before it is written shows."""
    for name in ("empty", "empty_like"):
        original = getattr(torch, name)

        def filled(*args: object, original: Callable[..., Tensor] = original, **kwargs: object) -> Tensor:
            made = original(*args, **kwargs)
            return made.fill_(float("nan")) if made.is_floating_point() else made

        monkeypatch.setattr(torch, name, filled)
