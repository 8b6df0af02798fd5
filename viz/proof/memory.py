"""Checks of the figures that say what a selective scan keeps, how far it reaches, and what its maps are made of."""

import numpy as np

from models.reconstruction import mamba_mixer, maps, state_space
from models.reconstruction.check import Wide, absolute, relative, wide, worst
from models.records.trace import LayerTrace, ModelTrace
from viz.figure import Figure
from viz.look.plotly import PlotSpec
from viz.proof.drawn import (
    Choice,
    bars_error,
    channels_of,
    chosen_layer,
    exported,
    heatmap_of,
    map_of,
    matrix,
    mosaic_of,
    names_error,
    number,
    picture_error,
    planes_of,
    pooled,
    same,
)
from viz.proof.maps import map_error, mean_map_error
from viz.proof.state import half_life_error, row_error, runs_of

SURVIVAL = 40_000_000  # multiplications that the words of one picture may take
SPOT_CHECKED = 3  # channels of every layer whose halving distance is recomputed


def full_layer(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Drawn means of |M| against rows recomputed for all channels in float64, and all of them against the record."""
    return mean_map_error(figure, trace, choice, "full_layer", mamba_mixer.mean_rows)


def full_channel(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Drawn M x, with what the convolution's bias adds, against the captured output; and M against plain loops."""
    layer, channel = number(choice, "layer"), number(choice, "channel")
    if layer is None or channel is None:
        raise TypeError("full_channel is checked for a chosen layer and channel")
    shown = trace.layer(layer)
    drawn, copies = matrix(figure, "mixing")
    known, size, _ = mamba_mixer.operator(shown, channel)
    again = relative(drawn, known, size.max(1, keepdims=True))
    return worst(copies, again, mamba_mixer.mixed_error(drawn, shown, channel))


def content_decay(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Drawn alpha u with skip and gate against the captured output; content, decay and product against plain loops."""
    layer, channel = chosen_layer(trace, choice, "dt"), number(choice, "channel") or 0
    maps_drawn = [exported(figure, name) for name in ("content", "decay", "product", "alpha")]
    content, decay, product, alpha = maps_drawn
    component = int(figure.data["component"].values[0])
    if choice.get("component") is not None and component != number(choice, "component"):
        return 1.0
    dt = state_space.step_sizes(layer)[:, channel]
    keep = np.exp(dt * state_space.decay_rates(layer)[channel, component])
    write, read = (wide(layer.part(name))[:, component] for name in ("write_proj", "read_proj"))
    if alpha.shape != (len(dt),) * 2:
        return 1.0
    known = np.zeros((2, len(dt), len(dt)))
    for j in range(len(dt)):
        left = dt[j]
        for i in range(j, len(dt)):
            left = left * keep[i] if i > j else left
            known[:, i, j] = read[i] * write[j], left
    again = [relative(drawn, own, np.abs(own).max()) for drawn, own in zip((content, decay), known, strict=True)]
    made = relative(product, content * decay, np.abs(content * decay).max())
    whole, size = state_space.operator(layer, channel)
    rows = size.max(1, keepdims=True)
    titles = names_error([tile.name for tile in mosaic_of(figure).tiles[:3]], [[component]] * 3)
    drawn = picture_error(figure, np.stack(maps_drawn), triangle=True)
    return worst(
        *again, made, relative(alpha, whole, rows), state_space.mixed_error(alpha, layer, channel), titles, drawn
    )


def survival(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Drawn shares against writes multiplied on token by token in float64, word by word as far as time allows."""
    layer, drawn = chosen_layer(trace, choice, "dt"), exported(figure, "survival")
    dt = state_space.step_sizes(layer)
    if drawn.shape != (len(dt),) * 2 or not np.isnan(drawn[np.tril_indices(len(dt), -1)]).all():
        return 1.0
    keep = np.exp(dt[:, :, None] * state_space.decay_rates(layer))
    chosen = number(choice, "selected")
    count = int(np.clip(SURVIVAL // max(keep.size, 1), 1, len(dt)))
    words = sorted({int(j) for j in np.linspace(0, len(dt) - 1, count).round()} | ({chosen} if chosen else set()))
    errors = [absolute(drawn[j, j:], _left(layer, dt, keep, j)) for j in words]
    missing = float(np.isnan(drawn[np.triu_indices(len(dt))]).any())
    falling = np.nanmax(np.diff(drawn, axis=1), initial=0.0)  # what is left never grows
    return worst(*errors, missing, max(float(falling), 0.0), picture_error(figure, drawn[None]))


def _left(layer: LayerTrace, dt: Wide, keep: Wide, word: int) -> Wide:
    """Return the share of a word's write that is left after it and after every later token."""
    u, write = wide(layer.part("scan_input"))[word], wide(layer.part("write_proj"))[word]
    left = np.abs(dt[word] * u)[:, None] * np.abs(write)
    total, found = left.sum(), []
    for i in range(word, len(dt)):
        left = left * keep[i] if i > word else left
        found.append(left.sum() / total if total > 0 else 0.0)
    return np.array(found)


def memory_histogram(figure: Figure, trace: ModelTrace, _choice: Choice) -> float:
    """Drawn counts against the recorded distances, some of which are recomputed from alpha itself."""
    layers, drawn = trace.layers_with("half_distance"), exported(figure, "channels")
    errors, rows = [], []
    for layer in layers:
        measured = wide(layer.part("half_distance"))
        rows.append(_counts(measured))
        chosen = np.unique(np.linspace(0, len(measured) - 1, SPOT_CHECKED).round().astype(int)).tolist()
        errors.append(state_space.half_distance_error(measured[chosen], layer, chosen))
    known = np.array(rows)
    fits = [0.0, 1, 2, 4, 8, 16, 32, 64, 128]  # a column is there where its lower end is a distance of this text
    kept = [n for n, low in enumerate(fits) if n == 0 or low < len(trace.tokens) - 1] + [len(fits)]
    names = names_error(map_of(figure).rows.labels, [[layer.index] for layer in layers])
    whole = float(known.sum() != known[:, kept].sum())
    return worst(*errors, whole, same(drawn, known[:, kept]), names, picture_error(figure, drawn[None]))


def _counts(measured: Wide) -> list[int]:
    edges = [0.0, 1, 2, 4, 8, 16, 32, 64, 128, np.inf]
    inside = [int(sum(low < one <= high for one in measured if np.isfinite(one))) for low, high in
              zip([-1.0, *edges[1:-1]], edges[1:], strict=True)]  # fmt: skip
    return [*inside, int(np.isposinf(measured).sum())]


def state_norm(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Drawn lengths against a float64 scan of all channels, which itself must give the captured output."""
    layer, drawn = chosen_layer(trace, choice, "state"), exported(figure, "norm")
    runs = runs_of(layer)
    channels = range(layer.parts["state"].sizes["channel"])
    known = state_space.scan(layer, channels)
    norms = np.sqrt((known.state**2).sum(2))
    expected, mass = (np.stack([one[:, run].mean(1) for run in runs]) for one in (norms, known.mass.sum(2)))
    if drawn.shape != expected.shape:
        return 1.0
    anchor = state_space.read_error(known.state, layer, channels)
    bars = bars_error(figure, "norm_total", np.sqrt((norms**2).sum(1)))
    names = names_error(map_of(figure).rows.names, runs)
    again = relative(drawn, expected, mass)
    return worst(again, anchor, bars, names, half_life_error(layer), picture_error(figure, drawn[None]))


def state_difference(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Drawn states against a float64 scan, their difference against its own, and both read through C as the output."""
    layer, channels = chosen_layer(trace, choice, "state"), channels_of(figure)
    first, second = number(choice, "first") or 0, number(choice, "second")
    places = (first, len(trace.tokens) - 1 if second is None else second)
    known = state_space.scan(layer, channels)
    errors = []
    for name, at in zip(("first", "second"), places, strict=True):
        drawn = exported(figure, name)
        if drawn.shape != known.state[at].shape:
            return 1.0
        errors.append(relative(drawn, known.state[at], known.mass[at]))
        errors.append(state_space.read_error(drawn[None], layer, channels, slice(at, at + 1)))
    change = exported(figure, "difference")
    errors.append(relative(change, known.state[places[1]] - known.state[places[0]], known.mass[list(places)].sum(0)))
    gap = np.full((len(channels), 1), np.nan)
    parts = [exported(figure, name) for name in ("first", "second", "difference")]
    whole = np.concatenate([parts[0], gap, parts[1], gap, parts[2]], axis=1)
    rows = row_error(figure, layer, channels)
    return worst(*errors, rows, same(planes_of(figure)[0], pooled(whole, *heatmap_of(figure).pool)))


def reach(figure: Figure, trace: ModelTrace, _choice: Choice) -> float:
    """Drawn shares, means and reaches against sums over the recorded maps, of which rows are recomputed in float64."""
    layers = [layer for layer in trace if layer.mixer in maps.PARTS]
    drawn = exported(figure, "mass")
    budget = maps.BUDGET / max(len(layers), 1)
    recorded = [maps.recorded(layer) for layer in layers]
    checked = [map_error(one, layer, budget=budget) for one, layer in zip(recorded, layers, strict=True)]
    known = np.stack([_masses(one) for one in recorded])
    if drawn.shape != known.shape:
        return 1.0
    mean = (known * np.arange(known.shape[1])).sum(1)
    far = [next((n for n in range(len(row)) if row[: n + 1].sum() >= 0.9 * row.sum() - 1e-9), 0) for row in known]
    told = [set(note.replace(",", "").split()) for note in map_of(figure).rows.notes]
    notes = float(any(str(one) not in " ".join(words) for one, words in zip(far, told, strict=True)))
    names = names_error(map_of(figure).rows.labels, [[layer.index] for layer in layers])
    return worst(
        *checked,
        absolute(drawn, known),
        relative(exported(figure, "mean_distance"), mean, np.maximum(mean, 1.0)),
        same(exported(figure, "reach"), np.array(far, np.float64)),
        names,
        notes,
        picture_error(figure, drawn[None]),
    )


def _masses(map_: Wide) -> Wide:
    """Return the share of the sum of |M| at each distance, pair by pair."""
    found = np.zeros(len(map_))
    for i, row in enumerate(np.abs(map_)):
        for j in range(i + 1):
            found[i - j] += row[j]
    total = found.sum()
    return found / total if total > 0 else found


def memory_rates(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Drawn rates and steps against the weights and a recomputed dt, and every mark at the place of its channel."""
    layer = chosen_layer(trace, choice, "dt")
    step, rate = state_space.step_sizes(layer).mean(0), np.abs(state_space.decay_rates(layer)).min(1)
    halves = wide(layer.part("half_distance"))
    names = ("mean_dt", "slowest_rate", "half_distance")
    drawn = [exported(figure, name) for name in names]
    if drawn[0].shape != step.shape or not isinstance(figure.body, PlotSpec):
        return 1.0
    chosen = np.unique(np.linspace(0, len(halves) - 1, SPOT_CHECKED).round().astype(int)).tolist()
    errors: list[Wide | float] = [relative(drawn[0], step, step), relative(drawn[1], rate, rate)]
    errors.append(same(drawn[2], halves))
    errors.append(state_space.half_distance_error(halves[chosen], layer, chosen))
    for name, kept in (("halves", np.isfinite(halves)), ("stays", ~np.isfinite(halves))):
        (mark,) = [one for one in figure.body.data if one["meta"] == name]
        x, y = np.array(mark["x"], np.float64), np.array(mark["y"], np.float64)
        if len(x) != kept.sum():
            return 1.0
        errors += [relative(x, step[kept], step[kept]), relative(y, rate[kept], rate[kept])]
        errors.append(names_error(mark["customdata"], [[int(channel)] for channel in np.flatnonzero(kept)]))
    for line in (one for one in figure.body.data if one["meta"] == "guide" and one["x"]):
        product = np.array(line["x"]) * np.array(line["y"])
        errors.append(relative(product, np.full(2, product[0]), product))
    return worst(*errors)
