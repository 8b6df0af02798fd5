"""The words beside a figure: a lead in bold, the rest behind "More" where it is long; the bytes carried once."""

import re
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from pages.shared import layout, site
from pages.shared.words import content, i18n

Open = Callable[..., AppTest]


@pytest.mark.parametrize(
    ("words", "lead", "rest"),
    [
        ("One row is one channel here. The rest follows.", "One row is one channel here.", "The rest follows."),
        ("It can. Unrolled, it is a sum of inputs.\n\nMore.", "It can. Unrolled, it is a sum of inputs.", "More."),
        ("At 99.4 % it is **right** in most cases! Yes.", "At 99.4 % it is right in most cases!", "Yes."),
        ("행 하나가 상태의 채널 하나입니다. 색은 합입니다.", "행 하나가 상태의 채널 하나입니다.", "색은 합입니다."),
        ("no end of a sentence", "no end of a sentence", ""),
    ],
)
def test_the_lead_is_the_first_sentence_that_says_something(words: str, lead: str, rest: str) -> None:
    assert layout.lead_of(words) == (lead, rest)


@pytest.mark.parametrize("lang", i18n.LANGS)
@pytest.mark.parametrize("page", site.KEYS)
def test_no_markup_of_the_words_is_cut(lang: str, page: str) -> None:
    found = [text for key, text in content.sections(lang, page).items() if re.search(r"\.(text|see)$", key)]
    assert found
    for text in found:
        for part in layout.lead_of(text):
            assert all(part.count(mark) % 2 == 0 for mark in ("**", "*", "`", "$")), part
            assert part.count("(") == part.count(")") and part.count("[") == part.count("]"), part


def test_long_words_are_behind_more_and_short_ones_are_not(open_page: Open) -> None:
    at = open_page("mamba")
    more = [one for one in at.expander if one.label == i18n.say("en", "layout.more")]
    assert len(more) == 5  # the first figure, three chapters and what is switched off
    assert not at.exception
    leads = [one.value for one in at.markdown if one.value.startswith("**At every word each number")]
    assert len(leads) == 1 and "the bars say" not in leads[0]
    assert any("the bars say" in one.value for one in more[0].markdown)


def test_the_bytes_of_one_model_stand_in_a_line_and_are_compared_once(open_page: Open) -> None:
    at = open_page("transformer")
    bars = [one for one in at.get("html") if "cs-carried" in one.proto.body]
    assert len(bars) == 3, "three lengths, under What it costs"
    said = i18n.say("en", "layout.carried_here", bytes="")
    (line,) = [one.value for one in at.markdown if one.value.startswith(said.split("**")[0])]
    assert re.search(r"\*\*[\d.]+ KiB\*\*", line) and "(#cost)" in line


def test_four_models_keep_their_bars(open_page: Open) -> None:
    at = open_page("overview")
    assert len([one for one in at.get("html") if "cs-carried" in one.proto.body]) == 1
