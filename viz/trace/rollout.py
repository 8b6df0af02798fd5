"""Attention rollout: attention of all layers multiplied, half of each token kept, by layer (Abnar & Zuidema 2020)."""

import numpy as np
import numpy.typing as npt

from models.records.trace import LayerTrace, ModelTrace, NamedArray
from viz.figure import Figure, figure
from viz.look.labels import Translate
from viz.look.theme import Theme
from viz.trace.channels import floats
from viz.trace.findings import rollout_finding
from viz.trace.matrix import matrix_picture

Wide = npt.NDArray[np.float64]


@figure("attention_rollout", needs=("attention",))
def attention_rollout(
    trace: ModelTrace, *, theme: Theme, t: Translate, layer: int | None = None, selected: int | None = None
) -> Figure:
    """Draw R = prod over layers of (mean attention + I) / 2, up to and with a layer, (query, key); rows sum to 1.

    layer: the last without it. What layers without attention pass on is not in R; pages show it of models whose every
    layer is attention.
    """
    last = len(trace.layers) - 1 if layer is None else layer
    values = rollout(trace, last)
    alt = t("viz.attention_rollout.alt", layer=last)
    spec = matrix_picture(
        "attention_rollout", values.astype(np.float32), trace, theme=theme, t=t,
        color=theme.mixer_color("attention"), alt=alt, selected=selected,
    )  # fmt: skip
    own = floats(_attending(trace, last)[-1], "attention").mean(0)
    data = {"rollout": NamedArray(values, ("query", "key"))}
    return Figure("attention_rollout", spec, data, alt, finding=rollout_finding(values, np.asarray(own), t))


def rollout(trace: ModelTrace, last: int) -> Wide:
    """Multiply (mean attention + I) / 2 of the layers up to one, later layers from the left, (query, key)."""
    product = np.eye(len(trace.tokens))
    for layer in _attending(trace, last):
        mean = np.asarray(floats(layer, "attention"), np.float64).mean(0)
        product = (mean + np.eye(len(mean))) @ product / 2
    return product


def _attending(trace: ModelTrace, last: int) -> list[LayerTrace]:
    return [layer for layer in trace.layers_with("attention") if layer.index <= last]


def attention_throughout(trace: ModelTrace) -> bool:
    """Return whether every layer of a model is attention, so that rollout leaves no layer out."""
    return bool(trace.layers) and len(trace.layers_with("attention")) == len(trace.layers)
