"""The finder of RWKV's channels: all channels of a model, by how long they remember and what they let out."""

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from models.records.trace import LayerTrace, ModelTrace
from viz.charts.finders import finder_figure
from viz.figure import Figure, figure
from viz.finder import Metric
from viz.finder.spec import Finder
from viz.look.labels import Translate
from viz.look.theme import Theme
from viz.trace.channels import Floats, floats

METRICS = ("half_life", "past", "distance", "receptance", "output")
SHARES = ("past", "receptance")


@figure("decay_finder", of="traces", also=("decay_rate", "bonus", "half_life", "key", "receptance", "mixer_output"))
def decay_finder(
    traces: Sequence[ModelTrace], *, theme: Theme, t: Translate, marked: tuple[int, int] | None = None
) -> Figure:
    """List all channels with their half-lives and with what they do on the visitor's text and on a fixed one.

    traces: of one model over the visitor's text and over the sample. marked: layer and channel that the page shows.
    Beside past and distance stands what decay and bonus alone would give, with all keys equal.
    """
    here, there = (_table(trace) for trace in traces)
    even_here, even_there = (_table(trace, equal=True) for trace in traces)
    layers = [layer.index for layer in _layers(traces[0]) for _ in range(_count(layer))]
    channels = [channel for layer in _layers(traces[0]) for channel in range(_count(layer))]
    metrics = []
    for at, key in enumerate(METRICS):
        of_text, keyed = key != "half_life", key in ("past", "distance")
        metrics.append(
            Metric(
                key,
                here[:, at],
                there[:, at] if of_text else None,
                even_here[:, at] if keyed else None,
                even_there[:, at] if keyed else None,
                high=1.0 if key in SHARES else None,
                digits=2 if key in SHARES else None,
            )
        )
    found = finder_figure(
        "decay_finder", layers, channels, metrics, theme=theme, t=t, color=theme.mixer_color("rwkv"), item="channel",
        marked=marked,
    )  # fmt: skip
    words = {name: t(f"viz.decay_finder.{name}") for name in ("chance", "above")}
    body = cast("Finder", found.body)
    return replace(found, body=replace(body, words={**body.words, **words}))


def _table(trace: ModelTrace, *, equal: bool = False) -> Floats:
    """Return the metrics of every channel of a trace, (row, metric), first layer first; equal: all keys 0."""
    return np.concatenate([_of_layer(layer, equal=equal) for layer in _layers(trace)])


def _of_layer(layer: LayerTrace, *, equal: bool) -> Floats:
    rate, bonus = (floats(layer, part).astype(np.float64) for part in ("decay_rate", "bonus"))
    key = floats(layer, "key").astype(np.float64)
    past, distance = reach(rate, bonus, np.zeros_like(key) if equal else key)
    return np.stack(
        [
            floats(layer, "half_life").astype(np.float64),
            past,
            distance,
            floats(layer, "receptance").astype(np.float64).mean(0),
            np.abs(floats(layer, "mixer_output").astype(np.float64)).mean(0),
        ],
        axis=1,
    )


def reach(rate: Floats, bonus: Floats, key: Floats) -> tuple[Floats, Floats]:
    """Return the share of the weights P on earlier tokens and their mean distance, means over queries from the second.

    rate, bonus (channel,), key (token, channel); both (channel,), nan for a single token. The sums over the past are
    carried from token to token, relative to the running maximum of the exponents.
    """
    count, width = key.shape
    if count < 2:
        return np.full(width, np.nan), np.full(width, np.nan)
    top, total, far = key[0].copy(), np.ones(width), np.ones(width)  # of the past, and the same times the distance
    past, distance = np.zeros(width), np.zeros(width)
    for t in range(1, count):
        now = np.exp(np.minimum(bonus + key[t] - top, 700.0))
        share = 1 / (total + now)
        past += total * share
        distance += far * share
        peak = np.maximum(top - rate, key[t])
        kept, fresh = np.exp(top - rate - peak), np.exp(key[t] - peak)
        total, far, top = kept * total + fresh, kept * (far + total) + fresh, peak
    return past / (count - 1), distance / (count - 1)


def _layers(trace: ModelTrace) -> tuple[LayerTrace, ...]:
    return trace.layers_with("decay_rate")


def _count(layer: LayerTrace) -> int:
    return int(layer.part("decay_rate").shape[0])
