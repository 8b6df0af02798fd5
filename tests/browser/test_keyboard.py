"""By keyboard alone: Tab reaches every control in reading order and shows where it is; Escape leads back."""

import pytest
from playwright.sync_api import Page, expect
from settling import settle

from pages.shared import site

LOOK_MS = 60_000  # how long to look for something; no time is tested
MOST_STOPS = 250
CARD = "[class*='st-key-card-']"
# Streamlit's <main>, which scrolls, is a stop of its own and no control. A group of choices is one stop, its first one
# (Streamlit's way); arrows walk on from there.
WALK = """() => {
  const inner = (root) =>
    [...root.querySelectorAll("*")].flatMap((one) => (one.shadowRoot ? [one, ...inner(one.shadowRoot)] : [one]));
  const within = (one, selector) => one && (one.closest(selector) ?? within(one.getRootNode().host, selector));
  const name = (one) => `${one.localName} ${(one.ariaLabel || one.innerText || "").trim().slice(0, 30)}`;
  const group = (one) => one.closest("[data-testid='stButtonGroup']") ?? one;
  // What Streamlit draws in place of a slider or a switch shows the focus; our own sliders show it themselves.
  const hidden = (one) => ["range", "checkbox"].includes(one.type) && one.getRootNode() === document;
  const drawn = (one) => [...(function* () {
    let at = hidden(one) ? one.parentElement : one;
    for (let i = 0; at && i < 9; i += 1, at = at.parentElement) {
      const { outlineStyle, outlineWidth, boxShadow, borderColor } = getComputedStyle(at);
      yield [outlineStyle, outlineStyle === "none" ? "" : outlineWidth, boxShadow, borderColor].join();
    }
  })()].join(";");
  const still = Object.assign(document.createElement("style"), { textContent: "* { transition: none !important }" });
  document.head.append(still);
  const rest = new Map(inner(document.body).filter((one) => one.tabIndex >= 0).map((one) => [one, drawn(one)]));
  const reached = new Set();
  let last = null;
  window.stop = () => {
    let one = document.activeElement;
    while (one.shadowRoot?.activeElement) one = one.shadowRoot.activeElement;
    const faults = [];
    if (one === document.body) return { ended: true, faults };
    if (reached.has(group(one))) faults.push(`again: ${name(one)}`);
    reached.add(group(one));
    if (one.localName === "main") last = null;
    else {
      if (rest.get(one) === drawn(one)) faults.push(`unseen: ${name(one)}`);
      const { x, y, width, height } = one.getBoundingClientRect();
      const top = y + document.querySelector("main").scrollTop;
      const page = within(one, "[class*='st-key-page-']");
      const back = last?.page && page && top + height <= last.top && x < last.right;
      if (back) faults.push(`backwards: ${name(last.one)}, ${name(one)}`);
      last = { one, page, top, right: x + width };
    }
    return { ended: false, faults };
  };
  window.missed = () => inner(document.body)
    .filter((one) => one.matches("a[href], button, input, select, textarea, summary, [tabindex]"))
    .filter((one) => one.tabIndex >= 0 && !one.disabled && one.checkVisibility({ visibilityProperty: true }))
    .filter((one) => one.getBoundingClientRect().width && !reached.has(group(one)))
    .map(name);
}"""


# Elements that a late run of the page puts in place of others would count as missed.
STILL = """() => new Promise((done) => {
  const end = () => { watch.disconnect(); done(true); };
  let timer = setTimeout(end, 700);
  const watch = new MutationObserver(() => { clearTimeout(timer); timer = setTimeout(end, 700); });
  watch.observe(document.body, { subtree: true, childList: true });
})"""


def opened(server, visit, page: str) -> Page:
    seen: Page = visit(f"{server.url}/{site.page(page).url_path}").page
    drawn = f"{CARD} :is(canvas, table, [data-testid='stVegaLiteChart'] svg, .main-svg)"
    seen.locator(drawn).first.wait_for(timeout=LOOK_MS)
    settle(seen)
    seen.evaluate(STILL)
    return seen


def walk(page: Page) -> tuple[int, list[str]]:
    """Press Tab until the focus leaves the page; return how often, and what was wrong."""
    page.evaluate(WALK)
    faults: list[str] = []
    for stops in range(MOST_STOPS):
        page.keyboard.press("Tab")
        stop = page.evaluate("window.stop()")
        faults += stop["faults"]
        if stop["ended"]:
            return stops, faults + [f"missed: {name}" for name in page.evaluate("window.missed()")]
    return MOST_STOPS, [*faults, "no end"]


@pytest.mark.parametrize("page", site.KEYS)
def test_tab_reaches_every_control_in_order_and_shows_where_it_is(server, visit, page: str) -> None:
    seen = opened(server, visit, page)
    stops, faults = walk(seen)
    assert faults == []
    assert stops > 40
    if site.page(page).section == "learn" and page != "encoder-decoder":  # it has no reading bar
        works_by_key(seen)


def works_by_key(page: Page) -> None:
    """Try one of each kind of control that a learn page has: words, time, layers, sliders, sections."""
    store = "window.contextscope.selection.get()"
    press = page.keyboard.press
    page.locator(".bar .text").focus()
    press("Home")
    press("ArrowRight")
    page.wait_for_function(f"{store}.token === 1 || {store}.token === 2", timeout=LOOK_MS)
    page.locator(".bar .on").focus()
    press("Enter")
    page.wait_for_function(f"{store}.frame !== null", timeout=LOOK_MS)
    for playing in ("true", "false"):
        page.locator(".bar .play").focus()
        press("Space")
        page.wait_for_function(f"{store}.playing === {playing}", timeout=LOOK_MS)
    for slider in page.locator(".player input:visible").all():
        slider.press("Home")
        slider.press("ArrowRight")
        assert int(slider.input_value()) > int(slider.get_attribute("min") or 0)
    layers = page.locator(".st-key-reading-choices button[role='radio']")
    if layers.count():
        wanted = layers.nth(1 if layers.nth(0).get_attribute("aria-checked") == "true" else 0)
        wanted.focus()
        press("Enter")
        expect(wanted).to_have_attribute("aria-checked", "true", timeout=LOOK_MS)
    section = page.locator("[class*='st-key-hood-'] summary, .cs-answer summary").first
    section.focus()
    press("Enter")
    expect(section.locator("xpath=..")).to_have_attribute("open", "", timeout=LOOK_MS)


def test_faults_of_a_walk_are_noticed_and_escape_leads_back(server, visit) -> None:
    page = opened(server, visit, "mamba")
    for opener, shown in ((".cs-menu", "#cs-figure-menu"), ("[class*='st-key-badge-'] button", ".cs-proof")):
        button = page.locator(f"{CARD} {opener}").first
        button.focus()
        page.keyboard.press("Enter")
        expect(page.locator(shown)).to_be_visible(timeout=LOOK_MS)
        page.keyboard.press("Escape")
        expect(page.locator(shown)).to_be_hidden(timeout=LOOK_MS)
        expect(button).to_be_focused()
    page.evaluate(
        "() => { const [first, , third] = document.querySelectorAll(\"[class*='st-key-chips-'] button\");"
        " first.style.cssText = 'outline: none !important; box-shadow: none !important; border-color: red !important';"
        " third.addEventListener('focus', () => third.blur()); document.querySelector('textarea').focus(); }"
    )
    assert {fault.split(":")[0] for fault in walk(page)[1]} == {"unseen", "missed"}
