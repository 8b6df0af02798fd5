"""An estimate and how far it can be trusted."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its 95 % interval.

    low, high: minus and plus infinity where a single sample tells nothing.

    >>> Interval(2.0, 1.9, 2.1).excludes(1.0)
    True
    """

    value: float
    low: float
    high: float

    def excludes(self, number: float) -> bool:
        """Return whether a number lies outside the interval."""
        return not self.low <= number <= self.high
