"""S-a in the browser: the canvas script paints each value in its ramp colour, reads it out and reports clicks."""

import base64
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from models.records import Alignment, Token
from viz import attention, routing, state, tokens
from viz.canvas import Axis, CanvasSpec, Matrix, Scale, Strip, Tile, Tiles, decode, script, styles
from viz.overview import four_machines
from viz.theme import DARK, LIGHT, ramp_between

CHROMIUM = Path("/usr/bin/chromium")
HARNESS = """
<style>body { margin: 0 } %s</style><div id="host" style="width:%dpx"><div class="root"></div></div>
<script type="module">
  const source = atob("%s");
  const text = new TextDecoder().decode(Uint8Array.from(source, (c) => c.charCodeAt(0)));
  const module = await import(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
  window.picked = [];
  window.show = (payload) => {
    const data = Uint8Array.from(atob(payload), (c) => c.charCodeAt(0));
    const setTriggerValue = (name, value) => window.picked.push([name, value]);
    window.cleanup = module.default({ data, parentElement: document.getElementById("host"), setTriggerValue });
  };
  window.ready = true;
</script>
"""

READ_PIXEL = """([x, y]) => {
  const canvas = document.querySelector("canvas.base");
  const k = canvas.width / canvas.getBoundingClientRect().width;
  return [...canvas.getContext("2d").getImageData(Math.floor(x * k), Math.floor(y * k), 1, 1).data].slice(0, 3);
}"""

pytestmark = [pytest.mark.browser, pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium")]


@pytest.fixture
def show(chromium) -> Iterator[Callable]:
    """Return a function that draws a figure in a fresh page of a width and returns the page."""
    pages = []

    def draw(figure, *, width: int = 760, scale: float = 1):
        page = chromium.new_page(viewport={"width": width, "height": 900}, device_scale_factor=scale)
        pages.append(page)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.errors = errors
        source = base64.b64encode(script().encode()).decode()
        page.set_content(HARNESS % (styles(), width, source))
        page.wait_for_function("window.ready")
        again(page, figure)
        return page

    yield draw
    for page in pages:
        page.close()


def again(page, figure) -> None:
    """Send a figure to the component of a page, as a rerun does."""
    page.evaluate("(payload) => window.show(payload)", base64.b64encode(figure.body.payload()).decode())


def layout(page) -> dict:
    """Measure the canvas from outside: its size on screen and in pixels."""
    return page.evaluate(
        "() => { const c = document.querySelector('canvas.base'); const b = c.getBoundingClientRect();"
        " return { width: b.width, height: b.height, pixels: c.width } }"
    )


def pixel(page, x: float, y: float) -> tuple[int, int, int]:
    """Read one pixel of the base layer at a place in CSS pixels."""
    return tuple(page.evaluate(READ_PIXEL, [x, y]))


def film(trace, english, **options):
    return state.state_film(trace, theme=LIGHT, t=english, layer=1, channels=8, **options)


def hover_cells(page, rows: int):
    """Move over the grid from the bottom and return the readout of the lowest row's first column."""
    size = layout(page)
    page.mouse.move(8, size["height"] - 4)
    page.wait_for_selector(".tip.on")
    return page.locator(".tip").inner_text().split("\n")


@pytest.mark.parametrize("scale", [1, 2], ids=["1x", "2x"])
def test_pixels_are_the_ramp_colours_of_the_values(show, traces, english, scale):
    figure = film(traces["mamba"], english)
    page = show(figure, scale=scale)
    header, planes = decode(figure.body.payload())
    grid = header["grid"]
    values = planes[grid["plane"]].reshape(grid["rows"], grid["columns"])
    highs = planes[grid["scale"]["highs"]]
    size = layout(page)
    assert size["pixels"] == pytest.approx(size["width"] * scale)
    cell, row = size["width"] / grid["columns"], grid["row_height"]
    top = size["height"] - 1 - row * grid["rows"]
    for r in range(grid["rows"]):
        for c in range(grid["columns"]):
            place = round((0.5 + 0.5 * float(values[r, c] / highs[r])) * 255)
            wanted = grid["ramps"][0][place * 6 : place * 6 + 6]
            painted = pixel(page, (c + 0.5) * cell, top + (r + 0.5) * row)
            expected = [int(wanted[i : i + 2], 16) for i in (0, 2, 4)]
            assert np.abs(np.subtract(painted, expected)).max() <= 3, (
                r,
                c,
            )  # neighbouring ramp entries at a rounding edge
    assert page.errors == []


def test_the_readout_is_the_value(show, traces, english):
    figure = film(traces["mamba"], english)
    page = show(figure)
    lines = hover_cells(page, 8)
    value = float(figure.data["state_sum"].values[-1, 0])
    assert lines[0].startswith(english("viz.channel", channel=int(figure.data["channel"].values[-1]), half_life="")[:9])
    assert float(lines[2].split()[-1]) == pytest.approx(value, rel=1e-4)


def test_tiles_with_tokens_of_their_own_name_and_mark_them(show, traces, english):
    first, second = traces["transformer"], traces["mamba"]
    count = len(first.tokens)
    doubled = tuple(replace(token, piece=1, pieces=1) for token in (first.tokens[0], *first.tokens))
    axis = Alignment(doubled, ((0, *range(count)), (-1, *range(count))))
    page = show(four_machines([first, second], theme=LIGHT, t=english, alignment=axis))
    labels = [token.label for token in first.tokens]
    pair = english("viz.matrix.pair", row="{row}", column="{column}")
    bottom, side = layout(page)["height"] - 9, 190 / (count + 1)
    places = [(2, labels[0]), (2 + side, labels[0]), (206, "–"), (206 + side, labels[0]), (206 + 2 * side, labels[1])]
    for x, column in places:
        page.mouse.move(x + side / 2, bottom)
        page.wait_for_selector(".tip.on")
        assert page.locator(".tip").inner_text().split("\n")[1] == pair.format(row=labels[-1], column=column)
    page.mouse.click(206 + 2.5 * side, bottom)
    assert page.evaluate("window.picked.at(-1)")[1] == {"row": count, "column": 2, "tile": 1, "token": count}
    assert page.errors == []


def test_a_click_reports_the_cell_and_its_token(show, traces, english):
    page = show(film(traces["mamba"], english))
    size = layout(page)
    page.mouse.click(size["width"] - 10, size["height"] - 4)
    assert page.evaluate("window.picked") == [["picked", {"row": 7, "column": 10, "tile": None, "token": 10}]]
    page.mouse.click(10, 20)
    assert page.evaluate("window.picked.at(-1)")[1]["token"] == 0


def test_new_data_is_drawn_in_place_and_keeps_the_cursor(show, traces, english):
    page = show(film(traces["mamba"], english))
    hover_cells(page, 8)
    page.evaluate("window.before = document.querySelector('canvas.base')")
    again(page, film(traces["mamba"], english, selected=3))
    assert page.evaluate("window.before === document.querySelector('canvas.base')")
    assert page.locator(".tip.on").count() == 1


def test_keyboard_reads_aloud_and_picks(show, traces, english):
    page = show(film(traces["mamba"], english, selected=2))
    page.locator(".stage").focus()
    page.keyboard.press("ArrowRight")
    assert "␣" in page.locator(".heard").inner_text()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert page.evaluate("window.picked.at(-1)")[1] == {"row": 0, "column": 3, "tile": None, "token": 3}
    page.keyboard.press("Escape")
    assert page.locator(".tip.on").count() == 0
    assert page.locator(".stage").get_attribute("role") == "img"
    assert page.locator(".stage").get_attribute("aria-label")


def test_frames_step_and_play_without_the_server(show, traces, english):
    figure = state.state_slice(traces["mamba"], theme=DARK, t=english, layer=0, channels=6)
    page = show(figure)
    slider = page.locator(".player input")
    assert slider.get_attribute("max") == "10"
    last = page.evaluate("document.querySelector('canvas.base').toDataURL()")
    slider.focus()
    page.keyboard.press("Home")
    assert page.locator(".player output").inner_text() == english("viz.words.frame", index=0, label="Once")
    assert page.evaluate("document.querySelector('canvas.base').toDataURL()") != last
    page.locator(".player button").click()
    page.wait_for_function("Number(document.querySelector('.player input').value) >= 2")
    assert page.evaluate("window.picked") == []


def test_mosaic_reports_the_tile(show, traces, english):
    figure = attention.head_mosaic(traces["transformer"], theme=LIGHT, t=english)
    page = show(figure)
    page.locator(".stage").focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    tile = page.evaluate("window.picked.at(-1)")[1]["tile"]
    assert attention.mosaic_head(traces["transformer"], tile) == (1, 0)


@pytest.mark.parametrize("width", [390, 760, 1280, 1920])
def test_it_fits_every_width(show, trace, english, width):
    for figure in (
        tokens.token_strip(trace, theme=LIGHT, t=english),
        routing.layer_ribbon(trace, theme=LIGHT, t=english),
    ):
        page = show(figure, width=width)
        size = layout(page)
        assert size["width"] <= width
        assert 20 < size["height"] < 1200
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.errors == []


def test_hostile_labels_stay_text(show, traces, english):
    import dataclasses

    trace = traces["mamba"]
    bad = dataclasses.replace(trace.tokens[0], label="<img src=x onerror=window.hacked=1>{value}")
    hostile = dataclasses.replace(trace, tokens=(bad, *trace.tokens[1:]))
    page = show(tokens.token_strip(hostile, theme=LIGHT, t=english))
    page.mouse.move(10, 20)
    page.wait_for_selector(".tip.on")
    assert page.locator("img").count() == 0
    assert page.locator(".tip div").first.inner_text() == bad.label


def test_cleanup_lets_go(show, traces, english):
    page = show(film(traces["mamba"], english))
    page.evaluate("window.cleanup()")
    assert page.errors == []


LENS = (("a", "그렇지만", "␣of", ""), ("<b>", "accountability", "왕", "x"))


def lens(texts=LENS, **options):
    """Draw a map of two layers and four tokens that says in each cell which token it predicts."""
    values = np.array([[0.1, 0.2, 0.9, 0.4], [0.5, 0.6, 0.95, np.nan]], np.float32)
    ramp = ramp_between(LIGHT.card, LIGHT.color("transformer"))
    rows = Axis(names=("layer 0", "layer 1"))
    readout = ("{row}", "{column}", "[{text}]", "{value}")
    grid = Matrix(values, Scale(0, 1), (ramp,), readout, rows=rows, row_height=30, texts=texts, **options)
    tokens = tuple(Token(i, i, label, i, i + 1) for i, label in enumerate(("The", "␣king", "␣and", "␣the")))
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
    drawn = written(show(lens(texts=()), width=80), lens())  # columns of 20 px
    assert "왕" in drawn
    assert not [text for text in drawn if text.startswith("acc")]


def test_numbers_are_whole_or_left_out(show):
    numbers = (("1", "2", "3", "4"), ("5", "6", "12345.678", "8"))
    drawn = written(show(lens(texts=()), width=200), lens(texts=numbers, whole_texts=True))
    assert not drawn & {"1", "2", "12345.678"}
    assert {"1", "12345.678"} <= written(show(lens(texts=())), lens(texts=numbers, whole_texts=True))


def test_dark_and_light_cells_are_written_in_readable_ink(show):
    page = show(lens(texts=(("M", "", "M", ""), ("",) * 4)))
    row = base_layer(page)[-1 - 60 :][4:26].sum(-1)
    light, dark = row[:, 4:72], row[:, 156:224]
    assert light.min() < np.median(light) - 300, "dark on the weakest colour"
    assert dark.max() > np.median(dark) + 200, "white on the strongest colour"


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
