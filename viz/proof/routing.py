"""Checks of the figures of a mixture of experts."""

import numpy as np

from models.reconstruction import experts as exact
from models.reconstruction.check import Wide, relative, wide, worst
from models.records import LayerTrace, ModelTrace
from viz.canvas import Experts
from viz.figure import Figure
from viz.proof.drawn import Choice, chart_rows, exported, grid_of, names_error, number, picture_error, same

DRAWN = 2  # choices of a token that a lane shows


def expert_lanes(figure: Figure, trace: ModelTrace, _choice: Choice) -> float:
    """Drawn experts and weights of every token against the captured outputs of the expert blocks."""
    grid, layers = grid_of(figure), trace.layers_with("chosen_experts")
    if grid.experts is None or len(grid.experts.first) != len(layers):
        return 1.0
    routes = [routes_error(grid.experts, row, layer) for row, layer in enumerate(layers)]
    names = names_error(grid.row_labels, [[layer.index] for layer in layers])
    return worst(*routes, told_error(figure, trace), names, same(grid.values[0], grid.experts.first_weight))


def router_bars(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Drawn probabilities of one token against the softmax of the router's logits, and which of them it used."""
    layers = trace.layers_with("router_probs")
    layer, position = number(choice, "layer"), number(choice, "position")
    shown = layers[len(layers) // 2] if layer is None else trace.layer(layer)
    at = len(trace.tokens) - 1 if position is None else position
    known = exact.probabilities(shown)[at]
    bars = chart_rows(figure, "bar", "p")
    drawn = np.full(len(known), np.nan)
    drawn[bars["expert"].to_numpy().astype(int)] = bars["p"].to_numpy(dtype=np.float64)
    solid = bars["expert"].to_numpy().astype(int)[bars["chosen"].to_numpy(dtype=bool)]
    told = np.sort(figure.data["chosen_experts"].values)
    used = shown.part("chosen_experts")[at]
    best = np.sort(np.argsort(-known, kind="stable")[: len(used)])
    if not (np.array_equal(np.sort(solid), best) and np.array_equal(told, best)):
        return 1.0
    rebuilt = exact.mixture_error(shown.part("chosen_experts"), shown.part("chosen_weights"), shown)[at]
    exact_ = relative(drawn, known, known), relative(exported(figure, "router_probs"), known, known)
    return worst(*exact_, rebuilt)


def expert_load(figure: Figure, trace: ModelTrace, _choice: Choice) -> float:
    """Drawn shares against a count of the choices, which themselves must give the captured outputs."""
    layers, drawn = trace.layers_with("chosen_experts"), exported(figure, "load")
    known = np.zeros((len(layers), layers[0].parts["router_probs"].sizes["expert"]))
    errors = []
    for row, layer in enumerate(layers):
        chosen = layer.part("chosen_experts")
        for expert in chosen.ravel():
            known[row, int(expert)] += 1 / chosen.size
        errors.append(worst(exact.mixture_error(chosen, layer.part("chosen_weights"), layer)))
    if drawn.shape != known.shape:
        return 1.0
    names = names_error(grid_of(figure).row_labels, [[layer.index] for layer in layers])
    return worst(np.abs(drawn - known), *errors, names, picture_error(figure, drawn[None]))


def told_error(figure: Figure, trace: ModelTrace) -> float:
    """Compare the exported choices of all layers with their captured outputs; 0 for a model without experts."""
    layers = trace.layers_with("chosen_experts")
    if not layers:
        return 0.0
    told = zip(exported(figure, "chosen_experts"), exported(figure, "chosen_weights"), layers, strict=True)
    return worst(*(exact.mixture_error(chosen, weights, layer) for chosen, weights, layer in told))


def routes_error(planes: Experts, row: int, layer: LayerTrace) -> float:
    """Compare the drawn choices of one layer with its captured output; a layer without experts must draw none.

    Choices beyond the drawn ones are taken from the record.
    """
    drawn: list[tuple[Wide, Wide]] = [
        (wide(planes.first[row]), wide(planes.first_weight[row])),
        (wide(planes.second[row]), wide(planes.second_weight[row])),
    ]
    if "chosen_experts" not in layer.parts:
        return float(not all(np.isnan(plane).all() for pair in drawn for plane in pair))
    count = layer.parts["chosen_experts"].sizes["choice"]
    recorded = layer.part("chosen_experts"), layer.part("chosen_weights")
    drawn += [(wide(recorded[0][:, choice]), wide(recorded[1][:, choice])) for choice in range(DRAWN, count)]
    chosen, weights = (np.stack(part, axis=1) for part in zip(*drawn[:count], strict=True))
    if count < DRAWN and not np.isnan(planes.second[row]).all():
        return 1.0
    return worst(exact.mixture_error(chosen, weights, layer))
