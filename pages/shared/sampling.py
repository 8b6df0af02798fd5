"""The settings of the distribution over the next token: temperature, top-k, top-p, as whole numbers in the address."""

import streamlit as st

from models.generation.distribution import Sampling
from pages.shared.state import session
from pages.shared.words.i18n import t

HUNDREDTH = 100  # choices are whole numbers in the address
TEMPERATURES = (10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 130, 140, 150, 175, 200)
EVERY = 0  # of top-k: no limit
TOP_K = (1, 2, 3, 5, 10, 20, 50, 100, EVERY)
TOP_P = (5, 10, 20, 30, 40, 50, 60, 70, 80, 85, 90, 95, 99, 100)
_WRITTEN = {
    "temperature": {one: f"{one / HUNDREDTH:g}" for one in TEMPERATURES},
    "topk": {one: str(one) if one else "\u221e" for one in TOP_K},
    "topp": {one: f"{one / HUNDREDTH:g}" for one in TOP_P},
}  # the same in every language


def chosen() -> Sampling:
    """Return the settings that are chosen on this page."""
    visit = session.current()
    heat = visit.selection("temperature", default=HUNDREDTH, allowed=TEMPERATURES)
    top_k = visit.selection("topk", default=EVERY, allowed=TOP_K)
    top_p = visit.selection("topp", default=HUNDREDTH, allowed=TOP_P)
    return Sampling(heat / HUNDREDTH, top_k or None, top_p / HUNDREDTH)


def dials(page: str) -> None:
    """Offer the three settings."""
    _dial(page, "temperature", TEMPERATURES, default=HUNDREDTH)
    _dial(page, "topk", TOP_K, default=EVERY)
    _dial(page, "topp", TOP_P, default=HUNDREDTH)


def _dial(page: str, name: str, options: tuple[int, ...], *, default: int) -> None:
    """Offer one setting on a slider; the numbers are the same in every language."""
    visit, key = session.current(), f"{page}.{name}"

    def changed() -> None:
        if st.session_state[key] in options:
            visit.select(name, st.session_state[key])

    st.session_state[key] = visit.selection(name, default=default, allowed=options)
    with st.container(key=f"dial-{page}-{name}", width=170):
        st.select_slider(
            t(f"next_word.{name}"), options, key=key, format_func=_WRITTEN[name].__getitem__, on_change=changed
        )
