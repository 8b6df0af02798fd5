"""The section of a page about the next token: its distribution at the chosen place, a guess first, and writing on."""

from collections.abc import Sequence

import streamlit as st

from models.errors import ContextscopeError
from models.records.trace import ModelTrace
from pages.shared import cache, continuing, gate, model_picker, notices, parts, reading_bar, sampling
from pages.shared.panel import panel
from pages.shared.state import session
from pages.shared.words.i18n import t
from viz.trace.next_word import next_word

_GUESS = "contextscope.guess"  # (text, place, guess) of the visitor's last guess
_LONGEST = 40  # characters of a guess
_WIDTHS = (0.7, 0.3)

Readers = tuple[tuple[str, str], ...]  # (architecture, the text that it reads)


def section(page: str, traces: Sequence[ModelTrace]) -> None:
    """Ask what comes next: the distribution of every trace with its settings, then a text that the models write."""
    readers = tuple((trace.architecture, trace.prompt) for trace in traces)
    with st.container(key=f"next-{page}"):
        st.header(t("next_word.title"), anchor="next-word")
        if len(traces) > 1:
            st.markdown(t("next_word.text_several"))
            _figures(page, readers)
            return
        left, right = st.columns(_WIDTHS, gap="medium")
        with left:
            _figures(page, readers)
        with right, st.container(key=f"words-{page}-next"):
            st.markdown(t("next_word.text"))


def _figures(page: str, readers: Readers) -> None:
    with notices.guarded():
        parts.figure(f"{page}.part.next_word", lambda: _distribution(page, readers), on=("guess",))
    with notices.guarded():
        st.fragment(gate.gated(continuing.draw))(page, readers)


def _distribution(page: str, readers: Readers) -> None:
    """Draw the settings, the guess and the lists; everything in it runs again without the page."""
    traces = [model_picker.read(name, text)[0] for name, text in readers]
    places = tuple(_place(trace) for trace in traces)
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key=f"dials-{page}"):
        sampling.dials(page)
        first = st.toggle(
            t("next_word.guess_first"),
            key=reading_bar.guess_key(page),
            on_change=_follow,
            help=t("next_word.guess_help"),
        )
    told = _guess(page, traces, places) if first else None
    if first and told is None:
        with st.container(border=True, key=f"card-{page}.guess", height=300):
            st.text(t("next_word.hidden", token=traces[0].tokens[places[0]].label))
        return
    chosen = sampling.chosen()
    panel(
        next_word,
        list(traces),
        key=f"{page}.next_word",
        at=places,
        temperature=chosen.temperature,
        top_k=chosen.top_k,
        top_p=chosen.top_p,
        alone=first,
        guesses=told or (),
    )


def _follow() -> None:
    """Let the reading bar ask the server about tokens from now on, or no more."""
    parts.redraw("guess")


def _place(trace: ModelTrace) -> int:
    """Return the chosen token of the text as this model cuts it, else the last."""
    found = session.current().token_in(trace.tokens)
    return len(trace.tokens) - 1 if found is None else found


def _guess(page: str, traces: Sequence[ModelTrace], places: tuple[int, ...]) -> tuple[int, ...] | None:
    """Take a guess for this place of this text; return it as a token of each model, None until there is one."""
    asked = (traces[0].prompt, places[0])
    known = st.session_state.get(_GUESS)
    word = known[2] if known is not None and known[:2] == asked else ""
    key = f"{page}.guess"

    def typed() -> None:
        st.session_state[_GUESS] = (*asked, st.session_state[key] or "")

    st.session_state[key] = word
    st.text_input(
        t("next_word.guess", token=notices.plain(traces[0].tokens[places[0]].label)), key=key, max_chars=_LONGEST,
        placeholder=t("next_word.guess_placeholder"), on_change=typed,
    )  # fmt: skip
    if not word.strip():
        return None
    from models.generation.guess import guessed_token

    found = []
    for trace, place in zip(traces, places, strict=True):
        try:
            found.append(guessed_token(cache.checkpoint(trace.checkpoint), word, trace.logits.values[place]))
        except ContextscopeError as error:
            notices.explain(error)
            return None
    return tuple(found)
