"""Read a finished figure as the browser gets it: its grid, bars and chart rows, beside the arrays it exports."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from models.reconstruction.check import Numbers, Wide, relative, wide, worst
from models.records.trace import LayerTrace, ModelTrace
from viz.canvas import CanvasSpec, Frames, Lanes, Matrix, Tiles
from viz.figure import Figure

Choice = Mapping[str, object]


def number(choice: Choice, name: str) -> int | None:
    """Return a whole number that was chosen, None where nothing was."""
    value = choice.get(name)
    return int(value) if isinstance(value, int | np.integer) else None


def chosen_layer(trace: ModelTrace, choice: Choice, part: str) -> LayerTrace:
    """Return the chosen layer; without a choice the middle one of those that show the part, as figures do."""
    layer = number(choice, "layer")
    showing = trace.layers_with(part)
    return trace.layer(layer) if layer is not None else showing[len(showing) // 2]


def spec_of(figure: Figure) -> CanvasSpec:
    """Return the canvas picture of a figure; TypeError for a chart."""
    if not isinstance(figure.body, CanvasSpec):
        raise TypeError(f"{figure.id} is a chart")
    return figure.body


def heatmap_of(figure: Figure) -> Matrix | Frames | Tiles:
    """Return the heatmap of a canvas figure; TypeError for a figure without one."""
    grid = spec_of(figure).grid
    if grid is None:
        raise TypeError(f"{figure.id} has no heatmap")
    return grid


def map_of(figure: Figure) -> Matrix | Frames:
    """Return the matrix or film of a figure, whose rows have names; TypeError for any other."""
    grid = heatmap_of(figure)
    if isinstance(grid, Tiles):
        raise TypeError(f"{figure.id} is a mosaic")
    return grid


def film_of(figure: Figure) -> Frames:
    """Return the film of a figure; TypeError for any other."""
    grid = heatmap_of(figure)
    if not isinstance(grid, Frames):
        raise TypeError(f"{figure.id} is no film")
    return grid


def mosaic_of(figure: Figure) -> Tiles:
    """Return the mosaic of a figure; TypeError for any other."""
    grid = heatmap_of(figure)
    if not isinstance(grid, Tiles):
        raise TypeError(f"{figure.id} is no mosaic")
    return grid


def lanes_of(figure: Figure) -> Lanes:
    """Return the categories that the cells of a matrix show; TypeError for a figure without them."""
    grid = heatmap_of(figure)
    if not isinstance(grid, Matrix) or grid.lanes is None:
        raise TypeError(f"{figure.id} has no lanes")
    return grid.lanes


def planes_of(figure: Figure) -> Wide:
    """Return what a heatmap draws as (plane, row, column): a matrix is one plane."""
    values = wide(heatmap_of(figure).values)
    return values if values.ndim == 3 else values[None]


def exported(figure: Figure, name: str) -> Wide:
    """Return an array that the figure exports, in float64."""
    return wide(figure.data[name].values)


def channels_of(figure: Figure) -> list[int]:
    """Return the channels that the rows of a figure say they are."""
    return [int(channel) for channel in figure.data["channel"].values]


def same(drawn: Numbers, expected: Numbers) -> float:
    """Compare arrays that should be one, relative to the largest; nan and inf agree with their like."""
    if drawn.shape != expected.shape:
        return 1.0
    known = wide(expected)
    both = (np.isnan(wide(drawn)) & np.isnan(known)) | (np.isinf(known) & (wide(drawn) == known))
    scale = np.abs(known[np.isfinite(known)]).max(initial=0.0)
    return worst(relative(np.where(both, 0, drawn), np.where(both, 0, expected), scale))


def pooled(values: Wide, rows: int, columns: int) -> Wide:
    """Keep the value of largest magnitude of every block of the last two dimensions; nan where a block has no value."""
    high, low = values, values
    for axis, block in ((-2, rows), (-1, columns)):
        edges = np.arange(0, values.shape[axis], block)
        high, low = np.fmax.reduceat(high, edges, axis=axis), np.fmin.reduceat(low, edges, axis=axis)
    return wide(np.where(high >= -low, high, low))


def picture_error(figure: Figure, values: Wide, *, triangle: bool = False) -> float:
    """Compare the grid with (plane, row, column) values, pooled as the grid says, and the colour ranges with theirs.

    triangle: nothing is drawn above the diagonal.
    """
    grid = heatmap_of(figure)
    whole = np.where(np.tri(values.shape[-1], dtype=bool), values, np.nan) if triangle else values
    errors = [same(planes_of(figure), pooled(whole, *grid.pool))]
    if grid.scale.highs is not None:
        axes = {"row": (0, 2), "tile": (1, 2)}[grid.scale.by]
        errors.append(same(grid.scale.highs, np.nanmax(np.abs(whole), axis=axes)))
    return worst(*errors)


def matrix(figure: Figure, name: str, *, hide_first: bool = False) -> tuple[Wide, float]:
    """Return the (query, key) matrix that a picture draws, zero above the diagonal, and how far both copies differ.

    hide_first: nothing is drawn in the first column of a text of several tokens.
    """
    values = exported(figure, name)
    seen = values.copy()
    seen[:, : int(hide_first and len(values) > 1)] = np.nan
    return np.where(np.tri(len(values), dtype=bool), values, 0.0), picture_error(figure, seen[None], triangle=True)


def bars_error(figure: Figure, name: str, expected: Wide, place: int = 0) -> float:
    """Compare a row of bars, and the array of that name, with what they should be; each value to itself."""
    drawn = spec_of(figure).bars[place].values
    if drawn is None:
        return 1.0
    return worst(relative(drawn, expected, np.abs(expected)), relative(exported(figure, name), expected, expected))


def names_error(names: Sequence[str], members: Sequence[Sequence[int]]) -> float:
    """Return 1 when a name does not hold the numbers that it should, else 0."""
    if len(names) != len(members):
        return 1.0
    missing = [set(map(str, each)) - set(re.findall(r"\d+", name)) for name, each in zip(names, members, strict=True)]
    return float(any(missing))


def descent_error(values: Wide) -> float:
    """Return by how much values fail to descend, relative to the larger neighbour; nan where one is nan."""
    return worst(np.maximum(values[1:] - values[:-1], 0) / np.abs(values[:-1])) if len(values) > 1 else 0.0


def chart_rows(figure: Figure, mark: str, column: str) -> pd.DataFrame:
    """Return the rows that the first layer of a chart with this mark and column draws; KeyError without one."""
    chart: Any = figure.body
    for layer in chart.spec["layer"]:
        rows: pd.DataFrame = chart.rows[layer["data"]["name"]]
        if layer["mark"]["type"] == mark and column in rows.columns:
            return rows
    raise KeyError(f"{figure.id} draws no {column!r} as {mark}")
