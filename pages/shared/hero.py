"""Mount the picture of models that read one text as a Streamlit component."""

from functools import cache
from typing import TYPE_CHECKING

import streamlit as st

from pages.shared import scripts, viewport
from viz.hero import HeroSpec

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

_HTML = '<div class="root hero">\n</div>'


def hero(spec: HeroSpec, *, key: str) -> None:
    """Draw the picture in place; time and choice stay in the browser, in the store of viz/canvas/browser/store.js.

    Its place has about the picture's height from the start; the script lets go of it when the picture is drawn.
    """
    _component()(key=key, data=spec.payload(), height=viewport.hero_height())


@cache
def _component() -> "ComponentRenderer":
    return st.components.v2.component("contextscope_hero", html=_HTML, js=scripts.loader("hero"))
