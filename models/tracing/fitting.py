"""Cut a text that is too long for the figures at the last whole token that fits."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import regex
from transformers import PreTrainedTokenizerBase

from models.tracing.tokens import clean, no_tokenizer, tokenised

_CHARACTER = regex.compile(r"\X")  # as a reader counts: an emoji of several code points, a letter with its marks
_BEYOND = 64  # code points after the limit in which the character that crosses it ends


@dataclass(frozen=True, slots=True)
class Fit:
    """What is read of a text. text: its start, as it was written; tokens: of the whole; left_out: characters."""

    text: str
    tokens: int
    limit: int
    left_out: int


def fitted(tokenizer: PreTrainedTokenizerBase | None, prompt: str, *, source: str, limit: int) -> Fit:
    """Keep the first tokens of a text, at most limit, the tokenizer's own start token among them.

    What is kept ends with a whole token and with a whole character, and has at most limit tokens when it is read alone.
    What cannot be drawn (see clean) counts neither as token nor as left out. A text of which nothing can be kept,
    as one character of more tokens, is returned whole. Raises SourceError as encode does.
    """
    if tokenizer is None:
        raise no_tokenizer(source)
    text, removed = clean(prompt)
    if not text.strip():
        return Fit(prompt, 0, limit, 0)
    ids, spans, _ = tokenised(tokenizer, text, source=source)
    if len(ids) <= limit:
        return Fit(prompt, len(ids), limit, 0)
    for end in _ends(text, spans, limit):
        kept = text[:end]
        if kept.strip() and len(tokenised(tokenizer, kept, source=source)[0]) <= limit:
            start = _written(prompt, end) if removed else kept
            return Fit(start, len(ids), limit, len(text) - end)
    return Fit(prompt, len(ids), limit, 0)


def _written(prompt: str, count: int) -> str:
    """Return the start of a prompt of which count characters are left when it is cleaned."""
    length = bisect_left(range(len(prompt)), count, key=lambda end: len(clean(prompt[:end])[0]))
    return prompt[:length]


def _ends(text: str, spans: Sequence[tuple[int, int]], limit: int) -> Iterator[int]:
    """Yield where a text may be cut, the last place first: after a token of the first limit, between two characters."""
    last = max(end for _, end in spans[:limit])
    between = {found.end() for found in _CHARACTER.finditer(text[: last + _BEYOND])}
    reach = 0  # of the tokens so far; one that begins before it is a piece of the same character
    places = []
    for start, end in spans[: limit + 1]:
        if end > start:
            if reach and start >= reach:
                places.append(reach)
            reach = max(reach, end)
    yield from (place for place in reversed(places) if place in between)
