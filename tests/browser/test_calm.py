"""A page stays calm: a choice keeps the focus, moves nothing and can be undone; how it opens: test_first_visit.py."""

import pytest
from playwright.sync_api import Locator, Page, expect
from settling import settle

from pages.shared import document, site
from pages.shared.words import content, i18n

LOOK_MS = 60_000  # how long to look for something; no time is tested
CARD = "[class*='st-key-card-']"
FIGURE = f"{CARD} :is(canvas, [data-testid='stVegaLiteChart'] :is(svg, canvas), .main-svg)"
SENTENCE = "The little fox went down to the river and the fox sang."

WATCH_CARD = """() => {
  window.heights = new Set();
  const look = () => {
    const card = document.querySelector("[class*='st-key-card-']");
    window.heights.add(card ? Math.round(card.getBoundingClientRect().height) : 0);
    requestAnimationFrame(look);
  };
  look();
}"""

WATCH_DOCUMENT = """() => {
  window.written = [];
  const told = { attributeFilter: ["lang", "style", "data-page", "data-mode"] };
  new MutationObserver((all) => window.written.push(...all.map((one) => one.attributeName)))
    .observe(document.documentElement, told);
}"""


def address(url: str, page: str, query: str = "") -> str:
    return f"{url}/{site.page(page).url_path}{query}"


def settled(page: Page) -> None:
    """Wait until a figure is on screen and the script has run to its end."""
    page.locator(FIGURE).first.wait_for(state="visible", timeout=LOOK_MS)
    settle(page)


def layer_buttons(page: Page):
    return page.locator(".st-key-transformer-layer button")


def chosen_layer(page: Page):
    return page.locator(".st-key-transformer-layer button[aria-checked='true']")


def test_the_first_choice_moves_nothing_and_keeps_the_focus(server, visit) -> None:
    seen = visit(address(server.url, "transformer"))
    settled(seen.page)
    seen.page.evaluate(WATCH_CARD)
    for number in (2, 3):
        layer_buttons(seen.page).nth(number).click()
        expect(chosen_layer(seen.page)).to_have_text(str(number), timeout=LOOK_MS)
        seen.page.wait_for_url(f"**layer={number}**", timeout=LOOK_MS)
        settled(seen.page)
        assert seen.page.evaluate("document.activeElement.innerText") == str(number)
    assert len(seen.page.evaluate("[...window.heights]")) == 1


def test_a_run_does_not_write_what_the_document_says_already(server, visit) -> None:
    """A browser computes the style of every element anew when the document's language is set, even to the same one."""
    seen = visit(address(server.url, "transformer"))
    settled(seen.page)
    seen.page.wait_for_function("document.documentElement.dataset.mode", timeout=LOOK_MS)  # written once, at the end
    seen.page.evaluate(WATCH_DOCUMENT)
    layer_buttons(seen.page).nth(2).click()
    seen.page.wait_for_url("**layer=2**", timeout=LOOK_MS)
    settled(seen.page)
    assert seen.page.evaluate("window.written") == []
    seen.page.locator(".st-key-frame-lang").get_by_text(i18n.say("ko", "frame.language_name")).click()
    seen.page.wait_for_url("**lang=ko**", timeout=LOOK_MS)
    settled(seen.page)
    assert seen.page.evaluate("window.written") == ["lang"]


def test_back_undoes_one_choice_after_the_other(server, visit) -> None:
    seen = visit(address(server.url, "transformer"))
    settled(seen.page)
    page, box = seen.page, seen.page.locator(".st-key-transformer-prompt textarea")
    first, entries = box.input_value(), page.evaluate("history.length")
    for number in (2, 3):
        layer_buttons(page).nth(number).click()
        page.wait_for_url(f"**layer={number}**", timeout=LOOK_MS)
        settled(page)
    box.fill(SENTENCE)
    box.press("Enter")
    page.wait_for_url("**text=**", timeout=LOOK_MS)
    settled(page)
    assert page.evaluate("history.length") == entries + 3
    for text, layer in ((first, "3"), (first, "2")):
        page.go_back()
        expect(box).to_have_value(text, timeout=LOOK_MS)
        expect(chosen_layer(page)).to_have_text(layer, timeout=LOOK_MS)
    page.go_back()
    page.wait_for_url(lambda url: "layer" not in url, timeout=LOOK_MS)
    expect(chosen_layer(page)).to_have_count(1, timeout=LOOK_MS)
    page.go_forward()
    expect(chosen_layer(page)).to_have_text("2", timeout=LOOK_MS)
    assert page.evaluate("history.length") == entries + 3
    assert seen.console_errors == []


def test_back_undoes_the_language(server, visit) -> None:
    seen = visit(address(server.url, "mamba"))
    settled(seen.page)
    seen.page.locator(".st-key-frame-lang").get_by_text(i18n.say("ko", "frame.language_name")).click()
    expect(seen.page.locator("html")).to_have_attribute("lang", "ko", timeout=LOOK_MS)
    seen.page.wait_for_url("**lang=ko**", timeout=LOOK_MS)
    seen.page.go_back()
    expect(seen.page.locator("html")).to_have_attribute("lang", "en", timeout=LOOK_MS)
    nav = seen.page.locator("[data-testid='stTopNavLink']").first
    expect(nav).to_have_text(i18n.say("en", "nav.overview"), timeout=LOOK_MS)


def test_open_sections_stay_open_in_the_other_language(server, visit) -> None:
    seen = visit(address(server.url, "mamba"))
    settled(seen.page)

    def section(name: str, lang: str) -> Locator:
        title = content.figure_facts(name).hood["title"][lang]
        summary = seen.page.locator("[class*='st-key-hood-'] summary").filter(has_text=title)
        return summary.locator("xpath=..")

    def is_open(name: str, lang: str, wanted: bool) -> None:
        told = expect(section(name, lang))
        (told.to_have_attribute if wanted else told.not_to_have_attribute)("open", "", timeout=LOOK_MS)
        settled(seen.page)

    for name, wanted in (("token_strip", True), ("logit_lens", True), ("logit_lens", False)):
        section(name, "en").locator("summary").first.click()
        is_open(name, "en", wanted)
    seen.page.locator(".st-key-frame-lang").get_by_text(i18n.say("ko", "frame.language_name")).click()
    expect(seen.page.locator("html")).to_have_attribute("lang", "ko", timeout=LOOK_MS)
    is_open("token_strip", "ko", True)
    expect(section("token_strip", "ko").locator("canvas.base")).to_be_visible(timeout=LOOK_MS)
    is_open("logit_lens", "ko", False)


def test_a_chosen_token_changes_the_entry_of_history_that_is_there(server, visit) -> None:
    seen = visit(address(server.url, "transformer"))
    settled(seen.page)
    entries = seen.page.evaluate("history.length")
    stage = seen.page.locator(".st-key-transformer-logits-canvas canvas.base").first
    stage.click(position={"x": 200, "y": 60})
    seen.page.wait_for_url("**token=**", timeout=LOOK_MS)
    assert seen.page.evaluate("history.length") == entries


@pytest.mark.parametrize("lang", i18n.LANGS)
def test_every_page_has_its_title(server, visit, lang: str) -> None:
    seen = visit(address(server.url, "overview"), lang=lang)
    settled(seen.page)
    assert seen.page.title() == document.title("overview", lang)
    for page in ("mamba", "recall"):
        name = i18n.say(lang, f"nav.{page}")
        seen.page.locator("[data-testid='stTopNavLink']").filter(has_text=name).click()
        expect(seen.page).to_have_title(document.title(page, lang), timeout=LOOK_MS)


def test_reading_is_shown_from_the_first_moment_and_words_never_fade(server, visit) -> None:
    seen = visit(address(server.url, "mamba"))
    settled(seen.page)
    box = seen.page.locator(".st-key-mamba-prompt textarea")
    root = seen.page.locator("html")
    box.fill(SENTENCE)
    at_once = box.evaluate(
        "box => { box.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', bubbles: true}));"
        " return 'reading' in document.documentElement.dataset }"
    )
    assert at_once
    box.press("Enter")
    seen.page.wait_for_url("**text=**", timeout=LOOK_MS)
    expect(root).not_to_have_attribute("data-reading", "", timeout=LOOK_MS)
    faded = seen.page.evaluate(
        "() => { document.documentElement.dataset.reading = '';"
        " const opacity = (found) => { found.dataset.stale = 'true'; found.getAnimations().forEach(a => a.finish());"
        "   return Number(getComputedStyle(found).opacity) };"
        " const words = document.querySelector(\"[class*='st-key-words-'] .stElementContainer\");"
        " const figure = document.querySelector(\"[class*='-canvas'].stElementContainer\");"
        " return [opacity(words), opacity(figure)] }"
    )
    assert faded[0] == 1
    assert faded[1] < 1
