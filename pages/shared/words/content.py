"""Read the texts of the pages, and the records that pages and figures share, from assets."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from models.machine.paths import ASSETS
from models.machine.yaml_file import read_yaml
from pages.shared.words import language

FIGURES = ASSETS / "figures"

_HEADING = re.compile(r"^## +(\S+)\s*$", re.MULTILINE)
_QUESTION = re.compile(r"^- +(.+)$")
_PART = re.compile(r"^(→|=) +(.+)$")
_PARTS = {"→": "place", "=": "answer"}  # the lines under a question
_SETS = re.compile(r"= ((?:[a-z]+=[a-z_]+ )+)→ ([a-z_]+)")


class ContentError(LookupError):
    """A page lacks a section, or a table lacks an entry."""


def section(page: str, key: str, *, lang: str | None = None, optional: bool = False) -> str:
    """Return one section of a page's words as Markdown, in the visitor's language unless another is named.

    Raises ContentError when it is missing; an optional one is then "".
    """
    lang = language.current() if lang is None else lang
    found = sections(lang, page).get(key, "")
    if not found and not optional:
        raise ContentError(f"assets/content/{lang}/{page}.md has no section {key!r}")
    return found


@cache
def sections(lang: str, page: str) -> Mapping[str, str]:
    """Split a page's words at its `## key` lines."""
    path = ASSETS / "content" / lang / f"{page}.md"
    if not path.is_file():
        return MappingProxyType({})
    pieces = _HEADING.split(path.read_text(encoding="utf-8"))
    return MappingProxyType({key: body.strip() for key, body in zip(pieces[1::2], pieces[2::2], strict=True)})


class Question(NamedTuple):
    """A question of the course. place: what answers it, a figure id or page#section; answer: a few sentences."""

    asked: str
    place: str
    answer: str


def questions(page: str) -> list[Question]:
    """Return the page's checkpoint questions: a line `- question`, under it `→ place` and `= answer`.

    Raises ContentError for a question without a place or an answer, and for a line that is none of these.
    """
    found: list[dict[str, str]] = []
    for raw in section(page, "check", optional=True).splitlines():
        line = raw.strip()
        if asked := _QUESTION.match(line):
            found.append({"asked": asked[1]})
        elif (part := _PART.match(line)) and found and _PARTS[part[1]] not in found[-1]:
            found[-1][_PARTS[part[1]]] = part[2]
        elif line:
            raise ContentError(f"{_check_of(page)}: {line!r} belongs to no question")
    for question in found:
        for mark, name in _PARTS.items():
            if name not in question:
                raise ContentError(
                    f"{_check_of(page)}: {question['asked']!r} has no {name}, a line that begins with {mark}"
                )
    return [Question(**question) for question in found]


class Attempt(NamedTuple):
    """What a page invites to try. sets: choice -> rule that a button sets, empty without one; place: a figure id."""

    text: str
    sets: Mapping[str, str]
    place: str


def attempt(page: str, key: str) -> Attempt | None:
    """Return the section <key>.try, None where there is none; its last line may be `= choice=rule ... → figure`.

    Raises ContentError for such a line of another form.
    """
    text = section(page, f"{key}.try", optional=True)
    if not text:
        return None
    *lines, last = text.splitlines()
    if not last.startswith("="):
        return Attempt(text, {}, "")
    if not (found := _SETS.fullmatch(last)) or not lines:
        where = f"assets/content/{language.current()}/{page}.md, {key}.try"
        raise ContentError(f"{where}: {last!r} is not of the form `= choice=rule → figure`, under a text")
    sets = dict(pair.split("=") for pair in found[1].split())
    return Attempt("\n".join(lines), MappingProxyType(sets), found[2])


def _check_of(page: str) -> str:
    return f"assets/content/{language.current()}/{page}.md, check"


Text = Mapping[str, str]  # by language
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class FigureFacts:
    """What assets/figures/<id>.yaml says of a figure.

    formula: LaTeX; inline: the same in a line; both of symbols alone, or with words in every language. paper: key of a
    paper. words: the sentences inside the figure, each addressed as viz.<id>.<word>. hood: title and text of the
    section that offers the figure on several pages.
    """

    name: Text
    formula: str | Text
    inline: str | Text
    shape: str
    aggregation: Text
    normalisation: Text
    paper: str | None = None
    note: Text | None = None
    words: Mapping[str, Text] = field(default_factory=dict)
    hood: Mapping[str, Text] = field(default_factory=dict)

    def __post_init__(self) -> None:
        texts = {name: getattr(self, name) for name in ("name", "aggregation", "normalisation", "note")}
        texts |= {part: text for part in ("formula", "inline") if not isinstance(text := getattr(self, part), str)}
        texts |= {f"words, {word}": text for word, text in self.words.items()}
        texts |= {f"hood, {part}": text for part, text in self.hood.items()}
        for name, text in texts.items():
            if text is not None and not in_every_language(text):
                raise TypeError(f"{name!r} needs a sentence in each of {', '.join(language.LANGS)}")


def spoken(text: str | Text, lang: str) -> str:
    """Return a text in a language; one of symbols alone is the same in all."""
    return text if isinstance(text, str) else text[lang]


@dataclass(frozen=True, slots=True)
class Paper:
    """What assets/papers.yaml says of a paper. id: its arXiv number, None where there is none."""

    authors: str
    year: int
    title: str
    id: str | None
    url: str


@dataclass(frozen=True, slots=True)
class Example:
    """A ready example of assets/presets.yaml: what is typed, and what to look for.

    marked: words of the text that the example labels, parted by a comma and a space, by language; none in most.
    """

    id: str
    label: Text
    text: Text
    watch: Text
    marked: Text = field(default_factory=dict)


@cache
def figure_facts(figure_id: str) -> FigureFacts:
    """Read assets/figures/<id>.yaml. Raises ContentError where it is missing or incomplete, with file and key."""
    path = FIGURES / f"{figure_id}.yaml"
    if figure_id not in figure_ids():
        raise ContentError(f"assets/figures has no {figure_id}.yaml: every figure needs a file of that name")
    try:
        return FigureFacts(**read_yaml(path))
    except TypeError as error:  # a field that is missing or that nobody reads, or a text without a language
        raise ContentError(f"assets/figures/{path.name}: {error}") from error


@cache
def figure_ids() -> frozenset[str]:
    """List the figures that have a file in assets/figures."""
    return frozenset(path.stem for path in FIGURES.glob("*.yaml"))


def in_every_language(text: object) -> bool:
    """Return whether a text is a sentence in every language and in no other."""
    return (
        isinstance(text, Mapping)
        and text.keys() == set(language.LANGS)
        and all(isinstance(sentence, str) and sentence.strip() for sentence in text.values())
    )


@cache
def paper(key: str) -> Paper:
    """Return the entry of a paper in assets/papers.yaml. Raises ContentError where it is missing or incomplete."""
    return _record("papers", key, table("papers").get(key), Paper)


@cache
def examples(page: str) -> tuple[Example, ...]:
    """Return the ready examples of a page, its own first. Raises ContentError where one is incomplete."""
    named = {name: table("presets").get(name, []) for name in dict.fromkeys((page, "general"))}
    return tuple(_record("presets", name, entry, Example) for name, entries in named.items() for entry in entries)


@cache
def every_example() -> tuple[str, ...]:
    """Return the texts of all examples of all pages in every language."""
    texts = [text for page in table("presets") for one in examples(page) for text in one.text.values()]
    return tuple(dict.fromkeys(texts))


def first_example(lang: str) -> str:
    """Return the text that a new visitor reads, "" where no examples are."""
    general = examples("general")
    return general[0].text[lang] if general else ""


@cache
def table(name: str) -> Any:
    """Read assets/<name>.yaml once."""
    path = ASSETS / f"{name}.yaml"
    return read_yaml(path) if path.is_file() else {}


def _record(file: str, key: str, entry: Mapping[str, Any] | None, kind: Callable[..., R]) -> R:
    if entry is None:
        raise ContentError(f"assets/{file}.yaml has no entry {key!r}")
    try:
        return kind(**entry)
    except TypeError as error:  # a field that is missing or that nobody reads
        raise ContentError(f"assets/{file}.yaml, {key!r}: {error}") from error
