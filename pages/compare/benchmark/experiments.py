"""What the lecture asks: prepared experiments, what is expected of each, and what the run that is shown says to it."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import streamlit as st

from models.bench.judge.expectations import Evidence, Judgement
from models.bench.plan.experiments import Experiment, experiment_of, experiments
from models.bench.plan.plan import Plan, Rates
from models.bench.run import runner
from models.records.interval import Interval
from models.records.run import Run
from pages.compare.benchmark import live, planning, settings_codec, turns
from pages.compare.benchmark.address import PAGE
from pages.compare.benchmark.shapes import shapes_of
from pages.shared import gate, html, notices
from pages.shared.memo import Memo
from pages.shared.state import session
from pages.shared.words import units
from pages.shared.words.i18n import t

CHOSEN = f"{PAGE}.experiment"
_FOLLOWED = f"{PAGE}.experiment_of"  # the run whose experiment was chosen for the visitor
MARKS = {"met": ("✓", "good"), "not_met": ("✕", "bad"), "undecided": ("≈", "unclear")}
_FREE = ("preset", "architectures", "size", "device", "seed", "dtype", "match")  # an experiment leaves them as they are

_tables: Memo[tuple[str, html.Html]] = Memo(16)
_plans: Memo[Plan] = Memo(2)


def section(run: Run | None, plan: Plan | None) -> None:
    """Offer the questions, and judge what is expected of the chosen one by the run that is shown.

    plan: what the settings of the page make; it is offered where it is that of the question.
    """
    _follow(run)
    with st.container(key=f"lecture-{PAGE}"):
        st.header(t("benchmark.lecture.title"), anchor="lecture")
        st.markdown(t("benchmark.lecture.text"))
        every, lang = experiments(), session.language()
        st.pills(
            t("benchmark.lecture.choose"), list(every), key=CHOSEN, format_func=lambda name: every[name].title[lang],
            label_visibility="collapsed", persist_state="session",
        )  # fmt: skip
        chosen = every.get(st.session_state[CHOSEN] or "")
        if chosen is not None:
            with st.container(border=True, key=f"card-{PAGE}.lecture"):
                _card(chosen, run, plan)
            if run is not None:
                turns.pictures(chosen, run)


def _follow(run: Run | None) -> None:
    """Choose the experiment that a run was made of when the run comes on the page, so that a link shows it again."""
    st.session_state.setdefault(CHOSEN, None)
    run_id = run.run_id if run is not None else ""
    if st.session_state.get(_FOLLOWED) != run_id:
        st.session_state[_FOLLOWED] = run_id
        found = experiment_of(run) if run is not None else None
        if found is not None:
            st.session_state[CHOSEN] = found.id


def _take() -> None:
    """Set the choices of the page to those of the chosen experiment, where it has settings."""
    chosen = experiments().get(st.session_state[CHOSEN] or "")
    if chosen is None or not chosen.settings:
        return
    plain = settings_codec.defaults(st.session_state[f"{PAGE}.preset"], st.session_state[f"{PAGE}.device"])
    usual = {name: value for name, value in plain.items() if name not in _FREE}
    for name, value in (usual | {"throughput": False} | dict(chosen.settings)).items():
        st.session_state[f"{PAGE}.{name}"] = list(value) if isinstance(value, tuple) else value


def _card(chosen: Experiment, run: Run | None, plan: Plan | None) -> None:
    lang = session.language()
    html.show(html.title(chosen.asks[lang]))
    st.markdown(notices.plain(chosen.text[lang]))
    st.caption(t("benchmark.lecture.source", source=notices.plain(chosen.source[lang])))
    made = run is not None and chosen.holds(run.cells)
    key = (chosen.id, lang, run.run_id if made and run else "")
    line, table = _tables.get(key, (run,) if made else (), lambda: _judged(chosen, run if made else None))
    html.show(table)
    st.caption(line)
    _offer(chosen, run, plan)


def _offer(chosen: Experiment, run: Run | None, plan: Plan | None) -> None:
    """Offer to measure the experiment, or first to take its settings; nothing while a run of it is under way."""
    if run is not None and chosen.holds(run.cells) and live.progress(run) is not None:
        return
    own = _own_plan(chosen) if chosen.cells else plan if plan and chosen.holds(plan.to_json()) else None
    if own is None:
        st.button(t("benchmark.lecture.take"), key=f"{PAGE}.lecture.take", icon=":material/tune:", on_click=_take)
        return
    words = t("benchmark.lecture.measure", cells=len(own.cells), time=units.duration(own.seconds))
    st.button(
        words, key=f"{PAGE}.lecture.measure", icon=":material/play_arrow:", on_click=planning.run, args=(own,),
        kwargs={"shown": run.run_id if run else "", "begun": lambda _: None},
        disabled=not any(prediction.fits for prediction in own.predictions),
    )  # fmt: skip


def _own_plan(chosen: Experiment) -> Plan:
    with gate.released():  # rates are learnt from what the store holds
        rates: Rates = runner.shared().rates()
    return _plans.get(chosen.id, (rates,), lambda: chosen.plan(rates=rates))


def _judged(chosen: Experiment, run: Run | None) -> tuple[str, html.Html]:
    """Write how many expectations are met, and the table of them; without a run of it, the expectations alone."""
    lang = session.language()
    if run is None:
        head = [t("benchmark.lecture.expected")]
        rows = [html.row(expected.words[lang]) for expected in chosen.expectations]
        return t("benchmark.lecture.not_made"), html.table(rows, kind="cs-expected", head=head)
    evidence = Evidence(run.current, shapes_of(run))
    found = [expected.rule.judge(evidence) for expected in chosen.expectations]
    head = [t(f"benchmark.lecture.{name}") for name in ("expected", "seen", "verdict")]
    if not run.ended:
        found = [one if one.seen else Judgement("undecided", why="waiting") for one in found]
    rows = [_row(expected.words[lang], one) for expected, one in zip(chosen.expectations, found, strict=True)]
    count = Counter(one.outcome for one in found)
    values = {name: count[name] for name in ("met", "not_met", "undecided")}
    line = t("benchmark.lecture.counted", all=len(found), **values)
    return line, html.table(rows, kind="cs-expected", head=head)


def _row(words: str, found: Judgement) -> html.Html:
    mark, kind = MARKS[found.outcome]
    badge = html.badge(kind, mark, t(f"benchmark.lecture.{found.outcome}"))
    return html.row(words, observed(found), html.element("td", badge))


def observed(found: Judgement) -> str:
    """Write what was measured, and where nothing could be decided, why."""
    seen = t(f"benchmark.lecture.of.{found.seen}", **_said(found.values)) if found.seen else ""
    why = t(f"benchmark.lecture.why.{found.why}") if found.why else ""
    return " ".join(filter(None, (seen, why)))


def _said(values: Mapping[str, Any]) -> dict[str, str]:
    """Write the values of a judgement as its sentences take them."""
    said: dict[str, str] = {}
    for name, value in values.items():
        if value is None:
            said[name] = "–"
        elif name in ("name", "other", "first", "then"):
            said[name] = t(f"nav.{value}")
        elif name == "within":
            said |= {"from": units.count(round(value[0])), "to": units.count(round(value[1]))}
        elif name == "at":
            said |= turns.tokens_of(value)
        elif isinstance(value, Interval):
            ends = (value.value, value.low, value.high)
            said |= dict(zip(("value", "low", "high"), map(_ratio, ends), strict=True))
        else:
            said[name] = units.size(value) if name.endswith("_bytes") else units.count(value)
    return said


def _ratio(value: float) -> str:
    return "∞" if math.isinf(value) else f"{value:.2f}"
