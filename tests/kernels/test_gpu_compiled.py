"""Compile every Triton kernel for sm_80 and sm_90, without a GPU, exactly as it would be launched, and look for spills.

The launches are recorded while the public functions run on meta tensors; each is then specialised the way Triton does
it (integers that are 1 become constants, multiples of 16 and pointers are declared aligned).
"""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

triton = pytest.importorskip("triton", reason="Triton is not installed")
if os.environ.get("TRITON_INTERPRET") == "1":
    pytest.skip("Triton interprets in this process", allow_module_level=True)

from seqops.gpu import causal_conv, hidden_attention, selective_scan, wkv  # noqa: E402
from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.compiler import ASTSource  # noqa: E402
from triton.runtime.jit import JITFunction  # noqa: E402

CUOBJDUMP = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
POINTERS = {torch.float32: "*fp32", torch.bfloat16: "*bf16", torch.float16: "*fp16", torch.float64: "*fp64"}
OPTIONS = ("num_warps", "num_stages", "enable_fp_fusion", "maxnreg")
Launch = tuple[Any, tuple[Any, ...], dict[str, Any]]


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> list[Launch]:
    """Collect (kernel, arguments, options) instead of launching."""
    recorded: list[Launch] = []

    def record(self: Any, *args: Any, grid: Any, warmup: bool, **options: Any) -> None:
        recorded.append((self, args, options))

    monkeypatch.setattr(JITFunction, "run", record)
    return recorded


def compiled(launch: Launch, capability: int) -> Any:
    kernel, args, named = launch
    options = {k: v for k, v in named.items() if k in OPTIONS}
    values = dict(zip(kernel.arg_names, args, strict=False)) | {k: v for k, v in named.items() if k not in OPTIONS}
    signature: dict[str, str] = {}
    constants: dict[str, Any] = {}
    attributes: dict[tuple[int], Any] = {}
    for i, parameter in enumerate(kernel.params):
        value = values[parameter.name]
        if parameter.is_constexpr or (isinstance(value, int) and value == 1):
            signature[parameter.name], constants[parameter.name] = "constexpr", value
            continue
        signature[parameter.name] = POINTERS[value.dtype] if isinstance(value, Tensor) else "i32"
        if isinstance(value, Tensor) or value % 16 == 0:
            attributes[(i,)] = [["tt.divisibility", 16]]
    source = ASTSource(kernel, signature, constexprs=constants, attrs=attributes)
    return triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)


def spilled(code: Any, folder: Path) -> int:
    """Return the bytes of stack per thread that the machine code uses."""
    path = folder / "kernel.cubin"
    path.write_bytes(code.asm["cubin"])
    report = subprocess.run([CUOBJDUMP, "--dump-resource-usage", path], capture_output=True, text=True, check=True)
    sizes = [int(x) for x in re.findall(r"(?:STACK|LOCAL):(\d+)", report.stdout)]
    assert sizes, report.stdout
    return sum(sizes)


def empty(*shape: int, dtype: torch.dtype = torch.bfloat16, grad: bool = True, time: bool = False) -> Tensor:
    """Make a meta tensor; with `time` (b, l, d) lies in memory as (b, d, l)."""
    if time:
        b, l, d = shape
        return torch.empty(b, d, l, dtype=dtype, device="meta", requires_grad=grad).transpose(1, 2)
    return torch.empty(*shape, dtype=dtype, device="meta", requires_grad=grad)


def scan(b: int, l: int, d: int, n: int, dtype: torch.dtype, u_time: bool, dt_time: bool, *, skip: bool = True) -> None:
    f = torch.float32
    u, dt = empty(b, l, d, dtype=dtype, time=u_time), empty(b, l, d, dtype=dtype, time=dt_time)
    A, B, C = empty(d, n, dtype=f), empty(b, l, n, dtype=dtype), empty(b, l, n, dtype=dtype)
    D, h0 = (empty(d, dtype=f), empty(b, d, n, dtype=f)) if skip else (None, None)
    y, state = selective_scan.selective_scan(u, dt, A, B, C, D, h0)
    torch.autograd.backward([y, state], [torch.empty_like(u), torch.empty_like(state)])


def scan_states() -> None:
    u, B = empty(1, 2048, 1536), empty(1, 2048, 16)
    selective_scan.selective_scan_states(u, u, empty(1536, 16, dtype=torch.float32), B, every=8)


def scan_step() -> None:
    f = torch.float32
    u, B = empty(8, 5120, grad=False), empty(8, 16, grad=False)
    state, A, D = empty(8, 5120, 16, dtype=f), empty(5120, 16, dtype=f), empty(5120, dtype=f)
    selective_scan.selective_scan_step(state, u, u, A, B, B, D)


def hidden(d: int) -> None:
    f = torch.float32
    dt, B = empty(2048, d, dtype=f), empty(2048, 16, dtype=f)
    hidden_attention.hidden_attention_summary(dt, empty(d, 16, dtype=f), B, B, dt)


def rwkv(b: int, l: int, d: int, dtype: torch.dtype, time: bool) -> None:
    w, k, v = empty(d, dtype=torch.float32), empty(b, l, d, dtype=dtype, time=time), empty(b, l, d, dtype=dtype)
    y, state = wkv.wkv(w, w, k, v)
    torch.autograd.backward([y, *state], [torch.empty_like(x) for x in (y, *state)])


def rwkv_states_and_step() -> None:
    w, k = empty(2048, dtype=torch.float32), empty(1, 1024, 2048)
    wkv.wkv_states(w, k, k, every=4)
    f = [empty(3, 2048, dtype=torch.float32) for _ in range(3)]
    wkv.wkv_step((f[0], f[1], f[2]), w, w, k[0, :3], k[0, :3])


def conv(b: int, l: int, d: int, dtype: torch.dtype, time: bool, history: bool) -> None:
    x, weight, bias = empty(b, l, d, dtype=dtype, time=time), empty(d, 4, dtype=dtype), empty(d, dtype=dtype)
    before = empty(b, 3, d, dtype=dtype) if history else None
    y, _ = causal_conv.causal_conv(x, weight, bias, before, silu=True)
    y.backward(torch.empty_like(y))


BF16, F32 = torch.bfloat16, torch.float32
# Each kernel on both architectures, with the layouts and dtypes divided between them: compiling takes seconds.
CASES: dict[str, tuple[int, Callable[[], None]]] = {
    "scan-5120": (90, lambda: scan(1, 2048, 5120, 16, BF16, False, False)),
    "scan-1536-mixed-float32": (80, lambda: scan(1, 2048, 1536, 16, F32, False, True, skip=False)),
    "scan-states": (90, scan_states),
    "scan-step": (90, scan_step),
    "scan-step-ampere": (80, scan_step),
    "hidden-5120": (90, lambda: hidden(5120)),
    "hidden-1536": (80, lambda: hidden(1536)),
    "wkv-2048": (90, lambda: rwkv(1, 2048, 2048, BF16, False)),
    "wkv-4096-mixed-float32": (80, lambda: rwkv(8, 2048, 4096, F32, True)),
    "wkv-states-and-step": (90, rwkv_states_and_step),
    "conv-5120": (90, lambda: conv(1, 2048, 5120, BF16, False, False)),
    "conv-1536-time-history": (80, lambda: conv(2, 2048, 1536, BF16, True, True)),
}
ODD: dict[str, Callable[[], None]] = {
    "scan": lambda: scan(1, 1, 3, 5, BF16, False, False),
    "conv": lambda: conv(1, 1, 3, F32, False, True),
}


def distinct(recorded: list[Launch]) -> list[Launch]:
    """Drop repeated launches of one kernel with the same specialisation."""
    seen: dict[str, Launch] = {}
    for kernel, args, named in recorded:
        key = [(x.dtype if isinstance(x, Tensor) else x) for x in args]
        seen.setdefault(f"{kernel.__name__}{key}{named}", (kernel, args, named))
    return list(seen.values())


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_kernels_compile_without_spills(case: str, launches: list[Launch], tmp_path: Path) -> None:
    capability, run = CASES[case]
    run()
    assert launches
    found = [(launch[0].__name__, spilled(compiled(launch, capability), tmp_path)) for launch in distinct(launches)]
    assert not any(size for _, size in found), found


@pytest.mark.slow
@pytest.mark.parametrize("case", ODD)
def test_kernels_compile_where_sizes_are_one(case: str, launches: list[Launch]) -> None:
    ODD[case]()
    for launch in distinct(launches):
        assert compiled(launch, 90).asm["cubin"]
