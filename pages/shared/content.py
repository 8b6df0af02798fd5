"""Read the words of the pages, and the tables that pages and figures share, from assets."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from pages.shared import language

ASSETS = Path(__file__).resolve().parents[2] / "assets"
PAGES = ("overview", "transformer", "mamba", "rwkv", "jamba", "recall", "benchmark")

_HEADING = re.compile(r"^## +(\S+)\s*$", re.MULTILINE)
_QUESTION = re.compile(r"^- +(.+)$")
_ANSWER = re.compile(r"^→ *(\S+)$")


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


def questions(page: str) -> list[tuple[str, str | None]]:
    """Return the page's checkpoint questions, each with what answers it: a figure id, page#section, or None."""
    found: list[tuple[str, str | None]] = []
    for raw in section(page, "check", optional=True).splitlines():
        line = raw.strip()
        if asked := _QUESTION.match(line):
            found.append((asked[1], None))
        elif (answer := _ANSWER.match(line)) and found:
            found[-1] = (found[-1][0], answer[1])
    return found


def figure_facts(figure_id: str) -> Mapping[str, Any]:
    """Return the entry of a figure in assets/figures.yaml: formula, inline, shape, paper, name, aggregation ..."""
    return _entry("figures", figure_id)


def paper(key: str) -> Mapping[str, Any]:
    """Return the entry of a paper in assets/papers.yaml."""
    return _entry("papers", key)


def examples(page: str) -> list[Mapping[str, Any]]:
    """Return the ready examples of a page, its own first, each with id, label, text and watch by language."""
    presets = table("presets")
    return [*presets.get(page, []), *presets.get("general", [])]


def first_example(lang: str) -> str:
    """Return the text that a new visitor reads, "" where no examples are."""
    general = table("presets").get("general", [])
    return str(general[0]["text"][lang]) if general else ""


@cache
def table(name: str) -> Any:
    """Read assets/<name>.yaml once."""
    path = ASSETS / f"{name}.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _entry(name: str, key: str) -> Mapping[str, Any]:
    entry = table(name).get(key)
    if entry is None:
        raise ContentError(f"assets/{name}.yaml has no entry {key!r}")
    return MappingProxyType(dict(entry))
