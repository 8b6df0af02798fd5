"""The same sentence through several machines: one token-by-token map per architecture, in one picture."""

from collections.abc import Sequence

import numpy as np

from models.records import ModelTrace, Named
from viz.canvas import CanvasSpec, Grid, Legend, Scale, Tile, max_pool
from viz.channels import Floats
from viz.figure import Figure
from viz.labels import Translate, short, template
from viz.mixing import mixing_of
from viz.theme import Theme, sequential
from viz.tokens import strip_of, words

TILE = 96  # rows and columns of a tile at most
FULL_COLOUR = 0.98  # quantile of all shares from which the colour is full: the first rows are always near 1


def four_machines(traces: Sequence[ModelTrace], *, theme: Theme, t: Translate, selected: int | None = None) -> Figure:
    """Draw one tile per architecture: the share of each earlier token in a row, averaged over the layers.

    traces: the same text through models that share a tokenizer. Every row of every tile adds up to 1.
    Raises ValueError when the texts were cut into different tokens.
    """
    first = traces[0]
    if any([t.id for t in trace.tokens] != [t.id for t in first.tokens] for trace in traces):
        raise ValueError("the traces do not share their tokens")
    maps = np.stack([row_shares(trace) for trace in traces])  # (architecture, query, key)
    length = len(first.tokens)
    past = np.where(np.tri(length, dtype=bool), maps, np.nan).astype(np.float32)
    block = -(-length // TILE)
    high = float(np.nanquantile(past, FULL_COLOUR))
    grid = Grid(
        values=max_pool(past, rows=block, columns=block).values,
        scale=Scale(0.0, high, kind="sqrt"),
        ramps=tuple(sequential(trace.architecture, theme) for trace in traces),
        readout=(
            "{tile}",
            template(t, "viz.matrix.pair", "row", "column"),
            template(t, "viz.value", "value", name=t("viz.four_machines.quantity")),
        ),
        mode="tiles",
        triangle=True,
        pool=(block, block),
        picks="row",
        tiles=tuple(
            Tile(name, name, theme.color(trace.architecture), ramp=i)
            for i, trace in enumerate(traces)
            for name in (t(f"viz.architecture.{trace.architecture}"),)
        ),
    )
    ticks = ((0.0, "0"), (1.0, f"≥ {short(high)}"))
    legends = tuple(
        Legend(t(f"viz.architecture.{trace.architecture}"), ticks, ramp=i) for i, trace in enumerate(traces)
    )
    alt = t("viz.four_machines.alt", count=len(traces))
    spec = CanvasSpec(
        id="four_machines",
        alt=alt,
        theme=theme,
        accent=theme.ink,
        strip=strip_of(first, t=t, selected=selected, role="rows"),
        grid=grid,
        legends=legends,
        note=t("viz.four_machines.note"),
        words=words(t),
    )
    return Figure("four_machines", spec, {"mixing": Named(maps, ("architecture", "query", "key"))}, alt)


def row_shares(trace: ModelTrace) -> Floats:
    """Return mean over layers of |M_tj| / sum_j |M_tj|, (query, key): comparable between architectures."""
    shares = []
    for layer in trace:
        weight = np.abs(mixing_of(layer))
        total = weight.sum(axis=1, keepdims=True)
        shares.append(weight / np.where(total > 0, total, 1))
    return np.asarray(np.mean(shares, axis=0), dtype=np.float32)
