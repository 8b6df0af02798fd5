"""Mount ranked lists as a Streamlit component."""

from functools import cache
from typing import TYPE_CHECKING

import streamlit as st

from pages.shared import scripts
from viz.ranking import Ranking

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

_HTML = '<div class="root">\n</div>'


def ranking(spec: Ranking, *, key: str) -> None:
    """Draw ranked lists in place."""
    _component()(key=key, data=spec.payload())


@cache
def _component() -> "ComponentRenderer":
    return st.components.v2.component("contextscope_ranking", html=_HTML, js=scripts.loader("ranking"))
