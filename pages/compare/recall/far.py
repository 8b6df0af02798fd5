"""How far recall reaches: accuracy at many times the longest distance of training, recorded or measured live."""

from functools import partial

import streamlit as st

from models.recall import curriculum
from models.recall.live import LiveRun
from pages.compare.recall import measuring, results
from pages.compare.recall.results import PAGE, Cells, Record
from pages.shared import figure, gate, layout, style
from pages.shared.memo import Memo
from pages.shared.words import language
from pages.shared.words.i18n import t
from viz.figure import Figure
from viz.recall.far import recall_far

_kept: Memo[Figure] = Memo()  # of what is recorded


def section(record: Record) -> None:
    """Draw the far cells of a task as recorded or as measured here, with the control; nothing without a record."""
    known = results.far_record(record.task)
    if known is None:
        return
    draw = st.fragment(gate.gated(_watched), run_every=measuring.POLL_S) if _under_way(record) else _drawn
    layout.section_of(PAGE, "far", partial(draw, record, *known))


def _under_way(record: Record) -> bool:
    return results.watched(record.task, far=True)


def _watched(record: Record, recorded: Cells, about: results.About) -> None:
    """Draw a run under way; when it has ended, the page is drawn again without polling."""
    if not _under_way(record):
        st.rerun(scope="app")
    _drawn(record, recorded, about)


def _drawn(record: Record, recorded: Cells, about: results.About) -> None:
    run = results.live(record.task, far=True)
    shown = run.cells if run is not None and run.measured else recorded
    measuring.control(
        record.task, run, far=True, switch=lambda: None, headline=partial(_headline, run, recorded, about)
    )
    theme, axis = style.theme(), str(about["axis"])

    def draw() -> Figure:
        edge, guess = int(about["trained_to"][axis]), curriculum.task(record.task).guess
        return recall_far(shown, axis=axis, trained_to=edge, guess=guess, theme=theme, t=t)

    known = (record.task, language.current(), theme.mode)
    drawn = _kept.get(known, (recorded,), draw) if shown is recorded else draw()
    key = "recall.shown.live" if shown is not recorded else "recall.shown.recorded"
    figure.show(drawn, key=f"{PAGE}.far", subtitle=t(key, task=t(f"recall.task.{record.task}")))


def _headline(run: LiveRun | None, recorded: Cells, about: results.About) -> str:
    if run is None or not run.measured:
        cpu, seed = about["environment"]["host_cpu"], about["held_out_seed"]
        return t("recall.recorded", cpu=cpu, seed=seed, asked=measuring.asked(recorded))
    return measuring.measured_line(run, *measuring.agreement(recorded, run.cells))
