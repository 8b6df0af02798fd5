"""Show a run: how it was measured, the reasons of failed cells, and its figures."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import streamlit as st

from models.bench.judge import comparison
from models.bench.judge.roofline import floors
from models.bench.judge.statistics import growth_exponent, median_time
from models.records.measurement import CPU_WAITED, SENTINEL_DRIFT, Measurement
from models.records.run import Run
from pages.compare.benchmark import live
from pages.compare.benchmark.address import PAGE
from pages.compare.benchmark.naming import series_name
from pages.compare.benchmark.other_tools import drawable
from pages.compare.benchmark.shapes import shapes_of
from pages.shared import figure, layout, notices, style
from pages.shared.memo import Memo
from pages.shared.panel import panel
from pages.shared.state import session
from pages.shared.words import i18n, units
from pages.shared.words.i18n import t
from viz.bench import batches as bench_batches
from viz.bench import device as bench_device
from viz.bench import memory, speed
from viz.figure import Figure, Translate
from viz.look.theme import Theme

NAMED = 4  # cells listed by name; more are counted
QUANTITIES = ("carried", "peak", "parts")

F = TypeVar("F", bound=Figure | None)

_figures: Memo[Figure | None] = Memo(64)
_explanations: Memo[list[tuple[str, Callable[..., Figure | None]]]] = Memo()


def status(run: Run) -> None:
    """Say of a run that is not under way when and where it was measured, and how much of it."""
    if live.progress(run) is None:
        st.text(_headline(run))


def failures(run: Run) -> None:
    """Say in one place which cells have no measurement or no times, and why; then which times are to be distrusted."""
    parts = [*_failed(run), *_disturbed(run)]
    if parts:
        st.warning("\n\n".join(parts), icon=":material/info:")
    for level in ("unusable", "noisy"):
        shaky = [row for row in run.current if row.timed and row.noise == level]
        if shaky:
            named = f" {notices.plain(_cells(shaky))}" if len(shaky) <= NAMED else ""
            st.caption(t(f"benchmark.noise.{level}", count=len(shaky), total=len(run.current)) + named)


def _failed(run: Run) -> list[str]:
    """Write the cells without a measurement as Markdown, one line per reason; none where all are measured."""
    failed = [row for row in run.last if not row.measured]
    reasons: dict[str, list[Measurement]] = {}
    for row in failed:
        reasons.setdefault(_why(row), []).append(row)
    lines = [f"- {notices.plain(_cells(rows))}: {notices.plain(why)}" for why, rows in reasons.items()]
    lines += [f"- {notices.plain(line)}" for line in _room(run)] if lines else []
    return ["\n".join([t("benchmark.failures", count=len(failed)), "", *lines])] if lines else []


def _disturbed(run: Run) -> list[str]:
    """Write what other programs on the machine did to the cells."""
    untimed = [row for row in run.current if row.measured and not row.timed]
    crowded = sum(bool(row.foreign_processes) for row in run.current)
    said = []
    if untimed:
        said.append(notices.plain(t("benchmark.untimed", cells=_cells(untimed), limit=f"{CPU_WAITED:.0%}")))
    if crowded:
        said.append(notices.plain(t("benchmark.foreign", count=crowded, total=len(run.current))))
    return said


def _cells(rows: list[Measurement]) -> str:
    """Name a few cells; count more."""
    return " · ".join(map(cell_name, rows)) if len(rows) <= NAMED else t("benchmark.cells", count=len(rows))


def _room(run: Run) -> list[str]:
    """State between which lengths memory ran out, per architecture and batch."""
    found = []
    for row in run.current:
        if row.state == "oom" and not row.batch_limit:
            kind = (row.architecture, row.batch)
            alike = [one for one in run.current if (one.architecture, one.batch) == kind and not one.batch_limit]
            fits = max((one.context for one in alike if one.measured and one.context < row.context), default=None)
            least = min(one.context for one in alike if one.state == "oom")
            if fits is not None and row.context == least:
                name = series_name(row.architecture)
                found.append(
                    t("benchmark.room", name=name, batch=row.batch, fits=units.count(fits), full=units.count(least))
                )
    return found


def cell_name(row: Measurement) -> str:
    """Name the cell of a row."""
    key = "benchmark.cell" if row.batch == 1 else "benchmark.cell_batch"
    return t(key, name=series_name(row.architecture), tokens=units.count(row.context), batch=row.batch)


def pictures(run: Run, second: Run | None = None) -> None:
    """Draw memory, reading and writing against context length, each beside its words, and what explains them below.

    second: a run that is drawn over this one, dashed. A run that is measured and has no rows yet leaves the figures of
    the run before where they are, pale.
    """
    drawn = run
    with layout.place(PAGE, "told"):
        if not any(row.measured for row in _told_of(run)):
            if live.progress(run) is None:
                return
            st.info(t("benchmark.waiting"), icon=":material/hourglass_empty:")
            former = live.former(run)
            if former is None or not any(row.measured for row in former.current):
                return
            drawn, second = former, None
            with st.container(key=f"ghost-{PAGE}"):  # makes the figures of its place pale
                st.caption(t("benchmark.ghost", when=layout.moment_text(former.created_ns)))
        elif second is not None:
            st.caption(t("benchmark.dashed", when=layout.moment_text(second.created_ns)))
    _pictures(drawn, second)


def _told_of(run: Run) -> list[Measurement]:
    """List the rows of a run without the cancelled ones: such a cell says nothing about the model."""
    return [row for row in run.current if row.state != "cancelled"]


def _pictures(run: Run, second: Run | None) -> None:
    rows = _told_of(run)
    swept = [row for row in rows if not row.batch_limit]  # cells at a largest batch have a picture of their own
    beside = [row for row in _told_of(second) if not row.batch_limit] if second else []
    drawn = [*swept, *beside]
    with layout.place(PAGE, "memory"):
        if drawable(drawn, "carried", "peak"):
            layout.section_of(PAGE, "memory", partial(_memory, run, swept, second, beside))
    with layout.place(PAGE, "prefill"):
        if drawable(drawn, "prefill"):
            draw = partial(speed.prefill_vs_context, swept, fit=growth_exponent, beside=beside)
            _section(run, "prefill", draw, second)
    with layout.place(PAGE, "decode"):
        if drawable(drawn, "decode"):
            _section(run, "decode", lambda **given: speed.decode_vs_context(
                swept, floors=_floors(run), beside=beside, **given
            ), second)  # fmt: skip
    explaining = _explanations.get(run.run_id, (run,), lambda: _explaining(rows))
    layout.under_the_hood(PAGE, [(name, partial(_show, run, name, draw)) for name, draw in explaining])


def _section(run: Run, key: str, draw: Callable[..., Figure], second: Run | None) -> None:
    layout.section_of(PAGE, key, partial(panel, _kept(run, key, draw, second), (), key=f"{PAGE}.{key}"))


def _kept(run: Run, name: str, draw: Callable[..., F], second: Run | None = None) -> Callable[..., F]:
    """Wrap a figure function: what it drew of a run, in a language and a look, is drawn again only with other options.

    The first argument of the wrapped function is not used; draw holds the rows, those of a second run among them.
    """

    def drawn(_: object, *, theme: Theme, t: Translate, **options: Any) -> F:
        key = (run.run_id, name, session.language(), theme.mode, *sorted(options.items()))
        made: F = _figures.get(key, (run, second), lambda: draw(theme=theme, t=t, **options))  # type: ignore[assignment]
        return made

    return drawn


def _explaining(rows: list[Measurement]) -> list[tuple[str, Callable[..., Figure | None]]]:
    """List the figures that explain the times, those for which this run has numbers."""
    device = next(row.device for row in rows if row.measured).partition(":")[0]
    largest = [row for row in rows if row.batch_limit]
    timed = [row for row in largest if row.measured and row.decode_ms_samples]  # a row of a file may have no samples
    steps = {row.cell_id: median_time(comparison.rounds(row, "decode")) for row in timed}
    batches = {row.batch for row in rows if row.measured}
    every: list[tuple[str, bool, Callable[..., Figure | None]]] = [
        ("largest_batch", bool(steps), partial(bench_batches.largest_batch, largest, intervals=steps)),
        ("pareto", len(batches) > 1, partial(bench_batches.pareto, rows)),
        ("achieved", _has(rows, "mbu"), partial(bench_device.achieved, rows)),
        ("launches", _has(rows, "launch_fraction"), partial(bench_device.launches, rows)),
        ("energy", _has(rows, "energy_j_per_token"), partial(bench_device.energy, rows)),
        ("sentinel_strip", _has(rows, "sentinel_before_ms"),
         partial(bench_device.sentinel_strip, rows, limit=SENTINEL_DRIFT.get(device, SENTINEL_DRIFT["cpu"]))),
    ]  # fmt: skip
    return [(name, draw) for name, there, draw in every if there]


def _has(rows: list[Measurement], column: str) -> bool:
    return any(row.measured and getattr(row, column) is not None for row in rows)


def _show(run: Run, name: str, draw: Callable[..., Figure | None]) -> None:
    drawn = _kept(run, name, draw)((), theme=style.theme(), t=t)
    if drawn is None:
        st.caption(t("benchmark.no_picture"))
    else:
        figure.show(drawn, key=f"{PAGE}.{name}", source=run.title)


def _floors(run: Run) -> dict[str, float]:
    """Return the least time of each cell's step, for the sources whose shapes are known here."""
    return floors(run.current, shapes_of(run))


def _headline(run: Run) -> str:
    machine = run.environment.get("host_cpu") or ""
    when = layout.moment_text(run.created_ns)
    key = "recorded" if run.recorded else "imported" if run.imported else run.ended or "open"
    done = sum(row.measured for row in run.current)
    said = t(f"benchmark.headline.{key}", when=when, machine=machine, done=done, total=len(run.cells))
    return said.removesuffix(" · ")  # where no machine is named


def _memory(run: Run, rows: list[Measurement], second: Run | None, beside: list[Measurement]) -> None:
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
        draw = partial(memory.memory_parts, [row for row in rows if row.batch == least])
        panel(_kept(run, "parts", draw), (), key=f"{PAGE}.parts", source=run.title)
    else:
        draw = partial(memory.memory_vs_context, rows, beside=beside)
        panel(_kept(run, "memory", draw, second), (), key=f"{PAGE}.memory", source=run.title, peak=shown == "peak")


def _why(row: Measurement) -> str:
    """Return the sentence of a row's reason in the visitor's language, or the stored English one."""
    lang = session.language()
    if row.reason_key and i18n.has(lang, row.reason_key):
        return i18n.say(lang, row.reason_key, **row.reason_values)
    return row.reason
