"""Lead the visitor to a figure or a section: open what hides it, and have the document scroll to it and outline it."""

import streamlit as st

from pages.shared import parts, site
from pages.shared.state import session
from pages.shared.words import content

COST = "cost"  # the anchor of the section that every page of an architecture has
_HIDDEN = "hood.{}.title"
_WITHIN = {"channel_moved": "channel_matrix"}  # figures that stand in the section of another one


def button(page: str, place: str, label: str, *, key: str) -> None:
    """Offer the way from a page to a place: the id of a figure of this page, or page#anchor."""
    aim, anchor = target(page, place)
    if aim == page:
        st.button(label, key=key, type="tertiary", icon=":material/arrow_upward:", on_click=lead, args=(page, anchor))
    elif st.button(label, key=key, type="tertiary", icon=":material/arrow_forward:"):
        session.current().point(aim, anchor)
        st.switch_page(site.page(aim).script)


def target(page: str, place: str) -> tuple[str, str]:
    """Split a place, seen from a page, into a page and an anchor on it."""
    named, _, anchor = place.partition("#")
    return (named, anchor) if anchor else (page, place)


def lead(page: str, anchor: str) -> None:
    """Point at an anchor of the page that is open. Only a callback may call this."""
    session.current().point(page, anchor)
    if opens(page, anchor):
        return  # the page runs anew, with the section open
    parts.redraw("place")


def opens(page: str, anchor: str) -> bool:
    """Open the section under the hood that holds a figure; return whether one does and was closed."""
    held = _WITHIN.get(anchor, anchor)
    hidden = held in content.figure_ids() and (
        content.figure_facts(held).hood or content.section(page, _HIDDEN.format(held), optional=True)
    )
    key = f"{page}.hood.{held}"
    if not hidden or st.session_state.get(key):
        return False
    st.session_state[key] = True
    return True
