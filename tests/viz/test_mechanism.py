"""The core of mechanisms: the spec and its bytes, and in Chromium the walk, the selection, numbers and heights."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from mechanism_page import again, mounted, parsed, sums, told

from models.records.trace import Token
from viz.look.theme import LIGHT
from viz.mechanism import MechanismSpec, Plane, Size, WalkStep, read, source
from viz.trace.mechanisms import words

CHROMIUM = Path("/usr/bin/chromium")
in_chromium = pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium")
PLANTED = """
PAINTERS.planted = (() => {
  const font = "500 14px serif";
  const lay = (state) => ({ boxes: wordBoxes(state, { x: 4, y: 0, width: state.width - 8, font, line: 24 }) });
  const cell = (state, wanted) => Math.min(wanted ?? 0, state.token);
  const draw = (ctx, state) => {
    const look = ({ tokens }) => ({ bold: tokens.includes(state.token) });
    drawWords(ctx, state, state.plan.boxes, { size: 14, look });
    for (let n = 0; n < 3; n++) drawLine(ctx, state, numeral(state, "numbers", [state.token, n]), 10 + 60 * n, 90, 50);
  };
  const hit = (state, x, y) => {
    const box = boxAt(state.plan.boxes, x, y);
    if (box) return { hover: box.tokens[0], token: box.tokens[0] };
    return y > 80 && y < 100 ? { point: Math.floor(x / 60), cell: Math.floor(x / 60) } : null;
  };
  return {
    lay, cell, draw, hit,
    tips: (state, target) => (target.point === undefined ? [] : [`number ${target.point}`]),
    moved: (state, right) => Math.max(0, state.cell + right),
    says: (state) => ({ word: state.labels[state.token], cell: state.cell }),
    sums: (state) => [[{ word: state.token }, " ", { plane: "numbers", at: [state.token, state.cell] }, " = ",
      { strong: { name: "double", value: 2 * state.value("numbers", state.token, state.cell), at: [state.token] } }]],
  };
})();
"""


@pytest.fixture
def planted(monkeypatch, tmp_path):
    """Put a painter in place of all others."""
    (tmp_path / "planted.js").write_text(PLANTED, encoding="utf-8")
    monkeypatch.setattr(source, "PAINTERS", tmp_path)
    for one in (source.painters, source.script):
        one.cache_clear()
    yield
    for one in (source.painters, source.script):
        one.cache_clear()


NUMBERS = np.arange(12, dtype=np.float32).reshape(4, 3) / 8 - 0.75


def made(english, **changes) -> MechanismSpec:
    labels = ("The", "\u2423cat", "\u2423s", "at")
    tokens = tuple(Token(i, i, label, 2 * i, 2 * i + 2) for i, label in enumerate(labels))
    steps = tuple(WalkStep(key, key.upper(), f"Step {key} of {{word}}, cell {{cell}}.") for key in ("a", "b", "c"))
    options = {
        "id": "planted", "alt": "Numbers.", "theme": LIGHT, "accent": "#0B62B0", "painter": "planted", "tokens": tokens,
        "planes": {"numbers": Plane(NUMBERS, ("token", "place"))}, "steps": steps, "reading": "text",
        "sizes": (Size(0, 200, 120), Size(700, 160, 80)), "words": words(english),
    }  # fmt: skip
    return MechanismSpec(**(options | changes))


def test_what_is_drawn_is_read_back(planted, english) -> None:
    spec = made(english)
    drawn = read(spec.payload())
    np.testing.assert_array_equal(drawn.planes["numbers"], NUMBERS)
    assert drawn.header["labels"] == ["The", "\u2423cat", "\u2423s", "at"]
    assert [step["key"] for step in drawn.header["steps"]] == ["a", "b", "c"]
    assert spec.payload() is spec.payload()


@pytest.mark.parametrize(
    "wrong",
    [
        {"painter": "nobody"},
        {"tokens": ()},
        {"steps": ()},
        {"first": 3},
        {"sizes": ()},
        {"sizes": (Size(10, 1, 1),)},
        {"sizes": (Size(0, 1, 1), Size(0, 2, 2))},
    ],
)
def test_a_spec_that_cannot_be_drawn_is_refused(planted, english, wrong) -> None:
    with pytest.raises(ValueError, match="mechanism planted"):
        made(english, **wrong)


def test_infinite_numbers_are_refused_where_digits_are_given(planted, english) -> None:
    infinite = {"numbers": Plane(np.array([[np.inf]]), ("token", "place"), digits=3)}
    with pytest.raises(ValueError, match="finite"):
        made(english, planes=infinite).payload()


def test_every_painter_is_known_by_its_file_and_defines_itself_alone() -> None:
    for path in source.PAINTERS.glob("*.js"):
        text = path.read_text(encoding="utf-8")
        assert f"PAINTERS.{path.stem} = " in text
        outside = [line for line in text.splitlines() if line and not line.startswith((" ", "//", "}", "PAINTERS."))]
        assert outside == [], f"{path.name} defines what another painter may define too"


def test_the_parts_are_joined_once_and_keep_their_names_apart() -> None:
    files = {path.stem for path in source.BROWSER.glob("*.js")}
    assert files == set(source.SCRIPT_FILES)
    defined = re.findall(r"^(?:async )?(?:function|const|let|class) (\w+)", source.script(), flags=re.MULTILINE)
    assert len(defined) == len(set(defined)), [name for name in defined if defined.count(name) > 1]
    for word in ("Math.random", "innerHTML", "insertAdjacentHTML", "eval(", "fetch(", "https://"):
        assert word not in source.script()


@pytest.fixture
def mount(blank, planted, english):
    pages = []

    def opened(spec=None, *, width: int = 800, motion: str = "reduce", **options):
        page = blank(max(width, 390), motion=motion)
        pages.append(page)
        return mounted(page, spec or made(english), width=width, **options)

    yield opened
    for page in pages:
        page.close()


def state(page) -> dict:
    return page.evaluate("() => ({...window.store.get()})")


@pytest.mark.parametrize("width", [390, 560, 800])
@pytest.mark.browser
@in_chromium
def test_the_place_has_the_height_that_the_server_keeps_free(mount, english, width: int) -> None:
    spec = made(english)
    page = mount(spec, width=width)
    assert page.evaluate("document.querySelector('#host').getBoundingClientRect().height") == spec.height(width)
    assert page.errors == []


@pytest.mark.browser
@in_chromium
def test_buttons_and_keys_walk_the_steps(mount) -> None:
    page = mount()
    current = page.locator('.step[aria-current="step"]')
    assert current.inner_text() == "A" and page.locator(".says").inner_text() == "Step a of at, cell 0."
    page.locator(".player .on").click()
    assert current.inner_text() == "B" and page.locator(".heard").inner_text().startswith("Step 2 of 3, B")
    page.locator(".stage").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert current.inner_text() == "C" and page.locator(".player .on").get_attribute("aria-disabled") == "true"
    page.keyboard.press("ArrowUp")
    assert current.inner_text() == "B"
    page.locator(".step").first.click()
    assert current.inner_text() == "A" and page.locator(".player .back").get_attribute("aria-disabled") == "true"
    assert page.errors == []


@pytest.mark.browser
@in_chromium
def test_play_walks_to_the_end_and_rests(mount, english) -> None:
    page = mount()
    page.clock.install()
    page.locator(".player .play").click()
    assert page.locator(".player .play").get_attribute("aria-label") == english("viz.mechanism.pause")
    page.clock.run_for(20_000)
    assert page.locator('.step[aria-current="step"]').inner_text() == "C"
    assert page.locator(".player .play").get_attribute("aria-label") == english("viz.mechanism.play")
    assert state(page)["frame"] is None


@pytest.mark.browser
@in_chromium
def test_play_goes_on_with_the_next_token_where_the_figure_says_so(mount, english) -> None:
    page = mount(made(english, on=True))
    page.clock.install()
    page.evaluate("store.set({ token: 2 })")
    page.locator(".player .play").click()
    page.clock.run_for(4_500)
    assert state(page)["frame"] == 3
    page.clock.run_for(20_000)
    assert (state(page)["frame"], page.locator('.step[aria-current="step"]').inner_text()) == (3, "C")


@pytest.mark.browser
@in_chromium
def test_words_follow_the_store_and_are_chosen_here(mount) -> None:
    page = mount()
    stage = page.locator(".stage")
    assert "of at" in page.locator(".says").inner_text()
    page.evaluate("store.set({ token: 1, span: [2, 4] }, 'other')")
    assert "of \u2423cat" in page.locator(".says").inner_text()
    stage.hover(position={"x": 10, "y": 12})
    assert state(page)["hover"] == 0 and "of The" in page.locator(".says").inner_text()
    page.mouse.move(5, 700)
    assert state(page)["hover"] is None and "of \u2423cat" in page.locator(".says").inner_text()
    stage.click(position={"x": 10, "y": 12})
    assert (state(page)["token"], state(page)["span"]) == (0, [0, 2])
    page.keyboard.press("ArrowRight")
    assert state(page)["token"] == 1
    page.keyboard.press("End")
    assert state(page)["token"] == 3
    page.keyboard.press("Escape")
    assert state(page)["token"] is None
    page.evaluate("store.open({ reading: 'another', page: 'test' })")
    page.evaluate("store.set({ token: 0 }, 'other')")
    assert "of at" in page.locator(".says").inner_text(), "another text is of no concern"
    assert page.errors == []


@pytest.mark.browser
@in_chromium
def test_the_cell_is_pointed_at_chosen_and_moved(mount) -> None:
    page = mount()
    stage = page.locator(".stage")
    stage.hover(position={"x": 70, "y": 90})
    assert "cell 1" in page.locator(".says").inner_text() and page.locator(".tip.on").inner_text() == "number 1"
    page.mouse.move(5, 700)
    assert "cell 0" in page.locator(".says").inner_text()
    stage.click(position={"x": 130, "y": 90})
    page.mouse.move(5, 700)
    assert "cell 2" in page.locator(".says").inner_text()
    stage.focus()
    page.keyboard.press("Shift+ArrowLeft")
    assert "cell 1" in page.locator(".says").inner_text()


@pytest.mark.browser
@in_chromium
def test_every_number_says_where_it_comes_from(mount, english) -> None:
    page = mount()
    for token in range(4):
        page.evaluate("(token) => store.set({ token })", token)
        assert [(one["plane"], one["at"]) for one in told(page)] == [("numbers", [token, n]) for n in range(3)]
        for one in [*told(page), sums(page)[0]]:
            assert parsed(one["text"]) == pytest.approx(NUMBERS[tuple(one["at"])], rel=5e-3)
        assert parsed(sums(page)[1]["text"]) == pytest.approx(2 * NUMBERS[token, 0], rel=5e-3)
    again(page, made(english, planes={"numbers": Plane(NUMBERS + 1, ("token", "place"))}))
    assert [parsed(one["text"]) for one in told(page)] == pytest.approx(list(NUMBERS[3] + 1), rel=5e-3)


@pytest.mark.browser
@in_chromium
def test_a_hostile_text_stays_text(mount, english) -> None:
    bad = "<img src=x onerror=window.hacked=1>"
    spec = made(english)
    tokens = tuple(dataclasses.replace(token, label=bad) for token in spec.tokens)
    page = mount(dataclasses.replace(spec, tokens=tokens))
    assert bad in page.locator(".says").inner_text() and page.locator("img").count() == 0


@pytest.mark.browser
@in_chromium
def test_words_break_into_lines_between_words_and_shorten_what_is_too_wide(mount, english) -> None:
    labels = ("\u2423one", "\u2423two", "th", "\u2423" + "w" * 90, "x")
    tokens = tuple(Token(i, i, label, i, i + 1) for i, label in enumerate(labels))
    spec = made(english, tokens=tokens, planes={"numbers": Plane(np.zeros((5, 3)), ("token", "place"))})
    page = mount(spec, width=390)
    stage = page.locator(".stage")
    seen = []
    for y in (12, 36, 60):
        stage.hover(position={"x": 8, "y": y})
        seen.append(state(page)["hover"])
    assert seen == [0, 3, 4] and page.errors == []
