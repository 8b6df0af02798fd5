"""List the stored rows of a run, and remeasure chosen or failed cells."""

from collections.abc import Collection

import streamlit as st

from models.bench.run import remeasure, runner
from models.records.measurement import Measurement
from models.records.run import Run
from pages.compare.benchmark import planning
from pages.compare.benchmark.address import PAGE, show
from pages.compare.benchmark.naming import series_name
from pages.shared import journal, notices, unfolding
from pages.shared.implementation import implementation
from pages.shared.layout import moment_text
from pages.shared.memo import Memo
from pages.shared.state import session
from pages.shared.words import i18n, units
from pages.shared.words.i18n import t

FIRST_COLUMNS = (
    "architecture",
    "batch",
    "context",
    "state",
    "carried",
    "peak",
    "prefill",
    "decode",
    "spread",
    "rounds",
)

_lines: Memo[list[dict[str, object]]] = Memo()  # the table of a run in a language
_unfinished: Memo[tuple[str, ...]] = Memo()  # cells of a run that may be measured again
_planned: Memo[set[str]] = Memo()  # cells of a run


def missing(run: Run) -> None:
    """Offer to measure again what has no measurement and might get one, once nothing of the run is under way."""
    cells = _unfinished.get(run.run_id, (run,), lambda: remeasure.unfinished_cells(run))
    _button("missing", run, cells, t("benchmark.again.missing", count=len(cells)))


def table(run: Run) -> None:
    """List every row, with the code that ran and the parity that was found; rows that are chosen can be repeated."""
    title = t("benchmark.rows.title", count=len(run.rows))
    with unfolding.section(title, key=f"{PAGE}.rows") as opened:
        if not opened.open:
            return
        lines = _lines.get((run.run_id, session.language()), (run,), lambda: _listed(run))
        names = _columns_chosen(lines)
        chosen = st.dataframe(
            [{name: line[names[name]] for name in names} for line in lines], key=f"{PAGE}.table.{run.run_id}",
            hide_index=True, width="stretch", on_select="rerun", selection_mode="multi-row", placeholder="–",
        )  # fmt: skip
        cells = {run.rows[at].cell_id for at in chosen.selection.rows if at < len(run.rows)}
        _button("chosen", run, cells, t("benchmark.again.chosen", count=len(cells)))
        st.caption(t("benchmark.again.how"))


def _columns_chosen(lines: list[dict[str, object]]) -> dict[str, str]:
    """Ask which columns are shown, by their names in the table; a column that is empty in the run is not offered."""
    labels = {name: t(f"benchmark.rows.{name}") for name in (lines[0] if lines else ())}
    if not labels:
        return {}
    key, wish = f"{PAGE}.columns", st.session_state.setdefault(f"{PAGE}.columns_wished", list(FIRST_COLUMNS))
    st.session_state[key] = [name for name in labels if name in wish]

    def choose() -> None:  # what the run does not have stays wished
        absent = [name for name in wish if name not in labels]
        st.session_state[f"{PAGE}.columns_wished"] = [*st.session_state[key], *absent]

    asked = t("benchmark.rows.columns")
    st.multiselect(asked, list(labels), key=key, format_func=labels.__getitem__, on_change=choose)
    return {labels[name]: name for name in st.session_state[key]}


def _listed(run: Run) -> list[dict[str, object]]:
    """Format every row for display, without columns that are empty in this run."""
    current = {id(row) for row in run.current}
    lines = [_columns(row, replaced=id(row) not in current) for row in run.rows]
    filled = [name for name in (lines[0] if lines else ()) if any(line[name] not in (None, "") for line in lines)]
    return [{name: line[name] for name in filled} for line in lines]


def captured(said: str) -> str:
    """State whether steps were captured; a message of torch is shown unchanged."""
    key = f"benchmark.graph.{said.lower().replace(' ', '_')}"
    return t(key) if said and i18n.has(session.language(), key) else said


def _button(name: str, run: Run, cell_ids: Collection[str], words: str) -> None:
    """Draw a button that measures those of the cells again that the plan of the run has."""
    here = runner.shared()
    now = here.progress(run.run_id)
    planned = _planned.get(run.run_id, (run,), lambda: {cell.cell_id for cell in remeasure.cells_of(run)}) & set(
        cell_ids
    )
    if not planned or (now is not None and now.live) or here.measured_elsewhere(run):
        return

    def measure() -> None:
        with notices.guarded():
            run_id = here.remeasure(run.run_id, planned)
            journal.note("again", run=run_id)
            planning.remember(run_id, run.run_id)
            show(run_id)

    st.button(words, key=f"{PAGE}.again.{name}", icon=":material/replay:", on_click=measure)
    if not remeasure.is_local(run):
        st.caption(t("benchmark.again.elsewhere"))


def _columns(row: Measurement, *, replaced: bool) -> dict[str, object]:
    """Select the columns of a row for display; the download has all of them."""
    return {
        "architecture": series_name(row.architecture),
        "batch": row.batch,
        "context": row.context,
        "state": _state(row, replaced=replaced),
        "carried": _bytes(row.cache_bytes),
        "formula": row.cache_bytes is not None and row.cache_bytes == row.cache_bytes_formula,
        "peak": _bytes(row.peak_bytes),
        "reserved": _bytes(row.peak_reserved_bytes),
        "process": _bytes(row.peak_process_bytes),
        "predicted": _bytes(row.pred_bytes),
        "prefill": row.ttft_ms_med and round(row.ttft_ms_med, 2),
        "decode": row.tpot_ms_med and round(row.tpot_ms_med, 3),
        "spread": _share(row.tpot_iqr_rel),
        "rounds": row.rounds,
        "repeated": row.rounds_repeated,
        "unsteady": row.rounds_unsteady,
        "waited": _share(row.cpu_waited),
        "others": _share(row.cpu_others),
        "e2e": row.e2e_tokens_per_s and round(row.e2e_tokens_per_s, 1),
        "mbu": _share(row.mbu),
        "mfu": _share(row.mfu),
        "operators": row.ops_per_token,
        "waiting": _share(row.launch_fraction),
        "harness": row.harness_ms and round(row.harness_ms, 4),
        "parity": _difference(row.parity_max_rel),
        "chunked": _difference(row.parity_chunk_rel),
        "alone": _difference(row.parity_batch_rel),
        "exact": _difference(row.parity_float32_rel),
        "experts": row.experts_distinct and round(row.experts_distinct, 1),
        "graph": captured(row.graph),
        "badge": row.badge and t(f"benchmark.badge.{row.badge}"),
        "code": "; ".join(f"{function}: {implementation(code)}" for function, code in row.implementation.items()),
        "when": row.started_ns and moment_text(row.started_ns),
    }


def _state(row: Measurement, *, replaced: bool) -> str:
    if replaced:
        return t("benchmark.rows.replaced")
    if row.measured and not row.timed:
        return t("benchmark.rows.untimed")
    if row.state == "ok":
        return t(f"benchmark.rows.{row.noise or 'ok'}")
    return t(f"viz.state.{row.state}")


def _bytes(count: int | None) -> str | None:
    return None if count is None else units.size(count)


def _share(value: float | None) -> str | None:
    return None if value is None else f"{value:.0%}"


def _difference(value: float | None) -> str | None:
    return None if value is None else f"{value:.0e}"
