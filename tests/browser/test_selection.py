"""Choosing in the served app: tokens without the server, layers with little of it, the keyboard, and the address."""

import pytest
from playwright.sync_api import Page
from settling import settle

from pages.shared import site

LEARN = tuple(page.key for page in site.PAGES if page.section == "learn" and page.key != "encoder-decoder")
LAYER_LIMIT = 80 * 1024  # bytes
TEXT = "Once upon a time a fox lived"
LONG = "%20".join(["One morning the dog ran away and the girl was very sad."] * 7)
ZOOMED = ("matrix", "logits", "mosaic", "moved")
LOOK_MS = 60_000

PICTURES = """() => [...document.querySelectorAll(".stApp [class*='st-key-card-']")].map((card) => {
  const inner = [...card.querySelectorAll("*")].map((node) => node.shadowRoot).find(Boolean);
  const canvas = inner?.querySelector("canvas.base");
  return canvas ? [card.className.match(/st-key-card-(\\S+)/)[1], canvas.toDataURL()] : null;
}).filter(Boolean)"""
PAINTED = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
STILL = {"rwkv-spectrum"}  # a picture without tokens


def opened(visit, server, page: str, query: str = ""):
    """Open a learn page and wait until its bar stands and nothing more arrives."""
    visited = visit(f"{server.url}/{'' if page == site.HOME else page}{query}")
    visited.page.wait_for_selector(".bar .word", timeout=LOOK_MS)
    visited.page.wait_for_selector(".stApp canvas.base, [data-testid='stVegaLiteChart'] svg", timeout=LOOK_MS)
    settle(visited.page)
    calm(visited)
    return visited


def calm(visited) -> None:
    count = -1
    while count != len(visited.frames):
        count = len(visited.frames)
        visited.page.wait_for_timeout(1200)


def pictures(page: Page) -> dict[str, str]:
    return dict(page.evaluate(PICTURES))


@pytest.mark.parametrize("page", LEARN)
def test_a_token_changes_every_picture_and_the_address_without_the_server(server, visit, page: str) -> None:
    visited = opened(visit, server, page)
    drawn, frame = visited.page.evaluate(f"() => [({PICTURES})(), window.contextscope.selection.get().frame]")
    before = dict(drawn)
    token = 4 if frame != 4 else 6  # the overview may still play: not the token that its pictures have just shown
    visited.frames.clear()
    visited.page.locator(".bar .word").nth(token).hover()
    visited.page.wait_for_timeout(600)
    assert visited.frames == [], "hover is no affair of the server"
    visited.page.locator(".bar .word").nth(token).click()
    visited.page.evaluate(PAINTED)
    after = pictures(visited.page)
    unchanged = {name for name, picture in after.items() if picture == before[name]}
    assert unchanged <= STILL
    visited.page.wait_for_function(f"new URL(location.href).searchParams.get('token') === '{token}'", timeout=LOOK_MS)
    calm(visited)
    assert visited.frames == []
    assert visited.console_errors == []


def test_a_link_to_a_token_marks_its_word(server, visit) -> None:
    visited = opened(visit, server, "transformer", f"?text={TEXT}&token=3&layer=1&head=2")
    assert visited.page.locator(".bar .word.chosen").inner_text().strip() == "a"
    assert visited.page.locator(".bar .text").text_content() == TEXT


def test_a_layer_redraws_the_figures_in_sight_and_the_others_when_they_come(server, visit) -> None:
    visited = opened(visit, server, "mamba", "?layer=1")
    visited.page.locator(".bar .word").nth(2).click()
    visited.frames.clear()
    visited.page.locator(".st-key-reading-choices button").nth(3).click()
    shown = (
        "[...document.querySelectorAll('.st-key-card-mamba-{} .cs-subtitle')].some((n) => n.textContent.includes('3'))"
    )
    visited.page.wait_for_function(shown.format("hero"), timeout=LOOK_MS)
    calm(visited)
    assert sum(visited.frames) < LAYER_LIMIT
    assert not visited.page.evaluate(shown.format("hidden"))
    visited.page.locator(".st-key-card-mamba-hidden").scroll_into_view_if_needed()
    visited.page.wait_for_function(shown.format("hidden"), timeout=LOOK_MS)
    assert visited.page.evaluate("new URL(location.href).search").split("&") == ["?layer=3", "token=2"]
    assert visited.console_errors == []


def test_a_layer_sends_little_while_its_largest_picture_is_in_sight(server, visit) -> None:
    """Every frame of the state is sent, and the map above it may be in sight, too."""
    visited = opened(visit, server, "mamba", "?layer=1")
    for n, sight in ((3, "slice"), (4, "dt")):
        visited.page.locator(f".st-key-card-mamba-{sight}").evaluate("(card) => card.scrollIntoView({ block: 'end' })")
        calm(visited)
        visited.frames.clear()
        visited.page.locator(".st-key-reading-choices button").nth(n).click()
        shown = f"document.querySelector('.st-key-card-mamba-{sight} .cs-subtitle').textContent.includes('{n}')"
        visited.page.wait_for_function(shown, timeout=LOOK_MS)
        calm(visited)
        assert 0 < sum(visited.frames) < LAYER_LIMIT, sight


def test_the_keyboard_walks_over_words_and_layers(server, visit) -> None:
    visited = opened(visit, server, "transformer", "?layer=2&head=1")
    page = visited.page
    page.locator(".bar .text").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.wait_for_function("new URL(location.href).searchParams.get('token') === '2'", timeout=LOOK_MS)
    page.keyboard.press("Shift+ArrowRight")
    page.wait_for_function("new URL(location.href).searchParams.get('layer') === '3'", timeout=LOOK_MS)
    assert page.evaluate("new URL(location.href).searchParams.get('token')") == "2"
    assert page.evaluate("document.activeElement.shadowRoot?.activeElement?.className") == "text", "focus stays"
    page.keyboard.press(" ")
    page.wait_for_function("window.contextscope.selection.get().frame > 3", timeout=LOOK_MS)
    page.keyboard.press("Escape")
    assert page.evaluate("window.contextscope.selection.get().token") is None


def test_a_chosen_token_goes_to_the_next_page(server, visit) -> None:
    visited = opened(visit, server, "mamba")
    visited.page.locator(".bar .word").nth(6).click()
    word = visited.page.locator(".bar .word.chosen").inner_text()
    visited.page.get_by_role("link", name="RWKV").first.click()
    visited.page.wait_for_selector(".st-key-card-rwkv-decay", timeout=LOOK_MS)
    visited.page.wait_for_selector(".bar .word.chosen", timeout=LOOK_MS)
    assert visited.page.locator(".bar .word.chosen").inner_text() == word


def test_the_bar_stays_in_sight(server, visit) -> None:
    visited = opened(visit, server, "transformer")
    visited.page.locator(".st-key-card-transformer-mosaic").scroll_into_view_if_needed()
    visited.page.wait_for_timeout(400)
    box = visited.page.locator(".st-key-reading-bar").bounding_box()
    assert 50 <= box["y"] <= 60, "under the navigation"
    assert box["height"] <= 96


def test_a_range_of_a_long_text_is_that_of_every_figure_without_the_server(server, visit) -> None:
    visited = opened(visit, server, "transformer", f"?text={LONG}&layer=1&head=2")
    page = visited.page
    page.locator(".st-key-card-transformer-logits").scroll_into_view_if_needed()
    calm(visited)
    visited.frames.clear()
    before = pictures(page)
    page.locator(".st-key-card-transformer-logits .zoom .in").click()
    told = [page.locator(f".st-key-card-transformer-{name} .zoom .range").inner_text() for name in ZOOMED]
    assert len(set(told)) == 1
    assert len(page.evaluate("window.contextscope.selection.get().range")) == 2
    assert {name for name, picture in pictures(page).items() if picture == before[name]} == set()
    page.locator(".st-key-card-transformer-mosaic .zoom .whole").click()
    assert page.evaluate("window.contextscope.selection.get().range") is None
    assert pictures(page) == before
    page.wait_for_timeout(600)
    assert visited.frames == []
    assert visited.console_errors == []
