"""Prompts of every kind: readable tokens, exact spans, clear sentences."""

import pytest

from models import hf, registry
from models.errors import PromptError, SourceError
from models.tokens import PROMPT_LIMIT, clean, encode


def tokens_of(prompt: str):  # type: ignore[no-untyped-def]
    return encode(hf.read_tokenizer(registry.bundled()[0]), prompt, source="test")


PROMPTS = {
    "english": "Once upon a time, a wolf.",
    "korean": "옛날 옛적에 늑대가 살았다!",
    "emoji": "👍🏽 🐺👨‍👩‍👧 ok",
    "rtl": "שלום עולם مرحبا",
    "spaces": "  two   spaces\tand\nlines ",
    "html": "<script>alert(1)</script> $x^2$ :red[no] ![i](http://x/y.png)",
    "rare": "꿹 𠜎 ﷽ Ω",
}


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS.keys())
def test_labels_are_readable_and_spans_cover_the_prompt(prompt: str) -> None:
    encoded = tokens_of(prompt)
    covered = ""
    for token in encoded.tokens:
        assert "\ufffd" not in token.label and token.label
        assert 1 <= token.piece <= token.pieces
        if token.piece == 1:
            covered += encoded.prompt[token.start : token.end]
    assert covered == encoded.prompt


def test_pieces_of_one_character_carry_the_whole_character() -> None:
    encoded = tokens_of("𠜎")
    pieces = [t for t in encoded.tokens if t.end > t.start]
    assert len(pieces) > 1
    assert {t.label for t in pieces} == {"𠜎"}
    assert [t.piece for t in pieces] == list(range(1, len(pieces) + 1))
    assert any(r.key == "byte_pieces" for r in encoded.remarks)


@pytest.mark.parametrize("prompt", ("", "   ", "\n\t", "\x00\x00", "\u202e"), ids=repr)
def test_nothing_to_read_is_said_so(prompt: str) -> None:
    with pytest.raises(PromptError) as error:
        tokens_of(prompt)
    assert error.value.key == "errors.prompt_empty"


@pytest.mark.parametrize("prompt", ("wolf " * (PROMPT_LIMIT + 1), "x" * 10_000_000), ids=("tokens", "ten-megabytes"))
def test_an_over_long_prompt_names_its_length_and_the_limit(prompt: str) -> None:
    with pytest.raises(PromptError) as error:
        tokens_of(prompt)
    assert error.value.key == "errors.prompt_too_long"
    assert error.value.values["limit"] == PROMPT_LIMIT < error.value.values["tokens"]  # type: ignore[operator]


def test_control_characters_are_dropped_and_counted() -> None:
    assert clean("a\x00b\x1b[31m\u202ec\ud800") == ("ab[31mc", 4)
    assert clean("a\r\nb\rc") == ("a\nb\nc", 0)
    assert any(r.key == "control_removed" and r.values["removed"] == 1 for r in tokens_of("wo\x00lf").remarks)


def test_right_to_left_text_gets_a_remark() -> None:
    assert any(r.key == "right_to_left" for r in tokens_of("שלום").remarks)


def test_no_tokenizer_is_said_so() -> None:
    with pytest.raises(SourceError) as error:
        encode(None, "wolf", source="folder")
    assert error.value.key == "errors.no_tokenizer"
