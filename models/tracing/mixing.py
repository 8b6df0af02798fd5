"""The T x T mixing matrix of single channels, computed from a recorded layer."""

from collections.abc import Sequence

import numpy as np
import torch
from seqops.selective_scan import selective_scan_matrix
from seqops.wkv import wkv_matrix

from models.errors import SettingError
from models.records.trace import LayerTrace, NamedArray


def channel_mixing(layer: LayerTrace, channels: Sequence[int]) -> NamedArray:
    """Return (channel, query, key): alpha of a Mamba layer (signed), P of an RWKV layer (rows sum to 1).

    Raises SettingError for a channel the layer does not have, KeyError for a layer with attention heads instead.
    """
    size = layer.part("half_life").shape[0]
    if bad := [c for c in channels if not 0 <= c < size]:
        raise SettingError("errors.setting_range", f"channel {bad[0]}: the layer has 0 to {size - 1}",
                           name="channel", value=bad[0], low=0, high=size - 1)  # fmt: skip
    chosen = list(channels)
    if "dt" in layer.parts:
        dt, rates = _tensor(layer, "dt")[:, chosen], _tensor(layer, "decay_rates")[chosen]
        matrix = selective_scan_matrix(dt, rates, _tensor(layer, "write_proj"), _tensor(layer, "read_proj"))
    else:
        rate, bonus = _tensor(layer, "decay_rate")[chosen], _tensor(layer, "bonus")[chosen]
        matrix = wkv_matrix(rate, bonus, _tensor(layer, "key")[:, chosen])
    return NamedArray(matrix.float().numpy(), ("channel", "query", "key"))


def _tensor(layer: LayerTrace, part: str) -> torch.Tensor:
    return torch.from_numpy(np.array(layer.part(part)))
