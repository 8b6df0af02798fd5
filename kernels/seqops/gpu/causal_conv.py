"""Depthwise causal convolution in Triton, with bias, SiLU, an initial state and gradients.

A program owns a tile of (tokens, channels) and reads its K shifted copies of the input; all but the first come from
the first-level cache. The backward recomputes the value before SiLU instead of keeping it.
"""

# mypy: disable-error-code="untyped-decorator, no-untyped-def, no-untyped-call, assignment"

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from seqops.gpu import tuning
from seqops.gpu.tiles import BUILD, check_floats, on_device


def causal_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    initial_state: Tensor | None = None,
    *,
    silu: bool = False,
) -> tuple[Tensor, Tensor]:
    """Convolve every channel with its own taps, differentiable in every tensor: y_t = bias + sum_j w_j x_(t-K+1+j).

    x (b, l, d) in float32, bfloat16 or float16 and any layout, weight (d, K), bias (d,), initial_state (b, K-1, d) the
    inputs before x (zeros by default); silu applies SiLU to the result. Returns y in x's dtype and layout, and the
    last K-1 inputs (b, K-1, d). Raises TypeError on other dtypes.
    """
    check_floats(x=x, weight=weight, bias=bias, initial_state=initial_state)
    before = None if initial_state is None else initial_state.to(x.dtype)
    y = _CausalConv.apply(x, weight, bias, before, silu)
    return y, _last_inputs(x, before, weight.shape[1] - 1)


def _last_inputs(x: Tensor, before: Tensor | None, count: int) -> Tensor:
    b, l, d = x.shape
    if l >= count:
        return x[:, l - count :].clone()
    before = x.new_zeros(b, count, d) if before is None else before
    return torch.cat([before[:, l:], x], dim=1)


class _CausalConv(torch.autograd.Function):
    """The convolution and its adjoint."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, before: Tensor | None, silu: bool):
        y = torch.empty_like(x)
        b, l, d = x.shape
        tile = tuning.conv_tile(tuning.CONV, x)
        first = x[:, :0] if before is None else before
        grid = (triton.cdiv(l, tile["TOKENS"]), triton.cdiv(d, tile["CHANNELS"]), b)
        if l:
            with on_device(x):
                conv_forward[grid](
                    x, weight, weight if bias is None else bias, first, y, l, d,
                    *x.stride(), *y.stride(), *first.stride(), *weight.stride(),
                    K=weight.shape[1], HAS_BIAS=bias is not None, HAS_STATE=before is not None, SILU=silu,
                    num_warps=tuning.CONV["warps"], **tile, **BUILD,
                )  # fmt: skip
        ctx.save_for_backward(x, weight, bias, before)
        ctx.silu = silu
        return y

    @staticmethod
    def backward(ctx: Any, gy: Tensor):
        x, weight, bias, before = ctx.saved_tensors
        b, l, d = x.shape
        K, tile = weight.shape[1], tuning.conv_tile(tuning.CONV_BACKWARD, x)
        first = x.new_empty(b, K - 1, d) if before is None else before
        gx, gfirst = torch.empty_like(x), torch.empty_like(first)
        blocks = triton.cdiv(l + K - 1, tile["TOKENS"])
        partial = torch.empty(b, blocks, K + 1, d, device=x.device)
        with on_device(x):
            conv_backward[blocks, triton.cdiv(d, tile["CHANNELS"]), b](
                x, weight, weight if bias is None else bias, first, gy, gx, gfirst, partial, l, d,
                *x.stride(), *first.stride(), *gy.stride(), *gx.stride(), *gfirst.stride(), *weight.stride(),
                K=K, HAS_BIAS=bias is not None, HAS_STATE=before is not None, SILU=ctx.silu,
                num_warps=tuning.CONV_BACKWARD["warps"], **tile, **BUILD,
            )  # fmt: skip
        sums = partial.sum((0, 1))  # (K + 1, d)
        gbias = None if bias is None else sums[K].to(bias.dtype)
        return gx, sums[:K].T.to(weight.dtype), gbias, None if before is None else gfirst, None


@triton.jit
def _input(x, first, t, c, mask, l, x_t, x_d, first_t, first_d, K: tl.constexpr, HAS_STATE: tl.constexpr):
    """Load the inputs at times t (tokens, 1) as float32; negative times are in the initial state."""
    at = tl.cast(t, tl.int64) * x_t + c * x_d
    value = tl.load(x + at, mask=mask & (t >= 0) & (t < l), other=0.0).to(tl.float32)
    if HAS_STATE:
        old = tl.load(first + (t + K - 1) * first_t + c * first_d, mask=mask & (t < 0) & (t > -K), other=0.0)
        value += old.to(tl.float32)
    return value


@triton.jit
def _before_silu(
    x, weight, bias, first, t, c, mask, l, d, x_t, x_d, first_t, first_d, w_d, w_k,
    K: tl.constexpr, HAS_BIAS: tl.constexpr, HAS_STATE: tl.constexpr,
):  # fmt: skip
    """Return bias + sum_j w_j x_(t-K+1+j) for times t (tokens, 1) and channels c (1, channels)."""
    total = tl.zeros(mask.shape, tl.float32)
    if HAS_BIAS:
        total += tl.load(bias + c, mask=c < d, other=0.0).to(tl.float32)
    for j in tl.static_range(K):
        tap = tl.load(weight + c * w_d + j * w_k, mask=c < d, other=0.0).to(tl.float32)
        total += tap * _input(x, first, t - (K - 1) + j, c, mask, l, x_t, x_d, first_t, first_d, K, HAS_STATE)
    return total


@triton.jit
def conv_forward(
    x, weight, bias, first, y, l, d,
    x_b, x_t, x_d, y_b, y_t, y_d, first_b, first_t, first_d, w_d, w_k,
    K: tl.constexpr, HAS_BIAS: tl.constexpr, HAS_STATE: tl.constexpr, SILU: tl.constexpr,
    TOKENS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Write one tile of y."""
    t = (tl.program_id(0) * TOKENS + tl.arange(0, TOKENS))[:, None]
    c = (tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS))[None, :]
    b = tl.cast(tl.program_id(2), tl.int64)
    mask = (t < l) & (c < d)
    c = tl.cast(c, tl.int64)
    total = _before_silu(
        x + b * x_b, weight, bias, first + b * first_b, t, c, mask, l, d, x_t, x_d, first_t, first_d, w_d, w_k,
        K, HAS_BIAS, HAS_STATE,
    )  # fmt: skip
    if SILU:
        total *= tl.sigmoid(total)
    tl.store(y + b * y_b + tl.cast(t, tl.int64) * y_t + c * y_d, total.to(y.dtype.element_ty), mask=mask)


@triton.jit
def conv_backward(
    x, weight, bias, first, gy, gx, gfirst, partial, l, d,
    x_b, x_t, x_d, first_b, first_t, first_d, gy_b, gy_t, gy_d, gx_b, gx_t, gx_d, gf_b, gf_t, gf_d, w_d, w_k,
    K: tl.constexpr, HAS_BIAS: tl.constexpr, HAS_STATE: tl.constexpr, SILU: tl.constexpr,
    TOKENS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Write the gradients of one tile of inputs, of which the first K-1 are the initial state.

    Input p (counted from the initial state on) gets sum_j w_j g_(p-j), g the gradient before SiLU. partial (b, blocks,
    K + 1, d) gets this tile's part of the gradients of the taps and of the bias.
    """
    p = (tl.program_id(0) * TOKENS + tl.arange(0, TOKENS))[:, None]
    c = (tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS))[None, :]
    b = tl.cast(tl.program_id(2), tl.int64)
    mask = (p < l + K - 1) & (c < d)
    c = tl.cast(c, tl.int64)
    x += b * x_b
    first += b * first_b
    part = partial + (b * tl.num_programs(0) + tl.program_id(0)) * (K + 1) * d + c
    column_mask = c < d
    total = tl.zeros((TOKENS, CHANNELS), tl.float32)
    for j in tl.static_range(K):
        t = p - j
        inside = mask & (t >= 0) & (t < l)
        g = tl.load(gy + b * gy_b + tl.cast(t, tl.int64) * gy_t + c * gy_d, mask=inside, other=0.0).to(tl.float32)
        if SILU:
            z = _before_silu(
                x, weight, bias, first, t, c, inside, l, d,
                x_t, x_d, first_t, first_d, w_d, w_k, K, HAS_BIAS, HAS_STATE,
            )  # fmt: skip
            s = tl.sigmoid(z)
            g *= s * (1.0 + z * (1.0 - s))
        if j == 0:
            for i in tl.static_range(K):
                value = _input(x, first, t - (K - 1) + i, c, inside, l, x_t, x_d, first_t, first_d, K, HAS_STATE)
                tl.store(part + i * d, tl.sum(g * value, 0)[None, :], mask=column_mask)
            tl.store(part + K * d, tl.sum(g, 0)[None, :], mask=column_mask)
        total += g * tl.load(weight + c * w_d + j * w_k, mask=column_mask, other=0.0).to(tl.float32)
    t = p - (K - 1)
    at = gx + b * gx_b + tl.cast(t, tl.int64) * gx_t + c * gx_d
    tl.store(at, total.to(gx.dtype.element_ty), mask=mask & (t >= 0))
    if HAS_STATE:
        tl.store(gfirst + b * gf_b + p * gf_t + c * gf_d, total.to(gfirst.dtype.element_ty), mask=mask & (t < 0))
