"""Compare published values with values counted from the same configurations, with reasons for differences."""

from collections.abc import Sequence
from itertools import groupby

import streamlit as st

from models import published
from models.published import PublishedCheck, PublishedTable
from pages.shared import html
from pages.shared.memo import Memo
from pages.shared.state import session
from pages.shared.words import units
from pages.shared.words.i18n import t

PAGE = "benchmark"
OPEN = ("jamba", "rwkv4")  # a pair of equal height; the others open on demand
NOTES = ("kv_heads", "look_up", "cut")  # numbered in this order

_kept: Memo[tuple[str, html.Html]] = Memo()  # by language
_MARKS = {"agrees": "✓", "explained": "≠", "differs": "✕"}
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def checks() -> None:
    """Draw the tally of the recounted tables, the notes and a table per source; they are recounted once per process."""
    text, tables = _kept.get(session.language(), (), _drawn)
    st.header(t("checks.title"), anchor="published")
    st.markdown(text)
    with st.container(border=True, key=f"card-{PAGE}.checks"):
        html.show(tables)
        st.caption(t("checks.left_out"))


def _drawn() -> tuple[str, html.Html]:
    """Recount, and write the tally as Markdown and the notes with the tables as HTML."""
    tables = published.recount()
    counts = {state: sum(table.count(state) for table in tables) for state in published.STATES}
    text = f"{t('checks.text', count=sum(counts.values()))} **{t('checks.tally', **counts)}**"
    return text, html.text(_notes(tables), html.element("div", map(_source, tables), class_="cs-checks"))


def value_text(value: str) -> str:
    """Format a printed value: 1.693e8 as 1.693 × 10⁸, a long integer in groups of three digits."""
    mantissa, _, power = value.partition("e")
    if power:
        return f"{mantissa}\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}10{power.translate(_SUPERSCRIPTS)}"
    return units.count(int(value)) if value.isdigit() else value


def _notes(tables: Sequence[PublishedTable]) -> html.Html | None:
    found = {note: published.find(tuple(tables), note) for note in NOTES}
    items = [_note(note, explained, tables) for note, explained in found.items() if explained]
    return html.text(html.title(t("checks.why")), html.element("ol", items, class_="cs-why")) if items else None


def _note(note: str, explained: Sequence[PublishedCheck], tables: Sequence[PublishedTable]) -> html.Html:
    first, number = explained[0], NOTES.index(note) + 1
    values = {
        "row": first.row,
        "printed": value_text(first.printed),
        "computed": value_text(first.computed),
        "otherwise": value_text(first.otherwise or ""),
    }
    if note == "look_up":
        values |= _as_in_the_table(first, tables)
    if note == "cut":
        different = {check.printed: f"{check.exact / published.UNITS[check.unit]:,.3f}" for check in explained}
        values |= {"printed": ", ".join(different), "values": ", ".join(different.values())}
    title, text = (t(f"checks.note.{note}.{part}", **values) for part in ("title", "text"))
    return html.element("li", html.element("strong", title), html.element("p", text), value=number)


def _as_in_the_table(said: PublishedCheck, tables: Sequence[PublishedTable]) -> dict[str, str]:
    """Write both sides with the digits of the table that prints the same quantity of the same model."""
    printed = next(
        check.printed
        for table in tables
        for check in table.checks
        if not check.formula and (check.row, check.quantity) == (said.row, said.quantity)
    )
    return {
        "table": value_text(printed),
        "printed": value_text(published.at_precision(int(said.printed), printed)),
        "computed": value_text(published.at_precision(said.exact, printed)),
    }


def _source(table: PublishedTable) -> html.Html:
    total = len(table.checks)
    counts = {state: table.count(state) for state in published.STATES} | {"count": total}
    tally = "tally_bad" if counts["differs"] else "tally_all" if counts["agrees"] == total else "tally_some"
    place = t(f"checks.place.{table.place}")
    link = html.element("a", _address(table), href=table.url, target="_blank", rel="noopener")
    said = html.element("span", t(f"checks.{tally}", **counts), class_="cs-tally")
    summary = html.element("summary", html.element("strong", table.name), f", {place} ", said)
    terms = html.element("p", f"{_terms(table)} ", link)
    return html.element("details", summary, _table(table), terms, open=table.source in OPEN)


def _terms(table: PublishedTable) -> str:
    """State the length at which a cache is counted, and the formulas of the source."""
    if table.context:
        return t("checks.condition", tokens=units.count(table.context))
    formulas = dict.fromkeys((check.quantity, check.formula) for check in table.checks if check.formula)
    said = "; ".join(f"{t(f'checks.quantity.{quantity}')}: {formula}" for quantity, formula in formulas)
    return f"{said}. {t('checks.symbols')}" if said else ""


def _address(table: PublishedTable) -> str:
    return f"arXiv {table.arxiv}" if table.arxiv else table.url.removeprefix("https://")


def _table(table: PublishedTable) -> html.Html:
    printed, kind = ("formula", " cs-said") if table.checks[0].formula else ("printed", "")
    head = (t(f"checks.column.{name}") for name in ("row", "quantity", printed, "computed", "state"))
    groups = (_rows(name, list(rows)) for name, rows in groupby(table.checks, key=lambda check: check.row))
    return html.scrolling(html.table(groups, kind=f"cs-check{kind}", head=head))


def _rows(name: str, rows: Sequence[PublishedCheck]) -> html.Html:
    head = html.element("th", name, scope="rowgroup", rowspan=len(rows), lang="en")
    lines = (html.row(*([head] if n == 0 else []), *_cells(check)) for n, check in enumerate(rows))
    return html.element("tbody", lines)


def _cells(check: PublishedCheck) -> list[html.Html]:
    shown = [value_text(value) for value in (check.printed, check.computed)]
    if check.unit:
        shown = [t(f"checks.unit.{check.unit}", value=value) for value in shown]
    return [
        html.element("td", t(f"checks.quantity.{check.quantity}")),
        html.element("td", shown[0]),
        html.element("td", shown[1], title=units.count(check.exact)),
        html.element("td", _mark(check), class_=f"cs-{check.state}"),
    ]


def _mark(check: PublishedCheck) -> html.Html:
    mark = html.element("span", _MARKS[check.state], aria_hidden="true")
    number = NOTES.index(check.note) + 1 if check.note in NOTES else None
    words = t("checks.note_number", number=number) if number else ""
    note = html.element("sup", str(number), aria_label=words) if number else None
    return html.text(mark, " ", t(f"checks.state.{check.state}"), note)
