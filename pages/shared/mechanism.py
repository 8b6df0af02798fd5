"""Mount a mechanism that is walked step by step as a Streamlit component."""

from functools import cache
from typing import TYPE_CHECKING

import streamlit as st

from pages.shared import scripts, viewport
from viz.mechanism import MechanismSpec

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

_HTML = '<div class="root mechanism">\n</div>'


def mechanism(spec: MechanismSpec, *, key: str) -> None:
    """Draw a mechanism in place; token, step and cell stay in the browser.

    Its place has the figure's height from the start; the script lets go of it when the figure is drawn.
    """
    _component()(key=key, data=spec.payload(), height=viewport.mechanism_height(spec))


@cache
def _component() -> "ComponentRenderer":
    return st.components.v2.component("contextscope_mechanism", html=_HTML, js=scripts.loader("mechanism"))
