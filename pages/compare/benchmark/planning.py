"""The plan of the next run: its line with the button that starts it, and its table where the settings are open.

A visit keeps the plans that it has made. The free memory and the speed of a machine in use change all the time, and a
plan that changes with them between two clicks would be another question; the run looks at both again when it starts.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from models.bench.plan.plan import Plan, make_plan
from models.bench.plan.prediction import FITS
from models.bench.plan.settings import PRESETS
from models.bench.run import runner
from models.sources import sizes
from pages.compare.benchmark import grid, settings
from pages.compare.benchmark.address import PAGE, show
from pages.shared import gate, html, journal, notices, unfolding
from pages.shared.state import session
from pages.shared.words import units
from pages.shared.words.i18n import t

KEPT = 16  # plans of a visit
REMEMBERED = 20  # runs that a visit has started
STARTED = f"{PAGE}.started"  # their ids, the newest last
FORMER = f"{PAGE}.former"  # run id -> the run that was shown when it was started
_PLANS = f"{PAGE}.plans"


def section(*, shown: str, begun: Callable[[str], None]) -> Plan | None:
    """Draw the line of the plan, and what it is made of where that is open; returns the plan, None without one.

    shown: the id of the run on the page. begun: called with the id of a run that is started here.
    """
    settings.begin()
    asked = settings.chosen()
    with st.container(key=f"plan-{PAGE}", gap="small"):
        plan: Plan | None = None
        with notices.guarded():
            plan = _planned(asked)
        _start(plan, shown=shown, begun=begun)
        chosen = asked["architectures"] and asked["contexts"] and asked["batches"]
        line = _line(plan) if plan is not None else t(f"benchmark.plan.{'none' if chosen else 'empty'}")
        with unfolding.section(line, key=f"{PAGE}.settings") as opened:
            if opened.open:
                _unfolded(plan, asked)
    return plan


def _unfolded(plan: Plan | None, asked: Mapping[str, Any]) -> None:
    settings.ask()
    html.show(html.title(t("benchmark.plan.title"), level=2))
    st.caption(t("benchmark.plan.words"))
    if plan is None:
        return
    grid.draw(plan)
    with notices.guarded():
        _offer_time(plan, asked)
    st.button(
        t("benchmark.plan.again"), key=f"{PAGE}.plan_again", type="tertiary", icon=":material/refresh:",
        help=t("benchmark.plan.again_help"), on_click=lambda: st.session_state.pop(_PLANS, None),
    )  # fmt: skip


def _line(plan: Plan) -> str:
    """Sum a plan up: how many cells, how long, how much memory."""
    if not any(prediction.fits for prediction in plan.predictions):
        return t("benchmark.plan.line", total=t("benchmark.plan.total_unfit", cells=len(plan.cells)))
    most = max(prediction.bytes_total for prediction in plan.predictions)
    values = {"cells": len(plan.cells), "time": units.duration(plan.seconds), "memory": units.size(most)}
    return t("benchmark.plan.line", total=t("benchmark.plan.total", **values))


def _planned(asked: Mapping[str, Any]) -> Plan | None:
    """Return the plan of these choices as it was first made in this visit; None where too little is chosen."""
    told = dict(asked)
    del told["preset"]
    names, contexts = told.pop("architectures"), tuple(told.pop("contexts"))
    if not (names and contexts and told["batches"]):
        return None
    sources = sizes.sources(told["size"], names, match=told.pop("match"))
    return _kept((tuple(sources.items()), contexts, _hashable(told)), sources, contexts, told)


def _hashable(told: Mapping[str, Any]) -> Hashable:
    return tuple((name, tuple(value) if isinstance(value, list) else value) for name, value in sorted(told.items()))


def _kept(key: Hashable, sources: Mapping[str, str], contexts: tuple[int, ...], told: Mapping[str, Any]) -> Plan:
    plans: dict[Hashable, Plan] = st.session_state.setdefault(_PLANS, {})
    if key not in plans:
        with gate.released():  # rates are learnt from what the store holds
            rates = runner.shared().rates()
        plans[key] = make_plan(sources, contexts, rates=rates, **told)
        while len(plans) > KEPT:
            del plans[next(iter(plans))]
    plans[key] = plans.pop(key)  # the one that was looked at last goes last
    return plans[key]


def _start(plan: Plan | None, *, shown: str, begun: Callable[[str], None]) -> None:
    """Offer to run the plan; the run's id goes into the address, so that a reload keeps it, and to begun."""
    nothing = plan is not None and not any(prediction.fits for prediction in plan.predictions)

    def start() -> None:
        with notices.guarded():  # a choice may have been made since the page was drawn
            if (chosen := _planned(settings.chosen())) is not None:
                run(chosen, shown=shown, begun=begun)

    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"start-{PAGE}"):
        if plan is not None and (said := _queue(plan.cells[0].device)):
            st.text(said)
        words, icon = t("benchmark.run"), ":material/play_arrow:"
        off = plan is None or nothing
        st.button(words, key=f"{PAGE}.run", type="primary", icon=icon, on_click=start, disabled=off)
    if plan is not None and nothing:
        _nothing_fits(plan)


def run(plan: Plan, *, shown: str, begun: Callable[[str], None]) -> None:
    """Start a plan; the run's id goes into the address and to begun. shown: the id of the run on the page."""
    with notices.guarded():
        run_id = runner.shared().submit(plan)
        journal.note("start", run=run_id)
        remember(run_id, shown)
        st.query_params.pop("plan", None)  # it is that of the run now
        show(run_id)
        begun(run_id)


def remember(run_id: str, shown: str) -> None:
    """Note that this visit has started a run, and which one it looked at then."""
    st.session_state[STARTED] = [*st.session_state.get(STARTED, ()), run_id][-REMEMBERED:]
    if shown and shown != run_id:
        former = {**st.session_state.get(FORMER, {}), run_id: shown}
        st.session_state[FORMER] = dict(list(former.items())[-REMEMBERED:])


def _queue(device: str) -> str:
    """Say what is under way on a device: this visitor's own run, and how many of others; "" where nothing is."""
    here = runner.shared()
    own = [now for run_id in st.session_state.get(STARTED, ()) if (now := here.progress(run_id)) and now.live]
    own = [now for now in own if now.device == device]
    others = here.waiting(device) - len(own)
    running = any(now.state == "running" for now in own)
    parts = [t("benchmark.queue.yours" if running else "benchmark.queue.yours_waits")] if own else []
    parts += [t("benchmark.queue.others", count=others)] if others > 0 else []
    return " · ".join(parts)


@dataclass(frozen=True, slots=True)
class _Smaller:
    """The nearest size that fits, and what its smallest cell needs."""

    key: str
    need: int


def _nothing_fits(plan: Plan) -> None:
    """Say what the smallest cell needs and what is there, and offer the nearest size of which one fits."""
    long = [prediction for prediction in plan.predictions if prediction.positions_needed]
    if len(long) == len(plan.predictions):
        st.warning(t("benchmark.plan.all_too_long", limit=units.count(long[0].positions)), icon=":material/info:")
        return
    need = min(prediction.bytes_held for prediction in plan.predictions if not prediction.positions_needed)
    room = units.size(FITS * (plan.free_bytes or 0))
    said = t("benchmark.plan.nothing_fits", need=units.size(need), room=room, free=units.size(plan.free_bytes or 0))
    st.warning(notices.plain(said), icon=":material/info:")
    with notices.guarded():
        if (found := _nearest(plan)) is not None:
            name = sizes.tier(found.key).name[session.language()]
            words = t("benchmark.plan.take_size", size=name, need=units.size(found.need))
            st.button(words, key=f"{PAGE}.smaller", on_click=settings.choose, args=("size", found.key))


def _nearest(plan: Plan) -> _Smaller | None:
    """Return the largest size below that of a plan whose smallest cell has room."""
    asked = settings.chosen()
    place = (min(asked["batches"]), min(asked["contexts"]))
    with gate.released():
        rates = runner.shared().rates()
    for key in reversed(sizes.TIERS[: sizes.TIERS.index(plan.cells[0].size)]):
        sources = sizes.sources(key, asked["architectures"], match=asked["match"])
        told = {name: asked[name] for name in ("device", *settings.OPTIONS)}
        made = make_plan(sources, [place[1]], places=[place], size=key, rates=rates, **told)
        if fitting := [prediction.bytes_held for prediction in made.predictions if prediction.fits]:
            return _Smaller(key, min(fitting))
    return None


def _offer_time(plan: Plan, asked: Mapping[str, Any]) -> None:
    """Offer the least time of a ready plan in which more of the cells are measured that had to be left out."""
    budgets = sorted({ready["budget_s"] for ready in PRESETS.values() if ready["budget_s"] > asked["budget_s"]})
    for budget in budgets if plan.dropped else ():
        longer = _planned({**asked, "budget_s": budget})
        gained = len(plan.dropped) - len(longer.dropped) if longer is not None else 0
        if gained > 0:
            words = t("benchmark.plan.more_time", count=gained, time=units.duration(budget))
            st.button(
                words, key=f"{PAGE}.more_time", icon=":material/schedule:", on_click=settings.choose,
                args=("budget_s", budget),
            )  # fmt: skip
            return
