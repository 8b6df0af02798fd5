"""See the app as a visitor does: cold deep links, both languages, the address, the clock."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect
from settling import settle

from pages.shared import site
from pages.shared.words import content, i18n

PICTURED = tuple(page for page in site.KEYS if page != "benchmark")  # a figure at first sight
ARCHITECTURES = ("transformer", "mamba", "rwkv", "jamba")
# What the server may send for a page or a new sentence, in messages and kilobytes: about a quarter more than it does.
MOST_MESSAGES = 400
MOST_KB = 580
LOOK_MS = 60_000  # how long to look for something; no time is tested
FIGURE = "[class*='st-key-card-'] :is(canvas, [data-testid='stVegaLiteChart'], .main-svg)"
COUNT_CHANGES = """() => {
  window.drawn = 0;
  const count = new MutationObserver(() => (window.drawn += 1));
  const all = { subtree: true, childList: true, characterData: true, attributes: true };
  document.querySelectorAll("[class*='st-key-card-']").forEach((card) => count.observe(card, all));
}"""
SENTENCE = "The little fox went down to the river and the big bear came after the little fox."


def address(url: str, page: str, query: str = "") -> str:
    """Return the address of a page."""
    return f"{url}/{site.page(page).url_path}{query}"


def await_figure(page: Page, *, timeout_ms: float = LOOK_MS) -> None:
    """Wait until the first figure is on screen."""
    page.locator(FIGURE).first.wait_for(state="visible", timeout=timeout_ms)


def await_end(page: Page) -> None:
    """Wait until the script has run to its end."""
    settle(page)


def heading(page: Page) -> str:
    """Return what the page calls itself."""
    return page.locator("h1").first.inner_text(timeout=LOOK_MS)


def query_of(page: Page) -> dict[str, list[str]]:
    """Return the parameters in the address bar."""
    return parse_qs(urlsplit(page.url).query)


def test_a_deep_link_on_a_cold_server_opens_its_page_in_the_frame(cold_server, visit) -> None:
    seen = visit(address(cold_server.url, "mamba"))
    await_figure(seen.page)
    await_end(seen.page)
    assert heading(seen.page).startswith(content.section("mamba", "title", lang="en"))
    assert seen.page.get_by_text("Page not found").count() == 0
    assert seen.page.get_by_role("dialog").count() == 0
    assert seen.page.locator("[data-testid='stTopNavLink']").count() == len(site.KEYS)
    assert seen.console_errors == []


def sent(frames: list[int]) -> tuple[int, float]:
    """Count messages of the server and their kilobytes."""
    return len(frames), sum(frames) / 1000


def test_a_walk_over_the_pages_with_new_sentences_takes_one_run_each(server, visit) -> None:
    seen = visit(address(server.url, "overview"))
    await_figure(seen.page)
    await_end(seen.page)
    for page in PICTURED[1:]:
        seen.frames.clear()
        name = content.section(page, "title", lang="en")
        seen.page.locator("[data-testid='stTopNavLink']").filter(has_text=name).click()
        seen.page.locator(f".st-key-page-{page}").locator(FIGURE).first.wait_for(state="visible", timeout=LOOK_MS)
        await_end(seen.page)
        messages, kilobytes = sent(seen.frames)
        assert messages <= MOST_MESSAGES, (page, kilobytes)
        assert kilobytes <= MOST_KB, page
        if page in ARCHITECTURES:
            read_on(seen, page)
    assert seen.console_errors == []


def read_on(seen, page: str) -> None:
    """Give the page a new sentence: it is in the address, the cards are drawn again, all in one run."""
    box = seen.page.locator(f".st-key-{page}-prompt textarea")
    box.fill(f"{SENTENCE} {page}")
    seen.page.evaluate(COUNT_CHANGES)
    seen.frames.clear()
    box.press("Enter")
    seen.page.wait_for_url(f"**{page}?**text=**{page}*", timeout=LOOK_MS)
    await_end(seen.page)
    messages, kilobytes = sent(seen.frames)
    assert messages <= MOST_MESSAGES, (page, kilobytes)
    assert kilobytes <= MOST_KB, page
    assert seen.page.evaluate("window.drawn") > 0, page
    assert query_of(seen.page)["text"] == [f"{SENTENCE} {page}"]


def test_a_run_is_started_cancelled_and_kept_in_the_address(server, visit) -> None:
    long = "contexts:4096,8192,16384;rounds:9;budget_s:900"  # it has not ended before it is cancelled
    seen = visit(address(server.url, "benchmark", f"?plan={long}"))
    await_end(seen.page)
    seen.page.locator(".st-key-benchmark-run button").click()
    cancel = seen.page.locator(".st-key-benchmark-cancel button")
    cancel.wait_for(state="visible", timeout=LOOK_MS)
    await_end(seen.page)  # a click on a page that still grows under the pointer is lost
    (run_id,) = query_of(seen.page)["run"]
    cancel.click()
    cancel.wait_for(state="detached", timeout=LOOK_MS)
    said = i18n.say("en", "benchmark.headline.cancelled", when="", machine="", done="", total="").split(":")[0].strip()
    expect(seen.page.locator(".stMain")).to_contain_text(said[:13], timeout=LOOK_MS)
    assert query_of(seen.page)["run"] == [run_id]
    assert seen.console_errors == []


@pytest.mark.parametrize("stops", [False, True], ids=["to the end", "stopped"])
def test_recall_is_measured_live(server, visit, stops: bool) -> None:
    task = 0 if stops else 1  # the longest, so that there is something to stop
    seen = visit(address(server.url, "recall", f"?task={task}"))
    await_figure(seen.page)
    await_end(seen.page)
    seen.page.get_by_role("button", name=i18n.say("en", "recall.measure"), exact=True).click()
    seen.page.get_by_role("progressbar").wait_for(state="visible", timeout=LOOK_MS)
    if stops:
        seen.page.get_by_role("button", name=i18n.say("en", "recall.stop")).click()
    again = seen.page.get_by_role("button", name=re.compile("Measure live|Measure again"))
    again.wait_for(state="visible", timeout=5 * LOOK_MS)
    said = "Stopped after" if stops else "16 cells cannot be told apart from the record"
    expect(seen.page.locator(".st-key-status-recall")).to_contain_text(said, timeout=LOOK_MS)
    assert seen.console_errors == []


def test_the_language_can_be_switched_and_stays(server, visit) -> None:
    seen = visit(address(server.url, "rwkv"), lang="en")
    await_figure(seen.page)
    switch = seen.page.locator(".st-key-frame-lang")
    switch.get_by_text(i18n.say("ko", "frame.language_name")).click()
    expect(seen.page.locator("h1").first).to_contain_text(
        content.section("rwkv", "tagline", lang="ko"), timeout=LOOK_MS
    )
    seen.page.wait_for_url("**lang=ko**", timeout=LOOK_MS)
    seen.page.locator("[data-testid='stTopNavLink']").filter(has_text="Jamba").click()
    expect(seen.page.locator("h1").first).to_contain_text(
        content.section("jamba", "tagline", lang="ko"), timeout=LOOK_MS
    )
    seen.page.wait_for_url("**/jamba?**lang=ko**", timeout=LOOK_MS)
    seen.page.reload()
    expect(seen.page.locator("h1").first).to_contain_text(
        content.section("jamba", "tagline", lang="ko"), timeout=LOOK_MS
    )
    seen.page.locator(".st-key-frame-lang").get_by_text(i18n.say("en", "frame.language_name")).click()
    expect(seen.page.locator("h1").first).to_contain_text(
        content.section("jamba", "tagline", lang="en"), timeout=LOOK_MS
    )
    seen.page.wait_for_url("**lang=en**", timeout=LOOK_MS)
    assert seen.console_errors == []


def test_back_leaves_the_page(server, visit) -> None:
    seen = visit(address(server.url, "mamba", "?text=The+wolf+and+the+fox&lang=en"))
    await_figure(seen.page)
    await_end(seen.page)
    seen.page.locator("[data-testid='stTopNavLink']").filter(has_text="RWKV").click()
    seen.page.wait_for_url("**/rwkv?**text=**", timeout=LOOK_MS)
    expect(seen.page.locator(".st-key-rwkv-prompt textarea")).to_have_value("The wolf and the fox", timeout=LOOK_MS)
    await_end(seen.page)
    seen.page.go_back()
    expect(seen.page.locator("h1").first).to_contain_text("Mamba", timeout=LOOK_MS)
    assert seen.console_errors == []


def test_figures_follow_light_and_dark(server, visit) -> None:
    seen = visit(address(server.url, "mamba"), dark=True)
    await_figure(seen.page)
    await_end(seen.page)
    card = seen.page.locator("[class*='st-key-card-']").first
    assert card.evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(23, 28, 34)"
    assert seen.page.evaluate("document.documentElement.style.colorScheme") == "dark"


def test_a_text_is_never_markup(server, visit) -> None:
    seen = visit(
        address(server.url, "transformer", "?text=%3Cimg+src%3Dx+onerror%3D%22document.title%3D1%22%3E+hello+world")
    )
    await_figure(seen.page)
    await_end(seen.page)
    assert seen.page.title() != "1"
    assert seen.page.locator("img[src='x']").count() == 0
    assert seen.console_errors == []


def test_a_link_to_a_figure_opens_the_page_there(server, visit) -> None:
    seen = visit(address(server.url, "transformer", "?layer=2#head_mosaic"))
    await_figure(seen.page)
    title = seen.page.locator("#head_mosaic")
    expect(title).to_be_in_viewport(timeout=LOOK_MS)
    await_end(seen.page)
    expect(title).to_be_in_viewport(timeout=LOOK_MS)
    assert seen.page.url.endswith("#head_mosaic")
    seen.page.mouse.move(400, 600)
    seen.page.mouse.wheel(0, -20_000)
    expect(title).not_to_be_in_viewport(timeout=LOOK_MS)
    seen.page.wait_for_timeout(600)
    expect(title).not_to_be_in_viewport(timeout=LOOK_MS)  # whoever scrolls is left alone
