"""A whole Mamba mixer as one T x T operator: gate, scan, SiLU and short convolution (Zimerman et al., ICLR 2025).

Per channel, with a = conv(x) + b and u = SiLU(a) = sigmoid(a) a:

    mixer output = M x + r      M = diag(SiLU(z)) (alpha + D I) diag(sigmoid(a)) W      r = M's rows of b without W

alpha is the hidden attention of the scan (selective_scan.selective_scan_matrix), W the Toeplitz matrix of the causal
convolution, W_(t, t-n) = taps[k-1-n]. M is linear in x only at this text: gate, sigmoid and alpha follow it.

Shapes: dt, x, slope, gate (l, d); A (d, n); B, C (l, n); D (d,); taps (d, k), the oldest token's first; M (d, l, l).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

CHANNELS = 32  # worked on at a time, which bounds the memory


def conv_slope(x: Tensor, taps: Tensor, bias: Tensor) -> Tensor:
    """Return sigmoid(conv(x) + bias), by which SiLU multiplies what the convolution gives, (l, d)."""
    d, k = taps.shape
    a = F.conv1d(F.pad(x.T, (k - 1, 0))[None], taps[:, None], bias, groups=d)[0].T
    return torch.sigmoid(a)


def mixer_matrix(alpha: Tensor, D: Tensor, slope: Tensor, taps: Tensor, gate: Tensor) -> Tensor:
    """Build M of the channels whose alpha (c, l, l) is given; all else is of these: D (c,), slope, gate (l, c)."""
    l, k = alpha.shape[1], taps.shape[1]
    scan = (alpha + torch.diag_embed(D[:, None].expand(-1, l))) * slope.T[:, None, :]  # (c, query, convolved token)
    out = torch.zeros_like(scan)
    for n in range(min(k, l)):
        out[:, :, : l - n] += scan[:, :, n:] * taps[:, k - 1 - n, None, None]
    return out * gate.T[:, :, None]


def mixer_summary(
    dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, slope: Tensor, taps: Tensor, gate: Tensor
) -> Tensor:
    """Return the mean over all channels of |M|, (l, l), without keeping the channels' matrices."""
    l, d = dt.shape
    total = dt.new_zeros(l, l)
    for first in range(0, d, CHANNELS):
        some = slice(first, first + CHANNELS)
        alpha = _alpha(dt[:, some], A[some], B, C)
        total += mixer_matrix(alpha, D[some], slope[:, some], taps[some], gate[:, some]).abs().sum(0)
    return total / d


def _alpha(dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """Build selective_scan_matrix row by row: what is left of every write is multiplied on, no power is taken twice."""
    l, c = dt.shape
    keep = torch.exp(dt[:, :, None] * A)  # (l, c, n)
    left = dt.new_zeros(l, c, A.shape[1])  # of the write at each token
    alpha = dt.new_zeros(c, l, l)
    for i in range(l):
        left[:i] *= keep[i]
        left[i] = dt[i, :, None] * B[i]
        alpha[:, i, : i + 1] = (left[: i + 1] @ C[i]).T
    return alpha
