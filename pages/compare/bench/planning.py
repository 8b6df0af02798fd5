"""Choose what to measure, see what it should cost before it runs, and press Run."""

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import TypeVar

import streamlit as st

from models.bench import environment, runner
from models.bench.plan import PRESETS, Plan, Prediction, make_plan
from pages.shared import cache, notices
from pages.shared.i18n import t
from pages.shared.layout import bytes_text

PAGE = "benchmark"
T = TypeVar("T", str, int)
SHOWN_PRESETS = ("quick", "careful", "long")
CONTEXTS = tuple(2**n for n in range(7, 16))
BATCHES = (1, 4, 16)
_FIRST = SHOWN_PRESETS[0]


def planner() -> Plan | None:
    """Show the choices and the plan they make; None when nothing is chosen or the plan is impossible."""
    with st.container(border=True, key=f"card-{PAGE}.plan"):
        st.html(f'<h3 class="cs-title">{escape(t("benchmark.plan.title"))}</h3>')
        preset = _preset()
        with st.container(gap="small", key=f"pick-{PAGE}.what"):
            names = _many("architectures", cache.bundled(), lambda name: t(f"nav.{name}"), cache.bundled())
            contexts = _many("contexts", CONTEXTS, lambda n: f"{n:,}", PRESETS[preset]["contexts"])
        with st.container(horizontal=True, gap="small", key=f"pick-{PAGE}.how"):
            batch = _one("batch", BATCHES)
            device = _one("device", environment.devices(), lambda name: name.upper())
        st.caption(_machine_note(device))
        if not names or not contexts:
            st.text(t("benchmark.plan.empty"))
            return None
        chosen = PRESETS[preset]
        sources = {name: name for name in names}
        plan: Plan | None = None
        with notices.guarded():
            plan = make_plan(
                sources, contexts, batch=batch, device=device, decode_tokens=chosen["decode_tokens"],
                rounds=chosen["rounds"], rates=runner.shared().rates(),
            )  # fmt: skip
            st.html(_grid(plan))
            st.caption(t("benchmark.plan.predicted"))
        return plan


def start_button(plan: Plan | None) -> None:
    """Offer to run the plan; the run's id goes into the address, so that a reload keeps it."""

    def start() -> None:
        if plan is not None:
            st.query_params["run"] = runner.shared().submit(plan)

    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key=f"start-{PAGE}"):
        words, icon = t("benchmark.run"), ":material/play_arrow:"
        st.button(words, key=f"{PAGE}.run", type="primary", icon=icon, on_click=start, disabled=plan is None)
        if plan is not None:
            most = max(prediction.bytes_total for prediction in plan.predictions)
            st.text(
                t("benchmark.plan.total", cells=len(plan.cells), time=duration(plan.seconds), memory=bytes_text(most))
            )


def duration(seconds: float) -> str:
    """Write a time as people say it: seconds below two minutes, minutes from there."""
    if seconds < 120:
        return t("benchmark.seconds", count=max(math.ceil(seconds), 1))
    return t("benchmark.minutes", count=round(seconds / 60))


def _preset() -> str:
    """Let the visitor take a ready set of lengths; it replaces the lengths chosen before."""
    key = f"{PAGE}.preset"

    def changed() -> None:
        st.session_state[f"{PAGE}.contexts"] = list(PRESETS[st.session_state[key]]["contexts"])

    st.session_state.setdefault(key, _FIRST)
    with st.container(key=f"pick-{PAGE}.preset"):
        st.segmented_control(
            t("benchmark.preset.label"), SHOWN_PRESETS, format_func=lambda name: t(f"benchmark.preset.{name}"),
            key=key, required=True, on_change=changed, persist_state="session",
        )  # fmt: skip
    return str(st.session_state[key])


def _many(name: str, options: Sequence[T], label: Callable[[T], str], default: Sequence[T]) -> list[T]:
    key = f"{PAGE}.{name}"
    st.session_state.setdefault(key, [value for value in default if value in options])
    words = t(f"benchmark.{name}")
    st.pills(words, options, selection_mode="multi", key=key, format_func=label, persist_state="session")
    return [value for value in options if value in st.session_state[key]]


def _one(name: str, options: Sequence[T], label: Callable[[T], str] = str) -> T:
    key = f"{PAGE}.{name}"
    st.session_state.setdefault(key, options[0])
    words = t(f"benchmark.{name}")
    st.segmented_control(words, options, key=key, required=True, format_func=label, persist_state="session")
    value: T = st.session_state[key]
    return value if value in options else options[0]


def _machine_note(device: str) -> str:
    name = environment.device_name(device)
    key = "benchmark.machine.cpu" if device == "cpu" else "benchmark.machine.gpu"
    return notices.plain(t(key, name=name, cores=environment.usable_cores()))


def _grid(plan: Plan) -> str:
    """Draw the cells as a table, architectures by contexts, each with its predicted bytes and time."""
    found = {(cell.architecture, cell.context): p for cell, p in zip(plan.cells, plan.predictions, strict=True)}
    contexts = sorted({context for _, context in found})
    head = "".join(f'<th scope="col">{context:,}</th>' for context in contexts)
    body = ""
    for name in (name for name in cache.bundled() if any(architecture == name for architecture, _ in found)):
        title = f'<span class="cs-name">{escape(t(f"nav.{name}"))}</span>'
        body += f'<tr><th scope="row" class="cs-{escape(name)}">{title}</th>'
        body += "".join(_cell(found[name, context]) for context in contexts) + "</tr>"
    corner = f'<th scope="col">{escape(t("benchmark.tokens"))}</th>'
    table = f'<table class="cs-table"><thead><tr>{corner}{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="cs-scroll">{table}</div>'


def _cell(prediction: Prediction) -> str:
    size = escape(bytes_text(prediction.bytes_total))
    if prediction.fits:
        return f"<td>{size}<br>{escape(duration(prediction.seconds))}</td>"
    return f'<td class="cs-hatched">{size}<br>{escape(t("benchmark.plan.too_large"))}</td>'
