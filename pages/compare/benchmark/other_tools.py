"""Say of rows that another program measured what they lack, what is left out, and why nothing is judged of some."""

from collections.abc import Sequence

import streamlit as st

from models.bench.judge import verdicts
from models.records.measurement import TOOLS, Measurement
from models.records.run import Run
from pages.shared import notices
from pages.shared.words import units
from pages.shared.words.i18n import t

NAMED = 6  # tests named that are left out; more are counted
_SERVED = TOOLS[1:3]  # they measure a server, from outside
_NEEDS = {
    "prefill": ("prefill_ms_samples", "ttft_ms_med"),
    "decode": ("decode_ms_samples", "tpot_ms_med"),
    "carried": ("cache_bytes",),
    "peak": ("peak_bytes",),
    "energy": ("energy_j_per_token",),
    "sentinel": ("sentinel_before_ms",),
}


def told(run: Run) -> None:
    """Write the sentences about rows of other programs; nothing where there are none."""
    lines = sentences(run)
    if lines:
        st.info("\n".join(f"- {notices.plain(line)}" for line in lines), icon=":material/info:")


def sentences(run: Run) -> list[str]:
    """Return what is to be said of rows of other programs."""
    rows = [row for row in run.current if row.tool]
    if not rows:
        return []
    tools = ", ".join(dict.fromkeys(row.tool for row in rows))
    lines = [t("benchmark.tool.measured", tools=tools)]
    if lacking := [t(f"benchmark.tool.lacks.{name}") for name in _NEEDS if _lacks(rows, name)]:
        lines.append(t("benchmark.tool.lacking", list=", ".join(lacking)))
    if served := dict.fromkeys(row.tool for row in rows if row.tool in _SERVED):
        lines.append(t("benchmark.tool.served", tools=", ".join(served)))
    if any(row.tool == TOOLS[0] and row.context == 1 and row.decode_tokens for row in rows):
        lines.append(t("benchmark.tool.begins", tool=TOOLS[0]))
    if loose := sum(row.timed and not row.in_rounds for row in rows):
        lines.append(t("benchmark.tool.no_rounds", count=units.count(loose), total=units.count(len(rows))))
    if _unlike(rows):
        lines.append(t("benchmark.tool.unlike"))
    return lines + _left_out(run)


def drawable(rows: Sequence[Measurement], *names: str) -> bool:
    """Return whether rows have something to draw of one of the quantities: those of ours always, if only why not."""
    return any(not row.tool for row in rows) or not all(_lacks(rows, name) for name in names)


def _lacks(rows: Sequence[Measurement], name: str) -> bool:
    return not any(getattr(row, column) for row in rows for column in _NEEDS[name])


def _unlike(rows: Sequence[Measurement]) -> bool:
    """Return whether series meet at a length and batch, and yet none may be judged against another."""
    places = {(row.context, row.batch, row.architecture) for row in rows if row.timed and row.in_rounds}
    return len({place[:2] for place in places}) < len(places) and not any(verdicts.judged(rows))


def _left_out(run: Run) -> list[str]:
    """Name the tests of the file that no row can say."""
    names = run.environment.get("left_out")
    if not isinstance(names, list) or not names:
        return []
    shown = ", ".join(map(str, names[:NAMED])) + (", …" if len(names) > NAMED else "")
    return [t("benchmark.tool.left_out", count=units.count(len(names)), list=shown)]
