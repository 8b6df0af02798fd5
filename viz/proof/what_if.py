"""The check of a text before and after: bits and their change from the logits of both runs, summed in float64."""

from collections.abc import Sequence

import numpy as np

from models.reconstruction.check import Wide, relative, wide, worst
from models.records.trace import ModelTrace
from viz.figure import Figure
from viz.proof.drawn import Choice, exported, picture_error, same, spec_of


def what_if(figure: Figure, traces: Sequence[ModelTrace], _choice: Choice) -> float:
    """The exported log probabilities, the drawn bits and the bars of their change against the logits of both runs."""
    if len(traces) != 2:
        return 1.0
    known = np.stack([_log_probs(trace) for trace in traces])
    drawn, change = exported(figure, "log_probs"), exported(figure, "change")
    bars = spec_of(figure).bars[0].values
    if bars is None or drawn.shape != known.shape or not (np.isnan(drawn[:, 0]).all() and np.isnan(change[0])):
        return 1.0
    size = np.nanmax(np.abs(known), initial=1.0)
    return worst(
        relative(drawn[:, 1:], known[:, 1:], size),
        relative(change[1:], known[1, 1:] - known[0, 1:], size),
        same(np.asarray(bars, np.float32)[1:], change[1:].astype(np.float32)),
        picture_error(figure, -drawn[None]),
    )


def _log_probs(trace: ModelTrace) -> Wide:
    """Return log2 p of every token given those before it, (token,), nan for the first."""
    logits, ids = wide(trace.logits.values), [token.id for token in trace.tokens]
    found = np.full(len(ids), np.nan)
    for place in range(1, len(ids)):
        row = logits[place - 1]
        top = row.max()
        found[place] = (row[ids[place]] - top - np.log(np.exp(row - top).sum())) / np.log(2)
    return wide(found)
