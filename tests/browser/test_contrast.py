"""The accent and the ring of the focus, by the colours that Chromium computes; words: test_axe.py."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect
from settling import settle

from pages.shared import site

LOOK_MS = 60_000
SEEN = 3.0  # WCAG 2.2, 1.4.11: rings and edges
INK = {False: "rgb(27, 31, 36)", True: "rgb(233, 236, 239)"}


def luminance(color: list[float]) -> float:
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (c / 255 for c in color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: list[float], other: list[float]) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def opened(server, visit, page: str):
    seen = visit(f"{server.url}/{site.page(page).url_path}")
    seen.page.locator("[class*='st-key-card-'] .cs-title").first.wait_for(state="visible", timeout=LOOK_MS)
    settle(seen.page)
    return seen.page


def looks(page) -> Iterator[bool]:
    """Show a page in light and then in dark; yields which."""
    for dark in (False, True):
        page.emulate_media(color_scheme="dark" if dark else "light")
        page.locator(f"html[style*='color-scheme: {'dark' if dark else 'light'}']").wait_for(
            state="attached", timeout=LOOK_MS
        )
        settle(page)
        yield dark


def test_the_accent_is_ink_except_on_the_page_of_an_architecture(server, visit) -> None:
    page, own = opened(server, visit, "recall"), opened(server, visit, "mamba")
    accent = "getComputedStyle(document.querySelector('.stMain .stHeading h1 em')).color"
    button = page.locator("[data-testid='stBaseButton-primary']:not(:disabled)").first
    for dark in looks(page):
        expect(button).to_have_css("background-color", INK[dark], timeout=LOOK_MS)
        assert page.evaluate(accent) == INK[dark]
    for dark in looks(own):
        assert own.evaluate(accent) == {False: "rgb(10, 125, 94)", True: "rgb(60, 199, 158)"}[dark]


@pytest.mark.parametrize("page", ["overview", "rwkv"])
def test_the_ring_of_the_focus_is_seen(server, visit, page: str) -> None:
    shown = opened(server, visit, page)
    for dark in looks(shown):
        shown.locator("[class*='st-key-chips-'] button").first.focus()
        shown.keyboard.press("Shift+Tab")
        shown.keyboard.press("Tab")
        kind, width, color = shown.evaluate(
            "(({ outlineStyle, outlineWidth, outlineColor }) => [outlineStyle, outlineWidth, outlineColor])"
            "(getComputedStyle(document.activeElement))"
        )
        assert (kind, width) == ("solid", "2px")
        ground = [16.0, 20.0, 24.0] if dark else [251.0, 251.0, 249.0]
        assert contrast([*map(float, re.findall(r"\d+", color)[:3])], ground) >= SEEN


def test_forced_colours_keep_bars_and_show_what_is_chosen(server, visit) -> None:
    page = opened(server, visit, "overview")
    page.emulate_media(forced_colors="active")
    colour = "one => getComputedStyle(one).backgroundColor"
    bars = page.locator(".cs-carried .cs-bar > span").evaluate_all(f"all => all.map({colour})")
    assert len(set(bars)) == 4, "each in the colour of its architecture"
    for lang in ("true", "false"):
        chosen = page.locator(f".st-key-frame-lang button[aria-checked='{lang}']")
        highlit = chosen.evaluate(
            "one => { const it = document.body.appendChild(document.createElement('i'));"
            " it.style.cssText = 'forced-color-adjust: none; background: Highlight';"
            " const found = getComputedStyle(it).backgroundColor; it.remove();"
            " return getComputedStyle(one).backgroundColor === found }"
        )
        assert highlit == (lang == "true")
