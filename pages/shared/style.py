"""The look as rules of the document's style, the theme of the figures, and what the document is told on every run."""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import streamlit as st

from models.looks import looks
from pages.shared import scripts
from viz.look.theme import Theme, theme_for

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer


def rules() -> str:
    """Write what the style sheets take from the records of the architectures: colours, and the accent of a page."""
    accents = "".join(f':root[data-page="{key}"] {{ --cs-accent: var(--cs-{key}); }} ' for key in looks())
    return f"{architecture_rules()} {accents}".strip()


@cache
def architecture_rules() -> str:
    """Write the colour of every architecture as CSS: a variable, --cs-own of its class, the title of its card."""
    variables = "".join(
        f"--cs-{key}: light-dark({look.colors['light']}, {look.colors['dark']}); " for key, look in looks().items()
    )
    classes = "".join(
        f".cs-{key} {{ --cs-own: var(--cs-{key}); }} .st-key-arch-{key} h3 {{ color: var(--cs-{key}); }} "
        for key in looks()
    )
    return f":root {{ {variables}}} {classes}"


def theme() -> Theme:
    """Return the look of figures in the visitor's mode, light or dark."""
    return theme_for(st.context.theme.type or "light")


def document(
    *,
    lang: str,
    page: str,
    query: dict[str, str],
    restored: bool,
    words: Mapping[str, str],
    pointed: tuple[str, int] | None = None,
) -> None:
    """Set the document's language, page and colour scheme, and write the visitor's choices into the address.

    restored: the choices are those of a step in the browser's history, which must not become a new one. words: those of
    the menu of figures. pointed: the anchor to scroll to, with a number that is another for each time that somebody
    asks.
    """
    told = {"lang": lang, "page": page, "query": query, "restored": restored, "words": dict(words), "pointed": pointed}
    _component()(key="frame.document", data=told, on_mode_change=_noted)


@cache
def _component() -> "ComponentRenderer":
    return st.components.v2.component("contextscope_document", html="<span>\n</span>", js=scripts.loader("document"))


def _noted(*_: Any) -> None:
    """Redraw the whole page when the mode changes, so that figures follow it; alone, only its own part would be."""
    st.rerun()
