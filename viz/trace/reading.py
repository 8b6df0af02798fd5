"""Several models read one sentence: what each carries, drawn as what it is, and what it expects before each token."""

from collections.abc import Iterator, Sequence

import numpy as np

from models.records.trace import Alignment, LayerTrace, ModelTrace, NamedArray, Token
from viz.figure import Figure, figure
from viz.hero import Cells, Doors, Guesses, HeroSpec, Ink, ModelLane, StateTile, WaitingLane
from viz.look.labels import Translate, short, size, template
from viz.look.theme import Theme
from viz.trace import carried as carrying
from viz.trace.channels import floats, widest_memory

FULL_COLOUR = 0.98  # quantile of all weights from which a cell's colour is full: the first rows are always near 1
CELLS = 64  # in a row at most: longer texts lay one cell for several tokens
LONG = 48  # tokens of a text from which tiles are coarser
WINDOW = 48  # tokens back that ink is drawn for
DOOR_ROWS = 4  # layers with experts that are drawn
ATTENTION = ("attention",)
STATE = ("state", "dt", "scan_input", "write_proj", "half_life")
WKV = ("key", "decay_rate", "wkv_den", "wkv_max", "half_life")
EXPERTS = ("chosen_experts", "chosen_weights", "router_probs")
WORD = "word_"  # how the names of words that the browser shows begin
CARRIES = {  # what a lane draws -> the words for it
    "cells": "viz.reading.carries_cells",
    "tile": "viz.reading.carries_tile",
    "ink": "viz.reading.carries_ink",
    "doors": "viz.reading.carries_doors",
}


@figure("reading", of="traces", also=(*ATTENTION, *STATE, *WKV, *EXPERTS))
def reading(
    traces: Sequence[ModelTrace],
    *,
    theme: Theme,
    t: Translate,
    alignment: Alignment | None = None,
    carried: Sequence[Sequence[int]] | None = None,
    waiting: Sequence[str] = (),
) -> Figure:
    """Draw one lane per model over the text, token by token.

    traces: the same text through several models, in any number. alignment: the common axis of models that do not share
    a tokenizer (models.alignment); a lane then moves on when a token of its own has been read whole. carried: for each
    trace the bytes that it carries after 1, 2, ... tokens (models.counting); without it a lane states none. waiting:
    architectures that are still to read, in this order, the first of which is reading now; while there are some, no
    model is said to be best.
    Raises ValueError when the tokens differ and no alignment is given.
    """
    first = traces[0]
    if alignment is None and any([o.id for o in trace.tokens] != [o.id for o in first.tokens] for trace in traces):
        raise ValueError("the traces do not share their tokens")
    data: dict[str, NamedArray] = {}
    lanes = []
    guessed = [carrying.guessed(trace) for trace in traces]
    for place, trace in enumerate(traces):
        steps = None if alignment is None else carrying.steps_of(alignment.owners, place, len(first.tokens))
        counted = () if carried is None else tuple(carried[place])
        lanes.append(_lane(trace, guessed[place], steps, counted, data, theme, t))
    scores = _scores(traces, guessed)
    alt = t("viz.reading.alt", count=len(traces), finding=_findings(scores, t))
    spec = HeroSpec(
        id="reading",
        alt=alt,
        theme=theme,
        prompt=first.prompt,
        labels=tuple(token.label for token in first.tokens),
        spans=_spans(first.tokens),
        lanes=tuple(lanes),
        finding=t("viz.reading.reads", name=_name(waiting[0], t)) if waiting else _best(scores, t),
        note=" ".join(_note(traces, alignment, t)),
        words=_words(t),
        waiting=tuple(_waiting_lane(name, place, theme, t) for place, name in enumerate(waiting)),
    )
    return Figure("reading", spec, data, alt)


def _scores(traces: Sequence[ModelTrace], guessed: Sequence[carrying.Guessed]) -> list[tuple[str, int, int]]:
    """List (architecture, tokens guessed first, tokens that could be), the largest share first."""
    found = [
        (trace.architecture, int((own.rank == 1).sum()), len(trace.tokens) - 1)
        for trace, own in zip(traces, guessed, strict=True)
    ]
    return sorted(found, key=lambda score: -score[1] / max(score[2], 1))


def _findings(scores: Sequence[tuple[str, int, int]], t: Translate) -> str:
    """Say how many tokens each model had guessed first."""
    told = [t("viz.reading.right", name=_name(name, t), right=right, count=count) for name, right, count in scores]
    return t("viz.reading.finding", scores=", ".join(told))


def _best(scores: Sequence[tuple[str, int, int]], t: Translate) -> str:
    """Say which model had most tokens guessed first; "" for a text with nothing to guess."""
    _, right, count = scores[0]
    if not count:
        return ""
    leaders = [_name(name, t) for name, hits, of in scores if hits * count == right * of]
    return t("viz.reading.best", name=", ".join(leaders), right=right, count=count)


def _spans(tokens: Sequence[Token]) -> tuple[tuple[int, int], ...]:
    return tuple((token.start, token.end) for token in tokens)


def _lane(
    trace: ModelTrace,
    guessed: carrying.Guessed,
    steps: tuple[int, ...] | None,
    counted: tuple[int, ...],
    data: dict[str, NamedArray],
    theme: Theme,
    t: Translate,
) -> ModelLane:
    """Build the lane of one model from the parts that its layers show, and export what it draws."""
    name = trace.architecture
    own: dict[str, NamedArray] = {}
    guesses = _guesses(trace, guessed, own)
    cells = _cells(trace, own, t) if trace.layers_with("attention") else None
    tile = _tile(trace, own, t) if _shows(trace, STATE) else None
    ink = _ink(trace, own, t) if _shows(trace, WKV) else None
    doors = _doors(trace, own, t) if _shows(trace, EXPERTS) else None
    if counted:
        own["bytes"] = NamedArray(np.array(counted, np.int64), ("token",))
    data.update({f"{name}_{key}": array for key, array in own.items()})
    parts = {"cells": cells, "tile": tile, "ink": ink, "doors": doors}
    said = [t(CARRIES[part]) for part, drawn in parts.items() if drawn is not None]
    return ModelLane(
        key=name,
        name=_name(name, t),
        color=theme.color(name),
        marker=theme.markers.get(name, "circle"),
        labels=None if steps is None else tuple(token.label for token in trace.tokens),
        spans=None if steps is None else _spans(trace.tokens),
        steps=steps,
        guesses=guesses,
        carried=tuple(size(count) for count in counted),
        summary=", ".join(said),
        cells=cells,
        tile=tile,
        ink=ink,
        doors=doors,
    )


def _waiting_lane(name: str, place: int, theme: Theme, t: Translate) -> WaitingLane:
    says = t("viz.reading.waits" if place else "viz.reading.reads", name=_name(name, t))
    return WaitingLane(name, _name(name, t), theme.color(name), theme.markers.get(name, "circle"), says)


def _name(architecture: str, t: Translate) -> str:
    return t(f"viz.architecture.{architecture}")


def _shows(trace: ModelTrace, parts: Sequence[str]) -> bool:
    return all(trace.layers_with(part) for part in parts)


def _guesses(trace: ModelTrace, found: carrying.Guessed, own: dict[str, NamedArray]) -> Guesses:
    own["guess"] = NamedArray(found.ids.astype(np.int64), ("token", "place"))
    own["guess_prob"] = NamedArray(found.probs.astype(np.float32), ("token", "place"))
    own["rank"] = NamedArray(found.rank, ("token",))
    own["prob"] = NamedArray(found.prob.astype(np.float32), ("token",))
    labels = tuple(tuple(trace.label_of(int(id_)) if id_ >= 0 else "" for id_ in row) for row in found.ids)
    return Guesses(labels, np.nan_to_num(found.probs), found.rank, np.nan_to_num(found.prob))


def _cells(trace: ModelTrace, own: dict[str, NamedArray], t: Translate) -> Cells:
    weights, layers = carrying.mean_attention(trace), trace.layers_with("attention")
    own["attention"] = NamedArray(weights, ("query", "key"))
    pool = -(-len(weights) // CELLS)
    drawn = carrying.block_totals(weights, pool)
    laid = np.concatenate([row[: i // pool + 1] for i, row in enumerate(drawn)])
    heads = sum(layer.parts["attention"].sizes["head"] for layer in layers)
    about = t("viz.reading.cells", layers=_listed(layers, t), heads=heads)
    return Cells(drawn, pool, float(np.quantile(laid, FULL_COLOUR)), about)


def _tile(trace: ModelTrace, own: dict[str, NamedArray], t: Translate) -> StateTile:
    """Draw the state of the layer whose memories differ most; smaller beside a cache, and in long texts."""
    layer = trace.layer(_recurrent_layer(trace, "state"))
    coarse = len(trace.tokens) > LONG or bool(trace.layers_with("attention"))
    rows, columns = (12, 8) if coarse else (24, 16)
    values, runs = carrying.state_size(layer, rows=rows, columns=columns)
    written = carrying.written_share(layer)
    own["state"] = NamedArray(values.astype(np.float32), ("token", "row", "column"))
    own["written"] = NamedArray(written, ("token",))
    half_life = layer.part("half_life")
    names = tuple(
        t(
            "viz.reading.tile_row",
            count=len(run),
            low=short(float(half_life[run].min())),
            high=short(float(half_life[run].max())),
        )
        for run in runs
    )
    about = t("viz.reading.tile", layer=layer.index)
    return StateTile(values, written, names, about, t("viz.reading.written", layer=layer.index))


def _ink(trace: ModelTrace, own: dict[str, NamedArray], t: Translate) -> Ink:
    layer = trace.layer(_recurrent_layer(trace, "wkv_den"))
    found = carrying.faded(layer, window=WINDOW)
    own["ink"] = NamedArray(found.shares, ("token", "band", "back"))
    own["half_life"] = NamedArray(found.half_life, ("band", "end"))
    ends = [(_brief(float(low)), _brief(float(high))) for low, high in found.half_life]
    names = tuple(t("viz.reading.ink_name", low=low, high=high) for low, high in ends)
    about = tuple(
        t("viz.reading.ink", layer=layer.index, count=count, low=low, high=high)
        for count, (low, high) in zip(found.channels, ends, strict=True)
    )
    return Ink(found.shares, names, about)


def _doors(trace: ModelTrace, own: dict[str, NamedArray], t: Translate) -> Doors:
    layers = drawn_doors(trace)
    chosen = np.stack([layer.part("chosen_experts").astype(np.int64) for layer in layers])
    weights = np.stack([floats(layer, "chosen_weights") for layer in layers])
    own["chosen_experts"] = NamedArray(chosen, ("layer", "token", "choice"))
    own["chosen_weights"] = NamedArray(weights, ("layer", "token", "choice"))
    about = tuple(t("viz.reading.doors", layer=layer.index) for layer in layers)
    count = layers[0].parts["router_probs"].sizes["expert"]
    name = t("viz.reading.doors_name", layers=_listed(layers, t))
    return Doors(chosen, weights, count, tuple(layer.index for layer in layers), name, about)


def drawn_doors(trace: ModelTrace) -> tuple[LayerTrace, ...]:
    """Return the layers whose experts are drawn: all, or DOOR_ROWS of them evenly from first to last."""
    layers = trace.layers_with("chosen_experts")
    places = np.unique(np.linspace(0, len(layers) - 1, min(DOOR_ROWS, len(layers))).round().astype(int))
    return tuple(layers[place] for place in places)


def _recurrent_layer(trace: ModelTrace, part: str) -> int:
    """Return the layer whose channels' memories differ most, of those that show a part."""
    index = widest_memory(trace)
    showing = [layer.index for layer in trace.layers_with(part)]
    return index if index in showing else showing[0]


def _listed(layers: Sequence[LayerTrace], t: Translate) -> str:
    """Write layer numbers: layer 4, layers 1, 3, or layers 0-5 where they follow one another."""
    numbers = [layer.index for layer in layers]
    if len(numbers) == 1:
        return t("viz.reading.layer_one", layers=numbers[0])
    in_row = numbers == list(range(numbers[0], numbers[-1] + 1))
    written = f"{numbers[0]}\u2013{numbers[-1]}" if in_row else ", ".join(map(str, numbers))
    return t("viz.reading.layer_many", layers=written)


def _brief(value: float) -> str:
    """Write a number with two digits: 0.035, 2.7, 180."""
    return f"{float(f'{value:.2g}'):g}"


def _note(traces: Sequence[ModelTrace], alignment: Alignment | None, t: Translate) -> Iterator[str]:
    """Say how to read the marks, and what of a long text is joined or left out."""
    yield t("viz.reading.note")
    longest = max(len(trace.tokens) for trace in traces)
    if alignment is not None:
        yield t("viz.reading.note_aligned")
    if longest > CELLS:
        yield t("viz.reading.note_long", pool=-(-longest // CELLS), window=WINDOW)
    elif longest > WINDOW:
        yield t("viz.reading.note_window", window=WINDOW)


def _words(t: Translate) -> dict[str, str]:
    """Collect what the script itself shows or speaks."""
    names = (
        "play",
        "pause",
        "step",
        "speed",
        "time",
        "text",
        "before",
        "carried",
        "kept",
        "wrote",
        "keys",
        "kind",
        "unread",
    )
    words = {name: t(f"viz.reading.{WORD}{name}") for name in names}
    filled = {
        "at": ("index", "count", "label"),
        "came": ("label", "rank", "p"),
        "hit": ("label", "p"),
        "cell": ("label", "value"),
        "guess": ("label", "p"),
        "door_open": ("expert", "value"),
        "door_shut": ("expert",),
        "heard": ("label", "guesses"),
        "heard_guess": ("name", "label", "p"),
        "row": ("name", "column"),
        "value": ("value",),
        "range": ("first", "last"),
    }
    return words | {name: template(t, f"viz.reading.{WORD}{name}", *values) for name, values in filled.items()}
