"""The tokens that a ready example labels: where its words stand, in the text as it is."""

import dataclasses
from collections.abc import Mapping

import pytest

from models.records.trace import Token
from pages.shared import presets, site
from pages.shared.words import content
from pages.shared.words.content import Example
from viz.gallery import samples

TEXT = {"en": "a cat, a dog and a cat", "ko": "고양이와 개와 고양이"}
WORDS = {"en": "cat, dog", "ko": "고양이, 개"}


def read(text: str, size: int = 2):
    """Cut a text into tokens of so many characters each."""
    starts = range(0, len(text), size)
    tokens = tuple(Token(n, n, text[at : at + size], at, min(at + size, len(text))) for n, at in enumerate(starts))
    return dataclasses.replace(samples.traces()["mamba"], prompt=text, tokens=tokens)


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    def examples(_: str) -> tuple[Example, ...]:
        plain: Mapping[str, str] = {"en": "x", "ko": "y"}
        return (
            Example("plain", plain, {"en": "no marks", "ko": "없음"}, plain),
            Example("a", plain, TEXT, plain, WORDS),
        )

    monkeypatch.setattr(content, "examples", examples)


def test_every_token_that_shares_a_character_with_a_labelled_word_counts(planted: None) -> None:
    assert presets.marked("mamba", read(TEXT["en"])) == (1, 2, 4, 5, 9, 10)
    assert presets.marked("mamba", read(TEXT["en"], 1)) == (2, 3, 4, 9, 10, 11, 19, 20, 21)
    assert presets.marked("mamba", read(TEXT["ko"], 1)) == (0, 1, 2, 5, 8, 9, 10)


def test_another_text_has_no_labels(planted: None) -> None:
    assert presets.marked("mamba", read(TEXT["en"] + ".")) == ()
    assert presets.marked("mamba", read("no marks")) == ()


@pytest.mark.parametrize("page", site.KEYS)
def test_labelled_words_stand_in_their_text(page: str) -> None:
    for example in content.examples(page):
        assert set(example.marked) in (set(), set(example.text))
        for lang, words in example.marked.items():
            assert all(word in example.text[lang] for word in words.split(", ")), (example.id, lang)
