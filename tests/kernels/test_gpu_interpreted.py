"""The Triton kernels on the CPU, interpreted: outputs, final states and every gradient against float64 loops.

Triton reads TRITON_INTERPRET when it is imported, so test_gpu_interpreter.py runs this file in a process of its own.
"""

import os
from collections.abc import Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from seqops.selective_scan import selective_scan_matrix, selective_scan_ref
from seqops.wkv import WkvState, wkv_ref
from torch import Tensor

if os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("runs in its own process: test_gpu_interpreter.py", allow_module_level=True)
triton = pytest.importorskip("triton", reason="Triton is not installed")
tl = pytest.importorskip("triton.language")


@triton.jit  # type: ignore[untyped-decorator]
def count(x, n):  # type: ignore[no-untyped-def]
    """Loop to a bound that only the launch knows."""
    for i in range(n):
        tl.store(x + i, i)


try:
    count[(1,)](torch.empty(3), 3)
except Exception as error:  # noqa: BLE001 - Triton before 3.7 with numpy from 2.4 on
    pytest.skip(f"this Triton's interpreter cannot loop: {error}", allow_module_level=True)

from seqops.gpu import tuning  # noqa: E402
from seqops.gpu.causal_conv import causal_conv  # noqa: E402
from seqops.gpu.hidden_attention import hidden_attention_summary  # noqa: E402
from seqops.gpu.selective_scan import selective_scan, selective_scan_states, selective_scan_step  # noqa: E402
from seqops.gpu.wkv import wkv, wkv_states, wkv_step  # noqa: E402

HALF = {torch.bfloat16: 8e-3, torch.float16: 1e-3}  # relative to the largest value; the rounding of the type
VALUE = {"scan": 2e-6, "wkv": 5e-6, "conv": 1e-6}  # float32, as the compiled loops: kernels/README.md
GRADIENT = {"scan": 5e-6, "wkv": 1e-5, "conv": 2e-6}
LAYOUTS = ("channels", "time", "half")


@pytest.fixture(autouse=True)
def poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill uninitialised memory with NaN: whatever a kernel forgets to write shows up."""
    for name in ("empty", "empty_like"):
        original = getattr(torch, name)

        def filled(*shape: Any, original: Any = original, **options: Any) -> Tensor:
            x: Tensor = original(*shape, **options)
            return x.fill_(float("nan")) if x.is_floating_point() else x

        monkeypatch.setattr(torch, name, filled)


@pytest.fixture
def short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut time into chunks of fewer tokens: as many chunks of a text that is a fourth as long."""
    monkeypatch.setattr(tuning, "SHORTEST_CHUNK", 16)


def draw(seed: int) -> Any:
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)


def stored(x: Tensor, layout: str) -> Tensor:
    """Put (b, l, d) into memory channels first, time first, or as one half of wider rows."""
    if layout == "time":
        return x.transpose(1, 2).contiguous().transpose(1, 2)
    return torch.cat([x, x.flip(2)], 2)[..., : x.shape[2]] if layout == "half" else x.contiguous()


def relative(x: Tensor, exact: Tensor) -> float:
    x, exact = x.detach(), exact.detach()
    return float((x.double() - exact).abs().max() / exact.abs().max().clamp(min=1e-30))


def scalar(outputs: Sequence[Tensor]) -> Tensor:
    """Weigh all outputs into one number whose gradient reaches each of them."""
    parts = [x.double() * torch.cos(i + torch.arange(x.numel()).double()).view_as(x) for i, x in enumerate(outputs)]
    return torch.stack([p.sum() for p in parts]).sum()


def assert_same(mine: Sequence[Tensor], exact: Sequence[Tensor], dtype: torch.dtype, operator: str = "scan") -> None:
    for i, (x, reference) in enumerate(zip(mine, exact, strict=True)):
        kind = dtype if x.dtype == torch.float32 else x.dtype
        assert relative(x, reference) < HALF.get(kind, VALUE[operator]), f"output {i}"


def assert_same_gradients(
    mine: dict[str, Tensor], exact: dict[str, Tensor], dtype: torch.dtype, operator: str = "scan"
) -> None:
    expected = {n: torch.zeros_like(x) if x.grad is None else x.grad for n, x in exact.items()}
    floor = 1e-3 * max(float(g.abs().max()) for g in expected.values())
    for name, gradient in expected.items():
        assert mine[name].grad is not None and mine[name].grad.dtype == mine[name].dtype, name
        error = float((mine[name].grad.double() - gradient).abs().max()) / max(float(gradient.abs().max()), floor)
        assert error < HALF.get(dtype, GRADIENT[operator]), name


def twins(
    exact: dict[str, Tensor], low: Sequence[str], dtype: torch.dtype, layout: str
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return what the kernel takes and the same values in float64, both asking for gradients."""
    mine = {n: stored(x.to(dtype), layout) if n in low else x.float() for n, x in exact.items()}
    return (
        {n: x.detach().requires_grad_() for n, x in mine.items()},
        {n: x.detach().double().requires_grad_() for n, x in mine.items()},
    )


def scan_problem(b: int, l: int, d: int, n: int) -> dict[str, Tensor]:
    r = draw(1000 * b + l)
    tensors = {"u": r(b, l, d), "dt": F.softplus(r(b, l, d) - 1), "A": -torch.exp(r(d, n)), "B": r(b, l, n)}
    return {**tensors, "C": r(b, l, n), "D": r(d), "initial_state": r(b, d, n)}


SCANS = [
    (1, 1, 5, 4, torch.float32, "channels"),
    (3, 7, 40, 16, torch.float32, "time"),
    (1, 63, 5, 3, torch.float32, "half"),
    (1, 70, 3, 16, torch.float32, "channels"),
    (3, 9, 1, 1, torch.float32, "channels"),
    (1, 30, 3, 33, torch.bfloat16, "time"),
    (1, 9, 3, 2, torch.float16, "half"),
]


@pytest.mark.usefixtures("short_chunks")
@pytest.mark.parametrize(("b", "l", "d", "n", "dtype", "layout"), SCANS)
def test_scan_has_the_values_and_gradients_of_the_loop(
    b: int, l: int, d: int, n: int, dtype: torch.dtype, layout: str
) -> None:
    mine, exact = twins(scan_problem(b, l, d, n), ("u", "dt", "B", "C"), dtype, layout)
    y, state = selective_scan(**mine)
    assert y.dtype == dtype and state.dtype == torch.float32
    reference = selective_scan_ref(
        **{k: x for k, x in exact.items() if k != "initial_state"}, initial_state=exact["initial_state"]
    )
    assert_same((y, state), reference, dtype)
    scalar((y, state)).backward()
    scalar(reference).backward()
    assert_same_gradients(mine, exact, dtype)


@pytest.mark.usefixtures("short_chunks")
def test_scan_over_many_chunks() -> None:
    t = scan_problem(1, 321, 2, 2)
    single = {k: x.float() for k, x in t.items()}
    assert tuning.plan(tuning.SCAN_FORWARD, single["u"], single["dt"], 2).chunks > 1 + tuning.COMBINE["slots"]
    exact = {k: x.double() for k, x in single.items()}
    start = exact.pop("initial_state")
    assert_same(selective_scan(**single), selective_scan_ref(**exact, initial_state=start), torch.float32)


def test_scan_without_skip_and_state_in_pieces_equals_the_whole() -> None:
    t = {k: x.float() for k, x in scan_problem(3, 70, 3, 4).items() if k in ("u", "dt", "A", "B", "C")}
    whole = selective_scan_ref(**{k: x.double() for k, x in t.items()})
    state, pieces = None, []
    for first, last in ((0, 1), (1, 69), (69, 70)):
        piece = {k: x if k == "A" else x[:, first:last] for k, x in t.items()}
        y, state = selective_scan(**piece, initial_state=state)
        pieces.append(y)
    assert state is not None
    assert_same((torch.cat(pieces, 1), state), whole, torch.float32)


@pytest.mark.parametrize("every", (1, 5, 13))
def test_scan_records_the_states_asked_for(every: int) -> None:
    t = {k: x.float() for k, x in scan_problem(2, 130 if every == 13 else 11, 3, 4).items()}
    states = selective_scan_states(t["u"], t["dt"], t["A"], t["B"], t["initial_state"], every=every)
    exact = {k: x.double() for k, x in t.items()}
    l = t["u"].shape[1]
    assert states.shape == (2, l // every, 3, 4)
    for i in range(l // every):
        upto = {k: exact[k][:, : (i + 1) * every] for k in ("u", "dt", "B", "C")}
        _, state = selective_scan_ref(**upto, A=exact["A"], initial_state=exact["initial_state"])
        assert relative(states[:, i], state) < VALUE["scan"]


@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16))
def test_scan_step_is_a_scan_of_one_token(dtype: torch.dtype) -> None:
    t = scan_problem(3, 1, 70, 16)
    low = {k: x.to(dtype) if k in ("u", "dt", "B", "C") else x.float() for k, x in t.items()}
    arguments = [low[k] if k in ("A", "D") else low[k][:, 0] for k in ("u", "dt", "A", "B", "C", "D")]
    y, state = selective_scan_step(low["initial_state"], *arguments)
    exact = {k: x.double() for k, x in low.items()}
    start = exact.pop("initial_state")
    y_ref, state_ref = selective_scan_ref(**exact, initial_state=start)
    assert_same((y, state), (y_ref[:, 0], state_ref), dtype)


@pytest.mark.parametrize(("l", "d", "n", "step"), [(1, 2, 3, 1.0), (16, 3, 4, 1.0), (40, 3, 16, 1.0), (50, 2, 5, 40.0)])
def test_hidden_attention_is_the_operator(l: int, d: int, n: int, step: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tuning.HIDDEN, "tile", 16)
    monkeypatch.setitem(tuning.HIDDEN, "programs", 1)
    r = draw(l)
    t = [x.float() for x in (step * F.softplus(r(l, d) - 2), -torch.exp(r(d, n)), r(l, n), r(l, n), r(l, d))]
    mean, y = hidden_attention_summary(*t)
    dt, A, B, C, u = (x.double() for x in t)
    alpha = selective_scan_matrix(dt, A, B, C)
    assert_same((mean, y), (alpha.abs().mean(0), torch.einsum("cij,jc->ic", alpha, u)), torch.float32)
    assert not torch.triu(mean, 1).any()


def wkv_problem(b: int, l: int, d: int) -> dict[str, Tensor]:
    r = draw(2000 * b + l)
    tensors = {"w": torch.exp(r(d) - 1), "u": r(d), "k": 3 * r(b, l, d), "v": r(b, l, d)}
    return {**tensors, "num": r(b, d), "den": torch.exp(r(b, d)), "max": 2 * r(b, d)}


WKVS = [
    (1, 1, 5, torch.float32, "channels"),
    (3, 7, 5, torch.float32, "time"),
    (1, 63, 40, torch.float32, "half"),
    (1, 70, 3, torch.float32, "channels"),
    (1, 30, 3, torch.bfloat16, "time"),
]


@pytest.mark.usefixtures("short_chunks")
@pytest.mark.parametrize(("b", "l", "d", "dtype", "layout"), WKVS)
def test_wkv_has_the_values_and_gradients_of_the_loop(b: int, l: int, d: int, dtype: torch.dtype, layout: str) -> None:
    mine, exact = twins(wkv_problem(b, l, d), ("k", "v"), dtype, layout)
    y, state = wkv(mine["w"], mine["u"], mine["k"], mine["v"], (mine["num"], mine["den"], mine["max"]))
    start = WkvState(exact["num"], exact["den"], exact["max"])
    y_ref, state_ref = wkv_ref(exact["w"], exact["u"], exact["k"], exact["v"], initial_state=start)
    assert y.dtype == dtype
    assert_same((y, *state), (y_ref, *state_ref), dtype, "wkv")
    scalar((y, *state)).backward()
    scalar((y_ref, *state_ref)).backward()
    assert_same_gradients(mine, exact, dtype, "wkv")


@pytest.mark.usefixtures("short_chunks")
def test_wkv_over_many_chunks() -> None:
    t = {k: x.float() for k, x in wkv_problem(1, 321, 2).items()}
    assert tuning.plan(tuning.WKV_FORWARD, t["k"], t["v"]).chunks > 1 + tuning.COMBINE["slots"]
    y, state = wkv(t["w"], t["u"], t["k"], t["v"])
    y_ref, state_ref = wkv_ref(*(t[name].double() for name in ("w", "u", "k", "v")))
    assert_same((y, *state), (y_ref, *state_ref), torch.float32, "wkv")


def test_wkv_in_pieces_equals_the_whole() -> None:
    t = {k: x.float() for k, x in wkv_problem(3, 70, 3).items()}
    whole, end = wkv_ref(*(t[name].double() for name in ("w", "u", "k", "v")))
    state, pieces = None, []
    for first, last in ((0, 1), (1, 69), (69, 70)):
        y, state = wkv(t["w"], t["u"], t["k"][:, first:last], t["v"][:, first:last], state)
        pieces.append(y)
    assert state is not None
    assert_same((torch.cat(pieces, 1), *state), (whole, *end), torch.float32, "wkv")


def test_huge_keys_cost_the_rounding_of_their_exponents_and_nothing_else() -> None:
    t = {k: x.float() for k, x in wkv_problem(1, 17, 3).items()}
    keys = 200 * t["k"]
    y, state = wkv(t["w"], t["u"], keys, t["v"])
    y_ref, state_ref = wkv_ref(t["w"].double(), t["u"].double(), keys.double(), t["v"].double())
    for x, exact in zip((y, *state), (y_ref, *state_ref), strict=True):
        assert relative(x, exact) < float(keys.abs().max()) * 2**-23


@pytest.mark.parametrize("every", (1, 5, 13))
def test_wkv_records_the_states_asked_for(every: int) -> None:
    t = {k: x.float() for k, x in wkv_problem(2, 130 if every == 13 else 11, 3).items()}
    states = wkv_states(t["w"], t["k"], t["v"], (t["num"], t["den"], t["max"]), every=every)
    exact = {k: x.double() for k, x in t.items()}
    start = WkvState(exact["num"], exact["den"], exact["max"])
    for i in range(t["k"].shape[1] // every):
        upto = slice(0, (i + 1) * every)
        _, end = wkv_ref(exact["w"], exact["u"], exact["k"][:, upto], exact["v"][:, upto], initial_state=start)
        assert_same([part[:, i] for part in states], end, torch.float32, "wkv")


def test_wkv_step_is_one_token() -> None:
    t = wkv_problem(3, 1, 70)
    low = {k: x.bfloat16() if k in ("k", "v") else x.float() for k, x in t.items()}
    y, state = wkv_step((low["num"], low["den"], low["max"]), low["w"], low["u"], low["k"][:, 0], low["v"][:, 0])
    exact = {k: x.double() for k, x in low.items()}
    start = WkvState(exact["num"], exact["den"], exact["max"])
    y_ref, state_ref = wkv_ref(exact["w"], exact["u"], exact["k"], exact["v"], initial_state=start)
    assert relative(y, y_ref[:, 0]) < HALF[torch.bfloat16]
    assert_same(state, state_ref, torch.float32, "wkv")


def conv_exact(
    x: Tensor, weight: Tensor, bias: Tensor | None, before: Tensor | None, silu: bool
) -> tuple[Tensor, Tensor]:
    """Convolve with torch's grouped convolution on the inputs with their history in front."""
    K = weight.shape[1]
    before = x.new_zeros(x.shape[0], K - 1, x.shape[2]) if before is None else before
    padded = torch.cat([before, x], 1)
    y = F.conv1d(padded.transpose(1, 2), weight[:, None], bias, groups=x.shape[2]).transpose(1, 2)
    return F.silu(y) if silu else y, padded[:, padded.shape[1] - (K - 1) :]


CONVS = [
    (1, 1, 3, 4, torch.float32, "channels", True, True),
    (3, 7, 5, 4, torch.float32, "time", True, False),
    (1, 63, 140, 3, torch.float32, "half", False, True),
    (1, 200, 33, 2, torch.float32, "time", True, True),
    (1, 40, 9, 4, torch.bfloat16, "half", True, True),
    (1, 257, 2, 4, torch.float32, "channels", False, False),
]


@pytest.mark.parametrize(("b", "l", "d", "K", "dtype", "layout", "silu", "history"), CONVS)
def test_conv_has_the_values_and_gradients_of_the_grouped_convolution(
    b: int, l: int, d: int, K: int, dtype: torch.dtype, layout: str, silu: bool, history: bool
) -> None:
    r = draw(3000 * b + l)
    tensors = {"x": r(b, l, d), "weight": r(d, K)} | ({"bias": r(d), "before": r(b, K - 1, d)} if history else {})
    mine, exact = twins(tensors, ("x", "before"), dtype, layout)
    results = causal_conv(mine["x"], mine["weight"], mine.get("bias"), mine.get("before"), silu=silu)
    reference = conv_exact(exact["x"], exact["weight"], exact.get("bias"), exact.get("before"), silu)
    assert results[0].dtype == dtype
    assert_same(results, reference, dtype, "conv")
    scalar(results).backward()
    scalar(reference).backward()
    assert_same_gradients(mine, exact, dtype, "conv")


def test_other_dtypes_are_refused_by_name() -> None:
    t = {k: x.float() for k, x in scan_problem(1, 2, 3, 4).items()}
    with pytest.raises(TypeError, match="dt is torch"):
        selective_scan(**{**t, "dt": t["dt"].double()})
