"""A run watched in a browser: the board stands at once and moves, no figure vanishes, another visitor sees the line."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from settling import settle

from pages.shared.words import i18n

LOOK_MS = 120_000  # how long to look for something; no time is tested
SLOWER = 4  # times: a slow browser draws what a quick one skips
PLAN = "architectures:mamba,rwkv;contexts:128;rounds:50;decode_tokens:512;budget_s:3600"  # longer than the test
BOARD = ".st-key-card-benchmark-board"
FIGURES = "[data-testid='stPlotlyChart'], [data-testid='stVegaLiteChart']"
DRAWN = "(figures) => document.querySelectorAll(figures).length > 2"
# Notes the least number of figures that stand at once from here on.
COUNT = """(figures) => {
  window.fewest = Infinity;
  const look = () => {
    window.fewest = Math.min(window.fewest, document.querySelectorAll(figures).length);
    requestAnimationFrame(look);
  };
  look();
}"""


def opened(server, visit, lang: str, query: str = "") -> Page:
    page: Page = visit(f"{server.url}/benchmark?{query}", lang=lang).page
    page.wait_for_function(DRAWN, arg=FIGURES, timeout=LOOK_MS)
    settle(page)
    return page


@pytest.mark.slow
@pytest.mark.parametrize("lang", i18n.LANGS)
def test_a_run_shows_where_every_cell_stands(server, visit, lang: str) -> None:
    say = i18n.translator(lang)
    page = opened(server, visit, lang, f"plan={PLAN}")
    there = page.locator(FIGURES).count()
    page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    page.evaluate(COUNT, FIGURES)
    page.get_by_role("button", name=say("benchmark.run"), exact=True).click()
    board = page.locator(BOARD)
    expect(board).to_be_visible(timeout=LOOK_MS)
    try:
        _watched(page, there, say, lambda: opened(server, visit, lang))
    finally:  # else the next test waits behind this run
        page.get_by_role("button", name=say("benchmark.cancel"), exact=True).click()
    expect(board).to_have_count(0, timeout=LOOK_MS)
    expect(page.locator(".st-key-run-benchmark")).to_contain_text(say("errors.cell_cancelled"), timeout=LOOK_MS)


def _watched(page: Page, there: int, say: Callable[..., str], another: Callable[[], Page]) -> None:
    board = page.locator(BOARD)
    expect(board.locator("tbody tr")).to_have_count(2)
    expect(page.locator(".st-key-ghost-benchmark")).to_be_visible(timeout=LOOK_MS)
    expect(board.locator(".cs-now")).not_to_have_count(0, timeout=LOOK_MS)
    moved = board.inner_text()
    page.wait_for_function(
        "([place, before]) => document.querySelector(place).innerText !== before", arg=[BOARD, moved], timeout=LOOK_MS
    )
    expect(board.locator(".cs-dots i")).not_to_have_count(0, timeout=LOOK_MS)
    assert page.evaluate("window.fewest") >= there, "no figure vanished"
    expect(another().locator(".st-key-start-benchmark")).to_contain_text(say("benchmark.queue.others", count=1))
