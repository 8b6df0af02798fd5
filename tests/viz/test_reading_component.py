"""The script of the reading in Chromium, without the app: marks, words, time, keys, and the store of the selection."""

import base64
from pathlib import Path

import numpy as np
import pytest

from viz.hero import decode, script, styles
from viz.look.theme import DARK, LIGHT
from viz.trace.reading import reading

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium")]

HARNESS = """
<!DOCTYPE html><style>body { margin: 0 } %s</style><div id="host" style="width:%dpx"><div class="root"></div></div>
<script type="module">
  const text = new TextDecoder().decode(Uint8Array.from(atob("%s"), (c) => c.charCodeAt(0)));
  const module = await import(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
  window.show = (payload) => {
    const data = Uint8Array.from(atob(payload), (c) => c.charCodeAt(0));
    window.cleanup = module.default({ data, parentElement: document.getElementById("host") });
    window.store = window.contextscope.selection;
  };
  window.ready = true;
</script>
"""
BY_HAND = """() => {
  Object.defineProperty(window, "sessionStorage", { value: { getItem: () => null, setItem: () => {} } });
  window.late = [];
  window.setTimeout = (run) => late.push(run);
  window.clearTimeout = (place) => { if (place) late[place - 1] = () => {} };
  window.pass = () => late.splice(0).forEach((run) => run());
}"""  # a first visit, in which what waits is run by pass()
HEIGHT = "() => document.querySelector('#host').getBoundingClientRect().height"


@pytest.fixture
def mount(blank):
    pages = []

    def made(figure, *, width: int = 1150, motion: str = "reduce", first: str = "() => {}"):
        page = blank(max(width, 390), motion=motion)
        pages.append(page)
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        source = base64.b64encode(script().encode()).decode()
        page.set_content(HARNESS % (styles(), width, source))
        page.wait_for_function("window.ready")
        page.evaluate(first)
        page.evaluate("(payload) => window.show(payload)", base64.b64encode(figure.body.payload()).decode())
        return page

    yield made
    for page in pages:
        page.close()


def drawn(traces, english, theme=LIGHT, **options):
    carried = tuple(tuple(1000 * n for n in range(1, len(t.tokens) + 1)) for t in traces.values())
    return reading(list(traces.values()), theme=theme, t=english, carried=carried, **options)


def state(page) -> dict:
    return page.evaluate("() => ({...window.store.get()})")


def lane(page, place: int):
    return page.locator(".hero .lane").nth(place)


def test_the_text_is_real_text_and_rests_on_the_last_token(mount, traces, english) -> None:
    figure = drawn(traces, english)
    page = mount(figure)
    assert page.locator(".text").inner_text().replace("\n", "") == traces["mamba"].prompt
    assert page.locator(".text").get_attribute("aria-activedescendant") == "hero-token-10"
    assert page.locator(".token.ahead, .token.veiled").count() == 0
    assert page.locator(".player input").input_value() == "10"
    assert [lane(page, n).locator(".bytes strong").inner_text() for n in range(4)] == ["10.7 KiB"] * 4
    assert page.locator("#host .root").get_attribute("aria-label") == figure.alt
    assert page.errors == []


def test_shown_guesses_and_dots_are_those_of_the_payload(mount, traces, english) -> None:
    page = mount(drawn(traces, english))
    page.locator(".text").focus()
    page.keyboard.press("Home")
    assert lane(page, 0).locator("li .label").all_inner_texts() == ["", "", ""]
    for step in range(1, 11):
        page.keyboard.press("ArrowRight")
        for place, trace in enumerate(traces.values()):
            row = trace.logits.values[step - 1].astype(np.float64)
            order = np.argsort(-row, kind="stable")
            came = int(np.flatnonzero(order == trace.tokens[step].id)[0])
            shown = lane(page, place)
            assert shown.locator("li .label").all_inner_texts() == [str(id_) for id_ in order[:3]]
            odds = np.exp(row) / np.exp(row).sum()
            width = shown.locator("li .bar i").first.evaluate("e => parseFloat(e.style.width)")
            assert width == pytest.approx(100 * odds[order[0]], abs=0.01)
            assert shown.locator("li .dot.right").count() == (came == 0)
            assert shown.locator("li .dot.near").count() == (came in (1, 2))
            assert (f"number {came + 1}," in shown.locator(".came").inner_text()) == (came > 0)
    assert page.errors == []


def test_keys_step_pin_and_let_go(mount, traces, english) -> None:
    page = mount(drawn(traces, english))
    page.locator(".text").focus()
    page.keyboard.press("ArrowLeft")
    assert (state(page)["frame"], state(page)["playing"]) == (9, False)
    assert "ahead" in page.locator("#hero-token-10").get_attribute("class")
    assert page.locator(".heard").inner_text().startswith("\ub300. ")
    page.keyboard.press("Home")
    assert state(page)["frame"] == 0
    page.keyboard.press("ArrowLeft")
    assert state(page)["frame"] == 0
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert (state(page)["token"], state(page)["span"], state(page)["frame"]) == (1, [1, 2], None)
    assert page.locator("#hero-token-1").get_attribute("aria-selected") == "true"
    page.keyboard.press("Escape")
    assert state(page)["token"] is None and page.locator(".player input").input_value() == "10"
    page.locator(".player input").focus()
    page.keyboard.press("ArrowLeft")
    assert state(page)["frame"] == 9
    page.locator(".player .step").click()
    assert state(page)["frame"] == 10


def test_hover_previews_and_a_click_pins_for_every_figure(mount, traces, english) -> None:
    page = mount(drawn(traces, english))
    page.locator("#hero-token-4").hover()
    assert state(page)["hover"] == 4 and page.locator(".player input").input_value() == "4"
    page.mouse.move(5, 5)
    page.locator(".finding").hover()
    assert state(page)["hover"] is None and page.locator(".player input").input_value() == "10"
    page.locator("#hero-token-4").click()
    page.locator(".finding").hover()
    assert (state(page)["token"], state(page)["span"]) == (4, [4, 5])
    assert page.locator(".player input").input_value() == "4"
    page.locator("#hero-token-4").click()
    assert state(page)["token"] is None


def test_what_other_figures_choose_is_shown_here(mount, traces, english) -> None:
    page = mount(drawn(traces, english))
    shown = page.locator(".player input")
    page.evaluate("store.set({ token: 6, span: [6, 7] }, 'other')")
    assert shown.input_value() == "6"
    page.evaluate("store.set({ hover: 2 }, 'other')")
    assert shown.input_value() == "2"
    page.evaluate("store.set({ hover: 99 }, 'other')")  # no token of this text
    assert shown.input_value() == "6"
    page.evaluate("store.set({ hover: null, frame: 3 }, 'other')")
    assert shown.input_value() == "3"
    page.evaluate("store.open({ reading: 'another', page: 'overview' })")
    assert shown.input_value() == "10"
    page.evaluate("window.cleanup(); store.set({ frame: 5 }, 'other')")
    assert shown.input_value() == "10" and page.errors == []


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_play_moves_to_the_end_rests_there_and_keeps_its_height(mount, traces, english, motion: str) -> None:
    page = mount(drawn(traces, english), motion=motion)
    assert state(page)["playing"] is False, "no storage, no first visit: nothing plays by itself"
    page.evaluate("() => { store.on(({ state }) => (window.seen ??= []).push([state.frame, state.playing])) }")
    page.evaluate(
        "() => { window.heights = new Set(); window.veiled = 0; const look = () => {"
        " heights.add(document.querySelector('#host').getBoundingClientRect().height);"
        " veiled += document.querySelectorAll('.token.veiled').length; window.looking = requestAnimationFrame(look) };"
        " look() }"
    )
    page.locator(".player .play").click()
    page.wait_for_function("window.seen?.length > 2 && !store.get().playing", timeout=60_000)
    seen = page.evaluate("window.seen")
    assert [frame for frame, _ in seen] == [*range(11)] and seen[-1] == [10, False]
    assert page.evaluate("[...heights].length") == 1
    assert (page.evaluate("veiled") > 0) == (motion == "no-preference")
    assert page.locator(".token.ahead, .token.veiled").count() == 0


def test_space_pauses_and_another_figure_can_pause(mount, traces, english) -> None:
    page = mount(drawn(traces, english))
    page.locator(".text").focus()
    page.keyboard.press(" ")
    assert state(page)["playing"] is True
    page.wait_for_function("store.get().frame >= 2")
    page.keyboard.press(" ")
    stopped = state(page)
    assert stopped["playing"] is False and 2 <= stopped["frame"] <= 10
    page.keyboard.press("Home")
    page.keyboard.press(" ")
    page.wait_for_function("store.get().frame >= 1")
    page.evaluate("store.set({ playing: false }, 'other')")
    frame = state(page)["frame"]
    page.wait_for_timeout(900)
    assert state(page)["frame"] == frame


@pytest.mark.parametrize("chosen", [{"token": 4, "span": [4, 5]}, {"frame": 2}, {}], ids=["token", "time", "nothing"])
def test_a_choice_while_the_page_opens_ends_the_play_for_good(mount, traces, english, chosen: dict) -> None:
    """The bar below opens its text while the first play goes on; the play begins again unless somebody has chosen."""
    page = mount(drawn(traces, english), motion="no-preference", first=BY_HAND)
    page.wait_for_function("late.length")
    page.evaluate("pass()")
    assert state(page)["playing"] is True
    page.evaluate("store.open({ reading: 'text', page: 'overview' })")
    assert state(page)["playing"] is False
    if chosen:
        page.evaluate("(chosen) => store.set({ frame: null, playing: false, ...chosen }, 'reading')", chosen)
    left = state(page)
    page.evaluate("pass()")
    assert state(page)["playing"] is (not chosen)
    for _ in range(30):
        page.evaluate("pass()")
    assert state(page) == (left if chosen else left | {"frame": 10})
    assert page.locator(".player input").input_value() == str(chosen.get("token", chosen.get("frame", 10)))
    assert page.errors == []


def test_a_choice_ends_the_play_that_it_meets(mount, traces, english) -> None:
    page = mount(drawn(traces, english), motion="no-preference", first=BY_HAND)
    page.wait_for_function("late.length")
    for _ in range(6):
        page.evaluate("pass()")
    assert state(page)["playing"] is True and state(page)["frame"] == 2
    assert page.locator(".token.veiled").count() == 1
    page.evaluate("store.set({ token: 7, span: [7, 8], frame: null, playing: false }, 'reading')")
    left = state(page)
    assert page.locator(".player input").input_value() == "7" and page.locator(".token.veiled").count() == 0
    for _ in range(30):
        page.evaluate("pass()")
    assert state(page) == left
    assert page.locator(".player input").input_value() == "7" and page.errors == []


def hovered(page, canvas, x: float, y: float) -> list[str]:
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
    page.wait_for_selector(".tip.on")
    return page.locator(".tip div").all_inner_texts()


def test_every_mark_says_what_it_is(mount, traces, english) -> None:
    figure = drawn(traces, english)
    page = mount(figure)
    transformer, mamba, jamba = (traces[name] for name in ("transformer", "mamba", "jamba"))
    cells = page.locator(".lane:nth-child(1) .mark.cells canvas")
    wide = min(22, cells.bounding_box()["width"] / 11) / cells.bounding_box()["width"]
    weight = np.mean([layer.part("attention").mean(0)[10, 3] for layer in transformer])
    first, about = hovered(page, cells, 3.5 * wide, 0.5)
    assert first.startswith("\u2423\ub291") and float(first.split()[-1]) == pytest.approx(weight, rel=6e-3)
    assert about == english("viz.reading.cells", layers=english("viz.reading.layer_many", layers="0\u20132"), heads=6)
    lines = hovered(page, page.locator(".lane:nth-child(2) .mark.tile canvas"), 0.01, 0.99)
    values = figure.data["mamba_state"].values
    assert float(lines[0].split()[-1]) == pytest.approx(values[10, 0, -1], rel=6e-3)
    assert "half-life" in lines[1] and lines[2] == figure.body.lanes[1].tile.about and len(mamba.layers) == 3
    chosen = jamba.layer(1).part("chosen_experts")[10]
    doors = page.locator(".lane:nth-child(4) .mark.doors canvas")
    for expert in range(8):
        said, layer = hovered(page, doors, (expert + 0.5) / 8, 0.25)
        assert ("not chosen" in said) == (expert not in chosen) and layer == english("viz.reading.doors", layer=1)
    share = hovered(page, page.locator(".lane:nth-child(2) .share"), 0.5, 0.5)
    assert float(share[0].split()[-1]) == pytest.approx(figure.data["mamba_written"].values[10], rel=6e-3)


def test_ink_names_the_word_under_the_pointer(mount, traces, english) -> None:
    figure = drawn(traces, english)
    page = mount(figure)
    canvas = page.locator(".lane:nth-child(3) .mark.ink canvas").last
    lines = hovered(page, canvas, 0.03, 0.2)
    share = figure.data["rwkv_ink"].values[10, 2, 10]
    assert lines[0].startswith("O ") and lines[1] == figure.body.lanes[2].ink.about[2]
    assert float(lines[0].split("·")[1].replace("\u202f%", "")) == pytest.approx(100 * share, abs=0.51)


ALPHAS = """([selector, x, y]) => {
  const canvas = document.querySelector(selector);
  const at = (v, n) => Math.min(n - 1, Math.floor(v * n));
  return canvas.getContext('2d').getImageData(at(x, canvas.width), at(y, canvas.height), 1, 1).data[3] / 255;
}"""


def test_the_colour_of_a_cell_follows_its_value(mount, traces, english) -> None:
    """The tile: opacity is the value over the largest value of that cell in the text."""
    figure = drawn(traces, english)
    page = mount(figure)
    values = figure.data["mamba_state"].values
    rows, columns = values.shape[1:]
    for row in range(0, rows, 5):
        for column in range(columns):
            place = [".lane:nth-child(2) .mark.tile canvas", (row + 0.45) / rows, (column + 0.45) / columns]
            behind = 1  # the ground of the tile is opaque: compare colours instead
            assert page.evaluate(ALPHAS, place) == behind
    page.locator(".text").focus()
    page.keyboard.press("Home")
    weights = figure.data["transformer_attention"].values
    header, _ = decode(figure.body.payload())
    high = header["lanes"][0]["cells"]["high"]
    canvas = ".lane:nth-child(1) .mark.cells canvas"
    wide = page.locator(canvas).bounding_box()["width"]
    step = min(22, wide / 11)
    for t in range(11):
        for cell in range(t):  # the newest has an outline
            drawn_alpha = page.evaluate(ALPHAS, [canvas, (cell + 0.45) * step / wide, 0.5])
            known = 0.09 + 0.91 * np.sqrt(min(1, weights[t, cell] / high))
            assert drawn_alpha == pytest.approx(known, abs=0.01)
        page.keyboard.press("ArrowRight")


@pytest.mark.parametrize("width", [330, 760, 1150, 1600])
@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_it_fits_every_width(mount, traces, english, width: int, theme) -> None:
    page = mount(drawn(traces, english, theme), width=width)
    overflow = page.evaluate(
        "() => { const r = document.querySelector('.hero'); return r.scrollWidth - r.clientWidth }"
    )
    assert overflow <= 0
    ends = page.locator(".hero .lane *").evaluate_all("all => all.map(e => e.getBoundingClientRect().right)")
    right = max(ends)
    assert right <= width + 0.5
    if width >= 1150:
        assert page.evaluate(HEIGHT) <= 600
    if width < 560:
        small = page.locator(".player button").evaluate_all("all => all.map(e => e.getBoundingClientRect().width)")
        assert min(small) >= 44


def test_lanes_of_other_tokens_move_on_by_characters(mount, english) -> None:
    import dataclasses

    from test_reading import PROMPT, cut

    from models.alignment import align_all

    traces = [dataclasses.replace(cut(name), label_of=lambda id_: f"id {id_}") for name in ("mamba", "transformer")]
    axis = align_all(PROMPT, [trace.tokens for trace in traces])
    page = mount(reading(traces, theme=LIGHT, t=english, alignment=axis, carried=((1, 2, 3, 4, 5), (10, 20))))
    page.locator(".text").focus()
    page.keyboard.press("Home")
    seen = []
    for _ in range(5):
        seen.append([lane(page, n).locator(".bytes strong").inner_text() for n in (0, 1)])
        page.keyboard.press("ArrowRight")
    assert seen == [["1 B", "–"], ["2 B", "–"], ["3 B", "10 B"], ["4 B", "10 B"], ["5 B", "20 B"]]
    assert lane(page, 1).locator("li .label").first.inner_text() == "id 1"
    assert "cd came: guessed first" in lane(page, 1).locator(".came").inner_text()
    assert page.errors == []


def test_hostile_text_stays_text(mount, traces, english) -> None:
    import dataclasses

    bad = "<img src=x onerror=window.hacked=1>"
    hostile = {
        name: dataclasses.replace(trace, prompt=bad + trace.prompt[len(bad) :], label_of=lambda id_: f"{bad}{{p}}{id_}")
        for name, trace in traces.items()
    }
    page = mount(drawn(hostile, english))
    assert page.locator("img").count() == 0
    assert page.locator("li .label").first.inner_text().startswith(bad)
    assert page.evaluate("window.hacked") is None


def test_a_model_that_still_reads_has_a_lane_that_says_so(mount, traces, english) -> None:
    some = {name: traces[name] for name in ("transformer", "mamba")}
    page = mount(drawn(some, english, waiting=("rwkv", "jamba")))
    assert page.locator(".lane:not(.waiting)").count() == 2
    assert page.locator(".lane.waiting .says").all_inner_texts() == ["RWKV is reading", "Jamba reads next"]
    assert page.locator(".lane.waiting").first.get_attribute("aria-busy") == "true"
    assert page.errors == []
