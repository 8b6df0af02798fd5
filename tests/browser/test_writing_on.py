"""Let models write on in the browser: tokens appear by themselves, Stop stops, and the rest of the page stays."""

import re

import pytest
from playwright.sync_api import Page, expect
from settling import settle

from pages.shared.words import i18n

LOOK_MS = 60_000  # how long to look for something; no time is tested
TEXT = "The old sailor tied the boat, and the old dog slept."


def opened(server, visit, page: str, query: str = ""):
    seen = visit(f"{server.url}/{page}?text={TEXT.replace(' ', '%20')}{query}")
    seen.page.locator(".st-key-next-" + (page or "overview")).locator("table").first.wait_for(timeout=LOOK_MS)
    settle(seen.page)
    return seen


def button(page: Page, word: str):
    return page.get_by_role("button", name=i18n.say("en", f"next_word.{word}"), exact=True)


CARD = "document.querySelector(\"[class*='st-key-card-']\")"


def marked(page: Page) -> bool:
    """Tell whether the card that was marked is still the one on the page: nothing above was drawn anew."""
    return bool(page.evaluate(f"{CARD}.dataset.seen === 'yes'"))


def test_four_models_write_and_the_text_goes_into_the_figures(server, visit) -> None:
    seen = opened(server, visit, "", "&length=8")
    page = seen.page
    page.evaluate(f"{CARD}.dataset.seen = 'yes'")
    button(page, "go").click()
    expect(page.locator(".cs-written .cs-piece").first).to_be_attached(timeout=LOOK_MS)  # it may be a line end
    expect(page.locator(".cs-pen")).to_contain_text(i18n.say("en", "next_word.done"), timeout=LOOK_MS)
    assert page.locator(".cs-written").count() == 4
    assert all(
        re.search(r"\d+ tokens · carries [\d.]+ KiB", text) for text in page.locator(".cs-facts").all_inner_texts()
    )
    assert marked(page)
    added = page.locator(".cs-written").nth(1).locator(".cs-piece").all_text_contents()
    page.get_by_role("button", name=i18n.say("en", "next_word.show")).nth(1).click()
    box = page.locator("[class*='st-key-prompt-'] :is(input, textarea)").first
    shown = (TEXT + "".join(added)).replace("\n", "")  # a box of one line leaves line ends out
    expect(box).to_have_value(re.compile(r"\s*".join(map(re.escape, shown))), timeout=LOOK_MS)
    assert seen.console_errors == []


@pytest.mark.parametrize("lang", i18n.LANGS)
def test_stop_keeps_what_is_written(server, visit, lang: str) -> None:
    """Four models write 256 tokens in turns, which takes long enough for a click."""
    seen = opened(server, visit, "", f"&length=64&draw=1&seed=3&lang={lang}")
    page = seen.page
    page.get_by_role("button", name=i18n.say(lang, "next_word.go"), exact=True).click()
    expect(page.locator(".cs-written .cs-piece").first).to_be_attached(timeout=LOOK_MS)  # it may be a line end
    page.get_by_role("button", name=i18n.say(lang, "next_word.stop"), exact=True).click()
    expect(page.get_by_role("button", name=i18n.say(lang, "next_word.go"), exact=True)).to_be_visible(timeout=LOOK_MS)
    assert 1 <= page.locator(".cs-written .cs-piece").count() < 4 * 64
    expect(page.locator(".cs-pen strong")).to_have_text(i18n.say(lang, "next_word.stopped"), timeout=LOOK_MS)
    assert seen.console_errors == []


def test_a_slider_moves_the_lists_and_nothing_else(server, visit) -> None:
    seen = opened(server, visit, "rwkv")
    page = seen.page
    place = page.locator(".st-key-next-rwkv .column")
    before = place.inner_text()
    slider = page.locator(".st-key-dial-rwkv-topk input[type=range]").first
    slider.focus()
    slider.press("ArrowLeft")
    expect(place).to_contain_text("of 8,192 tokens", timeout=LOOK_MS)
    assert place.inner_text() != before
    assert seen.console_errors == []
