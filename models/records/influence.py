"""How much each token of a text counts for a prediction of a model, as frozen arrays. Imports no torch."""

from dataclasses import dataclass, field

import numpy as np

from models.records.trace import NamedArray


@dataclass(frozen=True, slots=True, eq=False)
class Influence:
    """One number for every pair of a query token t and a token j of the text, of one model and one text.

    kind: "gradient", the connectivity c_tj = |d max_v z_tv / d e_j|_2 (models.influence.gradient), or "replacement",
    r_tj, the divergence in bits of the prediction at t with e_j replaced (models.influence.replacement).
    values (query, key) >= 0: 0 where the key comes after the query, nan in the rows of queries that were not asked for.
    """

    kind: str
    checkpoint: str
    prompt: str
    values: NamedArray = field(repr=False)

    @property
    def whole(self) -> bool:
        """Whether every query has its row."""
        return bool((self.values.values[:, 0] >= 0).all())

    @property
    def known(self) -> tuple[int, ...]:
        """The queries whose rows are there, in order."""
        return tuple(np.flatnonzero(self.values.values[:, 0] >= 0).tolist())
