"""Mount the pictures of an encoder and a decoder as a Streamlit component."""

from functools import cache
from typing import TYPE_CHECKING

import streamlit as st

from pages.shared import scripts, viewport
from viz.exchange import ExchangeSpec, StacksSpec

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

_HTML = '<div class="root">\n</div>'


def exchange(spec: ExchangeSpec | StacksSpec, *, key: str) -> None:
    """Draw the picture in place; the step stays in the browser, in the store of viz/canvas/browser/store.js.

    Its place has about the picture's height from the start; the script lets go of it when the picture is drawn.
    """
    _component()(key=key, data=spec.payload(), height=spec.height(viewport.figure_width(viewport.window())))


@cache
def _component() -> "ComponentRenderer":
    return st.components.v2.component("contextscope_exchange", html=_HTML, js=scripts.loader("exchange"))
