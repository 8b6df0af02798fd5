"""How high the script in browser/ will draw a picture, so that its place can be kept free before it is there.

The rules are those of browser/layout.js and component.css. What they measure in the browser, the width of a text, is
estimated here from its letters, so the height is right to a line of text where many words are involved.
"""

import math
import unicodedata
from collections.abc import Sequence

from viz.canvas.heatmap import Frames, Matrix, Tiles
from viz.canvas.spec import CanvasSpec, Legend, Strip

_SMALL = 480  # pixels; narrower pictures have smaller type
_MONO_EM, _TEXT_EM, _WIDE_EM = 0.6, 0.5, 0.87  # of a letter: JetBrains Mono, Pretendard, a syllable of Hangul
_LINE = 17.55  # pixels of a line of 13 px
_SMALL_LINE = 16.9  # of 12.5 px
_STRIP = 36  # of the tokens above a picture
_SMALL_TOKEN, _LEAST_RANGE = 14, 8  # pixels and tokens: longer texts have buttons for a closer look


def height(spec: CanvasSpec, width: int) -> int:
    """Return the height of a picture in pixels when it is drawn so many pixels wide; it is worked out once."""
    if width not in spec.heights:
        spec.heights[width] = _height(spec, width)
    return spec.heights[width]


def _height(spec: CanvasSpec, width: int) -> int:
    left = _gutter(spec, width)
    tokens = len(spec.strip.tokens) if spec.strip else 0
    token = min(76.0, (width - left) / max(tokens, 1))
    y = (_strip(spec.strip, token, width) if spec.strip else 0) + len(spec.bars) * 66.0
    grid = spec.grid
    if spec.strip and grid:
        y += 4 if spec.bars else 6
    if isinstance(grid, Tiles):
        y += _tiles(grid, width - left - 4, small=width < _SMALL)
    elif grid is not None:
        aligned = spec.strip is not None and spec.strip.role == "columns"
        columns = grid.shape[2]
        widest = math.inf if spec.strip else 120.0
        cell = token * grid.pool[1] if aligned and tokens else min(widest, (width - left) / max(columns, 1))
        y += _rows(grid, cell)
    filmed = isinstance(grid, Frames) and grid.shape[0] > 1 and not (spec.strip and spec.strip.role == "columns")
    player = 12 + _button(width) if filmed else 0
    return math.ceil(y + 1) + player + _zoom(spec.strip, token, width) + math.ceil(_foot(spec, width))


def _zoom(strip: Strip | None, token: float, width: int) -> int:
    """Return the height of the buttons for a closer look, which stand below pictures of narrow tokens."""
    if strip is None or strip.role == "frames" or len(strip.tokens) <= _LEAST_RANGE or token >= _SMALL_TOKEN:
        return 0
    return 12 + _button(width)


def _button(width: int) -> int:
    return 44 if width < _SMALL else 32


def _strip(strip: Strip, token: float, width: int) -> float:
    """Return the height of the tokens above a picture: one line, of a sequence as many as its characters need."""
    if not strip.roles:
        return _STRIP
    room = (11 if width < _SMALL else 12) * _MONO_EM + 1
    return 22 + 14.0 * (1 if token >= room else 2 if 2 * token >= room else 4)


def _text(words: str, size: float, em: float) -> float:
    """Estimate the width of a text in pixels."""
    return sum(size * (_WIDE_EM if unicodedata.east_asian_width(letter) in "WF" else em) for letter in words)


def _gutter(spec: CanvasSpec, width: int) -> int:
    """Return the room for the names of the rows."""
    grid, small = spec.grid, width < _SMALL
    if grid is None:
        return 0
    if isinstance(grid, Tiles):
        widest = max((_text(label, 11, _MONO_EM) for label in grid.tile_row_labels), default=0.0)
        return math.ceil(widest) + 10 if grid.tile_row_labels else 0
    of_tokens = isinstance(grid, Matrix) and grid.row_tokens and spec.strip is not None
    labels = [token.label for token in spec.strip.tokens] if of_tokens and spec.strip else list(grid.rows.labels)
    if not labels:
        return 0
    named = max(_text(label, 11 if small else 12, _MONO_EM) for label in labels)
    noted = max((_text(note, 10 if small else 11, _TEXT_EM) for note in grid.rows.notes), default=0.0)
    return math.ceil(min(max(named, noted), 128, width * 0.24)) + 12 + (10 if grid.rows.colors else 0)


def _rows(grid: Matrix | Frames, cell: float) -> float:
    rows = grid.shape[1]
    square = cell if isinstance(grid, Matrix) and grid.row_tokens else math.inf
    row = max(2.0, min(grid.row_height, grid.max_height / rows, max(square, 3.0)))
    below = 20 * bool(grid.columns.labels) + 20 * bool(grid.columns.title or grid.rows.title)
    return row * rows + below


def _tiles(grid: Tiles, room: float, *, small: bool) -> float:
    count, width = grid.shape[0], room + 4
    fixed = grid.tile_columns > 0
    columns = grid.tile_columns if fixed else min(count, 2 if small else 3 if width < 620 else 4)
    gap = 6 if small or columns > 8 else 14
    size = min(grid.tile_size, math.floor((room - gap * (columns - 1)) / columns))
    scored = any(tile.score is not None for tile in grid.tiles)
    foot = (18 if size >= 54 else 9) if scored else 0
    top = 20 if grid.tile_column_labels else 0
    return top + math.ceil(count / columns) * ((0 if fixed else 20) + size + foot + gap) - gap + 4


def _foot(spec: CanvasSpec, width: int) -> float:
    """Return the height of the note and the legends, which stand side by side where there is room."""
    if not spec.note and not spec.legends:
        return 0.0
    boxes = [_legend(legend, width) for legend in spec.legends]
    if isinstance(spec.grid, Frames) and spec.grid.scopes:  # the button beside the scope
        wide, high = boxes[0]
        boxes[0] = min(width, wide + 26 + _text(spec.grid.scopes[3], 12.5, _TEXT_EM)), high + 4
    beside = sum(wide for wide, _ in boxes) + 22 * max(len(boxes) - 1, 0)
    if not spec.note:
        return 12 + _flowed(boxes, width)
    if not boxes:
        return 12 + _note(spec.note, min(width, 500))
    if 220 + 24 + beside <= width:
        return 12 + max(_note(spec.note, min(500, width - 24 - beside)), *(high for _, high in boxes))
    return 12 + _note(spec.note, min(width, 500)) + 8 + _flowed(boxes, width)


def _note(words: str, room: float) -> float:
    """Return the height of a note, wrapped between words."""
    lines, at = 1, 0.0
    for word in words.split():
        wide = _text(word, 13, _TEXT_EM)
        if at and at + wide > room:
            lines, at = lines + 1, 0.0
        at += wide + 3.5
    return lines * _LINE


def _legend(legend: Legend, width: int) -> tuple[float, float]:
    """Return the width and the height of one legend: its name beside the scale, what the scale covers under both."""
    name = _text(legend.label, 13, _TEXT_EM)
    ramps = len(legend.ramp) if isinstance(legend.ramp, tuple) else 1
    scale: tuple[float, float] = (148.0, 24.0 if ramps == 1 else 16.0 + 7 * ramps)
    if legend.ramp is None:
        swatches = [(15 + _text(words, 12, _MONO_EM), 16.5) for _, words in legend.swatches]
        scale = (sum(wide + 8 for wide, _ in swatches) - 8, 16.5)
        room = width - name - 10
        if scale[0] > room > 0:
            scale = (room, _flowed(swatches, room, row=4, column=8))
        scale = (scale[0], scale[1] - 4)
    high = max(scale[1], _LINE - 5)
    scope = _text(legend.scope, 12.5, _TEXT_EM)
    wide = min(width, max(name + 10 + scale[0], scope))
    return wide, high + (3 + _SMALL_LINE * math.ceil(scope / max(width, 1)) if legend.scope else 0)


def _flowed(boxes: Sequence[tuple[float, float]], width: float, *, row: int = 10, column: int = 22) -> float:
    """Return the height of boxes that wrap."""
    total, at, high = 0.0, 0.0, 0.0
    for wide, tall in boxes:
        if at and at + wide > width:
            total, at, high = total + high + row, 0.0, 0.0
        at, high = at + wide + column, max(high, tall)
    return total + high
