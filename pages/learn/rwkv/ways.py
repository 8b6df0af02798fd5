"""Switches between a few ways to draw a figure of RWKV, kept in the address as whole numbers."""

from collections.abc import Sequence

import streamlit as st

from pages.shared import controls
from pages.shared.state import session
from pages.shared.words.i18n import t

WAYS = {
    "keys": ("equal", "real"),
    "axis": ("linear", "log"),
    "gate": ("without", "with"),
    "moved": ("weights", "taken"),
}  # first what is drawn without a choice


def chosen(name: str) -> str:
    """Return which way is chosen."""
    ways = WAYS[name]
    return ways[session.current().selection(name, default=0, allowed=range(len(ways)))]


def offer(page: str, *names: str) -> None:
    """Offer switches side by side; a change redraws what follows them."""
    with st.container(horizontal=True, gap="medium", key=f"ways-{page}-{names[0]}"):
        for name in names:
            _offer(page, name, WAYS[name])


def _offer(page: str, name: str, ways: Sequence[str]) -> None:
    key = f"{page}.{name}"

    def changed() -> None:
        value = st.session_state[key]
        if value in range(len(ways)):
            controls.choose(name, value)

    st.session_state[key] = ways.index(chosen(name))
    with st.container(key=f"pick-{key}", width="content"):
        st.segmented_control(
            t(f"controls.rwkv.{name}"),
            list(range(len(ways))),
            key=key,
            required=True,
            on_change=changed,
            format_func=lambda at: t(f"controls.rwkv.{name}.{ways[at]}"),
        )
