"""What is left of a word in the state of a selective scan: survival of its write, and when |alpha| has halved."""

import numpy as np

from models.records.trace import LayerTrace, ModelTrace, NamedArray
from viz.canvas import Axis, Bars, Legend, Matrix, Scale
from viz.canvas.pooling import fit_square
from viz.figure import Figure, figure
from viz.look.extremes import percent
from viz.look.labels import Translate, template
from viz.look.theme import Theme, mixer_ramp
from viz.trace.channels import Floats, floats, layer_with
from viz.trace.matrix import pooled_note
from viz.trace.tokens import picture, strip_of

EDGES = (1, 2, 4, 8, 16, 32, 64, 128)  # tokens, the upper ends of the columns of a histogram


def survival_of(shown: LayerTrace) -> Floats:
    """Return, for word j and token i >= j, the share of what j wrote that is left after i; nan before (j, i).

    The write of j is |dt_j u_j B_j| of every channel and component, and what is left of it is multiplied by exp(dt A)
    at every token. One number for the layer: the sum of what is left over the sum of what was written; 0 of nothing.
    """
    dt, rates = floats(shown, "dt"), floats(shown, "decay_rates")
    write, u = floats(shown, "write_proj"), floats(shown, "scan_input")
    keep = np.exp(dt[:, :, None] * rates)  # (token, channel, d_state)
    left = np.abs(dt * u)[:, :, None] * np.abs(write)[:, None, :]
    total = left.sum((1, 2), dtype=np.float64)
    whole = np.where(total > 0, total, 1.0)
    found = np.full((len(dt), len(dt)), np.nan)
    np.fill_diagonal(found, total / whole)
    for distance in range(1, len(dt)):
        left = left[:-1] * keep[distance:]
        word = np.arange(len(left))
        found[word, word + distance] = left.sum((1, 2), dtype=np.float64) / whole[: len(left)]
    return found


@figure("survival", needs=("dt", "decay_rates", "write_proj", "scan_input"))
def survival(
    trace: ModelTrace, *, theme: Theme, t: Translate, layer: int | None = None, selected: int | None = None
) -> Figure:
    """Draw how much of what each word wrote into the state is left at every later token, a row per word.

    The bars are the row of the chosen word. What the word did to later writes through the layers is not in it.
    """
    shown = layer_with(trace, "dt", layer)
    values = survival_of(shown)
    length = len(values)
    pooled = fit_square(values.astype(np.float32))
    row = selected if selected is not None and 0 <= selected < length else 0
    grid = Matrix(
        values=pooled.values,
        scale=Scale(0.0, 1.0),
        ramps=(mixer_ramp(shown.mixer, theme),),
        readout=(
            template(t, "viz.survival.cell", "row", "column"),
            template(t, "viz.value", "value", name=t("viz.survival.quantity")),
        ),
        row_tokens=True,
        pool=(pooled.rows, pooled.columns),
        rows=Axis(title=t("viz.survival.rows")),
        columns=Axis(title=t("viz.survival.columns")),
        row_height=28,
        max_height=530,
        picks="row",
        selected_row=row,
    )
    alt = t("viz.survival.alt", layer=shown.index)
    spec = picture(
        "survival",
        alt,
        trace,
        theme=theme,
        t=t,
        strip=strip_of(trace, t=t, selected=row),
        bars=(Bars(None, template(t, "viz.survival.bars", "row"), theme.mixer_color(shown.mixer)),),
        grid=grid,
        legends=(Legend(t("viz.survival.quantity"), ((0.0, "0"), (0.5, "0.5"), (1.0, "1")), t("viz.scope.picture")),),
        note=pooled_note(grid, t=t),
    )
    data = {"survival": NamedArray(values, ("word", "token"))}
    return Figure("survival", spec, data, alt, finding=survival_finding(values, t))


def survival_finding(values: Floats, t: Translate) -> str:
    """Say how much of a write is left one token later and at the end of the text, as means over the words.

    values (word, token). "" for a text of fewer than three tokens, where both are the same.
    """
    if len(values) < 3:
        return ""
    word = np.arange(len(values) - 1)
    return t(
        "viz.survival.finding", next=percent(float(values[word, word + 1].mean())), end=percent(float(values[0, -1]))
    )


@figure("memory_histogram", needs=("half_distance",))
def memory_histogram(trace: ModelTrace, *, theme: Theme, t: Translate) -> Figure:
    """Draw how many channels of each layer lose half of their |alpha| within so many tokens: a histogram per layer."""
    layers = trace.layers_with("half_distance")
    within = columns_of(len(trace.tokens))
    counts = np.stack([counted(floats(shown, "half_distance"))[within] for shown in layers])  # (layer, column)
    every = [*(t("viz.memory_histogram.until", tokens=edge) for edge in EDGES),
             t("viz.memory_histogram.more", tokens=EDGES[-1]), t("viz.memory_histogram.never")]  # fmt: skip
    signs = [*(f"≤{edge}" for edge in EDGES), f">{EDGES[-1]}", "∞"]
    names, short_names = tuple(every[n] for n in within), tuple(signs[n] for n in within)
    high = float(counts.max())
    grid = Matrix(
        values=counts.astype(np.float32),
        scale=Scale(0.0, high, kind="sqrt"),
        ramps=(mixer_ramp(layers[0].mixer, theme),),
        readout=("{row}", "{column}", template(t, "viz.value", "value", name=t("viz.memory_histogram.quantity"))),
        texts=tuple(tuple(str(int(value)) if value else "" for value in row) for row in counts),
        whole_texts=True,
        rows=Axis(labels=tuple(t("viz.layer", layer=shown.index) for shown in layers)),
        columns=Axis(names=names, labels=short_names, title=t("viz.memory_histogram.columns")),
        row_height=28,
        max_height=480,
        picks="none",
    )
    alt = t("viz.memory_histogram.alt", layers=len(layers))
    ends = ((0.0, "0"), (1.0, str(int(high))))
    legend = Legend(t("viz.memory_histogram.quantity"), ends, t("viz.scope.picture_sqrt"))
    spec = picture("memory_histogram", alt, trace, theme=theme, t=t, grid=grid, legends=(legend,))
    data = {"channels": NamedArray(counts, ("layer", "column"))}
    near = float(counts[:, :4].sum() / max(counts.sum(), 1))
    told = counts.sum() > 0 and len(within) > 4
    finding = t("viz.memory_histogram.finding", share=percent(near), tokens=EDGES[3]) if told else ""
    return Figure("memory_histogram", spec, data, alt, finding=finding)


def columns_of(tokens: int) -> list[int]:
    """Return the columns that a text of so many tokens may fill: no distance is longer than it; inf always."""
    reached = [n for n, edge in enumerate(EDGES) if n == 0 or EDGES[n - 1] < tokens - 1]
    return [*reached, *([len(EDGES)] if tokens - 1 > EDGES[-1] else []), len(EDGES) + 1]


def counted(distance: Floats) -> Floats:
    """Count the channels in every column: up to each edge, beyond the last one, and not within the text (inf)."""
    known = distance[np.isfinite(distance)]
    place = np.searchsorted(np.array(EDGES, np.float64), known)
    return np.append(np.bincount(place, minlength=len(EDGES) + 1), np.isinf(distance).sum()).astype(np.float64)
