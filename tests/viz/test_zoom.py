"""A closer look at a long text: what is under the pointer at every range, who shares it, buttons, keys and drags."""

import dataclasses
import re

import canvas_page
import numpy as np
import pytest
from canvas_page import follow, layout, pixel

from models.records.trace import LayerTrace, ModelTrace, NamedArray, Token
from viz.canvas import script
from viz.figure import Figure
from viz.gallery import samples
from viz.look.theme import LIGHT
from viz.trace import attention, tokens

pytestmark = [pytest.mark.browser, pytest.mark.slow]
COUNT, HEADS, WIDTH = 200, 2, 760
RANGE = "() => { const { range, rows } = window.store.get(); return [range, rows] }"
PAIR = re.compile(r"␣w(\d+) ← ␣w(\d+)")
TIPS = """(points) => points.map(([clientX, clientY]) => {
  document.querySelector(".stage").dispatchEvent(new PointerEvent("pointermove", { clientX, clientY }));
  return [...document.querySelectorAll(".tip.on div")].map((line) => line.textContent);
})"""
PAIR = re.compile(r"␣w(\d+) ← ␣w(\d+)")
TIP = "() => [...document.querySelectorAll('.tip.on div')].map((line) => line.textContent)"


@pytest.fixture(scope="module")
def long_trace() -> ModelTrace:
    """Return a trace of 200 tokens whose weights differ in every cell."""
    rng = np.random.default_rng(5)
    weights = np.tril(rng.random((HEADS, COUNT, COUNT)) ** 4)
    weights /= weights.sum(-1, keepdims=True)
    parts = {"attention": weights.astype(np.float32)}
    layers = tuple(LayerTrace(n, "attention", "dense", samples.named(parts)) for n in range(2))
    read = tuple(Token(i, i, f"␣w{i}", 2 * i, 2 * i + 2) for i in range(COUNT))
    bits = NamedArray(np.linspace(0, 9, COUNT).astype(np.float32), ("token",))
    return dataclasses.replace(samples.traces()["transformer"], tokens=read, layers=layers, surprisal=bits)


@pytest.fixture
def figure(long_trace, english) -> Figure:
    """Return the matrix of one head."""
    return attention.head_matrix(long_trace, theme=LIGHT, t=english, layer=0, head=1)


@pytest.fixture
def page(figure, show):
    """Return the figure in a page whose selection is that of its text."""
    opened = show(figure, width=WIDTH)
    follow(opened, figure)
    return opened


def tips(page, points) -> list[list[str]]:
    """Move the pointer to every point and return what is read out there."""
    return page.evaluate(TIPS, [list(map(float, point)) for point in points])


def cell_of(lines: list[str]) -> tuple[int, int, float] | None:
    """Return row, column and value of a cell by the words of its read-out; nan for one in the future."""
    found = PAIR.match(lines[0]) if len(lines) > 1 else None
    value = lines[1].split()[-1] if found else ""
    return (int(found[1]), int(found[2]), float("nan" if value == "–" else value)) if found else None


def cell_at(page, x: float, y: float) -> tuple[int, int, float] | None:
    """Return the cell under the pointer."""
    page.mouse.move(x, y)
    return cell_of(page.evaluate("() => [...document.querySelectorAll('.tip.on div')].map((one) => one.textContent)"))


def columns_at(page, y: float) -> dict[int, list[int]]:
    """Move along a line and collect where each column is: column -> places in pixels."""
    places: dict[int, list[int]] = {}
    for x, lines in enumerate(tips(page, [(x + 0.5, y) for x in range(WIDTH)])):
        if cell := cell_of(lines):
            places.setdefault(cell[1], []).append(x)
    return places


def shade(figure: Figure, value: float) -> tuple[int, int, int]:
    """Return the colour of a value by the figure's own scale and ramp."""
    grid = figure.body.grid
    share = (value - grid.scale.low) / (grid.scale.high - grid.scale.low)
    return tuple(bytes.fromhex(grid.ramps[0][round(255 * np.sqrt(share))][1:]))


def rows_at(page, x: float) -> dict[int, list[int]]:
    """Move down a line and collect where each row is: row -> places in pixels."""
    places: dict[int, list[int]] = {}
    for y, lines in enumerate(tips(page, [(x, y + 0.5) for y in range(int(layout(page)["height"]))])):
        if cell := cell_of(lines):
            places.setdefault(cell[0], []).append(y)
    return places


def check_range(page, figure: Figure, first: int, after: int, asked: int) -> None:
    """A range has all its columns, equally wide and in order, and a row has the values and colours of the tensor."""
    (weights,) = (array.values for array in figure.data.values())
    ys = rows_at(page, 300)[asked]
    y = ys[len(ys) // 2] + 0.5
    places = columns_at(page, y)
    assert list(places) == list(range(first, after))
    widths = [len(places[column]) for column in list(places)[1:-1]]
    assert max(widths) - min(widths) <= 1
    for column, xs in places.items():
        x = xs[len(xs) // 2] + 0.5
        row, _, value = cell_at(page, x, y)
        assert row == asked
        if column > row:
            assert np.isnan(value)
            continue
        assert value == pytest.approx(weights[row, column], rel=1e-3), (row, column)
        if len(xs) > 2 and column < row:  # the edge of the past is a line
            assert np.abs(np.subtract(pixel(page, x, y), shade(figure, weights[row, column]))).max() <= 2, (row, column)


def zoomed(page, columns: tuple[int, int] | None, rows: tuple[int, int] | None = None) -> None:
    page.evaluate("([range, rows]) => window.store.set({ range, rows })", [columns, rows])


@pytest.mark.parametrize(
    ("columns", "rows"), [(None, None), ((64, 96), None), ((0, 40), (150, 190)), ((192, 200), None)], ids=str
)
def test_the_cell_under_the_pointer_is_the_tensors_at_every_range(page, figure, columns, rows):
    zoomed(page, columns, rows)
    first, after = columns or (0, COUNT)
    top, bottom = rows or (first, after)
    check_range(page, figure, first, after, bottom - 5)
    assert list(rows_at(page, 400)) == list(range(top, bottom))
    assert page.errors == []


BREAKS = [
    ("const column = Math.floor((x - cellX) / cell);", "const column = Math.floor((x - left) / cell);"),
    ("drawMap(view, ctx, view.frame ?? 0, cellX, cellY,", "drawMap(view, ctx, view.frame ?? 0, left, gridY,"),
]


@pytest.mark.parametrize(("before", "after"), BREAKS, ids=["pointer", "picture"])
def test_a_picture_that_misses_its_range_is_noticed(figure, blank, monkeypatch, before, after):
    assert script().count(before) == 1
    monkeypatch.setattr(canvas_page, "script", lambda: script().replace(before, after))
    opened = blank(WIDTH)
    canvas_page.drawn(opened, figure, width=WIDTH)
    follow(opened, figure)
    zoomed(opened, (64, 96))
    with pytest.raises(AssertionError):
        check_range(opened, figure, 64, 96, 94)
    opened.close()


def chosen_range(page) -> list:
    return page.evaluate(RANGE)


def test_buttons_and_keys_look_closer_and_back(page, english):
    assert page.locator(".zoom .range").inner_text() == english("viz.words.zoom_hint", count=COUNT)
    page.locator(".zoom .in").click()
    (first, after), rows = chosen_range(page)
    assert (after - first, rows) == (COUNT // 2, None)
    assert page.locator(".zoom .range").inner_text() == english(
        "viz.words.zoom_range", first=first, last=after - 1, count=COUNT
    )
    stage = page.locator(".stage")
    stage.focus()
    for _ in range(9):
        stage.press("+")
    (first, after), _ = chosen_range(page)
    assert after - first == 8
    assert page.locator(".zoom .in").get_attribute("aria-disabled") == "true"
    stage.press("-")
    (first, after), _ = chosen_range(page)
    assert after - first == 16
    stage.press("Control+-")
    assert chosen_range(page) == [[first, after], None], "the browser's own"
    stage.press("0")
    assert chosen_range(page) == [None, None]
    assert page.locator(".zoom .whole").get_attribute("aria-disabled") == "true"


def test_a_closer_look_is_around_what_the_pointer_is_at(page):
    row, column, _ = cell_at(page, 100, 560)
    page.locator(".stage").focus()
    for _ in range(3):
        page.keyboard.press("+")
        again = cell_at(page, 100, 560)
        assert again[:2] == (pytest.approx(row, abs=1), pytest.approx(column, abs=1)), "it keeps its place"
    (first, after), (top, bottom) = chosen_range(page)
    assert after - first == bottom - top == COUNT // 8


def test_a_closer_look_at_the_empty_future_is_around_the_token_of_the_row(page):
    row, column, value = cell_at(page, 600, 300)
    assert column > row + COUNT // 4 and np.isnan(value)
    page.locator(".stage").focus()
    for _ in range(3):
        page.keyboard.press("+")
    (first, after), rows = chosen_range(page)
    assert rows is None, "the same along both sides"
    assert first <= row < after


def test_a_range_keeps_its_way_back_in_a_wider_window(page):
    page.set_viewport_size({"width": 390, "height": 900})
    zoomed(page, (64, 96))
    page.evaluate("document.querySelector('.root').parentElement.style.width = '3400px'")
    page.set_viewport_size({"width": 3400, "height": 900})
    page.wait_for_timeout(200)
    assert page.locator(".zoom").is_visible()
    page.locator(".zoom .whole").click()
    assert chosen_range(page) == [None, None]
    assert not page.locator(".zoom").is_visible(), "all tokens are wide enough there"


def test_a_narrow_picture_counts_its_tokens_in_words_that_fit(figure, show, english):
    narrow = show(figure, width=300)
    words = narrow.locator(".zoom .range")
    assert words.inner_text() == english("viz.words.zoom_all", count=COUNT)
    assert words.evaluate("one => one.scrollWidth <= one.clientWidth")


def test_names_of_rows_draw_no_range(page):
    page.mouse.move(30, 400)
    page.mouse.down()
    page.mouse.move(30, 520)
    page.mouse.up()
    assert chosen_range(page) == [None, None]


def test_the_keyboard_enters_a_range_where_it_is_shown(page):
    zoomed(page, (64, 96))
    stage = page.locator(".stage")
    stage.focus()
    stage.press("ArrowRight")
    assert chosen_range(page) == [[64, 96], None]
    assert page.evaluate("window.store.get().hover") == 64


def test_a_token_that_the_server_names_moves_the_range(page, figure):
    zoomed(page, (64, 96))
    page.evaluate("(reading) => window.store.open({ reading, page: 'test', token: 10 })", figure.body.reading)
    assert chosen_range(page) == [[10, 42], None]
    page.evaluate("(reading) => window.store.open({ reading, page: 'test', token: null })", figure.body.reading)
    assert chosen_range(page) == [[10, 42], None]


def test_dragging_shows_the_cells_that_were_passed_over_and_chooses_none(page):
    row, column, _ = cell_at(page, 120, 420)
    bottom, right, _ = cell_at(page, 220, 520)
    page.mouse.move(120, 420)
    page.mouse.down()
    page.mouse.move(180, 480)
    page.mouse.move(220, 520)
    page.mouse.up()
    (first, after), (top, last) = chosen_range(page)
    assert (first, top) == (pytest.approx(column, abs=1), pytest.approx(row, abs=1))
    assert (after, last) == (pytest.approx(right + 1, abs=1), pytest.approx(bottom + 1, abs=1))
    assert page.evaluate("window.store.get().token") is None
    page.mouse.click(300, 300)
    assert page.evaluate("window.store.get().token") is not None, "a click that moves little chooses, as ever"


def test_dragging_over_the_tokens_shows_them_and_escape_lets_go(page):
    for end, wanted in (("Escape", False), (None, True)):
        page.mouse.move(200, 15)
        page.mouse.down()
        page.mouse.move(420, 15)
        page.locator(".stage").focus()
        if end:
            page.keyboard.press(end)
        page.mouse.up()
        assert (chosen_range(page)[0] is not None) is wanted
    assert chosen_range(page)[1] is None
    assert (page.locator(".tip.on").count(), page.evaluate("window.store.get().token")) == (0, None)


def test_the_range_follows_the_chosen_token_and_the_arrow_keys(page):
    zoomed(page, (64, 96))
    page.evaluate("window.store.set({ token: 70 })")
    assert chosen_range(page) == [[64, 96], None]
    page.evaluate("window.store.set({ token: 96 })")
    assert chosen_range(page) == [[65, 97], None]
    page.evaluate("window.store.set({ frame: 10 })")
    assert chosen_range(page) == [[10, 42], None]
    page.evaluate("window.store.set({ token: 41, frame: null })")
    page.locator(".stage").focus()
    page.keyboard.press("ArrowDown")  # enters at the chosen token
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    (first, after), _ = chosen_range(page)
    assert (first, after) == (11, 43)
    assert page.locator(".tip").inner_text().split("\n")[0].endswith("␣w42")


def test_pictures_of_a_text_share_the_range_and_those_of_another_do_not(page, show, long_trace, english):
    strip = tokens.token_strip(long_trace, theme=LIGHT, t=english)
    canvas_page.beside(page, strip)
    zoomed(page, (20, 52))
    assert page.locator("#beside .zoom .range").inner_text() == english(
        "viz.words.zoom_range", first=20, last=51, count=COUNT
    )
    page.locator("#beside .zoom .whole").click()
    assert chosen_range(page) == [None, None]
    assert page.locator("#host .zoom .range").inner_text() == english("viz.words.zoom_hint", count=COUNT)
    zoomed(page, (20, 52))
    page.evaluate("window.store.open({ reading: 'another', page: 'test' })")
    assert chosen_range(page) == [None, None]


def test_tiles_show_the_range_in_every_map(show, long_trace, english):
    mosaic = attention.head_mosaic(long_trace, theme=LIGHT, t=english)
    opened = show(mosaic, width=WIDTH)
    follow(opened, mosaic)
    zoomed(opened, (40, 56))
    block = mosaic.body.grid.pool[1]
    assert block > 1, "a thumbnail of this text has blocks"
    size = layout(opened)["width"] / 4
    names = re.compile(r"w(\d+)(?: … ␣w\d+ \(\d+–(\d+)\))?")
    seen = set()
    for lines in tips(opened, [(x + 0.5, 150) for x in range(int(size * 2))]):
        pair = next((line for line in lines if "←" in line), "")
        for name in pair.split("←")[1:]:
            seen.add(tuple(int(part) for part in names.search(name).groups() if part))
    assert seen == {(first, first + block - 1) for first in range(40 // block * block, 56, block)}
    assert opened.errors == []


def test_prints_and_pictures_show_the_whole(page, figure):
    zoomed(page, (64, 96))
    page.evaluate("document.querySelector('.root').still(true)")
    assert cell_at(page, 60, 600)[1] < 10
    check_range(page, figure, 0, COUNT, 190)
    page.evaluate("document.querySelector('.root').still(false)")
    assert 64 <= cell_at(page, 60, 600)[1] < 96


def test_a_short_text_has_no_buttons(show, traces, english):
    short = attention.head_matrix(traces["transformer"], theme=LIGHT, t=english, layer=0, head=0)
    assert not show(short, width=WIDTH).locator(".zoom").is_visible()
