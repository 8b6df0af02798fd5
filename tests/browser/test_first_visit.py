"""A first visit, in an empty profile: dressed at once, nothing jumps, little is fetched, everything fits the window.

Each page is visited once in a window and once on a phone; what was seen there is what all tests ask about.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route
from settling import settle

from pages.shared import document, site

LOOK_MS = 60_000  # how long to look for something; no time is tested
WINDOW, PHONE = 1280, 390
WIDTHS = {WINDOW: (1440, 1920), PHONE: ()}  # the first, and those the window is drawn to afterwards
FIGURE = "[class*='st-key-card-'] :is(canvas, [data-testid='stVegaLiteChart'] :is(svg, canvas), .main-svg)"
MOST_SHIFT = 0.1  # what counts as good (web.dev, Cumulative Layout Shift)
MOST_BYTES = 1.6 * 2**20  # of all that is fetched
PLOTLY_BYTES = 1.4 * 2**20  # more where its figures stand
PLOTTED = ("benchmark",)  # pages on which plotly draws at first sight
PLANNING = ("benchmark", PHONE)  # its settings are not calm on a phone yet: 0.13 to 0.20
PLACE_PX = 36  # by which a place may miss its picture: two lines of words
FINGER = 40  # pixels
# What the server may send for a page, in messages and kilobytes: about a quarter more than it does.
MOST_MESSAGES = 400
MOST_KB = 580

SHIFTS = """() => new Promise((done) => {
  let sum = 0;
  new PerformanceObserver((list) => list.getEntries().forEach((one) => (sum += one.hadRecentInput ? 0 : one.value)))
    .observe({ type: "layout-shift", buffered: true });
  setTimeout(() => done(sum), 300);
})"""
DRESSED = """() => [
  performance.getEntriesByName("first-contentful-paint")[0].startTime,
  Object.fromEntries(performance.getEntriesByType("resource").filter((one) => one.name.includes("assets/style"))
    .map((one) => [one.name.split("/").pop().split("?")[0], one.responseEnd])),
]"""
PLACES = """() => [...document.querySelectorAll("[class*='-canvas'].stElementContainer")].map((place) => {
  const drawn = place.getBoundingClientRect().height;
  place.style.height = "";
  const kept = place.getBoundingClientRect().height;
  place.style.height = "auto";
  return [place.className.match(/st-key-(\\S+)/)[1], Math.round(drawn), Math.round(kept)];
})"""
SMALL = """(finger) => [...document.querySelectorAll(".stApp button, .stApp summary, [data-testid='stPageLink'] a")]
  .filter((one) => one.checkVisibility({ visibilityProperty: true }) && one.innerText.trim())
  .map((one) => [one.innerText.trim().slice(0, 20), one.getBoundingClientRect()])
  .filter(([, { width, height }]) => width && Math.min(width, height) < finger)
  .map(([words, { width, height }]) => `${words}: ${Math.round(width)} x ${Math.round(height)}`)"""
TOO_WIDE = "() => { const m = document.querySelector('[data-testid=stMain]'); return m.scrollWidth - m.clientWidth }"
PLACED_RULES = "all => all.filter(one => one.closest('.stHtml')).length"


@dataclass
class FirstVisit:
    """What was seen when a page was opened in an empty profile."""

    messages: list[int] = field(default_factory=list)  # bytes of each one of the server
    drawn: list[int] = field(default_factory=list)  # how many messages had come when the first figure was said to stand
    fetched: dict[str, float] = field(default_factory=dict)  # bytes by request
    asked: list[str] = field(default_factory=list)  # addresses
    complaints: list[str] = field(default_factory=list)
    shift: float = 0.0
    painted_ms: float = 0.0
    sheets_ms: dict[str, float] = field(default_factory=dict)  # when each style sheet had come
    placed_rules: int = 0  # style elements among the elements of the page
    title: tuple[str, str] = ("", "")  # style and colour of its emphasis
    places: list[tuple[str, int, int]] = field(default_factory=list)  # name, height drawn, height kept
    small: list[str] = field(default_factory=list)  # targets too small for a finger
    too_wide: dict[int, float] = field(default_factory=dict)  # pixels, by width of the window
    frame: dict[int, list[tuple[float, float]]] = field(default_factory=dict)  # mark and corner: left and right


def settled(page: Page) -> None:
    """Wait until a figure is on screen and the script has run to its end."""
    page.locator(FIGURE).first.wait_for(state="visible", timeout=LOOK_MS)
    settle(page)


def listen(page: Page, seen: FirstVisit) -> None:
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    network.on("Network.responseReceived", lambda event: seen.fetched.setdefault(event["requestId"], 0))
    network.on(
        "Network.loadingFinished", lambda event: seen.fetched.update({event["requestId"]: event["encodedDataLength"]})
    )
    page.on("request", lambda request: seen.asked.append(request.url))
    page.on("request", lambda asked: seen.drawn.append(len(seen.messages)) if "api/drawn" in asked.url else None)
    page.on("websocket", lambda socket: socket.on("framereceived", lambda data: seen.messages.append(len(data))))
    page.on("console", lambda said: seen.complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: seen.complaints.append(f"uncaught: {error}"))


def look(page: Page, seen: FirstVisit, width: int) -> None:
    """Note what a settled page shows; what is measured first is not changed by what comes after."""
    seen.messages = list(seen.messages)
    seen.shift = page.evaluate(SHIFTS)
    seen.painted_ms, seen.sheets_ms = page.evaluate(DRESSED)
    seen.placed_rules = page.locator("style:not(head style)").evaluate_all(PLACED_RULES)
    style = "one => [getComputedStyle(one).fontStyle, getComputedStyle(one).color]"
    seen.title = tuple(page.locator("h1 em").first.evaluate(style))
    seen.small = page.evaluate(SMALL, FINGER)
    for each in (width, *WIDTHS[width]):
        if each != width:
            page.set_viewport_size({"width": each, "height": 900})
            page.wait_for_timeout(300)
        seen.too_wide[each] = page.evaluate(TOO_WIDE)
        boxes = [page.locator(place).bounding_box() for place in (".st-key-frame-mark", ".st-key-frame-corner")]
        seen.frame[each] = [(box["x"], box["x"] + box["width"]) for box in boxes if box]
        if each == width:
            page.wait_for_timeout(500)
            seen.places = page.evaluate(PLACES)


@pytest.fixture(scope="module")
def first_visit(server, chromium: Browser) -> Callable[[str, int], FirstVisit]:
    """Give what was seen of a page at a width: English and dark in a window, Korean and light on a phone."""
    known: dict[tuple[str, int], FirstVisit] = {}

    def made(page: str, width: int) -> FirstVisit:
        kind: dict[str, Any] = (
            {"viewport": {"width": PHONE, "height": 844}, "locale": "ko-KR", "has_touch": True, "is_mobile": True}
            if width == PHONE
            else {"viewport": {"width": width, "height": 900}, "locale": "en-US", "color_scheme": "dark"}
        )
        context: BrowserContext = chromium.new_context(**kind)
        try:
            opened, seen = context.new_page(), FirstVisit()
            listen(opened, seen)
            opened.goto(f"{server.url}/{site.page(page).url_path}")
            settled(opened)
            look(opened, seen, width)
        finally:
            context.close()
        return seen

    def chosen(page: str, width: int) -> FirstVisit:
        if (page, width) not in known:
            known[page, width] = made(page, width)
        return known[page, width]

    return chosen


each_page = pytest.mark.parametrize("page", site.KEYS)
each_width = pytest.mark.parametrize("width", list(WIDTHS))


@pytest.mark.parametrize(
    ("page", "width"), [(page, width) for page in site.KEYS for width in WIDTHS if (page, width) != PLANNING]
)
def test_nothing_jumps_while_a_page_opens(first_visit, page: str, width: int) -> None:
    assert first_visit(page, width).shift < MOST_SHIFT


@each_width
@each_page
def test_a_page_fits_its_window(first_visit, page: str, width: int) -> None:
    seen = first_visit(page, width)
    assert {at: wide for at, wide in seen.too_wide.items() if wide > 1} == {}
    for at, boxes in seen.frame.items():
        assert len(boxes) == 2
        assert all(left >= 0 and right <= at for left, right in boxes), (at, boxes)


@each_width
@pytest.mark.parametrize("page", [page for page in site.KEYS if page not in ("benchmark", "recall")])
def test_the_place_of_a_picture_is_as_high_as_the_picture(first_visit, page: str, width: int) -> None:
    places = first_visit(page, width).places
    assert places
    assert {name: (drawn, kept) for name, drawn, kept in places if abs(drawn - kept) > PLACE_PX} == {}


@each_page
def test_a_page_is_dressed_at_first_paint(first_visit, page: str) -> None:
    seen = first_visit(page, WINDOW)
    assert {sheet.name for sheet in document.sheets()} <= set(seen.sheets_ms)
    assert max(seen.sheets_ms[sheet.name] for sheet in document.sheets()) <= seen.painted_ms
    assert seen.placed_rules == 0, "no rules come with the elements of the page"
    assert seen.title[0] == "normal"
    if page == "transformer":
        assert seen.title[1] == "rgb(90, 176, 242)"


@each_width
@each_page
def test_a_first_visit_fetches_little(first_visit, page: str, width: int) -> None:
    seen = first_visit(page, width)
    assert 2**19 < sum(seen.fetched.values()) < MOST_BYTES + (PLOTLY_BYTES if page in PLOTTED else 0)
    assert not [url for url in seen.asked if "SourceSans" in url or "DataFrame" in url]
    assert len([url for url in seen.asked if "Plotly" in url]) == (page in PLOTTED), "where it draws, and once"
    if page in ("transformer", "mamba"):
        assert not [url for url in seen.asked if "Vega" in url], "nothing on this page is drawn with it"


@each_width
@pytest.mark.parametrize("page", [page for page in site.KEYS if page != "benchmark"])
def test_a_page_is_sent_in_few_messages(first_visit, page: str, width: int) -> None:
    sizes = first_visit(page, width).messages
    assert 20 < len(sizes) <= MOST_MESSAGES
    assert sum(sizes) / 1000 <= MOST_KB


@each_width
@pytest.mark.parametrize("page", [page for page in site.KEYS if page != "benchmark"])
def test_the_first_figure_is_drawn_before_the_rest_is_sent(first_visit, page: str, width: int) -> None:
    seen = first_visit(page, width)
    (drawn,) = seen.drawn
    assert 20 < drawn < len(seen.messages) - 30


@each_page
def test_fingers_find_what_they_aim_at(first_visit, page: str) -> None:
    assert first_visit(page, PHONE).small == []


@each_width
@each_page
def test_nothing_complains_and_nothing_leaves_the_machine(first_visit, page: str, width: int) -> None:
    seen = first_visit(page, width)
    assert seen.complaints == []
    assert not [url for url in seen.asked if not url.startswith(("http://localhost:", "data:", "blob:"))]


@pytest.fixture
def cold_page(chromium: Browser) -> Iterator[Page]:
    """Give a page of a profile that has fetched nothing."""
    context = chromium.new_context(viewport={"width": WINDOW, "height": 900}, locale="en-US")
    yield context.new_page()
    context.close()


def test_an_outline_stands_in_the_place_of_a_picture_until_it_is_drawn(server, cold_page) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page: Page = cold_page
    page.route("**/assets/script/mechanism.js*", hold)
    page.goto(f"{server.url}/transformer")
    place = page.locator(".st-key-transformer-hero-mechanism")
    place.wait_for(timeout=LOOK_MS)
    page.wait_for_function("document.querySelectorAll(\"[class*='-canvas'].stElementContainer\").length > 2")
    outlined = "one => getComputedStyle(one, '::after').content !== 'none'"
    mask = place.evaluate("one => getComputedStyle(one, '::after').maskImage")
    assert place.evaluate(outlined)
    assert mask.startswith("url(")
    assert place.evaluate("one => one.innerText.trim()") == ""
    height = place.bounding_box()["height"]
    while not held:
        page.wait_for_timeout(50)
    for route in held:
        route.continue_()
    settled(page)
    assert not place.evaluate(outlined)
    assert place.bounding_box()["height"] == pytest.approx(height, abs=PLACE_PX)


def test_shifts_and_small_targets_are_noticed(server, visit) -> None:
    """What jumps and what is small is seen: the measures can be broken."""
    page = visit(f"{server.url}/mamba").page
    settled(page)
    page.evaluate("document.querySelector(\"[class*='st-key-page-']\").style.marginTop = '300px'")
    page.wait_for_timeout(300)
    assert page.evaluate(SHIFTS) > MOST_SHIFT
    page.add_style_tag(content=".stApp [class*='st-key-'][class*='st-key-'] button { all: unset !important }")
    assert page.evaluate(SMALL, FINGER)
