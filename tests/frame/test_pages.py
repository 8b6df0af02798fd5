"""Open every page in its frame in both languages."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from models import registry
from pages.shared import site
from pages.shared.words import content, i18n

ROOT = Path(__file__).resolve().parents[2]
FRAME = ROOT / "pages" / "frame" / "main.py"
TIMEOUT = 120

ARCHITECTURES = tuple(adapter.name for adapter in registry.ADAPTERS)


def script(page: str) -> str:
    """Return the path of a page."""
    return str(site.page(page).script)


def assert_calm(at: AppTest) -> None:
    """Fail with what the page says when something on it went wrong."""
    assert [error.value for error in at.exception] == []
    assert [error.value for error in at.error] == []


@pytest.mark.parametrize("lang", i18n.LANGS)
@pytest.mark.parametrize("page", site.KEYS)
def test_page_opens(open_page, page: str, lang: str) -> None:
    at = open_page(page, browser=lang)
    assert_calm(at)
    assert at.title[0].value.startswith(content.section(page, "title", lang=lang))
    assert content.section(page, "tagline", lang=lang) in at.title[0].value


@pytest.mark.parametrize("lang", i18n.LANGS)
@pytest.mark.parametrize("page", ("overview", *ARCHITECTURES))
def test_a_page_says_what_ran(open_page, page: str, lang: str) -> None:
    at = open_page(page, browser=lang)
    (table,) = [element.proto.body for element in at.get("html") if 'class="cs-ran"' in element.proto.body]
    functions = {"transformer": ["attention"], "mamba": ["conv", "scan"], "rwkv": ["wkv"]}.get(
        page, ["attention", "conv", "scan", "experts"]
    )
    for function in functions:
        assert i18n.say(lang, f"ran.function.{function}") in table
    if page != "transformer":
        assert i18n.say(lang, "ran.code.seqops_compiled_loop_cpu") in table
    assert "seqops" not in table  # every label has words


@pytest.mark.slow
@pytest.mark.parametrize("page", site.KEYS)
def test_opening_the_hood_computes_without_error(open_page, page: str) -> None:
    at = open_page(page)
    keys = [key for key in content.sections("en", page) if key.startswith("hood.") and key.endswith(".title")]
    assert keys
    for key in keys:
        at.session_state[f"{page}.{key.removesuffix('.title')}"] = True
    at.run()
    assert_calm(at)


@pytest.mark.slow
@pytest.mark.parametrize("page", ARCHITECTURES)
def test_a_text_survives_a_change_of_page(open_page, page: str) -> None:
    at = open_page(page)
    at.text_area(key=f"{page}.prompt").set_value("The wolf and the fox").run()
    assert_calm(at)
    other = next(name for name in ARCHITECTURES if name != page)
    at.switch_page(script(other)).run()
    assert_calm(at)
    assert at.text_area(key=f"{other}.prompt").value == "The wolf and the fox"


@pytest.mark.slow
def test_an_example_is_one_click_away(open_page) -> None:
    at = open_page("rwkv", browser="ko")
    example = content.examples("rwkv")[0]
    at.button(key=f"rwkv.example.{example.id}").click().run()
    assert_calm(at)
    assert at.text_area(key="rwkv.prompt").value == example.text["ko"]


@pytest.mark.parametrize("lang", i18n.LANGS)
@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "word " * 700,
        "\x00",
        "a\x07b",
        "\U0001f9d1\u200d\U0001f33e \U0001f600",
        "\u05e9\u05dc\u05d5\u05dd \u202eabc",
    ],
    ids=["empty", "blank", "too long", "nul", "bell", "emoji", "right to left"],
)
def test_an_odd_text_gets_a_sentence_or_a_figure(open_page, lang: str, text: str) -> None:
    at = open_page("transformer", browser=lang)
    at.text_area(key="transformer.prompt").set_value(text).run()
    assert_calm(at)
    assert len(at.warning) <= 1
    for warning in at.warning:
        assert warning.value
        assert "errors." not in warning.value


def menus(at: AppTest) -> int:
    """Count the figure cards on a page: each has a menu."""
    return sum(one.proto.body.count('class="cs-menu"') for one in at.get("html"))


def test_a_bad_text_keeps_the_last_figure(open_page) -> None:
    at = open_page("transformer")
    cards = menus(at)
    assert cards
    at.text_area(key="transformer.prompt").set_value("  ").run()
    assert len(at.warning) == 1
    assert menus(at) == cards


@pytest.mark.parametrize(
    "query",
    [
        {"layer": "99999"},
        {"layer": "-1"},
        {"layer": "1e3", "head": "x"},
        {"token": "4000"},
        {"lang": "xx"},
        {"text": "x" * 20000},
        {"script": "<script>"},
    ],
    ids=",".join,
)
def test_nonsense_in_the_address_is_harmless(open_page, query: dict[str, str]) -> None:
    at = open_page("mamba", **query)
    assert [error.value for error in at.exception] == []
    assert [error.value for error in at.error] == []


def test_the_address_is_taken_over(open_page) -> None:
    at = open_page("rwkv", text="Once upon a time", token="2")
    assert at.text_area(key="rwkv.prompt").value == "Once upon a time"
    assert at.session_state["contextscope.token"] == 2


def test_the_language_of_the_address_beats_the_browser() -> None:
    at = AppTest.from_file(str(FRAME), default_timeout=TIMEOUT)
    at.context = {"locale": "en-US"}
    at.query_params["lang"] = "ko"
    at.run()
    assert_calm(at)
    assert at.title[0].value.startswith(content.section("overview", "title", lang="ko"))
    assert content.section("overview", "tagline", lang="ko") in at.title[0].value


def test_the_language_can_be_switched(open_page) -> None:
    at = open_page("jamba")
    at.segmented_control(key="frame.lang").set_value("ko").run()
    assert_calm(at)
    assert content.section("jamba", "tagline", lang="ko") in at.title[0].value
