"""Encode a prompt as ids and readable tokens, with remarks on unusual text."""

import threading
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase
from transformers.convert_slow_tokenizer import bytes_to_unicode

from models import panics
from models.alignment import SPACE, readable
from models.errors import PromptError, SourceError
from models.limits import PROMPT_TOKENS
from models.records.trace import Remark, Token
from models.sources import configuration, resolve

WORD_MARKS = ("\u0120", "\u2581")  # how byte-level BPE and SentencePiece write a leading space
PATIENCE_S = 20.0  # for a tokenizer to cut one text
MOST_STUCK = 2  # texts that were given up and are still being cut; no other is begun until one of them ends
TOKENIZER = "tokenizer.json"
RIGHT_TO_LEFT = frozenset({"R", "AL"})
KEPT_CONTROLS = frozenset("\n\t\u200c\u200d")  # line ends, and the joiners that emoji and many scripts need


@dataclass(frozen=True, slots=True)
class Encoded:
    """A prompt as it will be run: the cleaned text, its tokens, and remarks for the visitor."""

    prompt: str
    tokens: tuple[Token, ...]
    remarks: tuple[Remark, ...]

    @property
    def ids(self) -> list[int]:
        """The token ids in order."""
        return [token.id for token in self.tokens]


def clean(prompt: str) -> tuple[str, int]:
    r"""Drop characters that cannot be drawn or that reorder the page; return the text and how many were dropped.

    Dropped: control characters (NUL among them), bidirectional overrides and unpaired surrogates. Line ends become \n.
    """
    text = prompt.replace("\r\n", "\n").replace("\r", "\n")
    kept = "".join(c for c in text if _drawable(c))
    return kept, len(text) - len(kept)


def encode(
    tokenizer: PreTrainedTokenizerBase | None, prompt: str, *, source: str, limit: int = PROMPT_TOKENS
) -> Encoded:
    """Clean and tokenise a prompt, with the tokenizer's own start token.

    Raises PromptError for an empty or over-long prompt, SourceError when the checkpoint has no tokenizer, and for one
    that fails on the text or takes longer than PATIENCE_S.
    """
    if tokenizer is None:
        raise no_tokenizer(source)
    text, removed = clean(prompt)
    if not text.strip():
        raise PromptError("errors.prompt_empty", "the prompt is empty: type at least one word")
    if len(text) > 64 * limit:  # far beyond the limit whatever the tokenizer: refuse before spending time on it
        raise _too_long(len(text) // 4, limit)
    ids, spans, raw = tokenised(tokenizer, text, source=source)
    if len(ids) > limit:
        raise _too_long(len(ids), limit)
    tokens = readable_tokens(text, ids, spans, raw)
    return Encoded(text, tokens, _remarks(text, tokens, removed))


_left_behind: set[threading.Thread] = set()  # that were given up and still run


def tokenised(
    tokenizer: PreTrainedTokenizerBase, text: str, *, source: str
) -> tuple[list[int], list[tuple[int, int]], list[str]]:
    """Return ids, character spans and raw tokens; SourceError for a tokenizer that fails or does not come to an end.

    The Rust code cannot be stopped, and it lets other threads run: it gets a thread of its own, which is left behind
    where it takes too long. A bundled tokenizer is known to end and is called here.
    """

    def cut() -> tuple[list[int], list[tuple[int, int]], list[str]]:
        encoding: Any = tokenizer(text, return_offsets_mapping=True)
        ids = encoding["input_ids"]
        raw: Any = tokenizer.convert_ids_to_tokens(ids)
        return ids, encoding["offset_mapping"], raw

    if resolve.is_bundled(source):
        return cut()
    _left_behind.difference_update([thread for thread in list(_left_behind) if not thread.is_alive()])
    if len(_left_behind) >= MOST_STUCK:
        raise _too_slow(source)
    found: list[Any] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            found.append(cut())
        except BaseException as error:  # noqa: BLE001 - a panic is none of Exception; it is told in the other thread
            failed.append(error)

    thread = threading.Thread(target=work, name=f"tokenize {source[-40:]}", daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    with panics.as_source_error(source):
        if failed:
            raise failed[0]
    if not found:
        _left_behind.add(thread)
        raise _too_slow(source)
    done: tuple[list[int], list[tuple[int, int]], list[str]] = found[0]
    return done


def _too_slow(source: str) -> SourceError:
    message = f"the tokenizer of {source!r} did not cut a text within {PATIENCE_S:.0f} s: use another text or tokenizer"
    return SourceError("errors.tokenizer_slow", message, source=source, seconds=round(PATIENCE_S))


def no_tokenizer(source: str) -> SourceError:
    """Say why a checkpoint has no tokenizer: there is none, or its file cannot be read."""
    try:
        path = Path(resolve.place(source)) / TOKENIZER
        if path.is_file():
            if configuration.is_pointer(path):
                return configuration.pointer(source, TOKENIZER)
            message = f"the {TOKENIZER} of {source!r} cannot be read: copy or download it again"
            return SourceError("errors.tokenizer_broken", message, source=source)
    except (SourceError, OSError, ValueError):  # a seeded shape has no place
        pass
    return SourceError("errors.no_tokenizer", f"{source!r} has no tokenizer: add its {TOKENIZER}", source=source)


def readable_tokens(
    text: str, ids: Sequence[int], spans: Sequence[tuple[int, int]], raw: Sequence[str]
) -> tuple[Token, ...]:
    """Give every token a label that can be read; tokens that share a character are pieces of one label.

    A byte-level token may end inside a character, so neighbours whose character spans overlap form one group, and each
    of them carries the text of the whole group with its place in it: never half a character.
    """
    groups: list[list[int]] = []
    end = 0
    for i, (start, stop) in enumerate(spans):
        if groups and start < end and stop > start:
            groups[-1].append(i)
        else:
            groups.append([i])
        end = max(end, stop) if stop > start else end
    tokens = []
    for group in groups:
        start, stop = spans[group[0]][0], max(spans[i][1] for i in group)
        label = _label(text[start:stop], raw[group[0]])
        tokens += [Token(i, ids[i], label, start, stop, piece + 1, len(group)) for piece, i in enumerate(group)]
    return tuple(tokens)


def label_of(tokenizer: PreTrainedTokenizerBase | None) -> Callable[[int], str]:
    r"""Return what makes a readable label of any id of a vocabulary, as Token.label where it can be read alone.

    Bytes that are no whole character are written as \xed, characters that cannot be drawn as \u202e. An id that the
    tokenizer does not have, as some models have more rows than tokens, is written [50300]; without a tokenizer, 50300.
    """
    if tokenizer is None:
        return str
    special = frozenset(tokenizer.all_special_ids)

    def label(token_id: int) -> str:
        raw: Any = tokenizer.convert_ids_to_tokens(int(token_id))
        if raw is None or token_id in special:
            return str(raw or f"[{token_id}]")
        text = tokenizer.decode([int(token_id)], clean_up_tokenization_spaces=False)
        if "\ufffd" in text:
            text = _bytes(raw)
        shown = "".join(c if _drawable(c) else c.encode("unicode_escape").decode() for c in text)
        return _label(shown, raw) if shown else str(raw).replace(WORD_MARKS[1], SPACE)

    return label


def _bytes(raw: str) -> str:
    r"""Read a byte-level token's bytes, those that are no whole character as \xed; other tokens stay as they are."""
    values = _bytes_of_letters()
    if not all(character in values for character in raw):
        return raw
    return bytes(values[character] for character in raw).decode("utf-8", errors="backslashreplace")


@cache
def _bytes_of_letters() -> Mapping[str, int]:
    return {character: byte for byte, character in bytes_to_unicode().items()}


def _drawable(character: str) -> bool:
    return character in KEPT_CONTROLS or unicodedata.category(character) not in ("Cc", "Cf", "Cs")


def _label(text: str, raw: str) -> str:
    if not text:  # a special token covers no characters
        return raw if len(raw) <= 8 else "<s>"
    label = readable(text)
    marked = raw.startswith(WORD_MARKS) and not label.startswith(SPACE)
    return SPACE + label if marked else label


def _remarks(text: str, tokens: tuple[Token, ...], removed: int) -> tuple[Remark, ...]:
    found = []
    if removed:
        found.append(Remark("control_removed", {"removed": removed}))
    if any(unicodedata.bidirectional(c) in RIGHT_TO_LEFT for c in text):
        found.append(Remark("right_to_left", {}))
    pieces = sum(token.pieces > 1 for token in tokens)
    if pieces > len(tokens) / 2:
        found.append(Remark("byte_pieces", {"pieces": pieces, "tokens": len(tokens)}))
    return tuple(found)


def _too_long(tokens: int, limit: int) -> PromptError:
    message = f"the prompt has about {tokens} tokens, at most {limit} are shown: shorten it"
    return PromptError("errors.prompt_too_long", message, tokens=tokens, limit=limit)
