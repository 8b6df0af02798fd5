"""Give the interface its words in the visitor's language, from assets/i18n."""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import yaml

from pages.shared.words import language

FOLDER = Path(__file__).resolve().parents[3] / "assets" / "i18n"
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
            raise MissingWordError(f"assets/i18n, {lang}: {key!r} lacks {error}") from error
        _log.warning("assets/i18n, %s: %r lacks %s", lang, key, error)
        return key


def has(lang: str, key: str) -> bool:
    """Tell whether a language has a key."""
    return key in words(lang)


@cache
def words(lang: str) -> Mapping[str, str]:
    """Read every file of a language, <lang>.yaml and <name>.<lang>.yaml, as dotted keys.

    A key that two files define keeps its first sentence and is logged; with CONTEXTSCOPE_STRICT_WORDS set it raises
    ValueError. Raises MissingWordError for a language that has no file.
    """
    merged: dict[str, str] = {}
    for path in files(lang):
        for key, value in flatten(yaml.safe_load(path.read_text(encoding="utf-8")) or {}):
            if key in merged:
                _complain(f"{path.name}: {key!r} is defined twice")
            merged.setdefault(key, value)
    if not merged:
        raise MissingWordError(f"no words for language {lang!r} in {FOLDER}")
    return MappingProxyType(merged)


def _complain(message: str) -> None:
    if os.environ.get(STRICT_VARIABLE):
        raise ValueError(message)
    _log.warning("assets/i18n, %s", message)


def files(lang: str) -> list[Path]:
    """List the files of a language."""
    return sorted([*FOLDER.glob(f"{lang}.yaml"), *FOLDER.glob(f"*.{lang}.yaml")])


def flatten(tree: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Walk nested mappings as dotted keys: {"a": {"b": "c"}} gives ("a.b", "c")."""
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from flatten(value, f"{key}.")
        else:
            yield key, str(value).strip()
