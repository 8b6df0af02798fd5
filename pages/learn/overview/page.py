"""Overview: one sentence through four machines, and what each has to carry."""

from functools import partial

import streamlit as st

from models.alignment import align_all, same_tokens
from models.errors import ContextscopeError
from models.records.trace import ModelTrace
from pages.shared import (
    agreement,
    cache,
    controls,
    layout,
    model_picker,
    next_word,
    notices,
    reading_bar,
    training_curves,
    unfolding,
)
from pages.shared.early import Early
from pages.shared.panel import panel, sketch
from pages.shared.state import session
from pages.shared.words.content import section
from pages.shared.words.i18n import t
from viz.charts.curves import growth
from viz.trace.overview import architecture_maps
from viz.trace.reading import reading

PAGE = "overview"
LENGTHS = (1, 16, 64, 256, 1024, 4096, 16384)  # tokens at which the growth curves are evaluated


def draw_maps(traces: list[ModelTrace]) -> None:
    """Draw the same sentence through every model; those that cut it differently are laid out by characters."""
    texts = [trace.tokens for trace in traces]
    if same_tokens(texts):
        panel(architecture_maps, traces, key=f"{PAGE}.machines")
    else:
        panel(architecture_maps, traces, key=f"{PAGE}.machines", alignment=align_all(traces[0].prompt, texts))


def draw_reading(traces: list[ModelTrace], *, waiting: tuple[str, ...] = (), stage: str = "") -> None:
    """Let every model read the sentence token by token: what it carries, and what it expects next.

    waiting: architectures that are still to read, and stage a part of the key of such a picture, which has no badge.
    """
    texts = [trace.tokens for trace in traces]
    aligned = None if same_tokens(texts) else align_all(traces[0].prompt, texts)
    carried = tuple(cache.cache_bytes_until(trace.checkpoint, len(trace.tokens)) for trace in traces)
    if waiting:
        sketch(reading, traces, key=f"{PAGE}.reading.{stage}", alignment=aligned, carried=carried, waiting=waiting)
    else:
        panel(reading, traces, key=f"{PAGE}.reading", alignment=aligned, carried=carried)


def others(first: ModelTrace, ahead: Early) -> list[ModelTrace]:
    """Read the text of the first model by the models of all other architectures, as far as they can read it.

    ahead: where those that have read are drawn before one that may take long.
    """
    traces, names = [first], tuple(cache.architectures())
    for place, name in enumerate(names[1:], 1):
        if not model_picker.at_once(name, first.prompt):
            ahead.show(partial(draw_reading, list(traces), waiting=names[place:]))
        try:
            traces.append(controls.traced_by(name, first.prompt))
        except ContextscopeError as error:
            notices.explain(error, also=t("models.left_out", name=t(f"nav.{name}")))
    return traces


def who_reads() -> None:
    """Name the models that read where one of them is not the bundled one, and offer the way back."""
    names = list(cache.architectures())
    if all(model_picker.chosen(name) == cache.architectures()[name] for name in names):
        return
    said = " · ".join(f"{t(f'nav.{name}')}: {model_picker.name_of(name)}" for name in names)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"readers-{PAGE}"):
        st.caption(notices.plain(said), width="content")
        st.button(t("models.all_bundled"), key=f"{PAGE}.all_bundled", type="tertiary", on_click=bundled_only)


def bundled_only() -> None:
    """Return to the bundled model of every architecture."""
    for name in cache.architectures():
        session.current().choose_model(name, None)


def cards(traces: list[ModelTrace]) -> None:
    """Introduce each architecture in two sentences, with the way to its page."""
    st.header(section(PAGE, "cards.title"), anchor=False)
    st.markdown(section(PAGE, "cards.text"))
    for place, trace in zip(st.columns(len(traces), gap="medium"), traces, strict=True):
        name = trace.architecture
        with place, st.container(border=True, key=f"arch-{name}", height="stretch"):
            st.subheader(section(PAGE, f"card.{name}.title"), anchor=False)
            st.markdown(section(PAGE, f"card.{name}.text"))
            layout.link_to(name)


def curves(traces: list[ModelTrace]) -> None:
    """Draw bytes carried against length, for every architecture."""
    here = len(traces[0].tokens)
    lengths = sorted({*LENGTHS, here})
    rows = {trace.architecture: [(n, cache.cache_bytes(trace.checkpoint, n)) for n in lengths] for trace in traces}
    panel(growth, rows, key=f"{PAGE}.growth", at=here)


def worth(traces: list[ModelTrace]) -> None:
    """Offer how the order of tokens in every map agrees with experiments; it is computed when it is opened."""
    with unfolding.section(t("agreement.title"), key=f"{PAGE}.agreement") as opened:
        if opened.open:
            st.markdown(t("agreement.text"))
            with notices.guarded():
                agreement.table(PAGE, traces)
            layout.link_to("side-by-side")


layout.header(PAGE)
first = controls.traced_prompt(PAGE, next(iter(cache.architectures())))
if first is not None:
    who_reads()
    ahead = Early(f"{PAGE}.reading")
    every = others(first, ahead)
    with ahead.before(), notices.guarded():
        draw_reading(every)
    reading_bar.show(PAGE, first)  # from here on: the figure above has the sentence itself
    st.header(section(PAGE, "maps.title"), anchor="maps")
    layout.first_figure(PAGE, lambda: draw_maps(every), traces=every)
    worth(every)
    next_word.section(PAGE, every)
    cards(every)
    layout.section_of(PAGE, "growth", lambda: curves(every))
    layout.footer(PAGE, "models", "table")
    layout.under_the_hood(PAGE, [("training_curves", lambda: training_curves.training_section(PAGE))])
    layout.check_yourself(PAGE)
