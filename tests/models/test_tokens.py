"""Prompts of every kind: readable tokens, exact spans, clear sentences."""

import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from models import limits, registry
from models.errors import PromptError, SourceError
from models.limits import PROMPT_CHARACTERS, PROMPT_TOKENS
from models.sources import weights
from models.tracing.tokens import clean, encode, label_of


def tokens_of(prompt: str):  # type: ignore[no-untyped-def]
    return encode(weights.read_tokenizer(registry.bundled()[0]), prompt, source="test")


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


@pytest.mark.slow
@pytest.mark.parametrize("prompt", ("wolf " * (PROMPT_TOKENS + 1), "x" * 10_000_000), ids=("tokens", "ten-megabytes"))
def test_an_over_long_prompt_names_its_length_and_the_limit(prompt: str) -> None:
    with pytest.raises(PromptError) as error:
        tokens_of(prompt)
    assert error.value.key == "errors.prompt_too_long"
    assert error.value.values["limit"] == PROMPT_TOKENS < error.value.values["tokens"]  # type: ignore[operator]


@pytest.mark.parametrize("bundled", registry.bundled())
def test_the_limit_lies_within_the_windows_that_a_bundled_model_was_trained_on(bundled: str) -> None:
    """The reason that models.limits gives is what the cards say."""
    card = json.loads((weights.CHECKPOINTS / bundled / "card.json").read_text("utf-8"))
    windows = [value for key, value in _flat(card) if key == "context"]
    assert min(windows) >= PROMPT_TOKENS
    assert "512 tokens" in Path(limits.__file__).read_text("utf-8") and set(windows) == {512}


def test_every_text_within_the_limit_in_characters_is_one_sentence_or_a_figure() -> None:
    """The limit in characters never cuts what the limit in tokens would take: words of fifteen characters fit."""
    assert PROMPT_CHARACTERS >= 15 * PROMPT_TOKENS


def _flat(tree: object) -> Iterator[tuple[str, object]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield key, value
            yield from _flat(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _flat(value)


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


def test_every_id_of_the_vocabulary_has_a_label_that_can_be_read_and_drawn() -> None:
    tokenizer = weights.read_tokenizer(registry.bundled()[0])
    assert tokenizer is not None
    label = label_of(tokenizer)
    labels = [label(i) for i in range(len(tokenizer))]
    assert all(text and "\ufffd" not in text and " " not in text for text in labels)
    assert not [text for text in labels if any(unicodedata.category(c) in ("Cc", "Cf", "Cs") for c in text)]
    assert len(set(labels)) > 0.99 * len(labels)
    assert label(len(tokenizer) + 5) == f"[{len(tokenizer) + 5}]"
    assert label(tokenizer.all_special_ids[0]) == tokenizer.convert_ids_to_tokens(tokenizer.all_special_ids[0])
    assert label_of(None)(50300) == "50300"


@pytest.mark.parametrize("prompt", ("Once upon a time, a wolf.\n\tThe end", "옛날 옛적에 늑대가"))
def test_a_label_of_an_id_is_that_of_the_prompts_token(prompt: str) -> None:
    label = label_of(weights.read_tokenizer(registry.bundled()[0]))
    whole = [token for token in tokens_of(prompt).tokens if token.end > token.start and token.pieces == 1]
    assert len(whole) > 3
    assert [label(token.id) for token in whole] == [token.label for token in whole]


def test_bytes_and_hidden_characters_are_written_out() -> None:
    tokenizer = weights.read_tokenizer(registry.bundled()[0])
    assert tokenizer is not None
    label = label_of(tokenizer)
    assert label(tokenizer.convert_tokens_to_ids("\u0100")) == r"\x00"  # byte-level BPE writes byte 0 as U+0100
    assert label(tokenizer.convert_tokens_to_ids("\u00ed")) == r"\xed"  # the first byte of most Korean syllables


def test_a_sentencepiece_vocabulary_is_labelled_alike() -> None:
    vocab = {"<unk>": 0, "\u2581the": 1, "wolf": 2, "\u2581": 3, "<0xED>": 4}
    model = Tokenizer(models.BPE(vocab=vocab, merges=[], unk_token="<unk>", byte_fallback=True))
    model.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    label = label_of(PreTrainedTokenizerFast(tokenizer_object=model, unk_token="<unk>"))
    assert [label(i) for i in range(6)] == ["<unk>", "␣the", "wolf", "␣", "<0xED>", "[5]"]
