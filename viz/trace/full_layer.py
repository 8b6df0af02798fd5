"""The map of a whole Mamba mixer: gate, selective scan, SiLU and short convolution, over all channels or of one."""

import numpy as np

from models.records.trace import ModelTrace, NamedArray
from viz.figure import Figure, figure
from viz.look.labels import Translate
from viz.look.theme import Theme
from viz.trace.channels import floats, layer_with
from viz.trace.findings import TAKES, row_finding
from viz.trace.matrix import matrix_picture


@figure("full_layer", needs=("full_layer",))
def full_layer(
    trace: ModelTrace, *, theme: Theme, t: Translate, layer: int | None = None, selected: int | None = None
) -> Figure:
    """Draw the mean over channels of |M| (query, key), from what the convolution receives to the output projection.

    M = SiLU(z)_i (alpha + D) sigmoid(conv) conv (Zimerman et al. 2025).
    """
    shown = layer_with(trace, "full_layer", layer)
    values, color = floats(shown, "full_layer"), theme.mixer_color(shown.mixer)
    alt = t("viz.full_layer.alt", layer=shown.index)
    spec = matrix_picture("full_layer", values, trace, theme=theme, t=t, color=color, alt=alt, selected=selected)
    data = {"full_layer": shown.parts["full_layer"]}
    return Figure("full_layer", spec, data, alt, finding=row_finding(values, TAKES, t))


@figure("full_channel", of="channel")
def full_channel(
    mixing: NamedArray,
    trace: ModelTrace,
    *,
    theme: Theme,
    t: Translate,
    layer: int,
    channel: int,
    index: int = 0,
    selected: int | None = None,
) -> Figure:
    """Draw M of one channel with its signs.

    mixing: (channel, query, key) of models.tracing.mixing.mixer_mixing; index: which of its channels to draw; channel:
    its number in the model.
    """
    values = np.asarray(mixing.values[index])
    color, alt = theme.mixer_color(trace.layer(layer).mixer), t("viz.full_channel.alt", layer=layer, channel=channel)
    spec = matrix_picture("full_channel", values, trace, theme=theme, t=t, color=color, alt=alt, selected=selected)
    data = {"mixing": NamedArray(values, mixing.dims[1:])}
    return Figure("full_channel", spec, data, alt, finding=row_finding(values, TAKES, t))
