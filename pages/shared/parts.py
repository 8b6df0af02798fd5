"""Parts of a page that a choice redraws alone, without the rest of the page."""

from collections.abc import Callable, Collection

import streamlit as st

from pages.shared import gate, notices
from pages.shared.state import session

_PARTS = "contextscope.parts"  # key of a part of the page that is shown -> the choices it follows


def begin() -> None:
    """Forget the parts of the page shown before: the run that starts draws its own."""
    st.session_state[_PARTS] = {}


def part(key: str, draw: Callable[[], object], *, on: Collection[str]) -> None:
    """Draw a part of the page here, and again when one of some choices changes: layer, head, token, ...

    key: of this part alone.
    """
    _known()[key] = frozenset(on)

    def drawn() -> None:
        with notices.guarded():
            session.current().hear()
            draw()

    drawn.__qualname__ = f"part.{key}"  # Streamlit tells fragments of one container apart by their names
    st.fragment(gate.gated(drawn), key=key)()


def redraw(*choices: str) -> None:
    """Redraw the parts that follow some choices, in place of the whole page. Only a widget's callback may call this.

    Returns, so that the whole page is redrawn, where no part follows them.
    """
    keys = [key for key, on in _known().items() if not on.isdisjoint(choices)]
    if keys:
        st.rerun(keys)


def _known() -> dict[str, frozenset[str]]:
    known: dict[str, frozenset[str]] = st.session_state.setdefault(_PARTS, {})
    return known
