"""Rows of the map by which a layer mixes tokens, in float64, whatever its mixer: the layers' common currency."""

from collections.abc import Sequence

import numpy as np

from models.reconstruction import attention, state_space, time_mix
from models.reconstruction.check import Wide, relative, wide
from models.records.trace import LayerTrace

PARTS = {"attention": "attention", "mamba": "hidden_attention", "rwkv": "effective_attention"}
BUDGET = 12_000_000  # multiplications for all rows of a figure: some 30 ms on one core


def recorded(layer: LayerTrace) -> Wide:
    """Return the recorded map of a layer, attention averaged over its heads, (query, key)."""
    values = wide(layer.part(PARTS[layer.mixer]))
    return values if values.ndim == 2 else wide(values.mean(0))


def rows(layer: LayerTrace, chosen: Sequence[int]) -> Wide:
    """Return some rows of a layer's map from the captured inputs, (row, key)."""
    if layer.mixer == "attention":
        return attention.mean_weights(layer)[list(chosen)]
    module = state_space if layer.mixer == "mamba" else time_mix
    return wide(module.mean_rows(layer, chosen))


def error(drawn: Wide, layer: LayerTrace, chosen: Sequence[int]) -> Wide:
    """Compare some rows of a drawn map (query, key) with float64, a number per row, relative to the row's largest."""
    picked = list(chosen)
    known = rows(layer, picked)
    return wide(relative(drawn[picked], known, known.max(1, keepdims=True)).max(1))


def affordable(layer: LayerTrace, *, budget: float = BUDGET, wanted: Sequence[int] = ()) -> list[int]:
    """Choose the rows to recompute: all that the budget allows, evenly spread, the last and the wanted ones always."""
    length = recorded_length(layer)
    if layer.mixer == "attention":
        return list(range(length))
    cost = (state_space if layer.mixer == "mamba" else time_mix).row_cost(layer, length // 2)
    count = int(min(max(budget // cost, 1), length))
    spread = np.linspace(length - 1, 0, count).round().astype(int)
    return sorted({int(row) for row in spread} | {row for row in wanted if 0 <= row < length})


def recorded_length(layer: LayerTrace) -> int:
    """Count the tokens of a layer's map."""
    return layer.parts[PARTS[layer.mixer]].sizes["query"]
