"""RWKV versions 4 to 7 on a toy input, with sliders."""

import streamlit as st

from models.simulation.ladder import ladder
from pages.shared import parts
from pages.shared.panel import panel
from pages.shared.state import session
from pages.shared.words.i18n import t
from viz.simulation.versions import version_ladder

HUNDREDTH = 100  # choices are whole numbers in the address
STRENGTHS = (25, 50, 75, 100, 150, 200, 300)
DECAYS = tuple(range(0, 701, 50))  # d + 6
STOPS = tuple(range(0, 401, 50))
RATES = tuple(range(0, 101, 10))
LOWEST = 6  # of d, below zero
DIALS = {"strength": (STRENGTHS, 100, 0), "decay": (DECAYS, 300, LOWEST), "stop": (STOPS, 200, 0),
         "rate": (RATES, 100, 0)}  # fmt: skip


def draw(page: str) -> None:
    """Draw the figure with its sliders, which redraw it alone."""
    parts.figure(f"{page}.part.version_ladder", lambda: _drawn(page), on=DIALS.keys())


def chosen() -> dict[str, float]:
    """Return what the sliders are set to."""
    visit = session.current()
    return {
        name: visit.selection(name, default=default, allowed=options) / HUNDREDTH - below
        for name, (options, default, below) in DIALS.items()
    }


def _drawn(page: str) -> None:
    with st.container(horizontal=True, gap="medium", key=f"dials-{page}-versions"):
        for name in DIALS:
            _dial(page, name)
    simulated = t("viz.simulated")
    panel(version_ladder, ladder(**chosen()), key=f"{page}.version_ladder", subtitle=simulated, source=simulated)


def _dial(page: str, name: str) -> None:
    options, default, below = DIALS[name]
    visit, key = session.current(), f"{page}.{name}"

    def changed() -> None:
        if st.session_state[key] in options:
            visit.select(name, st.session_state[key])

    st.session_state[key] = visit.selection(name, default=default, allowed=options)
    with st.container(key=f"dial-{page}-{name}", width=150):
        st.select_slider(
            t(f"controls.ladder.{name}"), options, key=key, on_change=changed,
            format_func=lambda value: f"{value / HUNDREDTH - below:g}",
        )  # fmt: skip
