"""The page that sets models and texts side by side: what it compares, what an edit does, what was expected."""

from collections.abc import Callable, Iterator
from html import escape
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from test_pages import assert_calm

from models import registry
from models.influence.expectations import comparisons
from models.records.trace import Token
from pages.compare.side_by_side import edits, lanes
from pages.shared import panel
from pages.shared.words import i18n
from viz.figure import Figure

Open = Callable[..., AppTest]
PAGE = "side-by-side"
TEXT = "The wolf ran into the wood"
FOUR = ["side_rows", "side_surprisal", "next_word", "side_reach"]

pytestmark = pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[Figure, dict[str, Any]]]]:
    """Collect the figures that cards show, with what the cards were told."""
    found: list[tuple[Figure, dict[str, Any]]] = []
    real = panel.figure.show

    def show(fig: Figure, **options: Any) -> None:
        found.append((fig, options))
        real(fig, **options)

    monkeypatch.setattr(panel.figure, "show", show)
    return found


def ids(shown: list[tuple[Figure, dict[str, Any]]]) -> list[str]:
    return [fig.id for fig, _ in shown]


def test_four_models_stand_on_one_axis(open_page: Open, shown) -> None:
    at = open_page(PAGE, text=TEXT, token="3")
    assert_calm(at)
    assert ids(shown) == FOUR
    rows = shown[0][0]
    assert all(options["check"].passed for _, options in shown)
    for n in range(len(registry.ADAPTERS)):  # the row of the chosen token is there at once
        known = rows.data[f"gradient_{n}"].values
        assert known[3, :4].sum() == pytest.approx(1, abs=1e-5) and (known[3, 4:] == 0).all()


@pytest.mark.parametrize("lang", i18n.LANGS)
def test_two_texts_show_what_changed(open_page: Open, shown, lang: str) -> None:
    at = open_page(PAGE, browser=lang, text=TEXT, other=TEXT.replace("wolf", "king"), mode="2", reader="2")
    assert_calm(at)
    assert ids(shown) == ["side_rows", "side_surprisal", "edit_surprisal", "next_word", "side_reach"]
    assert all(options["check"].passed for _, options in shown)
    assert {column.name for column in shown[3][0].body.columns} == {
        i18n.say(lang, "sides.before"), i18n.say(lang, "sides.after"),
    }  # fmt: skip


def test_a_word_is_replaced_and_the_first_text_comes_back(open_page: Open) -> None:
    at = open_page(PAGE, text=TEXT, mode="2")
    field = at.text_area(key=f"{PAGE}.other")
    assert field.value == TEXT
    at.text_input(key=f"{PAGE}.word").set_value("night").run()
    assert_calm(at)
    assert at.text_area(key=f"{PAGE}.other").value == "The wolf ran into the night"
    at.button(key=f"{PAGE}.undo").click().run()
    assert_calm(at)
    assert at.text_area(key=f"{PAGE}.other").value == TEXT


@pytest.mark.parametrize("other", ["", " ", "x" * 900, "\x00", "<b>no</b> **no**", "\u05e9\u05dc \u202eabc"])
def test_an_odd_second_text_gets_a_sentence_or_figures(open_page: Open, other: str) -> None:
    at = open_page(PAGE, text=TEXT, mode="2")
    at.text_area(key=f"{PAGE}.other").set_value(other).run()
    assert_calm(at)
    assert all("errors." not in one.value for one in at.warning)


@pytest.mark.parametrize("lang", i18n.LANGS)
@pytest.mark.parametrize("one", comparisons(), ids=lambda one: one.id)
def test_a_prepared_comparison_is_judged_at_once(open_page: Open, one, lang: str) -> None:
    at = open_page(PAGE, browser=lang, text=TEXT)
    at.button(key=f"{PAGE}.prepared.{one.id}").click().run()
    assert_calm(at)
    tables = [html.proto.body for html in at.get("html") if "cs-expected" in html.proto.body]
    assert len(tables) == 1
    assert all(escape(expected.words[lang]) in tables[0] for expected in one.expects)
    assert tables[0].count("cs-badge") == len(one.expects)
    assert i18n.say(lang, "sides.expected.nothing") not in tables[0]


def test_another_text_is_no_prepared_comparison(open_page: Open) -> None:
    at = open_page(PAGE, text=TEXT)
    assert not [html for html in at.get("html") if "cs-expected" in html.proto.body]


@pytest.mark.parametrize(
    ("text", "token", "word"),
    [
        ("The wolf ran.", (3, 8), "wolf"),  # with the space before it
        ("Mina ran.", (1, 4), "Mina"),  # a piece of it
        ("Mina ran.", (8, 9), "."),
        ("it's so", (3, 4), "it's"),
        ("\ubbfc\uc218\uac00 \uc6c3\uc73c\uba74", (0, 1), "\ubbfc\uc218\uac00"),
    ],
)
def test_the_word_around_a_token(text: str, token: tuple[int, int], word: str) -> None:
    class Read:
        prompt = text
        tokens = (Token(0, 1, "x", *token),)

    start, end = edits.word_at(Read, 0)  # type: ignore[arg-type]
    assert text[start:end] == word


def test_modes_have_words_in_every_language() -> None:
    for lang in i18n.LANGS:
        assert all(i18n.say(lang, f"sides.mode.{name}") for name in lanes.MODES.values())


@pytest.mark.parametrize("lang", i18n.LANGS)
def test_one_model_stands_beside_itself_with_parts_off(open_page: Open, shown, lang: str) -> None:
    at = open_page(PAGE, browser=lang, text=TEXT, mode="1", reader="1", off="convolution.*.*.zero", token="3")
    assert_calm(at)
    assert ids(shown) == ["side_rows", "side_surprisal", "what_if", "next_word", "side_reach"]
    assert all(options["check"].passed for _, options in shown)
    rows = shown[0][0]
    assert not np.allclose(rows.data["gradient_0"].values[3], rows.data["gradient_1"].values[3])
    assert not np.allclose(rows.data["mixing_0"].values, rows.data["mixing_1"].values)


def test_without_a_switch_one_model_stands_alone(open_page: Open, shown) -> None:
    assert_calm(open_page(PAGE, text=TEXT, mode="1"))
    assert ids(shown) == ["side_rows", "side_surprisal", "side_reach"]
