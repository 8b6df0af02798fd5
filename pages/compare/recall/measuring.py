"""Choose a task, measure it live, and compare the result with the recorded one."""

from collections.abc import Callable
from functools import partial

import streamlit as st

from models.recall import evaluation
from models.recall.live import LiveRun
from pages.compare.recall import results
from pages.compare.recall.results import PAGE, TASKS, Cells, Record
from pages.shared import figure, gate, layout, notices, style, viewport
from pages.shared.memo import Memo
from pages.shared.state import session
from pages.shared.words import language, units
from pages.shared.words.content import section
from pages.shared.words.i18n import t
from viz.figure import Figure
from viz.recall.maps import recall_map

PHONE = 768  # pixels; narrower windows show one map at a time
POLL_S = 1.5  # seconds; drawing the map takes about a third of one
SHOWN = ("live", "recorded")

_maps: Memo[Figure] = Memo()  # of what is recorded


def task_picker() -> str:
    """Offer the tasks; the choice goes into the address."""
    visit, key = session.current(), f"{PAGE}.task"
    chosen = TASKS[visit.selection("task", default=0, allowed=range(len(TASKS)))]

    def changed() -> None:
        visit.select("task", TASKS.index(st.session_state[key]))

    st.session_state[key] = chosen
    with st.container(key=f"pick-{key}"):
        st.segmented_control(
            t("recall.task.label"), TASKS, key=key, required=True, on_change=changed,
            format_func=lambda name: t(f"recall.task.{name}"), label_visibility="collapsed",
        )  # fmt: skip
    st.markdown(section(PAGE, f"task.{chosen}"))
    return chosen


def map_of(record: Record) -> Cells:
    """Draw the map with its controls; return the cells on screen. Redraws itself while something is measured."""
    run = results.live(record.task)
    # Only a run under way is a piece of its own. A fragment whose click restarts the whole page loses the next click.
    draw = st.fragment(gate.gated(_watched), run_every=POLL_S) if results.watched(record.task) else _drawn
    layout.first_figure(PAGE, lambda: draw(record))
    return _shown(record, run)[1]


def _watched(record: Record) -> None:
    """Draw the controls and the map of a run under way; when it has ended, the page is drawn again without polling."""
    if not results.watched(record.task):
        st.rerun(scope="app")
    _drawn(record)


def _drawn(record: Record) -> None:
    """Draw the controls and the map."""
    run = results.live(record.task)
    _status(record, run)
    live, cells = _shown(record, run)
    subtitle = t("recall.shown.live" if live else "recall.shown.recorded", task=t(f"recall.task.{record.task}"))
    theme = style.theme()
    alone = _one_of(tuple(cells)) if viewport.window() < PHONE else None

    def draw() -> Figure:  # no spinner: what is measured is drawn again and again
        shown = cells if alone is None else {alone: cells[alone]}
        return recall_map(shown, record.layout, theme=theme, t=t, live=live)

    drawn = draw() if live else _maps.get((record.task, language.current(), theme.mode, alone), (record,), draw)
    figure.show(drawn, key=f"{PAGE}.map", subtitle=subtitle)


def _one_of(names: tuple[str, ...]) -> str:
    """Offer the architectures, of which a phone has room for the map of one; return the chosen one."""
    with st.container(key=f"pick-{PAGE}.map"):
        chosen = st.segmented_control(
            t("recall.map"), names, key=f"{PAGE}.alone", required=True, default=names[0],
            format_func=lambda name: t(f"nav.{name}"), label_visibility="collapsed",
        )  # fmt: skip
    return chosen if chosen in names else names[0]


def _status(record: Record, run: LiveRun | None) -> None:
    """State which result is on screen; offer to measure, to stop, or to switch to the other."""

    def switch() -> None:
        if run is not None and run.measured:
            st.segmented_control(
                t("recall.shown.label"), SHOWN, key=_which(record), required=True, default=SHOWN[0],
                format_func=lambda name: t(f"recall.shown.choice.{name}"), label_visibility="collapsed",
            )  # fmt: skip

    control(record.task, run, switch=switch, headline=partial(_headline, record, run))


def control(
    task: str,
    run: LiveRun | None,
    *,
    switch: Callable[[], None],
    headline: Callable[[], str],
    far: bool = False,
) -> None:
    """Offer to measure or to stop, show how far a run is, and say what stopped it; else what headline returns.

    switch: draws what is offered beside that when nothing is under way.
    """
    name = f"{PAGE}.far" if far else PAGE
    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key=f"status-{name}"):
        if run is not None and results.watched(task, far=far):
            waits = "recall.waits" if not run.seconds and run.measured == 0 else "recall.measuring"
            text = t(waits, done=run.measured, total=run.planned, time=units.duration(run.seconds))
            st.progress(run.measured / max(run.planned, 1), text=text)
            st.button(t("recall.stop"), key=f"{name}.stop", icon=":material/stop:", disabled=run.stopping,
                      on_click=partial(results.stop, task, far=far))  # fmt: skip
            return
        words = f"recall.measure{'' if run is None else '_again'}{'_far' if far else ''}"
        st.button(
            t(words), key=f"{name}.measure", type="secondary" if far else "primary", icon=":material/play_arrow:",
            on_click=partial(results.start, task, far=far),
        )  # fmt: skip
        switch()
        st.caption(headline())
    if run is not None and run.error is not None:
        with notices.guarded():
            raise run.error


def _headline(record: Record, run: LiveRun | None) -> str:
    if run is None or not run.measured:
        cpu, seed = record.about["environment"]["host_cpu"], record.about["held_out_seed"]
        return t("recall.recorded", cpu=cpu, seed=seed, asked=asked(record.bundled))
    agree, total = agreement(record.bundled, run.cells)
    return measured_line(run, agree, total)


def measured_line(run: LiveRun, agree: int, total: int) -> str:
    """Say how much of a run was measured, and how many of its cells agree with the record."""
    key = "recall.stopped" if run.measured < run.planned else "recall.measured"
    return t(key, time=units.duration(run.seconds), done=run.measured, planned=run.planned, seed=run.key.seed,
             asked=asked(run.cells), agree=agree, total=total)  # fmt: skip


def agreement(recorded: Cells, measured: Cells) -> tuple[int, int]:
    """Count the cells that were measured in both, and those among them that cannot be told apart (95 %)."""
    pairs = [
        (before, now)
        for name, cells in measured.items()
        for now in cells
        for before in recorded.get(name, ())
        if before.at == now.at
    ]
    return sum(evaluation.indistinguishable(before, now) for before, now in pairs), len(pairs)


def _shown(record: Record, run: LiveRun | None) -> tuple[bool, Cells]:
    """Return whether the live cells are on screen, and the cells that are."""
    wanted = st.session_state.get(_which(record)) or SHOWN[0]
    if run is None or (not results.watched(record.task) and (not run.measured or wanted == "recorded")):
        return False, record.bundled
    return True, run.cells


def asked(cells: Cells) -> str:
    """Write how many questions the cell with the fewest was asked."""
    return units.count(min((c.count for every in cells.values() for c in every), default=0))


def _which(record: Record) -> str:
    return f"{PAGE}.shown.{record.task}"
