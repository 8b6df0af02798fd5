"""Side by side: one text by four models, by one with parts switched off, or two texts by one, on one axis."""

from collections.abc import Mapping

import streamlit as st

from models.records.trace import ModelTrace
from models.switches.value import Switches
from pages.compare.side_by_side import edits, lanes, prepared, rows
from pages.compare.side_by_side.lanes import PAGE, SideLanes
from pages.shared import (
    ablation,
    agreement,
    cache,
    controls,
    layout,
    next_word,
    notices,
    reading_bar,
    switch_choice,
)
from pages.shared.panel import panel
from pages.shared.words.i18n import t
from viz.trace.what_if import what_if

LENGTHS = (1024, 32768, 262144)  # tokens, beside the length of the text


def four(before: Mapping[str, ModelTrace]) -> None:
    """Set all models side by side on one text."""
    shown = lanes.of_models(before)
    top(shown, before, {})
    next_word.section(PAGE, list(shown.traces))
    below(shown)


def two_texts(before: Mapping[str, ModelTrace]) -> None:
    """Set a text and its changed copy side by side: one model in detail, all of them in what changed."""
    reader = before.get(lanes.reader()) or next(iter(before.values()))
    edits.box(reader)
    with notices.guarded():
        after = lanes.read_all(lanes.fitted(edits.copy_of(reader.prompt)))
        if reader.architecture not in after:
            return
        shown = lanes.of_texts(reader, after[reader.architecture])
        top(shown, before, after)
        layout.section_of(PAGE, "edit", lambda: edits.difference(before, after))
        layout.section_of(PAGE, "words", lambda: edits.words_after(shown))
        below(shown)


def switched(before: Mapping[str, ModelTrace]) -> None:
    """Set one model with and without its switches side by side."""
    reader = before.get(lanes.reader()) or next(iter(before.values()))
    lanes.reader_picker()
    model = switch_choice.of_trace(reader, ablation.offers(reader.checkpoint))
    chosen = switch_choice.chosen(model)
    with st.container(border=True, key=f"card-{PAGE}.off"):
        switch_choice.show(PAGE, model, chosen)
    if not chosen:
        shown = SideLanes((reader,), (t("sides.on"),))
        top(shown, before, {})
        below(shown)
        return
    switches, told = Switches.of(*chosen), switch_choice.labels(chosen, model)
    with notices.guarded():
        after = ablation.trace(reader.checkpoint, reader.prompt, switches)
        shown = lanes.of_switches(reader, after, switches)
        top(shown, before, {})
        pair = [reader, after]
        layout.section_of(PAGE, "off", lambda: panel(what_if, pair, key=f"{PAGE}.what_if", subtitle=told))
        layout.section_of(PAGE, "words", lambda: edits.words_after(shown))
        below(shown)


def top(shown: SideLanes, before: Mapping[str, ModelTrace], after: Mapping[str, ModelTrace]) -> None:
    """Draw what comes first in every mode: the sentence, the rows of its chosen word, and what was expected."""
    reading_bar.show(PAGE, shown.first, asks=True)
    layout.first_figure(PAGE, lambda: rows.rows(shown))
    with notices.guarded():
        prepared.judged(before, after)
    layout.section_of(PAGE, "surprisal", lambda: rows.surprisal(shown))


def below(shown: SideLanes) -> None:
    """Draw what comes last in every mode."""
    layout.section_of(PAGE, "reach", lambda: rows.reach(shown))
    layout.what_it_costs(PAGE, len(shown.first.tokens), compared=LENGTHS)
    layout.under_the_hood(PAGE, [("agreement", lambda: agreement.table(PAGE, shown.traces, shown.names, shown.off))])
    layout.check_yourself(PAGE)


layout.header(PAGE)
prepared.buttons()
first = controls.traced_prompt(PAGE, next(iter(cache.architectures())))
if first is not None:
    lanes.mode_picker()
    every = {first.architecture: first} | {
        name: trace for name, trace in lanes.read_all(first.prompt).items() if name != first.architecture
    }
    {lanes.FOUR: four, lanes.SWITCHES: switched, lanes.TEXTS: two_texts}[lanes.mode()](every)
