"""Which channels a film shows, in which order, and how many make one row."""

from typing import cast

import numpy as np
import numpy.typing as npt

from models.records.trace import LayerTrace, ModelTrace, NamedArray

Floats = npt.NDArray[np.floating]
Indices = npt.NDArray[np.intp]

MAX_ROWS = 128  # rows of a full channel map


def floats(shown: LayerTrace, part: str) -> Floats:
    """Return a part of a layer that holds real numbers, in its own precision; TypeError for one of whole numbers."""
    values = shown.part(part)
    if not np.issubdtype(values.dtype, np.floating):
        raise TypeError(f"part {part!r} of layer {shown.index} holds {values.dtype}")
    return cast("Floats", values)


def longest_first(half_life: Floats) -> Indices:
    """Order channels from the longest memory to the shortest; equal ones keep their order."""
    return np.argsort(-half_life, kind="stable")


def most_varied(half_life: Floats, track: Floats, *, count: int) -> Indices:
    """Choose count channels over the whole range of memories, longest first.

    The channels, sorted by half-life, are cut into count equal runs; from each comes the one whose track (token,
    channel) varies most over the prompt, relative to its largest magnitude.
    """
    order = longest_first(half_life)
    peak = np.abs(track).max(0)
    spread = track.std(0) / np.where(peak > 0, peak, 1)
    runs = np.array_split(order, min(count, len(order)))
    return np.array([run[spread[run].argmax()] for run in runs])


def quantile_channels(half_life: Floats, *, count: int) -> Indices:
    """Choose count channels evenly through the order of half-lives, longest first, ends included."""
    order = longest_first(half_life)
    places = np.unique(np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(np.intp))
    return np.take(order, places)


def binned(values: Floats, order: Indices, *, rows: int = MAX_ROWS) -> tuple[Floats, list[Indices]]:
    """Average (token, channel) values over neighbours in the order: (row, token), and the channels of each row."""
    runs = np.array_split(order, min(rows, len(order)))
    return np.stack([values[:, run].mean(1) for run in runs]), runs


def widest_memory(trace: ModelTrace) -> int:
    """Return the index of the layer whose channels' memories differ most: the widest spread of log half-life."""
    layers = trace.layers_with("half_life")
    return max(layers, key=lambda layer: float(np.log(layer.part("half_life")).std())).index


def farthest_reaching(mixing: NamedArray) -> int:
    """Return which of the channels (channel, query, key) puts the largest share of |weight| on earlier tokens."""
    weight = np.abs(mixing.values)
    total = weight.sum(axis=(1, 2))
    here = np.trace(weight, axis1=1, axis2=2)
    return int(np.argmax(1 - here / np.where(total > 0, total, 1)))


def layer_with(trace: ModelTrace, part: str, layer: int | None) -> LayerTrace:
    """Return the layer asked for, or the middle one of those that show the part."""
    if layer is not None:
        return trace.layer(layer)
    showing = trace.layers_with(part)
    return showing[len(showing) // 2]
