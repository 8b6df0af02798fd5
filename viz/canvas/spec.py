"""The canvas picture as data, and its bytes: a JSON header and float32 planes.

Payload: 4 bytes little-endian header length, the UTF-8 header padded with spaces to a multiple of 4, then the planes
as float32 in the order of header["planes"], each given there by its number of values.
"""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from models.records import Token
from viz.theme import Theme

Values = npt.NDArray[np.floating]
VERSION = 1


@dataclass(frozen=True, slots=True)
class Strip:
    """The tokens above a picture.

    role: "columns" - the grid's columns are these tokens; "rows" - the rows of every tile are; "frames" - a frame each.
    chosen: first and last + 1 of a chosen run of tokens, where more than the selected one is meant.
    surprisal (token,) in bits, nan where unknown. readout: lines of the hover text, with {label} {index} {id} {bits}
    {p} {extra}; extra: one more line per token.
    """

    tokens: tuple[Token, ...]
    surprisal: Values | None = None
    selected: int | None = None
    role: Literal["columns", "rows", "frames"] = "columns"
    readout: tuple[str, ...] = ("{label}",)
    extra: tuple[str, ...] = ()
    chosen: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Bars:
    """One row of bars between strip and grid, one bar per token; values None draws the active row of the grid.

    label, readout: with {row} for the active row's token. color: #rrggbb.
    """

    values: Values | None
    label: str
    color: str
    readout: str = "{value}"


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
class Legend:
    """The colour scale under a picture: label, texts at ramp places 0..1, and what the range was taken over.

    ramp: index into Grid.ramps, or None with swatches (colour, text) for categories.
    """

    label: str
    ticks: tuple[tuple[float, str], ...] = ()
    scope: str = ""
    ramp: int | None = 0
    swatches: tuple[tuple[str, str], ...] = ()


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
class Experts:
    """Chosen experts per cell, each (row, column), nan where the row has none; weights scale opacity."""

    first: Values
    first_weight: Values
    second: Values
    second_weight: Values
    colors: tuple[str, ...]
    alone: bool  # True: the cell shows only experts; False: a band below the value


@dataclass(frozen=True, slots=True)
class Grid:
    """The heatmap: values (frame or tile, row, column), nan where there is no cell.

    pool: rows and columns of the original per cell; frame_pool: tokens per frame. readout: lines of the hover text,
    with {row} {column} {value} {ratio} {tile} {frame} {first} {first_weight} {second} {second_weight}; ratio is the
    value over baseline.
    row_names / column_names: full names for readout; row_labels / column_labels: short ones drawn beside the grid.
    picks: whether a click on a cell designates its row's or its column's token.
    marks: rows (first, last + 1) to outline in each tile, in original indices.
    owners, owner_names: where every tile cuts the rows into tokens of its own, the token of each row, -1 for none, and
    the names of these tokens.
    """

    values: Values
    scale: Scale
    ramps: tuple[tuple[str, ...], ...]
    readout: tuple[str, ...]
    mode: Literal["matrix", "frames", "tiles"] = "matrix"
    triangle: bool = False
    row_tokens: bool = False
    pool: tuple[int, int] = (1, 1)
    frame_pool: int = 1
    row_names: tuple[str, ...] = ()
    row_labels: tuple[str, ...] = ()
    row_notes: tuple[str, ...] = ()
    row_colors: tuple[str, ...] = ()
    row_ramps: tuple[int, ...] = ()
    column_names: tuple[str, ...] = ()
    column_labels: tuple[str, ...] = ()
    row_title: str = ""
    column_title: str = ""
    row_height: float = 9
    max_height: float = 440
    cell_text: Literal["", "percent"] = ""
    picks: Literal["row", "column", "none"] = "column"
    selected_row: int | None = None
    selected_tile: int | None = None
    tiles: tuple[Tile, ...] = ()
    tile_columns: int = 0
    tile_column_labels: tuple[str, ...] = ()
    tile_row_labels: tuple[str, ...] = ()
    experts: Experts | None = None
    baseline: float | None = None
    marks: tuple[tuple[int, int], ...] = ()
    owners: tuple[tuple[int, ...], ...] = ()
    owner_names: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class CanvasSpec:
    """A whole picture. alt: one sentence; accent: #rrggbb of selection; words: interface words the component shows."""

    id: str
    alt: str
    theme: Theme
    accent: str
    strip: Strip | None = None
    bars: tuple[Bars, ...] = ()
    grid: Grid | None = None
    legends: tuple[Legend, ...] = ()
    note: str = ""
    words: Mapping[str, str] = field(default_factory=dict)
    _encoded: list[bytes] = field(default_factory=list, init=False, repr=False, compare=False)

    def extent(self) -> tuple[int, int, int]:
        """Count the rows, columns and tiles (or frames) that a click may name, before pooling."""
        if self.grid is None:
            return 0, 0, 0
        count, rows, columns = self.grid.values.shape
        return rows * self.grid.pool[0], columns * self.grid.pool[1], count

    def payload(self) -> bytes:
        """Encode the picture as header and planes, once."""
        if not self._encoded:
            self._encoded.append(self._encode())
        return self._encoded[0]

    def _encode(self) -> bytes:
        planes = _Planes()
        header = {
            "version": VERSION,
            "id": self.id,
            "alt": self.alt,
            "theme": _theme(self.theme, self.accent),
            "strip": None if self.strip is None else _strip(self.strip, planes),
            "bars": [_bars(bars, planes) for bars in self.bars],
            "grid": None if self.grid is None else _grid(self.grid, planes),
            "legends": [_fields(legend) for legend in self.legends],
            "note": self.note,
            "words": dict(self.words),
            "planes": planes.lengths,
        }
        text = json.dumps(header, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        return struct.pack("<I", len(text)) + text + planes.bytes()


def decode(payload: bytes) -> tuple[dict[str, Any], list[npt.NDArray[np.float32]]]:
    """Read a payload back: the header and its planes, as browser/payload.js does."""
    (length,) = struct.unpack_from("<I", payload)
    header: dict[str, Any] = json.loads(payload[4 : 4 + length])
    planes, at = [], 4 + length
    for count in header["planes"]:
        planes.append(np.frombuffer(payload, dtype="<f4", count=count, offset=at))
        at += 4 * count
    if at != len(payload):
        raise ValueError(f"payload of {len(payload)} bytes, header describes {at}")
    return header, planes


class _Planes:
    """The float32 arrays of one payload, in order."""

    def __init__(self) -> None:
        self.lengths: list[int] = []
        self._parts: list[bytes] = []

    def add(self, values: Values | None) -> int | None:
        """Append an array and return its index; None for None."""
        if values is None:
            return None
        self.lengths.append(int(values.size))
        self._parts.append(np.ascontiguousarray(values, dtype="<f4").tobytes())
        return len(self.lengths) - 1

    def bytes(self) -> bytes:
        """Join all arrays."""
        return b"".join(self._parts)


def _fields(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__slots__}


def _theme(theme: Theme, accent: str) -> dict[str, str]:
    names = ("mode", "ground", "card", "hairline", "ink", "muted", "chip", "font", "mono")
    return {name: getattr(theme, name) for name in names} | {"accent": accent}


def _strip(strip: Strip, planes: _Planes) -> dict[str, Any]:
    tokens = strip.tokens
    return {
        "labels": [token.label for token in tokens],
        "piece": [token.piece for token in tokens],
        "pieces": [token.pieces for token in tokens],
        "ids": [token.id for token in tokens],
        "surprisal": planes.add(strip.surprisal),
        "selected": strip.selected,
        "chosen": strip.chosen,
        "role": strip.role,
        "readout": strip.readout,
        "extra": strip.extra,
    }


def _bars(bars: Bars, planes: _Planes) -> dict[str, Any]:
    return {"plane": planes.add(bars.values), "label": bars.label, "color": bars.color, "readout": bars.readout}


def _grid(grid: Grid, planes: _Planes) -> dict[str, Any]:
    count, rows, columns = grid.values.shape
    plain = _fields(grid)
    del plain["values"], plain["scale"], plain["experts"]
    return plain | {
        "count": count,
        "rows": rows,
        "columns": columns,
        "plane": planes.add(grid.values),
        "ramps": [_ramp(ramp) for ramp in grid.ramps],
        "scale": _fields(grid.scale) | {"highs": planes.add(grid.scale.highs)},
        "tiles": [_fields(tile) for tile in grid.tiles],
        "experts": None if grid.experts is None else _experts(grid.experts, planes),
    }


@lru_cache(maxsize=64)
def _ramp(colors: tuple[str, ...]) -> str:
    return "".join(colors).replace("#", "")


def _experts(experts: Experts, planes: _Planes) -> dict[str, Any]:
    names: Sequence[str] = ("first", "first_weight", "second", "second_weight")
    picked = {name: planes.add(getattr(experts, name)) for name in names}
    return picked | {"colors": experts.colors, "alone": experts.alone}
