"""Check of the path of a state: the drawn points are eigenvectors of the products of all states."""

from collections.abc import Sequence

import numpy as np

from models.reconstruction.check import Wide, relative, wide, worst
from models.records.trace import LayerTrace, ModelTrace
from viz.figure import Figure
from viz.look.plotly import PlotSpec, escaped
from viz.proof.drawn import Choice, exported, number


def state_path(figure: Figure, traces: Sequence[ModelTrace], choice: Choice) -> float:
    """Drawn points against G p = p l, G the products of the centred states, l the sums of squares of the points.

    The shares that are written must be l over the trace of G, in falling order, and the largest that are there.
    """
    layers = [_layer(trace, number(choice, "layer")) for trace in traces]
    states = np.concatenate([_held(layer) for layer in layers])
    centred = states - states.mean(0)
    products = centred @ centred.T
    drawn = np.concatenate([_points(figure, place) for place in range(len(traces))])
    told = np.concatenate([exported(figure, f"path_{place + 1}") for place in range(len(traces))])
    if drawn.shape != told.shape or len(drawn) != len(states):
        return 1.0
    sizes, total = (drawn**2).sum(0), float(np.trace(products))
    size = np.sqrt(max(sizes.max(), 1e-300))
    own = relative(products @ drawn, drawn * sizes, np.full(drawn.shape, size * sizes.max()))
    apart = relative(drawn.T @ drawn, np.diag(sizes), np.full((drawn.shape[1],) * 2, sizes.max()))
    shares = relative(exported(figure, "share"), sizes / total, np.ones(len(sizes)))
    known = np.linalg.eigvalsh(products)[::-1][: len(sizes)]
    largest = relative(sizes[: len(known)], known, np.full(len(known), known[0]))
    copies = relative(told, drawn, np.full(drawn.shape, size))
    return worst(own, apart, shares, largest, copies, _names_error(figure, traces))


def _layer(trace: ModelTrace, layer: int | None) -> LayerTrace:
    showing = trace.layers_with("state") or trace.layers_with("wkv_num")
    return trace.layer(layer) if layer is not None else showing[len(showing) // 2]


def _held(layer: LayerTrace) -> Wide:
    """Return what the layer carries, token by token."""
    if "state" in layer.parts:
        return np.stack([wide(h).ravel() for h in layer.part("state")])
    return wide(layer.part("wkv_num")) / wide(layer.part("wkv_den"))


def _points(figure: Figure, place: int) -> Wide:
    trace = _paths(figure)[place]
    return np.array([trace[axis] for axis in "xyz"], np.float64).T


def _paths(figure: Figure) -> list[dict[str, object]]:
    if not isinstance(figure.body, PlotSpec):
        raise TypeError(f"{figure.id} is no figure of plotly")
    return [trace for trace in figure.body.data if trace["meta"] == "path"]


def _names_error(figure: Figure, traces: Sequence[ModelTrace]) -> float:
    """Return 0 where every point names its own token, else 1."""
    for path, trace in zip(_paths(figure), traces, strict=True):
        said = path["customdata"]
        if not isinstance(said, list) or len(said) != len(trace.tokens):
            return 1.0
        if any(not str(words).endswith(escaped(one.label)) for words, one in zip(said, trace.tokens, strict=True)):
            return 1.0
    return 0.0
