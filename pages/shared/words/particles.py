"""Korean particles that follow a value: 은 or 는, 이 or 가, 을 or 를, 과 or 와, 으로 or 로, by the sound before them.

A sentence of assets writes both, as in {file}을(를); what the value ends in decides when the sentence is filled.
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

# What a sentence writes: after a closed syllable, after an open one.
PARTICLES = {
    "은(는)": ("은", "는"),
    "이(가)": ("이", "가"),
    "을(를)": ("을", "를"),
    "과(와)": ("과", "와"),
    "(으)로": ("으로", "로"),
    "(이)": ("이", ""),  # before 라는, 라고, 나
}
_MARKS = re.compile("(" + "|".join(map(re.escape, PARTICLES)) + ")")
_NONE, _RIEUL, _CLOSED = 0, 8, 1  # the final of a syllable, as Unicode numbers them; any other is closed
_FIRST, _LAST, _FINALS = ord("가"), ord("힣"), 28
_DIGITS = dict(
    zip("0123456789", (_CLOSED, _RIEUL, _NONE, _CLOSED, _NONE, _NONE, _CLOSED, _RIEUL, _RIEUL, _NONE), strict=True)
)
_LETTERS = {"l": _RIEUL, "m": _CLOSED, "n": _CLOSED, "r": _RIEUL}  # as names of letters: 엘, 엠, 엔, 알
_ENDINGS = (
    ("ng", _CLOSED),
    ("le", _RIEUL),
    ("l", _RIEUL),
    ("m", _CLOSED),
    ("n", _CLOSED),
)  # of words: 앙, 블, 엘, 엠, 엔
_WORD = re.compile(r"[A-Za-z]+$")


def has(sentence: str) -> bool:
    """Return whether a sentence leaves a particle open."""
    return "(" in sentence and _MARKS.search(sentence) is not None


def filled(sentence: str, values: Mapping[str, object]) -> str:
    """Fill a sentence with its values, and choose each particle by what stands before it.

    >>> filled("{name}은(는) {number}(으)로 시작합니다.", {"name": "파일", "number": 7})
    '파일은 7로 시작합니다.'
    >>> filled("`{key}`이(가) 없습니다.", {"key": 2})
    '`2`가 없습니다.'
    """
    found = ""
    for piece in _pieces(sentence):
        found += chosen(piece, found) if piece in PARTICLES else piece.format_map(values)
    return found


def chosen(particle: str, before: str) -> str:
    """Return the form of a particle after a text.

    Syllables and digits are read as they sound, letters by their names, words of Latin letters by how they end; marks
    and signs without a sound are passed over. Where nothing has a sound, the form after an open syllable.
    """
    closed, opened = PARTICLES[particle]
    final = _final(before)
    return opened if final == _NONE or (final == _RIEUL and particle == "(으)로") else closed


@lru_cache(512)
def _pieces(sentence: str) -> tuple[str, ...]:
    return tuple(piece for piece in _MARKS.split(sentence) if piece)


def _final(text: str) -> int:
    """Return the final of the last syllable that is heard, 0 for none."""
    for place in range(len(text) - 1, -1, -1):
        sign = unicodedata.normalize("NFKC", text[place])[-1:]
        if _FIRST <= ord(sign or " ") <= _LAST:
            return (ord(sign) - _FIRST) % _FINALS
        if sign in _DIGITS:
            return _DIGITS[sign]
        if sign == "%":
            return _NONE  # 퍼센트
        if word := _WORD.search(text[: place + 1]):
            return _latin(word[0])
    return _NONE


def _latin(word: str) -> int:
    """Return the final of a word of Latin letters; one of capitals is spelt."""
    if len(word) == 1 or word.isupper():
        return _LETTERS.get(word[-1].lower(), _NONE)
    return next((final for ending, final in _ENDINGS if word.lower().endswith(ending)), _NONE)
