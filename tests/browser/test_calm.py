"""A page is calm: dressed at once, nothing jumps, little is fetched; a choice keeps focus and can be undone."""

import pytest
from playwright.sync_api import Locator, Page, expect

from pages.shared import document, site
from pages.shared.words import content, i18n

LOOK_MS = 60_000  # how long to look for something; no time is tested
CARD = "[class*='st-key-card-']"
FIGURE = f"{CARD} :is(canvas, [data-testid='stVegaLiteChart'] :is(svg, canvas))"
MOST_SHIFT = 0.1  # what counts as good (web.dev, Cumulative Layout Shift)
MOST_BYTES = 1.6 * 2**20  # of a first visit
PLANNING = ("benchmark", 390)  # its settings are not calm on a phone yet: 0.13 to 0.20
PLACE_PX = 36  # by which a place may miss its picture: two lines of words
SENTENCE = "The little fox went down to the river and the fox sang."

SHIFTS = """() => new Promise((done) => {
  let sum = 0;
  new PerformanceObserver((list) => list.getEntries().forEach((one) => (sum += one.hadRecentInput ? 0 : one.value)))
    .observe({ type: "layout-shift", buffered: true });
  setTimeout(() => done(sum), 300);
})"""
WATCH_CARD = """() => {
  window.heights = new Set();
  const look = () => {
    const card = document.querySelector("[class*='st-key-card-']");
    window.heights.add(card ? Math.round(card.getBoundingClientRect().height) : 0);
    requestAnimationFrame(look);
  };
  look();
}"""
PLACES = """() => [...document.querySelectorAll("[class*='-canvas'].stElementContainer")].map((place) => {
  const drawn = place.getBoundingClientRect().height;
  place.style.height = "";
  const kept = place.getBoundingClientRect().height;
  place.style.height = "auto";
  return [place.className.match(/st-key-(\\S+)/)[1], Math.round(drawn), Math.round(kept)];
})"""


def address(url: str, page: str, query: str = "") -> str:
    return f"{url}/{site.page(page).url_path}{query}"


def settled(page: Page) -> None:
    """Wait until a figure is on screen and the script has run to its end."""
    page.locator(FIGURE).first.wait_for(state="visible", timeout=LOOK_MS)
    page.locator("[data-test-script-state='notRunning']").first.wait_for(state="attached", timeout=LOOK_MS)
    page.wait_for_load_state("networkidle", timeout=LOOK_MS)


def layer_buttons(page: Page):
    return page.locator(".st-key-transformer-layer button")


def chosen_layer(page: Page):
    return page.locator(".st-key-transformer-layer button[aria-checked='true']")


@pytest.mark.parametrize(
    ("page", "width"), [(page, width) for page in site.KEYS for width in (1280, 390) if (page, width) != PLANNING]
)
def test_nothing_jumps_while_a_page_opens(server, visit, page: str, width: int) -> None:
    seen = visit(address(server.url, page), width=width, cold=True)
    settled(seen.page)
    assert seen.page.evaluate(SHIFTS) < MOST_SHIFT


def test_shifts_are_seen(server, visit) -> None:
    """Something that jumps is noticed: the measure can be broken."""
    seen = visit(address(server.url, "mamba"))
    settled(seen.page)
    seen.page.evaluate("document.querySelector(\"[class*='st-key-page-']\").style.marginTop = '300px'")
    seen.page.wait_for_timeout(300)
    assert seen.page.evaluate(SHIFTS) > MOST_SHIFT


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("page", [page for page in site.KEYS if page not in ("benchmark", "recall")])
def test_the_place_of_a_picture_is_as_high_as_the_picture(server, visit, page: str, width: int) -> None:
    seen = visit(address(server.url, page), lang="ko", width=width, cold=True)
    settled(seen.page)
    seen.page.wait_for_timeout(500)
    places = seen.page.evaluate(PLACES)
    assert places
    assert {name: (drawn, kept) for name, drawn, kept in places if abs(drawn - kept) > PLACE_PX} == {}


def test_an_outline_stands_in_the_place_of_a_picture_until_it_is_drawn(server, visit) -> None:
    held: list = []
    seen = visit("about:blank", cold=True)
    seen.page.route("**/assets/script/canvas.js*", held.append)
    seen.page.goto(address(server.url, "transformer"))
    place = seen.page.locator(".st-key-transformer-hero-canvas")
    place.wait_for(timeout=LOOK_MS)
    seen.page.wait_for_function("document.querySelectorAll(\"[class*='-canvas'].stElementContainer\").length > 2")
    outlined = "one => getComputedStyle(one, '::after').content !== 'none'"
    mask = place.evaluate("one => getComputedStyle(one, '::after').maskImage")
    assert place.evaluate(outlined)
    assert mask.startswith("url(")
    assert place.evaluate("one => one.innerText.trim()") == ""
    height = place.bounding_box()["height"]
    while not held:
        seen.page.wait_for_timeout(50)
    for route in held:
        route.continue_()
    settled(seen.page)
    assert not place.evaluate(outlined)
    assert place.bounding_box()["height"] == pytest.approx(height, abs=PLACE_PX)


def test_a_page_is_dressed_at_first_paint(server, visit) -> None:
    seen = visit(address(server.url, "transformer"), dark=True, cold=True)
    settled(seen.page)
    painted, came = seen.page.evaluate(
        "() => [performance.getEntriesByName('first-contentful-paint')[0].startTime, "
        "Object.fromEntries(performance.getEntriesByType('resource').filter(one => one.name.includes('assets/style'))"
        ".map(one => [one.name.split('/').pop().split('?')[0], one.responseEnd]))]"
    )
    assert {sheet.name for sheet in document.sheets()} <= set(came)
    assert max(came[sheet.name] for sheet in document.sheets()) <= painted
    assert (
        seen.page.locator("style:not(head style)").evaluate_all(
            "all => all.filter(one => one.closest('.stHtml')).length"
        )
        == 0
    ), "no rules come with the elements of the page"
    title = seen.page.locator("h1 em").first
    assert title.evaluate("one => getComputedStyle(one).fontStyle") == "normal"
    assert title.evaluate("one => getComputedStyle(one).color") == "rgb(90, 176, 242)"


@pytest.mark.parametrize("page", site.KEYS)
def test_a_first_visit_fetches_little(server, visit, page: str) -> None:
    seen = visit("about:blank", cold=True)
    sizes: dict[str, float] = {}
    network = seen.page.context.new_cdp_session(seen.page)
    network.send("Network.enable")
    network.on("Network.responseReceived", lambda event: sizes.setdefault(event["requestId"], 0))
    network.on("Network.loadingFinished", lambda event: sizes.update({event["requestId"]: event["encodedDataLength"]}))
    asked: list[str] = []
    seen.page.on("request", lambda request: asked.append(request.url))
    seen.page.goto(address(server.url, page))
    settled(seen.page)
    assert 2**19 < sum(sizes.values()) < MOST_BYTES
    assert not [url for url in asked if "SourceSans" in url or "Plotly" in url or "DataFrame" in url]
    if page in ("transformer", "mamba"):
        assert not [url for url in asked if "Vega" in url], "nothing on this page is drawn with it"


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
    stage = seen.page.locator(".st-key-transformer-hero-canvas canvas.base").first
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
