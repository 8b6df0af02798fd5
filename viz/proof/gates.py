"""Checks of RWKV's weights with receptance, values and keys, of half-lives by layer, token shift and channel mixing."""

from typing import Any

import numpy as np

from models.reconstruction import channel_mix, half_lives, time_mix
from models.reconstruction.check import Wide, absolute, relative, wide, worst
from models.records.trace import ModelTrace
from viz.figure import Figure
from viz.look.vega import VegaSpec
from viz.proof.drawn import (
    Choice,
    bars_error,
    channels_of,
    chart_rows,
    chosen_layer,
    exported,
    map_of,
    matrix,
    names_error,
    number,
    picture_error,
    same,
)
from viz.proof.maps import mean_map_error


def gated_attention(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Drawn means of sigma(r) P against rows recomputed for all channels in float64, and all rows with the record."""
    return mean_map_error(figure, trace, choice, "gated_attention", time_mix.gated_rows)


def channel_moved(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Row sums of drawn sigma(r) P v against the captured output, and every cell against float64."""
    layer, channel = number(choice, "layer"), number(choice, "channel")
    if layer is None or channel is None:
        raise TypeError("channel_moved is checked for a chosen layer and channel")
    shown = trace.layer(layer)
    drawn, copies = matrix(figure, "moved")
    share = time_mix.operator_rows(shown, range(len(drawn)), [channel])[..., 0]
    known = time_mix.receptance(shown)[:, channel, None] * share * wide(shown.part("value"))[None, :, channel]
    again = relative(drawn, known, np.abs(known).max(1, keepdims=True))
    return worst(copies, again, time_mix.moved_error(drawn, shown, channel))


def key_curves(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Weights as the browser works them out, at every token, against P in float64, which gives the captured output."""
    layer, channels = chosen_layer(trace, choice, "decay_rate"), channels_of(figure)
    drawn, length = _key_shares(figure), len(trace.tokens)
    known = np.moveaxis(time_mix.operator_rows(layer, range(length), channels), 2, 0)  # (channel, query, key)
    told = exported(figure, "share")
    if drawn.shape != known.shape or told.shape != known.shape:
        return 1.0
    rows = chart_rows(figure, "line", "key")
    names = names_error([str(name) for name in rows["channel"][::length]], [[c] for c in channels])
    words = [token.label for token in trace.tokens] * len(channels)
    chart: Any = figure.body
    totals = wide(np.array(next(one["value"] for one in chart.spec["params"] if one["name"] == "totals")))
    sums = same(exported(figure, "log_total"), totals)
    rebuilt = [time_mix.mixed_error(share, layer, channel) for share, channel in zip(drawn, channels, strict=True)]
    return worst(
        sums, *rebuilt, absolute(drawn, known), absolute(told, known), names, float(list(rows["word"]) != words)
    )


def _key_shares(figure: Figure) -> Wide:
    """Return (channel, query, key) from the rows and the totals of the chart, as its expressions do."""
    chart: Any = figure.body
    if not isinstance(chart, VegaSpec):
        raise TypeError("key_curves is a chart")
    rows = chart_rows(figure, "line", "key")
    totals = wide(np.array(next(one["value"] for one in chart.spec["params"] if one["name"] == "totals")))
    found = np.zeros((*totals.shape, totals.shape[1]))
    for nth, place, key, rate, bonus in zip(
        rows["nth"], rows["place"], rows["key"], rows["rate"], rows["bonus"], strict=True
    ):
        token = np.arange(int(place), totals.shape[1])
        score = key + np.where(token == place, bonus, (place + 1 - token) * rate)
        found[int(nth), token, int(place)] = np.exp(score - totals[int(nth), token])
    return found


def half_life_histogram(figure: Figure, trace: ModelTrace, _choice: Choice) -> float:
    """Drawn counts against half-lives of the weights, counted one by one."""
    layers = trace.layers_with("half_life")
    drawn, edges = exported(figure, "channels"), exported(figure, "edge")
    known = np.zeros((len(layers), len(edges) + 1))
    for row, layer in enumerate(layers):
        for value in half_lives(layer):
            known[row, sum(1 for edge in edges if value > edge * (1 + 1e-6))] += 1
    if drawn.shape != known.shape:
        return 1.0
    recorded = [relative(layer.part("half_life"), half_lives(layer), half_lives(layer)) for layer in layers]
    rows = map_of(figure)
    names = names_error(rows.rows.labels, [[layer.index] for layer in layers])
    ends = float(list(rows.columns.labels) != [*(f"≤{edge:g}" for edge in edges), f">{edges[-1]:g}"])
    return worst(*recorded, same(drawn, known), names, ends, picture_error(figure, drawn[None]))


def token_shift(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Drawn mu must mix the captured x_t and x_(t-1) to what the projections received; rings are their means."""
    layer = chosen_layer(trace, choice, "shift_share")
    share = exported(figure, "share")
    if share.shape != layer.part("shift_share").shape:
        return 1.0
    ticks, rings = chart_rows(figure, "tick", "share"), chart_rows(figure, "point", "share")
    mean = share.mean(1)
    per = len(ticks) // len(share)
    drawn = ticks["share"].to_numpy(np.float64).reshape(len(share), per)
    order = np.sort(share, axis=1)
    picked = np.take(order, np.linspace(0, order.shape[1] - 1, per).round().astype(int), axis=1)
    return worst(
        channel_mix.shift_error(share, layer),
        absolute(drawn, picked),
        absolute(rings["share"].to_numpy(np.float64), mean),
        absolute(exported(figure, "mean"), mean),
        float(list(dict.fromkeys(ticks["name"])) != list(rings["name"])),
    )


def channel_mix_zeros(figure: Figure, trace: ModelTrace, _choice: Choice) -> float:
    """Drawn shares against zeros counted in the hidden layer, which rebuilds the captured output."""
    layers = trace.layers_with("ffn_key")
    drawn = exported(figure, "zeros")
    known = np.stack([channel_mix.zero_share(layer) for layer in layers])
    if drawn.shape != known.shape:
        return 1.0
    names = names_error(map_of(figure).rows.labels, [[layer.index] for layer in layers])
    rebuilt = [channel_mix.mix_error(layer) for layer in layers]
    return worst(
        absolute(drawn, known), *rebuilt, names, bars_error(figure, "zeros_mean", known.mean(0)),
        picture_error(figure, drawn[None]),
    )  # fmt: skip
