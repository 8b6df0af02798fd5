"""Look up sentences of assets/words and of the figure files in the visitor's language."""

import logging
import os
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType

from models.looks import looks
from models.machine.paths import ASSETS
from models.machine.yaml_file import read_yaml
from pages.shared.words import content, language, particles

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
        return _filled(words(lang)[key], values)
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
        return _filled(words(lang)[key], values)
    except (KeyError, IndexError) as error:
        if os.environ.get(STRICT_VARIABLE):
            raise MissingWordError(f"assets/words, {lang}: {key!r} lacks {error}") from error
        _log.warning("assets/words, %s: %r lacks %s", lang, key, error)
        return key


def _filled(sentence: str, values: Mapping[str, object]) -> str:
    return particles.filled(sentence, values) if particles.has(sentence) else sentence.format_map(values)


def has(lang: str, key: str) -> bool:
    """Return whether a language has a key."""
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
    """Read every key with its sentence in each language.

    They are those of assets/words, viz.<id>.<word> of assets/figures, and the names of the architectures (nav.<key>,
    viz.architecture.<key>) of assets/architectures. Raises ValueError for a key that two files hold, and otherwise as
    `words` does.
    """
    found: dict[str, Mapping[str, str]] = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        for key, pair in read_yaml(path).items():
            if not content.in_every_language(pair):
                raise ValueError(f"{path.name}: {key!r} needs a sentence in each of {', '.join(LANGS)}")
            _add(found, key, pair, path.name)
    for figure in sorted(content.figure_ids()):
        for word, pair in content.figure_facts(figure).words.items():
            _add(found, f"viz.{figure}.{word}", pair, f"figures/{figure}.yaml")
    for key, look in looks().items():
        _add(found, f"nav.{key}", look.names, f"architectures/{key}.yaml")
        _add(found, f"viz.architecture.{key}", look.names, f"architectures/{key}.yaml")
    return MappingProxyType(found)


def _add(found: dict[str, Mapping[str, str]], key: str, pair: Mapping[str, str], file: str) -> None:
    if key in found:
        raise ValueError(f"{file}: {key!r} stands in another file of assets already; keep one of them")
    found[key] = pair
