"""Give the interface its words in the visitor's language, from assets/words."""

import logging
import os
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType

import yaml

from models.machine.paths import ASSETS
from pages.shared.words import language

FOLDER = ASSETS / "words"
LANGS = language.LANGS
STRICT_VARIABLE = "CONTEXTSCOPE_STRICT_WORDS"  # set by the tests: a missing word is then an error

_log = logging.getLogger(__name__)


class MissingWordError(LookupError):
    """A key or a value of a sentence is missing."""


def t(key: str, **values: object) -> str:
    """Return the sentence of a key in the visitor's language, with its values filled in. Errors: see `say`."""
    lang = language.current()
    try:
        return words(lang)[key].format_map(values)
    except (KeyError, IndexError):
        return say(lang, key, **values)


def translator(lang: str) -> Callable[..., str]:
    """Return t for one language, for code that has no visitor."""

    def translate(key: str, **values: object) -> str:
        return say(lang, key, **values)

    return translate


def say(lang: str, key: str, **values: object) -> str:
    """Return the sentence of a key in a language.

    A missing key or value shows the key and is logged; with CONTEXTSCOPE_STRICT_WORDS set it raises MissingWordError.
    """
    try:
        return words(lang)[key].format_map(values)
    except (KeyError, IndexError) as error:
        if os.environ.get(STRICT_VARIABLE):
            raise MissingWordError(f"assets/words, {lang}: {key!r} lacks {error}") from error
        _log.warning("assets/words, %s: %r lacks %s", lang, key, error)
        return key


def has(lang: str, key: str) -> bool:
    """Tell whether a language has a key."""
    return key in words(lang)


@cache
def words(lang: str) -> Mapping[str, str]:
    """Return every sentence of a language by its key.

    Raises ValueError for an entry that does not have a sentence in every language, MissingWordError for a language
    without any.
    """
    if lang not in LANGS:
        raise MissingWordError(f"no words for language {lang!r} in {FOLDER}")
    return MappingProxyType({key: pair[lang] for key, pair in pairs().items()})


@cache
def pairs() -> Mapping[str, Mapping[str, str]]:
    """Read assets/words: every key with its sentence in each language. Raises ValueError: see `words`."""
    found: dict[str, Mapping[str, str]] = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        for key, pair in yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader).items():
            if not isinstance(pair, dict) or pair.keys() != set(LANGS) or not all(map(_is_sentence, pair.values())):
                raise ValueError(f"{path.name}: {key!r} needs a sentence in each of {', '.join(LANGS)}")
            found[key] = pair
    return MappingProxyType(found)


def _is_sentence(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
