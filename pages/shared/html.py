"""Build HTML with elements that escape every str; only strings made by this module are markup."""

import re
from collections.abc import Iterable
from functools import lru_cache
from html import escape
from typing import TypeAlias

import streamlit as st

Child: TypeAlias = "str | Iterable[Child] | None"
Attribute = str | int | bool | None

_REVERSING = re.compile("[\u202a-\u202e\u2066-\u2069]")
_VOID = frozenset({"br", "img"})


class Html(str):
    """Markup that is safe to show. Made by the functions of this module only; joined with a str it is a str again."""

    __slots__ = ()


def forwards(text: str) -> str:
    """Remove control characters that reverse the direction of a line; letters keep their direction."""
    return _REVERSING.sub("", text)


def text(*children: Child) -> Html:
    """Join children: str are escaped, Html is kept, None is left out, and iterables are walked."""
    parts: list[str] = []
    for child in children:
        if isinstance(child, Html):
            parts.append(child)
        elif isinstance(child, str):
            parts.append(escape(forwards(child)))
        elif child is not None:
            parts.append(text(*child))
    return Html("".join(parts))


def element(tag: str, *children: Child, **attributes: Attribute) -> Html:
    """Return one element with its children in it.

    >>> element("td", "a < b", class_="cs-say")
    '<td class="cs-say">a &lt; b</td>'

    An underscore at the end of an attribute's name is dropped, others become hyphens. None and False leave it out, True
    writes its name alone. Raises ValueError for an address that is not https.
    """
    written = "".join(_attribute(name.rstrip("_").replace("_", "-"), value) for name, value in attributes.items())
    return Html(f"<{tag}{written}>" if tag in _VOID else f"<{tag}{written}>{text(*children)}</{tag}>")


def table(rows: Iterable[Html], *, kind: str, head: Iterable[Child] = (), caption: Child = None) -> Html:
    """Make a table of finished rows; head: the words of the columns, a cell made here standing for itself.

    Rows that are no <tbody> of their own are put into one.
    """
    columns = [_cell("th", one, scope="col") for one in head]
    body = list(rows)
    grouped = bool(body) and all(one.startswith("<tbody") for one in body)
    return element(
        "table",
        element("caption", caption) if caption is not None else None,
        element("thead", element("tr", *columns)) if columns else None,
        body if grouped else element("tbody", *body),
        class_=kind,
    )


def row(*cells: Child, class_: str | None = None) -> Html:
    """Make a row; words become cells, and a cell made here stands for itself."""
    return element("tr", *(_cell("td", one) for one in cells), class_=class_)


def heading(*children: Child, **attributes: Attribute) -> Html:
    """Make the heading of a row."""
    return element("th", *children, scope="row", **attributes)


def scrolling(wide: Html) -> Html:
    """Wrap a table so that it scrolls horizontally."""
    return element("div", wide, class_="cs-scroll")


@lru_cache(256)
def title(name: str, beside: Child = None, *, anchor: str | None = None, level: int = 3) -> Html:
    """Make the title of a card, with a subtitle beside it and the anchor it is found by.

    level: of the heading; 2 for a card that no section holds.
    """
    subtitle = element("span", " · ", beside, class_="cs-subtitle") if beside else None
    return element(f"h{level}", name, subtitle, class_="cs-title", id=anchor)


def badge(kind: str, mark: str, words: str) -> Html:
    """Make a badge: a mark for the eye, and words for everybody."""
    return element("span", element("span", mark, aria_hidden="true"), " ", words, class_=f"cs-badge cs-{kind}")


def disclosure(summary: Child, body: Child, **attributes: Attribute) -> Html:
    """Make a summary that unfolds a body, in the browser alone."""
    return element("details", element("summary", summary), element("p", body), **attributes)


def named(words: str) -> Html:
    """Write the name of an architecture, in its colour where it stands within an element of that class."""
    return element("span", words, class_="cs-name")


def show(*children: Child) -> None:
    """Put finished HTML on the page; a str among it is text."""
    st.html(text(*children))


def _cell(tag: str, content: Child, **attributes: Attribute) -> Html:
    if isinstance(content, Html) and content.startswith(("<td", "<th")):
        return content
    return element(tag, content, **attributes)


def _attribute(name: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    if value is True:
        return f" {name}"
    if name == "href" and not str(value).startswith("https://"):
        raise ValueError(f"address {value!r}: only https addresses are linked")
    return f' {name}="{escape(forwards(str(value)))}"'
