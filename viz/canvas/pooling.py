"""Shrink a matrix that is too large to send: its peaks for the colours, its sums for the numbers."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

BUDGET_VALUES = 360_000  # float32 values of one picture: 1.44 MB, leaving room for labels under 1.5 MB
TILE_VALUES = 64  # what the title, name and score of one tile take of it: 256 bytes

Values = npt.NDArray[np.floating]


class Pooled(NamedTuple):
    """A pooled array and how many rows and columns of the original each of its cells covers."""

    values: Values
    rows: int
    columns: int


def max_pool(values: Values, *, rows: int = 1, columns: int = 1) -> Pooled:
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


def block_sums(values: Values, *, rows: Sequence[Sequence[int]], columns: Sequence[Sequence[int]]) -> Values:
    """Add up the columns of every block and average over its rows: (..., block of rows, block of columns), float32.

    rows, columns: the indices in each block. Of weights whose rows add up to 1 the rows of the result do, too, where
    every column is in one block. nan counts as 0; a block without a value is nan.
    """
    known = ~np.isnan(values)
    down, across = _membership(rows, values.shape[-2]), _membership(columns, values.shape[-1])
    mean = down / np.maximum(down.sum(1, keepdims=True), 1)
    sums = mean @ np.where(known, values, 0).astype(np.float32) @ across.T
    return np.asarray(np.where(down @ known.astype(np.float32) @ across.T > 0, sums, np.float32(np.nan)))


def runs(length: int, size: int) -> list[range]:
    """Cut the indices below length into blocks of a size; the last may be short."""
    return [range(first, min(first + size, length)) for first in range(0, length, size)]


def pooled_sums(values: Values, pooled: Pooled) -> Values | None:
    """Return the block_sums that belong to a pooled array, None where nothing was pooled."""
    if pooled.rows == pooled.columns == 1:
        return None
    rows, columns = values.shape[-2:]
    return block_sums(values, rows=runs(rows, pooled.rows), columns=runs(columns, pooled.columns))


def fit_square(values: Values, *, least: int = 1, planes: int = 1, budget: int = BUDGET_VALUES) -> Pooled:
    """Pool the last two dimensions by equal blocks until the array has at most budget values.

    least: the smallest block; planes: how many arrays of the pooled size are sent where something is pooled.
    """
    block = max(least, int(np.sqrt(values.size / budget)), 1)
    while _pooled_size(values.shape, block, block) * (planes if block > 1 else 1) > budget:
        block += 1
    return max_pool(values, rows=block, columns=block)


def fit_tiles(values: Values, *, side: int) -> Pooled:
    """Pool maps (tile, row, column) to thumbnails of at most side rows, fewer where their sums would not fit beside."""
    count, rows, _ = values.shape
    budget = BUDGET_VALUES - TILE_VALUES * count
    return fit_square(values, least=-(-rows // side), planes=2, budget=max(budget, 2 * count))


def fit_columns(values: Values, *, budget: int = BUDGET_VALUES) -> Pooled:
    """Pool the last dimension until the array has at most budget values."""
    block = max(1, int(np.ceil(values.size / budget)))
    while _pooled_size(values.shape, 1, block) > budget:
        block += 1
    return max_pool(values, columns=block)


def _membership(blocks: Sequence[Sequence[int]], length: int) -> npt.NDArray[np.float32]:
    """Write blocks of indices as rows of zeros and ones (block, index)."""
    table = np.zeros((len(blocks), length), dtype=np.float32)
    for row, block in zip(table, blocks, strict=True):
        row[list(block)] = 1
    return table


def _pooled_size(shape: tuple[int, ...], rows: int, columns: int) -> int:
    *lead, r, c = shape
    return int(np.prod(lead, dtype=np.int64)) * -(-r // rows) * -(-c // columns)
