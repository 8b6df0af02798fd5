"""Show the provenance of a run: machine, versions, settings, models, samples, and the command that repeats it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import streamlit as st

from models.bench.judge import comparison
from models.bench.judge.statistics import spread
from models.bench.run import remeasure
from models.records.measurement import Measurement
from models.records.run import Run, fingerprint
from models.sources import sizes
from pages.compare.benchmark.address import PAGE
from pages.compare.benchmark.naming import series_class, series_name
from pages.compare.benchmark.results import cell_name
from pages.shared import html, notices, unfolding
from pages.shared.implementation import implementation
from pages.shared.layout import moment_text
from pages.shared.state import session
from pages.shared.words import i18n, units
from pages.shared.words.i18n import t

# What the rows say of the machine, in the order it is told: hardware first, then what ran on it.
MACHINE = (
    "host_cpu", "cores", "memory_bytes", "device_name", "device_uuid", "sm_clock_mhz", "temperature_c",
    "throttle_reasons", "os",
)  # fmt: skip
VERSIONS = (
    "python", "torch", "transformers", "numba", "numpy", "mamba_ssm", "causal_conv1d", "cuda", "driver", "tf32",
    "commit",
)  # fmt: skip
TOOL = ("tool", "tool_version")  # where another program has measured
NAMED = {"view": "benchmark.views", "kernels": "benchmark.kernel", "experts": "benchmark.expert"}
SETTINGS = ("size", "dtype", "view", "attention", "kernels", "experts", "decode_tokens", "rounds", "threads", "seed")


def drawer(run: Run) -> None:
    """Offer everything that is needed to judge the numbers and to measure them again."""
    with unfolding.section(t("benchmark.provenance.title"), key=f"{PAGE}.provenance") as opened:
        if opened.open:
            html.show(_facts(_about(run)))
            html.show(html.scrolling(_models(run)))
            _reproduce(run)
            _samples([row for row in run.current if row.timed])


def _about(run: Run) -> Iterable[tuple[str, str]]:
    rows = [row for row in run.rows if row.measured] or list(run.rows)
    yield t("benchmark.provenance.run"), run.run_id
    yield t("benchmark.provenance.fingerprint"), fingerprint(run)
    yield t("benchmark.provenance.when"), _span(rows)
    for name in (*TOOL, *MACHINE, *VERSIONS):
        yield t(f"benchmark.provenance.{name}"), _listed(name, [row.environment.get(name) for row in rows])
    others = dict.fromkeys(name for row in rows if row.tool for name in row.environment)
    for name in (name for name in others if name not in (*TOOL, *MACHINE, *VERSIONS)):  # as its program calls it
        yield name, _listed(name, [row.environment.get(name) for row in rows])
    for name in SETTINGS:
        yield t(f"benchmark.provenance.{name}"), _listed(name, [getattr(row, name) for row in rows])
    yield t("benchmark.provenance.protocol"), _listed("protocol", [row.protocol_version or None for row in rows])


def _facts(facts: Iterable[tuple[str, str]]) -> html.Html:
    pairs = (html.element("div", html.element("dt", name), html.element("dd", text)) for name, text in facts if text)
    return html.element("dl", pairs, class_="cs-facts")


def _listed(name: str, values: Sequence[Any]) -> str:
    """Write the different values of a column in their order."""
    return ", ".join(dict.fromkeys(_value(name, value) for value in values if value not in (None, "")))


def _value(name: str, value: Any) -> str:
    """Write a value as the settings of the page call it."""
    if name.endswith("_bytes") and isinstance(value, int | float):
        return units.size(value)
    if name == "size" and value in sizes.TIERS:
        return sizes.tier(value).name[session.language()]
    key = f"{NAMED[name]}.{value}" if name in NAMED else ""
    return t(key) if key and i18n.has(session.language(), key) else str(value)


def _span(rows: Sequence[Measurement]) -> str:
    times = [(row.started_ns, row.ended_ns) for row in rows if row.started_ns and row.ended_ns]
    if not times:
        return ""
    ends = (min(began for began, _ in times), max(ended for _, ended in times))
    return " – ".join(moment_text(ns, seconds=True) for ns in ends)


def _models(run: Run) -> html.Html:
    """Write a table: per architecture its model, parameters, the hash of its configuration, and the code that ran."""
    found: dict[tuple[str, str, str], list[Measurement]] = {}
    for row in run.rows:
        if row.measured:
            found.setdefault((row.architecture, row.source, row.config_hash), []).append(row)
    heads = ("architecture", "source", "total", "active", "config_hash", "code")
    head = (t(f"benchmark.provenance.{name}") for name in heads)
    return html.table((_model(*kind, rows) for kind, rows in found.items()), kind="cs-table cs-provenance", head=head)


def _model(architecture: str, source: str, config_hash: str, rows: Sequence[Measurement]) -> html.Html:
    ran: dict[str, dict[str, None]] = {}
    for row in rows:
        for function, code in row.implementation.items():
            ran.setdefault(function, {})[implementation(code)] = None
    code = "; ".join(f"{_function(name)}: {' / '.join(codes)}" for name, codes in ran.items())
    total, active = (
        "" if count is None else units.compact(count) for count in (rows[0].params_total, rows[0].params_active)
    )
    name = html.heading(series_name(architecture), class_=series_class(architecture))
    return html.row(name, source, total, active, config_hash, html.element("td", code, class_="cs-say"))


def _function(name: str) -> str:
    """Name a function; what a file calls otherwise keeps its name."""
    key = f"ran.function.{name}"
    return t(key) if i18n.has(session.language(), key) else name


def _reproduce(run: Run) -> None:
    command = remeasure.command(run)
    if command is None:
        return
    st.markdown(f"**{t('benchmark.provenance.reproduce')}**")
    st.code(command, language="bash", wrap_lines=True)
    st.caption(t("benchmark.provenance.reproduce_note"))


def _samples(rows: Sequence[Measurement]) -> None:
    """Show every round of one cell; single steps are in the files of the export."""
    if not rows:
        return
    named = {row.cell_id: row for row in rows}
    key = f"{PAGE}.samples"
    if st.session_state.get(key) not in named:  # another run has other cells
        st.session_state[key] = next(iter(named))
    chosen = st.selectbox(
        t("benchmark.provenance.samples"), list(named), key=key,
        format_func=lambda cell_id: cell_name(named[cell_id]) if cell_id in named else "",
    )  # fmt: skip
    row = named.get(chosen or "")
    if row is not None:
        st.dataframe(_rounds(row), key=f"{PAGE}.rounds_of", hide_index=True, width="stretch")
        unsteady, repeated = (
            "–" if count is None else str(count) for count in (row.rounds_unsteady, row.rounds_repeated)
        )
        st.caption(notices.plain(t("benchmark.provenance.samples_note", unsteady=unsteady, repeated=repeated)))


def _rounds(row: Measurement) -> list[Mapping[str, object]]:
    """Return a line per round, in milliseconds: reading, the first token, and the middle of the tokens after it."""
    found: list[Mapping[str, object]] = []
    steps = comparison.rounds(row, "decode")
    for number, taken in enumerate(steps):
        middle = spread(taken)
        values = {
            "round": number + 1,
            "prefill": _at(row.prefill_ms_samples, number),
            "first": _at(row.first_token_ms_samples, number),
            "median": round(middle.median, 4),
            "least": round(min(taken), 4),
            "most": round(max(taken), 4),
            "e2e": _at(row.e2e_ms_samples, number),
        }
        found.append({t(f"benchmark.provenance.round.{name}"): value for name, value in values.items()})
    return found


def _at(samples: Sequence[float], number: int) -> float | None:
    return round(samples[number], 3) if number < len(samples) else None
