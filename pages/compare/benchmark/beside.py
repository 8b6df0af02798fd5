"""Compare two runs cell by cell: verdicts on their times, the ratio of their memory, and what else differs."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from models.bench.judge.comparison import BETWEEN_RUNS, CellPair, Comparison, Refusal, compare
from models.records.run import Run
from pages.compare.benchmark.address import PAGE
from pages.compare.benchmark.naming import series_class, series_name
from pages.compare.benchmark.rows import captured
from pages.compare.benchmark.verdicts import verdict_html
from pages.shared import gate, html, notices
from pages.shared.implementation import implementation
from pages.shared.layout import moment_text
from pages.shared.state import session
from pages.shared.words import i18n, units
from pages.shared.words.i18n import t

REFUSED = 4  # refusals told in full; more are counted
PHASES = ("prefill", "decode")
LONGEST = 80  # characters of a value that changed

Changed = Mapping[str, tuple[Any, Any]]  # this run's value and the other's, by what differs


def beside(run: Run, second: Run | None) -> None:
    """Compare with another run, cell by cell; cells measured in another way are not compared, with the reason."""
    if second is None:
        return
    st.header(t("benchmark.beside.title"), anchor="beside")
    with st.container(border=True, key=f"card-{PAGE}.beside"):
        st.caption(notices.plain(t("benchmark.beside.dashed", name=_named(second))))
        with gate.released():
            found = compare(run, second)
        _draw(found)


def _named(run: Run) -> str:
    return f"{moment_text(run.created_ns)} · {html.forwards(run.title) or t('benchmark.untitled')}"


def _draw(found: Comparison) -> None:
    if found.pairs:
        head = (t(f"benchmark.beside.{name}") for name in ("cell", *PHASES, "memory"))
        everywhere = _everywhere(found.pairs)
        if everywhere:
            st.text(html.forwards(_differing(everywhere)))
        rows = (_pair(pair, everywhere) for pair in found.pairs)
        html.show(html.scrolling(html.table(rows, kind="cs-table cs-verdicts", head=head)))
        st.caption(t("benchmark.beside.note", margin=f"{100 * BETWEEN_RUNS:g}"))
    else:
        st.text(t("benchmark.beside.nothing"))
    if found.refused:
        told = list(dict.fromkeys(t(refusal.key, **_refused(refusal)) for refusal in found.refused))
        lines = [f"- {notices.plain(line)}" for line in told[:REFUSED]]
        st.caption("\n".join([t("benchmark.beside.refused", count=len(found.refused)), "", *lines]))


def _refused(refusal: Refusal) -> dict[str, Any]:
    """Write the values of a refusal; a state becomes what it says about the times."""
    if refusal.reason != "state":
        return dict(refusal.values)
    return {side: t(f"benchmark.beside.{'untimed' if state == 'untimed' else 'timed'}")
            for side, state in refusal.values.items()}  # fmt: skip


def _everywhere(pairs: Sequence[CellPair]) -> Changed:
    """Return the differences that all cells share, so that they are stated once."""
    first = pairs[0].changed
    return _seen({name: pair for name, pair in first.items() if all(p.changed.get(name) == pair for p in pairs)})


def _pair(pair: CellPair, told: Changed) -> html.Html:
    """Write one cell: its name and batch, its verdict, and below it the remaining differences."""
    row = pair.a
    name = t("benchmark.cell", name=series_name(row.architecture), tokens=units.count(row.context))
    batch = t("benchmark.plan.batch", count=row.batch)
    batch += f" · {t('benchmark.beside.largest')}" if row.batch_limit else ""
    title = html.heading(name, html.element("br"), html.element("small", batch), class_=series_class(row.architecture))
    ratio = pair.ratio("peak_bytes")
    memory = "" if ratio is None else t("benchmark.beside.times", ratio=f"{ratio:.2f}")
    changed = _seen({name: values for name, values in pair.changed.items() if name not in told})
    return html.text(html.row(title, *(_pair_html(pair, phase) for phase in PHASES), memory), _changed(changed))


def _pair_html(pair: CellPair, phase: str) -> html.Html:
    if phase not in pair.verdicts:
        return html.element("td")
    return verdict_html(
        pair.verdicts[phase], t("benchmark.beside.this"), t("benchmark.beside.that"), margin=BETWEEN_RUNS
    )


def _changed(changed: Changed) -> html.Html | None:
    """Write a row of what else differs between the two cells; nothing where nothing does."""
    if not changed:
        return None
    line = html.element("small", _differing(changed))
    return html.row(html.element("td", line, colspan=len(PHASES) + 2, class_="cs-say cs-quiet"))


def _differing(changed: Changed) -> str:
    """List the differences, values of this run first."""
    told = (f"{_label(name)} {' / '.join(_values(name, pair))}" for name, pair in changed.items())
    return t("benchmark.beside.changed", list=" · ".join(told))


def _seen(changed: Changed) -> Changed:
    """Leave out what differs but is written alike: two sizes of free memory that are 23.5 GiB both."""
    return {name: pair for name, pair in changed.items() if len(set(_values(name, pair))) > 1}


def _values(name: str, pair: tuple[Any, Any]) -> tuple[str, ...]:
    return tuple(_value(name, value) for value in pair)


def _label(name: str) -> str:
    """Name a setting, a function or a fact of the machine; names of packages stay as they are."""
    keys = (f"benchmark.differs.{name}", f"ran.function.{name}")
    return next((t(key) for key in keys if i18n.has(session.language(), key)), name)


def _value(name: str, value: Any) -> str:
    if value is None or value == "":
        return "–"
    if name.endswith("_bytes") and isinstance(value, int | float):
        return units.size(value)
    text = captured(str(value)) if name == "graph" else implementation(str(value))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
