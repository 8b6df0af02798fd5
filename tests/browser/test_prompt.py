"""The text box in a browser: keys, growth, the count while one types."""

from settling import settle

LOOK_MS = 60_000
TEXT = "The little wolf went home."
TOPS = """() => ['.st-key-reading-bar', '[class*="st-key-chips-"]'].map(
  (at) => document.querySelector(at).getBoundingClientRect().top)"""
COUNTED = """() => {
  const one = document.querySelector(".cs-count");
  return +one.querySelector("b").textContent > 40 && !("stale" in one.dataset);
}"""


def test_the_box_grows_over_the_page_counts_and_reads_at_enter(server, visit) -> None:
    visited = visit(f"{server.url}/mamba?text=A+fox")
    page = visited.page
    page.wait_for_selector(".cs-count", timeout=LOOK_MS)
    page.wait_for_selector(".bar .word", timeout=LOOK_MS)
    settle(page)
    box = page.locator('[class*="st-key-box-"] textarea')
    rest, tops = box.bounding_box()["height"], page.evaluate(TOPS)
    assert rest < 60
    box.click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(TEXT)
    page.keyboard.press("Shift+Enter")
    page.keyboard.insert_text("그리고 잠들었습니다. " * 30)
    assert box.bounding_box()["height"] > 2 * rest
    assert page.evaluate(TOPS) == tops, "nothing moves"
    page.wait_for_function(COUNTED, timeout=LOOK_MS)
    live = page.locator(".cs-count").inner_text()
    assert "text=A+fox" in page.url, "nothing has been read yet"
    page.keyboard.press("Enter")
    page.wait_for_function("() => location.search.includes('little')", timeout=LOOK_MS)
    assert box.input_value().startswith(f"{TEXT}\n그리고"), "Enter is not written"
    assert page.locator(".cs-count").inner_text() == live, "the count was exact"
    assert box.bounding_box()["height"] == rest
    assert page.evaluate("document.activeElement.tagName") == "TEXTAREA"
    assert visited.console_errors == []


def test_a_count_that_the_page_writes_anew_is_that_of_the_text_in_the_box(server, visit) -> None:
    """A run of the script under way while one types puts another element in the place of the count."""
    page = visit(f"{server.url}/mamba", lang="en").page
    page.wait_for_selector(".bar .word", timeout=LOOK_MS)
    settle(page)
    box = page.locator('[class*="st-key-box-"] textarea')
    told = "document.querySelector('.cs-count:not([data-stale]) b')?.textContent"
    rest = page.evaluate(told)
    box.fill("one two three four five six")
    page.wait_for_function(f"{told} && {told} !== {rest!r}", timeout=LOOK_MS)
    known = page.evaluate(told)
    box.fill("one")
    page.wait_for_function(f"{told} && {told} !== {known!r}", timeout=LOOK_MS)
    box.fill("one two three four five six")
    page.evaluate("""() => {
      const before = document.querySelector(".cs-count");
      const anew = before.cloneNode(true);
      anew.querySelector("b").textContent = "999";
      before.replaceWith(anew);
    }""")
    page.wait_for_function(f"{told} === {known!r}", timeout=LOOK_MS)
