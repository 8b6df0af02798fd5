"""The text box of a page: it grows, counts tokens, and says what is not read of a long text."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import streamlit as st

from models.errors import ContextscopeError
from pages.shared import html, model_picker, notices
from pages.shared.state import session
from pages.shared.words import content, units
from pages.shared.words.content import Example
from pages.shared.words.i18n import t

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from models.tracing.fitting import Fit

_MARK = "\0"  # where the number stands in the words around it
_TAIL = 28  # characters of the end of what is read that a note repeats


class PromptBox(NamedTuple):
    """The box of a page. text: what the visitor wrote; the slots are filled when it is known what is read of it."""

    text: str
    counter: "DeltaGenerator"
    note: "DeltaGenerator"


def show(page: str, *, model: str | None = None) -> PromptBox:
    """Show the text box with the ready examples under it; all pages read its text.

    model: the architecture whose model may be chosen here.
    """
    key = f"{page}.prompt"
    visit = session.current()

    def typed() -> None:
        visit.prompt = st.session_state[key] or ""

    st.session_state[key] = visit.prompt
    with st.container(key=f"prompt-{page}", gap="xsmall"):
        with st.container(key=f"box-{page}", horizontal=True, vertical_alignment="center", gap="small"):
            st.text_area(
                t("controls.prompt"),
                key=key,
                height="content",
                placeholder=t("controls.prompt_placeholder"),
                label_visibility="collapsed",
                on_change=typed,
            )
            counter = st.empty()
            if model is not None:
                with st.container(key=f"model-{page}", width="content"):
                    model_picker.chip(model)
        _examples(page, visit.prompt)
        note = st.empty()
    return PromptBox(visit.prompt, counter, note)


def fitted(page: str, box: PromptBox, architectures: Sequence[str]) -> str:
    """Return as much of the text as the models of all architectures read; show the count, and what is left out.

    Raises what keeps the first of them from reading; what keeps others is told where they would be drawn.
    """
    fits = [model_picker.fitted(architectures[0], box.text)]
    for name in architectures[1:]:
        try:
            fits.append(model_picker.fitted(name, box.text))
        except ContextscopeError:
            continue
    least = min(fits, key=lambda fit: len(fit.text))
    with box.counter:
        html.show(_count(least, [model_picker.code_of(name) for name in architectures]))
    watched = _example_of(page, box.text)
    with box.note:
        if least.left_out:
            st.caption(notices.plain(_cut(least)))
        elif watched is not None:
            st.caption(notices.plain(watched.watch[session.language()]))
    return least.text


def _examples(page: str, text: str) -> None:
    """Offer the ready examples; the one whose text stands in the box is marked as chosen."""
    visit = session.current()

    def choose(text: str) -> None:
        visit.prompt = text

    chosen = _example_of(page, text)
    with st.container(horizontal=True, gap="xsmall", key=f"chips-{page}"):
        for example in content.examples(page):
            st.button(
                example.label[visit.lang],
                key=f"{page}.example.{example.id}",
                type="primary" if example is chosen else "secondary",
                help=notices.plain(example.watch[visit.lang]),
                on_click=choose,
                args=(example.text[visit.lang],),
            )


def _example_of(page: str, text: str) -> Example | None:
    """Return the example of a page with this text, in any language; None for a text of the visitor's own."""
    return next((one for one in content.examples(page) if text in one.text.values()), None)


def _count(fit: "Fit", codes: Sequence[str]) -> html.Html:
    """Write the number of tokens; the browser brings it up to date while one types (assets/style/document.js)."""
    before, after = t("controls.count", count=_MARK, limit=fit.limit).split(_MARK)
    return html.element(
        "span",
        before,
        html.element("b", units.count(fit.tokens)),
        after,
        class_="cs-count cs-over" if fit.tokens > fit.limit else "cs-count",
        role="status",
        title=t("controls.count_title"),
        data_models=" ".join(dict.fromkeys(codes)),
    )


def _cut(fit: "Fit") -> str:
    tail = " ".join(fit.text[-_TAIL:].split())
    return t("controls.cut", tokens=fit.limit, tail=tail, left=units.count(fit.left_out))
