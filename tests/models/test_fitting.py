"""A text that is too long is cut at the last whole token, and never inside a character."""

import unicodedata

import pytest
import regex

from models import registry
from models.errors import SourceError
from models.limits import BOX_CHARACTERS, PROMPT_TOKENS
from models.sources import weights
from models.tracing import fitting
from models.tracing.tokens import encode

TEXTS = {
    "english": "The wolf ran into the wood and the fox stayed at home. ",
    "korean": "옛날 옛적에 늑대가 깊은 숲속에서 살았습니다. ",
    "jamo": unicodedata.normalize("NFD", "옛날 늑대가 살았다 "),
    "emoji": "👨‍👩‍👧👍🏽🐺🇰🇷",
    "rare": "𠜎꿹﷽",
    "marks": "e\u0301a\u0308o\u0302 ",
    "lines": "a\n\n b\tc  ",
}


def fitted(text: str, limit: int = PROMPT_TOKENS) -> fitting.Fit:
    return fitting.fitted(weights.read_tokenizer("transformer"), text, source="transformer", limit=limit)


def count(text: str) -> int:
    return len(encode(weights.read_tokenizer("transformer"), text, source="transformer", limit=10**6).ids)


def characters(text: str) -> list[str]:
    return regex.findall(r"\X", text)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_text_that_fits_stays_as_it_is(text: str) -> None:
    assert fitted(text) == fitting.Fit(text, count(text), PROMPT_TOKENS, 0)


@pytest.mark.parametrize("limit", (7, 20, 61, PROMPT_TOKENS))
@pytest.mark.parametrize("text", [text * 80 for text in TEXTS.values()], ids=TEXTS)
def test_what_is_kept_fits_and_ends_between_two_characters(text: str, limit: int) -> None:
    fit = fitted(text, limit)
    if not fit.left_out:  # one character alone has more tokens
        assert count(characters(text)[0]) > limit
        return
    assert text.startswith(fit.text) and len(fit.text) + fit.left_out == len(text)
    assert count(fit.text) <= limit < fit.tokens == count(text)
    kept = characters(fit.text)
    assert kept == characters(text)[: len(kept)]
    more = characters(text)[len(kept) :]
    assert count(fit.text + "".join(more[:8])) > limit, "little more would fit"


def test_the_cut_is_known() -> None:
    fit = fitted("a b c d e f", 4)  # the start token and three words
    assert fit == fitting.Fit("a b c", 7, 4, 6)


def test_what_cannot_be_drawn_is_neither_counted_nor_lost() -> None:
    fit = fitted("a\0 b\u202e c d e f", 4)
    assert (fit.text, fit.left_out) == ("a\0 b\u202e c", 6)
    assert fitted("a\0b").text == "a\0b"


def test_a_character_that_does_not_fit_is_left_to_the_one_who_reads_it() -> None:
    text = "a" + "\u0301" * 900
    assert fitted(text).text == text
    assert fitted(text).left_out == 0 < fitted(text).tokens - PROMPT_TOKENS


@pytest.mark.parametrize("text", ("", "  ", "\n", "\0"))
def test_an_empty_text_has_no_tokens(text: str) -> None:
    assert fitted(text) == fitting.Fit(text, 0, PROMPT_TOKENS, 0)


def test_the_longest_text_of_a_box_is_cut() -> None:
    text = "늑대와 여우 " * (BOX_CHARACTERS // 7)
    assert 0 < len(fitted(text).text) < 10 * PROMPT_TOKENS


def test_a_model_with_fewer_positions_takes_fewer_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    from models.tracing import recorder

    checkpoint = registry.load("transformer")
    monkeypatch.setattr(recorder, "_limit", lambda _: 9)
    assert registry.fitted(checkpoint, TEXTS["english"]).limit == 9
    assert count(registry.fitted(checkpoint, TEXTS["english"]).text) <= 9


def test_without_a_tokenizer_it_is_said_so() -> None:
    with pytest.raises(SourceError):
        fitting.fitted(None, "a", source="transformer", limit=9)
