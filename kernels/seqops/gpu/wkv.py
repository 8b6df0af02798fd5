"""WKV of RWKV-4 in Triton: values, gradients, recorded states and the decoding step.

Method. One channel per lane, time runs sequentially inside a program: three MUFU operations per token (an ex2 for the
output, one for the state, one reciprocal), k and v read and wkv written once. Where b d alone leaves the GPU idle (the
rule, since b d lanes are few), time is cut into chunks: every chunk runs from the empty state, the chunk states are
joined one after another, then each chunk runs again from its true start and writes wkv.

The state is (num, den, max) of seqops.wkv. Gradients are those of wkv_ref under autograd, the state's three parts
included; gradients of w and u sum partial results of programs in a fixed order.
"""

# mypy: disable-error-code="no-untyped-call"

from typing import Any

import torch
import triton
from torch import Tensor

from seqops.gpu import tuning
from seqops.gpu.tiles import BUILD, check_floats, on_device
from seqops.gpu.wkv_backward_kernels import adjoint_summary, combine_adjoints, wkv_backward
from seqops.gpu.wkv_kernels import combine_states, wkv_forward
from seqops.gpu.wkv_kernels import wkv_step as step_kernel

State = tuple[Tensor, Tensor, Tensor]
EMPTY_MAX = -1e38  # as seqops.wkv


def wkv(w: Tensor, u: Tensor, k: Tensor, v: Tensor, state: State | None = None) -> tuple[Tensor, State]:
    """Evaluate WKV on the GPU, differentiable in every argument and through the final state.

    w, u (d,) are taken as float32; k, v (b, l, d) in float32, bfloat16 or float16 and any layout; state (num, den,
    max), each (b, d). Returns wkv (b, l, d) in v's dtype and the final state in float32. Raises TypeError on other
    dtypes.
    """
    check_floats(w=w, u=u, k=k, v=v)
    num, den, top = _start(k, state)
    y, *end = _WkvOnGpu.apply(w.float().contiguous(), u.float().contiguous(), k, v, num, den, top)
    return y, (end[0], end[1], end[2])


def wkv_states(w: Tensor, k: Tensor, v: Tensor, state: State | None = None, every: int = 1) -> State:
    """Return the state after tokens every-1, 2 every-1, ..., each part (b, l // every, d), without gradients."""
    check_floats(w=w, k=k, v=v)
    if every < 1:
        raise ValueError(f"every is {every}, expected at least 1")
    with torch.no_grad():
        b, l, d = k.shape
        states = torch.empty(3, b, l // every, d, device=k.device)
        decay = w.float().contiguous()
        _forward(decay, decay, k, v, _start(k, state), states=states, every=every)
    return states[0], states[1], states[2]


def wkv_step(state: State, w: Tensor, u: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, State]:
    """Advance one token without gradients: k, v (b, d), state (num, den, max). Returns wkv (b, d) and the state."""
    check_floats(w=w, u=u, k=k, v=v)
    b, d = k.shape
    y = torch.empty(b, d, dtype=v.dtype, device=v.device)
    new = torch.empty(3, b, d, device=k.device)
    block = tuning.WKV_STEP["block"]
    arrays = [w.float().contiguous(), u.float().contiguous(), k.contiguous(), v.contiguous()]
    arrays += [part.float().contiguous() for part in state]
    with on_device(k):
        step_kernel[triton.cdiv(b * d, block),](
            *arrays, y, new, b * d, d, BLOCK=block, num_warps=tuning.WKV_STEP["warps"], **BUILD
        )
    return y, (new[0], new[1], new[2])


def _start(k: Tensor, state: State | None) -> State:
    """Return the initial state in float32, the empty one by default."""
    if state is None:
        zeros = torch.zeros(k.shape[0], k.shape[2], device=k.device)
        return zeros, zeros, torch.full_like(zeros, EMPTY_MAX)
    return state[0].float(), state[1].float(), state[2].float()


class _WkvOnGpu(torch.autograd.Function):
    """WKV and its adjoint; w, u and the state in float32."""

    @staticmethod
    def forward(ctx: Any, w: Tensor, u: Tensor, k: Tensor, v: Tensor, num: Tensor, den: Tensor, top: Tensor):  # type: ignore[no-untyped-def]
        y = torch.empty_like(v)
        plan, starts, ends = _forward(w, u, k, v, (num, den, top), y=y)
        ctx.save_for_backward(w, u, k, v, starts, ends)
        ctx.plan = plan
        return y, *ends.clone().unbind(0)

    @staticmethod
    def backward(ctx: Any, gy: Tensor, gnum: Tensor, gden: Tensor, gtop: Tensor):  # type: ignore[no-untyped-def]
        w, u, k, v, starts, ends = ctx.saved_tensors
        return _backward(w, u, k, v, starts, ends, ctx.plan, gy, (gnum, gden, gtop))


def _forward(
    w: Tensor,
    u: Tensor,
    k: Tensor,
    v: Tensor,
    state: State,
    *,
    y: Tensor | None = None,
    states: Tensor | None = None,
    every: int = 1,
) -> tuple[tuning.TuningPlan, Tensor, Tensor]:
    """Launch the phases; return the plan, the states before every chunk and the final state, three planes each."""
    b, l, d = k.shape
    plan = tuning.plan(tuning.WKV_FORWARD, k, v)
    starts = torch.empty(3, b, plan.chunks, d, device=k.device)
    ends = torch.empty(3, b, d, device=k.device)
    for plane, part in zip(starts, state, strict=True):
        plane[:, 0].copy_(part)
    output = v if y is None else y
    blocks = triton.cdiv(d, plan.block)
    tensors = [w, u, k, v, output, starts if states is None else states, starts, ends]
    sizes = [b, l, d, plan.chunk, plan.chunks, every, *k.stride(), *v.stride(), *output.stride()]
    shape = {"BLOCK": plan.block, "STEPS": plan.steps, "num_warps": plan.warps, **BUILD}
    with on_device(k):
        if plan.chunks > 1:
            wkv_forward[blocks, plan.chunks - 1, b](*tensors, *sizes, OUTPUT=False, STATES=False, SUMMARY=True, **shape)
            combine_states[blocks, b](
                w, starts, b, d, plan.chunk, plan.chunks, BLOCK=plan.block, num_warps=plan.warps, **BUILD
            )
        wkv_forward[blocks, plan.chunks, b](
            *tensors, *sizes, OUTPUT=y is not None, STATES=states is not None, SUMMARY=False, **shape
        )
    return plan, starts, ends


def _backward(
    w: Tensor,
    u: Tensor,
    k: Tensor,
    v: Tensor,
    starts: Tensor,
    ends: Tensor,
    plan: tuning.TuningPlan,
    gy: Tensor,
    gstate: State,
) -> tuple[Tensor, ...]:
    """Launch the adjoint; return the gradients of w, u, k, v and of the initial num, den and max."""
    b, l, d = k.shape
    chunks, table = plan.chunks, tuning.WKV_BACKWARD
    block, steps = min(table["block"], tuning.power_of_two(d)), table["steps"]
    blocks, tiles = triton.cdiv(d, block), triton.cdiv(l, steps)
    empty = lambda *shape: torch.empty(*shape, device=k.device)  # noqa: E731
    replays, slots, reaches = empty(3, b, tiles, d), empty(3, b, chunks, d), empty(b, chunks, d)
    slots[0, :, -1].copy_(gstate[0])
    slots[1, :, -1].copy_(gstate[1])
    slots[2, :, -1].copy_(gstate[2] - gstate[0] * ends[0] - gstate[1] * ends[1])
    gw, gu, gk, gv = empty(b, chunks, d), empty(b, chunks, d), torch.empty_like(k), torch.empty_like(v)
    ginitial = empty(3, b, d)
    sizes = [b, l, d, plan.chunk, chunks, tiles, *k.stride(), *v.stride(), *gy.stride()]
    shape = {"BLOCK": block, "STEPS": steps, "num_warps": table["warps"], **BUILD}
    with on_device(k):
        adjoint_summary[blocks, chunks, b](
            w, u, k, v, gy, starts, replays, slots, reaches, *sizes, ADJOINT=chunks > 1, **shape
        )
        if chunks > 1:
            combine_adjoints[blocks, b](slots, reaches, b, d, chunks, BLOCK=block, num_warps=table["warps"], **BUILD)
        wkv_backward[blocks, chunks, b](
            w, u, k, v, gy, replays, slots, gw, gu, gk, gv, ginitial, *sizes, *gk.stride(), *gv.stride(), **shape
        )
    return gw.sum((0, 1)), gu.sum((0, 1)), gk, gv, *ginitial.unbind(0)
