"""Words are legible on what they stand on, by the colours that Chromium computes."""

import re

import pytest

from pages.shared import site

LOOK_MS = 60_000
READABLE = 4.5  # WCAG 2.2, 1.4.3
SEEN = 3.0  # WCAG 2.2, 1.4.11: rings and edges
INK = {False: "rgb(27, 31, 36)", True: "rgb(233, 236, 239)"}
WORDS = (
    ".cs-badge, [class*='st-key-badge-'] button p,"
    " [class*='st-key-pick-'] button p, [data-testid='stBaseButton-primary']:not(:disabled) p, .cs-plan td,"
    " .cs-check td,"
    " [class*='st-key-chips-'] button p, .cs-inline,"
    " [class*='st-key-drawer-'] button p, [data-testid='stTopNavLink'] p,"
    " [data-testid='stPills'] button p, .stMain a"
)

# [words, colour of the text, grounds from the element outwards until one is opaque, opacity]; a one-pixel canvas turns
# color-mix and light-dark into numbers of sRGB
COLOURS = """(selector) => {
  const ctx = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const numbers = (color) => {
    ctx.clearRect(0, 0, 1, 1);
    ctx.fillStyle = color;
    ctx.fillRect(0, 0, 1, 1);
    return [...ctx.getImageData(0, 0, 1, 1).data];
  };
  const asked = { opacityProperty: true, visibilityProperty: true };
  const shown = (one) => one.checkVisibility(asked) && one.innerText.trim();
  return [...document.querySelectorAll(selector)].filter(shown).map((one) => {
    const grounds = [];
    let faded = 1;
    for (let at = one; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      faded *= Number(style.opacity);
      const ground = numbers(style.backgroundColor);
      if (ground[3]) grounds.push(ground);
      if (ground[3] === 255) break;
    }
    return [one.innerText.trim().slice(0, 30), numbers(getComputedStyle(one).color), grounds, faded];
  });
}"""


def luminance(color: list[float]) -> float:
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (c / 255 for c in color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def over(top: list[float], alpha: float, below: list[float]) -> list[float]:
    return [alpha * a + (1 - alpha) * b for a, b in zip(top[:3], below[:3], strict=True)]


def contrast(text: list[float], grounds: list[list[float]], faded: float) -> float:
    """Return the contrast of a text on translucent layers, the outermost of which is opaque."""
    ground = [255.0, 255.0, 255.0]
    for layer in reversed(grounds):
        ground = over(layer, layer[3] / 255, ground)
    low, high = sorted((luminance(over(text, text[3] / 255 * faded, ground)), luminance(ground)))
    return (high + 0.05) / (low + 0.05)


def opened(server, visit, page: str, *, dark: bool):
    seen = visit(f"{server.url}/{site.page(page).url_path}", dark=dark)
    seen.page.locator("[class*='st-key-card-'] .cs-title").first.wait_for(state="visible", timeout=LOOK_MS)
    seen.page.locator("[data-test-script-state='notRunning']").first.wait_for(state="attached", timeout=LOOK_MS)
    seen.page.wait_for_load_state("networkidle", timeout=LOOK_MS)
    return seen.page


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("page", site.KEYS)
def test_words_are_legible_on_their_ground(server, visit, page: str, dark: bool) -> None:
    shown = opened(server, visit, page, dark=dark).evaluate(COLOURS, WORDS)
    assert len(shown) > 10
    assert {(words, round(contrast(*rest), 2)) for words, *rest in shown if contrast(*rest) < READABLE} == set()


def test_faint_words_are_noticed(server, visit) -> None:
    page = opened(server, visit, "transformer", dark=False)
    badge = "[class*='st-key-badge-'] button p"
    page.evaluate("(badge) => { document.querySelector(badge).style.opacity = 0.5 }", badge)
    assert [words for words, *rest in page.evaluate(COLOURS, badge) if contrast(*rest) < READABLE]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_accent_is_ink_except_on_the_page_of_an_architecture(server, visit, dark: bool) -> None:
    page = opened(server, visit, "recall", dark=dark)
    button = page.locator("[data-testid='stBaseButton-primary']:not(:disabled)").first
    button.wait_for(state="visible", timeout=LOOK_MS)
    assert button.evaluate("one => getComputedStyle(one).backgroundColor") == INK[dark]
    ring = "getComputedStyle(document.querySelector('.stMain .stHeading h1 em')).color"
    assert page.evaluate(ring) == INK[dark]
    own = opened(server, visit, "mamba", dark=dark)
    assert own.evaluate(ring) == {False: "rgb(10, 125, 94)", True: "rgb(60, 199, 158)"}[dark]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("page", ["overview", "rwkv"])
def test_the_ring_of_the_focus_is_seen(server, visit, page: str, dark: bool) -> None:
    shown = opened(server, visit, page, dark=dark)
    shown.locator("[class*='st-key-chips-'] button").first.focus()
    shown.keyboard.press("Shift+Tab")
    shown.keyboard.press("Tab")
    kind, width, color = shown.evaluate(
        "(({ outlineStyle, outlineWidth, outlineColor }) => [outlineStyle, outlineWidth, outlineColor])"
        "(getComputedStyle(document.activeElement))"
    )
    assert (kind, width) == ("solid", "2px")
    ground = [16.0, 20.0, 24.0, 255.0] if dark else [251.0, 251.0, 249.0, 255.0]
    ring = [*map(float, re.findall(r"\d+", color)[:3]), 255.0]
    assert contrast(ring, [ground], 1) >= SEEN
