"""Parts of a page that a choice redraws alone; figures out of sight are redrawn when they come into sight."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import streamlit as st

from pages.shared import gate, notices
from pages.shared.state import session

SIGHT = "frame.sight"  # the key of the field in which the browser leaves the names of the figures in sight
_PARTS = "contextscope.parts"


@dataclass(slots=True)
class _Shown:
    """The parts of the page. follows: key -> choices; names: of figures, key -> name; late: keys still to redraw."""

    follows: dict[str, frozenset[str]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    late: set[str] = field(default_factory=set)


def begin() -> None:
    """Forget the parts of the page shown before: the run that starts draws its own."""
    st.session_state[_PARTS] = _Shown()


def part(key: str, draw: Callable[[], object], *, on: Collection[str]) -> None:
    """Draw a part of the page here, and again when one of some choices changes: layer, head, token, ...

    key: of this part alone.
    """
    _shown().follows[key] = frozenset(on)

    def drawn() -> None:
        with notices.guarded():
            _shown().late.discard(key)
            session.current().hear()
            draw()

    drawn.__qualname__ = f"part.{key}"  # Streamlit tells fragments of one container apart by their names
    st.fragment(gate.gated(drawn), key=key)()


def figure(key: str, draw: Callable[[], object], *, on: Collection[str]) -> None:
    """Draw a figure as a part of the page; while it is out of sight it is not drawn again."""
    name = f"part-{re.sub(r'[^a-z0-9_-]', '-', key)}"
    _shown().names[key] = name
    with st.container(key=name):
        part(key, draw, on=on)


def redraw(*changed: str) -> None:
    """Redraw the parts that follow some choices, in place of the whole page. Only a widget's callback may call this.

    Returns, so that the whole page is redrawn, where no part follows them.
    """
    shown = _shown()
    keys = [key for key, on in shown.follows.items() if not on.isdisjoint(changed)]
    sight = _in_sight()
    now = [key for key in keys if not sight or shown.names.get(key, "") in {"", *sight}]
    shown.late |= set(keys) - set(now)
    if now:
        st.rerun(now)


def come_near(names: Collection[str]) -> None:
    """Redraw the figures that have come into sight since a choice that they follow. Only a callback may call this."""
    shown = _shown()
    if keys := [key for key in shown.late if shown.names[key] in names]:
        st.rerun(keys)


def late() -> list[str]:
    """Name the figures on screen that have to be drawn again when they come into sight."""
    shown = _shown()
    return sorted(shown.names[key] for key in shown.late)


def _in_sight() -> set[str]:
    told = st.session_state.get(SIGHT)
    return set(told.split()) if isinstance(told, str) else set()


def _shown() -> _Shown:
    shown: _Shown = st.session_state.setdefault(_PARTS, _Shown())
    return shown
