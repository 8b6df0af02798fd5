"""Draw a plan as a table: what is predicted of each cell before a run, where each cell stands during it."""

from collections.abc import Callable, Sequence
from statistics import median

import streamlit as st

from models.bench.plan.plan import Note, Plan
from models.bench.run.board import OPENED, Board, CellProgress
from models.records.cell import Cell, Prediction
from models.records.measurement import Measurement
from models.records.run import Run
from pages.shared import html
from pages.shared.memo import Memo
from pages.shared.state import session
from pages.shared.words import units
from pages.shared.words.i18n import t

Write = Callable[[Cell, Prediction, str], html.Html]  # a cell of the table, from a cell of the plan and its column

_WAITS = CellProgress()
_kept: Memo[tuple[html.Html, html.Html | None, str]] = Memo(8)  # of the last plan in each language


def draw(plan: Plan) -> None:
    """Draw the plan with its notes."""
    table, largest, caption = _kept.get(session.language(), (plan,), lambda: _drawn(plan))
    with st.container(key="benchmark-grid"):  # bench.css keeps the place of an ordinary plan free
        html.show(table)
    if largest is not None:
        html.show(largest)
    st.caption(caption)


def board(plan: Plan, states: Board, run: Run) -> None:
    """Draw a plan while it is measured: the state of each cell, its rounds, and what it came to."""
    rows = {row.cell_id: row for row in run.current}

    def write(cell: Cell, prediction: Prediction, at: str) -> html.Html:
        return _standing(cell, prediction, states.get(cell.cell_id, _WAITS), rows.get(cell.cell_id), at)

    with st.container(key="benchmark-board"):
        html.show(html.scrolling(_table(plan, write)))
        if largest := [cell for cell in plan.cells if cell.largest]:
            html.show(_largest(largest))
    st.caption(t("benchmark.board.key"))


def _drawn(plan: Plan) -> tuple[html.Html, html.Html | None, str]:
    """Write the table, the largest batches where there are any, and the notes as Markdown."""
    largest = [cell for cell in plan.cells if cell.largest]
    caption = " ".join([t("benchmark.plan.predicted"), *(f"{_note_text(note)}." for note in plan.notes)])
    return html.scrolling(_table(plan, _foretold)), _largest(largest) if largest else None, caption


def _note_text(note: Note) -> str:
    values = dict(note.values)
    if "architecture" in values:
        values["name"] = t(f"nav.{values['architecture']}")
    return t(note.key, **values)


def _table(plan: Plan, write: Write) -> html.Html:
    """Draw models by contexts, one block for each batch; they are named where an architecture has several."""
    swept = [(cell, p) for cell, p in zip(plan.cells, plan.predictions, strict=True) if not cell.largest]
    found = {(cell.batch, (cell.architecture, cell.source), cell.context): (cell, p) for cell, p in swept}
    contexts = sorted({context for _, _, context in found} | {cell.context for cell in plan.dropped})
    batches = sorted({batch for batch, _, _ in found} | {cell.batch for cell in plan.dropped})
    names = list(dict.fromkeys((cell.architecture, cell.source) for cell, _ in swept))
    names.sort(key=lambda name: _first(plan.cells, name[0]))
    several = len({architecture for architecture, _ in names}) < len(names)
    rows: list[html.Html] = []
    for batch in batches:
        if len(batches) > 1:
            words = t("benchmark.plan.batch", count=batch)
            block = html.element("th", words, scope="rowgroup", colspan=len(contexts) + 1)
            rows.append(html.row(block, class_="cs-block"))
        for name in names:
            places = [(context, found.get((batch, name, context))) for context in contexts]
            cells = (_cell(context, place, write, asked=not several) for context, place in places)
            rows.append(html.row(_model(*name, named=several), *cells))
    head = (t("benchmark.tokens"), *(units.count(context) for context in contexts))
    return html.table(rows, kind="cs-table cs-plan cs-cards", head=head)


def _first(cells: Sequence[Cell], name: str) -> int:
    return next(i for i, cell in enumerate(cells) if cell.architecture == name)


def _model(architecture: str, source: str, *, named: bool) -> html.Html:
    """Write the head of a row: the architecture, and its model below where that is named."""
    beside = (html.element("br"), html.element("small", source)) if named else ()
    return html.heading(html.named(t(f"nav.{architecture}")), *beside, class_=f"cs-{architecture}")


def _cell(context: int, found: tuple[Cell, Prediction] | None, write: Write, *, asked: bool = True) -> html.Html:
    """Write a cell, or that it was left out; a place that a prepared plan does not ask for is empty."""
    at = units.count(context)
    if found is None:
        return html.element("td", t("benchmark.plan.left_out") if asked else "–", class_="cs-left-out", data_at=at)
    return write(*found, at)


def _foretold(_: Cell, prediction: Prediction, at: str) -> html.Html:
    size, line = units.size(prediction.bytes_total), html.element("br")
    if prediction.fits:
        return html.element("td", size, line, units.duration(prediction.seconds), data_at=at)
    why = "too_long" if prediction.positions_needed else "too_large"
    return html.element("td", size, line, t(f"benchmark.plan.{why}"), class_="cs-hatched", data_at=at)


def _standing(cell: Cell, prediction: Prediction, now: CellProgress, row: Measurement | None, at: str) -> html.Html:
    if row is not None and now.state not in OPENED:
        return _came_to(row, at)
    if not now.state:
        waits = html.element("td", units.duration(prediction.seconds), class_="cs-waits", data_at=at)
        return waits if prediction.fits else _foretold(cell, prediction, at)
    line = html.element("br")
    steps = t("benchmark.board.step", time=units.duration(median(now.decode_ms) / 1e3)) if now.decode_ms else None
    said = steps or t(f"benchmark.board.{now.state if now.state in OPENED else 'ready'}")
    kind = "cs-open cs-now" if now.state in ("loading", "measuring") else "cs-open"
    return html.element("td", said, line, _dots(cell, now), class_=kind, data_at=at)


def _came_to(row: Measurement, at: str) -> html.Html:
    """Write what a cell came to: its bytes and the time of a token, or why it has none."""
    if not row.measured:
        return html.element("td", t(f"viz.state.{row.state}"), class_="cs-hatched", data_at=at)
    peak = "" if row.peak_bytes is None else units.size(row.peak_bytes)
    said = t("viz.state.untimed")
    if row.timed and row.tpot_ms_med is not None:
        said = t("benchmark.board.step", time=units.duration(row.tpot_ms_med / 1e3))
    return html.element("td", said, html.element("br"), peak, class_="cs-measured", data_at=at)


def _dots(cell: Cell, now: CellProgress) -> html.Html:
    """Draw the rounds: steady ones filled, those that do not count crossed out, those to come as rings."""
    kinds = ["cs-steady" if steady else "cs-unsteady" for steady in now.rounds]
    kinds += ["cs-to-come"] * (cell.rounds - len(now.rounds))
    words = t("benchmark.board.dots", made=len(now.rounds), total=max(cell.rounds, len(now.rounds)))
    return html.element("span", [html.element("i", class_=kind) for kind in kinds], class_="cs-dots", role="img",
                        aria_label=words)  # fmt: skip


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
