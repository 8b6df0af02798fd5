"""Check of the way through the layers: every plane that travels to the browser, and which layer it is said to be of."""

import numpy as np

from models.reconstruction import experts, maps, state_space
from models.reconstruction.check import Wide, absolute, wide, worst
from models.records.trace import LayerTrace, ModelTrace
from viz.figure import Figure
from viz.mechanism import Drawn, MechanismSpec, read
from viz.proof.drawn import Choice, exported, same
from viz.proof.maps import map_error

MARGIN = 1e-6  # of a weight, by which one that is left out may be larger


def layer_flow(figure: Figure, trace: ModelTrace, _choice: Choice) -> float:
    """Drawn choices against the captured outputs, arcs against rows of attention, tiles against a float64 scan.

    Each plane is also what the figure exports, and each station says which layer it is.
    """
    if not isinstance(figure.body, MechanismSpec):
        raise TypeError(f"{figure.id} is drawn by another component")
    drawn = read(figure.body.payload())
    if drawn.header["labels"] != [token.label for token in trace.tokens]:
        return 1.0
    if drawn.planes.keys() != figure.data.keys() or not _stations_agree(drawn, trace):
        return 1.0
    copies = [same(plane, exported(figure, name)) for name, plane in drawn.planes.items()]
    return worst(*copies, *_routes(drawn, trace), *_arcs(drawn, trace), *_tiles(drawn, trace))


def _stations_agree(drawn: Drawn, trace: ModelTrace) -> bool:
    """Return whether steps and stations are the layers in order, each pointing at its own rows of the planes."""
    kinds = {"routed": "chosen_experts", "reads": "attention", "holds": "state"}
    told = drawn.header["settings"]["stations"]
    if [step["key"] for step in drawn.header["steps"]] != [str(layer.index) for layer in trace]:
        return False
    counts = dict.fromkeys(kinds, 0)
    for station, layer in zip(told, trace, strict=True):
        if (station["index"], station["mixer"]) != (layer.index, layer.mixer):
            return False
        for name, part in kinds.items():
            here = counts[name] if part in layer.parts else -1
            counts[name] += part in layer.parts
            if station[name] != here:
                return False
    return True


def _routes(drawn: Drawn, trace: ModelTrace) -> list[float]:
    layers = trace.layers_with("chosen_experts")
    planes = [drawn.planes[name] for name in ("chosen_experts", "chosen_weights", "kept")]
    if any(len(plane) != len(layers) for plane in planes):
        return [1.0]
    errors = []
    for chosen, weights, kept, layer in zip(*planes, layers, strict=True):
        known = experts.probabilities(layer)
        sums = np.array([sum(row[int(e)] for e in own) for row, own in zip(known, chosen, strict=True)])
        errors += [worst(experts.mixture_error(chosen, weights, layer)), same(kept, sums)]
    return errors


def _arcs(drawn: Drawn, trace: ModelTrace) -> list[float]:
    """Compare arcs with the recorded mean over heads, of which some rows are recomputed from queries and keys."""
    layers = trace.layers_with("attention")
    if not layers:
        return []
    keys, weights = drawn.planes["read_key"], drawn.planes["read_weight"]
    if len(keys) != len(layers):
        return [1.0]
    errors = []
    for key, weight, layer in zip(keys, weights, layers, strict=True):
        known = maps.recorded(layer)
        errors.append(map_error(known, layer))
        for row, (own, size) in enumerate(zip(key, weight, strict=True)):
            errors.append(_row_error(own, size, known[row]))
    return errors


def _row_error(keys: Wide, weights: Wide, row: Wide) -> float:
    """Compare the arcs of one word with its row of attention: these weights, and none left out that is larger."""
    there = ~np.isnan(keys)
    places = keys[there].astype(int)
    if len(set(places)) != len(places) or len(places) != min(len(keys), int((row > 0).sum())):
        return 1.0
    left = np.delete(row, places)
    beaten = float(left.max(initial=0.0) > weights[there].min(initial=1.0) + MARGIN)
    return worst(same(weights[there], row[places]), beaten, float((np.diff(weights[there]) > 0).any()))


def _tiles(drawn: Drawn, trace: ModelTrace) -> list[float]:
    layers = trace.layers_with("state")
    if not layers:
        return []
    tiles, written = drawn.planes["tile"], drawn.planes["written"]
    if len(tiles) != len(layers):
        return [1.0]
    rows, columns = drawn.header["settings"]["tile"]
    errors = []
    for tile, new, layer in zip(tiles, written, layers, strict=True):
        channels = list(range(layer.parts["state"].sizes["channel"]))
        known = state_space.scan(layer, channels)
        errors.append(same(tile, _pooled(np.abs(known.state), layer, rows, columns)))
        errors.append(worst(state_space.read_error(known.state, layer, channels)))
        errors.append(worst(absolute(new, _renewed(known.state, layer))))
    return errors


def _pooled(sizes: Wide, layer: LayerTrace, rows: int, columns: int) -> Wide:
    """Average |h| (token, channel, d_state) over runs of channels, longest half-life first, and of dimensions."""
    order = np.argsort(-wide(layer.part("half_life")), kind="stable")
    runs = np.array_split(order, min(rows, len(order)))
    bands = np.array_split(np.arange(sizes.shape[2]), min(columns, sizes.shape[2]))
    return wide(np.stack([np.stack([sizes[:, run][:, :, band].mean((1, 2)) for band in bands], 1) for run in runs], 1))


def _renewed(state: Wide, layer: LayerTrace) -> Wide:
    """Return sum |w| / (sum |w| + sum |h - w|) of each token, w = dt B u being what it adds."""
    dt, u, write = state_space.step_sizes(layer), wide(layer.part("scan_input")), wide(layer.part("write_proj"))
    found = []
    for token, h in enumerate(state):
        added = (dt[token] * u[token])[:, None] * write[token]
        new, old = np.abs(added).sum(), np.abs(h - added).sum()
        found.append(new / (new + old) if new + old > 0 else 0.0)
    return wide(np.array(found))
