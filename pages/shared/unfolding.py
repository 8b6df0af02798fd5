"""Sections that unfold, and are written only then."""

from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from streamlit.elements.lib.mutable_expander_container import ExpanderContainer


def section(title: str, *, key: str) -> "ExpanderContainer":
    """Offer a section; its .open says whether to write it.

    It stays open when its title changes, as with the language: Streamlit takes one of another title for another one.
    """
    if st.session_state.get(key):
        st.session_state[key] = True
    return st.expander(title, key=key, on_change="rerun")
