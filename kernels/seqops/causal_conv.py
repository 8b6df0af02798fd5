"""The short depthwise causal convolution in front of Mamba's scan."""

import torch
import torch.nn.functional as F
from torch import Tensor


def causal_conv_ref(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolve each channel with its own taps, token by token: y_t = bias + sum_j weight[:, j] x_(t - (K-1) + j).

    x (b, l, d), weight (d, K), bias (d,). Returns (b, l, d). Positions before the first token count as zero.
    """
    l, taps = x.shape[1], weight.shape[1]
    out = []
    for t in range(l):
        y = torch.zeros_like(x[:, 0]) if bias is None else bias.expand_as(x[:, 0])
        for j in range(taps):
            source = t - (taps - 1) + j
            if source >= 0:
                y = y + weight[:, j] * x[:, source]
        out.append(y)
    return torch.stack(out, dim=1) if out else torch.zeros_like(x)


def causal_conv_fast(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Same as causal_conv_ref as K shifted multiply-adds, which a CPU runs faster than a grouped convolution."""
    l, taps = x.shape[1], weight.shape[1]
    padded = F.pad(x, (0, 0, taps - 1, 0))  # (b, l + K - 1, d)
    y = padded[:, :l] * weight[:, 0]
    for j in range(1, taps):
        y = torch.addcmul(y, padded[:, j : j + l], weight[:, j])
    return y if bias is None else y + bias
