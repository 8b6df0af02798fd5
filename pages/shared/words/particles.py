"""Particles of Korean that follow a value, chosen by the sound that the value ends in.

A sentence of assets writes both forms of a particle (assets/particles.yaml); which one stands is decided when the
sentence is filled.
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import cache, lru_cache

from pages.shared.words import content

_NONE, _RIEUL, _CLOSED = 0, 8, 1  # the final of a syllable, as Unicode numbers them; any other is closed
_FIRST, _LAST, _FINALS = 0xAC00, 0xD7A3, 28  # the syllables of Unicode, and the finals that each may have
_DIGITS = dict(
    zip("0123456789", (_CLOSED, _RIEUL, _NONE, _CLOSED, _NONE, _NONE, _CLOSED, _RIEUL, _RIEUL, _NONE), strict=True)
)
_LETTERS = {"l": _RIEUL, "m": _CLOSED, "n": _CLOSED, "r": _RIEUL}  # as names of letters
_ENDINGS = (
    ("ng", _CLOSED),
    ("le", _RIEUL),
    ("l", _RIEUL),
    ("m", _CLOSED),
    ("n", _CLOSED),
)  # of words
_WORD = re.compile(r"[A-Za-z]+$")


@cache
def forms() -> Mapping[str, tuple[str, str]]:
    """Return what a sentence writes for a particle, with its forms after a closed and after an open syllable."""
    return {mark: (closed, opened) for mark, (closed, opened) in content.table("particles")["forms"].items()}


@cache
def _marks() -> re.Pattern[str]:
    return re.compile("(" + "|".join(map(re.escape, forms())) + ")")


def has(sentence: str) -> bool:
    """Return whether a sentence leaves a particle open."""
    return "(" in sentence and _marks().search(sentence) is not None


def filled(sentence: str, values: Mapping[str, object]) -> str:
    """Fill a sentence with its values, and choose each particle by what stands before it."""
    found = ""
    for piece in _pieces(sentence):
        found += chosen(piece, found) if piece in forms() else piece.format_map(values)
    return found


def chosen(particle: str, before: str) -> str:
    """Return the form of a particle after a text.

    Syllables and digits are read as they sound, letters by their names, words of Latin letters by how they end; marks
    and signs without a sound are passed over. Where nothing has a sound, the form after an open syllable.
    """
    closed, opened = forms()[particle]
    final = _final(before)
    return opened if final == _NONE or (final == _RIEUL and particle in content.table("particles")["round"]) else closed


@lru_cache(512)
def _pieces(sentence: str) -> tuple[str, ...]:
    return tuple(piece for piece in _marks().split(sentence) if piece)


def _final(text: str) -> int:
    """Return the final of the last syllable that is heard, 0 for none."""
    for place in range(len(text) - 1, -1, -1):
        sign = unicodedata.normalize("NFKC", text[place])[-1:]
        if _FIRST <= ord(sign or " ") <= _LAST:
            return (ord(sign) - _FIRST) % _FINALS
        if sign in _DIGITS:
            return _DIGITS[sign]
        if sign == "%":
            return _NONE  # per cent
        if word := _WORD.search(text[: place + 1]):
            return _latin(word[0])
    return _NONE


def _latin(word: str) -> int:
    """Return the final of a word of Latin letters; one of capitals is spelt."""
    if len(word) == 1 or word.isupper():
        return _LETTERS.get(word[-1].lower(), _NONE)
    return next((final for ending, final in _ENDINGS if word.lower().endswith(ending)), _NONE)
