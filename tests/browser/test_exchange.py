"""The encoder-decoder page in a browser: a step is chosen once and all pictures follow, without the server."""

from playwright.sync_api import Page
from settling import settle

LOOK_MS = 60_000
STORE = "window.contextscope.selection.get()"
ROOTS = """() => [...document.querySelectorAll("[class*='st-key-card-']")]
  .map((card) => [...card.querySelectorAll("*")].map((node) => node.shadowRoot?.querySelector(".root")).find(Boolean))
  .filter(Boolean)"""
LINES = f"(({ROOTS})().find((root) => root.querySelector('.lines')))"
STACKS = f"(({ROOTS})().find((root) => root.querySelector('.stacks')))"
DRAWN = "canvas.base, canvas.threads, canvas.mask"
PICTURES = f"() => ({ROOTS})().map((root) => root.querySelector('{DRAWN}')?.toDataURL() ?? '')"


def opened(server, visit, query: str = "", **options) -> Page:
    seen: Page = visit(f"{server.url}/encoder-decoder{query}", **options).page
    seen.wait_for_function(f"() => {LINES}?.querySelectorAll('.wrote li').length > 0", timeout=LOOK_MS)
    settle(seen)
    return seen


def now(page: Page) -> int:
    """Return the step that the lines show."""
    rows = f"[...{LINES}.querySelectorAll('.wrote li')]"
    found: int = page.evaluate(f"{rows}.findIndex((row) => row.classList.contains('now'))")
    return found


def given(page: Page) -> int:
    """Return how many words the decoder has read in the picture of the stacks."""
    found: int = page.evaluate(f"{STACKS}.querySelectorAll('.decoder .words .chip').length")
    return found


def test_keys_walk_through_the_steps_and_every_picture_follows(server, visit) -> None:
    page = opened(server, visit, "?task=1&words=a b c d")
    page.locator(".exchange .wrote ol").focus()
    pictures = []
    for key, step in (("Home", 0), ("ArrowRight", 1), ("ArrowDown", 2), ("ArrowLeft", 1), ("End", 4)):
        page.keyboard.press(key)
        page.wait_for_function(f"{STORE}.frame === {step}", timeout=LOOK_MS)
        assert (now(page), given(page)) == (step, step + 1)
        pictures.append(page.evaluate(PICTURES))
    first, second = pictures[0], pictures[1]
    changed = [a != b for a, b in zip(first, second, strict=True)]
    assert changed == [True, False, False, True, True], "lines, decoder and cross-attention; no mask of the encoder"
    told = page.evaluate(f"{LINES}.querySelector('.heard').textContent")
    assert "⟨end⟩" in told
    page.keyboard.press("Escape")
    page.wait_for_function(f"{STORE}.frame === null && {STORE}.token === null", timeout=LOOK_MS)


def test_a_click_keeps_a_word_and_space_plays_to_the_end(server, visit) -> None:
    page = opened(server, visit, "?task=1&words=a b c")
    page.locator(".exchange .wrote li").nth(2).click()
    page.wait_for_function(f"{STORE}.token === 2", timeout=LOOK_MS)
    assert now(page) == 2
    page.locator(".exchange .wrote ol").focus()
    page.keyboard.press("Home")
    page.keyboard.press("Space")
    page.wait_for_function(f"{STORE}.playing === true", timeout=LOOK_MS)
    page.wait_for_function(f"{STORE}.frame === 3 && {STORE}.playing === false", timeout=LOOK_MS)
    assert now(page) == 3 and given(page) == 4


def test_the_shares_of_a_step_add_up_and_the_likeliest_word_is_written(server, visit) -> None:
    page = opened(server, visit, "?task=0&words=가 나 다", lang="ko")
    shares = page.evaluate(
        f"[...{LINES}.querySelectorAll('.read .share')].map((one) => parseInt(one.textContent) || 0)"
    )
    assert 95 <= sum(shares) <= 105
    step = now(page)
    word = page.evaluate(f"{LINES}.querySelectorAll('.wrote li')[{step}].innerText.trim()")
    assert page.evaluate(f"{LINES}.querySelector('.next li.taken .label').textContent") == word


def test_another_head_redraws_the_maps_and_not_the_stacks(server, visit) -> None:
    page = opened(server, visit)
    before = page.evaluate(PICTURES)
    heads = page.locator(".st-key-pick-encoder-decoder-head-cross button[role='radio']")
    wanted = 0 if heads.nth(0).get_attribute("aria-checked") != "true" else 1
    heads.nth(wanted).click()
    page.wait_for_function(f"(old) => ({PICTURES})()[0] !== old", arg=before[0], timeout=LOOK_MS)
    settle(page)
    assert page.evaluate(PICTURES)[1] == before[1], "masks are the same in all heads"


def test_the_lines_are_a_picture_in_both_kinds(server, visit) -> None:
    page = opened(server, visit)
    assert page.evaluate(f"typeof {LINES}.querySelector('.threads').redraw") == "function"
    assert page.evaluate(f"typeof {STACKS}.querySelector('.bridge').redraw") == "function"
