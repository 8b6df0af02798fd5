"""The check of the finder of RWKV's channels: rows of P in float64, summed token by token."""

from collections.abc import Sequence

import numpy as np

from models.reconstruction import time_mix
from models.reconstruction.check import Wide, wide
from models.reconstruction.maps import BUDGET
from models.records.trace import LayerTrace, ModelTrace
from viz.figure import Figure
from viz.proof.drawn import Choice
from viz.proof.finder import finder_error, spread
from viz.proof.ink import shares_of

LEAST = 12  # channels that are recomputed at least


def decay_finder(figure: Figure, traces: Sequence[ModelTrace], _choice: Choice) -> float:
    """Drawn metrics of some channels against P recomputed row by row, the weights and the captured outputs."""
    rows = [(layer.index, c) for layer in traces[0].layers_with("decay_rate") for c in range(_count(layer))]
    cost = 160 * max(len(trace.tokens) for trace in traces) ** 2
    checked = spread(len(rows), max(LEAST, BUDGET // cost))
    here, there = (_known(trace, [rows[row] for row in checked]) for trace in traces)
    columns = {"half_life": {"here": here["half_life"]}}
    for key in ("past", "distance"):
        columns[key] = {
            "here": here[key], "there": there[key], "chance_here": here[f"{key} equal"],
            "chance_there": there[f"{key} equal"],
        }  # fmt: skip
    columns |= {key: {"here": here[key], "there": there[key]} for key in ("receptance", "output")}
    return finder_error(figure, rows, columns, checked=checked)


def _known(trace: ModelTrace, rows: Sequence[tuple[int, int]]) -> dict[str, Wide]:
    layers = {layer: trace.layer(layer) for layer, _ in rows}
    gates = {layer: time_mix.receptance(shown) for layer, shown in layers.items()}
    rates = {layer: time_mix.rates(shown) for layer, shown in layers.items()}
    found: dict[str, list[float]] = {}
    for layer, channel in rows:
        shown, rate = layers[layer], float(rates[layer][channel])
        bonus, key = float(shown.part("bonus")[channel]), wide(shown.part("key")[:, channel])
        for name, keys in (("", key), (" equal", np.zeros_like(key))):
            past, distance = _reach(shares_of(rate, bonus, keys))
            found.setdefault(f"past{name}", []).append(past)
            found.setdefault(f"distance{name}", []).append(distance)
        found.setdefault("half_life", []).append(float(np.log(2) / rate))
        found.setdefault("receptance", []).append(float(gates[layer][:, channel].mean()))
        output = wide(shown.part("mixer_output")[:, channel])
        found.setdefault("output", []).append(float(sum(abs(value) for value in output) / len(output)))
    return {name: wide(np.array(values)) for name, values in found.items()}


def _reach(share: Wide) -> tuple[float, float]:
    """Average the share of earlier tokens and its mean distance over the rows from the second on."""
    if len(share) < 2:
        return float("nan"), float("nan")
    past = [share[t, :t].sum() for t in range(1, len(share))]
    distance = [share[t, :t] @ np.arange(t, 0, -1) for t in range(1, len(share))]
    return float(np.mean(past)), float(np.mean(distance))


def _count(layer: LayerTrace) -> int:
    return int(layer.part("time_decay").size)
