"""What the drawn arrays of an encoder-decoder show, in a sentence each; "" where they show nothing, and in a tie."""

import numpy as np
import numpy.typing as npt

from viz.look.extremes import percent, single_most
from viz.look.labels import Translate

Floats = npt.NDArray[np.floating]


def strongest(weights: Floats) -> list[int | None]:
    """Return the key with the largest weight of every query (query, key); None where two are written alike."""
    return [single_most([float(weight) for weight in row], percent) for row in weights]


def crossings(weights: Floats) -> tuple[int, int]:
    """Count the pairs of lines that cross, and all pairs; a query's line leads to its strongest key, None has none."""
    ends = [end for end in strongest(weights) if end is not None]
    pairs = [(first, later) for place, first in enumerate(ends) for later in ends[place + 1 :]]
    return sum(later < first for first, later in pairs), len(pairs)


def crossing_finding(weights: Floats, t: Translate) -> str:
    """Say how many pairs of the strongest lines cross."""
    crossed, pairs = crossings(weights)
    return t("viz.encdec.crossed", crossed=crossed, pairs=pairs) if pairs else ""


def both_ways_finding(weights: Floats, t: Translate) -> str:
    """Say how much of the weight (query, key) lies on later keys, averaged over the queries that have any later."""
    rows = weights[:-1].astype(np.float64)
    if not len(rows):
        return ""
    later = float(np.mean([row[place + 1 :].sum() for place, row in enumerate(rows)]))
    return t("viz.encdec.later", share=percent(later))


def masked_finding(weights: Floats, t: Translate) -> str:
    """Say how many of the cells (query, key) lie above the diagonal and have no weight."""
    above = np.triu(np.ones_like(weights, dtype=bool), 1)
    if not above.any():
        return ""
    return t("viz.encdec.masked", empty=int((weights[above] == 0).sum()), all=int(above.sum()))


def pointed_finding(weights: Floats, t: Translate) -> str:
    """Say how many queries (query, key) give more than half to one key."""
    return t("viz.encdec.pointed", count=int((weights.max(1) > 0.5).sum()), all=len(weights))
