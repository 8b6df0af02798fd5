"""Set published values beside what is counted for the same configurations, and say why some differ."""

from collections.abc import Sequence
from html import escape
from itertools import groupby

import streamlit as st

from models.bench import published
from models.bench.published import Check, Table
from pages.shared import session
from pages.shared.i18n import t
from pages.shared.memo import Memo

PAGE = "benchmark"
OPEN = ("jamba", "rwkv4")  # a pair of equal height; the others open on demand
NOTES = ("kv_heads", "look_up", "cut")  # numbered in this order

_kept: Memo[tuple[str, str]] = Memo()  # by language
_MARKS = {"agrees": "✓", "explained": "≠", "differs": "✕"}
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def checks() -> None:
    """Draw the tally of the recounted tables, the notes and a table per source; they are recounted once per process."""
    text, html = _kept.get(session.language(), (), _drawn)
    st.header(t("checks.title"), anchor="published")
    st.markdown(text)
    with st.container(border=True, key=f"card-{PAGE}.checks"):
        st.html(html)
        st.caption(t("checks.left_out"))


def _drawn() -> tuple[str, str]:
    """Recount, and write the tally as Markdown and the notes with the tables as HTML."""
    tables = published.recount()
    counts = {state: sum(table.count(state) for table in tables) for state in published.STATES}
    text = f"{t('checks.text', count=sum(counts.values()))} **{t('checks.tally', **counts)}**"
    return text, f'{_notes(tables)}<div class="cs-checks">{"".join(map(_source, tables))}</div>'


def value_text(value: str) -> str:
    """Write a printed value for people: 1.693e8 as 1.693 × 10⁸, a long whole number in groups of three."""
    mantissa, _, power = value.partition("e")
    if power:
        return f"{mantissa}\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}10{power.translate(_SUPERSCRIPTS)}"
    return f"{int(value):,}" if value.isdigit() else value


def _notes(tables: Sequence[Table]) -> str:
    found = {note: published.find(tuple(tables), note) for note in NOTES}
    items = "".join(_note(note, explained, tables) for note, explained in found.items() if explained)
    return f'<h3 class="cs-title">{escape(t("checks.why"))}</h3><ol class="cs-why">{items}</ol>' if items else ""


def _note(note: str, explained: Sequence[Check], tables: Sequence[Table]) -> str:
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
    title, text = (escape(t(f"checks.note.{note}.{part}", **values)) for part in ("title", "text"))
    return f'<li value="{number}"><strong>{title}</strong><p>{text}</p></li>'


def _as_in_the_table(said: Check, tables: Sequence[Table]) -> dict[str, str]:
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


def _source(table: Table) -> str:
    total = len(table.checks)
    counts = {state: table.count(state) for state in published.STATES} | {"count": total}
    tally = "tally_bad" if counts["differs"] else "tally_all" if counts["agrees"] == total else "tally_some"
    place = t(f"checks.place.{table.place}")
    link = f'<a href="{escape(table.url)}" target="_blank" rel="noopener">{escape(_address(table))}</a>'
    return (
        f"<details{' open' if table.source in OPEN else ''}><summary><strong>{escape(table.name)}</strong>, "
        f'{escape(place)} <span class="cs-tally">{escape(t(f"checks.{tally}", **counts))}</span></summary>'
        f"{_table(table)}<p>{escape(_terms(table))} {link}</p></details>"
    )


def _terms(table: Table) -> str:
    """Say at which length a cache is counted, and by which formulas a source gives its values."""
    if table.context:
        return t("checks.condition", tokens=f"{table.context:,}")
    formulas = dict.fromkeys((check.quantity, check.formula) for check in table.checks if check.formula)
    said = "; ".join(f"{t(f'checks.quantity.{quantity}')}: {formula}" for quantity, formula in formulas)
    return f"{said}. {t('checks.symbols')}" if said else ""


def _address(table: Table) -> str:
    return f"arXiv {table.arxiv}" if table.arxiv else table.url.removeprefix("https://")


def _table(table: Table) -> str:
    printed, kind = ("formula", " cs-said") if table.checks[0].formula else ("printed", "")
    head = "".join(
        f'<th scope="col">{escape(t(f"checks.column.{name}"))}</th>'
        for name in ("row", "quantity", printed, "computed", "state")
    )
    body = "".join(_rows(name, list(rows)) for name, rows in groupby(table.checks, key=lambda check: check.row))
    return f'<div class="cs-scroll"><table class="cs-check{kind}"><thead><tr>{head}</tr></thead>{body}</table></div>'


def _rows(name: str, rows: Sequence[Check]) -> str:
    head = f'<th scope="rowgroup" rowspan="{len(rows)}" lang="en">{escape(name)}</th>'
    lines = "".join(f"<tr>{head if n == 0 else ''}{_cells(check)}</tr>" for n, check in enumerate(rows))
    return f"<tbody>{lines}</tbody>"


def _cells(check: Check) -> str:
    label = escape(t(f"checks.quantity.{check.quantity}"))
    shown = [value_text(value) for value in (check.printed, check.computed)]
    if check.unit:
        shown = [t(f"checks.unit.{check.unit}", value=value) for value in shown]
    return (
        f'<td>{label}</td><td>{escape(shown[0])}</td><td title="{check.exact:,}">{escape(shown[1])}</td>'
        f'<td class="cs-{check.state}">{_mark(check)}</td>'
    )


def _mark(check: Check) -> str:
    word = f'<span aria-hidden="true">{_MARKS[check.state]}</span> {escape(t(f"checks.state.{check.state}"))}'
    if check.note not in NOTES:
        return word
    number = NOTES.index(check.note) + 1
    return f'{word}<sup aria-label="{escape(t("checks.note_number", number=number))}">{number}</sup>'
