"""S-a in the browser: the canvas script paints each value in its ramp colour, reads it out and reports clicks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from canvas_page import again, follow, layout, pixel

from models.records.trace import Alignment
from viz.canvas import decode
from viz.look.theme import DARK, LIGHT
from viz.trace import attention, routing, state, tokens
from viz.trace.overview import architecture_maps

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium")]


def film(trace, english, **options):
    return state.state_film(trace, theme=LIGHT, t=english, layer=1, channels=8, **options)


def hover_cells(page, rows: int):
    """Move over the grid from the bottom and return the readout of the lowest row's first column."""
    size = layout(page)
    page.mouse.move(8, size["height"] - 4)
    page.wait_for_selector(".tip.on")
    return page.locator(".tip").inner_text().split("\n")


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_readout_is_the_value(show, traces, english):
    figure = film(traces["mamba"], english)
    page = show(figure)
    lines = hover_cells(page, 8)
    value = float(figure.data["state_sum"].values[-1, 0])
    assert lines[0].startswith(english("viz.channel", channel=int(figure.data["channel"].values[-1]), half_life="")[:9])
    assert float(lines[2].split()[-1]) == pytest.approx(value, rel=1e-4)


@pytest.mark.slow
def test_tiles_with_tokens_of_their_own_name_and_mark_them(show, traces, english):
    first, second = traces["transformer"], traces["mamba"]
    count = len(first.tokens)
    doubled = tuple(replace(token, piece=1, pieces=1) for token in (first.tokens[0], *first.tokens))
    axis = Alignment(doubled, ((0, *range(count)), (-1, *range(count))))
    figure = architecture_maps([first, second], theme=LIGHT, t=english, alignment=axis)
    page = show(figure)
    follow(page, figure)
    labels = [token.label for token in first.tokens]
    pair = english("viz.matrix.pair", row="{row}", column="{column}")
    bottom, side = layout(page)["height"] - 9, 190 / (count + 1)
    places = [(2, labels[0]), (2 + side, labels[0]), (206, "–"), (206 + side, labels[0]), (206 + 2 * side, labels[1])]
    for x, column in places:
        page.mouse.move(x + side / 2, bottom)
        page.wait_for_selector(".tip.on")
        assert page.locator(".tip").inner_text().split("\n")[1] == pair.format(row=labels[-1], column=column)
    page.mouse.click(206 + 2.5 * side, bottom)
    chosen, last = page.evaluate("window.store.get()"), first.tokens[-1]
    assert (chosen["token"], chosen["span"]) == (last.index, [last.start, last.end])
    assert page.evaluate("window.picked") == []
    assert page.errors == []


@pytest.mark.slow
def test_a_click_chooses_the_token_of_its_cell_and_the_server_hears_nothing(show, traces, english):
    figure = film(traces["mamba"], english)
    page = show(figure)
    follow(page, figure)
    size = layout(page)
    page.mouse.click(size["width"] - 10, size["height"] - 4)
    assert page.evaluate("window.store.get().token") == 10
    page.mouse.click(10, 20)
    assert page.evaluate("window.store.get().token") == 0
    page.mouse.click(10, 20)
    assert page.evaluate("window.store.get().token") is None, "the chosen one is let go"
    assert page.evaluate("window.picked") == []


@pytest.mark.slow
def test_a_picture_of_another_text_keeps_its_own_selection(show, traces, english):
    page = show(film(traces["mamba"], english))
    page.evaluate("window.store.open({ reading: 'another', page: '' })")
    picture = "['base', 'over'].map((name) => document.querySelector(`canvas.${name}`).toDataURL()).join()"
    before = page.evaluate(picture)
    page.evaluate("window.store.set({ token: 4 })")
    assert page.evaluate(picture) == before
    page.mouse.click(10, 20)
    assert page.evaluate("window.store.get().token") == 4
    assert page.evaluate(picture) != before


@pytest.mark.slow
def test_pictures_of_one_text_share_token_hover_and_time(show, traces, english):
    figure = state.state_slice(traces["mamba"], theme=LIGHT, t=english, layer=0, channels=6)
    page = show(figure)
    follow(page, figure)
    page.evaluate("window.store.set({ token: 3 })")
    assert page.locator(".player input").input_value() == "3"
    page.evaluate("window.store.set({ frame: 7 })")
    assert page.locator(".player input").input_value() == "7"
    over = "document.querySelector('canvas.over').toDataURL()"
    before = page.evaluate(over)
    page.evaluate("window.store.set({ hover: 2 })")
    assert page.evaluate(over) != before
    page.evaluate("window.store.set({ hover: null })")
    assert page.evaluate(over) == before
    again(page, state.state_slice(traces["mamba"], theme=DARK, t=english, layer=1, channels=6))
    assert page.locator(".player input").input_value() == "7", "another layer keeps the time"
    page.evaluate("window.store.open({ reading: 'another', page: '' })")
    assert page.locator(".player input").input_value() == "10", "another text does not"
    assert page.errors == []


@pytest.mark.slow
def test_the_tile_of_the_shown_head_is_outlined_in_the_browser(show, traces, english):
    figure = attention.head_mosaic(traces["transformer"], theme=LIGHT, t=english)
    page = show(figure)
    pictures = []
    for head in (0, 1):
        where = {"reading": figure.body.reading, "page": "", "layer": 1, "head": head}
        page.evaluate("(where) => window.store.open(where)", where)
        pictures.append(page.evaluate("document.querySelector('canvas.base').toDataURL()"))
    drawn = [attention.head_mosaic(traces["transformer"], theme=LIGHT, t=english, layer=1, head=n) for n in (0, 1)]
    for picture, known in zip(pictures, drawn, strict=True):
        assert show(known).evaluate("document.querySelector('canvas.base').toDataURL()") == picture


@pytest.mark.slow
def test_labels_lean_in_print_alone(show, traces, english):
    page = show(tokens.token_strip(traces["transformer"], theme=LIGHT, t=english), width=200)
    screen = layout(page)["height"]
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert layout(page)["height"] > screen
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert layout(page)["height"] == screen


@pytest.mark.slow
def test_new_data_is_drawn_in_place_and_keeps_the_cursor(show, traces, english):
    page = show(film(traces["mamba"], english))
    hover_cells(page, 8)
    page.evaluate("window.before = document.querySelector('canvas.base')")
    again(page, film(traces["mamba"], english, selected=3))
    assert page.evaluate("window.before === document.querySelector('canvas.base')")
    assert page.locator(".tip.on").count() == 1


@pytest.mark.slow
def test_keyboard_reads_aloud_and_picks(show, traces, english):
    figure = film(traces["mamba"], english)
    page = show(figure)
    follow(page, figure)
    page.evaluate("window.store.set({ token: 2 })")
    page.locator(".stage").focus()
    page.keyboard.press("ArrowRight")
    assert "␣" in page.locator(".heard").inner_text()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert page.evaluate("window.store.get().token") == 3
    page.keyboard.press("Escape")
    assert page.locator(".tip.on").count() == 0
    assert page.locator(".stage").get_attribute("role") == "application", "keys reach it through a screen reader"
    assert page.locator(".stage").get_attribute("aria-roledescription") == "picture with values"
    assert page.locator(".stage").get_attribute("aria-label")


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_film_switches_between_the_scale_of_all_frames_and_that_of_each(show, traces, english):
    page = show(state.state_slice(traces["mamba"], theme=LIGHT, t=english, layer=0, channels=6))
    picture = "document.querySelector('canvas.base').toDataURL()"
    ticks = "[...document.querySelectorAll('.legend .ticks span')].map((tick) => tick.textContent).join()"
    button, said = page.locator(".scope button"), page.locator(".scope span")
    film, ends = page.evaluate(picture), page.evaluate(ticks)
    assert said.inner_text() == english("viz.scope.frames_sqrt") and button.inner_text() == english(
        "viz.scope.to_frame"
    )
    button.click()
    assert said.inner_text() == english("viz.scope.frame_sqrt") and button.inner_text() == english("viz.scope.to_film")
    frame, own = page.evaluate(picture), page.evaluate(ticks)
    assert frame != film and own != ends
    page.locator(".player input").press("Home")
    assert page.evaluate(ticks) != own, "every frame has a scale of its own"
    page.locator(".player input").press("End")
    assert (page.evaluate(picture), page.evaluate(ticks)) == (frame, own)
    button.press("Enter")
    assert (page.evaluate(picture), page.evaluate(ticks)) == (film, ends)


@pytest.mark.slow
def test_mosaic_reports_the_tile(show, traces, english):
    figure = attention.head_mosaic(traces["transformer"], theme=LIGHT, t=english)
    page = show(figure)
    page.locator(".stage").focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    tile = page.evaluate("window.picked.at(-1)")[1]["tile"]
    assert attention.mosaic_head(traces["transformer"], tile) == (1, 0)


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_cleanup_lets_go(show, traces, english):
    page = show(film(traces["mamba"], english))
    page.evaluate("window.cleanup()")
    assert page.errors == []


COUNT_PIXELS = """(color) => {
  const canvas = document.querySelector("canvas.base");
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
  let count = 0;
  for (let i = 0; i < data.length; i += 4) count += data[i] === r && data[i + 1] === g && data[i + 2] === b;
  return count;
}"""


@pytest.mark.slow
@pytest.mark.parametrize("choices", [1, 2, 3])
def test_a_band_holds_every_chosen_expert_as_wide_as_its_weight(show, routed_to, english, choices):
    figure = routing.layer_ribbon(routed_to(choices), theme=LIGHT, t=english)
    page = show(figure)
    weights = np.array([0.4, 0.3, 0.15, 0.0])
    weights[choices:] = 0
    area = np.array([page.evaluate(COUNT_PIXELS, LIGHT.experts[e]) for e in range(4)])
    assert (area[choices:] == 0).all()
    np.testing.assert_allclose(area / area.sum(), weights / weights.sum(), atol=0.02)
    assert page.errors == []


@pytest.mark.slow
@pytest.mark.parametrize("choices", [1, 2, 3])
def test_a_lane_marks_every_choice_after_the_first(show, routed_to, english, choices):
    figure = routing.expert_lanes(routed_to(choices), theme=LIGHT, t=english)
    page = show(figure)
    area = [page.evaluate(COUNT_PIXELS, LIGHT.experts[e]) for e in range(1, 4)]
    assert [count > 0 for count in area] == [choices > 1, choices > 2, False]
    page.locator(".stage").focus()
    for _ in range(2):  # first the strip, then the lane
        page.keyboard.press("ArrowDown")
    page.wait_for_selector(".tip.on")
    assert page.locator(".tip").inner_text().endswith(f"\n{figure.body.grid.cell_names[0][0]}")
    assert page.errors == []
