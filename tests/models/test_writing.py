"""Text of tokens as they come: pieces joined are the text, and no piece holds part of a character."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from models import registry
from models.generation.writing import BROKEN, Writer
from models.sources import weights

pytestmark = pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def bundled() -> PreTrainedTokenizerFast:
    return weights.read_tokenizer(registry.bundled()[0])


def by_bytes() -> PreTrainedTokenizerFast:
    """A tokenizer as Llama has it: words with a mark for the space, all else byte by byte."""
    words = {name: i for i, name in enumerate(["<unk>", *BYTES, "\u2581the", "\u2581dog", "s"])}
    made = Tokenizer(models.BPE(vocab=words, merges=[], byte_fallback=True, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>")


def pieces(tokenizer: PreTrainedTokenizerFast, ids: list[int], before: list[int] | None = None) -> list[str]:
    writer = Writer(tokenizer, before or [])
    return [writer.write(token) for token in ids]


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters=BROKEN), min_size=1, max_size=30))
def test_pieces_are_the_text_and_never_half_a_character(text: str) -> None:
    tokenizer = bundled()
    found = pieces(tokenizer, tokenizer(text)["input_ids"])
    assert "".join(found) == text
    assert not any(BROKEN in piece for piece in found)


def test_a_syllable_of_several_tokens_comes_with_its_last() -> None:
    tokenizer = bundled()
    ids = tokenizer("\ubdc1", add_special_tokens=False)["input_ids"]
    assert len(ids) > 1, "the test needs a syllable that the vocabulary lacks"
    writer = Writer(tokenizer)
    assert [(writer.write(token), writer.waiting) for token in ids] == [("", True)] * (len(ids) - 1) + [
        ("\ubdc1", False)
    ]


def test_bytes_that_are_no_character_are_shown_as_such() -> None:
    """A byte that only continues characters, alone; and a character that is broken off by a letter."""
    tokenizer = bundled()
    half = tokenizer("\ubdc1", add_special_tokens=False)["input_ids"][:1]
    letter = tokenizer("a", add_special_tokens=False)["input_ids"]
    assert pieces(tokenizer, [*half, *letter]) == ["", f"{BROKEN}a"]


@settings(max_examples=40, deadline=None)
@given(st.text("\uac00\ubdc1\U0001f600\u00e9 x", min_size=1, max_size=12).map(str.strip).filter(bool))
def test_a_tokenizer_with_byte_tokens_gives_whole_characters_too(text: str) -> None:
    tokenizer = by_bytes()
    ids = [BYTES.index(f"<0x{byte:02X}>") + 1 for byte in text.encode()]
    before = tokenizer.convert_tokens_to_ids(["\u2581the", "\u2581dog", "s"])
    found = pieces(tokenizer, ids, before)
    assert "".join(found) == text
    assert not any(BROKEN in piece for piece in found)


def test_a_leading_space_is_kept_after_the_text_before() -> None:
    tokenizer = by_bytes()
    the, dog, s = tokenizer.convert_tokens_to_ids(["\u2581the", "\u2581dog", "s"])
    assert pieces(tokenizer, [dog, s], [the]) == [" dog", "s"]


def test_special_tokens_and_rows_without_a_token_have_no_text() -> None:
    tokenizer = bundled()
    assert pieces(tokenizer, [tokenizer.eos_token_id, len(tokenizer) + 5]) == ["", ""]
