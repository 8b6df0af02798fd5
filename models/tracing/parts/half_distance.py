"""Measure after how many tokens the weight of a selective scan has fallen to half, channel by channel."""

import math

import torch
from torch import Tensor

CHANNELS = 256  # worked on at a time, which bounds the memory
_SHRINK = 0.75  # channels that are done are dropped when no more than this share is left


def half_distance(dt: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Return, per channel, how many tokens beyond the nearest one the mean |alpha| takes to fall to half.

    m(n) is the mean of |alpha_(t, t-n)| over the queries t >= n. The result is D - 1, where D > 1 is the first distance
    at which m(D) = m(1) / 2; between whole distances ln m is interpolated linearly. For a single component that decays
    evenly this is the half-life, ln 2 / rate.

    dt (token, channel), a < 0 (channel, d_state), b and c (token, d_state); returns (channel,) in dt's dtype. inf:
    |alpha| stays above half as far as this text reaches; nan: the text has fewer than two tokens, or m(1) is 0.
    """
    parts = [_of_some(dt[:, at : at + CHANNELS], a[at : at + CHANNELS], b, c) for at in range(0, len(a), CHANNELS)]
    return torch.cat(parts)


def _of_some(dt: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    length, count = dt.shape
    found = dt.new_full((count,), math.inf if length > 1 else math.nan)
    left = torch.arange(count, device=dt.device)  # channels that have not fallen to half yet
    decay = torch.exp(dt[:, :, None] * a)  # (token, channel, d_state)
    kept = torch.ones_like(decay)  # (query, channel, d_state): what is left of a write after `distance` tokens
    half = before = dt.new_empty(0)
    for distance in range(1, length):
        kept = kept[1:] * decay[1 : length - distance + 1]
        overlap = c[distance:] * b[: length - distance]  # (query, d_state)
        alpha = torch.einsum("tcn,tn->tc", kept, overlap) * dt[: length - distance]
        mean = alpha.abs().mean(0)
        if distance == 1:
            half, before = mean / 2, mean
            found[mean == 0] = math.nan
            going = mean > 0
        else:
            fallen = (mean <= half) & torch.isinf(found[left])
            place = distance - 1 + torch.log(before / half) / torch.log(before / mean)
            found[left[fallen]] = place[fallen] - 1
            before, going = mean, torch.isinf(found[left])
        if not going.any():
            break
        if going.sum() <= _SHRINK * len(left):
            left, half, before = left[going], half[going], before[going]
            kept, decay, dt = kept[:, going], decay[:, going], dt[:, going]
    return found
