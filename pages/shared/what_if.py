"""The section "What if": a part of the model is switched off, and the text is read again."""

from functools import partial

import streamlit as st

from models.records.trace import ModelTrace
from models.switches.value import Switches
from pages.shared import ablation, layout, model_picker, notices, part_worth, parts, switch_choice
from pages.shared.panel import panel, selected_or_last
from pages.shared.words import units
from pages.shared.words.i18n import t
from viz.trace.what_if import what_if, what_if_words

_WIDTHS = (0.7, 0.3)
_MEASURED = "contextscope.off.measured"  # page -> the code whose bits over the examples are shown


def section(page: str, trace: ModelTrace) -> None:
    """Offer to switch parts off, and show the text before and after; then what every part is worth."""
    name, text = trace.architecture, trace.prompt
    with st.container(key=f"what-if-{page}"):
        st.header(t("what_if.title"), anchor="what-if")
        left, right = st.columns(_WIDTHS, gap="medium")
        with left, notices.guarded():
            parts.figure(f"{page}.part.what_if", lambda: _draw(page, name, text), on=("off",))
        with right, st.container(key=f"words-{page}-what-if"):
            layout.beside(t("what_if.text"))
        part_worth.section(page, name, text)


def _draw(page: str, name: str, text: str) -> None:
    trace = model_picker.read(name, text)[0]
    model = switch_choice.of_trace(trace, ablation.offers(trace.checkpoint))
    chosen = switch_choice.chosen(model)
    with st.container(border=True, key=f"card-{page}.off"):
        switch_choice.show(page, model, chosen)
    if not chosen:
        return
    switches = Switches.of(*chosen)
    after = ablation.trace(trace.checkpoint, trace.prompt, switches)
    told, at = switch_choice.labels(chosen, model), selected_or_last(trace)
    panel(what_if, [trace, after], key=f"{page}.what_if", subtitle=told)
    panel(what_if_words, [trace, after], key=f"{page}.what_if_words", subtitle=told, at=(at, at))
    _examples(page, trace, switches)


def _examples(page: str, trace: ModelTrace, switches: Switches) -> None:
    """Offer to measure the bits over the examples of the page, and state them once they are asked for."""
    texts = ablation.examples(page)
    measured: dict[str, str] = st.session_state.setdefault(_MEASURED, {})
    with st.container(border=True, key=f"card-{page}.off_examples"):
        if measured.get(page) != switches.code:
            st.button(t("what_if.measure", count=len(texts)), key=f"{page}.off_examples", icon=":material/play_arrow:",
                      on_click=partial(measured.__setitem__, page, switches.code))  # fmt: skip
            return
        with st.spinner(t("what_if.measuring")):
            before = ablation.bits(trace.checkpoint, texts)
            after = ablation.bits(trace.checkpoint, texts, switches)
        loss = after.per_token - before.per_token
        st.markdown(
            t(
                "what_if.examples",
                count=len(texts),
                tokens=units.count(before.tokens),
                before=f"{before.per_token:.3f}",
                after=f"{after.per_token:.3f}",
                change=f"{loss:+.3f}".replace("-", "\u2212"),
            )
        )
