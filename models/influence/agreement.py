"""What a map of a model is worth: how its order of the tokens agrees with the gradient and with replacing tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.influence.gradient import gradient
from models.influence.replacement import replacement
from models.records.trace import ModelTrace
from models.scores import recency, row_agreement
from models.tracing.adapter import Checkpoint

ROWS = 6  # of a text, evenly from a third of it to its end


@dataclass(frozen=True, slots=True)
class Agreement:
    """Mean rank correlations in [-1, 1] over the same rows; nan where no row can be ranked.

    map_gradient, recency_gradient: of a map, and of the rule "the later, the more", with the gradient; map_replaced,
    gradient_replaced, recency_replaced: of these with the effect of replacing tokens.
    """

    rows: int
    map_gradient: float
    recency_gradient: float
    map_replaced: float
    gradient_replaced: float
    recency_replaced: float


def agreement(checkpoint: Checkpoint, trace: ModelTrace, map_: npt.NDArray[np.floating]) -> Agreement:
    """Compare a map (query, key) of a text that the checkpoint has read with both effects, at ROWS of its queries."""
    rows = ranked_rows(len(trace.tokens))
    slope = gradient(checkpoint, trace, rows).values.values
    moved = replacement(checkpoint, trace, rows).values.values
    later = recency(len(trace.tokens))

    def with_(effect: np.ndarray, one: np.ndarray) -> float:
        return row_agreement(one, effect, rows)

    return Agreement(
        len(rows),
        with_(slope, map_),
        with_(slope, later),
        with_(moved, map_),
        with_(moved, slope),
        with_(moved, later),
    )


def ranked_rows(length: int) -> Sequence[int]:
    """Return the queries that are compared."""
    return sorted({int(t) for t in np.linspace(length // 3, length - 1, ROWS)})
