"""The selective scan in Triton: values, gradients, recorded states and the decoding step.

Method. Four lanes hold the 16 states of a channel (eight channels across a warp, four such groups in registers), and
time runs sequentially inside a program. Per state and token that is one ex2, two multiplies, two multiply-adds and half
a shuffle: in the machine code for sm_90 8 to 9 issue slots per ex2 (5 to 6 in the pass without y), and an ex2 occupies
its unit for 8, so the exponentials are the bound. A parallel scan over time (tl.associative_scan, mamba-ssm's block
scan) would need about twice the arithmetic by count (not built, not timed).

Where b d alone leaves the GPU idle, time is cut into chunks: each is scanned from zero, the chunk ends are combined one
after another (state (b, chunks, d, n), decay exp(A sum dt)), then each runs again from its true start and writes y.
That doubles the exponentials, so tuning says from which size on time stays whole. u, dt and y move in tiles of
(channels, tokens), vectorised along whichever axis is contiguous; one conversion through shared memory per tile gives
each lane its channels.

Gradients are deterministic: A, B, C and D sum partial results of programs in a fixed order. They need one state per
tile of tuning.SCAN_BACKWARD["steps"] tokens and two (b, l, n) float32 per block of channels, during the backward only.
"""

# mypy: disable-error-code="no-untyped-call"

from typing import Any

import torch
import triton
from torch import Tensor

from seqops.gpu import tuning
from seqops.gpu.hidden_attention import hidden_attention_summary
from seqops.gpu.scan_backward_kernels import adjoint_summary, scan_backward
from seqops.gpu.scan_kernels import combine_chunks, scan_forward, scan_step
from seqops.gpu.tiles import BUILD, check_floats, on_device

__all__ = ["hidden_attention_summary", "selective_scan", "selective_scan_states", "selective_scan_step"]


def selective_scan(
    u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None = None, initial_state: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Scan on the GPU, differentiable in every argument and through the final state.

    u, dt (b, l, d) and B, C (b, l, n) in float32, bfloat16 or float16 and any layout; A (d, n), D (d,), initial_state
    (b, d, n) are taken as float32. Returns y (b, l, d) in u's dtype and the final state in float32.
    Raises TypeError on other dtypes.
    """
    check_floats(u=u, dt=dt, A=A, B=B, C=C, D=D, initial_state=initial_state)
    skip = None if D is None else D.float().contiguous()
    h0 = None if initial_state is None else initial_state.float()
    y, state = _SelectiveScanOnGpu.apply(u, dt, A.float().contiguous(), B, C, skip, h0)
    return y, state


def selective_scan_states(
    u: Tensor, dt: Tensor, A: Tensor, B: Tensor, initial_state: Tensor | None = None, every: int = 1
) -> Tensor:
    """Return the states after tokens every-1, 2 every-1, ... as (b, l // every, d, n) float32, without gradients."""
    check_floats(u=u, dt=dt, A=A, B=B, initial_state=initial_state)
    if every < 1:
        raise ValueError(f"every is {every}, expected at least 1")
    with torch.no_grad():
        b, l, d = u.shape
        states = torch.empty(b, l // every, d, A.shape[1], device=u.device)
        _forward(u, dt, A.float().contiguous(), B, None, None, initial_state, states=states, every=every)
    return states


def selective_scan_step(
    state: Tensor, u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Advance one token without gradients: u, dt (b, d), B, C (b, n), state (b, d, n).

    Returns y (b, d) in u's dtype and the new state in float32; the old one is left as it is.
    """
    check_floats(state=state, u=u, dt=dt, A=A, B=B, C=C, D=D)
    b, d, n = state.shape
    y = torch.empty(b, d, dtype=u.dtype, device=u.device)
    new = torch.empty(b, d, n, device=u.device)
    N = tuning.power_of_two(n)
    block = max(1, tuning.SCAN_STEP["elements"] // N)
    skip = A if D is None else D.float().contiguous()
    strides = [*state.stride(), *u.stride(), *dt.stride(), *B.stride(), *C.stride()]
    with on_device(u):
        scan_step[triton.cdiv(d, block), b](
            state, u, dt, A.float().contiguous(), B, C, skip, y, new, d, *strides,
            n=n, HAS_D=D is not None, BLOCK=block, N=N, num_warps=tuning.SCAN_STEP["warps"], **BUILD,
        )  # fmt: skip
    return y, new


class _SelectiveScanOnGpu(torch.autograd.Function):
    """The scan and its adjoint; A, D and the initial state in float32."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None, h0: Tensor | None):  # type: ignore[no-untyped-def]
        y = torch.empty_like(u)
        plan, starts, ends = _forward(u, dt, A, B, C, D, h0, y=y)
        ctx.save_for_backward(u, dt, A, B, C, D, starts)
        ctx.plan, ctx.has_initial = plan, h0 is not None
        return y, ends

    @staticmethod
    def backward(ctx: Any, gy: Tensor, gstate: Tensor):  # type: ignore[no-untyped-def]
        u, dt, A, B, C, D, starts = ctx.saved_tensors
        *gradients, ginitial = _backward(u, dt, A, B, C, D, starts, ctx.plan, gy, gstate)
        return *gradients, ginitial if ctx.has_initial else None


def _forward(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor | None,
    D: Tensor | None,
    h0: Tensor | None,
    *,
    y: Tensor | None = None,
    states: Tensor | None = None,
    every: int = 1,
) -> tuple[tuning.TuningPlan, Tensor, Tensor]:
    """Launch the phases; return the plan, the state before every chunk and the final state."""
    b, l, d = u.shape
    n = A.shape[1]
    plan = tuning.plan(tuning.SCAN_FORWARD, u, dt, n)
    starts = torch.empty(b, plan.chunks, d, n, device=u.device)
    ends = torch.empty(b, d, n, device=u.device)
    sums = torch.empty(b, plan.chunks, d, device=u.device)
    if h0 is None:
        starts[:, 0].zero_()
    else:
        starts[:, 0].copy_(h0)
    blocks = triton.cdiv(d, plan.block)
    output = u if y is None else y
    tensors = [u, dt, A, B, B if C is None else C, A if D is None else D]
    results = [output, starts if states is None else states, starts, ends, sums]
    sizes = [l, d, plan.chunk, plan.chunks, every]
    strides = [s for x in (u, dt, B, B if C is None else C, output) for s in x.stride()]
    shape = {"BLOCK": plan.block, "n": n, "N": tuning.power_of_two(n), "STEPS": plan.steps}
    shape |= {"num_warps": plan.warps, **BUILD}
    with on_device(u):
        if plan.chunks > 1:
            scan_forward[blocks, plan.chunks - 1, b](
                *tensors, *results, *sizes, *strides, HAS_D=False, OUTPUT=False, STATES=False, SUMMARY=True, **shape
            )
            _combine(starts, sums, A, reverse=False)
        scan_forward[blocks, plan.chunks, b](
            *tensors, *results, *sizes, *strides,
            HAS_D=D is not None, OUTPUT=y is not None, STATES=states is not None, SUMMARY=False, **shape,
        )  # fmt: skip
    return plan, starts, ends


def _combine(slots: Tensor, sums: Tensor, A: Tensor, *, reverse: bool) -> None:
    b, chunks, d, n = slots.shape
    table = tuning.COMBINE
    combine_chunks[triton.cdiv(d * n, table["block"]), b](
        slots, sums, A, d, n, chunks,
        REVERSE=reverse, BLOCK=table["block"], SLOTS=table["slots"], num_warps=table["warps"], **BUILD,
    )  # fmt: skip


def _backward(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    starts: Tensor,
    plan: tuning.TuningPlan,
    gy: Tensor,
    gstate: Tensor,
) -> list[Tensor | None]:
    """Launch the adjoint; return the gradients of u, dt, A, B, C, D and the initial state."""
    b, l, d = u.shape
    n, chunks = A.shape[1], plan.chunks
    table = tuning.SCAN_BACKWARD
    N, steps = tuning.power_of_two(n), table["steps"]
    block = min(max(1, table["elements"] // N), tuning.power_of_two(d))
    blocks, tiles = triton.cdiv(d, block), triton.cdiv(l, steps)
    empty = lambda *shape: torch.empty(*shape, device=u.device)  # noqa: E731
    replays, slots, sums = empty(b, tiles, d, n), empty(b, chunks, d, n), empty(b, chunks, d)
    slots[:, -1].copy_(gstate)
    gu, gdt, ginitial = torch.empty_like(u), torch.empty_like(dt), empty(b, d, n)
    gA, gD = empty(b, chunks, d, n), empty(b, chunks, d)
    gB, gC = empty(blocks, b, l, n), empty(blocks, b, l, n)
    sizes = [l, d, plan.chunk, chunks, tiles]
    strides = [s for x in (u, dt, B, C, gy) for s in x.stride()]
    shape = {"BLOCK": block, "n": n, "N": N, "STEPS": steps, "num_warps": table["warps"], **BUILD}
    with on_device(u):
        adjoint_summary[blocks, chunks, b](
            u, dt, A, B, C, gy, starts, replays, slots, sums, *sizes, *strides, ADJOINT=chunks > 1, **shape
        )
        if chunks > 1:
            _combine(slots, sums, A, reverse=True)
        scan_backward[blocks, chunks, b](
            u, dt, A, B, C, A if D is None else D, gy, replays, slots, gu, gdt, gA, gB, gC, gD, ginitial,
            *sizes, *strides, *gu.stride(), *gdt.stride(), HAS_D=D is not None, **shape,
        )  # fmt: skip
    skip = None if D is None else gD.sum((0, 1))
    return [gu, gdt, gA.sum((0, 1)), gB.sum(0).to(B.dtype), gC.sum(0).to(C.dtype), skip, ginitial]
