"""The T x T mixing matrix of single channels, computed from a recorded layer."""

from collections.abc import Sequence

import numpy as np
import torch
from seqops.mamba_mixer import conv_slope, mixer_matrix
from seqops.selective_scan import selective_scan_matrix
from seqops.wkv import wkv_matrix

from models.errors import SettingError
from models.records.trace import LayerTrace, NamedArray


def channel_mixing(layer: LayerTrace, channels: Sequence[int]) -> NamedArray:
    """Return (channel, query, key): alpha of a Mamba layer (signed), P of an RWKV layer (rows sum to 1).

    Raises SettingError for a channel the layer does not have, KeyError for a layer with attention heads instead.
    """
    chosen = _checked(layer, channels)
    if "dt" in layer.parts:
        matrix = _alpha(layer, chosen)
    else:
        rate, bonus = _tensor(layer, "decay_rate")[chosen], _tensor(layer, "bonus")[chosen]
        matrix = wkv_matrix(rate, bonus, _tensor(layer, "key")[:, chosen])
    return NamedArray(matrix.float().numpy(), ("channel", "query", "key"))


def mixer_mixing(layer: LayerTrace, channels: Sequence[int]) -> NamedArray:
    """Return M of channels of a Mamba layer (channel, query, key), signed: gate, scan, SiLU and convolution in one map.

    It leads from what the convolution receives to what the output projection receives. Raises SettingError for a
    channel the layer does not have, KeyError for a layer of another kind.
    """
    chosen = _checked(layer, channels)
    taps, bias = _tensor(layer, "conv_weight")[chosen], _tensor(layer, "conv_bias")[chosen]
    slope = conv_slope(_tensor(layer, "conv_input")[:, chosen], taps, bias)
    gate, skip = _tensor(layer, "gate")[:, chosen], _tensor(layer, "skip")[chosen]
    matrix = mixer_matrix(_alpha(layer, chosen), skip, slope, taps, gate)
    return NamedArray(matrix.float().numpy(), ("channel", "query", "key"))


def _alpha(layer: LayerTrace, chosen: list[int]) -> torch.Tensor:
    dt, rates = _tensor(layer, "dt")[:, chosen], _tensor(layer, "decay_rates")[chosen]
    return selective_scan_matrix(dt, rates, _tensor(layer, "write_proj"), _tensor(layer, "read_proj"))


def _checked(layer: LayerTrace, channels: Sequence[int]) -> list[int]:
    """Return the channels as a list; SettingError for one that the layer does not have."""
    size = layer.part("half_life").shape[0]
    if bad := [c for c in channels if not 0 <= c < size]:
        raise SettingError("errors.setting_range", f"channel {bad[0]}: the layer has 0 to {size - 1}",
                           name="channel", value=bad[0], low=0, high=size - 1)  # fmt: skip
    return list(channels)


def _tensor(layer: LayerTrace, part: str) -> torch.Tensor:
    return torch.from_numpy(np.array(layer.part(part)))
