"""One text by several models, or two versions of it by one, on a common axis of characters: rows, surprisal, edits."""

from collections.abc import Sequence

import numpy as np

from models.alignment import changed
from models.records.influence import Influence
from models.records.trace import Alignment, Array, ModelTrace, NamedArray, Token
from viz.canvas import Axis, CanvasSpec, Frames, Legend, Matrix, Scale, Strip
from viz.figure import Figure, figure
from viz.look.labels import Translate, short, template
from viz.look.theme import Theme, diverging, sequential
from viz.trace.channels import Floats
from viz.trace.matrix import MIXING
from viz.trace.overview import laid, row_shares
from viz.trace.side_findings import changed_finding, nearest_finding, surprisals_finding
from viz.trace.tokens import reading_of, words

EARLY = 4  # first rows, whose shares are always near 1: the scale ends with the largest share of the others
DIGITS = 3  # of the numbers of the rows
ROW, BITS_ROW = 27, 30  # pixels: of a row with two lines beside it, of a row of bits


@figure("side_rows", of="traces", also=MIXING)
def side_rows(
    traces: Sequence[ModelTrace],
    *,
    theme: Theme,
    t: Translate,
    alignment: Alignment | None = None,
    names: Sequence[str] = (),
    gradients: Sequence[Influence] = (),
) -> Figure:
    """Draw, for the shown token, the share of each earlier token by the mixing weights and by the gradient.

    Two rows for each trace; the browser shows those of the chosen token. alignment: the common axis; without it all
    share the tokens of the first. names: of the traces, those of their architectures without it. gradients: one for
    each trace, with nan rows for queries that are not known yet; without them the weights alone are drawn.
    Raises ValueError when the tokens differ and no alignment is given.
    """
    axis, called = axis_of(traces, alignment), names_of(traces, names, t)
    mixing = [row_shares(trace) for trace in traces]
    slopes = [shares_of(one) for one in gradients]
    kinds = {"mixing": mixing, "gradient": slopes}
    data = {
        f"{kind}_{n}": NamedArray(map_, ("query", "key")) for kind, maps in kinds.items() for n, map_ in enumerate(maps)
    }
    rows, labels, notes, ramps = [], [], [], []
    for n, own in enumerate(axis.owners):
        for kind, maps in kinds.items():
            if maps:
                rows.append(laid(_past(maps[n]), own))
                labels.append(called[n])
                notes.append(t(f"viz.side_rows.{kind}"))
                ramps.append(n)
    film = np.stack(rows, axis=1)  # (segment of the query, row, segment)
    high = _full(mixing, slopes)
    grid = Frames(
        values=film,
        scale=Scale(0.0, high, kind="sqrt"),
        ramps=tuple(sequential(trace.architecture, theme) for trace in traces),
        readout=("{row}", "{column}", template(t, "viz.value", "value", name=t("viz.side_rows.quantity"))),
        digits=DIGITS,
        rows=Axis(
            names=tuple(f"{label} · {note}" for label, note in zip(labels, notes, strict=True)),
            labels=tuple(labels),
            notes=tuple(notes),
            colors=tuple(theme.color(traces[n].architecture) for n in ramps),
        ),
        row_ramps=tuple(ramps),
        owners=axis.owners,
        row_height=ROW,
    )
    alt = t("viz.side_rows.alt", count=len(traces))
    ticks = ((0.0, "0"), (1.0, f"\u2265 {short(high)}"))
    legend = Legend(t("viz.side_rows.quantity"), ticks, ramp=tuple(range(len(traces))))
    note = t("viz.side_rows.note" if slopes else "viz.side_rows.note_mixing")
    spec = spec_of("side_rows", alt, traces, axis, theme=theme, t=t, grid=grid, legend=legend, note=note)
    each = tuple((alt, finding) for finding in nearest_finding(traces, axis, called, slopes or mixing, t))
    return Figure("side_rows", spec, data, alt, finding=each[-1][1], each=each)


@figure("side_surprisal", of="traces")
def side_surprisal(
    traces: Sequence[ModelTrace],
    *,
    theme: Theme,
    t: Translate,
    alignment: Alignment | None = None,
    names: Sequence[str] = (),
) -> Figure:
    """Draw the surprisal of every token, a row for each trace, in bits; a token is as wide as its characters."""
    axis, called = axis_of(traces, alignment), names_of(traces, names, t)
    bits = [np.asarray(trace.surprisal.values, np.float32) for trace in traces]
    values = np.stack([spread(row, own) for row, own in zip(bits, axis.owners, strict=True)])
    high = float(np.nanmax(values)) if np.isfinite(values).any() else 1.0
    grid = Matrix(
        values=values,
        scale=Scale(0.0, high),
        ramps=tuple(sequential(trace.architecture, theme) for trace in traces),
        readout=("{row}", "{column}", template(t, "viz.value", "value", name=t("viz.side_surprisal.quantity"))),
        rows=Axis(
            names=tuple(called),
            labels=tuple(called),
            colors=tuple(theme.color(trace.architecture) for trace in traces),
        ),
        row_ramps=tuple(range(len(traces))),
        owners=axis.owners,
        texts=_written(values),
        whole_texts=True,
        row_height=BITS_ROW,
    )
    alt = t("viz.side_surprisal.alt", count=len(traces))
    ticks = ((0.0, "0"), (1.0, short(high)))
    legend = Legend(t("viz.side_surprisal.quantity"), ticks, ramp=tuple(range(len(traces))))
    spec = spec_of("side_surprisal", alt, traces, axis, theme=theme, t=t, grid=grid, legend=legend)
    data = {f"surprisal_{n}": NamedArray(row, ("token",)) for n, row in enumerate(bits)}
    return Figure("side_surprisal", spec, data, alt, finding=surprisals_finding(called, bits, t))


@figure("edit_surprisal", of="traces")
def edit_surprisal(
    traces: Sequence[ModelTrace], *, theme: Theme, t: Translate, alignment: Alignment, names: Sequence[str] = ()
) -> Figure:
    """Draw how the surprisal of each unchanged token changed with an edit: after minus before, in bits, signed.

    traces: of one text by all models, then of its changed copy by the same models in the same order. alignment: of
    models.alignment.align_edit. Tokens that were changed have no cell.
    Raises ValueError for an odd number of traces, and for models that cut the texts differently.
    """
    half = len(traces) // 2
    before, after = traces[:half], traces[half:]
    if len(before) != len(after) or any(not _same_tokens(group) for group in (before, after)):
        raise ValueError("an edit is drawn of the same models before and after, which cut the texts alike")
    called, moved = names_of(before, names, t), np.array(changed(alignment))
    rows = []
    for first, second in zip(before, after, strict=True):
        was, now = (spread(np.asarray(o.surprisal.values, np.float32), own)
                    for o, own in zip((first, second), alignment.owners, strict=True))  # fmt: skip
        rows.append(np.where(moved, np.nan, now - was))
    values = np.asarray(np.stack(rows), np.float32)
    high = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 1.0
    grid = Matrix(
        values=values,
        scale=Scale(0.0, high or 1.0, signed=True, kind="sqrt"),
        ramps=(diverging(theme),),
        readout=("{row}", "{column}", template(t, "viz.value", "value", name=t("viz.edit_surprisal.quantity"))),
        rows=Axis(
            names=tuple(called),
            labels=tuple(called),
            colors=tuple(theme.color(trace.architecture) for trace in before),
        ),
        owners=alignment.owners[:1],
        texts=_written(values, signed=True),
        whole_texts=True,
        row_height=BITS_ROW,
    )
    alt = t("viz.edit_surprisal.alt", count=len(before))
    ticks = ((0.0, f"\u2212{short(high)}"), (0.5, "0"), (1.0, f"+{short(high)}"))
    legend = Legend(t("viz.edit_surprisal.quantity"), ticks, t("viz.scope.picture_sqrt"))
    note = t("viz.edit_surprisal.note")
    spec = spec_of("edit_surprisal", alt, before, alignment, theme=theme, t=t, grid=grid, legend=legend, note=note)
    data = {"change": NamedArray(values, ("architecture", "segment"))}
    return Figure("edit_surprisal", spec, data, alt, finding=changed_finding(called, values, moved, t))


def axis_of(traces: Sequence[ModelTrace], alignment: Alignment | None) -> Alignment:
    """Return the given axis, or that of traces which share their tokens; ValueError where they do not."""
    if alignment is not None:
        return alignment
    if not _same_tokens(traces):
        raise ValueError("the traces do not share their tokens")
    every = tuple(range(len(traces[0].tokens)))
    return Alignment(traces[0].tokens, (every,) * len(traces))


def names_of(traces: Sequence[ModelTrace], names: Sequence[str], t: Translate) -> list[str]:
    """Return the given names, or those of the architectures."""
    return list(names) or [t(f"viz.architecture.{trace.architecture}") for trace in traces]


def shares_of(influence: Influence) -> Floats:
    """Return each row of an influence divided by its sum, (query, key); nan where it is not known."""
    values = np.asarray(influence.values.values, np.float64)
    total = values.sum(1, keepdims=True)
    return np.asarray(values / np.where(total > 0, total, 1), np.float32)


def spread(row: Array, owners: Sequence[int]) -> Floats:
    """Lay one number for each token (token,) out over segments, nan where a text has none."""
    own = np.asarray(owners)
    return np.asarray(np.where(own >= 0, np.asarray(row, np.float32)[np.maximum(own, 0)], np.nan), np.float32)


def counterparts(alignment: Alignment, text: int) -> tuple[int, ...]:
    """Return, for each token of the first text, the token of another that ends with it or last before it; -1: none."""
    first, other = alignment.owners[0], alignment.owners[text]
    found, reached = [-1] * (max(first, default=-1) + 1), -1
    for mine, its in zip(first, other, strict=True):
        reached = max(reached, its)
        if mine >= 0:
            found[mine] = reached
    return tuple(found)


def spec_of(
    figure_id: str,
    alt: str,
    traces: Sequence[ModelTrace],
    axis: Alignment,
    *,
    theme: Theme,
    t: Translate,
    grid: Frames | Matrix,
    legend: Legend,
    note: str = "",
) -> CanvasSpec:
    """Assemble a picture over a common axis; the accent is ink, since no architecture is meant."""
    strip = Strip(tokens=axis.segments, readout=("{label}", "{extra}"), extra=_cuts(traces, axis, t))
    return CanvasSpec(
        figure_id, alt, theme, theme.ink, strip, (), grid, (legend,), note, words(t), reading_of(traces[0])
    )


def _cuts(traces: Sequence[ModelTrace], axis: Alignment, t: Translate) -> tuple[str, ...]:
    """Say of each segment which token each model has there, where they differ."""
    if len(axis.owners) != len(traces) or _same_tokens(traces):
        return ("",) * len(axis.segments)
    said = []
    for place in range(len(axis.segments)):
        read = [(trace, own[place]) for trace, own in zip(traces, axis.owners, strict=True) if own[place] >= 0]
        named = [f"{t(f'viz.architecture.{trace.architecture}')} {trace.tokens[i].label}" for trace, i in read]
        said.append(" \u00b7 ".join(named))
    return tuple(said)


def _same_tokens(traces: Sequence[ModelTrace]) -> bool:
    def cut(tokens: Sequence[Token]) -> list[tuple[int, int, int]]:
        return [(one.id, one.start, one.end) for one in tokens]

    return all(cut(trace.tokens) == cut(traces[0].tokens) for trace in traces)


def _past(map_: Floats) -> Floats:
    """Return a map (query, key) with nan for the future."""
    return np.asarray(np.where(np.tri(len(map_), dtype=bool), map_, np.nan), np.float32)


def _full(mixing: Sequence[Floats], slopes: Sequence[Floats]) -> float:
    """Return the share from which a colour is full: the largest after the first rows."""
    known = [map_[min(EARLY, len(map_) - 1) :] for map_ in (*mixing, *slopes)]
    return max(float(np.nanmax(rows, initial=0.0)) for rows in known) or 1.0


def _written(values: Floats, *, signed: bool = False) -> tuple[tuple[str, ...], ...]:
    """Write bits with one decimal, "" for a cell without a number."""
    form = "{:+.1f}" if signed else "{:.1f}"
    return tuple(tuple("" if np.isnan(v) else form.format(v) for v in row) for row in values)
