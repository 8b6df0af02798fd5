"""The rest of a page is sent once the browser has drawn the first figure.

A browser that gets a whole page at once builds all of it before it draws a figure. Measured in Chromium on two cores,
medians of five: the first figure of the Transformer page stood after 1.9 instead of 3.4 s on a first visit, after 1.7
instead of 2.9 s on a later one, and after 0.4 instead of 0.6 s for a new text.
"""

import secrets
import threading
from functools import cache
from typing import TYPE_CHECKING

import streamlit as st
from starlette.requests import Request
from starlette.responses import Response

from models.machine.paths import ASSETS
from pages.shared import gate
from pages.shared.state import session

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

LONGEST_S = 1.5  # a browser that says nothing gets the rest after so long
MOST_WAITING = 1000  # visits; more do not wait
SCRIPT = ASSETS / "style" / "first_screen.js"

_SHOWN = "contextscope.first_screen"  # page and text of the last first figure

_waiting: dict[str, threading.Event] = {}
_serving = threading.Event()


def serve() -> None:
    """Wait for browsers from now on; without a server there is nobody who could answer."""
    _serving.set()


def hold(page: str) -> None:
    """Wait until the browser has drawn the first figure of a page. Call right after the figure.

    Only the first run of a visit to a page waits, and the first one with another text. Returns after LONGEST_S where no
    answer comes. The place of the component is there in every run.
    """
    shown = (page, session.current().prompt)
    first = st.session_state.get(_SHOWN) != shown
    st.session_state[_SHOWN] = shown
    ticket = secrets.token_urlsafe(12) if first and _serving.is_set() and len(_waiting) < MOST_WAITING else ""
    drawn = threading.Event()
    if ticket:
        _waiting[ticket] = drawn
    try:
        with st.container(key=f"first-screen-{page}"):
            _component()(key=f"{page}.first_screen", data=ticket)
        if ticket:
            with gate.released():
                _wait(drawn)
    finally:
        _waiting.pop(ticket, None)


def _wait(drawn: threading.Event) -> None:
    drawn.wait(LONGEST_S)


async def answer(request: Request) -> Response:
    """Answer a browser that says that the first figure of a visit is drawn: 204, whatever it names."""
    if (drawn := _waiting.get(request.query_params.get("visit", ""))) is not None:
        drawn.set()
    return Response(status_code=204)


@cache
def _component() -> "ComponentRenderer":
    return st.components.v2.component(
        "contextscope_first_screen", html="<span>\n</span>", js=SCRIPT.read_text(encoding="utf-8")
    )
