"""Compare the measured values of a run with published ones, aspect by aspect."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from models.bench.judge.statistics import growth_exponent, spread
from models.records.measurement import Measurement
from models.records.run import Run
from pages.compare.benchmark.address import PAGE
from pages.shared import cache, html
from pages.shared.memo import Memo
from pages.shared.state import session
from pages.shared.words import content, units
from pages.shared.words.content import section
from pages.shared.words.i18n import t

ASPECTS = ("context", "time_complexity", "speed", "parameter_efficiency", "memory")

_kept: Memo[html.Html] = Memo()  # the table of a run in a language
TIMED = ("time_complexity", "speed")


def comparison(run: Run | None) -> None:
    """Draw the table: a row per aspect, a column per architecture, published first and measured under it."""
    st.header(section(PAGE, "table.title"), anchor="table")
    st.markdown(section(PAGE, "table.text"))
    with st.container(border=True, key=f"card-{PAGE}.comparison"):
        run_id = run.run_id if run else ""
        written = _kept.get((run_id, session.language()), (run,), lambda: html.scrolling(_table(_by_architecture(run))))
        html.show(written)


def measured_text(rows: Sequence[Measurement], aspect: str) -> str:
    """Return the result of a run on one aspect of one architecture; empty if it has none."""
    found = _FOUND[aspect](rows) if rows else ""
    if found and rows[0].batch > 1:
        found = f"{t('benchmark.plan.batch', count=rows[0].batch)}: {found}"
    doubtful = found and aspect in TIMED and any(row.timed and row.noise == "unusable" for row in rows)
    return f"{found}. {t('benchmark.measured.unsteady')}" if doubtful else found


def _by_architecture(run: Run | None) -> dict[str, list[Measurement]]:
    """Return each architecture's rows by length, all of one batch: the smallest, as larger ones cost something else."""
    rows = [row for row in (run.current if run else ()) if row.measured and not row.batch_limit]
    smallest = min((row.batch for row in rows), default=1)
    alike = sorted((row for row in rows if row.batch == smallest), key=lambda row: row.context)
    return {name: [row for row in alike if row.architecture == name] for name in cache.bundled()}


def _table(measured: Mapping[str, Sequence[Measurement]]) -> html.Html:
    names = [name for name in content.table("comparison") if name in measured]
    columns = (html.element("th", html.named(t(f"nav.{name}")), scope="col", class_=f"cs-{name}") for name in names)
    rows = (_row(aspect, {name: measured[name] for name in names}) for aspect in ASPECTS)
    return html.table(rows, kind="cs-table cs-words", head=(html.element("td"), *columns))


def _row(aspect: str, measured: Mapping[str, Sequence[Measurement]]) -> html.Html:
    cells = []
    for name, rows in measured.items():
        found = measured_text(rows, aspect) or t("benchmark.measured.none")
        here = html.element("span", t("benchmark.measured.here"))
        cells.append(
            html.element(
                "td",
                _published(content.table("comparison")[name][aspect]),
                html.element("p", here, f" {found}", class_="cs-measured"),
            )
        )
    return html.row(html.heading(t(f"benchmark.aspect.{aspect}")), *cells)


def _published(entry: Mapping[str, Any]) -> html.Html:
    """Write a published value, with its source and the checked claims behind it one click away."""
    claims = {claim["id"]: claim for claim in content.table("claims")}
    checked = [claims[name] for name in entry.get("claims", ()) if name in claims]
    facts = html.element("ul", (html.element("li", claim[f"truth_{session.language()}"]) for claim in checked))
    source = html.element("p", entry["source"])
    return html.text(
        html.element("p", entry[session.language()]),
        html.element("details", html.element("summary", t("benchmark.source")), source, facts),
    )


def _longest(rows: Sequence[Measurement]) -> str:
    return t("benchmark.measured.context", tokens=units.count(rows[-1].context))


def _growth(rows: Sequence[Measurement]) -> str:
    groups = [(row.context, row.prefill_ms_samples) for row in rows if row.prefill_ms_samples]
    if len(groups) < 3:
        return ""
    fit = growth_exponent([context for context, _ in groups], [samples for _, samples in groups])
    first, last = groups[0][0], groups[-1][0]
    return t("benchmark.measured.growth", k=f"{fit.value:.2f}", low=f"{fit.low:.2f}", high=f"{fit.high:.2f}",
             first=units.count(first), last=units.count(last))  # fmt: skip


def _speed(rows: Sequence[Measurement]) -> str:
    last = next((row for row in reversed(rows) if row.decode_ms_samples and row.ttft_ms_med), None)
    if last is None or not last.ttft_ms_med:
        return ""
    decode = spread(last.decode_ms_samples)
    read = last.batch * last.context / last.ttft_ms_med * 1e3
    return t("benchmark.measured.speed", tokens=units.count(last.context), read=f"{read:,.0f}",
             median=f"{decode.median:.2f}", low=f"{decode.low:.2f}", high=f"{decode.high:.2f}",
             count=decode.count)  # fmt: skip


def _parameters(rows: Sequence[Measurement]) -> str:
    row = rows[-1]
    if row.params_total is None or row.params_active is None:
        return ""
    return t(
        "benchmark.measured.parameters", total=units.compact(row.params_total), active=units.compact(row.params_active)
    )


def _memory(rows: Sequence[Measurement]) -> str:
    counted = [row for row in rows if row.cache_bytes is not None]
    if not counted:
        return ""
    first, last = counted[0], counted[-1]
    return t("benchmark.measured.memory", first=units.count(first.context), small=units.size(first.cache_bytes or 0),
             last=units.count(last.context), large=units.size(last.cache_bytes or 0))  # fmt: skip


_FOUND = {
    "context": _longest,
    "time_complexity": _growth,
    "speed": _speed,
    "parameter_efficiency": _parameters,
    "memory": _memory,
}
