"""Recall page: the accuracy of each architecture, beside the bytes it carries."""

import streamlit as st

from pages.compare.recall import expected, far, measuring, question, results, training, what_if
from pages.compare.recall.results import BUNDLED_SEED, PAGE, Cells, Record
from pages.shared import layout
from pages.shared.panel import panel
from pages.shared.words.i18n import t
from viz.recall.maps import recall_against_bytes, recall_seeds


def cost(record: Record, shown: Cells) -> None:
    """Draw what is recalled against what is carried; the record until the first cells are measured."""
    cells = shown if all(shown.values()) else record.bundled
    panel(recall_against_bytes, cells, key=f"{PAGE}.bytes", layout=record.layout)


def seeds(record: Record) -> None:
    """Draw the mean accuracy of every seed."""
    panel(recall_seeds, record.runs, key=f"{PAGE}.seeds", bundled=BUNDLED_SEED, guess=record.layout.guess)


def body(record: Record) -> None:
    """Draw everything that rests on what is recorded or measured of a task."""
    shown = measuring.map_of(record)
    layout.chapter(PAGE, 1, lambda: cost(record, shown))
    far.section(record)
    layout.chapter(PAGE, 2, lambda: question.question(record))
    layout.section_of(PAGE, "what_if", lambda: what_if.draw(record))
    layout.chapter(PAGE, 3, lambda: expected.expected(record, shown))
    layout.under_the_hood(
        PAGE, [("recall_seeds", lambda: seeds(record)), ("training", lambda: training.budget(record))]
    )


layout.header(PAGE)
known = results.record(measuring.task_picker())
if known is None:
    st.info(t("recall.nothing"), icon=":material/info:")
else:
    body(known)
    layout.check_yourself(PAGE)
