"""Tokens that a ready example labels, where the visitor reads it unchanged."""

from models.records.trace import ModelTrace
from pages.shared.words import content


def marked(page: str, trace: ModelTrace) -> tuple[int, ...]:
    """Return the tokens of the words that the example of a text labels; nothing for a text of the visitor's own.

    Every place where a labelled word stands in the text counts, and every token that shares a character with it.
    """
    for example in content.examples(page):
        for lang, text in example.text.items():
            if text == trace.prompt and example.marked:
                spans = [span for word in example.marked[lang].split(", ") for span in _places(text, word)]
                return tuple(
                    token.index
                    for token in trace.tokens
                    if any(token.start < end and start < token.end for start, end in spans)
                )
    return ()


def _places(text: str, word: str) -> list[tuple[int, int]]:
    found, at = [], text.find(word)
    while at >= 0:
        found.append((at, at + len(word)))
        at = text.find(word, at + len(word))
    return found
