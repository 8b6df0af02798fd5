"""Check of the picture in which several models read one text: every mark that goes to the browser, beside the run."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from models.reconstruction import attention, experts, half_lives, state_space, time_mix
from models.reconstruction.check import Numbers, Wide, absolute, relative, wide, worst
from models.records.trace import Array, LayerTrace, ModelTrace, NamedArray
from viz.figure import Figure
from viz.hero import HeroSpec, decode
from viz.look.labels import size
from viz.proof.drawn import Choice

ANCHORS = 16  # channels by which the state is tied to the captured output
FADES = 2_000_000  # exponentials by which ink is recomputed, in as many rows as they allow
ELEMENT = {"float32": 4, "float16": 2, "bfloat16": 2}
STATED = 2  # bytes of an element in which carried bytes are stated
RECURRENT = 4  # bytes of an element of a recurrent state


def reading(figure: Figure, traces: Sequence[ModelTrace], choice: Choice) -> float:
    """Everything drawn of every model against float64, and the payload against what the figure exports."""
    if not isinstance(figure.body, HeroSpec):
        raise TypeError(f"{figure.id} is drawn by another component")
    header, planes = decode(figure.body.payload())
    if [lane["key"] for lane in header["lanes"]] != [trace.architecture for trace in traces]:
        return 1.0
    owners = getattr(choice.get("alignment"), "owners", None)
    first = traces[0]
    errors: list[float] = [_texts_error(header, first), float(header["prompt"] != first.prompt)]
    for place, (lane, trace) in enumerate(zip(header["lanes"], traces, strict=True)):
        own = dict(_exports(figure, trace.architecture))
        count = len(first.tokens)
        steps = list(range(count)) if owners is None else _steps(owners[0], owners[place], count)
        told = header | {"steps": list(range(count))} | lane  # a lane that has the tokens of the text says nothing
        errors += [float(told["steps"] != steps), _texts_error(told, trace)]
        errors += _of_run(own, lane, trace)
        errors += [_drawn_error(lane, planes, own, trace)]
    return worst(*errors)


def _exports(figure: Figure, architecture: str) -> Iterator[tuple[str, NamedArray]]:
    start = f"{architecture}_"
    return ((key.removeprefix(start), array) for key, array in figure.data.items() if key.startswith(start))


def _texts_error(told: dict[str, Any], trace: ModelTrace) -> float:
    labels, spans = [o.label for o in trace.tokens], [[o.start, o.end] for o in trace.tokens]
    return float(told["labels"] != labels or told["spans"] != spans)


def _steps(text: Sequence[int], own: Sequence[int], count: int) -> list[int]:
    """Find, for each token of the text, the last token of a lane that does not go on after it."""
    found, read = [], -1
    for token in range(count):
        places = [place for place, owner in enumerate(text) if owner == token]
        if places:
            after = set(own[places[-1] + 1 :])
            read = max([o for o in own[: places[-1] + 1] if o not in after], default=-1)
        found.append(read)
    return found


def _of_run(own: dict[str, NamedArray], lane: dict[str, Any], trace: ModelTrace) -> Iterator[float]:
    """Compare what is exported of one model with its run; a part that the run shows and the lane lacks counts as 1."""
    yield _guess_error(own, trace)
    shown = {
        "cells": bool(trace.layers_with("attention")),
        "tile": bool(trace.layers_with("state")),
        "ink": bool(trace.layers_with("wkv_den")),
        "doors": bool(trace.layers_with("chosen_experts")),
    }
    yield float(any((part in lane) != there for part, there in shown.items()))
    if shown["cells"]:
        known = np.mean([attention.mean_weights(layer) for layer in trace.layers_with("attention")], axis=0)
        yield worst(relative(own["attention"].values, known, known.max(1, keepdims=True)))
    if shown["tile"]:
        yield _tile_error(own, lane["tile"], _widest(trace, "state"))
    if shown["ink"]:
        yield _ink_error(own, _widest(trace, "wkv_den"))
    if shown["doors"]:
        for row, index in enumerate(lane["doors"]["layers"]):
            layer = trace.layer(index)
            chosen, weights = own["chosen_experts"].values[row], own["chosen_weights"].values[row]
            yield worst(experts.mixture_error(chosen, weights, layer), experts.choice_error(chosen, layer))
    if "bytes" in own:
        counted = carried(trace)
        yield float(own["bytes"].values.tolist() != counted)
        yield float(lane["carried"] != [size(count) for count in counted])


def _guess_error(own: dict[str, NamedArray], trace: ModelTrace) -> float:
    """Compare guesses, probabilities and ranks with the softmax and the order of the logits at the token before."""
    logits, ids = trace.logits.values, own["guess"].values
    errors = []
    for i in range(1, len(trace.tokens)):
        row, came = wide(logits[i - 1]), trace.tokens[i].id
        odds = np.exp(row - row.max())
        odds /= odds.sum()
        places = [_place(row, int(id_)) for id_ in ids[i]]
        errors.append(float(places != list(range(len(places))) or own["rank"].values[i] != _place(row, came) + 1))
        errors.append(worst(relative(own["guess_prob"].values[i], odds[ids[i]], odds[ids[i]])))
        errors.append(worst(relative(own["prob"].values[i], odds[came], odds[came])))
    return worst(*errors)


def _place(row: Wide, id_: int) -> int:
    """Count the tokens before one in the order of the logits; of equal ones the lower id is first."""
    return int((row > row[id_]).sum() + (row[:id_] == row[id_]).sum())


def _widest(trace: ModelTrace, part: str) -> LayerTrace:
    """Return the layer whose logarithms of half-lives spread most."""
    return max(trace.layers_with(part), key=lambda layer: float(np.log(half_lives(layer)).std()))


def _tile_error(own: dict[str, NamedArray], tile: dict[str, Any], layer: LayerTrace) -> float:
    """Compare pooled |h| and what each token wrote with a scan of all channels in float64.

    The h of some channels must give the captured output.
    """
    dt, rates, half_life = state_space.step_sizes(layer), state_space.decay_rates(layer), half_lives(layer)
    u, write = wide(layer.part("scan_input")), wide(layer.part("write_proj"))
    rows, columns = tile["size"]
    runs = np.array_split(np.argsort(-half_life, kind="stable"), rows)
    bands = np.array_split(np.arange(rates.shape[1]), columns)
    drawn, wrote = own["state"].values, own["written"].values
    if drawn.shape != (len(dt), rows, columns) or wrote.shape != (len(dt),):
        return 1.0
    down = np.stack([np.isin(np.arange(len(rates)), run) / len(run) for run in runs])  # (row, channel)
    across = np.stack([np.isin(np.arange(rates.shape[1]), band) / len(band) for band in bands])  # (column, d_state)
    h = mass = np.zeros_like(rates)
    errors = []
    for t in range(len(dt)):
        kept, new = np.exp(dt[t, :, None] * rates), (dt[t] * u[t])[:, None] * write[t]
        old = kept * h
        h, mass = old + new, kept * mass + np.abs(new)
        share = np.abs(new).sum() / max(np.abs(new).sum() + np.abs(old).sum(), 1e-300)
        pooled = relative(drawn[t], down @ np.abs(h) @ across.T, down @ mass @ across.T)
        errors.append(worst(pooled, absolute(wrote[t : t + 1], np.array([share]))))
    channels = list(range(0, len(rates), max(1, len(rates) // ANCHORS)))
    anchor = state_space.read_error(state_space.scan(layer, channels).state, layer, channels)
    return worst(*errors, anchor)


def _ink_error(own: dict[str, NamedArray], layer: LayerTrace) -> float:
    """Compare shares with a softmax of k_j - (t - j) w over the past; the recurrence must give the captured output."""
    key, rate, half_life = wide(layer.part("key")), time_mix.rates(layer), half_lives(layer)
    drawn = own["ink"].values
    bands = np.array_split(np.argsort(half_life, kind="stable"), drawn.shape[1])
    count, window = len(key), drawn.shape[2]
    rows = int(min(count, max(FADES // max(count * len(rate) // 2, 1), 1)))
    errors = [relative(own["half_life"].values, _ends(half_life, bands), _ends(half_life, bands))]
    for t in np.unique(np.linspace(count - 1, 0, rows).round().astype(int)):
        exponent = key[: t + 1] - np.arange(t, -1, -1)[:, None] * rate
        part = np.exp(exponent - exponent.max(0))
        known = np.stack([(part / part.sum(0))[:, band].mean(1) for band in bands])[:, ::-1][:, :window]
        errors.append(relative(drawn[t, :, : known.shape[1]], known, known.max(1, keepdims=True)))
        if not np.isnan(drawn[t, :, known.shape[1] :]).all():
            return 1.0
    channels = list(range(0, len(rate), max(1, len(rate) // ANCHORS)))
    return worst(*errors, time_mix.answer_error(layer, channels))


def _ends(half_life: Wide, bands: Sequence[Array]) -> Wide:
    return np.array([(half_life[band].min(), half_life[band].max()) for band in bands])


def carried(trace: ModelTrace) -> list[int]:
    """Return the bytes that a model carries after 1, 2, ... tokens, from the live tensors of its cache in this run.

    Keys and values are counted by the shapes of those that were captured, recurrent states by theirs; what else the
    cache held, as the inputs of a convolution, is the rest, and does not grow.
    """
    count = len(trace.tokens)
    element = ELEMENT[trace.dtype]
    pairs = [_kept_pairs(trace, n) for n in range(1, count + 1)]
    states = sum(math.prod(layer.part("state").shape[1:]) for layer in trace.layers_with("state"))
    states += sum(3 * layer.part("wkv_den").shape[1] for layer in trace.layers_with("wkv_den"))
    rest, odd = divmod(trace.cache_bytes - RECURRENT * states - element * pairs[-1], element)
    if odd or rest < 0:
        raise ValueError(
            f"a cache of {trace.cache_bytes} bytes does not hold {states} state and {pairs[-1]} pair elements"
        )
    return [RECURRENT * states + STATED * (rest + kept) for kept in pairs]


def _kept_pairs(trace: ModelTrace, count: int) -> int:
    """Count the elements of keys and values after some tokens; a window of w keeps the last w - 1 of them."""
    kept = 0
    for layer in trace.layers_with("attention"):
        heads, length, width = layer.part("head_key").shape
        window = int(layer.part("visible").sum(1).max())
        kept += 2 * heads * width * (count if window >= length else min(count, window - 1))
    return kept


def _drawn_error(lane: dict[str, Any], planes: Sequence[Array], own: dict[str, NamedArray], trace: ModelTrace) -> float:
    """Compare the planes of a lane with the exported arrays: they must be equal as their type holds them."""
    guesses = lane["guesses"]
    labels = [[guesses["labels"][i] for i in row] for row in guesses["best"]]
    ids = own["guess"].values
    errors = [
        float(labels != [[trace.label_of(int(i)) if i >= 0 else "" for i in row] for row in ids]),
        _unequal(planes[guesses["probs"]], np.nan_to_num(own["guess_prob"].values), "f4"),
        _unequal(planes[guesses["rank"]], own["rank"].values, "u4"),
        _unequal(planes[guesses["prob"]], np.nan_to_num(own["prob"].values), "f4"),
    ]
    if "cells" in lane:
        pool, weights = lane["cells"]["pool"], own["attention"].values
        laid = [weights[t, at : at + pool].sum() for t in range(len(weights)) for at in range(0, t + 1, pool)]
        drawn, known = planes[lane["cells"]["plane"]], np.array(laid, np.float16)
        if drawn.shape != known.shape:
            return 1.0
        apart = np.abs(wide(drawn) - wide(known)) > wide(np.spacing(known))  # a sum may round to the neighbour
        errors.append(float(apart.any()))
    if "tile" in lane:
        tile, values = lane["tile"], own["state"].values
        errors.append(_unequal(planes[tile["plane"]], values, "f2"))
        errors.append(_unequal(planes[tile["written"]], own["written"].values, "f4"))
        errors.append(_unequal(planes[tile["highs"]], values.max(axis=0), "f4"))
    if "ink" in lane:
        past: list[Numbers] = [row[:, : t + 1].ravel() for t, row in enumerate(own["ink"].values)]
        errors.append(_unequal(planes[lane["ink"]["plane"]], np.concatenate(past), "f2"))
    if "doors" in lane:
        errors.append(_unequal(planes[lane["doors"]["chosen"]], own["chosen_experts"].values, "u1"))
        errors.append(_unequal(planes[lane["doors"]["weights"]], own["chosen_weights"].values, "f2"))
    return worst(*errors)


def _unequal(plane: Array, values: Any, kind: str) -> float:
    """Return 1 when a plane is not an array in the type of the plane, else 0."""
    return float(not np.array_equal(plane, np.asarray(values).ravel().astype(kind)))
