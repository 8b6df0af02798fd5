"""The page side by side in Chromium: one chosen word for all rows, and a word that is replaced."""

from playwright.sync_api import Page
from settling import settle

LOOK_MS = 60_000  # how long to look; no time is tested
PICTURES = """() => [...document.querySelectorAll(".stApp [class*='st-key-card-']")].map((card) => {
  const inner = [...card.querySelectorAll("*")].map((node) => node.shadowRoot).find(Boolean);
  const canvas = inner?.querySelector("canvas.base");
  return canvas ? [card.className.match(/st-key-card-(\\S+)/)[1], canvas.toDataURL()] : null;
}).filter(Boolean)"""
PAINTED = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
PAGE = "side-by-side"
TEXT = "Once upon a time a fox lived in a wood"
FINDING = f".st-key-card-{PAGE}-rows .cs-finding"


def pictures(page: Page) -> dict[str, str]:
    return dict(page.evaluate(PICTURES))


def calm(visited) -> None:
    """Wait until nothing more arrives: all gradient rows are there."""
    count = -1
    while count != len(visited.frames):
        count = len(visited.frames)
        visited.page.wait_for_timeout(1200)


def opened(visit, server, query: str):
    """Open the page and wait until all gradient rows are there."""
    visited = visit(f"{server.url}/{PAGE}?text={TEXT}{query}")
    visited.page.wait_for_selector(".bar .word", timeout=LOOK_MS)
    settle(visited.page)
    calm(visited)
    return visited


def test_a_word_is_chosen_for_all_rows_at_once(server, visit) -> None:
    visited = opened(visit, server, "")
    before, said = pictures(visited.page), visited.page.locator(FINDING).inner_text()
    visited.page.locator(".bar .word").nth(6).click()
    visited.page.evaluate(PAINTED)
    after = pictures(visited.page)
    assert {f"{PAGE}-rows", f"{PAGE}-surprisal"} <= {name for name in after if after[name] != before[name]}
    assert visited.page.locator(FINDING).inner_text() != said
    visited.page.wait_for_function("new URL(location.href).searchParams.get('token') === '6'", timeout=LOOK_MS)
    assert visited.console_errors == []


def test_time_moves_the_rows_without_the_server(server, visit) -> None:
    visited = opened(visit, server, "&token=3")
    before = pictures(visited.page)[f"{PAGE}-rows"]
    visited.frames.clear()
    visited.page.evaluate("window.contextscope.selection.set({ frame: 7 })")
    visited.page.evaluate(PAINTED)
    assert pictures(visited.page)[f"{PAGE}-rows"] != before
    visited.page.wait_for_timeout(800)
    assert visited.frames == []


def test_a_replaced_word_is_in_the_address_and_survives_a_reload(server, visit) -> None:
    visited = opened(visit, server, "&mode=2&token=6")
    field = visited.page.locator(f".st-key-{PAGE}-word input")
    field.fill("dog")
    field.press("Enter")
    visited.page.wait_for_function("new URL(location.href).searchParams.get('other')?.includes('dog')", timeout=LOOK_MS)
    visited.page.reload()
    visited.page.wait_for_selector(".bar .word", timeout=LOOK_MS)
    settle(visited.page)
    assert "a dog lived" in visited.page.locator(f".st-key-{PAGE}-other textarea").input_value()
    assert visited.console_errors == []
