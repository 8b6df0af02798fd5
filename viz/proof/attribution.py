"""Checks of direct logit attribution and of a tracked token: against the model's own logits and captured writes."""

import numpy as np

from models.reconstruction.check import Wide, against_output, relative, wide, worst
from models.records.trace import Attribution, ModelTrace, TokenLens
from viz.figure import Figure
from viz.proof.drawn import Choice, exported, film_of, map_of, names_error, picture_error, same, spec_of


def logit_attribution(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Drawn columns against the logits of the run, every drawn row against a plain product of what was captured."""
    found = choice["found"]
    if not isinstance(found, Attribution):
        raise TypeError("logit_attribution is checked for an Attribution")
    drawn = exported(figure, "added")
    ids = found.ids.values
    there = ids >= 0
    known, members = _rows(trace, found)
    if drawn.shape != known.shape:
        return 1.0
    size = np.abs(known[:, there]).max(0, initial=0.0)
    again = relative(drawn[:, there], known[:, there], np.broadcast_to(size, drawn[:, there].shape))
    logits = wide(trace.logits.values)[np.flatnonzero(there), ids[there]]
    total = against_output(drawn[:, there].sum(0), logits, np.abs(drawn[:, there]).max(0, initial=0.0))
    told = relative(exported(figure, "logit")[there], logits, np.abs(logits).max(initial=1e-30) * np.ones(len(logits)))
    names = names_error(map_of(figure).rows.labels, members)
    notes = _notes_error(figure, drawn)
    ends = float(not np.isnan(drawn[:, ~there]).all())
    return worst(again, total, told, names, notes, ends, picture_error(figure, drawn[None]))


def _rows(trace: ModelTrace, found: Attribution) -> tuple[Wide, list[list[int]]]:
    """Multiply every captured write by the direction of the logit, (part, token); with the layer that names the row."""
    toward = wide(found.toward.values)
    rows = [_products(wide(trace.stream[0].part("resid_post")), toward)]
    members: list[list[int]] = [[]]
    for layer in trace:
        for part in ("mixer_write", "ffn_write"):
            if part in layer.parts:
                rows.append(_products(wide(layer.part(part)), toward))
                members.append([layer.index])
    bias = wide(found.bias.values)
    if np.nanmax(np.abs(bias), initial=0.0) > 0:
        rows.append(bias)
        members.append([])
    return np.where(found.ids.values < 0, np.nan, np.stack(rows)), members


def _products(write: Wide, toward: Wide) -> Wide:
    return np.array([float(x @ u) for x, u in zip(write, toward, strict=True)])


def _notes_error(figure: Figure, drawn: Wide) -> float:
    """Return 1 where the number beside a row is not that of its cell at some token, else 0."""
    grid = map_of(figure)
    notes = getattr(grid, "token_notes", ())
    expected = [tuple("" if np.isnan(one) else _signed(one) for one in column) for column in drawn.T]
    strip = spec_of(figure).strip
    at = -1 if strip is None or strip.selected is None else strip.selected
    return float(list(notes) != expected or grid.rows.notes != expected[at])


def _signed(value: float) -> str:
    """Write a number with one decimal and its sign, a rounded zero without."""
    tenths = round(abs(value), 1)
    sign = "" if not tenths else "+" if value > 0 else "−"
    return f"{sign}{tenths:.1f}"


def head_attribution(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Drawn heads of every layer, with the bias of their projection, against the mixer's write times the direction."""
    found = choice["found"]
    if not isinstance(found, Attribution):
        raise TypeError("head_attribution is checked for an Attribution")
    drawn, layers = exported(figure, "added"), [int(one) for one in exported(figure, "layer")]
    there = found.ids.values >= 0
    if layers != [layer.index for layer in trace.layers_with("head_output")] or len(drawn) != len(there):
        return 1.0
    errors = [names_error(film_of(figure).rows.labels, [[layer] for layer in layers])]
    for row, layer in enumerate(layers):
        mixer = _products(wide(trace.layer(layer).part("mixer_write")), wide(found.toward.values))[there]
        total = np.nansum(drawn[there, row], -1) + wide(found.head_bias[layer].values)[there]
        terms = np.nanmax(np.abs(drawn[there, row]), -1, initial=0.0)
        errors.append(worst(against_output(total, mixer, terms)))
        known = wide(found.heads[layer].values).T
        errors.append(same(drawn[:, row, : known.shape[1]], known))
    shown = np.where(np.isnan(drawn), 0.0, drawn)
    return worst(*errors, picture_error(figure, shown))


def token_lens(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Drawn probability and rank against the logits of the run in the last row, in others against the lens's best."""
    lens = choice["lens"]
    if not isinstance(lens, TokenLens):
        raise TypeError("token_lens is checked for a TokenLens")
    prob, rank = exported(figure, "probability"), exported(figure, "rank")
    logits = wide(trace.logits.values)
    own = np.exp(logits - logits.max(-1, keepdims=True))
    own = own[:, lens.id] / own.sum(-1)
    z = logits[:, lens.id, None]
    room = 1e-4 * np.abs(logits).max(-1, keepdims=True)
    least, most = 1 + (logits > z + room).sum(-1), (logits > z - room).sum(-1)
    last = relative(prob[-1], own, np.maximum(own, 1e-4))
    texts = [[str(int(one)) if one < 1000 else f"{one / 1000:.0f}k" for one in row] for row in rank]
    grid = map_of(figure)
    return worst(
        last,
        float(not np.all((rank[-1] >= least) & (rank[-1] <= most))),
        _best_error(trace, lens.id, prob, rank),
        float([list(row) for row in getattr(grid, "texts", ())] != texts),
        names_error(grid.rows.labels, [[one.index] if one.index >= 0 else [] for one in trace.stream]),
        picture_error(figure, prob[None]),
    )


def _best_error(trace: ModelTrace, token: int, prob: Wide, rank: Wide) -> float:
    """Compare with the tokens that the lens lists in every layer, where the token is among them and where not."""
    errors = [0.0]
    for row, layer in enumerate(trace.stream):
        best, shares = layer.part("lens_tokens"), wide(layer.part("lens_probs"))
        among = best == token
        there = among.any(-1)
        place = among.argmax(-1)
        shown = np.take_along_axis(shares, place[:, None], -1)[:, 0]
        errors.append(worst(relative(prob[row][there], shown[there], shown[there])))
        errors.append(float((rank[row][there] > 1 + place[there]).any()))
        errors.append(float((prob[row][~there] > shares[~there, -1] * 1.001).any()))
    return max(errors)
