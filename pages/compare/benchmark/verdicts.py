"""Write the verdicts of a run as sentences: which architecture is faster, or that the difference is not significant."""

import math
from collections.abc import Mapping, Sequence

import streamlit as st

from models.bench.judge import comparison, verdicts
from models.bench.judge.statistics import NEGLIGIBLE, Verdict, compare_exponents, growth_exponent
from models.bench.judge.verdicts import Judged
from models.records.interval import Interval
from models.records.measurement import Measurement
from models.records.run import Run
from pages.compare.benchmark import ratios
from pages.compare.benchmark.address import PAGE
from pages.compare.benchmark.naming import series_name
from pages.shared import html, layout, notices
from pages.shared.memo import Memo
from pages.shared.state import session
from pages.shared.words import units
from pages.shared.words.i18n import t

LEAST_SIZES = 3  # contexts from which growth can be fitted

_kept: Memo[tuple[html.Html | None, str]] = Memo()  # the table and the line on growth of a run in a language


def section(run: Run, before: Run | None = None) -> None:
    """Draw the pairs of the longest common context, reading and writing, each with its ratio and interval.

    before: the run that was shown before this one began; its verdicts stay, pale, until this one has times.
    """
    st.header(t("benchmark.verdict.title"), anchor="verdicts")
    st.markdown(t("benchmark.verdict.text"))
    pale = before is not None and not any(row.timed for row in run.current)
    shown = before if before is not None and pale else run
    with layout.place(PAGE, "judged_before"):
        if pale:
            with st.container(key=f"ghost-{PAGE}.verdicts"):  # makes the figure of its place pale
                html.show(html.element("i"))
    with layout.place(PAGE, "ratios"):
        ratios.picture(shown, _said)
    with st.container(border=True, key=f"card-{PAGE}.verdicts"):
        _verdicts(shown)


def _said(one: Judged) -> str:
    return sentence(one.found, *(series_name(row.architecture) for row in (one.a, one.b)), margin=one.margin)


def _verdicts(run: Run) -> None:
    key = (run.run_id, session.language())
    table, line = _kept.get(key, (run,), lambda: (_table(run), growth_line(run.current)))
    if table is None:
        st.caption(t("benchmark.verdict.none"))
        return
    html.show(table)
    st.caption(t("benchmark.verdict.note"))
    if line:
        st.markdown(notices.plain(line))


def _table(run: Run) -> html.Html | None:
    """Write a row per pair; None without any."""
    found = list(verdicts.judged(run.current))
    if not found:
        return None
    pairs: dict[tuple[str, str], dict[str, Judged]] = {}
    for one in found:
        pairs.setdefault((one.a.cell_id, one.b.cell_id), {})[one.phase] = one
    batches = len({one.a.batch for one in found}) > 1
    head = (t(f"benchmark.verdict.{name}") for name in ("pair", *verdicts.PHASES))
    rows = (_row(phases, batches=batches) for phases in pairs.values())
    return html.scrolling(html.table(rows, kind="cs-table cs-verdicts cs-cards", head=head))


def sentence(found: Verdict, a: str, b: str, *, margin: float = NEGLIGIBLE) -> str:
    """Write a verdict as a sentence: faster by which factor, or not distinguishable with the interval of the ratio.

    margin: the share from which a difference counted when the verdict was made.
    """
    if not math.isfinite(found.ratio.high):
        return t("benchmark.verdict.once")
    if found.kind == "indistinguishable":
        return _alike(found.decisive, a, b, margin)
    ratio, low, high = found.ratio.value, found.ratio.low, found.ratio.high
    if found.kind == "faster":  # a takes less time: say how many times as fast it is
        ratio, low, high = 1 / ratio, 1 / high, 1 / low
    first, second = (a, b) if found.kind == "faster" else (b, a)
    values = {"ratio": units.ratio(ratio), "low": units.ratio(low), "high": units.ratio(high)}
    return t("benchmark.verdict.faster", a=first, b=second, **values)


def growth_line(rows: tuple[Measurement, ...]) -> str:
    """Write, pair by pair, whose prefill time grows faster, or that the exponents are not distinguishable."""
    curves: dict[str, list[tuple[int, Sequence[Sequence[float]]]]] = {}
    gaps: set[str] = set()  # architectures whose rounds are not numbered by turns: one was left out, or there were none
    for row in sorted(rows, key=lambda row: row.context):
        if row.measured and row.in_rounds and row.batch == 1 and not row.batch_limit and row.prefill_ms_samples:
            curves.setdefault(row.architecture, []).append((row.context, comparison.rounds(row, "prefill")))
            gaps |= {row.architecture} if row.rounds_unsteady or row.tool else set()
    curves = {name: curve for name, curve in curves.items() if len({size for size, _ in curve}) >= LEAST_SIZES}
    if len(curves) < 2:
        return ""
    exponents = {
        name: growth_exponent([size for size, _ in curve], [[v for r in rounds for v in r] for _, rounds in curve])
        for name, curve in curves.items()
    }
    steepest, *others = sorted(curves, key=lambda name: -exponents[name].value)
    apart = [
        name
        for name in others
        if compare_exponents(curves[steepest], curves[name], paired=not gaps & {steepest, name}).excludes(0)
    ]
    names = ", ".join(series_name(name) for name in apart)
    values = {"name": series_name(steepest), "k": f"{exponents[steepest].value:.2f}"}
    if not apart:
        return t("benchmark.verdict.growth_same", **values)
    return t("benchmark.verdict.growth_apart", others=names, **values)


def _alike(found: Interval, a: str, b: str, margin: float) -> str:
    """State why two cells do not count as different: the interval contains 1, or the ratio is too close to 1."""
    if not found.excludes(1):
        low, high = units.ratio(found.low), units.ratio(found.high)
        return t("benchmark.verdict.indistinguishable", a=a, b=b, low=low, high=high)
    small = 1 / (1 + margin) <= found.low and found.high <= 1 + margin
    key = f"benchmark.verdict.{'small' if small else 'perhaps_small'}"
    return t(key, a=a, b=b, low=f"{found.low:.3f}", high=f"{found.high:.3f}", margin=f"{100 * margin:g}")


def _row(phases: Mapping[str, Judged], *, batches: bool) -> html.Html:
    """Write one pair: its names, the length, and the verdicts on prefill and decoding."""
    one = next(iter(phases.values()))
    a, b = (series_name(row.architecture) for row in (one.a, one.b))
    place = t("benchmark.verdict.at", tokens=units.count(one.a.context))
    place += f" · {t('benchmark.plan.batch', count=one.a.batch)}" if batches else ""
    pair = html.heading(f"{a} · {b}", html.element("br"), html.element("small", place))
    return html.row(pair, *(_phase_html(phase, phases.get(phase), a, b) for phase in verdicts.PHASES))


def _phase_html(phase: str, one: Judged | None, a: str, b: str) -> html.Html:
    at = t(f"benchmark.verdict.{phase}")
    return html.element("td") if one is None else verdict_html(one.found, a, b, margin=one.margin, at=at)


def verdict_html(found: Verdict, a: str, b: str, *, margin: float, at: str | None = None) -> html.Html:
    """Write a verdict as a table cell, muted if the pair is not distinguishable; at: the words of its column."""
    quiet = " cs-quiet" if found.kind == "indistinguishable" else ""
    return html.element("td", sentence(found, a, b, margin=margin), class_=f"cs-say{quiet}", data_at=at)
