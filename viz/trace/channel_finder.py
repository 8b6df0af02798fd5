"""The finder of Mamba's channels: all channels of a model, by how long they keep, what they add and how they step."""

from collections.abc import Sequence

import numpy as np

from models.records.trace import LayerTrace, ModelTrace
from viz.charts.finders import finder_figure
from viz.figure import Figure, figure
from viz.finder import Metric
from viz.look.labels import Translate
from viz.look.theme import Theme
from viz.trace.channels import Floats, floats

METRICS = ("output_share", "half_distance", "slowest", "step_mean", "step_spread")


@figure(
    "channel_finder",
    of="traces",
    also=("half_distance", "half_life", "dt", "mixer_output", "output_norm"),
)
def channel_finder(
    traces: Sequence[ModelTrace], *, theme: Theme, t: Translate, marked: tuple[int, int] | None = None
) -> Figure:
    """List all channels of all Mamba layers, measured on the visitor's text and on a fixed one.

    traces: of one model over the visitor's text and over the sample. marked: layer and channel that the page shows. The
    share of the output stands beside an even one.
    """
    here, there = ({name: column(trace, name) for name in METRICS} for trace in traces)
    sizes = [len(floats(layer, "half_life")) for layer in layers_of(traces[0])]
    layers = [layer.index for layer, size in zip(layers_of(traces[0]), sizes, strict=True) for _ in range(size)]
    channels = [channel for size in sizes for channel in range(size)]
    even = np.concatenate([np.full(size, 100 / size, np.float32) for size in sizes])
    metrics = [
        Metric(name, here[name], there[name], even, even, digits=2)
        if name == "output_share"
        else Metric(name, here[name], there[name], digits=None)
        for name in METRICS
    ]
    return finder_figure(
        "channel_finder", layers, channels, metrics, theme=theme, t=t, color=theme.mixer_color("mamba"), item="channel",
        marked=marked,
    )  # fmt: skip


def layers_of(trace: ModelTrace) -> tuple[LayerTrace, ...]:
    """Return the layers of a trace that have channels with a selective scan."""
    return trace.layers_with("half_distance")


def column(trace: ModelTrace, name: str) -> Floats:
    """Return a metric of every channel of every layer, (row,): the channels of the first layer first."""
    return np.concatenate([_of_layer(layer, name) for layer in layers_of(trace)]).astype(np.float32)


def output_share(shown: LayerTrace) -> Floats:
    """Return the share of each channel in what the layer adds to the stream, in per cent, (channel,).

    A channel adds mixer_output times its column of the output projection; its size is the sum over tokens of the length
    of that vector. The vectors of two channels may cancel, so shares are of sizes, not of the sum.
    """
    size = np.abs(floats(shown, "mixer_output").astype(np.float64)).sum(0) * floats(shown, "output_norm")
    total = size.sum()
    return np.asarray(100 * size / total if total > 0 else size)


def _of_layer(shown: LayerTrace, name: str) -> Floats:
    if name == "output_share":
        return output_share(shown)
    if name == "half_distance":
        return floats(shown, "half_distance")
    if name == "slowest":
        return floats(shown, "half_life")
    dt = floats(shown, "dt").astype(np.float64)
    return np.asarray(dt.mean(0) if name == "step_mean" else np.log(np.maximum(dt, 1e-30)).std(0))
