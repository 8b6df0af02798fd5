"""Show a run: where it stands, what happened to cells that failed, its three pictures and its rows."""

from datetime import UTC, datetime
from functools import partial

import streamlit as st

from models.bench import exchange, runner
from models.bench.rows import Measurement
from models.bench.runner import Progress
from models.bench.store import Run
from pages.compare.bench.planning import PAGE, duration
from pages.shared import i18n, layout, notices, session
from pages.shared.i18n import t
from pages.shared.layout import bytes_text
from pages.shared.panel import panel
from pages.shared.provenance import implementation
from viz.curves import decode_vs_context, memory_vs_context, prefill_vs_context

POLL_S = 0.7
NAMED = 4  # cells listed by name; more are counted
NOISY = 0.25  # the middle half wider than this share of the median: unusable, says torch.utils.benchmark


def chosen_run() -> Run | None:
    """Return the run the address names, else the newest one worth showing: of this machine, then a recorded one."""
    store = runner.shared().store
    named = st.query_params.get("run", "")
    found = store.run(named) if named else None
    if named and found is None:
        st.info(t("benchmark.no_such_run"), icon=":material/info:")
    return found or store.latest()


def status(run: Run) -> None:
    """Say where a run stands; while it is going on, look again every moment and redraw the page with each new row."""
    progress = runner.shared().progress(run.run_id)
    if progress is not None and progress.live:
        st.fragment(_live, run_every=POLL_S)(run.run_id, progress.done)
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key=f"status-{PAGE}"):
        st.text(_headline(run))
        st.download_button(
            t("benchmark.download"),
            partial(exchange.export, run, "jsonl"),
            f"{run.run_id}.jsonl",
            exchange.MEDIA_TYPES["jsonl"],
            key=f"{PAGE}.download",
            type="tertiary",
            icon=":material/download:",
            on_click="ignore",
        )


def failures(run: Run) -> None:
    """Say in a sentence what happened to each cell without a measurement, and which measurements to distrust."""
    lines = [f"- {notices.plain(_cell_name(row))}: {notices.plain(_why(row))}" for row in run.rows if not row.measured]
    if lines:
        st.warning("\n".join([t("benchmark.failures", count=len(lines)), "", *lines]), icon=":material/info:")
    shaky = [row for row in run.rows if unsteady(row)]
    if shaky:
        named = shaky if len(shaky) <= NAMED else ()
        cells = "".join(f" · {notices.plain(_cell_name(row))}" for row in named)
        st.caption(t("benchmark.noisy", count=len(shaky), total=len(run.rows)) + cells)


def unsteady(row: Measurement) -> bool:
    """Tell whether a measurement's times are to be distrusted; its bytes are not affected."""
    return row.measured and (row.state == "unstable" or (row.tpot_iqr_rel or 0) > NOISY)


def pictures(run: Run) -> None:
    """Draw memory, reading and writing against context length, each beside its words."""
    rows = [row for row in run.rows if row.state != "cancelled"]  # a cancelled cell says nothing about the model
    if not any(row.measured for row in rows):
        st.info(t("benchmark.waiting"), icon=":material/hourglass_empty:")
        return
    layout.section_of(PAGE, "memory", partial(_memory, rows))
    for key, draw in (("prefill", prefill_vs_context), ("decode", decode_vs_context)):
        layout.section_of(PAGE, key, partial(panel, draw, rows, key=f"{PAGE}.{key}", follow=False))


def rows_table(run: Run) -> None:
    """List the rows of a run as they are stored, with the code that ran and the parity that was found."""
    with st.expander(t("benchmark.rows.title", count=len(run.rows)), key=f"{PAGE}.rows"):
        st.dataframe([_columns(row) for row in run.rows], key=f"{PAGE}.table", hide_index=True, width="stretch")


def _live(run_id: str, drawn: int) -> None:
    here = runner.shared()
    now = here.progress(run_id)
    if now is None or not now.live or now.done != drawn:
        st.rerun(scope="app")
    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key=f"live-{PAGE}"):
        st.progress(now.done / now.total, text=_live_text(now))
        st.button(
            t("benchmark.cancel"), key=f"{PAGE}.cancel", icon=":material/stop:", on_click=here.cancel, args=(run_id,)
        )


def _live_text(now: Progress) -> str:
    if now.state == "queued":
        return t("benchmark.queued", position=now.position)
    left = "" if now.remaining_s is None else t("benchmark.left", time=duration(now.remaining_s))
    if now.cell is None:
        return f"{now.done}/{now.total} · {left}"
    phase = t(f"benchmark.phase.{now.phase}") if now.phase else t("benchmark.phase.start")
    cell = t("benchmark.cell", name=t(f"nav.{now.cell.architecture}"), tokens=f"{now.cell.context:,}")
    return f"{now.done}/{now.total} · {cell} · {phase} · {left}"


def _headline(run: Run) -> str:
    machine = run.environment.get("host_cpu") or ""
    when = datetime.fromtimestamp(run.created_ns / 1e9, tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M")
    key = "recorded" if run.recorded else run.ended or "interrupted"
    done = sum(row.measured for row in run.rows)
    return t(f"benchmark.headline.{key}", when=when, machine=machine, done=done, total=len(run.cells))


def _memory(rows: list[Measurement]) -> None:
    key = f"{PAGE}.quantity"
    st.session_state.setdefault(key, "carried")
    with st.container(key=f"pick-{key}"):
        st.segmented_control(
            t("benchmark.quantity.label"), ("carried", "peak"), key=key, required=True,
            format_func=lambda name: t(f"benchmark.quantity.{name}"), label_visibility="collapsed",
        )  # fmt: skip
    peak = st.session_state[key] == "peak"
    panel(memory_vs_context, rows, key=f"{PAGE}.memory", follow=False, peak=peak)


def _cell_name(row: Measurement) -> str:
    return t("benchmark.cell", name=t(f"nav.{row.architecture}"), tokens=f"{row.context:,}")


def _why(row: Measurement) -> str:
    """Return the sentence of a row's reason in the visitor's language, or the stored English one."""
    lang = session.language()
    if row.reason_key and i18n.has(lang, row.reason_key):
        return i18n.say(lang, row.reason_key, **row.reason_values)
    return row.reason


def _columns(row: Measurement) -> dict[str, object]:
    """Choose what a person wants to see of a row; the download has everything."""
    values = {
        "architecture": t(f"nav.{row.architecture}"),
        "context": row.context,
        "state": t(f"viz.state.{row.state}") if row.state != "ok" else "ok",
        "carried": bytes_text(row.cache_bytes) if row.cache_bytes is not None else None,
        "formula": row.cache_bytes is not None and row.cache_bytes == row.cache_bytes_formula,
        "peak": bytes_text(row.peak_bytes) if row.peak_bytes is not None else None,
        "prefill": row.ttft_ms_med and round(row.ttft_ms_med, 2),
        "decode": row.tpot_ms_med and round(row.tpot_ms_med, 3),
        "spread": row.tpot_iqr_rel and f"{row.tpot_iqr_rel:.0%}",
        "parity": row.parity_max_rel and f"{row.parity_max_rel:.0e}",
        "code": "; ".join(f"{function}: {implementation(code)}" for function, code in row.implementation.items()),
    }
    return {t(f"benchmark.rows.{name}"): value for name, value in values.items()}
