"""A value has the colour of its place on the scale, read from the pixels that Chromium draws."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from viz.canvas import CanvasSpec, Matrix, Scale, Tile, Tiles
from viz.look.theme import LIGHT

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium")]

RAMP = tuple(f"#{i:02x}{255 - i:02x}28" for i in range(256))  # the place on the ramp is the red of the pixel
ALL_PIXELS = """() => {
  const canvas = document.querySelector("canvas.base");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return { width: canvas.width, data: [...data] };
}"""
QUARTERS = [0, 64, 128, 191, 255]  # places 0, 0.25, 0.5, 0.75 and 1 of 255 steps


def painted_places(page) -> list[list[int]]:
    """Read the ramp places on the canvas, a line for each row of cells, neighbours of one colour together."""
    found = page.evaluate(ALL_PIXELS)
    pixels = np.array(found["data"]).reshape(-1, found["width"], 4)
    lines: list[list[int]] = []
    for red, green, blue, opaque in pixels.transpose(0, 2, 1):
        ours = (red + green == 255) & (blue == 0x28) & (opaque == 255)
        run = [int(v) for v in red[ours]]
        line = [v for n, v in enumerate(run) if n == 0 or v != run[n - 1]]
        if line and (not lines or line != lines[-1]):
            lines.append(line)
    return lines


def scaled(values, scale: Scale, **options):
    """Draw values (tile, row, column) alone, on a ramp whose places can be read from the pixels."""
    kind, cells = (Tiles, values) if "tiles" in options else (Matrix, values[0])
    grid = kind(np.array(cells, np.float32), scale, (RAMP,), ("{value}",), **options)
    return SimpleNamespace(body=CanvasSpec("scale", "", LIGHT, "#000000", grid=grid))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([0, 1, 2, 3, 4], Scale(0, 4)),
        ([10, 11, 12, 13, 14], Scale(10, 14)),
        ([0, 0.25, 1, 2.25, 4], Scale(0, 4, kind="sqrt")),
        ([10, 10.25, 11, 12.25, 14], Scale(10, 14, kind="sqrt")),
        ([1, 2, 4, 8, 16], Scale(1, 16, kind="log")),
        ([-4, -2, 0, 2, 4], Scale(-4, 4, signed=True)),
        ([-4, -1, 0, 1, 4], Scale(-4, 4, kind="sqrt", signed=True)),
    ],
    ids=["linear", "linear from 10", "sqrt", "sqrt from 10", "log", "signed", "signed sqrt"],
)
def test_a_value_has_the_colour_of_its_place_on_the_scale(show, values, scale):
    """The places are counted by hand: quarters of the ramp, whatever bends the scale."""
    page = show(scaled([[values]], scale))
    assert painted_places(page) == [QUARTERS]
    assert page.errors == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("values", "scale", "places"),
    [
        ([-3, 2, 9], Scale(0, 4), [0, 128, 255]),
        ([0, 4, 99], Scale(1, 16, kind="log"), [0, 128, 255]),
        ([-9, 0, 9], Scale(-4, 4, signed=True), [0, 128, 255]),
        ([0, float("nan"), 4], Scale(0, 4), [0, 255]),
        ([5, 5, 5], Scale(5, 5), [0]),
        ([-1, 0, 1], Scale(0, 0, signed=True), [128]),
    ],
    ids=["outside", "outside of log", "outside of signed", "no cell", "no range", "no signed range"],
)
def test_values_at_and_beyond_the_ends(show, values, scale, places):
    assert painted_places(show(scaled([[values]], scale))) == [places]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [("linear", [0, 1, 2, 3, 4], [0, 2, 4, 6, 8]), ("sqrt", [0, 0.25, 1, 2.25, 4], [0, 0.5, 2, 4.5, 8])],
)
def test_the_range_is_that_of_the_picture_the_row_or_the_tile(show, kind, first, second):
    highs = np.array([4, 8], np.float32)
    rows = show(scaled([[first, second]], Scale(0, 1, kind=kind, by="row", highs=highs)))
    assert len(painted_places(rows)) == 1, "both rows have the same colours"
    assert painted_places(rows)[0] == QUARTERS
    together = show(scaled([[first, second[::-1]]], Scale(0, 8, kind=kind)))
    (upper, lower) = painted_places(together)
    assert lower == QUARTERS[::-1]
    half = [round(255 * part) for part in ([0, 0.125, 0.25, 0.375, 0.5] if kind == "linear" else
                                           [0, 0.25 / 2**0.5, 0.5 / 2**0.5, 0.75 / 2**0.5, 0.5**0.5])]  # fmt: skip
    assert np.abs(np.subtract(upper, half)).max() <= 1
    tiles = tuple(Tile(name, name, "#000000") for name in "ab")
    mosaic = scaled([[first], [second[::-1]]], Scale(0, 1, kind=kind, by="tile", highs=highs),
                    tiles=tiles, tile_columns=2)  # fmt: skip
    assert painted_places(show(mosaic)) == [[*QUARTERS, *QUARTERS[-2::-1]]], "each tile by its own largest value"
