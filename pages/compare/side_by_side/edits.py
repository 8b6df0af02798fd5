"""The changed copy of a text: one word replaced, or written anew, and what that changed for every model."""

from collections.abc import Mapping

import streamlit as st

from models.alignment import align_edit
from models.records.trace import ModelTrace
from pages.compare.side_by_side import lanes
from pages.compare.side_by_side.lanes import PAGE, SideLanes
from pages.compare.side_by_side.rows import places
from pages.shared import notices, parts
from pages.shared.panel import panel, selected_or_last
from pages.shared.state import session
from pages.shared.words.i18n import t
from viz.trace.next_word import next_word
from viz.trace.sides import edit_surprisal

LONGEST = 60  # characters that a word may be replaced by
WORD = "\u2019'-"  # within a word, beside letters and digits


def copy_of(text: str) -> str:
    """Return the second text, the first one until the visitor has changed it."""
    return session.current().other or text


def box(trace: ModelTrace) -> None:
    """Offer to replace the chosen word, and to write the second text."""
    visit, text = session.current(), trace.prompt
    start, end = word_at(trace, selected_or_last(trace))
    word_key, copy_key = f"{PAGE}.word", f"{PAGE}.other"

    def replaced() -> None:
        word = (st.session_state[word_key] or "").strip()
        if word:
            visit.other = text[:start] + word + text[end:]

    def written() -> None:
        visit.other = st.session_state[copy_key] or ""

    def alike() -> None:
        visit.other = ""

    st.session_state[word_key] = ""
    st.session_state[copy_key] = copy_of(text)
    with st.container(key=f"copy-{PAGE}", gap="small"):
        with st.container(horizontal=True, gap="small", vertical_alignment="bottom", key=f"replace-{PAGE}"):
            lanes.reader_picker()
            st.text_input(t("sides.replace", word=notices.plain(text[start:end])), key=word_key, max_chars=LONGEST,
                          placeholder=t("sides.replace_placeholder"), on_change=replaced, width=260)  # fmt: skip
            st.button(t("sides.undo"), key=f"{PAGE}.undo", type="tertiary", on_click=alike,
                      disabled=copy_of(text) == text)  # fmt: skip
        st.text_area(t("sides.other"), key=copy_key, height="content", on_change=written)


def word_at(trace: ModelTrace, token: int) -> tuple[int, int]:
    """Return the characters of the word that a token is part of, or of its own ink where it is no word."""
    text, one = trace.prompt, trace.tokens[token]
    start, end = one.start, one.end
    while start < end and text[start].isspace():
        start += 1

    def inside(at: int) -> bool:
        return 0 <= at < len(text) and (text[at].isalnum() or text[at] in WORD)

    if start < end and inside(start):
        while inside(start - 1):
            start -= 1
        while inside(end):
            end += 1
    return start, end


def difference(before: Mapping[str, ModelTrace], after: Mapping[str, ModelTrace]) -> None:
    """Draw how the surprisal changed for every model that cuts both texts as the first one does."""
    names = _alike(before, after)
    first = names[0]
    panel(
        edit_surprisal,
        [*(before[name] for name in names), *(after[name] for name in names)],
        key=f"{PAGE}.edit",
        alignment=align_edit(before[first].tokens, after[first].tokens),
    )
    if left := [t(f"nav.{name}") for name in before if name not in names]:
        st.caption(t("sides.cut_otherwise", names=", ".join(left)))


def _alike(before: Mapping[str, ModelTrace], after: Mapping[str, ModelTrace]) -> list[str]:
    def cut(trace: ModelTrace) -> list[tuple[int, int]]:
        return [(token.id, token.start) for token in trace.tokens]

    first = next(name for name in before if name in after)
    known = cut(before[first]), cut(after[first])
    return [name for name in before if name in after and (cut(before[name]), cut(after[name])) == known]


def words_after(shown: SideLanes) -> None:
    """Draw the likeliest next tokens before and after the edit, with the ranks that changed."""
    parts.figure(f"{PAGE}.part.next", lambda: _words_after(shown), on=())


def _words_after(shown: SideLanes) -> None:
    panel(
        next_word,
        list(shown.traces),
        key=f"{PAGE}.next_word",
        at=places(shown),
        names=shown.names,
        alignment=shown.alignment,
    )
