"""The check of a drawn array: its error against a reference, and the allowed error."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Wide = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.floating] | npt.NDArray[np.integer]
TINY = 1e-30  # differences far below this are those of float32's subnormal numbers
FLOOR = 1e-5  # of the largest output of a layer: below 1e-9 of it nothing exceeds the limit of float32
Kind = Literal["rebuilds", "recomputed", "from_weights"]

# Largest relative error of a healthy model, by the number type in which it ran. In 16 bit the model rounds what it
# passes on to 3 (bfloat16) or 4 (float16) digits, and a step size dt that is rounded before the softplus moves single
# channels by some per cent: 9e-2 and 2e-2 are the most that the bundled models show, 5e-6 in float32.
LIMITS: Mapping[str, float] = MappingProxyType({"float32": 1e-4, "float16": 5e-2, "bfloat16": 2.5e-1})


@dataclass(frozen=True, slots=True)
class Check:
    """How well a drawn array stands up.

    kind: "rebuilds" - it gives the output that the model itself computed; "recomputed" - it equals a plain float64
    computation from the captured inputs; "from_weights" - it equals one from the model's weights alone. error: the
    worst of all rows or channels, relative to the terms that are summed there; limit: what the number type allows.
    """

    kind: Kind
    error: float
    limit: float

    @property
    def passed(self) -> bool:
        """Whether the error is a number below the limit."""
        return self.error < self.limit  # false for nan


class Compared(NamedTuple):
    """Two arrays that a check compared, element by element.

    found: drawn, or rebuilt from what is drawn; expected: its reference; scale: what their difference is divided by.
    output: whether the reference is what the model itself computed.
    """

    found: Wide
    expected: Wide
    scale: Wide
    output: bool

    @property
    def errors(self) -> Wide:
        """Return |found - expected| / scale, the very numbers that the check takes the worst of."""
        return _errors(self.found, self.expected, self.scale)


_watched: ContextVar[list[Compared] | None] = ContextVar("watched", default=None)


@contextmanager
def watching() -> Iterator[list[Compared]]:
    """Keep every comparison that is made in the block, in this thread alone; without it none is kept."""
    kept: list[Compared] = []
    token = _watched.set(kept)
    try:
        yield kept
    finally:
        _watched.reset(token)


def wide(values: Numbers) -> Wide:
    """Return numbers in float64."""
    return np.asarray(values, np.float64)


def limit_of(dtype: str) -> float:
    """Return the limit for a number type by its torch name; an unknown one gets the strictest."""
    return LIMITS.get(dtype, min(LIMITS.values()))


def relative(found: Numbers, expected: Numbers, scale: Numbers) -> Wide:
    """Return |found - expected| / scale, element by element; nan where one is nan. scale is at least TINY."""
    return _compared(wide(found), wide(expected), wide(scale), output=False)


def absolute(found: Numbers, expected: Numbers) -> Wide:
    """Return |found - expected| of numbers that are shares of one, element by element."""
    return relative(found, expected, np.ones(1))


def against_output(rebuilt: Wide, output: Wide, terms: Wide) -> Wide:
    """Return relative(rebuilt, output) where scale is the size of the summed terms, or of the output if larger.

    It is at least FLOOR of the largest output: what the model itself rounds to nothing in 16 bit is no error.
    """
    size = np.abs(output)
    scale = np.maximum(np.maximum(terms, size), FLOOR * size.max(initial=0.0))
    return _compared(wide(rebuilt), wide(output), wide(scale), output=True)


def _compared(found: Wide, expected: Wide, scale: Wide, *, output: bool) -> Wide:
    kept = _watched.get()
    if kept is not None:
        kept.append(Compared(found, expected, scale, output))
    return _errors(found, expected, scale)


def _errors(found: Wide, expected: Wide, scale: Wide) -> Wide:
    return wide(np.abs(found - expected) / np.maximum(scale, TINY))


def worst(*errors: Numbers | float) -> float:
    """Return the largest of all errors, nan as soon as one is nan, 0 without any."""
    largest = 0.0
    for error in errors:
        values = np.asarray(error, np.float64)
        if values.size:
            top = float(values.max())  # numpy's max hands nan on
            if math.isnan(top):
                return math.nan
            largest = max(largest, top)
    return largest
