"""Prepared comparisons: their buttons, and what was expected of them beside what is seen."""

from collections.abc import Mapping

import numpy as np
import streamlit as st

from models.influence.expectations import Floats, Observation, PreparedComparison, Sides, comparisons
from models.records.trace import ModelTrace
from pages.compare.side_by_side import lanes
from pages.compare.side_by_side.lanes import PAGE
from pages.shared import gradients, html, layout
from pages.shared.memo import Memo
from pages.shared.state import session
from pages.shared.words import units
from pages.shared.words.i18n import t

_MARKS = {"yes": ("\u2713", "good"), "no": ("\u2715", "bad"), "": ("\u2013", "unclear")}
_kept: Memo[html.Html] = Memo(32)
CODES = {name: code for code, name in lanes.MODES.items()}


def buttons() -> None:
    """Offer the prepared comparisons; one sets the texts and what is compared, and chooses the last token."""
    visit = session.current()
    chosen = current(visit.prompt)

    def begin(one: PreparedComparison) -> None:
        visit.select("mode", CODES[one.mode])
        visit.prompt = one.text[visit.lang]
        visit.other = one.other.get(visit.lang, "")
        visit.attempt = {"token": "last"}

    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center", key=f"prepared-{PAGE}"):
        st.caption(t("sides.prepared"), width="content")
        for one in comparisons():
            st.button(
                one.title[visit.lang],
                key=f"{PAGE}.prepared.{one.id}",
                type="primary" if one is chosen else "secondary",
                help=one.asks[visit.lang],
                on_click=begin,
                args=(one,),
            )


def current(text: str) -> PreparedComparison | None:
    """Return the prepared comparison that is shown, None where texts or mode are others."""
    visit, name = session.current(), lanes.MODES[lanes.mode()]
    return next((one for one in comparisons() if one.is_of(name, text, visit.other)), None)


def judged(before: Mapping[str, ModelTrace], after: Mapping[str, ModelTrace]) -> None:
    """Write what is expected of the comparison that is shown beside what is seen in these runs."""
    first = next(iter(before.values()))
    one = current(first.prompt)
    if one is None:
        return
    made_from = (*before.values(), *after.values())
    table = _kept.get((one.id, session.language()), made_from, lambda: _judged(one, before, after))
    with st.container(border=True, key=f"card-{PAGE}.expected"):
        html.show(html.title(t("sides.expected.title"), one.title[session.language()], anchor="expected"))
        html.show(html.element("p", one.asks[session.language()], class_="cs-finding"))
        html.show(table)
        st.caption(t("sides.expected.note"))


def _judged(one: PreparedComparison, before: Mapping[str, ModelTrace], after: Mapping[str, ModelTrace]) -> html.Html:
    def gradient(name: str) -> Floats:
        trace = before[name]
        last = len(trace.tokens) - 1
        (found,) = gradients.at([trace], [last])
        return np.asarray(found.values.values[last], np.float64)

    carried = {name: layout.carried_by(name, len(trace.tokens)) for name, trace in before.items()}
    sides = Sides(before, after, gradient, carried)
    rows = [_row(expected.words[session.language()], expected.rule.judge(sides)) for expected in one.expects]
    head = (t("sides.expected.what"), t("sides.expected.seen"), t("sides.expected.verdict"))
    return html.table(rows, kind="cs-expected", head=head)


def _row(words: str, seen: Observation | None) -> html.Html:
    mark, kind = _MARKS[seen.outcome if seen else ""]
    told = t("sides.expected.nothing") if seen is None else ", ".join(_value(name, seen) for name in seen.values)
    verdict = t(f"sides.verdict.{seen.outcome if seen else 'none'}")
    return html.row(words, told, html.element("td", html.badge(kind, mark, verdict)))


def _value(name: str, seen: Observation) -> str:
    value = seen.values[name]
    if seen.unit == "share":
        written = f"{value:.1%}"
    elif seen.unit == "bytes":
        written = units.size(int(value))
    else:
        written = t("sides.bits", bits=f"{value:+.2f}")
    return f"{t(f'nav.{name}')} {written}"
