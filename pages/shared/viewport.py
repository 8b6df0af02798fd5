"""How wide a figure is in the visitor's window, as far as the server can know before it is drawn there."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import streamlit as st

from viz.canvas import CanvasSpec
from viz.canvas.height import height
from viz.mechanism import MechanismSpec

COOKIE = "contextscope_width"  # written by the document's head
USUAL = 1280  # pixels of a window whose width is not known

_NARROWEST, _WIDEST = 240, 8192
_STACKED = 640  # Streamlit sets columns under one another up to this width
_BLOCK, _FLUID, _MOST = 1280, 0.94, 1680  # the page fills a window so wide, then a share of it, up to a limit
_COLUMN, _GAP = 0.7, 16  # the figure's share of a row of the page (layout.py), less half the space between columns

_half: ContextVar[bool] = ContextVar("half", default=False)


def window() -> int:
    """Return the width of the visitor's window when the page was opened."""
    told = st.context.cookies.get(COOKIE, "")
    known = isinstance(told, str) and told.isascii() and told.isdigit()  # another kind of value comes from no browser
    return min(max(int(told), _NARROWEST), _WIDEST) if known else USUAL


@contextmanager
def halved() -> Iterator[None]:
    """Place the figures of a block in half of a row of the page each."""
    token = _half.set(True)
    try:
        yield
    finally:
        _half.reset(token)


def figure_width(window: int) -> int:
    """Return the width of a picture in its card beside the words; the lengths are those of contextscope.css."""
    content = _content(window)
    share = 0.5 if _half.get() else _COLUMN
    column = content if window <= _STACKED else content * share - (_GAP / 2 if _half.get() else _GAP)
    return int(column) - 2 * _padding(window)


def row_width(window: int) -> int:
    """Return the width of a picture in a card that takes a whole row of the page."""
    return int(_content(window)) - 2 * _padding(window)


def _content(window: int) -> float:
    """Return the width of the page without its edges."""
    edge = 16 if window < 768 else 24 if window <= 1100 else 40
    return max(min(window, _BLOCK), min(window * _FLUID, _MOST)) - 2 * edge


def _padding(window: int) -> int:
    return 17 if window < 768 else 25


def figure_height(spec: CanvasSpec) -> int:
    """Return how high a picture will be in the visitor's window."""
    return height(spec, figure_width(window()))


def mechanism_height(spec: MechanismSpec) -> int:
    """Return how high a mechanism is in the visitor's window."""
    return spec.height(row_width(window()) if spec.wide else figure_width(window()))


def hero_height() -> int:
    """Return about how high the picture of four models that read a short text will be in the visitor's window.

    Measured in Chromium with the first example of both languages, by the widths at which viz/hero/browser/component.css
    sets lanes and their parts under one another.
    """
    width = window()
    return 1598 if width <= 640 else 1168 if width <= 940 else 560
