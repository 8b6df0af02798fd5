"""The heatmap of a picture, of three kinds: one matrix, a film of frames, a mosaic of tiles."""

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, ClassVar, Literal

from viz.canvas.payload import Planes, Values


@dataclass(frozen=True, slots=True)
class Scale:
    """How a value becomes a place on a colour ramp.

    kind "linear", "sqrt" or "log"; signed centres on zero and ignores low. by: one range for "all", or one for each
    "row" or "tile", given in highs.
    """

    low: float
    high: float
    kind: Literal["linear", "sqrt", "log"] = "linear"
    signed: bool = False
    by: Literal["all", "row", "tile"] = "all"
    highs: Values | None = None


@dataclass(frozen=True, slots=True)
class Axis:
    """What stands beside the rows or below the columns.

    names: full, for the hover text; labels: short, drawn; title: one for the axis. Rows only: notes, one small line
    under each label, and colors, a #rrggbb mark before it.
    """

    names: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    title: str = ""
    notes: tuple[str, ...] = ()
    colors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lanes:
    """Categories chosen in every cell, drawn in their colours instead of the value or in a band below it.

    chosen: first choice first, pairs of (category, weight), each (row, column), nan where a cell has no such choice;
    a weight in [0, 1] scales opacity or width. alone: True for instead of the value.
    """

    chosen: tuple[tuple[Values, Values], ...]
    colors: tuple[str, ...]
    alone: bool

    def header(self, planes: Planes) -> dict[str, Any]:
        """Describe the lanes for the browser."""
        chosen = [(planes.add(category), planes.add(weight)) for category, weight in self.chosen]
        return {"chosen": chosen, "colors": self.colors, "alone": self.alone}


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile of a mosaic: short title, a score in [0, 1] with its text, the colour of border and score bar."""

    title: str
    name: str
    color: str
    score: float | None = None
    caption: str = ""
    ramp: int = 0


@dataclass(frozen=True, slots=True)
class Heatmap:
    """What the three kinds have in common: values, nan where there is no cell, and how they are coloured and read out.

    ramps: 256 colours #rrggbb each. readout: lines of the hover text, with {row} {column} {value} and what the kind
    adds; a line that comes out empty is left out. picks: whether a click on a cell designates its row's or its column's
    token. pool: rows and columns of the original per cell; values then holds the strongest cell of each block, for the
    colours. sums: of pooled values that add up along a row, the sum over the columns of each block, averaged over its
    rows, for the hover text and the bars; without it they give the strongest cell. digits: to how many digits a value
    is sent and read out, without it as it is. reports: whether the server hears of clicks.
    """

    values: Values
    scale: Scale
    ramps: tuple[tuple[str, ...], ...]
    readout: tuple[str, ...]
    picks: Literal["row", "column", "none"] = "column"
    pool: tuple[int, int] = (1, 1)
    sums: Values | None = None
    digits: int | None = None
    reports: bool = False

    mode: ClassVar[str]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames or tiles (1 for a matrix), rows and columns of values."""
        rows, columns = self.values.shape[-2:]
        return (self.values.shape[0] if self.values.ndim == 3 else 1), rows, columns

    def header(self, planes: Planes) -> dict[str, Any]:
        """Describe the heatmap for the browser."""
        count, rows, columns = self.shape
        return self._own() | {
            "mode": self.mode,
            "count": count,
            "rows": rows,
            "columns": columns,
            "plane": planes.add(self.values, digits=self.digits),
            "sums": planes.add(self.sums, digits=self.digits),
            "ramps": [_ramp(ramp) for ramp in self.ramps],
            "scale": _fields(self.scale) | {"highs": planes.add(self.scale.highs)},
            "readout": self.readout,
            "picks": self.picks,
            "pool": self.pool,
            "digits": self.digits,
            "reports": self.reports,
        }

    def _own(self) -> dict[str, Any]:
        """Describe what only this kind has, but for planes."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Matrix(Heatmap):
    """One map (row, column).

    readout also with {text} and {cell}, the cell's entry in texts and cell_names, and {ratio}, the value over baseline.
    texts (row, column) stand in the cells, "" for none: shortened where they do not fit, or all left out where one does
    not fit and whole_texts is set, as for numbers. cell_names (row, column) are for the hover text alone.
    row_tokens: rows are the tokens of the strip; triangle: only the past has cells. row_ramps: the ramp of each row.
    token_notes (token, row): the small line under each row's label for each shown token, in place of rows.notes.
    row_height, max_height: pixels at most, of a row and of all. owners: where the columns are segments of several
    texts, the token of the first text that each segment lies in, -1 for none. follows: the rows are the tokens of the
    reading, while the columns are others; there is no strip then.
    """

    rows: Axis = Axis()
    columns: Axis = Axis()
    owners: tuple[tuple[int, ...], ...] = ()
    triangle: bool = False
    row_tokens: bool = False
    follows: bool = False
    row_ramps: tuple[int, ...] = ()
    row_height: float = 9
    max_height: float = 440
    texts: tuple[tuple[str, ...], ...] = ()
    whole_texts: bool = False
    cell_names: tuple[tuple[str, ...], ...] = ()
    token_notes: tuple[tuple[str, ...], ...] = ()
    selected_row: int | None = None
    lanes: Lanes | None = None
    baseline: float | None = None

    mode = "matrix"

    def __post_init__(self) -> None:
        _check_shape(self, 2)
        _check_texts(self.texts, self.values, "texts")
        _check_texts(self.cell_names, self.values, "cell_names")

    def header(self, planes: Planes) -> dict[str, Any]:
        """Describe the matrix for the browser."""
        return Heatmap.header(self, planes) | {"lanes": None if self.lanes is None else self.lanes.header(planes)}

    def _own(self) -> dict[str, Any]:
        names = (
            "owners", "triangle", "row_tokens", "follows", "row_ramps", "row_height", "max_height", "selected_row",
            "baseline",
        )  # fmt: skip
        own = {name: getattr(self, name) for name in (*names, "texts", "whole_texts", "cell_names", "token_notes")}
        return own | _axes(self.rows, self.columns)


@dataclass(frozen=True, slots=True)
class Frames(Heatmap):
    """A film of maps (frame, row, column) with a slider: frame_pool tokens per frame. readout also with {frame}.

    row_ramps: the ramp of each row. owners: where the columns are segments of several texts, the token of the first
    text that each segment lies in, -1 for none; there is then a frame for each segment. frame_highs: the end of the
    scale of each frame by itself, to which the reader may switch; scopes: the words of the two scales and of the two
    switches to them, for the whole film first. A cell beyond the end of its scale gets a dot.
    """

    rows: Axis = Axis()
    columns: Axis = Axis()
    frame_pool: int = 1
    row_height: float = 9
    max_height: float = 440
    row_ramps: tuple[int, ...] = ()
    owners: tuple[tuple[int, ...], ...] = ()
    frame_highs: Values | None = None
    scopes: tuple[str, ...] = ()

    mode = "frames"

    def __post_init__(self) -> None:
        _check_shape(self, 3)
        if self.frame_highs is not None and (self.frame_highs.shape != self.values.shape[:1] or len(self.scopes) != 4):
            raise ValueError("a film with scales of its frames takes one end for each frame and four words")

    def header(self, planes: Planes) -> dict[str, Any]:
        """Describe the film for the browser."""
        return Heatmap.header(self, planes) | {"frame_highs": planes.add(self.frame_highs), "scopes": self.scopes}

    def _own(self) -> dict[str, Any]:
        names = ("frame_pool", "row_height", "max_height", "row_ramps", "owners")
        own = {name: getattr(self, name) for name in names}
        return own | _axes(self.rows, self.columns)


@dataclass(frozen=True, slots=True)
class Tiles(Heatmap):
    """A mosaic of maps (tile, row, column). readout also with {tile}, the name of the tile.

    tile_size: pixels of a tile at most. tile_columns: tiles in a row, 0 for as many as fit; tile_column_labels,
    tile_row_labels: beside a fixed mosaic.
    marks: rows (first, last + 1) to outline in each tile, in original indices.
    places: layer and head of each tile, by which the browser outlines the chosen one.
    owners, owner_names: where every tile cuts the rows into tokens of its own, the token of each row, -1 for none, and
    the names of these tokens.
    """

    tiles: tuple[Tile, ...] = ()
    tile_size: int = 190
    tile_columns: int = 0
    tile_column_labels: tuple[str, ...] = ()
    tile_row_labels: tuple[str, ...] = ()
    selected_tile: int | None = None
    marks: tuple[tuple[int, int], ...] = ()
    places: tuple[tuple[int, int], ...] = ()
    owners: tuple[tuple[int, ...], ...] = ()
    owner_names: tuple[tuple[str, ...], ...] = ()

    mode = "tiles"

    def __post_init__(self) -> None:
        _check_shape(self, 3)
        if len(self.tiles) != len(self.values):
            raise ValueError(f"{len(self.values)} maps for {len(self.tiles)} tiles: give one Tile for each map")

    def _own(self) -> dict[str, Any]:
        names = ("tile_size", "tile_columns", "tile_column_labels", "tile_row_labels", "selected_tile", "marks")
        own = {name: getattr(self, name) for name in (*names, "owners", "owner_names", "places")}
        return own | {"tiles": [_fields(tile) for tile in self.tiles]}


@lru_cache(maxsize=64)
def _ramp(colors: tuple[str, ...]) -> str:
    return "".join(colors).replace("#", "")


def _check_shape(heatmap: Heatmap, dimensions: int) -> None:
    kind, values, sums = type(heatmap).__name__, heatmap.values, heatmap.sums
    if values.ndim != dimensions:
        raise ValueError(f"{kind} takes values of {dimensions} dimensions, got the shape {values.shape}")
    if sums is not None and sums.shape != values.shape:
        raise ValueError(f"{kind} takes sums of the shape of its values {values.shape}, got {sums.shape}")


def _check_texts(texts: tuple[tuple[str, ...], ...], values: Values, name: str) -> None:
    if texts and (len(texts), {len(row) for row in texts}) != (values.shape[0], {values.shape[1]}):
        raise ValueError(f"{name} of Matrix must have one text for each cell of the shape {values.shape}")


def _fields(record: Any) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _axes(rows: Axis, columns: Axis) -> dict[str, Any]:
    sides = (("row", rows), ("column", columns))
    return {f"{side}_{name}": value for side, axis in sides for name, value in _fields(axis).items()}
