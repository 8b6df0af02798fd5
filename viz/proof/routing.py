"""Checks of the figures of a mixture of experts."""

import numpy as np

from models.reconstruction import experts as reconstruction
from models.reconstruction.check import Wide, absolute, relative, wide, worst
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
    known = [leads(reconstruction.probabilities(one), one.parts["chosen_experts"].sizes["choice"]) for one in layers]
    return worst(
        *routes,
        told_error(figure, trace),
        names,
        same(planes_of(figure)[0], lanes.chosen[0][1]),
        same(exported(figure, "margin"), np.stack(known)),
    )


def router_bars(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Drawn probabilities and scores of every token against the router's logits, and which experts it used."""
    layers, layer = trace.layers_with("router_probs"), number(choice, "layer")
    shown = layers[len(layers) // 2] if layer is None else trace.layer(layer)
    temperature = choice.get("temperature", 1.0)
    if not isinstance(temperature, int | float):
        raise TypeError(f"temperature {temperature!r}")
    own, used, logits = reconstruction.probabilities(shown), shown.part("chosen_experts"), shown.part("router_logits")
    odds = np.exp((wide(logits) - wide(logits).max(1, keepdims=True)) / temperature)
    known = odds / odds.sum(1, keepdims=True)
    bars = chart_rows(figure, "bar", "p")
    place = bars["token"].to_numpy().astype(int), bars["expert"].to_numpy().astype(int)
    solid = np.zeros(known.shape, dtype=bool)
    solid[place] = bars["chosen"].to_numpy(dtype=bool)
    best = np.sort(np.argsort(-known, axis=1, kind="stable")[:, : used.shape[1]], axis=1)
    told = np.sort(figure.data["chosen_experts"].values, axis=1)
    if (solid.sum(1) != used.shape[1]).any() or not np.array_equal(told, best):
        return 1.0
    if not np.array_equal(np.nonzero(solid)[1].reshape(best.shape), best):
        return 1.0
    errors: list[Wide | float] = [reconstruction.mixture_error(used, shown.part("chosen_weights"), shown)]
    errors += [
        relative(exported(figure, "router_probs"), known, known),
        same(exported(figure, "router_logits"), logits),
    ]
    for column, wanted in (("p", known), ("own", own), ("logit", wide(logits))):
        drawn = np.full(known.shape, np.nan)
        drawn[place] = bars[column].to_numpy(dtype=np.float64)
        errors.append(relative(drawn, wanted, wanted if column != "logit" else np.abs(wanted).max(1, keepdims=True)))
    return worst(*errors, same(exported(figure, "margin"), leads(known, used.shape[1])))


def leads(probs: Wide, top_k: int) -> Wide:
    """Return by how much the last of so many chosen experts leads the next one, (token,); nan where none is left."""
    falling = -np.sort(-probs, axis=1)
    if top_k == probs.shape[1]:
        return np.full(len(probs), np.nan)
    return wide(falling[:, top_k - 1] - falling[:, top_k])


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
