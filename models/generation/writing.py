"""Readable text of tokens as they come: never half a character, whatever a token ends with."""

import codecs
from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase
from transformers.convert_slow_tokenizer import bytes_to_unicode

LONGEST = 4  # bytes of a character in UTF-8, hence tokens that one may be spread over
BROKEN = "\ufffd"  # what stands for bytes that are no character

_BYTE_OF = {character: byte for byte, character in bytes_to_unicode().items()}


class Writer:
    """Turn ids into text piece by piece; the pieces joined are the text of all of them.

    A token that ends inside a character gives "" and the token that ends it gives the character. Bytes that cannot be
    part of any character are written as U+FFFD, once it is certain. Special tokens have no text.
    before: the ids that the text continues.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, before: Sequence[int] = ()) -> None:
        self._tokenizer = tokenizer
        self._special = frozenset(tokenizer.all_special_ids)
        self._bytes: codecs.IncrementalDecoder | None = None
        if _is_byte_level(tokenizer):
            self._bytes = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._window = [token for token in before if token not in self._special]
        self._told = len(self._window)  # ids of the window whose text was given out

    @property
    def waiting(self) -> bool:
        """Whether a character has begun that has not ended."""
        if self._bytes is not None:
            return bool(self._bytes.getstate()[0])
        return self._told < len(self._window)

    def write(self, token: int) -> str:
        """Return the text that is whole with this token, "" where there is none yet."""
        if token in self._special:
            return ""
        return self._by_bytes(token) if self._bytes is not None else self._by_neighbours(token)

    def _by_bytes(self, token: int) -> str:
        raw = self._tokenizer.convert_ids_to_tokens(int(token))
        if raw is None or self._bytes is None:  # a row of the output head that has no token
            return ""
        return self._bytes.decode(_bytes_of(str(raw)))

    def _by_neighbours(self, token: int) -> str:
        self._window.append(token)
        known, every = self._decoded(self._window[: self._told]), self._decoded(self._window)
        if every.endswith(BROKEN) and len(self._window) - self._told < LONGEST:
            return ""
        self._window = self._window[self._told :]  # whole characters: what stands before the next token
        self._told = len(self._window)
        return every[len(known) :]

    def _decoded(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(ids), clean_up_tokenization_spaces=False, skip_special_tokens=False))


def _is_byte_level(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Tell whether the tokens of a tokenizer are written in the byte alphabet of GPT-2."""
    decoder = getattr(getattr(tokenizer, "backend_tokenizer", None), "decoder", None)
    return type(decoder).__name__ == "ByteLevel"


def _bytes_of(raw: str) -> bytes:
    """Return the bytes of a byte-level token; added tokens are written as plain text."""
    if all(character in _BYTE_OF for character in raw):
        return bytes(_BYTE_OF[character] for character in raw)
    return raw.encode("utf-8", errors="replace")
