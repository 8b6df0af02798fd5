"""Figures of attention heads: one head, all heads, and value norms."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.records.trace import Array, ModelTrace, NamedArray
from models.scores import PATTERNS, chance, head_patterns, reach
from viz.canvas import Legend, Scale, Tile, Tiles
from viz.canvas.pooling import fit_tiles, pooled_sums
from viz.figure import Figure, figure
from viz.look.labels import Translate, template
from viz.look.theme import Theme, mixer_ramp
from viz.trace.channels import floats
from viz.trace.findings import GIVES, MOVES, mosaic_finding, row_finding, scores_finding
from viz.trace.matrix import matrix_picture, pooled_note
from viz.trace.tokens import picture, strip_of

SCORES = PATTERNS
_STRUCTURED = [PATTERNS.index(name) for name in ("previous_token", "duplicate", "induction")]
_FIGURES = {"attention": "head_matrix", "value_norm": "value_norm_matrix"}  # part: the figure that names it
THUMBNAIL = 32  # rows and columns of a mosaic tile at most

Matrix = npt.NDArray[np.floating]


class Head(NamedTuple):
    """A layer index and a head index."""

    layer: int
    head: int


@figure("head_matrix", needs=("attention",))
def head_matrix(
    trace: ModelTrace,
    *,
    theme: Theme,
    t: Translate,
    layer: int | None = None,
    head: int | None = None,
    selected: int | None = None,
    hide_first: bool = False,
) -> Figure:
    """Draw one head's weights A (query, key); without layer and head, the most structured one.

    hide_first: without the column of the first token (viz.trace.matrix.matrix_picture).
    """
    layer, head = chosen_head(trace, layer, head)
    return _head_picture(
        "head_matrix", "attention", trace, layer, head, theme=theme, t=t, selected=selected, hide_first=hide_first
    )


@figure("head_logits", needs=("attention_logits", "attention"))
def head_logits(
    trace: ModelTrace,
    *,
    theme: Theme,
    t: Translate,
    layer: int | None = None,
    head: int | None = None,
    selected: int | None = None,
) -> Figure:
    """Draw the scaled products q.k / sqrt(d_head) of one head, before the softmax; both signs."""
    layer, head = chosen_head(trace, layer, head)
    return _head_picture("head_logits", "attention_logits", trace, layer, head, theme=theme, t=t, selected=selected)


@figure("value_norm_matrix", needs=("value_norm", "attention"))
def value_norm_matrix(
    trace: ModelTrace,
    *,
    theme: Theme,
    t: Translate,
    layer: int | None = None,
    head: int | None = None,
    selected: int | None = None,
    hide_first: bool = False,
) -> Figure:
    """Draw what one head moves: |A_tj v_j W_O| (query, key), Kobayashi et al. 2020; hide_first as in head_matrix."""
    layer, head = chosen_head(trace, layer, head)
    return _head_picture(
        "value_norm_matrix",
        "value_norm",
        trace,
        layer,
        head,
        theme=theme,
        t=t,
        selected=selected,
        hide_first=hide_first,
    )


@figure("head_mosaic", needs=("attention",), also=("value_norm",))
def head_mosaic(
    trace: ModelTrace,
    *,
    theme: Theme,
    t: Translate,
    part: str = "attention",
    score: str = "previous_token",
    layer: int | None = None,
    head: int | None = None,
    selected: int | None = None,
) -> Figure:
    """Draw every head as a thumbnail, layers across and heads down; the bar under each is the chosen score.

    part: "attention" or "value_norm". layer, head: the tile to outline. mosaic_head tells which head a tile is. With
    fewer layers than heads the picture is turned: heads across, layers down. What uniform attention scores on this
    text stands beside every score.
    """
    places = _order(trace, part)
    maps = np.stack([floats(trace.layer(at.layer), part)[at.head] for at in places])  # (tile, query, key)
    which = SCORES.index(score)
    scores = np.asarray(head_scores(trace).values[:, :, which], dtype=np.float64)  # (layer, head)
    even = np.asarray(uniform_scores(trace).values[:, which], dtype=np.float64)  # (layer,)
    tiles = _tiles(trace, places, scores, even, theme=theme, t=t, score=score)
    grid = _mosaic_grid(trace, maps, places, tiles, part=part, outlined=(layer, head), theme=theme, t=t)
    name = t(f"viz.score.{score}")
    spec = picture(
        "head_mosaic",
        t("viz.head_mosaic.alt", heads=len(places), score=name),
        trace,
        theme=theme,
        t=t,
        strip=strip_of(trace, t=t, selected=selected, role="rows"),
        grid=grid,
        legends=(
            Legend(
                t(f"viz.{_FIGURES[part]}.quantity"), ((0.0, "0"), (1.0, t("viz.maximum"))), t("viz.scope.tile_sqrt")
            ),
        ),
        note=" ".join(_mosaic_note(trace, even, grid, part=part, score=score, t=t)),
    )
    data = {
        part: NamedArray(maps, ("tile", "query", "key")),
        score: NamedArray(scores, ("layer", "head")),
        "uniform": NamedArray(even, ("layer",)),
    }
    layers = [shown.index for shown in trace.layers_with("attention")]
    return Figure("head_mosaic", spec, data, spec.alt, finding=mosaic_finding(scores, even, layers, name, t))


def mosaic_head(trace: ModelTrace, tile: int, *, part: str = "attention") -> Head:
    """Return the layer and head that a tile number of head_mosaic stands for."""
    return _order(trace, part)[tile]


def head_scores(trace: ModelTrace) -> NamedArray:
    """Score every head as models.scores.head_patterns does, (layer, head, score) in the order of SCORES.

    The layers are those that show attention.
    """
    ids = np.array([token.id for token in trace.tokens])
    scores = [
        [head_patterns(head, ids) for head in layer.part("attention").astype(np.float64)]
        for layer in trace.layers_with("attention")
    ]
    return NamedArray(np.array(scores).reshape(len(scores), -1, len(SCORES)), ("layer", "head", "score"))


def uniform_scores(trace: ModelTrace) -> NamedArray:
    """Score uniform attention over the same tokens, (layer, score): within the window where a layer has one."""
    ids = np.array([token.id for token in trace.tokens])
    windows = [reach(floats(layer, "attention")) for layer in trace.layers_with("attention")]
    known = {window: chance(ids, window=window) for window in set(windows)}
    return NamedArray(np.array([known[window] for window in windows]).reshape(-1, len(SCORES)), ("layer", "score"))


def structure(trace: ModelTrace) -> NamedArray:
    """State how clear a head's clearest pattern is beyond what uniform attention scores on this text, (layer, head).

    The patterns are previous token, duplicate and induction: a sink needs no structure. Uniform attention has 0.
    """
    beyond = head_scores(trace).values - uniform_scores(trace).values[:, None]
    return NamedArray(np.asarray(beyond[:, :, _STRUCTURED].max(-1)), ("layer", "head"))


def most_structured_head(trace: ModelTrace) -> Head:
    """Return the head with the clearest pattern that is not merely a sink, beyond what uniform attention scores."""
    return _highest(trace, structure(trace).values)


def clearest_head(trace: ModelTrace, pattern: str) -> Head:
    """Return the head that scores most in one of SCORES on this text. Raises ValueError for an unknown pattern."""
    return _highest(trace, head_scores(trace).values[:, :, SCORES.index(pattern)])


def most_telling_head(trace: ModelTrace) -> Head:
    """Return the head whose last token gives most to one token that is not itself, the one before or the first.

    A text of fewer than four tokens has no such token; then the most structured head.
    """
    layers = trace.layers_with("attention")
    if len(trace.tokens) < 4:
        return most_structured_head(trace)
    return _highest(trace, np.stack([floats(shown, "attention")[:, -1, 1:-2].max(-1) for shown in layers]))


def _highest(trace: ModelTrace, values: Array) -> Head:
    """Return the head with the highest of values (layer, head), where layers are those with attention."""
    layer, head = np.unravel_index(int(values.argmax()), values.shape)
    return Head(trace.layers_with("attention")[int(layer)].index, int(head))


def chosen_head(trace: ModelTrace, layer: int | None, head: int | None) -> Head:
    """Return the head that was chosen; where layer or head is missing, the most structured one of what is left."""
    if layer is not None and head is not None:
        return Head(layer, head)
    if layer is None:
        best = most_structured_head(trace)
        return best if head is None else Head(best.layer, head)
    row = [shown.index for shown in trace.layers_with("attention")].index(layer)
    return Head(layer, int(structure(trace).values[row].argmax()))


def _head_picture(
    figure: str,
    part: str,
    trace: ModelTrace,
    layer: int,
    head: int,
    *,
    theme: Theme,
    t: Translate,
    selected: int | None,
    hide_first: bool = False,
) -> Figure:
    values = trace.layer(layer).part(part)[head]
    alt = t(f"viz.{figure}.alt", layer=layer, head=head)
    color = theme.mixer_color(trace.layer(layer).mixer)
    additive = part != "attention_logits"  # the others are weights, or lengths, of what is read
    spec = matrix_picture(
        figure,
        values,
        trace,
        theme=theme,
        t=t,
        color=color,
        selected=selected,
        alt=alt,
        additive=additive,
        hide_first=hide_first,
    )
    data: Mapping[str, NamedArray] = {part: NamedArray(values, ("query", "key"))}
    if part == "attention_logits":
        return Figure(figure, spec, data, alt, finding=scores_finding(values, t))
    words = GIVES if part == "attention" else MOVES
    return Figure(figure, spec, data, alt, finding=row_finding(values, words, t))


def _order(trace: ModelTrace, part: str) -> list[Head]:
    """List the heads in the order of the tiles, row by row of the mosaic."""
    layers = trace.layers_with(part)
    heads = layers[0].parts[part].sizes["head"]
    if _layers_across(trace, part):
        return [Head(shown.index, h) for h in range(heads) for shown in layers]
    return [Head(shown.index, h) for shown in layers for h in range(heads)]


def _layers_across(trace: ModelTrace, part: str) -> bool:
    """Return whether a column of the mosaic is a layer; with fewer layers than heads a row is."""
    layers = trace.layers_with(part)
    return len(layers) >= layers[0].parts[part].sizes["head"]


def _mosaic_note(trace: ModelTrace, even: Matrix, grid: Tiles, *, part: str, score: str, t: Translate) -> Iterator[str]:
    """State which way the layers run, what the bar means, and what uniform attention (layer,) scores on this text."""
    yield t("viz.head_mosaic.layers_across" if _layers_across(trace, part) else "viz.head_mosaic.layers_down")
    yield t("viz.head_mosaic.note", score=t(f"viz.score.{score}"), meaning=t(f"viz.score.{score}.meaning"))
    low, high = f"{even.min():.2f}", f"{even.max():.2f}"
    yield t("viz.head_mosaic.uniform", value=low if low == high else f"{low}–{high}")
    yield from filter(None, [pooled_note(grid, t=t)])


def _mosaic_grid(
    trace: ModelTrace,
    maps: Matrix,
    places: list[Head],
    tiles: tuple[Tile, ...],
    *,
    part: str,
    outlined: tuple[int | None, int | None],
    theme: Theme,
    t: Translate,
) -> Tiles:
    """Lay the maps (tile, query, key) out, pooled to thumbnails, each coloured to its own maximum."""
    length = len(trace.tokens)
    past = np.where(np.tri(length, dtype=bool), maps, np.nan).astype(np.float32)
    pooled = fit_tiles(past, side=THUMBNAIL)
    layers = trace.layers_with(part)
    layer_names = tuple(t("viz.layer", layer=shown.index) for shown in layers)
    head_names = tuple(t("viz.head", head=h) for h in range(layers[0].parts[part].sizes["head"]))
    across, down = (layer_names, head_names) if _layers_across(trace, part) else (head_names, layer_names)
    quantity = t(f"viz.{_FIGURES[part]}.quantity")
    return Tiles(
        values=pooled.values,
        scale=Scale(0.0, 1.0, kind="sqrt", by="tile", highs=np.nanmax(past, axis=(1, 2))),
        ramps=(mixer_ramp("attention", theme),),
        readout=(
            "{tile}",
            template(t, "viz.matrix.pair", "row", "column"),
            template(t, "viz.value", "value", name=quantity),
        ),
        pool=(pooled.rows, pooled.columns),
        sums=pooled_sums(past, pooled),
        picks="row",
        selected_tile=next((n for n, at in enumerate(places) if at == outlined), None),
        tiles=tiles,
        places=tuple((at.layer, at.head) for at in places),
        reports=True,
        tile_columns=len(across),
        tile_column_labels=across,
        tile_row_labels=down,
    )


def _tiles(
    trace: ModelTrace, places: list[Head], scores: Matrix, even: Matrix, *, theme: Theme, t: Translate, score: str
) -> tuple[Tile, ...]:
    """Name every head and its score (layer, head), beside that of uniform attention in its layer (layer,)."""
    row = {shown.index: n for n, shown in enumerate(trace.layers_with("attention"))}
    return tuple(
        _tile(at, float(scores[row[at.layer], at.head]), float(even[row[at.layer]]), theme=theme, t=t, score=score)
        for at in places
    )


def _tile(at: Head, value: float, even: float, *, theme: Theme, t: Translate, score: str) -> Tile:
    name = t("viz.layer_head", layer=at.layer, head=at.head)
    beside = t("viz.head_mosaic.beside", score=t(f"viz.score.{score}"), value=f"{value:.2f}", uniform=f"{even:.2f}")
    return Tile(
        title=f"{at.layer}·{at.head}",
        name=f"{name} · {beside}",
        color=theme.mixer_color("attention"),
        score=value,
        caption=f"{value:.2f}".removeprefix("0") if value < 1 else "1.0",
    )
