"""Benchmark: predict, measure live in worker processes, and set the numbers beside the published ones."""

import streamlit as st

from pages.compare.bench import checks, comparison, guess, planning, provenance, results, rows, runs, verdicts
from pages.shared import content, layout, notices
from pages.shared.i18n import t

PAGE = planning.PAGE

st.html(content.ASSETS / "style" / "bench.css")
layout.hero(PAGE)
with notices.guarded():
    plan = planning.planner()
    guess.ask(plan)
    planning.start_button(plan, begun=guess.keep)

run = None
with st.container(key=f"run-{PAGE}", gap="small"), notices.guarded():
    run = runs.chosen_run()
    if run is None:
        st.info(t("benchmark.no_runs"), icon=":material/info:")
    runs.bar(run)
    if run is not None:
        results.status(run)
        results.failures(run)
        rows.missing(run)
if run is not None:
    with notices.guarded():
        guess.answer(run)
    with notices.guarded():
        results.pictures(run)
    with notices.guarded():
        verdicts.section(run)
    with notices.guarded():
        rows.table(run)
    with notices.guarded():
        provenance.drawer(run)
    with notices.guarded():
        runs.beside(run)
with notices.guarded():
    comparison.comparison(run)
with notices.guarded():
    checks.checks()
layout.closing(PAGE, "fair")
layout.check_yourself(PAGE)
