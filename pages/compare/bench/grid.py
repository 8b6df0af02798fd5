"""Draw a plan: a table of cells with their predicted bytes and time, what does not fit, what the time leaves out."""

import math
from collections.abc import Sequence
from html import escape

import streamlit as st

from models.bench.cells import Cell, Prediction
from models.bench.plan import Note, Plan
from pages.shared import session
from pages.shared.i18n import t
from pages.shared.layout import bytes_text
from pages.shared.memo import Memo

_kept: Memo[tuple[str, str, str]] = Memo(8)  # of the last plan in each language


def draw(plan: Plan) -> None:
    """Draw the plan with its notes."""
    table, largest, caption = _kept.get(session.language(), (plan,), lambda: _drawn(plan))
    st.html(table)
    if largest:
        st.html(largest)
    st.caption(caption)


def _drawn(plan: Plan) -> tuple[str, str, str]:
    """Write the table and the largest batches as HTML ("" without any) and the notes as Markdown."""
    largest = [cell for cell in plan.cells if cell.largest]
    caption = " ".join([t("benchmark.plan.predicted"), *(f"{_said(note)}." for note in plan.notes)])
    return f'<div class="cs-scroll">{_table(plan)}</div>', _largest(largest) if largest else "", caption


def _said(note: Note) -> str:
    values = dict(note.values)
    if "architecture" in values:
        values["name"] = t(f"nav.{values['architecture']}")
    return t(note.key, **values)


def duration(seconds: float) -> str:
    """Write a time as people say it: seconds below two minutes, minutes from there."""
    if seconds < 120:
        return t("benchmark.seconds", count=max(math.ceil(seconds), 1))
    return t("benchmark.minutes", count=round(seconds / 60))


def _table(plan: Plan) -> str:
    """Draw architectures by contexts, one block for each batch."""
    swept = [(cell, p) for cell, p in zip(plan.cells, plan.predictions, strict=True) if not cell.largest]
    found = {(cell.batch, cell.architecture, cell.context): (cell, p) for cell, p in swept}
    left_out = {(cell.batch, cell.architecture, cell.context) for cell in plan.dropped}
    contexts = sorted({context for _, _, context in (*found, *left_out)})
    batches = sorted({batch for batch, _, _ in (*found, *left_out)})
    names = list(dict.fromkeys(name for _, name, _ in sorted(found, key=lambda key: _first(plan.cells, key[1]))))
    head = "".join(f'<th scope="col">{context:,}</th>' for context in contexts)
    body = ""
    for batch in batches:
        if len(batches) > 1:
            words = escape(t("benchmark.plan.batch", count=batch))
            body += f'<tr class="cs-block"><th scope="rowgroup" colspan="{len(contexts) + 1}">{words}</th></tr>'
        for name in names:
            title = f'<span class="cs-name">{escape(t(f"nav.{name}"))}</span>'
            body += f'<tr><th scope="row" class="cs-{escape(name)}">{title}</th>'
            body += "".join(_cell(found.get((batch, name, context))) for context in contexts) + "</tr>"
    corner = f'<th scope="col">{escape(t("benchmark.tokens"))}</th>'
    return f'<table class="cs-table cs-plan"><thead><tr>{corner}{head}</tr></thead><tbody>{body}</tbody></table>'


def _first(cells: Sequence[Cell], name: str) -> int:
    return next(i for i, cell in enumerate(cells) if cell.architecture == name)


def _cell(found: tuple[Cell, Prediction] | None) -> str:
    if found is None:
        return f'<td class="cs-left-out">{escape(t("benchmark.plan.left_out"))}</td>'
    _, prediction = found
    size = escape(bytes_text(prediction.bytes_total))
    if prediction.fits:
        return f"<td>{size}<br>{escape(duration(prediction.seconds))}</td>"
    why = "too_long" if prediction.positions_needed else "too_large"
    return f'<td class="cs-hatched">{size}<br>{escape(t(f"benchmark.plan.{why}"))}</td>'


def _largest(cells: Sequence[Cell]) -> str:
    """Name the largest batch of each architecture, and what limits it."""
    parts = "".join(
        f'<li class="cs-{escape(cell.architecture)}"><span class="cs-name">{escape(t(f"nav.{cell.architecture}"))}'
        f"</span> {cell.batch:,} <small>{escape(t(f'benchmark.limit.{cell.batch_limit}'))}</small></li>"
        for cell in cells
    )
    title = escape(t("benchmark.plan.largest", tokens=f"{cells[0].context:,}"))
    return f'<p class="cs-largest-title">{title}</p><ul class="cs-largest">{parts}</ul>'
