"""With every section open, in both languages and looks, axe finds nothing and nothing complains."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from settling import settle

from pages.shared import icons, site
from pages.shared.words import content, i18n

LOOK_MS = 60_000  # how long to look for something; no time is tested
CARD = "[class*='st-key-card-']"
BADGE = f"{CARD} [class*='st-key-badge-'] button"
DEFINITION = f"{CARD} [class*='st-key-definition-'] details"
COLOURS = ["color-contrast", "link-in-text-block"]  # all that a change of look can change
AXE = Axe()
ICONS = set(icons.NAMES.read_text(encoding="utf-8").split())  # that the typeface has

SHUT = """() => {
  const all = document.querySelectorAll(".stMain details:not([open]) > summary");
  const shut = [...all].find((one) => one.checkVisibility());
  shut?.click();
  return Boolean(shut);
}"""
COUNT_RUNS = """() => {
  const app = document.querySelector("[data-testid='stApp']");
  window.ended = 0;
  new MutationObserver(() => (window.ended += app.dataset.testScriptState === "notRunning"))
    .observe(app, { attributeFilter: ["data-test-script-state"] });
}"""
# Every picture says in its own style for which look it was drawn.
FOLLOWED = """(look) => window.ended && [...document.querySelectorAll("[data-testid='stBidiComponentIsolated']")]
  .flatMap((one) => [...one.shadowRoot.querySelectorAll("[style*='color-scheme']")])
  .every((one) => one.style.colorScheme === look)"""
PLANTED = """() => {
  const card = document.querySelector("[class*='st-key-card-']");
  card.append(Object.assign(new Image(1, 1), { src: "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=" }));
  const within = card.querySelector("[data-testid='stBidiComponentIsolated']").shadowRoot;
  const words = Object.assign(document.createElement("p"), { textContent: "faint" });
  words.style.cssText = "color: #bbb; background: #fff";
  within.prepend(words);
}"""


def settled(page: Page) -> None:
    """Wait until the script has run to its end and nothing is fetched."""
    settle(page)


def opened(server, visit, page: str, lang: str):
    seen = visit(f"{server.url}/{site.page(page).url_path}", lang=lang)
    seen.page.locator(f"{CARD} .cs-title").first.wait_for(state="visible", timeout=LOOK_MS)
    settled(seen.page)
    return seen


def unfold(page: Page) -> None:
    """Open every section, the definition of a card, and what stands behind a badge."""
    while page.evaluate(SHUT):
        page.wait_for_timeout(20)  # or the click before is lost
    settled(page)
    page.locator(f"{DEFINITION} > summary").first.evaluate("one => one.parentElement.open || one.click()")  # it may be
    page.locator(f"{DEFINITION}[open] .katex").first.wait_for(timeout=LOOK_MS)
    if page.locator(BADGE).count():  # figures of a benchmark have none
        page.locator(BADGE).first.click()
        page.locator(".cs-proof").wait_for(timeout=LOOK_MS)
    settled(page)


def change_look(page: Page, look: str) -> None:
    """Let the machine of the visitor change between light and dark; the open page has to follow."""
    page.evaluate(COUNT_RUNS)
    page.emulate_media(color_scheme=look)
    page.wait_for_function(FOLLOWED, arg=look, timeout=LOOK_MS)
    settled(page)


def change_language(page: Page, lang: str) -> None:
    page.locator(".st-key-frame-lang").get_by_text(i18n.say(lang, "frame.language_name")).click()
    settled(page)


def assert_speaks(page: Page, key: str, lang: str) -> None:
    """Assert that the page is there, in this language, without a notice of an error."""
    expect(page.locator("html")).to_have_attribute("lang", lang, timeout=LOOK_MS)
    expect(page.locator("h1").first).to_contain_text(content.section(key, "tagline", lang=lang), timeout=LOOK_MS)
    assert page.locator("[data-testid='stAlertContentError'], [data-testid='stException']").count() == 0


def faults(page: Page, *, rules: list[str] | None = None) -> list[tuple[str, str, list[Any]]]:
    """Return what axe finds: how grave, the rule, where."""
    only = {"runOnly": {"type": "rule", "values": rules}} if rules else {}
    found = AXE.run(page, options={"resultTypes": ["violations"], "preload": False, **only}).response["violations"]
    return [(one["impact"], one["id"], [node["target"][-1] for node in one["nodes"]]) for one in found]


@pytest.mark.slow
@pytest.mark.parametrize("page", site.KEYS)
def test_a_page_has_nothing_to_complain_about(server, visit, page: str) -> None:
    """One visit: opened in Korean and in light, then dark, then in English, then light again."""
    seen = opened(server, visit, page, "ko")
    assert_speaks(seen.page, page, "ko")
    unfold(seen.page)
    found = {("ko", "light"): faults(seen.page)}
    change_look(seen.page, "dark")
    found["ko", "dark"] = faults(seen.page, rules=COLOURS)
    change_language(seen.page, "en")
    assert_speaks(seen.page, page, "en")
    unfold(seen.page)
    found["en", "dark"] = faults(seen.page)
    change_look(seen.page, "light")
    found["en", "light"] = faults(seen.page, rules=COLOURS)
    assert set(seen.page.locator("[data-testid='stIconMaterial']").all_text_contents()) <= ICONS
    assert found == {place: [] for place in found}
    assert seen.console_errors == []
    assert seen.external_requests == []


def test_axe_looks_into_cards_and_pictures(server, visit) -> None:
    page = opened(server, visit, "mamba", "en").page
    page.locator(f"{CARD} canvas").first.wait_for(state="visible", timeout=LOOK_MS)
    page.evaluate(PLANTED)
    found = {rule: impact for impact, rule, _ in faults(page, rules=["image-alt", *COLOURS])}
    assert found == {"image-alt": "critical", "color-contrast": "serious"}
