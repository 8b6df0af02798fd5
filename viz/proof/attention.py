"""Checks of the figures of attention heads."""

import numpy as np

from models.reconstruction import attention as reconstruction
from models.reconstruction.check import Wide, absolute, relative, wide, worst
from models.records.trace import ModelTrace
from viz.figure import Figure
from viz.proof.drawn import Choice, exported, matrix, mosaic_of, names_error, number, picture_error, same
from viz.trace.attention import SCORES, most_structured_head


def head_matrix(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Drawn A V_h against the captured output of the head, and drawn A against the softmax."""
    layer, head = head_of(trace, choice)
    drawn, copies = matrix(figure, "attention", hide_first=bool(choice.get("hide_first")))
    return worst(copies, reconstruction.weight_error(drawn, trace.layer(layer), head))


def head_logits(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Drawn scores against q.k, and their softmax V_h against the captured output of the head."""
    layer, head = head_of(trace, choice)
    shown = trace.layer(layer)
    drawn, copies = matrix(figure, "attention_logits")
    below = np.tri(len(drawn), dtype=bool)
    known = np.where(below, reconstruction.scores(shown, head), 0.0)
    odds = np.where(shown.part("visible").astype(bool), drawn, -np.inf)
    odds = np.exp(odds - odds.max(1, keepdims=True))
    rebuilt = reconstruction.output_error(odds / odds.sum(1, keepdims=True), shown, head)
    return worst(copies, relative(drawn, known, reconstruction.score_scale(shown, head)), rebuilt)


def value_norm_matrix(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Drawn |A v W_O| against float64, and what is left of it without |v W_O| times V_h against the captured output."""
    layer, head = head_of(trace, choice)
    drawn, copies = matrix(figure, "value_norm", hide_first=bool(choice.get("hide_first")))
    return worst(copies, reconstruction.moved_error(drawn, trace.layer(layer), head))


def head_mosaic(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Every tile as head_matrix, at the place that the labels of rows and columns give it; scores from drawn tiles."""
    part = str(choice.get("part", "attention"))
    score = str(choice.get("score", "previous_token"))
    grid, maps = mosaic_of(figure), exported(figure, part)
    places = _tile_places(trace, part)
    if len(maps) != len(places) or len(grid.tiles) != len(places):
        return 1.0
    compare = reconstruction.weight_error if part == "attention" else reconstruction.moved_error
    below = np.tri(maps.shape[-1], dtype=bool)
    errors = [
        worst(compare(np.where(below, tile, 0.0), trace.layer(layer), head))
        for tile, (layer, head) in zip(maps, places, strict=True)
    ]
    titles = names_error([tile.name for tile in grid.tiles], places)
    layers = [shown.index for shown in trace.layers_with(part)]
    heads = list(range(len(places) // len(layers)))
    turned = len(layers) < len(heads)
    across, down = (heads, layers) if turned else (layers, heads)
    labels = [
        float(grid.tile_columns != len(across)),
        names_error(grid.tile_column_labels, [[n] for n in across]),
        names_error(grid.tile_row_labels, [[n] for n in down]),
    ]
    wanted = (number(choice, "layer"), number(choice, "head"))
    expected = next((tile for tile, place in enumerate(places) if place == wanted), None)
    outline = float(grid.selected_tile != expected)
    scores = _score_error(figure, trace, part, score, places)
    return worst(*errors, titles, *labels, outline, scores, picture_error(figure, maps, triangle=True))


def _tile_places(trace: ModelTrace, part: str) -> list[tuple[int, int]]:
    """List layer and head of every tile, row by row: layers across, or heads where there are more heads than layers."""
    layers = [shown.index for shown in trace.layers_with(part)]
    heads = trace.layer(layers[0]).parts[part].sizes["head"]
    if len(layers) < heads:
        return [(layer, head) for layer in layers for head in range(heads)]
    return [(layer, head) for head in range(heads) for layer in layers]


def _score_error(figure: Figure, trace: ModelTrace, part: str, score: str, places: list[tuple[int, int]]) -> float:
    """Compare the scores under the tiles and the exported ones with those of the heads' weights, all in [0, 1]."""
    layers = [shown.index for shown in trace.layers_with(part)]
    weights = np.stack([reconstruction.weights(trace.layer(layer), head) for layer, head in places])
    known = _scores(weights, [token.id for token in trace.tokens], score)
    tiles = wide(np.array([np.nan if tile.score is None else tile.score for tile in mosaic_of(figure).tiles]))
    table = exported(figure, score)
    told = wide(np.array([table[layers.index(layer), head] for layer, head in places]))
    ids = [token.id for token in trace.tokens]
    chance = np.array([_chance(weights[[at == layer for at, _ in places]], ids, score) for layer in layers])
    even = absolute(exported(figure, "uniform"), chance)
    return worst(absolute(tiles, known), absolute(told, known), same(tiles, told), even)


def _chance(weights: Wide, ids: list[int], score: str) -> float:
    """Score a head that reads alike all that the heads (head, query, key) of a layer see."""
    seen = (weights > 0).any(0).astype(np.float64)
    return float(_scores((seen / seen.sum(-1, keepdims=True))[None], ids, score)[0])


def _scores(weights: Wide, ids: list[int], score: str) -> Wide:
    """Score heads (head, query, key) token by token, as the definitions of models.scores.PATTERNS read."""
    if score not in SCORES:
        return np.full(len(weights), np.nan)
    found = []
    for t in range(1, len(ids)):
        row = weights[:, t, : t + 1]
        twins = [j for j in range(t) if ids[j] == ids[t]]
        if score == "previous_token":
            found.append(row[:, t - 1])
        elif score == "sink":
            found.append(row[:, 0])
        elif score == "entropy":
            logs = np.log(np.where(row > 0, row, 1.0))
            found.append(-(row * logs).sum(1) / np.log(t + 1))
        elif twins:
            after = [j + 1 for j in twins if j + 1 < t]
            found.append(row[:, twins if score == "duplicate" else after].sum(1))
    return wide(np.mean(found, axis=0)) if found else np.zeros(len(weights))


def head_of(trace: ModelTrace, choice: Choice) -> tuple[int, int]:
    """Return the layer and the head that were chosen; the most structured one without a choice."""
    layer, head = number(choice, "layer"), number(choice, "head")
    if layer is None or head is None:
        best = most_structured_head(trace)
        return (best.layer if layer is None else layer), (best.head if head is None else head)
    return layer, head
