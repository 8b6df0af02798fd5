"""The page of the encoder-decoder: its tasks, its words, its examples, its tables, and its address."""

import json
from collections.abc import Callable

import hostile
import pytest
from streamlit.testing.v1 import AppTest

from models.encoder_decoder import small, vocabulary
from models.encoder_decoder.answers import expected
from models.encoder_decoder.vocabulary import TASKS
from pages.learn.encoder_decoder import asking, layouts, running
from pages.learn.encoder_decoder.asking import PAGE, SHOWN
from pages.shared.words import i18n

Open = Callable[..., AppTest]
BOX = f"{PAGE}.words"
FIGURES = ["cross_lines", "two_stacks", "encoder_map", "decoder_map", "cross_map", "decoder_cache"]


def calm(at: AppTest) -> None:
    assert [one.value for one in (*at.exception, *at.error)] == []


def said(at: AppTest) -> str:
    """Return all HTML of the page."""
    return "\n".join(one.proto.body for one in at.get("html"))


def figures(at: AppTest) -> list[str]:
    text = said(at)
    return [name for name in FIGURES if f'id="{name}"' in text]


@pytest.mark.parametrize("lang", i18n.LANGS)
def test_every_figure_is_drawn_and_checked(open_page: Open, lang: str) -> None:
    at = open_page(PAGE, browser=lang)
    calm(at)
    assert figures(at) == FIGURES and at.warning.len == 0


@pytest.mark.parametrize("lang", i18n.LANGS)
@pytest.mark.parametrize("example", asking.examples(), ids=lambda one: one.id)
def test_every_example_is_one_click_away_and_has_a_right_answer(open_page: Open, example, lang: str) -> None:
    assert {*example.label, *example.text, *example.watch} == set(i18n.LANGS)
    source = vocabulary.read(example.task, example.text[lang])
    assert expected(source) is not None
    at = open_page(PAGE, browser=lang)
    at.button(key=f"{PAGE}.example.{example.id}").click().run()
    calm(at)
    assert at.text_input(key=BOX).value == example.text[lang] and at.warning.len == 0
    assert at.session_state["contextscope.places"][PAGE]["task"] == TASKS.index(example.task)
    assert any(example.watch[lang][:12] in one.value.replace("\\", "") for one in at.caption)
    assert " ".join(running.run_of(source).answer) in said(at)


def test_there_is_an_example_of_every_task() -> None:
    assert {one.task for one in asking.examples()} == set(TASKS) == set(SHOWN)


@pytest.mark.parametrize(
    ("words", "named", "known"),
    [("호랑이가 공을 본다", "호랑이가", "고양이"), ("고양이가 공을 본다 elephant", "elephant", "고양이")],
)
def test_an_unknown_word_is_named_beside_those_that_are_known(
    open_page: Open, words: str, named: str, known: str
) -> None:
    at = open_page(PAGE)
    at.text_input(key=BOX).set_value(words).run()
    calm(at)
    assert at.warning.len == 1 and named in at.warning[0].value and known in at.warning[0].value
    assert figures(at) == FIGURES, "the figures of the last good input stay"


def test_an_unknown_word_of_an_address_leaves_the_page_without_figures(open_page: Open) -> None:
    at = open_page(PAGE, words="호랑이가 본다")
    calm(at)
    assert at.warning.len == 1 and figures(at) == []


def test_an_emptied_box_is_answered(open_page: Open) -> None:
    at = open_page(PAGE)
    at.text_input(key=BOX).set_value("").run()
    calm(at)
    assert at.warning.len == 1 and i18n.say("en", "errors.toy_empty")[:20] in at.warning[0].value


def test_a_task_keeps_words_that_suit_it_and_else_takes_its_example(open_page: Open) -> None:
    at = open_page(PAGE)
    at.segmented_control(key=f"{PAGE}.task").set_value("reverse").run()
    assert at.text_input(key=BOX).value == asking.first_of("reverse").text["en"]
    at.text_input(key=BOX).set_value("c a b").run()
    at.segmented_control(key=f"{PAGE}.task").set_value("sort").run()
    calm(at)
    assert at.text_input(key=BOX).value == "c a b" and "“a b c”" in said(at)


def test_the_address_holds_task_words_layer_and_head(open_page: Open) -> None:
    at = open_page(PAGE, task=str(TASKS.index("reverse")), words="a b c", layer="0", head="3")
    calm(at)
    assert at.text_input(key=BOX).value == "a b c" and "“c b a”" in said(at)
    assert said(at).count(i18n.say("en", "viz.layer_head", layer=0, head=3)) >= 4
    at = open_page(PAGE, task="99", layer="7")
    calm(at)
    assert figures(at) == FIGURES


def test_the_words_of_an_address_change_no_text_of_other_pages(open_page: Open) -> None:
    at = open_page("transformer", text="Once upon a time", words="a b c")
    calm(at)
    assert at.text_area(key="transformer.prompt").value == "Once upon a time"


@pytest.mark.parametrize("sign", ["<", "&"])
def test_hostile_words_are_shown_as_text(open_page: Open, sign: str) -> None:
    at = open_page(PAGE)
    at.text_input(key=BOX).set_value(hostile.TEXT[:200]).run()
    calm(at)
    assert hostile.unescaped(at) == []
    assert at.warning.len == 1


@pytest.mark.parametrize("lang", i18n.LANGS)
def test_the_words_it_knows_and_its_accuracy_unfold(open_page: Open, lang: str) -> None:
    at = open_page(PAGE, browser=lang)
    at.session_state[f"{PAGE}.known"] = True
    at.session_state[f"{PAGE}.hood.accuracy"] = True
    at.run()
    calm(at)
    text = said(at)
    for word in ("고양이 cat", "기다린다 waits for", "정원에서 in the garden", "가 나 다"):
        assert word in text
    facts = json.loads((small.FOLDER / "card.json").read_text(encoding="utf-8"))
    for one in facts["accuracy"]:
        assert f"{100 * one['accuracy']:.1f} %" in text


@pytest.mark.parametrize("lang", i18n.LANGS)
def test_every_model_of_the_table_stands_there_with_its_source(open_page: Open, lang: str) -> None:
    text = said(open_page(PAGE, browser=lang))
    for one in layouts.models():
        assert one["name"] in text and f'href="{one["url"]}"' in text and one["use"][lang] in text
    kinds = [one["layout"] for one in layouts.models()]
    assert set(kinds) == set(layouts.LAYOUTS) and kinds == sorted(kinds, key=layouts.LAYOUTS.index)


def test_a_run_is_made_once() -> None:
    source = vocabulary.read("copy", "a c e g")
    assert running.run_of(source) is running.run_of(source)
