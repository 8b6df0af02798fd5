"""Open a page in its frame and note every figure that it hands to its card, with the section in which it does so."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from opening import unopened
from streamlit.testing.v1 import AppTest

from pages.shared import figure, hood, layout
from pages.shared.words import content
from viz.figure import Figure


@dataclass(frozen=True)
class Shown:
    """A figure as a page showed it. section: "hero", "chapter1", "hood.<name>", or "" outside of all."""

    section: str
    key: str
    fig: Figure
    subtitle: str | None


def opened(page: str, *, state: dict[str, Any] | None = None, **query: str) -> AppTest:
    """Open one page alone, in English unless the address says otherwise, with everything under its hood open."""
    at = unopened(page)
    at.context = {"locale": "en-US"}
    for name in hoods(page):
        at.session_state[f"{page}.{name}"] = True
    for name, value in (state or {}).items():
        at.session_state[name] = value
    for name, value in query.items():
        at.query_params[name] = value
    at.run()
    assert [error.value for error in (*at.exception, *at.error)] == []
    return at


def hoods(page: str) -> list[str]:
    """List the sections under the hood of a page that its words know, and those that figures bring to every page."""
    keys = content.sections("en", page)
    own = [key.removesuffix(".title") for key in keys if key.startswith("hood.") and key.endswith(".title")]
    return own + [f"hood.{name}" for name in hood.ids()]


@contextmanager
def noting(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Shown]]:
    """Note what every page shows from here on."""
    seen: list[Shown] = []
    places: list[str] = []

    def within(place: str, draw: Callable[[], object]) -> Callable[[], object]:
        def drawn() -> object:
            places.append(place)
            try:
                return draw()
            finally:
                places.pop()

        return drawn

    show, body, section_of, under = figure.show, layout.first_figure, layout.section_of, layout.under_the_hood

    def shown(fig: Figure, *, key: str, subtitle: str | None = None, **options: Any) -> Any:
        seen.append(Shown(places[-1] if places else "", key, fig, subtitle))
        return show(fig, key=key, subtitle=subtitle, **options)

    monkeypatch.setattr(figure, "show", shown)
    monkeypatch.setattr(layout, "first_figure", lambda page, draw, **rest: body(page, within("hero", draw), **rest))
    monkeypatch.setattr(
        layout, "section_of", lambda page, key, draw, **rest: section_of(page, key, within(key, draw), **rest)
    )
    monkeypatch.setattr(
        layout,
        "under_the_hood",
        lambda page, parts: under(page, [(name, within(f"hood.{name}", draw)) for name, draw in parts]),
    )
    yield seen


@contextmanager
def reading_words(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[tuple[str, str]]]:
    """Note which sections of which page's words are asked for, (page, key), whether they are there or not."""
    asked: set[tuple[str, str]] = set()
    sections = content.sections

    class Noted(dict[str, str]):
        page = ""

        def get(self, key: str, default: Any = None) -> Any:
            asked.add((self.page, key))
            return super().get(key, default)

    def noted(lang: str, page: str) -> Noted:
        found = Noted(sections(lang, page))
        found.page = page
        return found

    monkeypatch.setattr(content, "sections", noted)
    yield asked
