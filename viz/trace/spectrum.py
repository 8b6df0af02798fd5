"""How many channels of each layer have which half-life."""

import math

import numpy as np

from models.records.trace import ModelTrace, NamedArray
from viz.canvas import Axis, Legend, Matrix, Scale
from viz.figure import Figure, figure
from viz.look.extremes import percent
from viz.look.labels import Translate, template
from viz.look.theme import Theme, mixer_ramp
from viz.trace.channels import Floats, floats
from viz.trace.tokens import picture

LEAST, MOST = -2, 10  # powers of two of the ends of the columns at most


@figure("half_life_histogram", needs=("half_life",))
def half_life_histogram(trace: ModelTrace, *, theme: Theme, t: Translate) -> Figure:
    """Draw a histogram per layer: how many channels have a half-life up to each power of two, in tokens."""
    layers = trace.layers_with("half_life")
    values = np.stack([floats(shown, "half_life") for shown in layers])
    edges = edges_of(values)
    counts = np.stack([counted(row, edges) for row in values])  # (layer, column)
    labels = (*(f"≤{edge:g}" for edge in edges), f">{edges[-1]:g}")
    names = (
        *(t("viz.half_life_histogram.until", tokens=f"{edge:g}") for edge in edges),
        t("viz.half_life_histogram.more", tokens=f"{edges[-1]:g}"),
    )
    high, quantity = float(counts.max()), t("viz.half_life_histogram.quantity")
    grid = Matrix(
        values=counts.astype(np.float32),
        scale=Scale(0.0, high, kind="sqrt"),
        ramps=(mixer_ramp(layers[0].mixer, theme),),
        readout=("{row}", "{column}", template(t, "viz.value", "value", name=quantity)),
        texts=tuple(tuple(str(int(value)) if value else "" for value in row) for row in counts),
        whole_texts=True,
        rows=Axis(labels=tuple(t("viz.layer", layer=shown.index) for shown in layers)),
        columns=Axis(names=names, labels=labels, title=t("viz.half_life_histogram.columns")),
        row_height=30,
        max_height=480,
        picks="none",
    )
    alt_text = t("viz.half_life_histogram.alt", layers=len(layers))
    legend = Legend(quantity, ((0.0, "0"), (1.0, f"{high:g}")), t("viz.scope.picture_sqrt"))
    spec = picture("half_life_histogram", alt_text, trace, theme=theme, t=t, grid=grid, legends=(legend,))
    data = {"channels": NamedArray(counts, ("layer", "column")), "edge": NamedArray(edges, ("edge",))}
    length = len(trace.tokens)
    beyond = float((values > length).mean())
    finding = t("viz.half_life_histogram.finding", share=percent(beyond), tokens=length)
    return Figure("half_life_histogram", spec, data, alt_text, finding=finding)


def edges_of(values: Floats) -> Floats:
    """Return powers of two from the first that a value does not exceed to the one below the largest value."""
    low = min(max(math.ceil(math.log2(float(values.min()))), LEAST), MOST - 1)
    high = max(min(math.ceil(math.log2(float(values.max()))) - 1, MOST), low + 1)
    return np.asarray(2.0 ** np.arange(low, high + 1))


def counted(values: Floats, edges: Floats) -> Floats:
    """Count values up to each edge and above the one before, and those above the last, (column,)."""
    place = np.searchsorted(edges, values)
    return np.bincount(place, minlength=len(edges) + 1).astype(np.float64)
