"""Draw a plan as a table: predicted bytes and time of each cell, cells that do not fit, cells beyond the budget."""

from collections.abc import Sequence

import streamlit as st

from models.bench.plan.plan import Note, Plan
from models.records.cell import Cell, Prediction
from pages.shared import html
from pages.shared.memo import Memo
from pages.shared.state import session
from pages.shared.words import units
from pages.shared.words.i18n import t

_kept: Memo[tuple[html.Html, html.Html | None, str]] = Memo(8)  # of the last plan in each language


def draw(plan: Plan) -> None:
    """Draw the plan with its notes."""
    table, largest, caption = _kept.get(session.language(), (plan,), lambda: _drawn(plan))
    with st.container(key="benchmark-grid"):  # bench.css keeps the place of an ordinary plan free
        html.show(table)
    if largest is not None:
        html.show(largest)
    st.caption(caption)


def _drawn(plan: Plan) -> tuple[html.Html, html.Html | None, str]:
    """Write the table, the largest batches where there are any, and the notes as Markdown."""
    largest = [cell for cell in plan.cells if cell.largest]
    caption = " ".join([t("benchmark.plan.predicted"), *(f"{_note_text(note)}." for note in plan.notes)])
    return html.scrolling(_table(plan)), _largest(largest) if largest else None, caption


def _note_text(note: Note) -> str:
    values = dict(note.values)
    if "architecture" in values:
        values["name"] = t(f"nav.{values['architecture']}")
    return t(note.key, **values)


def _table(plan: Plan) -> html.Html:
    """Draw architectures by contexts, one block for each batch."""
    swept = [(cell, p) for cell, p in zip(plan.cells, plan.predictions, strict=True) if not cell.largest]
    found = {(cell.batch, cell.architecture, cell.context): (cell, p) for cell, p in swept}
    left_out = {(cell.batch, cell.architecture, cell.context) for cell in plan.dropped}
    contexts = sorted({context for _, _, context in (*found, *left_out)})
    batches = sorted({batch for batch, _, _ in (*found, *left_out)})
    names = list(dict.fromkeys(name for _, name, _ in sorted(found, key=lambda key: _first(plan.cells, key[1]))))
    rows: list[html.Html] = []
    for batch in batches:
        if len(batches) > 1:
            words = t("benchmark.plan.batch", count=batch)
            block = html.element("th", words, scope="rowgroup", colspan=len(contexts) + 1)
            rows.append(html.row(block, class_="cs-block"))
        for name in names:
            title = html.heading(html.named(t(f"nav.{name}")), class_=f"cs-{name}")
            rows.append(html.row(title, *(_cell(context, found.get((batch, name, context))) for context in contexts)))
    head = (t("benchmark.tokens"), *(units.count(context) for context in contexts))
    return html.table(rows, kind="cs-table cs-plan cs-cards", head=head)


def _first(cells: Sequence[Cell], name: str) -> int:
    return next(i for i, cell in enumerate(cells) if cell.architecture == name)


def _cell(context: int, found: tuple[Cell, Prediction] | None) -> html.Html:
    at = units.count(context)
    if found is None:
        return html.element("td", t("benchmark.plan.left_out"), class_="cs-left-out", data_at=at)
    _, prediction = found
    size, line = units.size(prediction.bytes_total), html.element("br")
    if prediction.fits:
        return html.element("td", size, line, units.duration(prediction.seconds), data_at=at)
    why = "too_long" if prediction.positions_needed else "too_large"
    return html.element("td", size, line, t(f"benchmark.plan.{why}"), class_="cs-hatched", data_at=at)


def _largest(cells: Sequence[Cell]) -> html.Html:
    """Name the largest batch of each architecture, and what limits it."""
    parts = []
    for cell in cells:
        why = html.element("small", t(f"benchmark.limit.{cell.batch_limit}"))
        words = (html.named(t(f"nav.{cell.architecture}")), f" {cell.batch:,} ", why)
        parts.append(html.element("li", *words, class_=f"cs-{cell.architecture}"))
    title = t("benchmark.plan.largest", tokens=units.count(cells[0].context))
    return html.text(
        html.element("p", title, class_="cs-largest-title"), html.element("ul", parts, class_="cs-largest")
    )
