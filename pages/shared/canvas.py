"""Mount the canvas picture as a Streamlit component and report the clicks that it asks the server about."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import streamlit as st

from pages.shared import scripts
from pages.shared.viewport import figure_height
from viz.canvas import CanvasSpec

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

_HTML = '<div class="root">\n</div>'


@dataclass(frozen=True, slots=True)
class Selection:
    """What a click designated, in original (unpooled) indices; None where the click has no such part.

    token: the token meant by the click (a strip token, or the row or column token of a cell).
    tile: the tile of a mosaic, or the frame of a film.
    """

    row: int | None
    column: int | None
    tile: int | None
    token: int | None


def canvas(spec: CanvasSpec, *, key: str, picked: Callable[[Selection], None] | None = None) -> None:
    """Draw a picture in place. picked: what a click does, called before the run that it causes.

    Only pictures whose grid reports its clicks cause a run; tokens are chosen in the browser. The place of the picture
    has its height from the start; the script lets go of it when the picture is drawn.
    """

    def clicked() -> None:
        selection = _selection(st.session_state[key].get("picked"), spec)
        if picked is not None and selection is not None:
            picked(selection)

    _component()(key=key, data=spec.payload(), height=figure_height(spec), on_picked_change=clicked)


@cache
def _component() -> "ComponentRenderer":
    return st.components.v2.component("contextscope_canvas", html=_HTML, js=scripts.loader("canvas"))


def _selection(picked: object, spec: CanvasSpec) -> Selection | None:
    """Check what the browser sent: anything that is not an index into this picture is dropped."""
    if not isinstance(picked, dict):
        return None
    rows, columns, tiles = spec.extent()
    tokens = len(spec.strip.tokens) if spec.strip else max(rows, columns)
    found = Selection(
        row=_index(picked.get("row"), max(rows, tokens)),
        column=_index(picked.get("column"), max(columns, tokens)),
        tile=_index(picked.get("tile"), tiles),
        token=_index(picked.get("token"), tokens),
    )
    return None if found == Selection(None, None, None, None) else found


def _index(value: object, count: int) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if float(value).is_integer() and 0 <= value < count else None
