"""Read a finder as the browser gets it, and compare its rows and columns with what they should be."""

from collections.abc import Mapping, Sequence

import numpy as np

from models.reconstruction.check import Wide, relative, wide, worst
from viz.canvas.payload import decode
from viz.figure import Figure
from viz.finder.spec import Finder
from viz.proof.drawn import exported, same

Rows = Sequence[tuple[int, int]]


def table_of(figure: Figure) -> tuple[list[tuple[int, int]], dict[str, dict[str, Wide]]]:
    """Return the rows (layer, item) and the columns of every metric by key; TypeError without a finder."""
    if not isinstance(figure.body, Finder):
        raise TypeError(f"{figure.id} is no finder")
    header, planes = decode(figure.body.payload())
    rows = [(int(layer), int(item)) for layer, item in zip(header["layers"], header["items"], strict=True)]
    found = {
        metric["key"]: {name: wide(planes[at]) for name, at in metric["columns"].items()}
        for metric in header["metrics"]
    }
    return rows, found


def finder_error(
    figure: Figure, rows: Rows, known: Mapping[str, Mapping[str, Wide]], *, checked: Sequence[int] | None = None
) -> float:
    """Compare a finder with its rows and with the columns of its metrics, (row,) or (checked,), nan for no value.

    checked: the rows that known has, all without it. Errors are relative to the largest value of a column. What is
    exported must be what is sent.
    """
    told, columns = table_of(figure)
    if told != list(rows) or columns.keys() != known.keys():
        return 1.0
    at = np.arange(len(rows)) if checked is None else np.asarray(checked)
    errors = [float(exported(figure, "layer").tolist() != [layer for layer, _ in rows])]
    errors.append(float(exported(figure, "item").tolist() != [item for _, item in rows]))
    for key, expected in known.items():
        if columns[key].keys() != expected.keys():
            return 1.0
        for name, values in expected.items():
            errors += [
                _column(columns[key][name][at], values),
                same(columns[key][name], exported(figure, f"{key}_{name}")),
            ]
    return worst(*errors)


def spread(rows: int, most: int) -> list[int]:
    """Return at most so many rows of a table, evenly spread, first and last among them."""
    return [int(row) for row in np.unique(np.linspace(0, rows - 1, max(1, min(rows, most))).round())] if rows else []


def _column(sent: Wide, known: Wide) -> float:
    if sent.shape != known.shape or (np.isnan(sent) != np.isnan(known)).any():
        return 1.0
    both = np.isfinite(sent) & np.isfinite(known)
    if (sent[~both & ~np.isnan(known)] != known[~both & ~np.isnan(known)]).any():
        return 1.0
    scale = np.abs(known[both]).max(initial=0.0)
    return worst(relative(sent[both], known[both], np.full(both.sum(), scale))) if both.any() else 0.0
