"""The menu of a figure card: definition, pictures that hold what is drawn, numbers, link, full screen."""

import base64
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from settling import settle

from pages.shared import site
from pages.shared.words import content, i18n

LOOK_MS = 60_000  # how long to look for something; no time is tested
SVG = "{http://www.w3.org/2000/svg}"
TEXT = "The wolf and the fox"
TOKENS = 6  # of this text: <s> The wolf and the fox
DRAWN = "[class*='st-key-card-'] :is(canvas, table, [data-testid='stVegaLiteChart'] :is(svg, canvas), .main-svg)"
# A figure of each kind: page, key, id, and the picture's elements that stand for its numbers.
HERO, LISTS, MAP, CHART = (
    ("overview", "overview.reading", "reading"),
    ("transformer", "transformer.next_word", "next_word"),
    ("transformer", "transformer.matrix", "head_matrix"),
    ("rwkv", "rwkv.decay", "decay_curves"),
)
PIXELS = """async (address) => {
  const image = new Image();
  image.src = address;
  await image.decode();
  const { naturalWidth: width, naturalHeight: height } = image;
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const ctx = canvas.getContext("2d");
  ctx.drawImage(image, 0, 0);
  const { data } = ctx.getImageData(0, 0, canvas.width, canvas.height);
  const colors = new Set();
  for (let i = 0; i < data.length; i += 4) colors.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
  return { width, height, ground: [...data.slice(0, 4)], colors: [...colors] };
}"""
BOX = "card => { const { width, height } = card.getBoundingClientRect(); return [width, height]; }"


def opened(server, visit, page: str, **options: Any):
    seen = visit(f"{server.url}/{site.page(page).url_path}?text={TEXT.replace(' ', '+')}&lang=en&layer=2", **options)
    seen.page.locator(DRAWN).first.wait_for(state="visible", timeout=LOOK_MS)
    settle(seen.page)
    return seen


def card_of(page: Page, key: str) -> Locator:
    return page.locator(f".st-key-card-{key.replace('.', '-')}")


def menu_of(card: Locator) -> Locator:
    """Open the menu of a card."""
    card.locator(".cs-menu").click()
    menu = card.page.locator("#cs-figure-menu")
    expect(menu).to_be_visible(timeout=LOOK_MS)
    return menu


def saved(card: Locator, kind: str, folder: Path) -> Path:
    """Save a picture or the numbers of a card, under the name that the browser gives the file."""
    with card.page.expect_download(timeout=LOOK_MS) as download:
        menu_of(card).locator(f"[data-kind='{kind}']").click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def pixels(page: Page, path: Path) -> dict[str, Any]:
    kind = "svg+xml" if path.suffix == ".svg" else "png"
    found: dict[str, Any] = page.evaluate(
        PIXELS, f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
    )
    return found


def words_in(root: ET.Element) -> str:
    return " ".join("".join(one.itertext()) for one in root.iter(f"{SVG}text"))


def assert_says_what_it_is(root: ET.Element, figure_id: str, model: str) -> None:
    name = content.figure_facts(figure_id).name["en"]
    title, desc = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None and title.text is not None and title.text.startswith(name)
    assert desc is not None and desc.text is not None and TEXT in desc.text and model in desc.text
    words = words_in(root)
    assert name in words and TEXT in words and i18n.say("en", "frame.title") in words


@pytest.mark.slow
def test_pictures_and_numbers_of_two_figures_of_a_page(server, visit, tmp_path: Path) -> None:
    """A map and lists: each menu saves its own figure, and the pictures hold the drawn values."""
    seen = opened(server, visit, MAP[0])
    asked: list[str] = []
    for _, key, figure_id in (MAP, LISTS):
        card = card_of(seen.page, key)
        files = {kind: saved(card, kind, tmp_path) for kind in ("png", "svg", "npz")}
        assert {kind: path.name for kind, path in files.items()} == {kind: f"{figure_id}.{kind}" for kind in files}
        if not asked:
            seen.page.on("request", lambda request: asked.append(request.url))  # typefaces and scripts are here by now
        on_page = card.evaluate("card => card.querySelector('.cs-title').getBoundingClientRect().width")
        for picture in (files["png"], files["svg"]):
            found = pixels(seen.page, picture)
            assert found["ground"] == [255, 255, 255, 255]
            assert len(found["colors"]) > 50, picture
            assert 0x0B62B0 in found["colors"], "the colour of the architecture"
        assert pixels(seen.page, files["png"])["width"] >= 2 * on_page
        root = ET.parse(files["svg"]).getroot()
        assert_says_what_it_is(root, figure_id, "Transformer")
        with np.load(files["npz"]) as data:
            if figure_id == "head_matrix":
                (weights,) = (data[name] for name in data.files if data[name].shape == (TOKENS, TOKENS))
                (cells,) = (one for one in root.iter(f"{SVG}g") if one.get("class") == "cells")
                assert len(cells) == TOKENS * (TOKENS + 1) // 2, "a cell for each token and each that it may read"
                first, last = cells[0], cells[-1]
                assert first.get("fill") == "#0b62b0", "the first token reads itself alone"
                assert weights[0, 0] == 1
                assert float(last.get("x")) > float(first.get("x")) and float(last.get("y")) > float(first.get("y"))
                assert not list(root.iter(f"{SVG}image"))
            else:
                shares = re.findall(r"[0-9.]+%", words_in(root))
                lists = card.evaluate(
                    "card => [...card.querySelectorAll('*')].find((one) => one.shadowRoot?.querySelector('table'))"
                    ".shadowRoot.querySelectorAll('tbody tr').length"
                )
                assert len(shares) >= lists > 2
    assert [url for url in asked if not url.startswith(("blob:", "data:", server.url))] == []
    assert [url for url in asked if re.search(r"/api/|_stcore/upload", url)] == []
    assert seen.console_errors == [] and seen.external_requests == []


@pytest.mark.slow
def test_pictures_of_a_chart(server, visit, tmp_path: Path) -> None:
    seen = opened(server, visit, CHART[0], dark=True)
    card = card_of(seen.page, CHART[1])
    assert seen.page.locator("[class*='st-key-card-'] [data-testid='stElementToolbar']:visible").count() == 0
    card.locator("svg.marks").hover()
    assert seen.page.locator("[class*='st-key-card-'] [data-testid='stElementToolbar']:visible").count() == 0
    files = {kind: saved(card, kind, tmp_path) for kind in ("png", "svg")}
    for path in files.values():
        found = pixels(seen.page, path)
        assert path.stem == CHART[2]
        assert found["ground"] == [23, 28, 34, 255]
        assert len(found["colors"]) > 50
    root = ET.parse(files["svg"]).getroot()
    assert_says_what_it_is(root, CHART[2], "RWKV")
    lines = [one for one in root.iter(f"{SVG}g") if "mark-line" in one.get("class", "")]
    on_page = card.locator("svg.marks g.mark-line path").count()
    assert sum(len(list(one.iter(f"{SVG}path"))) for one in lines) == on_page == 5
    assert "drawn channels halve" in words_in(root)
    assert seen.console_errors == [] and seen.external_requests == []


@pytest.mark.slow
def test_pictures_of_models_that_read(server, visit, tmp_path: Path) -> None:
    seen = opened(server, visit, HERO[0])
    card = card_of(seen.page, HERO[1])
    files = {kind: saved(card, kind, tmp_path) for kind in ("png", "svg")}
    for path in files.values():
        colors = pixels(seen.page, path)["colors"]
        assert {0x0B62B0, 0x0A7D5E, 0xB85C00, 0x9C3F86} <= set(colors), "each of the four architectures"
    root = ET.parse(files["svg"]).getroot()
    assert_says_what_it_is(root, HERO[2], "Mamba")
    words = words_in(root)
    assert all(i18n.say("en", f"nav.{page}") in words for page in ("transformer", "mamba", "rwkv", "jamba"))
    assert "KiB" in words
    assert len(list(root.iter(f"{SVG}rect"))) > 200, "the tiles of two states, cell by cell"
    assert seen.console_errors == [] and seen.external_requests == []


def test_a_menu_names_its_entries_walks_by_keys_and_opens_definition_and_link(server, visit) -> None:
    seen = opened(server, visit, "mamba")
    page, card = seen.page, card_of(seen.page, "mamba.hero")
    assert page.locator(".katex").count() == 0, "formulas are fetched when they are asked for"
    button = card.locator(".cs-menu")
    button.focus()
    page.keyboard.press("Enter")
    entries = page.locator("#cs-figure-menu [role='menuitem']")
    keys = ("full_screen", "definition", "save_png", "save_svg", "save_csv", "save_npz", "link")
    expect(entries).to_contain_text([i18n.say("en", f"figure.{key}") for key in keys], timeout=LOOK_MS)
    expect(button).to_have_attribute("aria-expanded", "true")
    expect(entries.first).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(entries.last).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#cs-figure-menu")).not_to_be_visible()
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    expect(entries.first).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(card.locator(".katex").first).to_be_visible(timeout=LOOK_MS)
    figure, meaning = (card.locator(one).bounding_box() for one in ("canvas.board", ".katex >> nth=0"))
    assert meaning["y"] > figure["y"] + figure["height"], "it covers nothing of its figure"
    page.keyboard.press("Enter")  # the focus went to its title, which shuts it
    expect(card.locator(".katex")).to_have_count(0, timeout=LOOK_MS)
    menu_of(card).locator("[role='menuitem']").last.click()
    address = urlsplit(page.locator("#cs-figure-menu input").input_value())
    assert address.fragment == "state_update" and address.path == "/mamba"
    assert parse_qs(address.query) == {"text": [TEXT], "lang": ["en"], "layer": ["2"]}
    assert seen.console_errors == [] and seen.external_requests == []


@pytest.mark.slow
@pytest.mark.parametrize("shown", [MAP, CHART], ids=["map", "chart"])
def test_a_card_fills_the_screen_and_returns(server, visit, shown: tuple[str, str, str]) -> None:
    page = opened(server, visit, shown[0], width=1920).page
    page.set_viewport_size({"width": 1920, "height": 1080})
    card = card_of(page, shown[1])
    drawing = card.locator("canvas.base, svg.marks").first
    title = "card => card.querySelector('.cs-title').getBoundingClientRect().height"
    page.wait_for_timeout(1000)  # the chart has its width
    height = page.evaluate("document.querySelector('.stMain').scrollHeight")
    before, small, type_before = card.evaluate(BOX), drawing.bounding_box(), card.evaluate(title)
    card.locator(".cs-full").focus()
    scrolled = page.evaluate("document.querySelector('.stMain').scrollTop")
    page.keyboard.press("Enter")
    page.wait_for_function("document.fullscreenElement?.matches('[class*=st-key-card-]')", timeout=LOOK_MS)
    page.wait_for_function(
        "(width) => { const one = document.fullscreenElement?.querySelector('svg.marks');"
        " return !one || one.getBoundingClientRect().width > width }",
        arg=small["width"] * 1.2,
        timeout=LOOK_MS,
    )
    page.wait_for_timeout(700)
    assert card.evaluate(BOX) == [1920, 1080]
    large = drawing.bounding_box()
    assert large["width"] > 1.2 * small["width"] and large["x"] + large["width"] <= 1920
    assert card.evaluate(title) > 1.15 * type_before
    assert card.evaluate("card => card.scrollHeight - card.clientHeight") <= 1, "all of it is in sight"
    sharp = "one => one.matches('svg') ? 9 : one.width / one.getBoundingClientRect().width"
    assert drawing.evaluate(sharp) > 0.98, "a pixel of the screen has one of its own"
    if shown == MAP:
        check_badge(page, card)
    menu_of(card).locator("[role='menuitem']").first.click()  # the same entry leaves
    page.wait_for_function("!document.fullscreenElement", timeout=LOOK_MS)
    page.wait_for_function(
        "(height) => document.querySelector('.stMain').scrollHeight === height", arg=height, timeout=LOOK_MS
    )
    expect(card.locator(".cs-full")).to_be_visible()
    page.wait_for_timeout(500)
    assert card.evaluate(BOX) == before
    assert drawing.bounding_box()["width"] == small["width"]
    assert page.evaluate("document.querySelector('.stMain').scrollTop") == scrolled


def check_badge(page: Page, card) -> None:
    """Open the badge of a card that fills the screen: what it says lies above the card, and closes again."""
    badge, proof = card.locator("[class*='st-key-badge-'] button"), page.locator(".cs-proof")
    badge.click()
    expect(proof).to_be_visible(timeout=LOOK_MS)
    expect(proof.locator(".cs-curves").first).to_be_visible(timeout=LOOK_MS)
    page.wait_for_timeout(300)
    near = badge.bounding_box()
    assert abs(proof.bounding_box()["x"] - near["x"]) < 60
    assert proof.evaluate(
        "one => { const { x, y } = one.getBoundingClientRect();"
        " return one.contains(document.elementFromPoint(x + 9, y + 9)) }"
    )
    badge.click()
    expect(proof).to_be_hidden(timeout=LOOK_MS)


def test_the_menu_is_that_of_the_card_whose_button_was_pressed_last(server, visit) -> None:
    page = opened(server, visit, "mamba").page
    menu, buttons = page.locator("#cs-figure-menu"), page.locator(".cs-menu")
    for place in (1, 0, 1, 0):
        button = buttons.nth(place)
        button.click()
        expect(menu).to_be_visible()
        expect(button).to_have_attribute("aria-expanded", "true")
        box, near = menu.bounding_box(), button.bounding_box()
        assert abs(box["x"] + box["width"] - near["x"] - near["width"]) < 2
        assert min(abs(near["y"] - box["y"] - box["height"]), abs(box["y"] - near["y"] - near["height"])) < 8
    button.click()
    expect(menu).to_be_hidden()
    expect(page.locator(".cs-menu[aria-expanded='true']")).to_have_count(0)


def test_without_full_screen_the_entry_is_hidden(server, chromium: Browser) -> None:
    context = chromium.new_context(locale="ko-KR")
    context.add_init_script("Object.defineProperty(Document.prototype, 'fullscreenEnabled', { get: () => false })")
    page = context.new_page()
    page.goto(f"{server.url}/mamba")
    page.locator(DRAWN).first.wait_for(state="visible", timeout=LOOK_MS)
    card = card_of(page, "mamba.hero")
    expect(card.locator(".cs-full")).not_to_be_visible()
    menu = menu_of(card)
    first = menu.locator("[role='menuitem']").first
    expect(first).to_have_text(i18n.say("ko", "figure.definition"), timeout=LOOK_MS)
    expect(menu.locator("[role='menuitem']")).to_have_count(6)
    context.close()


def test_a_menu_that_is_opened_before_its_words_have_come_gets_them(server, visit) -> None:
    page = opened(server, visit, "mamba").page
    page.wait_for_function("window.contextscope?.words", timeout=LOOK_MS)
    settle(page)
    page.evaluate("() => { window.kept = contextscope.words; contextscope.words = undefined }")
    first = menu_of(card_of(page, "mamba.hero")).locator("[role='menuitem']").first
    assert first.inner_text() == ""
    page.evaluate("() => { contextscope.words = kept; dispatchEvent(new Event('contextscope:words')) }")
    expect(first).to_have_text(i18n.say("en", "figure.full_screen"), timeout=LOOK_MS)
    expect(first).to_be_focused(timeout=LOOK_MS)


@pytest.mark.parametrize("width", [390, 1280, 1920])
def test_the_row_of_a_card_is_one_line(server, visit, width: int) -> None:
    seen = opened(server, visit, "mamba", width=width)
    rows = seen.page.evaluate(
        "() => [...document.querySelectorAll('.cs-row')]"
        ".map((row) => [row.clientHeight, row.scrollWidth - row.clientWidth])"
    )
    assert len(rows) > 3
    assert {(height < 60, over) for height, over in rows} == {(True, 0)}


def test_a_link_to_a_figure_under_the_hood_opens_its_section(server, visit) -> None:
    """Also the link of a figure that once stood open on the page."""
    for name in ("state_film", "half_life"):
        seen = visit(f"{server.url}/mamba?text={TEXT.replace(' ', '+')}&lang=en#{name}")
        title = seen.page.locator(f"#{name}")
        expect(title).to_be_in_viewport(timeout=LOOK_MS)
        assert seen.page.locator("[class*='st-key-mamba-hood-'] details[open]").count() == 1
        assert seen.console_errors == []
