"""The overview's reading in the served app: it plays once, never where motion is not wanted, and without the server."""

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from settling import settle

from pages.shared.words import i18n

LOOK_MS = 60_000
CARD = ".st-key-card-overview-reading"
STORE = "window.contextscope.selection.get()"
WATCH = """() => {
  window.heights = new Set(); window.frames = [];
  const card = document.querySelector(".st-key-card-overview-reading");
  const look = () => {
    heights.add(Math.round(card.getBoundingClientRect().height));
    requestAnimationFrame(look);
  };
  look();
  window.contextscope.selection.on(({ state, changed }) => { if (changed.has("frame")) frames.push(state.frame) });
}"""

INSIDE = """([place, found]) => [...document.querySelectorAll(`.st-key-${place} *`)]
  .flatMap((node) => [...(node.shadowRoot?.querySelectorAll(found) ?? [])])"""
MAPS = f"() => ({INSIDE})(['card-overview-machines', 'canvas.base'])[0].toDataURL()"
CHOOSE = f"""() => {{
  const before = ({MAPS})();
  const token = window.contextscope.selection.get().frame + 2;
  ({INSIDE})(["reading-bar", ".word"])[token].click();
  return [before, token, ({MAPS})()];
}}"""  # at once: no step of the play comes between


@pytest.fixture
def context(chromium: Browser):
    """Open contexts of one visitor each: (motion, width) -> context."""
    opened: list[BrowserContext] = []

    def made(motion: str = "no-preference", width: int = 1280) -> BrowserContext:
        viewport = {"width": width, "height": 1000}
        opened.append(chromium.new_context(viewport=viewport, locale="en-US", reduced_motion=motion))
        return opened[-1]

    yield made
    for one in opened:
        one.close()


def arrive(page: Page, url: str) -> list[int]:
    """Open the overview and wait for the reading; return the sizes of all messages of the websocket, as they come."""
    sizes: list[int] = []

    def socket(made) -> None:
        made.on("framereceived", lambda data: sizes.append(len(data)))
        made.on("framesent", lambda data: sizes.append(len(data)))

    page.on("websocket", socket)
    page.goto(url)
    page.locator(f"{CARD} .lane canvas").first.wait_for(state="visible", timeout=LOOK_MS)
    settle(page)
    page.locator(CARD).scroll_into_view_if_needed()
    return sizes


def test_it_plays_once_in_a_visit_and_rests_on_the_last_token(server, context) -> None:
    page = context().new_page()
    text = "?text=The+wolf+and+the+fox+went+home"
    arrive(page, server.url + text)
    page.evaluate(WATCH)
    page.wait_for_function(f"{STORE}.playing", timeout=LOOK_MS)
    page.wait_for_function(f"!{STORE}.playing && {STORE}.frame > 3", timeout=LOOK_MS)
    last = int(page.locator(f"{CARD} input[type=range]").get_attribute("max"))
    assert page.evaluate(f"{STORE}.frame") == last
    assert page.evaluate("[...heights].length") == 1, "the card keeps its height"
    assert page.locator(f"{CARD} .token:is(.ahead, .veiled)").count() == 0
    arrive(page, server.url + text)
    page.evaluate(WATCH)
    page.wait_for_timeout(2500)
    assert page.evaluate("frames") == [] and page.evaluate(f"{STORE}.playing") is False


def test_a_word_of_the_bar_ends_the_play_and_is_the_choice_of_every_figure(server, context) -> None:
    page = context().new_page()
    arrive(page, server.url)
    page.wait_for_function(f"{STORE}.playing && {STORE}.frame > 1", timeout=LOOK_MS)
    before, token, after = page.evaluate(CHOOSE)
    assert after != before
    page.wait_for_timeout(1500)
    state = page.evaluate(STORE)
    assert (state["token"], state["frame"], state["playing"]) == (token, None, False)
    slider = page.locator(f"{CARD} input[type=range]")
    assert slider.input_value() == str(token)
    assert page.evaluate(MAPS) == after


def test_it_rests_where_motion_is_not_wanted(server, context) -> None:
    page = context("reduce").new_page()
    arrive(page, server.url)
    page.evaluate(WATCH)
    page.wait_for_timeout(2500)
    assert page.evaluate("frames") == []
    slider = page.locator(f"{CARD} input[type=range]")
    assert slider.input_value() == slider.get_attribute("max")


@pytest.mark.parametrize("width", [390, 1280])
def test_playing_hovering_and_stepping_ask_the_server_nothing_and_move_nothing(server, context, width: int) -> None:
    page = context("reduce", width).new_page()
    sizes = arrive(page, server.url)
    page.evaluate(WATCH)
    page.wait_for_timeout(500)
    sizes.clear()
    text = page.locator(f"{CARD} .text")
    text.focus()
    page.keyboard.press("Home")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert page.evaluate(f"{STORE}.frame") == 3
    page.keyboard.press(" ")
    page.wait_for_function(f"{STORE}.frame >= 6", timeout=LOOK_MS)
    page.keyboard.press(" ")
    page.locator(f"{CARD} .token").nth(9).hover()
    assert page.evaluate(f"{STORE}.hover") is not None
    page.locator(f"{CARD} .lane canvas").first.hover(position={"x": 8, "y": 20})
    expect(page.locator(f"{CARD} .tip")).to_have_class("tip on")
    page.locator(f"{CARD} .finding").hover()
    assert sizes == []
    assert page.evaluate("[...heights].length") == 1
    expect(text).to_be_focused()


def test_a_new_sentence_is_read_from_its_end_in_the_same_card(server, context) -> None:
    page = context("reduce").new_page()
    arrive(page, server.url)
    page.locator(f"{CARD} .text").focus()
    page.keyboard.press("Home")
    box = page.locator(".st-key-overview-prompt textarea")
    box.fill("민수가 웃으면 저도 웃고")
    box.press("Enter")
    expect(page.locator(f"{CARD} .text")).to_contain_text("민수가 웃으면 저도 웃고", timeout=LOOK_MS)
    slider = page.locator(f"{CARD} input[type=range]")
    expect(slider).to_have_value(slider.get_attribute("max"))
    said = page.locator(f"{CARD} .root").get_attribute("aria-label")
    assert said.startswith(i18n.say("en", "viz.reading.alt", count=4, finding="")[:20])
