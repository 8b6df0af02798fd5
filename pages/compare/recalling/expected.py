"""Set what theory expects beside what was observed, and say whether they agree."""

from collections.abc import Sequence
from html import escape

import streamlit as st

from models.recall.expectations import Finding, findings
from pages.compare.recalling.results import Cells, Record
from pages.shared import session
from pages.shared.i18n import t
from pages.shared.memo import Memo

_tables: Memo[str] = Memo(12)  # of a task in a language
_MARKS = {"yes": ("✓", "good"), "no": ("✕", "bad"), "unclear": ("≈", "unclear")}


def expected(record: Record, shown: Cells) -> None:
    """List the expectations of a task, judged on every recorded seed, or on what was measured here when it is whole."""
    whole = all(len(shown.get(name, ())) == len(cells) for name, cells in record.bundled.items())
    live = whole and shown is not record.bundled and shown != record.bundled
    runs = {name: [cells] for name, cells in shown.items()} if live else {
        name: [cells for _, cells in every] for name, every in record.runs.items()
    }  # fmt: skip
    st.caption(t("recall.expected.judged_live" if live else "recall.expected.judged_recorded",
                 seeds=max(map(len, runs.values()))))  # fmt: skip
    key, made_from = (record.task, session.language(), live), (record, shown if live else None)
    st.html(_tables.get(key, made_from, lambda: _table(findings(record.task, runs, record.about["trained_to"]))))


def _table(found: Sequence[Finding]) -> str:
    head = "".join(
        f'<th scope="col">{escape(t(f"recall.expected.{name}"))}</th>' for name in ("what", "seen", "verdict")
    )
    rows = "".join(map(_row, found))
    return f'<table class="cs-expected"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _row(finding: Finding) -> str:
    mark, kind = _MARKS[finding.verdict]
    numbers = {name: f"{value:.0%}" for name, value in finding.observed.items()}
    return (
        f"<tr><td>{escape(t(f'recall.finding.{finding.key}.expected', **numbers))}</td>"
        f"<td>{escape(t(f'recall.finding.{finding.key}.observed', **numbers))}</td>"
        f'<td><span class="cs-badge cs-{kind}"><span aria-hidden="true">{mark}</span> '
        f"{escape(t(f'recall.verdict.{finding.verdict}'))}</span></td></tr>"
    )
