"""How good the predictions of this machine are: what was predicted against what was measured, in a figure and words."""

from collections.abc import Iterator, Sequence

import streamlit as st

from models.bench.plan.prediction_error import Deviation, DeviceErrors, of_store, summarise
from models.bench.run import runner
from models.bench.run.runner import LEARNT_ROWS
from pages.compare.benchmark.address import PAGE
from pages.shared import figure, gate, html, layout, notices, style
from pages.shared.memo import Memo
from pages.shared.state import session
from pages.shared.words import units
from pages.shared.words.i18n import t
from viz.bench.predictions import PredictedCell, prediction_error
from viz.figure import Figure

DRAWN = ("bytes", "decode", "prefill")
NONE = "\N{EN DASH}"
TOLD = (*DRAWN, "seconds")

_judged: Memo[tuple[DeviceErrors, ...]] = Memo(2)
_figures: Memo[Figure | None] = Memo(16)
_told: Memo[tuple[str, html.Html]] = Memo(8)  # the sentences and the table of a device in a language


def section() -> None:
    """Judge the predictions of every device of this machine by what its rows hold, or say that there are none."""
    layout.section_of(PAGE, "predictions", _drawn)


def _drawn() -> None:
    found = {one.device: one for one in _of_this_machine()}
    if not found:
        st.info(t("benchmark.predictions.none"), icon=":material/info:")
        return
    one = found[_chosen([*found])]
    with gate.released():
        key = (one.device, session.language())
        drawn = _figures.get((*key, style.theme().mode), (one,), lambda: _figure(one))
        said, table = _told.get(key, (one,), lambda: (notices.plain(" ".join(_sentences(one))), _table(one)))
    if drawn is not None:
        figure.show(drawn, key=f"{PAGE}.predictions", subtitle=one.device, source=one.device)
    with st.container(border=True, key=f"card-{PAGE}.errors"):
        st.markdown(said)
        html.show(table)


def _of_this_machine() -> list[DeviceErrors]:
    """Return the devices with a prediction to judge; computed again when the store or the rates have changed."""
    here = runner.shared()
    with gate.released():
        rates = here.rates()
        judged = _judged.get(here.store.state(), (rates,), lambda: of_store(here.store.recent_rows(LEARNT_ROWS), rates))
    return [one for one in judged if one.here and one.pairs["bytes"]]


def _chosen(devices: Sequence[str]) -> str:
    """Ask for one of several devices."""
    if len(devices) == 1:
        return devices[0]
    key = f"{PAGE}.predictions.device"
    if st.session_state.get(key) not in devices:
        st.session_state[key] = devices[0]
    with st.container(key=f"pick-{key}"):
        st.segmented_control(
            t("benchmark.predictions.device"), devices, key=key, required=True, label_visibility="collapsed"
        )
    return str(st.session_state[key])


def _figure(one: DeviceErrors) -> Figure | None:
    cells = {quantity: _cells(one.pairs[quantity]) for quantity in DRAWN}
    return prediction_error(cells, theme=style.theme(), t=t)


def _cells(pairs: Sequence[Deviation]) -> tuple[PredictedCell, ...]:
    return tuple(
        PredictedCell(pair.row.architecture, pair.row.context, pair.row.batch, pair.predicted, pair.measured)
        for pair in pairs
    )


def _sentences(one: DeviceErrors) -> Iterator[str]:
    """Write the errors of memory and of a token, and what learning makes of the latter."""
    for quantity in DRAWN[:2]:
        if (found := summarise(one.pairs[quantity])) is not None:
            values = {"middle": _share(found.middle), "most": _share(found.nine_of_ten)}
            yield t(f"benchmark.predictions.said_{quantity}", count=units.count(found.count), **values)
    if (worth := _worth(one, "decode")) is not None:
        yield t("benchmark.predictions.learnt", learnt=_share(worth[0]), bare=_share(worth[1]))
    elif len({pair.row.run_id for pair in one.pairs["bytes"]}) == 1:
        yield t("benchmark.predictions.one_run")


def _worth(one: DeviceErrors, quantity: str) -> tuple[float, float] | None:
    """Return the middle error of runs predicted from all other runs, and the one with nothing learnt."""
    if quantity not in one.held_out:
        return None
    learnt, bare = (summarise(pairs) for pairs in (one.held_out[quantity].learnt, one.held_out[quantity].bare))
    return None if learnt is None or bare is None else (learnt.middle, bare.middle)


def _table(one: DeviceErrors) -> html.Html:
    """Draw the errors of every quantity: as it was predicted, and as it would be."""
    head = [
        t(f"benchmark.predictions.{name}") for name in ("quantity", "cells", "middle", "most", "from_others", "bare")
    ]
    rows = []
    for quantity in TOLD:
        found, worth = summarise(one.pairs[quantity]), _worth(one, quantity)
        if found is None and worth is None:
            continue
        told = (
            [NONE] * 3 if found is None else [units.count(found.count), _share(found.middle), _share(found.nine_of_ten)]
        )
        told += [NONE] * 2 if worth is None else [_share(error) for error in worth]
        cells = (html.element("td", text, data_at=name) for name, text in zip(head[1:], told, strict=True))
        rows.append(html.row(html.heading(t(f"benchmark.predictions.{quantity}")), *cells))
    return html.scrolling(html.table(rows, kind="cs-table cs-cards", head=head))


def _share(error: float) -> str:
    return f"{error:.1%}" if error < 0.1 else f"{error:.0%}"
