"""The measured recall of one cell of a task."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Accuracy:
    """One measured cell: share of right answers in [0, 1], its Wilson 95 % interval, how many were asked.

    at: the cell's place along the axes of its task. length: tokens of a sequence. bytes_carried: what a decoder keeps
    of one such sequence, in float32.
    """

    at: Mapping[str, int]
    accuracy: float
    low: float
    high: float
    count: int
    length: int
    bytes_carried: int
