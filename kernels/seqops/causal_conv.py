"""The short depthwise causal convolution in front of Mamba's scan."""

import torch
from torch import Tensor

from seqops import backends
from seqops.shapes import check_shapes


def causal_conv_ref(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, *, initial_state: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Convolve each channel with its own taps, token by token: y_t = bias + sum_j weight[:, j] x_(t - (K-1) + j).

    x (b, l, d), weight (d, K), bias (d,); initial_state (b, K-1, d) holds the inputs before the first token, zeros
    where there is none. Returns y (b, l, d) and the last K-1 inputs.
    """
    window = _start(x, weight, initial_state)
    out = []
    for t in range(x.shape[1]):
        y, window = causal_conv_step(window, x[:, t], weight, bias)
        out.append(y)
    return (torch.stack(out, dim=1) if out else torch.zeros_like(x)), window


def causal_conv_fast(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, *, initial_state: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Same as causal_conv_ref: a Triton kernel on a CUDA device, elsewhere K shifted multiply-adds.

    Torch's grouped convolution is slower on a CPU than the K additions. Raises ValueError on shapes.
    """
    (b, l, d), taps = x.shape, weight.shape[1]
    start = _start(x, weight, initial_state)
    check_shapes({"weight": weight, "state": start}, {"weight": (d, taps), "state": (b, taps - 1, d)})
    if backends.path(x.device) == "triton":
        from seqops.gpu import causal_conv as gpu

        y, state = gpu.causal_conv(x, weight, bias, start)
        return y, state
    padded = torch.cat([start, x], dim=1)  # (b, l + K - 1, d)
    y = padded[:, :l] * weight[:, 0]
    for j in range(1, taps):
        y.addcmul_(padded[:, j : j + l], weight[:, j])  # no factor's gradient needs the sum: in place is safe
    return (y if bias is None else y.add_(bias)), padded[:, l:]


def causal_conv_step(state: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Advance one token: x (b, d), state (b, K-1, d). Returns y (b, d) and the new state."""
    window = torch.cat([state, x[:, None]], dim=1)  # (b, K, d)
    y = torch.einsum("bkd,dk->bd", window, weight)
    return (y if bias is None else y + bias), window[:, 1:]


def _start(x: Tensor, weight: Tensor, state: Tensor | None) -> Tensor:
    return x.new_zeros(x.shape[0], weight.shape[1] - 1, x.shape[2]) if state is None else state
