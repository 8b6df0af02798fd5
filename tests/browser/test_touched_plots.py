"""Figures of plotly in the served app: reading, isolating, axes, zoom, pictures, table; nothing leaves the machine."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from settling import settle

from pages.shared.words import i18n

LOOK_MS = 60_000  # how long to look for something; no time is tested
SVG = "{http://www.w3.org/2000/svg}"
NAMES = ("Transformer", "Mamba", "RWKV", "Jamba")
PLOT = "document.querySelector('.st-key-card-benchmark-prefill .js-plotly-plot')"
SHOWN = "plot => plot.data.filter((one) => one.meta === 'line' && one.visible !== 'legendonly').map((one) => one.name)"
AXES = "plot => ['xaxis', 'yaxis'].map((axis) => plot._fullLayout[axis].type)"
# The pixel of the window over the last length of a line, in the middle of its plot.
OVER = """plot => {
  const { xaxis, yaxis } = plot._fullLayout;
  const box = plot.getBoundingClientRect();
  const last = plot.data.find((one) => one.meta === "line").x.at(-1);
  return [box.left + xaxis._offset + xaxis.d2p(last) - 2, box.top + yaxis._offset + yaxis._length / 2];
}"""


def opened(server, visit, lang: str = "en", **options) -> Page:
    page: Page = visit(f"{server.url}/benchmark?lang={lang}", **options).page
    page.locator(".js-plotly-plot .main-svg").first.wait_for(timeout=LOOK_MS)
    settle(page)
    return page


def plot_of(page: Page, key: str) -> Locator:
    found = page.locator(f".st-key-card-benchmark-{key} .js-plotly-plot")
    found.scroll_into_view_if_needed()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_one_reads_isolates_and_switches_the_axes(server, visit, lang: str) -> None:
    page = opened(server, visit, lang)
    plot = plot_of(page, "prefill")
    page.mouse.move(*plot.evaluate(OVER))
    box = plot.locator(".hoverlayer .legend")
    expect(box).to_be_visible(timeout=LOOK_MS)
    told = box.text_content() or ""
    assert all(name in told for name in NAMES)
    assert i18n.say(lang, "viz.plot.half", low="", high="").split()[0] in told, "the spread stands beside the median"
    plot.locator(".legendtoggle").nth(1).click()
    page.wait_for_function(f"({SHOWN})({PLOT}).length === 1", timeout=LOOK_MS)
    assert plot.evaluate(SHOWN) == ["Mamba"]
    assert plot.evaluate(AXES) == ["log", "log"]
    plot.locator(".updatemenu-button").nth(1).click()
    page.wait_for_function(f"String(({AXES})({PLOT})) === 'linear,linear'", timeout=LOOK_MS)
    titles = plot.locator(".modebar-btn").evaluate_all("all => all.map((one) => one.dataset.title)")
    assert titles == [i18n.say(lang, f"viz.plot.{name}") for name in ("zoom_in", "zoom_out", "reset")]


@pytest.mark.slow
def test_a_box_zooms_in_and_the_button_leads_back(server, visit) -> None:
    page = opened(server, visit)
    plot = plot_of(page, "prefill")
    whole = plot.evaluate("plot => plot._fullLayout.xaxis.range")
    x, y = plot.evaluate(OVER)
    page.mouse.move(x - 200, y - 60)
    page.mouse.down()
    page.mouse.move(x - 60, y + 60, steps=5)
    page.mouse.up()
    page.wait_for_timeout(500)
    near = plot.evaluate("plot => plot._fullLayout.xaxis.range")
    assert whole[0] < near[0] < near[1] < whole[1]
    plot.hover()
    plot.locator(".modebar-btn").last.click()
    page.wait_for_timeout(500)
    assert plot.evaluate("plot => plot._fullLayout.xaxis.range") == pytest.approx(whole)


@pytest.mark.slow
def test_the_menu_saves_what_is_drawn_with_its_words_and_without_buttons(server, visit, tmp_path: Path) -> None:
    page = opened(server, visit)
    card = page.locator(".st-key-card-benchmark-prefill")
    plot_of(page, "prefill")
    saved: dict[str, Path] = {}
    for kind in ("svg", "png"):
        with page.expect_download(timeout=LOOK_MS) as download:
            card.locator(".cs-menu").click()
            page.locator(f"#cs-figure-menu [data-kind='{kind}']").click()
        saved[kind] = tmp_path / download.value.suggested_filename
        download.value.save_as(saved[kind])
    assert {path.name for path in saved.values()} == {"prefill_vs_context.svg", "prefill_vs_context.png"}
    root = ET.parse(saved["svg"]).getroot()
    words = " ".join("".join(one.itertext()) for one in root.iter(f"{SVG}text"))
    assert all(name in words for name in (*NAMES, i18n.say("en", "frame.title"), "8k"))
    assert i18n.say("en", "viz.plot.linear") not in words, "what one presses is no part of a picture"
    marks = [one for one in root.iter(f"{SVG}path") if "point" in (one.get("class") or "")]
    assert len(marks) >= 16, "four lengths of four models"
    assert saved["png"].stat().st_size > 20_000


def test_the_numbers_stand_in_a_table_that_keys_reach(server, visit) -> None:
    seen = visit(f"{server.url}/benchmark?lang=en")
    page: Page = seen.page
    page.locator(".js-plotly-plot .main-svg").first.wait_for(timeout=LOOK_MS)
    settle(page)
    figure = page.locator(".st-key-card-benchmark-prefill [data-testid='stPlotlyChart']")
    assert figure.get_attribute("role") == "figure"
    assert "Time to read the context" in (figure.get_attribute("aria-label") or "")
    summary = page.locator(".st-key-numbers-benchmark-prefill summary")
    summary.focus()
    page.keyboard.press("Enter")
    table = page.locator(".st-key-numbers-benchmark-prefill table")
    expect(table).to_be_visible(timeout=LOOK_MS)
    rows = table.locator("tbody tr")
    expect(rows).to_have_count(16)
    assert re.match(r"Transformer\s+256\s+[\d.]+ m?s · middle half", rows.first.inner_text())
    assert seen.external_requests == []
    assert seen.console_errors == []


@pytest.mark.slow
def test_figures_under_the_hood_fetch_plotly_when_they_are_opened(server, visit) -> None:
    asked: list[str] = []
    seen = visit("about:blank")
    seen.page.on("request", lambda request: asked.append(request.url))
    for page, key in (("mamba", "state_path"), ("jamba", "expert_routes")):
        asked.clear()
        seen.page.goto(f"{server.url}/{page}")
        seen.page.locator(".cs-title").first.wait_for(timeout=LOOK_MS)
        settle(seen.page)
        assert not [url for url in asked if "Plotly" in url]
        seen.page.locator(f".st-key-{page}-hood-{key} summary").first.click()
        seen.page.locator(".js-plotly-plot .main-svg").first.wait_for(timeout=LOOK_MS)
        settle(seen.page)
        good = f"[class*='st-key-badge-good-{page}-{'state_path' if page == 'mamba' else 'routes'}']"
        expect(seen.page.locator(good)).to_have_count(1, timeout=LOOK_MS)
    assert seen.external_requests == []


@pytest.mark.slow
def test_a_figure_in_space_saves_what_is_seen(server, visit, tmp_path: Path) -> None:
    page: Page = visit(f"{server.url}/mamba?lang=en").page
    page.locator(".cs-title").first.wait_for(timeout=LOOK_MS)
    settle(page)
    page.locator(".st-key-mamba-hood-state_path summary").first.click()
    card = page.locator(".st-key-card-mamba-state_path")
    card.locator(".gl-container canvas").first.wait_for(timeout=LOOK_MS)
    settle(page)
    with page.expect_download(timeout=LOOK_MS) as download:
        card.locator(".cs-menu").click()
        entries = page.locator("#cs-figure-menu [data-kind]").evaluate_all("all => all.map((one) => one.dataset.kind)")
        page.locator("#cs-figure-menu [data-kind='png']").click()
    assert entries == ["png", "csv", "npz"], "only plotly can read what WebGL has drawn"
    path = tmp_path / "picture.png"
    download.value.save_as(path)
    assert download.value.suggested_filename.endswith(".png") and path.stat().st_size > 10_000


@pytest.mark.slow
def test_keys_read_the_lengths_and_press_the_buttons(server, visit) -> None:
    page = opened(server, visit)
    plot = plot_of(page, "prefill")
    page.locator(".st-key-card-benchmark-prefill .cs-menu").focus()
    page.keyboard.press("Shift+Tab")  # the script comes with the first
    page.wait_for_function(f"{PLOT}.querySelector('.updatemenu-button[tabindex]')", timeout=LOOK_MS)
    field = plot.locator(".nsewdrag").first
    field.focus()
    assert "Time to read the context" in (field.get_attribute("aria-label") or "")
    heard = page.locator(".cs-heard")
    for key, length in (("ArrowRight", "256"), ("ArrowRight", "512"), ("ArrowLeft", "256")):
        page.keyboard.press(key)
        expect(heard).to_contain_text(f"{length} tokens of context", timeout=LOOK_MS)
        assert all(name in (heard.text_content() or "") for name in NAMES)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.ariaLabel") == i18n.say("en", "viz.plot.linear")
    page.keyboard.press("Enter")
    page.wait_for_function(f"String(({AXES})({PLOT})) === 'linear,linear'", timeout=LOOK_MS)
    page.wait_for_function(
        f"document.activeElement.ariaLabel === '{i18n.say('en', 'viz.plot.linear')}'", timeout=LOOK_MS
    )
