"""Classify tokens: script, start or inside of a word, punctuation, raw bytes."""

import unicodedata

import numpy as np
import numpy.typing as npt
from transformers import PreTrainedTokenizerBase

from models.tracing.tokens import WORD_MARKS

KINDS = (
    "word_start",  # letters other than Hangul that begin a word
    "word_inside",
    "hangul_start",
    "hangul_inside",
    "digits",
    "punctuation",  # signs of any kind
    "space",  # white space alone, line breaks among it
    "bytes",  # a piece of a character
    "special",  # start and end of a document
)
LETTERS = ("word", "hangul")

Ids = npt.NDArray[np.integer]


def kinds(tokenizer: PreTrainedTokenizerBase, ids: Ids) -> npt.NDArray[np.int64]:
    """Return the index into KINDS of every token of one sequence (l,)."""
    known = {int(i): _kind(tokenizer, int(i)) for i in np.unique(ids)}
    found, before = [], "special"
    for kind, marked in (known[int(i)] for i in ids):
        inside = not marked and (before.startswith(kind) or before == "bytes")
        name = f"{kind}_{'inside' if inside else 'start'}" if kind in LETTERS else kind
        found.append(KINDS.index(name))
        before = name
    return np.array(found, dtype=np.int64)


def of_kind(labels: npt.NDArray[np.int64], name: str) -> npt.NDArray[np.bool_]:
    """Return which labels are of one of KINDS."""
    return np.asarray(labels == KINDS.index(name))


def _kind(tokenizer: PreTrainedTokenizerBase, index: int) -> tuple[str, bool]:
    """Return the kind of a token without its neighbours, and whether it carries the mark of a new word."""
    if index in tokenizer.all_special_ids:
        return "special", False
    raw, text = str(tokenizer.convert_ids_to_tokens(index)), str(tokenizer.decode([index]))
    marked = raw.startswith(WORD_MARKS) or text[:1].isspace()
    if "\ufffd" in text:
        return "bytes", marked
    if not text.strip():
        return "space", marked
    if any("HANGUL" in unicodedata.name(c, "") for c in text):
        return "hangul", marked
    if any(c.isalpha() for c in text):
        return "word", marked
    return ("digits" if any(c.isnumeric() for c in text) else "punctuation"), marked
