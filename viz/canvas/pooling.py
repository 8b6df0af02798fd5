"""Shrink a matrix that is too large to send, keeping its peaks."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

BUDGET_VALUES = 360_000  # float32 values of one picture: 1.44 MB, leaving room for labels under 1.5 MB


class Pooled(NamedTuple):
    """A pooled array and how many rows and columns of the original each of its cells covers."""

    values: npt.NDArray[np.floating]
    rows: int
    columns: int


def max_pool(values: npt.NDArray[np.floating], *, rows: int = 1, columns: int = 1) -> Pooled:
    """Keep, of every rows x columns block of the last two dimensions, the value of largest magnitude (nan ignored).

    A short last block is pooled over what it has; a block of nothing but nan stays nan.
    """
    if rows == columns == 1:
        return Pooled(values, 1, 1)
    *lead, r, c = values.shape
    padding = [(0, 0)] * len(lead) + [(0, -r % rows), (0, -c % columns)]
    padded = np.pad(values, padding, constant_values=np.nan)
    blocks = padded.reshape(*lead, padded.shape[-2] // rows, rows, padded.shape[-1] // columns, columns)
    flat = np.moveaxis(blocks, -3, -2).reshape(*lead, blocks.shape[-4], blocks.shape[-2], rows * columns)
    peak = np.where(np.isnan(flat), -1.0, np.abs(flat)).argmax(-1)[..., None]
    return Pooled(np.take_along_axis(flat, peak, -1)[..., 0], rows, columns)


def fit_square(values: npt.NDArray[np.floating], *, budget: int = BUDGET_VALUES) -> Pooled:
    """Pool the last two dimensions by equal blocks until the array has at most budget values."""
    block = max(1, int(np.ceil(np.sqrt(values.size / budget))))
    while _pooled_size(values.shape, block, block) > budget:
        block += 1
    return max_pool(values, rows=block, columns=block)


def fit_columns(values: npt.NDArray[np.floating], *, budget: int = BUDGET_VALUES) -> Pooled:
    """Pool the last dimension until the array has at most budget values."""
    block = max(1, int(np.ceil(values.size / budget)))
    while _pooled_size(values.shape, 1, block) > budget:
        block += 1
    return max_pool(values, columns=block)


def _pooled_size(shape: tuple[int, ...], rows: int, columns: int) -> int:
    *lead, r, c = shape
    return int(np.prod(lead, dtype=np.int64)) * -(-r // rows) * -(-c // columns)
