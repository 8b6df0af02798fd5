"""Benchmark page: predict, measure live in worker processes, and compare with published numbers."""

import streamlit as st

from pages.compare.benchmark import checks, comparison, guess, planning, provenance, results, rows, runs, verdicts
from pages.shared import layout, notices
from pages.shared.words.i18n import t

PAGE = planning.PAGE

layout.header(PAGE)
with notices.guarded():
    plan = planning.planner()
    guess.ask(plan)
    planning.start_button(plan, begun=guess.keep)

run = shown = None
with st.container(key=f"run-{PAGE}", gap="small"), notices.guarded():
    run = runs.chosen_run()
    if run is None:
        st.info(t("benchmark.no_runs"), icon=":material/info:")
    runs.bar(run)
    if run is not None:
        results.status(run)
        shown = runs.drawn(run)
        results.failures(shown)
        rows.missing(run)
if run is not None and shown is not None:
    with notices.guarded():
        guess.answer(shown)
    with notices.guarded():
        results.pictures(shown)
    with notices.guarded():
        verdicts.section(shown)
    with notices.guarded():
        rows.table(shown)
    with notices.guarded():
        provenance.drawer(run)
    with notices.guarded():
        runs.beside(shown)
with notices.guarded():
    comparison.comparison(shown)
with notices.guarded():
    checks.checks()
layout.footer(PAGE, "fair")
layout.check_yourself(PAGE)
