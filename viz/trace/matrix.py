"""Token-by-token matrices of any architecture that has a lower-triangular mixing matrix."""

import numpy as np

from models.records.trace import LayerTrace, ModelTrace, NamedArray
from viz.canvas import Axis, Bars, CanvasSpec, Heatmap, Legend, Matrix, Scale
from viz.canvas.pooling import fit_square, pooled_sums
from viz.figure import Figure, figure
from viz.look.labels import Translate, short, template
from viz.look.theme import Theme, diverging, ramp_between
from viz.trace.channels import Floats, floats, layer_with
from viz.trace.findings import TAKES, row_finding
from viz.trace.tokens import picture, strip_of

MIXING = ("attention", "hidden_attention", "effective_attention")  # parts that say how a layer mixes its tokens


@figure("channel_matrix", of="channel")
def channel_matrix(
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
    """Draw one channel's token-by-token weights: signed for a state space, shares for RWKV.

    mixing: (channel, query, key) of models.tracing.mixing.channel_mixing; index: which of its channels to draw;
    channel: its number in the model.
    """
    values = mixing.values[index]
    color = theme.mixer_color(trace.layer(layer).mixer)
    spec = matrix_picture(
        "channel_matrix",
        values,
        trace,
        theme=theme,
        t=t,
        color=color,
        selected=selected,
        alt=t("viz.channel_matrix.alt", layer=layer, channel=channel),
    )
    data = {"mixing": NamedArray(np.asarray(values), mixing.dims[1:])}
    return Figure("channel_matrix", spec, data, spec.alt, finding=row_finding(np.asarray(values), TAKES, t))


def matrix_picture(
    figure: str,
    values: Floats,
    trace: ModelTrace,
    *,
    theme: Theme,
    t: Translate,
    color: str,
    alt: str,
    selected: int | None = None,
    additive: bool = True,
    hide_first: bool = False,
) -> CanvasSpec:
    """Build the shared picture of a (query, key) matrix: strip, the selected row as bars, heatmap below the diagonal.

    Values of both signs are drawn on the signed ramp, others from card to color; both on a square-root scale, since
    one strong cell would otherwise hide all others. additive: whether values add up along a row, as weights do; a text
    too long for the payload is then read out as sums over blocks, else as the strongest value of each block.
    hide_first: leave out the column of the first token, so that the colours end at the largest value of the others; a
    text of one token keeps it.
    """
    length = len(trace.tokens)
    hidden = hide_first and length > 1
    past = np.where(np.tri(length, dtype=bool), values, np.nan).astype(np.float32)
    past[:, : int(hidden)] = np.nan
    pooled = fit_square(past, planes=2 if additive else 1)
    signed = bool(np.nanmin(past) < 0)
    high = float(np.nanmax(np.abs(past)))
    row = selected if selected is not None and 0 <= selected < length else length - 1
    grid = Matrix(
        values=pooled.values,
        scale=Scale(low=0.0, high=high, kind="sqrt", signed=signed),
        ramps=(diverging(theme) if signed else ramp_between(theme.card, color),),
        readout=(
            template(t, "viz.matrix.pair", "row", "column"),
            template(t, "viz.value", "value", name=t(f"viz.{figure}.quantity")),
        ),
        triangle=True,
        row_tokens=True,
        pool=(pooled.rows, pooled.columns),
        sums=pooled_sums(past, pooled) if additive else None,
        rows=Axis(title=t("viz.matrix.rows")),
        columns=Axis(title=t("viz.matrix.columns")),
        row_height=28,
        max_height=530,
        picks="row",
        selected_row=row,
    )
    return picture(
        figure,
        alt,
        trace,
        theme=theme,
        t=t,
        strip=strip_of(trace, t=t, selected=row),
        bars=(Bars(None, template(t, "viz.matrix.bars", "row"), color),),
        grid=grid,
        legends=(magnitude_legend(t, figure=figure, high=high, signed=signed),),
        note=" ".join(filter(None, [t("viz.matrix.first_hidden") if hidden else "", pooled_note(grid, t=t)])),
    )


def pooled_note(grid: Heatmap, *, t: Translate) -> str:
    """Say what colour and number of a block are; nothing where cells are drawn as they are."""
    if grid.pool == (1, 1):
        return ""
    rows, columns = grid.pool
    return t("viz.pooled_strongest" if grid.sums is None else "viz.pooled", rows=rows, columns=columns)


def magnitude_legend(t: Translate, *, figure: str, high: float, signed: bool) -> Legend:
    """Describe a square-root scale that ends at one maximum for the whole picture."""
    name, scope = t(f"viz.{figure}.quantity"), t("viz.scope.picture_sqrt")
    if signed:
        return Legend(name, ((0.0, f"−{short(high)}"), (0.5, "0"), (1.0, f"+{short(high)}")), scope)
    return Legend(name, ((0.0, "0"), (0.5, short(high / 4)), (1.0, short(high))), scope)


def mixing_part(shown: LayerTrace) -> str:
    """Name the part that says how a layer mixes its tokens; KeyError for a layer without one."""
    for name in MIXING:
        if name in shown.parts:
            return name
    raise KeyError(f"layer {shown.index} ({shown.mixer}) shows no mixing matrix")


def mixing_of(shown: LayerTrace) -> Floats:
    """Return a layer's (query, key) matrix: attention averaged over heads, or its stand-in."""
    values = floats(shown, mixing_part(shown))
    return values if values.ndim == 2 else np.asarray(values.mean(0))


def look_back(mixing: Floats) -> Floats:
    """Return the mean distance in tokens that each query looks back, weighted by |mixing| (query, key)."""
    weight = np.abs(mixing)
    place = np.arange(mixing.shape[0])
    distance = np.maximum(place[:, None] - place[None, :], 0)
    total = weight.sum(1)
    return np.asarray((weight * distance).sum(1) / np.where(total > 0, total, 1))


def mean_map(
    part: str, trace: ModelTrace, *, theme: Theme, t: Translate, layer: int | None = None, selected: int | None = None
) -> Figure:
    """Draw a part (query, key) that is a mean over channels, in the figure of its name."""
    shown = layer_with(trace, part, layer)
    alt = t(f"viz.{part}.alt", layer=shown.index)
    values, color = floats(shown, part), theme.mixer_color(shown.mixer)
    spec = matrix_picture(part, values, trace, theme=theme, t=t, color=color, alt=alt, selected=selected)
    return Figure(part, spec, {part: shown.parts[part]}, alt, finding=row_finding(values, TAKES, t))
