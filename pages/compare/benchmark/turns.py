"""What explains the answers to the lecture's questions: the time of a generation, and where the order turns."""

import itertools

import streamlit as st

from models.bench.judge import generation, throughput
from models.bench.judge.crossing import Crossing
from models.bench.judge.expectations import CROSSING, Crosses, Evidence, ThroughputRatio, crossing_of
from models.bench.plan.experiments import Experiment
from models.records.interval import Interval
from models.records.run import Run
from pages.compare.benchmark import live
from pages.compare.benchmark.address import PAGE
from pages.compare.benchmark.naming import series_name
from pages.compare.benchmark.shapes import shapes_of
from pages.shared import figure, gate, html, style
from pages.shared.memo import Memo
from pages.shared.state import session
from pages.shared.words import units
from pages.shared.words.i18n import t
from viz.bench.generation import CrossingMark, Spent, generation_time
from viz.figure import Figure

ENDS = ("value", "low", "high")
POINTS = 48  # of a drawn line

_crossings: Memo[html.Html | None] = Memo(8)
_figures: Memo[Figure | None] = Memo(8)


def pictures(chosen: Experiment, run: Run) -> None:
    """Draw what explains the answer: the time of a whole generation, and the lengths at which the order turns."""
    if live.progress(run) is not None:  # each row would compute it anew, on the cores that are measured
        return
    rules = [expected.rule for expected in chosen.expectations]
    if any(getattr(rule, "quantity", "") == "generation" for rule in rules):
        _generation(run)
    if any(isinstance(rule, Crosses) for rule in rules):
        with gate.released():
            table = _crossings.get((run.run_id, session.language()), (run,), lambda: _crossing_table(run))
        if table is not None:
            with st.container(border=True, key=f"card-{PAGE}.crossings"):
                html.show(html.title(t("benchmark.lecture.crossings")))
                html.show(table)
                st.caption(t("benchmark.lecture.crossings_note"))
    if throughputs := [rule for rule in rules if isinstance(rule, ThroughputRatio)]:
        _by_batch(run, throughputs[0])


def _by_batch(run: Run, rule: ThroughputRatio) -> None:
    """Show at every batch how many times as many tokens per second one architecture makes as the other."""
    found = throughput.by_batch(run.current, rule.over, rule.under)
    if not found:
        return
    rows = [
        html.row(
            html.heading(t("benchmark.plan.batch", count=batch)),
            t("benchmark.lecture.by_batch.ratio", **{end: units.ratio(getattr(one, end)) for end in ENDS}),
        )
        for batch, one in found.items()
    ]
    names = {"over": series_name(rule.over), "under": series_name(rule.under)}
    with st.container(border=True, key=f"card-{PAGE}.by_batch"):
        html.show(html.title(t("benchmark.lecture.by_batch", **names)))
        html.show(html.table(rows, kind="cs-table cs-verdicts"))
        st.caption(t("benchmark.lecture.by_batch_note"))


def _generation(run: Run) -> None:
    key = (run.run_id, session.language(), style.theme().mode)
    drawn = _figures.get(key, (run,), lambda: _generation_figure(run))
    if drawn is not None:
        figure.show(drawn, key=f"{PAGE}.generation_time", source=run.title)


def _generation_figure(run: Run) -> Figure | None:
    found = generation.curves(run.current)
    if len(found) < 2:
        return None
    spent = {name: _spent(curve) for name, curve in found.items()}
    marks = []
    for names in itertools.combinations(found, 2):
        one = crossing_of(Evidence(run.current, {}), "generation", names)
        if one is not None and one.kind == "crosses" and one.at is not None:
            took = generation.seconds(found[one.then], one.at.value).value
            marks.append(CrossingMark(one.first, one.then, one.at, took))
    prompt = next(iter(found.values())).start
    return generation_time(spent, prompt=prompt, crossings=marks, theme=style.theme(), t=t)


def _spent(curve: generation.GenerationCurve) -> Spent:
    first, last = curve.lengths[0], curve.lengths[-1]
    between = (first + (last - first) * n / POINTS for n in range(1, POINTS))
    places = sorted({*curve.lengths, *between})
    return Spent(tuple((n, generation.seconds(curve, n)) for n in places), curve.lengths)


def _crossing_table(run: Run) -> html.Html | None:
    """Write a row per pair of architectures, a column per quantity; None where nothing can be compared."""
    evidence = Evidence(run.current, shapes_of(run))
    names = list(dict.fromkeys(row.architecture for row in run.current if row.measured))
    rows = []
    for pair in itertools.combinations(names, 2):
        found = [crossing_of(evidence, quantity, pair) for quantity in CROSSING]
        if any(found):
            title = html.heading(" · ".join(series_name(name) for name in pair))
            rows.append(html.row(title, *map(_crossing, CROSSING, found)))
    head = (t(f"benchmark.lecture.crossing.{name}") for name in ("pair", *CROSSING))
    return html.scrolling(html.table(rows, kind="cs-table cs-verdicts cs-turns cs-cards", head=head)) if rows else None


def _crossing(quantity: str, found: Crossing | None) -> html.Html:
    at = t(f"benchmark.lecture.crossing.{quantity}")
    if found is None:
        return html.element("td", data_at=at)
    values = {"first": series_name(found.first), "then": series_name(found.then)}
    values |= tokens_of(found.at) if found.at else {}
    key = f"crosses_{found.basis}" if found.kind == "crosses" else found.kind
    quiet = " cs-quiet" if found.kind == "undecided" else ""
    words = t(f"benchmark.lecture.turns.{key}", **values)
    return html.element("td", words, class_=f"cs-say{quiet}", data_at=at)


def tokens_of(at: Interval) -> dict[str, str]:
    """Write a length with its interval, in whole tokens."""
    return {name: units.count(round(getattr(at, end)))
            for name, end in (("tokens", "value"), ("least", "low"), ("most", "high"))}  # fmt: skip
