"""What the Triton kernels share: columns of a tile as separate vectors, and where a kernel is launched."""

# mypy: disable-error-code="untyped-decorator, no-untyped-def, no-untyped-call, assignment"

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

LOG2_E = tl.constexpr(1.4426950408889634)
LN_2 = tl.constexpr(0.6931471805599453)
FLOATS = (torch.float32, torch.bfloat16, torch.float16)
BUILD: dict[str, Any] = {"enable_fp_fusion": True}  # Triton 3.10 changes the default


def on_device(x: Tensor) -> AbstractContextManager[Any]:
    """Make the tensor's GPU current for a launch; do nothing for CPU tensors (the interpreter)."""
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()


def check_floats(**tensors: Tensor | None) -> None:
    """Raise TypeError naming the first tensor that is not float32, bfloat16 or float16."""
    for name, x in tensors.items():
        if x is not None and x.dtype not in FLOATS:
            raise TypeError(f"{name} is {x.dtype}; the Triton kernels take float32, bfloat16 or float16")


@triton.jit
def columns(x, ROWS: tl.constexpr, STEPS: tl.constexpr):
    """Return the 4 or 8 columns of a (ROWS, STEPS) tile as vectors: free where a row lies in one thread's registers."""
    tl.static_assert(STEPS == 4 or STEPS == 8)
    a, b = tl.split(tl.reshape(x, (ROWS, STEPS // 2, 2)))
    if STEPS == 4:
        x0, x2 = tl.split(a)
        x1, x3 = tl.split(b)
        out = (x0, x1, x2, x3)
    else:
        aa, ab = tl.split(tl.reshape(a, (ROWS, 2, 2)))
        ba, bb = tl.split(tl.reshape(b, (ROWS, 2, 2)))
        x0, x4 = tl.split(aa)
        x2, x6 = tl.split(ab)
        x1, x5 = tl.split(ba)
        x3, x7 = tl.split(bb)
        out = (x0, x1, x2, x3, x4, x5, x6, x7)
    return out


@triton.jit
def load_tile(base, t, last, rows, stride_t, stride_row, row_mask, STEPS: tl.constexpr):
    """Load (rows, STEPS) from time t on; zeros past `last`."""
    steps = tl.arange(0, STEPS)
    at = base + tl.cast(t, tl.int64) * stride_t + rows[:, None] * stride_row + steps[None, :] * stride_t
    return tl.load(at, mask=row_mask[:, None] & ((t + steps) < last)[None, :], other=0.0)


@triton.jit
def store_tile(base, x, t, last, rows, stride_t, stride_row, row_mask, STEPS: tl.constexpr):
    """Store (rows, STEPS) from time t on, nothing past `last`."""
    steps = tl.arange(0, STEPS)
    at = base + tl.cast(t, tl.int64) * stride_t + rows[:, None] * stride_row + steps[None, :] * stride_t
    tl.store(at, x.to(base.dtype.element_ty), mask=row_mask[:, None] & ((t + steps) < last)[None, :])
