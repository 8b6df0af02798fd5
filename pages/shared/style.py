"""Insert the style sheet, the accent colour of the page, the theme of the figures and the document's language."""

from functools import cache
from typing import TYPE_CHECKING, Any

import streamlit as st

from models.looks import looks
from models.machine.paths import ASSETS
from viz.look.theme import Theme, theme_for

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

FOLDER = ASSETS / "style"


def inject(page: str) -> None:
    """Add the style sheet to the document, and the accent of the page where it has one of its own."""
    st.html(FOLDER / "contextscope.css")
    st.html(FOLDER / "reading.css")
    st.html(f"<style>{architecture_rules()} :root {{ --cs-accent: var(--cs-{page}, var(--cs-mamba)); }}</style>")


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


def document(*, lang: str, page: str, query: dict[str, str]) -> None:
    """Set the document's language and colour scheme, and write the visitor's choices into the address."""
    _component()(key="frame.document", data={"lang": lang, "page": page, "query": query}, on_mode_change=_noted)


@cache
def _component() -> "ComponentRenderer":
    js = (FOLDER / "document.js").read_text(encoding="utf-8")
    return st.components.v2.component("contextscope_document", html="<span>\n</span>", js=js)


def _noted(*_: Any) -> None:
    """Let Streamlit rerun when the mode changes, so that figures follow it."""
