"""The check of the finder of channels: its columns against loops over the captured inputs and outputs in float64."""

from collections.abc import Sequence

import numpy as np

from models.reconstruction import half_lives, state_space
from models.reconstruction.check import Wide, wide, worst
from models.records.trace import LayerTrace, ModelTrace
from viz.figure import Figure
from viz.proof.drawn import Choice
from viz.proof.finder import finder_error

SPOT_CHECKED = 2  # channels of every layer whose halving distance is recomputed


def channel_finder(figure: Figure, traces: Sequence[ModelTrace], _choice: Choice) -> float:
    """Drawn columns of all channels against float64; halving distances of some channels against alpha itself."""
    layers = traces[0].layers_with("half_distance")
    rows = [(layer.index, channel) for layer in layers for channel in range(len(layer.part("half_life")))]
    here, there = (_columns(trace) for trace in traces)
    known = {name: {"here": here[name], "there": there[name]} for name in here}
    even = np.concatenate(
        [np.full(len(layer.part("half_life")), 100 / len(layer.part("half_life"))) for layer in layers]
    )
    known["output_share"] |= {"chance_here": even, "chance_there": even}
    halved = [_halving_error(layer) for trace in traces for layer in trace.layers_with("half_distance")]
    return worst(finder_error(figure, rows, known), *halved)


def _columns(trace: ModelTrace) -> dict[str, Wide]:
    found: dict[str, list[Wide]] = {}
    for layer in trace.layers_with("half_distance"):
        dt = state_space.step_sizes(layer)
        spread = np.array([np.sqrt(((np.log(one) - np.log(one).mean()) ** 2).mean()) for one in dt.T])
        for name, values in (
            ("half_distance", wide(layer.part("half_distance"))),
            ("slowest", half_lives(layer)),
            ("output_share", _shares(layer)),
            ("step_mean", dt.sum(0) / len(dt)),
            ("step_spread", spread),
        ):
            found.setdefault(name, []).append(values)
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _shares(layer: LayerTrace) -> Wide:
    added = np.zeros(len(layer.part("output_norm")))
    for token in wide(layer.part("mixer_output")):
        added += np.abs(token) * wide(layer.part("output_norm"))
    return wide(100 * added / added.sum()) if added.sum() > 0 else added


def _halving_error(layer: LayerTrace) -> float:
    claimed = wide(layer.part("half_distance"))
    chosen = np.unique(np.linspace(0, len(claimed) - 1, SPOT_CHECKED).round().astype(int)).tolist()
    return worst(state_space.half_distance_error(claimed[chosen], layer, chosen))
