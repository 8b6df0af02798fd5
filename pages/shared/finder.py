"""Mount a finder as a Streamlit component, and lead from its rows to the figures of the page."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import streamlit as st

from pages.shared import parts, pointing, scripts
from pages.shared.state import session
from viz.finder.spec import Finder

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

_HTML = '<div class="root">\n</div>'


@dataclass(frozen=True, slots=True)
class FinderRow:
    """The row of a finder that was opened: a layer, and the number of a head, channel or expert in it."""

    layer: int
    item: int


def finder(spec: Finder, *, key: str, picked: Callable[[FinderRow], None] | None = None) -> None:
    """Draw a finder in place. picked: what opening a row does, called before the run that it causes."""

    def clicked() -> None:
        row = _row(st.session_state[key].get("picked"), spec)
        if picked is not None and row is not None:
            picked(row)

    _component()(key=key, data=spec.payload(), on_picked_change=clicked)


def opens(page: str, figure: str, *, item: str, layer: str = "layer") -> Callable[[FinderRow], None]:
    """Return what opening a row does: choose its layer and item on a page, and scroll to a figure that draws them.

    layer, item: the names of the choices that the pickers of the page have, as "layer" and "head". figure: its id; a
    section under the hood that holds it is opened. Follows are redrawn without the page where they are in sight.
    """

    def picked(row: FinderRow) -> None:
        visit = session.current()
        visit.select(layer, row.layer)
        visit.select(item, row.item)
        visit.point(page, figure)
        if pointing.opens(page, figure):
            st.rerun()  # the whole page, with the section open: a finder is a part of it
        parts.redraw(layer, item, "place")

    return picked


def shown(layer: str, item: str) -> tuple[int, int] | None:
    """Return layer and item that the visitor chose on this page, None until both are chosen."""
    visit = session.current()
    found = tuple(visit.selection(name, default=-1, allowed=range(1_000_000)) for name in (layer, item))
    return (found[0], found[1]) if min(found) >= 0 else None


@cache
def _component() -> "ComponentRenderer":
    return st.components.v2.component("contextscope_finder", html=_HTML, js=scripts.loader("finder"))


def _row(picked: object, spec: Finder) -> FinderRow | None:
    """Check what the browser sent: anything that is not a row of this finder is dropped."""
    if not isinstance(picked, dict):
        return None
    found = tuple(picked.get(name) for name in ("layer", "item"))
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in found):
        return None
    at = (spec.layers == found[0]) & (spec.items == found[1])
    return FinderRow(int(found[0]), int(found[1])) if at.any() else None
