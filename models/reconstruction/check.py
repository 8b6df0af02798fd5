"""The check of a drawn array: its error against a reference, and the allowed error."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

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


def wide(values: Numbers) -> Wide:
    """Return numbers in float64."""
    return np.asarray(values, np.float64)


def limit_of(dtype: str) -> float:
    """Return the limit for a number type by its torch name; an unknown one gets the strictest."""
    return LIMITS.get(dtype, min(LIMITS.values()))


def relative(found: Numbers, expected: Numbers, scale: Numbers) -> Wide:
    """Return |found - expected| / scale, element by element; nan where one is nan. scale is at least TINY."""
    difference = np.abs(wide(found) - wide(expected))
    return wide(difference / np.maximum(wide(scale), TINY))


def against_output(rebuilt: Wide, output: Wide, terms: Wide) -> Wide:
    """Return relative(rebuilt, output) where scale is the size of the summed terms, or of the output if larger.

    It is at least FLOOR of the largest output: what the model itself rounds to nothing in 16 bit is no error.
    """
    size = np.abs(output)
    return relative(rebuilt, output, np.maximum(np.maximum(terms, size), FLOOR * size.max(initial=0.0)))


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
