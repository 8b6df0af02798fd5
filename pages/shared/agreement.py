"""A table that says what the maps of several models are worth: their rank agreement with two experiments."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from models.records.trace import ModelTrace
from models.switches.value import NONE, Switches
from pages.shared import cache, gate, gradients, html
from pages.shared.memo import Memo
from pages.shared.words.i18n import t
from viz.trace.overview import row_shares

if TYPE_CHECKING:
    from models.influence.agreement import Agreement

CLOSE = 0.05  # of a rank correlation: nearer than that, a map ranks tokens no better than recency
COLUMNS = ("map_gradient", "recency_gradient", "map_replaced", "gradient_replaced", "recency_replaced")

_kept: "Memo[Agreement]" = Memo(64)


def table(page: str, traces: Sequence[ModelTrace], names: Sequence[str] = (), off: Sequence[Switches] = ()) -> None:
    """Compute and write the agreement of every map, with recency beside it; takes a second or so for each model.

    off: what is switched off in the run of each trace, nothing without it.
    """
    called = list(names) or [t(f"nav.{trace.architecture}") for trace in traces]
    with st.spinner(t("agreement.computing"), show_time=False):
        found = [_of(trace, one) for trace, one in zip(traces, off or (NONE,) * len(traces), strict=True)]
    head = (t("agreement.model"), *(t(f"agreement.{column}") for column in COLUMNS))
    rows = [html.row(name, *(_written(getattr(one, column)) for column in COLUMNS))
            for name, one in zip(called, found, strict=True)]  # fmt: skip
    with st.container(key=f"agreement-{page}"):
        st.markdown(_verdict(called, found))
        html.show(html.table(rows, kind="cs-agreement", head=head))
        st.caption(t("agreement.note", rows=found[0].rows))


def _of(trace: ModelTrace, switches: Switches) -> "Agreement":
    from models.influence.agreement import agreement

    block = gradients.around(trace, switches)

    def make() -> "Agreement":
        with gate.released(), block():
            return agreement(cache.checkpoint(trace.checkpoint), trace, row_shares(trace))

    return _kept.get((trace.checkpoint, trace.prompt, switches), (trace,), make)


def _verdict(names: Sequence[str], found: "Sequence[Agreement]") -> str:
    """Say whose map ranks tokens better than recency, by both experiments, and whose does not."""
    better = [name for name, one in zip(names, found, strict=True) if beats_recency(one)]
    others = [name for name in names if name not in better]
    if not others:
        return t("agreement.all_better", names=", ".join(better))
    if not better:
        return t("agreement.none_better", names=", ".join(others))
    return t("agreement.some_better", better=", ".join(better), others=", ".join(others))


def beats_recency(one: "Agreement") -> bool:
    """Return whether a map agrees better than recency with both experiments, by more than CLOSE."""
    gains = (one.map_gradient - one.recency_gradient, one.map_replaced - one.recency_replaced)
    return all(gain > CLOSE for gain in gains)  # False for nan


def _written(value: float) -> str:
    return "\u2013" if math.isnan(value) else f"{value:.2f}".replace("-", "\u2212")
