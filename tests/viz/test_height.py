"""The height kept free for a picture follows the rules by which the browser lays it out."""

import numpy as np
import pytest

from models.records.trace import Token
from pages.shared import viewport
from viz.canvas import Axis, CanvasSpec, Frames, Legend, Matrix, Scale, Strip, Tile, Tiles
from viz.canvas.height import height
from viz.look.theme import LIGHT

RAMP = (tuple("#000000" for _ in range(256)),)


def tokens(*labels):
    return tuple(Token(index=i, id=i, label=label, start=i, end=i + 1) for i, label in enumerate(labels))


def heatmap(kind, shape, **more):
    return kind(np.ones(shape, dtype=np.float32), Scale(0, 1), RAMP, ("{value}",), **more)


def spec(**parts):
    return CanvasSpec("x", "alt", LIGHT, "#000000", **parts)


def test_rows_are_as_high_as_they_say_up_to_a_limit():
    assert height(spec(grid=heatmap(Matrix, (4, 9), row_height=30)), 700) == 4 * 30 + 1
    assert height(spec(grid=heatmap(Matrix, (40, 9), row_height=30, max_height=440)), 700) == 440 + 1


def test_what_stands_below_the_columns_takes_its_line():
    plain = heatmap(Matrix, (4, 9), row_height=30)
    labelled = heatmap(Matrix, (4, 9), row_height=30, columns=Axis(labels=("a",) * 9, title="time"))
    assert height(spec(grid=labelled), 700) - height(spec(grid=plain), 700) == 40


def test_rows_of_tokens_are_square_and_grow_with_the_width():
    grid = heatmap(Matrix, (12, 12), row_tokens=True, row_height=99, max_height=2000)
    strip = Strip(tokens(*"abcdefghijkl"))
    narrow, wide = (height(spec(grid=grid, strip=strip), width) for width in (300, 600))
    cell = (600 - 20) / 12  # the gutter: one letter of 7.2 px, and 12
    assert wide == pytest.approx(36 + 6 + 12 * cell + 1, abs=1)
    assert narrow < wide


def test_tokens_take_one_line_whether_their_labels_fit_or_not():
    for word in ("a", "something"):
        assert height(spec(strip=Strip(tokens(*([word] * 30)))), 700) == 36 + 1


def test_a_film_has_its_player_and_a_single_frame_has_none():
    one, two = (height(spec(grid=heatmap(Frames, (count, 4, 4), row_height=9)), 500) for count in (1, 2))
    assert two - one == 44


def test_tiles_wrap_where_the_picture_is_narrow():
    tiles = heatmap(Tiles, (4, 5, 5), tiles=tuple(Tile(name, name, "#000000") for name in "abcd"))
    assert height(spec(grid=tiles), 774) == 20 + min(190, (770 - 42) // 4) + 4 + 1
    small = min(190, (320 - 6) // 2)
    assert height(spec(grid=tiles), 324) == 2 * (20 + small + 6) - 6 + 4 + 1


def test_a_note_wraps_and_legends_stand_beside_it():
    note = "word " * 40
    assert height(spec(note=note), 324) > height(spec(note=note), 774) > height(spec(note="word"), 774)
    legend = Legend("share", ticks=((0, "0"), (1, "1")))
    assert height(spec(note="word", legends=(legend,)), 774) == 12 + 24 + 1
    assert height(spec(note="word", legends=(legend,)), 324) == pytest.approx(12 + 17.55 + 8 + 24 + 1, abs=1)


@pytest.mark.parametrize(("window", "width"), [(1280, 774), (1440, 825), (1920, 1054), (2560, 1054), (390, 324)])
def test_a_figure_is_as_wide_as_its_card_leaves(window, width):
    """The numbers are those of Chromium."""
    assert viewport.figure_width(window) == width


@pytest.mark.parametrize(
    ("told", "width"), [("390", 390), ("", 1280), ("wide", 1280), ("-5", 1280), ("99999999", 8192), ("1", 240)]
)
def test_what_a_browser_says_about_its_width_is_checked(monkeypatch, told, width):
    monkeypatch.setattr(viewport.st, "context", type("Context", (), {"cookies": {viewport.COOKIE: told}}))
    assert viewport.window() == width


@pytest.mark.parametrize(("count", "lines"), [(20, 1), (60, 1), (120, 2), (200, 4)])
def test_a_sequence_takes_as_many_lines_as_its_characters_need(count, lines):
    strip = Strip(tokens(*("A" * count)), roles=("key",) * count)
    buttons = 0 if count == 20 else 12 + 32  # tokens narrower than 14 pixels
    assert height(spec(strip=strip), 700) == 22 + 14 * lines + 1 + buttons
