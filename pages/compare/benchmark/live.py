"""A run while it is measured: its progress, the table of its plan as a board, and what ends or holds it."""

import streamlit as st

from models.bench.run import runner
from models.bench.run.job import PAUSE_LIMIT_S, Progress
from models.records.run import Run
from pages.compare.benchmark import grid
from pages.compare.benchmark.address import PAGE
from pages.compare.benchmark.planning import FORMER
from pages.shared import gate, html, journal
from pages.shared.words import units
from pages.shared.words.i18n import t

POLL_S = 1.5  # seconds: what the page computes takes time of the cores that are measured


def progress(run: Run) -> Progress | None:
    """Return the progress of a run that has not ended; None for any other."""
    now = runner.shared().progress(run.run_id)
    return now if now is not None and now.live else None


def former(run: Run) -> Run | None:
    """Return the run that was on the page when this one was started here; None where there is none or it is gone."""
    run_id = st.session_state.get(FORMER, {}).get(run.run_id)
    with gate.released():
        return runner.shared().store.run(run_id) if run_id else None


def board(run: Run, now: Progress) -> None:
    """Draw the board of a run and keep it in step; the page is drawn anew with each group of rows."""
    with st.container(border=True, key=f"card-{PAGE}.board"):
        html.show(html.title(t("benchmark.board.title"), level=2))
        st.fragment(gate.gated(_board), run_every=POLL_S)(run, now.done)


def _board(run: Run, done: int) -> None:
    here = runner.shared()
    now = here.progress(run.run_id)
    if now is None or not now.live or now.done != done:
        st.rerun(scope="app")
    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key=f"live-{PAGE}"):
        st.progress(_share(now), text=said(now))
        key, icon = ("resume", ":material/play_arrow:") if now.paused else ("pause", ":material/pause:")
        if now.state == "running":
            st.button(
                t(f"benchmark.{key}"), key=f"{PAGE}.{key}", icon=icon, on_click=_act,
                args=(key, run.run_id),
            )  # fmt: skip
        st.button(
            t("benchmark.cancel"), key=f"{PAGE}.cancel", icon=":material/stop:", on_click=_act,
            args=("cancel", run.run_id),
        )  # fmt: skip
    plan = here.plan(run.run_id)
    if plan is not None:
        grid.board(plan, now.board, run)


def _share(now: Progress) -> float:
    return min(now.rounds / now.rounds_total, 1.0) if now.rounds_total else 0.0


def _act(action: str, run_id: str) -> None:
    """Pause, resume or cancel a run, and note it in the journal where something was done."""
    shared = runner.shared()
    acts = {"pause": shared.pause, "resume": shared.resume, "cancel": shared.cancel}
    if acts[action](run_id):
        journal.note(action, run=run_id)


def said(now: Progress) -> str:
    """Say where a run stands: how many rounds are made, what is measured now, how long it will take."""
    if now.state == "queued":
        return t("benchmark.queued", position=now.position)
    made = t("benchmark.board.rounds", made=units.count(now.rounds), total=units.count(now.rounds_total))
    return " · ".join([made, *_now(now)])


def _now(now: Progress) -> list[str]:
    if now.held_s is not None:
        return [t("benchmark.paused", time=units.duration(PAUSE_LIMIT_S - now.held_s))]
    if now.paused:
        return [t("benchmark.pausing")]
    elapsed = t("benchmark.board.elapsed", time=units.duration(now.elapsed_s))
    left = [] if now.remaining_s is None else [t("benchmark.left", time=units.duration(now.remaining_s))]
    phase = t(f"benchmark.phase.{now.phase}") if now.phase else t("benchmark.phase.start")
    if now.cell is None:
        return [*([phase] if now.phase else []), elapsed, *left]
    phase = t("benchmark.round", phase=phase, number=now.round) if now.round else phase
    cell = t("benchmark.cell", name=t(f"nav.{now.cell.architecture}"), tokens=units.count(now.cell.context))
    return [cell, phase, elapsed, *left]
