"""Texts in the cells of a matrix, in the browser: inside their cells, shortened by signs, readable, never markup."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from canvas_page import again, layout

from models.records.trace import Token
from viz.canvas import Axis, CanvasSpec, Matrix, Scale, Strip
from viz.look.theme import LIGHT, ramp_between

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium")]

LENS = (("a", "그렇지만", "␣of", ""), ("<b>", "accountability", "왕", "x"))


def lens(texts=LENS, **options):
    """Draw a map of two layers and four tokens that says in each cell which token it predicts."""
    values = np.array([[0.1, 0.2, 0.9, 0.4], [0.5, 0.6, 0.95, np.nan]], np.float32)
    ramp = ramp_between(LIGHT.card, LIGHT.color("transformer"))
    rows = Axis(names=("layer 0", "layer 1"))
    readout = ("{row}", "{column}", "[{text}]", "{value}")
    grid = Matrix(values, Scale(0, 1), (ramp,), readout, rows=rows, row_height=30, texts=texts, **options)
    tokens = tuple(Token(i, i, label, i, i + 1) for i, label in enumerate(("The", "␣king", "␣or", "␣the")))
    return SimpleNamespace(body=CanvasSpec("lens", "a lens", LIGHT, LIGHT.ink, strip=Strip(tokens), grid=grid))


WATCH = """() => {
  window.texts = [];
  const was = CanvasRenderingContext2D.prototype.fillText;
  CanvasRenderingContext2D.prototype.fillText = function (text, ...at) {
    window.texts.push(text);
    return was.call(this, text, ...at);
  };
}"""
BASE = """() => {
  const canvas = document.querySelector("canvas.base");
  return [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data];
}"""


def base_layer(page) -> np.ndarray:
    return np.array(page.evaluate(BASE)).reshape(-1, layout(page)["pixels"], 4)[:, :, :3]


def written(page, figure) -> set[str]:
    """Draw a figure in a page and return what is written on the canvas for it and not for the picture before."""
    page.evaluate(WATCH)
    again(page, figure)
    return set(page.evaluate("window.texts"))


@pytest.mark.slow
def test_texts_stand_in_their_cells_and_nowhere_else(show):
    page = show(lens(texts=()))
    plain = base_layer(page)
    again(page, lens())
    changed = (plain != base_layer(page)).any(-1)
    cell, row, top = 76, 30, len(plain) - 1 - 2 * 30
    for r in range(2):
        for c in range(4):
            there = changed[top + row * r : top + row * (r + 1), cell * c : cell * (c + 1)]
            assert there.any() == bool(LENS[r][c]), (r, c)
            assert not there[:, :2].any()
            assert not there[:, -2:].any()
            assert not there[:4].any()
            assert not there[-4:].any()
            changed[top + row * r : top + row * (r + 1), cell * c : cell * (c + 1)] = False
    assert not changed.any()


def test_a_text_that_does_not_fit_is_shortened_and_read_out_whole(show):
    page = show(lens(texts=()), width=760)
    drawn = written(page, lens())
    assert {"a", "그렇지만", "␣", "of", "<b>", "왕", "x"} <= drawn
    assert "accountability" not in drawn
    assert [text for text in drawn if text.startswith("acc") and text.endswith("…")]
    page.mouse.move(76 * 1.5, layout(page)["height"] - 16)
    page.wait_for_selector(".tip.on")
    assert page.locator(".tip").inner_text().split("\n") == ["layer 1", "␣king", "[accountability]", "0.6"]
    page.mouse.move(20, layout(page)["height"] - 16)
    assert page.locator(".tip").inner_text().split("\n")[2] == "[<b>]"
    assert page.locator("b").count() == 0
    assert page.errors == []


def test_korean_texts_are_shortened_by_syllables(show):
    long = "그렇지만그렇더라도그러므로그래서"
    drawn = written(show(lens(texts=())), lens(texts=(("", long, "", ""), ("", "", "왕", ""))))
    (cut,) = [text for text in drawn if text.startswith("그")]
    assert cut.endswith("…")
    assert long.startswith(cut[:-1])
    assert 3 < len(cut) < len(long)
    assert "왕" in drawn


def test_very_narrow_columns_show_only_what_fits_whole(show):
    drawn = written(show(lens(texts=()), width=90), lens())  # columns of 22 px
    assert "왕" in drawn
    assert "a…" not in drawn


@pytest.mark.slow
def test_numbers_are_whole_or_left_out(show):
    numbers = (("1", "2", "3", "4"), ("5", "6", "12345.678", "8"))
    drawn = written(show(lens(texts=()), width=200), lens(texts=numbers, whole_texts=True))
    assert not drawn & {"1", "2", "12345.678"}
    assert {"1", "12345.678"} <= written(show(lens(texts=())), lens(texts=numbers, whole_texts=True))


@pytest.mark.slow
def test_dark_and_light_cells_are_written_in_readable_ink(show):
    page = show(lens(texts=(("M", "", "M", ""), ("",) * 4)))
    row = base_layer(page)[-1 - 60 :][4:26].sum(-1)
    light, dark = row[:, 4:72], row[:, 156:224]
    assert light.min() < np.median(light) - 300, "dark on the weakest colour"
    assert dark.max() > np.median(dark) + 200, "white on the strongest colour"
