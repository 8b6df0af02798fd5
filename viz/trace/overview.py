"""The same sentence through several machines: one token-by-token map per architecture, in one picture."""

from collections.abc import Iterator, Sequence

import numpy as np

from models.records.trace import Alignment, ModelTrace, NamedArray, Token
from viz.canvas import CanvasSpec, Legend, Scale, Strip, Tile, Tiles, max_pool
from viz.canvas.pooling import block_sums, runs
from viz.figure import Figure, figure
from viz.look.labels import Translate, short, template
from viz.look.theme import Theme, sequential
from viz.trace.channels import Floats
from viz.trace.findings import near_finding
from viz.trace.matrix import MIXING, mixing_of, mixing_part, pooled_note
from viz.trace.tokens import reading_of, strip_of, words

TILE = 96  # rows and columns of a tile at most
FULL_COLOUR = 0.98  # quantile of all shares from which the colour is full: the first rows are always near 1


@figure("four_machines", of="traces", also=MIXING)
def architecture_maps(
    traces: Sequence[ModelTrace],
    *,
    theme: Theme,
    t: Translate,
    selected: int | None = None,
    alignment: Alignment | None = None,
    span: tuple[int, int] | None = None,
) -> Figure:
    """Draw one tile per architecture: the share of each earlier token in a row, averaged over the layers.

    traces: the same text through several models; every row of every tile adds up to 1. alignment: the common axis of
    models that do not share a tokenizer (models.alignment); a token is then as wide as the segments it covers, and span
    is the chosen piece of text, in characters. Raises ValueError when the tokens differ and no alignment is given.
    """
    if alignment is None and any([t.id for t in trace.tokens] != [t.id for t in traces[0].tokens] for trace in traces):
        raise ValueError("the traces do not share their tokens")
    shares = [row_shares(trace) for trace in traces]  # (query, key) each
    past = [np.where(np.tri(len(map_), dtype=bool), map_, np.nan).astype(np.float32) for map_ in shares]
    high = float(np.nanquantile(np.concatenate([map_.ravel() for map_ in past]), FULL_COLOUR))
    drawn = np.stack(past if alignment is None else [laid(*pair) for pair in zip(past, alignment.owners, strict=True)])
    grid = _tiles(traces, drawn, past, high, theme, t, alignment, _marks(traces, alignment, selected, span))
    alt = t("viz.four_machines.alt", count=len(traces))
    spec = CanvasSpec(
        id="four_machines",
        alt=alt,
        theme=theme,
        accent=theme.ink,
        strip=_strip(traces, t, alignment, selected, span),
        grid=grid,
        legends=_legends(traces, high, t),
        note=" ".join(_note(traces, grid, alignment, t)),
        words=words(t),
        reading=reading_of(traces[0]),
    )
    named = {t(f"viz.architecture.{o.architecture}"): own for o, own in zip(traces, shares, strict=True)}
    return Figure("four_machines", spec, _exported(traces, shares, alignment), alt, finding=near_finding(named, t))


def laid(map_: Floats, owners: Sequence[int]) -> Floats:
    """Spread a (query, key) map over segments: each holds the value of the tokens that it lies in, nan where none."""
    own = np.asarray(owners)
    spread = map_[np.ix_(np.maximum(own, 0), np.maximum(own, 0))].astype(np.float32)
    spread[own < 0] = np.nan
    spread[:, own < 0] = np.nan
    return spread


def _tiles(
    traces: Sequence[ModelTrace],
    drawn: Floats,
    past: Sequence[Floats],
    high: float,
    theme: Theme,
    t: Translate,
    alignment: Alignment | None,
    marks: tuple[tuple[int, int], ...],
) -> Tiles:
    block = -(-drawn.shape[1] // TILE)
    return Tiles(
        values=max_pool(drawn, rows=block, columns=block).values,
        scale=Scale(0.0, high, kind="sqrt"),
        ramps=tuple(sequential(trace.architecture, theme) for trace in traces),
        readout=(
            "{tile}",
            template(t, "viz.matrix.pair", "row", "column"),
            template(t, "viz.value", "value", name=t("viz.four_machines.quantity")),
        ),
        pool=(block, block),
        sums=None if block == 1 else _sums(past, drawn.shape[1], block, alignment),
        picks="row",
        tiles=tuple(
            Tile(name, name, theme.color(trace.architecture), ramp=i)
            for i, trace in enumerate(traces)
            for name in (t(f"viz.architecture.{trace.architecture}"),)
        ),
        marks=marks,
        owners=() if alignment is None else alignment.owners,
        owner_names=() if alignment is None else tuple(tuple(o.label for o in trace.tokens) for trace in traces),
    )


def _sums(past: Sequence[Floats], side: int, block: int, alignment: Alignment | None) -> Floats:
    """Add the shares of each map (query, key) up over blocks of rows, in the tokens that lie in them, each once."""
    places = runs(side, block)
    if alignment is None:
        return np.stack([block_sums(map_, rows=places, columns=places) for map_ in past])
    owned = [[sorted({own[place] for place in run} - {-1}) for run in places] for own in alignment.owners]
    return np.stack([block_sums(map_, rows=own, columns=own) for map_, own in zip(past, owned, strict=True)])


def _strip(
    traces: Sequence[ModelTrace],
    t: Translate,
    alignment: Alignment | None,
    selected: int | None,
    span: tuple[int, int] | None,
) -> Strip:
    """Build the strip: the shared tokens, or the segments, which say how each model cuts the text there."""
    if alignment is None:
        return strip_of(traces[0], t=t, selected=selected, role="rows")
    chosen = _run([_meets(segment, span) for segment in alignment.segments])
    extra = []
    for place in range(len(alignment.segments)):
        read = [(trace, own[place]) for trace, own in zip(traces, alignment.owners, strict=True) if own[place] >= 0]
        named = [f"{t(f'viz.architecture.{trace.architecture}')} {trace.tokens[i].label}" for trace, i in read]
        extra.append(" · ".join(named))
    return Strip(
        tokens=alignment.segments,
        selected=chosen[0] if chosen[1] > chosen[0] else None,
        role="rows",
        readout=("{label}", "{extra}"),
        extra=tuple(extra),
        chosen=chosen if chosen[1] > chosen[0] else None,
    )


def _note(traces: Sequence[ModelTrace], grid: Tiles, alignment: Alignment | None, t: Translate) -> Iterator[str]:
    """Say how to read the tiles, whether cells are joined, and what the maps are not."""
    yield t("viz.four_machines.note" if alignment is None else "viz.four_machines.note_aligned")
    yield from filter(None, [pooled_note(grid, t=t)])
    parts = {mixing_part(layer) for trace in traces for layer in trace}
    if parts - {"attention"}:  # measured by tests/models/test_recency.py
        yield t("viz.four_machines.recency")


def _marks(
    traces: Sequence[ModelTrace], alignment: Alignment | None, selected: int | None, span: tuple[int, int] | None
) -> tuple[tuple[int, int], ...]:
    """Return the rows of the chosen token in every tile: of each token there that shares a character with it."""
    if alignment is None:
        known = selected is not None and 0 <= selected < len(traces[0].tokens)
        return ((selected, selected + 1),) * len(traces) if known and selected is not None else ()
    if span is None:
        return ()
    met = [_meets(segment, span) for segment in alignment.segments]
    touched = [{own for own, meets in zip(text, met, strict=True) if meets and own >= 0} for text in alignment.owners]
    return tuple(_run([own in tokens for own in text]) for text, tokens in zip(alignment.owners, touched, strict=True))


def _meets(segment: Token, span: tuple[int, int] | None) -> bool:
    if span is None:
        return False
    start, stop = span
    return (segment.start < stop and start < segment.end) or (segment.start, segment.end) == (start, stop)


def _run(flags: Sequence[bool]) -> tuple[int, int]:
    """Return first and last + 1 of what is true, (0, 0) for nothing."""
    places = [place for place, flag in enumerate(flags) if flag]
    return (places[0], places[-1] + 1) if places else (0, 0)


def _legends(traces: Sequence[ModelTrace], high: float, t: Translate) -> tuple[Legend, ...]:
    ticks = ((0.0, "0"), (1.0, f"≥ {short(high)}"))
    return (Legend(t("viz.four_machines.quantity"), ticks, ramp=tuple(range(len(traces)))),)


def _exported(
    traces: Sequence[ModelTrace], shares: Sequence[Floats], alignment: Alignment | None
) -> dict[str, NamedArray]:
    if alignment is None:
        return {"mixing": NamedArray(np.stack(shares), ("architecture", "query", "key"))}
    return {
        f"mixing_{trace.architecture}": NamedArray(map_, ("query", "key"))
        for trace, map_ in zip(traces, shares, strict=True)
    }


def row_shares(trace: ModelTrace) -> Floats:
    """Return mean over layers of |M_tj| / sum_j |M_tj|, (query, key): comparable between architectures."""
    shares = []
    for layer in trace:
        weight = np.abs(mixing_of(layer))
        total = weight.sum(axis=1, keepdims=True)
        shares.append(weight / np.where(total > 0, total, 1))
    return np.asarray(np.mean(shares, axis=0), dtype=np.float32)
