"""Show which implementation computed the figures of a page, per model and function."""

import re
from collections.abc import Sequence
from pathlib import PurePath

import streamlit as st

from models.records.trace import ModelTrace
from pages.shared import cache, html, notices
from pages.shared.memo import Memo
from pages.shared.state import session
from pages.shared.words import i18n, language
from pages.shared.words.i18n import t

_NOT_A_WORD = re.compile(r"[^a-z0-9]+")

_tables: Memo[html.Html] = Memo(128)


def what_ran(page: str, traces: Sequence[ModelTrace]) -> None:
    """Offer a popover with the implementation of every function of the runs, their device, precision and time."""
    with st.popover(t("ran.title"), type="tertiary", icon=":material/memory:", key=f"{page}.ran"):
        html.show(_table(trace, named=len(traces) > 1) for trace in traces)
        st.caption(t("ran.packages"))
    for trace in traces:
        _rounded(trace)


def _rounded(trace: ModelTrace) -> None:
    """Say of a model whose weights were stored rounded how far, and that the figures are of the rounded one."""
    if trace.checkpoint in cache.bundled():
        return
    found = cache.quantisation(trace.checkpoint)
    if found is not None and found.quantised:
        kinds = ", ".join(f"{kind} {share:.0%}" for kind, share in found.types.items())
        name = notices.plain(PurePath(trace.checkpoint).name)
        st.caption(t("ran.quantised", name=name, bits=f"{found.bits:.2g}", kinds=kinds))


def implementation(label: str) -> str:
    """Return an implementation's name in the visitor's language; names of packages and versions stay as they are."""
    key = f"ran.code.{_NOT_A_WORD.sub('_', label.lower()).strip('_')}"
    return t(key) if i18n.has(session.language(), key) else label


def _table(trace: ModelTrace, *, named: bool) -> html.Html:
    """Make the table of a run. It is kept by the facts in it, so that no trace is kept for it."""
    ran = tuple(trace.implementation.items())
    key = (language.current(), trace.architecture, trace.device, trace.dtype, trace.seconds, ran, named)
    return _tables.get(key, (), lambda: _written(trace, named=named))


def _written(trace: ModelTrace, *, named: bool) -> html.Html:
    name = f"{t(f'nav.{trace.architecture}')} · " if named else ""
    facts = t("ran.facts", device=trace.device.upper(), dtype=trace.dtype, ms=f"{trace.seconds * 1e3:,.0f}")
    rows = (
        html.row(html.heading(t(f"ran.function.{function}")), implementation(label))
        for function, label in trace.implementation.items()
    )
    return html.table(rows, kind="cs-ran", caption=name + facts)
