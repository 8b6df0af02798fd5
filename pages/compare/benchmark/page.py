"""Benchmark page: predict, measure live in worker processes, and compare with published numbers."""

import streamlit as st

from pages.compare.benchmark import (
    beside,
    checks,
    comparison,
    experiments,
    guess,
    live,
    other_tools,
    planning,
    predictions,
    provenance,
    results,
    rows,
    runs,
    verdicts,
)
from pages.compare.benchmark.address import PAGE
from pages.shared import layout, notices
from pages.shared.words.i18n import t

layout.header(PAGE)
run = shown = other = former = plan = None
with notices.guarded():
    run = runs.chosen_run()
with notices.guarded():
    plan = planning.section(shown=run.run_id if run else "", begun=guess.keep)
with layout.place(PAGE, "guess"):
    if plan is not None:
        guess.ask(plan)
with layout.place(PAGE, "board"), notices.guarded():
    if run is not None and (now := live.progress(run)) is not None:
        live.board(run, now)
        former = live.former(run)

with st.container(key=f"run-{PAGE}", gap="small"), notices.guarded():
    if run is None:
        st.info(t("benchmark.no_runs"), icon=":material/info:")
    runs.bar(run)
    if run is not None:
        results.status(run)
        shown = runs.drawn(run)
        other = runs.other(shown)
        results.failures(shown)
        other_tools.told(shown)
        rows.missing(run)
with layout.place(PAGE, "answer"), notices.guarded():
    if shown is not None:
        guess.answer(shown)
with layout.place(PAGE, "pictures"), notices.guarded():
    if shown is not None:
        results.pictures(shown, other or former)
with layout.place(PAGE, "judged"), notices.guarded():
    if shown is not None:
        verdicts.section(shown, former)
with layout.place(PAGE, "asked"), notices.guarded():
    experiments.section(shown, plan)
with layout.place(PAGE, "beside"), notices.guarded():
    if shown is not None:
        beside.beside(shown, other)
with layout.place(PAGE, "rows"), notices.guarded():
    if run is not None and shown is not None:
        rows.table(shown)
        provenance.drawer(run)
with notices.guarded():
    predictions.section()
with notices.guarded():
    comparison.comparison(shown)
with notices.guarded():
    checks.checks()
layout.footer(PAGE, "fair")
layout.check_yourself(PAGE)
