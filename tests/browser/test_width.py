"""The page uses the window: the navigation names every page, and at twice its size a page shows its first figure."""

import pytest
from settling import settle

from pages.shared import site
from pages.shared.words import i18n

LOOK_MS = 60_000
NAMED = """() => {
  const corner = document.querySelector(".st-key-frame-corner").getBoundingClientRect().left;
  const mark = document.querySelector(".st-key-frame-mark").getBoundingClientRect().right;
  return [...document.querySelectorAll("[data-testid='stTopNav'] [data-testid='stTopNavLink']")]
    .filter((one) => one.checkVisibility({ visibilityProperty: true, opacityProperty: true }))
    .filter((one) => one.getBoundingClientRect().left >= mark && one.getBoundingClientRect().right <= corner)
    .map((one) => one.innerText.trim());
}"""


def opened(server, visit, *, lang: str, width: int):
    seen = visit(f"{server.url}/transformer", lang=lang, width=width)
    seen.page.locator("[class*='st-key-card-'] canvas").first.wait_for(state="visible", timeout=LOOK_MS)
    settle(seen.page)
    return seen.page


@pytest.mark.parametrize("lang", i18n.LANGS)
def test_the_navigation_names_every_page(server, visit, lang: str) -> None:
    page = opened(server, visit, lang=lang, width=768)
    for width in (768, 860, 960, 1100, 1101, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(500)
        assert page.evaluate(NAMED) == [i18n.say(lang, f"nav.{key}") for key in site.KEYS], width


def test_the_page_follows_the_window_and_at_twice_its_size_shows_its_first_figure(server, visit) -> None:
    page = opened(server, visit, lang="en", width=1280)
    for window, block in ((1280, 1280), (1440, 1354), (1920, 1680), (2560, 1680)):
        page.set_viewport_size({"width": window, "height": 900})
        page.wait_for_timeout(300)
        wide = page.locator(".stMainBlockContainer").evaluate("one => one.getBoundingClientRect().width")
        assert abs(wide - block) <= 1, window
    page.set_viewport_size({"width": 960, "height": 540})
    page.wait_for_timeout(500)
    top = page.locator("[class*='st-key-card-'] canvas").first.evaluate("one => one.getBoundingClientRect().top")
    assert top < 540 - 100
