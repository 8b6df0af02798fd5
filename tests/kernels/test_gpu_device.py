"""The Triton kernels on a CUDA device, right at real sizes and fast: `pytest -m gpu tests/kernels`.

Times are medians of CUDA events after warming up, both sides of a ratio measured alternately in one run.
"""

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from seqops.selective_scan import selective_scan_matrix, selective_scan_ref
from seqops.wkv import wkv_ref
from torch import Tensor

pytestmark = pytest.mark.gpu
if not torch.cuda.is_available() or importlib.util.find_spec("triton") is None:
    pytest.skip("needs a CUDA device and Triton", allow_module_level=True)
if os.environ.get("TRITON_INTERPRET") == "1":
    pytest.skip("Triton interprets in this process", allow_module_level=True)

from seqops.gpu.causal_conv import causal_conv  # noqa: E402
from seqops.gpu.hidden_attention import hidden_attention_summary  # noqa: E402
from seqops.gpu.selective_scan import selective_scan, selective_scan_states, selective_scan_step  # noqa: E402
from seqops.gpu.wkv import wkv, wkv_states, wkv_step  # noqa: E402

VALUE = {torch.float32: 1e-5, torch.bfloat16: 8e-3}  # relative to the largest value
GRADIENT = {torch.float32: 3e-5, torch.bfloat16: 1.5e-2}
WITHIN = 1.1  # of the other kernel's time
FALLBACK = 20.0  # times faster than the loop over tokens


def median_ms(*runs: Callable[[], object], repeats: int = 20) -> list[float]:
    """Return the median milliseconds of each, measured in turns."""
    times: list[list[float]] = [[] for _ in runs]
    for i in range(repeats + 3):
        for run, found in zip(runs, times, strict=True):
            start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            start.record()
            run()
            end.record()
            end.synchronize()
            if i >= 3:
                found.append(start.elapsed_time(end))
    return [sorted(found)[len(found) // 2] for found in times]


def draw(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, device="cuda", dtype=torch.float32).to(dtype)


def relative(x: Tensor, exact: Tensor) -> float:
    x, exact = x.detach().double(), exact.detach().double()
    return float((x - exact).abs().max() / exact.abs().max().clamp(min=1e-30))


def assert_same(
    mine: dict[str, Tensor], exact: dict[str, Tensor], outputs: Sequence[Tensor], expected: Sequence[Tensor]
) -> None:
    """Compare outputs, then the gradients of one random weighting of them."""
    dtype = outputs[0].dtype
    for i, (x, reference) in enumerate(zip(outputs, expected, strict=True)):
        assert relative(x, reference) < VALUE[dtype], f"output {i}"
    weights = [torch.randn_like(x) for x in outputs]
    torch.autograd.backward(list(outputs), weights)
    torch.autograd.backward(list(expected), [w.double() for w in weights])
    for name, reference in exact.items():
        assert mine[name].grad is not None and reference.grad is not None, name
        assert relative(mine[name].grad, reference.grad) < GRADIENT[dtype], name


def twins(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    return (
        {k: x.detach().requires_grad_() for k, x in tensors.items()},
        {k: x.detach().double().requires_grad_() for k, x in tensors.items()},
    )


def scan_problem(b: int, l: int, d: int, n: int, dtype: torch.dtype, *, time: bool = False) -> dict[str, Tensor]:
    torch.manual_seed(l)
    dt = F.softplus(draw(b, l, d) - 4).to(dtype)
    A = -torch.arange(1, n + 1, device="cuda").float().repeat(d, 1) * torch.exp(0.1 * draw(d, n))
    t = {"u": draw(b, l, d, dtype=dtype), "dt": dt, "A": A, "B": draw(b, l, n, dtype=dtype)}
    t |= {"C": draw(b, l, n, dtype=dtype), "D": draw(d), "initial_state": draw(b, d, n)}
    if time:
        t |= {k: t[k].transpose(1, 2).contiguous().transpose(1, 2) for k in ("u", "dt")}
    return t


def scan_exact(t: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    return selective_scan_ref(t["u"], t["dt"], t["A"], t["B"], t["C"], t["D"], initial_state=t["initial_state"])


@pytest.mark.parametrize("time", (False, True), ids=("channels", "time"))
@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16))
@pytest.mark.parametrize(
    ("b", "l", "d", "n"), [(1, 1025, 1536, 16), (3, 200, 777, 16), (12, 63, 5120, 16), (1, 130, 64, 64)]
)
def test_scan_is_right_at_real_sizes(b: int, l: int, d: int, n: int, dtype: torch.dtype, time: bool) -> None:
    mine, exact = twins(scan_problem(b, l, d, n, dtype, time=time))
    assert_same(mine, exact, selective_scan(**mine), scan_exact(exact))


def test_scan_states_and_step_are_right() -> None:
    t = scan_problem(2, 300, 1536, 16, torch.bfloat16)
    states = selective_scan_states(t["u"], t["dt"], t["A"], t["B"], t["initial_state"], every=100)
    exact = {k: x.double() for k, x in t.items()}
    for i in range(3):
        upto = {k: x[:, : 100 * (i + 1)] if k in ("u", "dt", "B", "C") else x for k, x in exact.items()}
        assert relative(states[:, i], scan_exact(upto)[1]) < VALUE[torch.float32]
    y, state = selective_scan_step(
        states[:, 1], *(t[k] if k in ("A", "D") else t[k][:, 200] for k in ("u", "dt", "A", "B", "C", "D"))
    )
    upto = {k: x[:, :201] if k in ("u", "dt", "B", "C") else x for k, x in exact.items()}
    y_ref, state_ref = scan_exact(upto)
    assert relative(y, y_ref[:, -1]) < VALUE[torch.bfloat16] and relative(state, state_ref) < VALUE[torch.float32]


@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16))
@pytest.mark.parametrize(("b", "l", "d"), [(1, 1025, 2048), (3, 200, 777), (16, 63, 4096)])
def test_wkv_is_right_at_real_sizes(b: int, l: int, d: int, dtype: torch.dtype) -> None:
    torch.manual_seed(l)
    tensors = {
        "w": torch.exp(draw(d) - 1),
        "u": draw(d),
        "k": draw(b, l, d, dtype=dtype),
        "v": draw(b, l, d, dtype=dtype),
    }
    mine, exact = twins(tensors)
    y, state = wkv(**mine)
    y_ref, state_ref = wkv_ref(**exact)
    assert_same(mine, exact, (y, *state), (y_ref, *state_ref))
    w, u, k, v = (x.detach() for x in mine.values())
    recorded = wkv_states(w, k, v, every=l)
    for part, end in zip(recorded, state, strict=True):
        assert relative(part[:, 0], end) < VALUE[torch.float32]
    end = (state[0].detach(), state[1].detach(), state[2].detach())
    y_step, after = wkv_step(end, w, u, k[:, 0], v[:, 0])
    y_scan, scanned = wkv(w, u, k[:, :1], v[:, :1], end)
    assert relative(y_step, y_scan[:, 0]) < VALUE[dtype]
    for part, other in zip(after, scanned, strict=True):
        assert relative(part, other) < VALUE[torch.float32]


@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16))
@pytest.mark.parametrize("time", (False, True), ids=("channels", "time"))
def test_conv_is_right_at_real_sizes(dtype: torch.dtype, time: bool) -> None:
    torch.manual_seed(0)
    x = draw(2, 5120, 1025, dtype=dtype).transpose(1, 2) if time else draw(2, 1025, 5120, dtype=dtype)
    mine, exact = twins({"x": x, "weight": draw(5120, 4), "bias": draw(5120), "before": draw(2, 3, 5120, dtype=dtype)})
    outputs = causal_conv(mine["x"], mine["weight"], mine["bias"], mine["before"], silu=True)
    padded = torch.cat([exact["before"], exact["x"]], 1)
    y = F.conv1d(padded.transpose(1, 2), exact["weight"][:, None], exact["bias"], groups=5120).transpose(1, 2)
    assert_same(mine, exact, outputs, (F.silu(y), padded[:, -3:]))


def hidden_problem(l: int, d: int, n: int = 16) -> list[Tensor]:
    t = scan_problem(1, l, d, n, torch.float32)
    return [t["dt"][0], t["A"], t["B"][0], t["C"][0], t["u"][0]]


def test_hidden_attention_is_the_operator() -> None:
    dt, A, B, C, u = hidden_problem(300, 24)
    mean, y = hidden_attention_summary(dt, A, B, C, u)
    alpha = selective_scan_matrix(dt.double(), A.double(), B.double(), C.double())
    assert relative(mean, alpha.abs().mean(0)) < VALUE[torch.float32]
    assert relative(y, torch.einsum("cij,jc->ic", alpha, u.double())) < VALUE[torch.float32]


@pytest.mark.parametrize("d", (1536, 5120))
def test_hidden_attention_at_2048_tokens_takes_less_than_50_ms(d: int) -> None:
    problem = hidden_problem(2048, d)
    (time,) = median_ms(lambda: hidden_attention_summary(*problem))
    print(f"hidden attention, 2048 tokens, d {d}: {time:.2f} ms")
    assert time < 50


@pytest.mark.parametrize("l", (2048, 8192))
def test_scan_is_20_times_faster_than_the_loop_over_tokens(l: int) -> None:
    t = scan_problem(1, l, 5120, 16, torch.bfloat16)
    with torch.no_grad():
        (fast,) = median_ms(lambda: selective_scan(**t))
        (slow,) = median_ms(lambda: scan_exact(t), repeats=3)
    print(f"scan, {l} tokens: {fast:.3f} ms, loop {slow:.1f} ms, ratio {slow / fast:.0f}")
    assert slow > FALLBACK * fast


@pytest.mark.parametrize("backward", (False, True), ids=("forward", "forward-backward"))
@pytest.mark.parametrize(("b", "l"), [(1, 2048), (1, 8192), (1, 32768), (1, 65536), (8, 2048), (16, 2048)])
def test_scan_is_within_10_percent_of_mamba_ssm(b: int, l: int, backward: bool) -> None:
    interface = pytest.importorskip("mamba_ssm.ops.selective_scan_interface", reason="mamba-ssm is not installed")
    pytest.importorskip("selective_scan_cuda", reason="mamba-ssm was built without its CUDA extension")
    if backward and b * l > 32768:
        pytest.skip("the gradients of this size are not asked for")
    t = {k: x.requires_grad_(backward) for k, x in scan_problem(b, l, 5120, 16, torch.bfloat16).items()}
    own = {k: x for k, x in t.items() if k != "initial_state"}
    theirs = {k: t[k].detach().transpose(1, 2).contiguous().requires_grad_(backward) for k in ("u", "dt", "B", "C")}
    gradient = draw(b, l, 5120, dtype=torch.bfloat16)
    gradient_t = gradient.transpose(1, 2).contiguous()

    def triton_run() -> None:
        y, _ = selective_scan(**own)
        if backward:
            y.backward(gradient)

    def cuda_run() -> None:
        y = interface.selective_scan_fn(theirs["u"], theirs["dt"], t["A"], theirs["B"], theirs["C"], t["D"])
        if backward:
            y.backward(gradient_t)

    mine, other = median_ms(triton_run, cuda_run)
    print(f"scan, batch {b}, {l} tokens, backward {backward}: {mine:.3f} ms, mamba-ssm {other:.3f} ms")
    assert mine < WITHIN * other


@pytest.fixture(scope="module")
def rwkv_forward() -> Callable[..., None]:
    """Build the CUDA kernel that the rwkv package brings along, with its own flags."""
    if shutil.which("nvcc") is None:
        pytest.skip("nvcc is not installed")
    spec = importlib.util.find_spec("rwkv")
    places = [Path(spec.origin).parent if spec and spec.origin else Path(), Path(sys.prefix) / "oracles" / "rwkv"]
    folder = next((place / "cuda" for place in places if (place / "cuda" / "operators.cu").is_file()), None)
    if folder is None:
        pytest.skip("the rwkv package is not installed")
    from torch.utils.cpp_extension import load

    load(
        name="contextscope_rwkv_oracle",
        sources=[str(folder / "wrapper.cpp"), str(folder / "operators.cu")],
        extra_cuda_cflags=["--use_fast_math", "-O3", "--extra-device-vectorization"],
        extra_cflags=["-DDISABLE_CUBLAS_GEMM"],
        is_python_module=False,
    )
    kernel: Callable[..., None] = torch.ops.rwkv.wkv_forward
    return kernel


@pytest.mark.parametrize(("b", "l", "d"), [(1, 1024, 2048), (8, 1024, 2048), (8, 1024, 4096), (1, 16384, 4096)])
def test_wkv_is_within_10_percent_of_rwkv_cuda(b: int, l: int, d: int, rwkv_forward: Callable[..., None]) -> None:
    w, u, k, v = torch.exp(draw(d) - 1), draw(d), draw(b, l, d), draw(b, l, d)
    y = torch.empty_like(v)

    def theirs() -> None:
        num, den = torch.zeros(2, b, d, device="cuda")
        rwkv_forward(b, l, d, -w, u, k, v, y, num, den, torch.full_like(num, -1e38))

    with torch.no_grad():
        mine, other = median_ms(lambda: wkv(w, u, k, v), theirs)
        assert relative(wkv(w, u, k, v)[0], y) < 1e-4
    print(f"wkv, batch {b}, {l} tokens, d {d}: {mine:.3f} ms, RWKV's kernel {other:.3f} ms")
    assert mine < WITHIN * other
