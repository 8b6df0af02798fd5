"""Figures drawn by plotly, which Streamlit serves itself and a browser fetches with the first of them; their tables."""

from functools import lru_cache
from typing import TYPE_CHECKING

import streamlit as st

from pages.shared import html, outline, parts, unfolding, viewport
from pages.shared.words.i18n import t
from viz.figure import Figure
from viz.look.plotly import PlotSpec, narrow

if TYPE_CHECKING:
    from plotly.graph_objects import Figure as Plotly

NARROW = 600  # pixels of a window in which a finger scrolls where a mouse would drag


def plot(fig: Figure, body: PlotSpec, key: str) -> None:
    """Draw a figure in a place that shows its outline until then."""
    shown = _narrow(body) if viewport.window() < NARROW else body
    with st.container(
        key=f"slot-{outline.shape(body)}-{key}", height=shown.height, border=False
    ):  # freed by contextscope.css
        st.plotly_chart(_drawn(shown), key=f"{key}.plot", theme=None, config=dict(shown.config), alt=fig.alt)


def numbers(body: PlotSpec, key: str, name: str) -> None:
    """Unfold the drawn numbers as a table, for those who do not see the figure or have no pointer.

    name: of the figure.
    """

    def drawn() -> None:
        with unfolding.section(t("figure.numbers"), key=f"{key}.numbers") as opened:
            if opened.open:
                rows = (html.row(*row) for row in body.table.rows)
                table = html.table(rows, kind="cs-table", head=body.table.head)
                html.show(html.element("div", table, class_="cs-numbers", tabindex="0", role="region", aria_label=name))

    with st.container(key=f"numbers-{key}"):
        parts.part(f"{key}.numbers-part", drawn, on=())


@lru_cache(64)
def _narrow(body: PlotSpec) -> PlotSpec:
    return narrow(body)


@lru_cache(64)
def _drawn(body: PlotSpec) -> "Plotly":
    """Check a figure by plotly's schema once; it is compared by identity, since figures are kept."""
    from plotly.graph_objects import Figure as Plotly  # takes as long as a page; few pages need it

    return Plotly(body.to_dict())
