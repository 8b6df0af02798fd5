"""Show a run: where it stands, what happened to cells that failed, its pictures and its rows."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import streamlit as st

from models import catalogue, describe
from models.bench import comparing, ladder, runner
from models.bench.roofline import floors
from models.bench.rows import SENTINEL_DRIFT, Measurement
from models.bench.runner import Progress
from models.bench.runs import Run
from models.bench.statistics import growth_exponent, median_time
from models.errors import ContextscopeError
from pages.compare.bench.grid import duration
from pages.compare.bench.planning import PAGE
from pages.shared import figure, i18n, layout, notices, session, style
from pages.shared.i18n import t
from pages.shared.layout import bytes_text
from pages.shared.panel import panel
from pages.shared.provenance import implementation
from viz import bench_batches, bench_device, bench_memory, bench_speed
from viz.figure import Figure

POLL_S = 0.7
NAMED = 4  # cells listed by name; more are counted
NOISY = 0.25  # the middle half wider than this share of the median: unusable, says torch.utils.benchmark
QUANTITIES = ("carried", "peak", "parts")


def status(run: Run) -> None:
    """Say where a run stands; while it is going on, look again every moment and redraw the page with each new row."""
    progress = runner.shared().progress(run.run_id)
    if progress is not None and progress.live:
        st.fragment(_live, run_every=POLL_S)(run.run_id, progress.done)
        return
    st.text(_headline(run))


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
    """Draw memory, reading and writing against context length, each beside its words, and what explains them below."""
    rows = [row for row in run.rows if row.state != "cancelled"]  # a cancelled cell says nothing about the model
    if not any(row.measured for row in rows):
        st.info(t("benchmark.waiting"), icon=":material/hourglass_empty:")
        return
    swept = [row for row in rows if not row.batch_limit]  # cells at a largest batch have a picture of their own
    layout.section_of(PAGE, "memory", partial(_memory, swept))
    _section("prefill", partial(bench_speed.prefill_vs_context, swept, fit=growth_exponent))
    _section("decode", partial(bench_speed.decode_vs_context, swept, floors=_floors(run)))
    layout.under_the_hood(PAGE, [(name, partial(_show, name, draw)) for name, draw in _explaining(rows)])


def _section(key: str, draw: Callable[..., Figure]) -> None:
    layout.section_of(
        PAGE, key, partial(panel, lambda _, **given: draw(**given), (), key=f"{PAGE}.{key}", follow=False)
    )


def _explaining(rows: list[Measurement]) -> list[tuple[str, Callable[..., Figure | None]]]:
    """List the figures that explain the times, those for which this run has numbers."""
    device = next(row.device for row in rows if row.measured).partition(":")[0]
    largest = [row for row in rows if row.batch_limit]
    steps = {row.cell_id: median_time(comparing.rounds(row, "decode")) for row in largest if row.measured}
    batches = {row.batch for row in rows if row.measured}
    every: list[tuple[str, bool, Callable[..., Figure | None]]] = [
        ("largest_batch", bool(steps), partial(bench_batches.largest_batch, largest, intervals=steps)),
        ("pareto", len(batches) > 1, partial(bench_batches.pareto, rows)),
        ("achieved", _has(rows, "mbu"), partial(bench_device.achieved, rows)),
        ("launches", _has(rows, "launch_fraction"), partial(bench_device.launches, rows)),
        ("energy", _has(rows, "energy_j_per_token"), partial(bench_device.energy, rows)),
        ("sentinel_strip", _has(rows, "sentinel_before_ms"),
         partial(bench_device.sentinel_strip, rows, limit=SENTINEL_DRIFT[device])),
    ]  # fmt: skip
    return [(name, draw) for name, there, draw in every if there]


def _has(rows: list[Measurement], column: str) -> bool:
    return any(row.measured and getattr(row, column) is not None for row in rows)


def _show(name: str, draw: Callable[..., Figure | None]) -> None:
    drawn = draw(theme=style.theme(), t=t)
    if drawn is None:
        st.caption(t("benchmark.no_picture"))
    else:
        figure.show(drawn, key=f"{PAGE}.{name}")


def _floors(run: Run) -> dict[str, float]:
    """Return the least time of each cell's step, for the sources whose shapes are known here."""
    shapes = {}
    for source in {row.source for row in run.rows if not run.imported or _comes_along(row.source)}:
        try:
            shapes[source] = describe.resolve(source).shape
        except ContextscopeError:  # a run of another machine, with a folder that is not here
            continue
    return floors(run.rows, shapes)


def _comes_along(source: str) -> bool:
    """Tell whether a source is on the ladder, in the catalogue or bundled, so that no file may name a folder or hub."""
    known = source.startswith(ladder.PREFIX) or catalogue.find(source) is not None
    return known or source in describe.bundled_names()


def rows_table(run: Run) -> None:
    """List the rows of a run as they are stored, with the code that ran and the parity that was found."""
    with st.expander(t("benchmark.rows.title", count=len(run.rows)), key=f"{PAGE}.rows"):
        st.dataframe([_columns(row) for row in run.rows], key=f"{PAGE}.table", hide_index=True, width="stretch")


def captured(said: str) -> str:
    """Say whether steps were captured; what torch said stays in its words."""
    key = f"benchmark.graph.{said.lower().replace(' ', '_')}"
    return t(key) if said and i18n.has(session.language(), key) else said


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
        return f"{now.done}/{now.total} · {t(f'benchmark.phase.{now.phase}') if now.phase else left}"
    phase = t(f"benchmark.phase.{now.phase}") if now.phase else t("benchmark.phase.start")
    phase = t("benchmark.round", phase=phase, number=now.round) if now.round else phase
    cell = t("benchmark.cell", name=t(f"nav.{now.cell.architecture}"), tokens=f"{now.cell.context:,}")
    return f"{now.done}/{now.total} · {cell} · {phase} · {left}"


def _headline(run: Run) -> str:
    machine = run.environment.get("host_cpu") or ""
    when = datetime.fromtimestamp(run.created_ns / 1e9, tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M")
    key = "recorded" if run.recorded else "imported" if run.imported else run.ended or "open"
    done = sum(row.measured for row in run.rows)
    return t(f"benchmark.headline.{key}", when=when, machine=machine, done=done, total=len(run.cells))


def _memory(rows: list[Measurement]) -> None:
    key = f"{PAGE}.quantity"
    st.session_state.setdefault(key, QUANTITIES[0])
    with st.container(key=f"pick-{key}"):
        st.segmented_control(
            t("benchmark.quantity.label"), QUANTITIES, key=key, required=True,
            format_func=lambda name: t(f"benchmark.quantity.{name}"), label_visibility="collapsed",
        )  # fmt: skip
    shown = st.session_state[key]
    if shown == "parts":
        least = min(row.batch for row in rows)
        panel(bench_memory.memory_parts, [row for row in rows if row.batch == least], key=f"{PAGE}.parts", follow=False)
    else:
        panel(bench_memory.memory_vs_context, rows, key=f"{PAGE}.memory", follow=False, peak=shown == "peak")


def _cell_name(row: Measurement) -> str:
    key = "benchmark.cell" if row.batch == 1 else "benchmark.cell_batch"
    return t(key, name=t(f"nav.{row.architecture}"), tokens=f"{row.context:,}", batch=row.batch)


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
        "batch": row.batch,
        "context": row.context,
        "state": t(f"viz.state.{row.state}") if row.state != "ok" else "ok",
        "carried": bytes_text(row.cache_bytes) if row.cache_bytes is not None else None,
        "formula": row.cache_bytes is not None and row.cache_bytes == row.cache_bytes_formula,
        "peak": bytes_text(row.peak_bytes) if row.peak_bytes is not None else None,
        "reserved": bytes_text(row.peak_reserved_bytes) if row.peak_reserved_bytes is not None else None,
        "process": bytes_text(row.peak_process_bytes) if row.peak_process_bytes is not None else None,
        "predicted": bytes_text(row.pred_bytes) if row.pred_bytes is not None else None,
        "prefill": row.ttft_ms_med and round(row.ttft_ms_med, 2),
        "decode": row.tpot_ms_med and round(row.tpot_ms_med, 3),
        "spread": row.tpot_iqr_rel and f"{row.tpot_iqr_rel:.0%}",
        "rounds": row.rounds,
        "e2e": row.e2e_tokens_per_s and round(row.e2e_tokens_per_s, 1),
        "harness": row.harness_ms and round(row.harness_ms, 4),
        "parity": row.parity_max_rel and f"{row.parity_max_rel:.0e}",
        "chunked": row.parity_chunk_rel and f"{row.parity_chunk_rel:.0e}",
        "experts": row.experts_distinct and round(row.experts_distinct, 1),
        "graph": captured(row.graph),
        "code": "; ".join(f"{function}: {implementation(code)}" for function, code in row.implementation.items()),
    }
    return {t(f"benchmark.rows.{name}"): value for name, value in values.items()}
