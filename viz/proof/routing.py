"""Checks of the figures of a mixture of experts."""

import numpy as np

from models.reconstruction import experts as reconstruction
from models.reconstruction.check import absolute, relative, wide, worst
from models.records.trace import LayerTrace, ModelTrace
from viz.canvas import Lanes
from viz.figure import Figure
from viz.look.plotly import PlotSpec
from viz.proof.drawn import (
    Choice,
    chart_rows,
    exported,
    lanes_of,
    map_of,
    names_error,
    number,
    picture_error,
    planes_of,
    same,
)
from viz.trace.expert_routes import KINDS, kinds_of


def expert_lanes(figure: Figure, trace: ModelTrace, _choice: Choice) -> float:
    """Drawn experts and weights of every token against the captured outputs of the expert blocks."""
    lanes, layers = lanes_of(figure), trace.layers_with("chosen_experts")
    if any(len(plane) != len(layers) for pair in lanes.chosen for plane in pair):
        return 1.0
    routes = [routes_error(lanes, row, layer) for row, layer in enumerate(layers)]
    names = names_error(map_of(figure).rows.labels, [[layer.index] for layer in layers])
    return worst(*routes, told_error(figure, trace), names, same(planes_of(figure)[0], lanes.chosen[0][1]))


def router_bars(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Drawn probabilities of every token against the softmax of the router's logits, and which of them it used."""
    layers, layer = trace.layers_with("router_probs"), number(choice, "layer")
    shown = layers[len(layers) // 2] if layer is None else trace.layer(layer)
    known = reconstruction.probabilities(shown)
    bars, used = chart_rows(figure, "bar", "p"), shown.part("chosen_experts")
    place = bars["token"].to_numpy().astype(int), bars["expert"].to_numpy().astype(int)
    drawn, solid = np.full(known.shape, np.nan), np.zeros(known.shape, dtype=bool)
    drawn[place], solid[place] = bars["p"].to_numpy(dtype=np.float64), bars["chosen"].to_numpy(dtype=bool)
    best = np.sort(np.argsort(-known, axis=1, kind="stable")[:, : used.shape[1]], axis=1)
    told = np.sort(figure.data["chosen_experts"].values, axis=1)
    if (solid.sum(1) != used.shape[1]).any() or not np.array_equal(told, best):
        return 1.0
    if not np.array_equal(np.nonzero(solid)[1].reshape(best.shape), best):
        return 1.0
    rebuilt = reconstruction.mixture_error(used, shown.part("chosen_weights"), shown)
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
        errors.append(worst(reconstruction.mixture_error(chosen, layer.part("chosen_weights"), layer)))
    if drawn.shape != known.shape:
        return 1.0
    names = names_error(map_of(figure).rows.labels, [[layer.index] for layer in layers])
    return worst(absolute(drawn, known), *errors, names, picture_error(figure, drawn[None]))


def expert_routes(figure: Figure, trace: ModelTrace, _choice: Choice) -> float:
    """Drawn first experts of every token against the router's largest probability, and the kinds of tokens."""
    if not isinstance(figure.body, PlotSpec):
        raise TypeError(f"{figure.id} is no figure of plotly")
    layers, (routes,) = trace.layers_with("chosen_experts"), figure.body.data
    _, *columns = routes["dimensions"]
    if len(columns) != len(layers) or len(routes["line"]["color"]) != len(trace.tokens):
        return 1.0
    errors = [absolute(exported(figure, "first_expert").T, wide(np.array([one["values"] for one in columns])))]
    for column, layer in zip(columns, layers, strict=True):
        known, drawn = reconstruction.probabilities(layer), np.array(column["values"])
        errors.append(absolute(known[np.arange(len(known)), drawn], known.max(1)))
    kinds = [KINDS.index(kind) for kind in kinds_of(trace.tokens)]
    errors.append(absolute(exported(figure, "kind"), wide(np.array(kinds))))
    codes = [sorted(set(kinds)).index(kind) for kind in kinds]
    errors.append(absolute(wide(np.array(routes["line"]["color"])), wide(np.array(codes))))
    names = names_error([column["label"] for column in columns], [[layer.index] for layer in layers])
    return worst(*errors, names)


def told_error(figure: Figure, trace: ModelTrace) -> float:
    """Compare the exported choices of all layers with their captured outputs; 0 for a model without experts."""
    layers = trace.layers_with("chosen_experts")
    if not layers:
        return 0.0
    told = zip(exported(figure, "chosen_experts"), exported(figure, "chosen_weights"), layers, strict=True)
    return worst(*(reconstruction.mixture_error(chosen, weights, layer) for chosen, weights, layer in told))


def routes_error(lanes: Lanes, row: int, layer: LayerTrace) -> float:
    """Compare the drawn choices of one layer with its captured output; a layer without experts must draw none.

    A picture that draws fewer choices than the layer makes, or more, has an error of 1.
    """
    drawn = [(wide(category[row]), wide(weight[row])) for category, weight in lanes.chosen]
    count = layer.parts["chosen_experts"].sizes["choice"] if "chosen_experts" in layer.parts else 0
    if len(drawn) < count or not all(np.isnan(plane).all() for pair in drawn[count:] for plane in pair):
        return 1.0
    if not count:
        return 0.0
    chosen, weights = (np.stack(part, axis=1) for part in zip(*drawn[:count], strict=True))
    return worst(reconstruction.mixture_error(chosen, weights, layer))
