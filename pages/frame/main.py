"""The frame around every page: language, look, navigation, the device chip; then the page itself."""

import streamlit as st

from models.machine.paths import ASSETS
from pages.shared import cache, document, figure_menu, gate, history, notices, parts, reading_bar, site, style
from pages.shared.state import session
from pages.shared.words import i18n, language
from pages.shared.words.i18n import t

CHOICES = (
    "layer",
    "head",
    "channel",
    "router_layer",
    "attention_layer",
    "state_layer",
    "measure",
    "off",
    "architecture",
)  # in the address, of any page
ICON = ASSETS / "style" / "icon.svg"


def navigation() -> tuple[dict[str, st.Page], st.Page]:
    """Register the pages at their paths; return them by key, and the one asked for."""
    pages = {
        page.key: st.Page(
            page.script, title=t(f"nav.{page.key}"), url_path=page.url_path, default=page.key == site.HOME
        )
        for page in site.PAGES
    }
    return pages, st.navigation(list(pages.values()), position="top")


def top_corner(home: st.Page) -> None:
    """Place the word mark at the left end of the bar, the device and the language at the right."""
    with st.container(key="frame-mark"):
        st.page_link(home, label=t("frame.mark"))
    with st.container(key="frame-corner", horizontal=True, gap="xsmall", width="content", wrap=False):
        name, cores = cache.processor()
        st.text(t("frame.device", name=name, cores=cores), width="content")
        language_switch()


def language_switch() -> None:
    """Offer the languages by their own names; the choice goes into the session and the address."""
    key = "frame.lang"

    def changed() -> None:
        session.current().lang = st.session_state[key]

    st.session_state[key] = session.language()
    st.segmented_control(
        t("frame.language"),
        i18n.LANGS,
        format_func=lambda code: i18n.say(code, "frame.language_name"),
        key=key,
        required=True,
        label_visibility="collapsed",
        on_change=changed,
    )


def tell_document(page: str) -> None:
    """Give the document its language, and the address the visitor's choices."""
    visit = session.current()
    style.document(
        lang=visit.lang,
        page=page,
        query=visit.query(),
        restored=history.is_step(),
        words=figure_menu.words(visit.lang),
        pointed=visit.pointed,
    )


def run() -> None:
    """Draw the frame and run the page in it, when it is this script's turn."""
    with gate.entered():
        show()


def show() -> None:
    """Draw the frame and run the page in it."""
    language.begin(anew=history.is_step())
    pages, page = navigation()
    name = page.url_path or site.HOME
    visit = session.start(name)
    st.set_page_config(
        page_title=document.title(name, visit.lang), page_icon=ICON, layout="wide", initial_sidebar_state="collapsed"
    )
    parts.begin()
    top_corner(pages[site.HOME])
    note = st.empty()  # in every run, so that the page keeps its place
    with st.container(key=f"page-{name}", gap="medium"), notices.guarded():
        page.run()
    reading_bar.ear()
    parts.part("frame.address", lambda: tell_document(name), on=(*CHOICES, "place"))
    if visit.linked:
        with note:
            notices.answer_link(visit.missed())


run()
