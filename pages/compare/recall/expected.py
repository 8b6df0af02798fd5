"""Show the expectations of theory beside the observations, with a verdict for each."""

from collections import Counter
from collections.abc import Sequence

import streamlit as st

from models.recall.expectations import Finding, findings
from pages.compare.recall.results import Cells, Record
from pages.shared import html
from pages.shared.memo import Memo
from pages.shared.state import session
from pages.shared.words.i18n import t

_kept: Memo[tuple[str, html.Html]] = Memo(12)  # the count and the table of a task in a language
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
    line, table = _kept.get(key, made_from, lambda: _judged(findings(record.task, runs, record.about["trained_to"])))
    st.markdown(line)
    html.show(table)


def _judged(found: Sequence[Finding]) -> tuple[str, html.Html]:
    """Write the count of the verdicts and the table of them."""
    head = (t(f"recall.expected.{name}") for name in ("what", "seen", "verdict"))
    return _counted(found), html.table(map(_row, found), kind="cs-expected", head=head)


def _counted(found: Sequence[Finding]) -> str:
    """Count the verdicts in one sentence: none of it is written by hand."""
    count = Counter(finding.verdict for finding in found)
    return t(
        "recall.expected.counted", all=len(found), agree=count["yes"], unclear=count["unclear"], against=count["no"]
    )


def _row(finding: Finding) -> html.Html:
    mark, kind = _MARKS[finding.verdict]
    numbers = {name: f"{value:.0%}" for name, value in finding.observed.items()}
    words = (t(f"recall.finding.{finding.key}.{name}", **numbers) for name in ("expected", "observed"))
    return html.row(*words, html.element("td", html.badge(kind, mark, t(f"recall.verdict.{finding.verdict}"))))
