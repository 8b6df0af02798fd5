"""Mount a block diagram as a Streamlit component."""

from functools import cache
from typing import TYPE_CHECKING

import streamlit as st

from pages.shared import scripts
from viz.diagram.spec import Diagram

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

_HTML = '<div class="root">\n</div>'


def diagram(spec: Diagram, *, key: str) -> None:
    """Draw a block diagram in place."""
    _component()(key=key, data=spec.payload())


@cache
def _component() -> "ComponentRenderer":
    return st.components.v2.component("contextscope_diagram", html=_HTML, js=scripts.loader("diagram"))
