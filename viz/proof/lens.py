"""The check of the logit lens: its last row is the model's own prediction."""

import numpy as np

from models.reconstruction.check import LIMITS, Wide, relative, wide, worst
from models.reconstruction.lens import last_layer_error
from models.records.trace import ModelTrace, NamedArray
from viz.canvas import Matrix
from viz.figure import Figure
from viz.proof.drawn import Choice, exported, map_of, names_error, number, picture_error, same, spec_of
from viz.trace.lens import PARTS


def logit_lens(figure: Figure, trace: ModelTrace, choice: Choice) -> float:
    """Everything in the last drawn row against the logits of the run, every row against the record, words in cells."""
    drawn = {part: exported(figure, part) for part in PARTS}
    stream = trace.stream
    copies = [same(drawn[part], np.stack([wide(shown.part(part)) for shown in stream])) for part in PARTS]
    picture = picture_error(figure, drawn["lens_probs"][None, ..., 0])
    layers = same(exported(figure, "layer"), np.array([one.index for one in trace.stream]))
    return worst(*copies, picture, layers, _last_row_error(drawn, trace), _words_error(figure, drawn, trace, choice))


def _last_row_error(drawn: dict[str, Wide], trace: ModelTrace) -> float:
    """Compare tokens, probabilities, entropy and ranks of the last row with the softmax of the model's logits."""
    logits = wide(trace.logits.values)
    own = np.exp(logits - logits.max(-1, keepdims=True))
    own /= own.sum(-1, keepdims=True)
    bits = -(own * np.log2(np.maximum(own, np.finfo(np.float64).tiny))).sum(-1)
    last = {part: values[-1] for part, values in drawn.items()}
    parts = {part: NamedArray(last[part], ("token", "choice")) for part in ("lens_tokens", "lens_probs")}
    parts["lens_prob_final"] = NamedArray(last["lens_probs"][:, 0], ("token",))
    return worst(
        last_layer_error(parts, logits),
        relative(last["lens_entropy"], bits, bits.max()),
        _rank_error(last["lens_rank_final"], logits, logits.argmax(-1)),
        _rank_error(last["lens_rank_next"][:-1], logits[:-1], np.array([token.id for token in trace.tokens[1:]])),
        float(not np.isnan(last["lens_rank_next"][-1])),
    )


def _rank_error(ranks: Wide, logits: Wide, ids: np.ndarray) -> float:
    """Return 1 when a rank (token,) of an id is not its place among the logits (token, vocab), else 0.

    Logits that are equal but for rounding may stand in any order.
    """
    own = np.take_along_axis(logits, ids[:, None], -1)
    room = LIMITS["float32"] * np.abs(logits).max(-1, keepdims=True)
    least, most = 1 + (logits > own + room).sum(-1), (logits > own - room).sum(-1)
    return float(not np.all((ranks >= least) & (ranks <= most)))


def _words_error(figure: Figure, drawn: dict[str, Wide], trace: ModelTrace, choice: Choice) -> float:
    """Return 1 when a row, a cell or a rank does not say what its numbers are, else 0."""
    grid, count = map_of(figure), len(trace.tokens)
    at = number(choice, "selected")
    at = at if at is not None and 0 <= at < count else count - 1
    strip = spec_of(figure).strip
    if not isinstance(grid, Matrix) or strip is None or strip.selected != at or grid.rows.notes != grid.token_notes[at]:
        return 1.0
    labels = [[trace.label_of(int(token)) for token in row] for row in drawn["lens_tokens"][..., 0]]
    said = [
        label in name
        for row, names in zip(labels, grid.cell_names, strict=True)
        for label, name in zip(row, names, strict=True)
    ]
    ranks = np.stack([drawn["lens_rank_final"], drawn["lens_rank_next"]], axis=-1)  # (layer, token, rank)
    return max(
        float([list(row) for row in grid.texts] != labels or not all(said)),
        names_error(grid.rows.labels, [[one.index] if one.index >= 0 else [] for one in trace.stream]),
        float(len(grid.token_notes) != count),
        *(
            names_error(notes, [[int(rank) for rank in row if not np.isnan(rank)] for row in ranks[:, place]])
            for place, notes in enumerate(grid.token_notes)
        ),
    )
