"""On a phone the list of pages closes, and its arrow can be tapped; the size of targets: test_first_visit.py."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from settling import settle

from pages.shared import site

LOOK_MS = 60_000
FIGURE = "[class*='st-key-card-'] :is(canvas, [data-testid='stVegaLiteChart'] :is(svg, canvas), .main-svg)"
OPENED = "[data-testid='stSidebar'][data-collapsed='false']"
OPEN, CLOSE = "[data-testid='stExpandSidebarButton']", "[data-testid='stSidebarCollapseButton'] button"

ON_TOP = """(selector) => {
  const one = document.querySelector(selector);
  const { x, y, width, height } = one.getBoundingClientRect();
  return one.contains(document.elementFromPoint(x + width / 2, y + height / 2));
}"""


@pytest.fixture
def phone(server, chromium: Browser) -> Iterator:
    """Give a function that opens a page on a phone with a touch screen."""
    made = []

    def opened(page: str) -> Page:
        context = chromium.new_context(
            viewport={"width": 390, "height": 844}, locale="ko-KR", has_touch=True, is_mobile=True
        )
        made.append(context)
        shown = context.new_page()
        shown.goto(f"{server.url}/{site.page(page).url_path}")
        shown.locator(FIGURE).first.wait_for(state="visible", timeout=LOOK_MS)
        settle(shown)
        return shown

    yield opened
    for context in made:
        context.close()


def test_the_list_of_pages_closes_when_one_is_chosen(phone) -> None:
    page = phone("transformer")
    page.locator(OPEN).tap()
    expect(page.locator(OPENED)).to_have_count(1, timeout=LOOK_MS)
    page.locator("[data-testid='stSidebarNavLink']").nth(site.KEYS.index("mamba")).tap()
    page.wait_for_url("**/mamba**", timeout=LOOK_MS)
    expect(page.locator(OPENED)).to_have_count(0, timeout=LOOK_MS)


def test_the_arrow_of_the_list_closes_it_and_leaves_the_language(phone) -> None:
    page = phone("transformer")
    page.locator(OPEN).tap()
    page.locator(CLOSE).wait_for(state="visible", timeout=LOOK_MS)
    expect(page.locator(OPENED)).to_have_count(1, timeout=LOOK_MS)
    page.wait_for_timeout(500)  # the sheet slides in
    assert page.evaluate(ON_TOP, CLOSE)
    page.locator(CLOSE).tap()
    expect(page.locator(OPENED)).to_have_count(0, timeout=LOOK_MS)
    assert page.evaluate("document.documentElement.lang") == "ko"
