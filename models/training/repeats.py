"""Rows of text that repeats: passages, shuffled words, names, brackets and quotes, lists of pairs, in two languages."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from transformers import PreTrainedTokenizerFast

from models.machine.paths import ASSETS
from models.machine.yaml_file import read_yaml
from models.training import corpus

WORDS = 1500  # the most frequent words of a language, of which lists and brackets are made
PASSAGE = (12, 192)  # tokens of a passage that comes again
GAP = 64  # tokens of other text between two copies, at most
LIST = (6, 96)  # tokens of a list without order
COPIES = (2, 4)  # of a list
PAIRS = (3, 16)  # pairs of a list
CAST = (2, 4)  # names of a story
DEPTH = 6  # brackets inside one another, at most
SHORT = (3, 8)  # tokens of a list while only short lists repeat ...
SHORT_COPIES = (3, 7)  # ... and how often it comes

Ids = npt.NDArray[np.int32]
Random = np.random.Generator


class Repeats:
    """Draw rows of text that repeats; the row of a number is always the same.

    texts and streams: training text by language, and its tokens. Rows are (context + 1,); the start token leads them.
    short: the first rows hold short lists alone, many times each; after as many more rows again, lists have their full
    lengths and all kinds of text come. A model learns to copy on short lists, and keeps it as they grow.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, texts: Sequence[corpus.Text], streams: Mapping[str, Ids], *,
        context: int, seed: int, short: int = 0,
    ) -> None:  # fmt: skip
        self._tokenizer, self._streams, self._context, self._seed = tokenizer, streams, context, seed
        self._short = short
        special = set(tokenizer.all_special_ids)
        self._free = np.array([i for i in range(len(tokenizer)) if i not in special], dtype=np.int32)
        self._words = {text.language: _frequent(text) for text in texts}
        self._kinds: tuple[Callable[[Random, str], Ids], ...] = (
            self._passage, self._passage, self._shuffled, self._drawn, self._names, self._brackets, self._pairs,
        )  # fmt: skip

    def row(self, number: int, place: int | None = None) -> Ids:
        """Return the row of a number: documents of one or more kinds, each ended by the end token, cut at the end.

        place: how many rows come before it; None for one beyond all short lists.
        """
        grown = 1.0 if place is None or not self._short else min(max(place / self._short - 1, 0.0), 1.0)
        rng = np.random.default_rng([self._seed, number])
        parts: list[Ids] = [np.array([self._tokenizer.bos_token_id], dtype=np.int32)]
        end = np.array([self._tokenizer.eos_token_id], dtype=np.int32)
        while sum(map(len, parts)) <= self._context:
            language = str(rng.choice(list(self._streams)))
            if rng.random() < grown:
                parts += [self._kinds[int(rng.integers(len(self._kinds)))](rng, language), end]
            else:
                parts += [self._short_list(rng, language, grown), end]
        return np.concatenate(parts)[: self._context + 1]

    def _short_list(self, rng: Random, language: str, grown: float) -> Ids:
        """Write a few tokens many times: drawn ones, or some of the text, in its order or in another."""
        length = _length(rng, SHORT[0], round(SHORT[1] + grown * (LIST[1] - SHORT[1])))
        once = rng.choice(self._free, size=length)
        if rng.random() < 0.5:
            once = self._cut(rng, language, length).copy()
            if rng.random() < 0.5:
                rng.shuffle(once)
        return np.tile(once, int(rng.integers(SHORT_COPIES[0], SHORT_COPIES[1] + 1)))

    def _passage(self, rng: Random, language: str) -> Ids:
        """Write a passage, up to GAP tokens of other text in three of ten cases none, and the passage again."""
        passage = self._cut(rng, language, _length(rng, *PASSAGE))
        gap = self._cut(rng, language, int(rng.integers(GAP + 1)) if rng.random() < 0.7 else 0)
        return np.concatenate([passage, gap, passage])

    def _shuffled(self, rng: Random, language: str) -> Ids:
        """Write the words of a passage in another order, several times in that order."""
        text: Any = self._tokenizer.decode(self._cut(rng, language, _length(rng, *LIST)))
        words = text.split()
        rng.shuffle(words)
        return self._encoded("\n".join([" ".join(words)] * _copies(rng)))

    def _drawn(self, rng: Random, _: str) -> Ids:
        """Write tokens drawn from the whole vocabulary, several times in that order."""
        return np.tile(rng.choice(self._free, size=_length(rng, *LIST)), _copies(rng))

    def _names(self, rng: Random, language: str) -> Ids:
        """Write sentences about a few people with invented names."""
        cast = [_name(rng, _table()["names"][language]) for _ in range(int(rng.integers(CAST[0], CAST[1] + 1)))]
        lines = []
        for _ in range(int(rng.integers(5, 14))):
            a, b = rng.choice(cast, size=2, replace=False)
            form = str(rng.choice(_table()["sentences"][language]))
            lines.append(form.format(a=a, b=b, w=rng.choice(self._words[language])))
        return self._encoded(" ".join(lines))

    def _brackets(self, rng: Random, language: str) -> Ids:
        """Write words in brackets and quotes; the innermost is closed first."""
        out: list[str] = []
        stack: list[str] = []
        for _ in range(int(rng.integers(20, 70))):
            draw = rng.random()
            if draw < 0.35 and len(stack) < DEPTH:
                pair = str(rng.choice(_table()["brackets"]))
                out.append(f" {pair[0]}")
                stack.append(pair[1])
            elif draw < 0.7 and stack:
                out.append(stack.pop())
            else:
                out.append(f" {rng.choice(self._words[language])}")
        return self._encoded("".join([*out, *reversed(stack)]).strip())

    def _pairs(self, rng: Random, language: str) -> Ids:
        """Write a list of pairs of words, and the pairs again in another order."""
        words = self._words[language]
        count = min(int(rng.integers(PAIRS[0], PAIRS[1] + 1)), len(words))
        keys, values = rng.choice(words, size=count, replace=False), rng.choice(words, size=count)
        form = str(rng.choice(_table()["pairs"][language]))
        lines = [form.format(k=key, v=value) for key, value in zip(keys, values, strict=True)]
        again = [lines[i] for _ in range(int(rng.integers(1, 3))) for i in rng.permutation(count)]
        return self._encoded("".join([*lines, *again]).strip())

    def _cut(self, rng: Random, language: str, length: int) -> Ids:
        stream = self._streams[language]
        length = min(length, len(stream))
        at = int(rng.integers(len(stream) - length + 1))
        return stream[at : at + length]

    def _encoded(self, text: str) -> Ids:
        return np.asarray(self._tokenizer(text, add_special_tokens=False)["input_ids"], dtype=np.int32)


@cache
def _table() -> Mapping[str, Any]:
    known: Mapping[str, Any] = read_yaml(ASSETS / "repeats.yaml")
    return known


def _frequent(text: corpus.Text) -> list[str]:
    """Return the most frequent words of a text."""
    return [word for word, _ in Counter(re.findall(_table()["letters"][text.language], text.train)).most_common(WORDS)]


def _length(rng: Random, low: int, high: int) -> int:
    """Draw a length whose logarithm is even between two bounds."""
    return round(float(np.exp(rng.uniform(np.log(low), np.log(high)))))


def _copies(rng: Random) -> int:
    return int(rng.integers(COPIES[0], COPIES[1] + 1))


def _name(rng: Random, parts: Mapping[str, list[str]]) -> str:
    """Invent a name of two or three syllables."""
    syllables = [str(rng.choice(parts["first"]) + rng.choice(parts["then"])) for _ in range(int(rng.integers(2, 4)))]
    return "".join(syllables).capitalize() + str(rng.choice(parts["last"]))
