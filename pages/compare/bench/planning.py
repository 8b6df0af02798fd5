"""Choose what to measure: a ready plan, or every setting of it; the plan that follows is shown before anything runs."""

from collections.abc import Callable, Sequence
from html import escape
from typing import TypeVar

import streamlit as st

from models.bench import environment, ladder, runner
from models.bench.cells import USUAL_DTYPE, kind_of
from models.bench.plan import Plan, make_plan
from models.bench.settings import ATTENTION, KERNELS, LIMITS, PRESETS, VIEWS
from pages.compare.bench import grid
from pages.shared import cache, notices, session
from pages.shared.i18n import t
from pages.shared.layout import bytes_text

PAGE = "benchmark"
T = TypeVar("T", str, int)
CONTEXTS = tuple(2**n for n in range(7, 18))
BATCHES = (1, 4, 8, 16, 32)
DTYPES = ("float32", "bfloat16", "float16")
_FIRST = "quick"
_SET = ("contexts", "batches", "decode_tokens", "rounds", "budget_s", "throughput")  # what a ready plan decides
_GPU_ATTENTION = ("efficient", "cudnn")


def planner() -> Plan | None:
    """Show the choices and the plan they make; None when nothing is chosen or the plan is impossible."""
    with st.container(border=True, key=f"card-{PAGE}.plan"):
        st.html(f'<h3 class="cs-title">{escape(t("benchmark.plan.title"))}</h3>')
        device = _which()
        asked = _how(device)
        names = _chosen("architectures", tuple(cache.architectures()))
        if not names or not asked["contexts"] or not asked["batches"]:
            st.text(t("benchmark.plan.empty"))
            return None
        size = str(st.session_state[f"{PAGE}.size"])
        plan: Plan | None = None
        with notices.guarded():
            plan = make_plan(
                ladder.sources(size, names), asked.pop("contexts"), device=device, size=size,
                rates=runner.shared().rates(), **asked,
            )  # fmt: skip
            grid.draw(plan)
        return plan


def start_button(plan: Plan | None) -> None:
    """Offer to run the plan; the run's id goes into the address, so that a reload keeps it."""

    def start() -> None:
        if plan is not None:
            with notices.guarded():
                st.query_params["run"] = runner.shared().submit(plan)

    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key=f"start-{PAGE}"):
        words, icon = t("benchmark.run"), ":material/play_arrow:"
        st.button(words, key=f"{PAGE}.run", type="primary", icon=icon, on_click=start, disabled=plan is None)
        if plan is not None:
            most = max(prediction.bytes_total for prediction in plan.predictions)
            total = t(
                "benchmark.plan.total", cells=len(plan.cells), time=grid.duration(plan.seconds), memory=bytes_text(most)
            )
            line = runner.shared().waiting(plan.cells[0].device)
            st.text(f"{total} · {t('benchmark.plan.line', count=line)}" if line else total)


def _which() -> str:
    """Ask for the ready plan, the architectures, the size and the device; returns the device."""
    devices = environment.devices()
    presets = [name for name, preset in PRESETS.items() if preset.get("device", "cpu") in devices]
    _one("preset", presets, _preset_name, on_change=_take_preset)
    with st.container(gap="small", key=f"pick-{PAGE}.what"):
        names = tuple(cache.architectures())
        _many("architectures", names, lambda name: t(f"nav.{name}"), names)
        lang = session.language()
        _one("size", ladder.RUNGS, lambda key: ladder.rung(key).name[lang])
        device = _one("device", devices, lambda name: name.upper()) if len(devices) > 1 else devices[0]
    _notes(device)
    return device


def _notes(device: str) -> None:
    name = environment.device_name(device)
    key = "benchmark.machine.cpu" if device == "cpu" else "benchmark.machine.gpu"
    st.caption(notices.plain(t(key, name=name, cores=environment.usable_cores())))
    rung = ladder.rung(str(st.session_state[f"{PAGE}.size"]))
    if rung.key != ladder.RUNGS[0]:
        lang = session.language()
        notes = [rung.note[lang], *(t("benchmark.plan.scaled", name=t(f"nav.{m.architecture}"), note=m.note[lang])
                                    for m in rung.members.values() if not m.published and m.note)]  # fmt: skip
        st.caption("  \n".join(notices.plain(note) for note in notes))


def _how(device: str) -> dict[str, object]:
    """Ask for everything a ready plan decides, folded away; returns the options of make_plan."""
    preset = PRESETS[str(st.session_state[f"{PAGE}.preset"])]
    for name in _SET:
        st.session_state.setdefault(f"{PAGE}.{name}", _plain(preset[name]))
    with st.expander(t("benchmark.settings"), key=f"{PAGE}.settings"):
        contexts = _many("contexts", CONTEXTS, lambda n: f"{n:,}", preset["contexts"])
        batches = _many("batches", BATCHES, str, preset["batches"])
        left, middle, right = st.columns(3, gap="medium")
        with left:
            budget = _number("budget_s", step=30)
        with middle:
            rounds = _number("rounds")
        with right:
            decode = _number("decode_tokens", step=8)
        usual = str(preset.get("dtype", USUAL_DTYPE[kind_of(device)]))
        dtype = _one("dtype", (usual, *(name for name in DTYPES if name != usual)))
        view = _one("view", VIEWS, lambda name: t(f"benchmark.views.{name}"))
        kernels = _one("kernels", KERNELS, lambda name: t(f"benchmark.kernel.{name}"))
        offered = [name for name in ATTENTION if device != "cpu" or name not in _GPU_ATTENTION]
        attention = _one("attention", offered)
        throughput = st.toggle(
            t("benchmark.throughput"), key=f"{PAGE}.throughput", help=t("benchmark.throughput_help"),
            persist_state="session",
        )  # fmt: skip
        st.caption(t("benchmark.settings_note"))
    return {
        "contexts": contexts, "batches": batches, "budget_s": budget, "rounds": rounds, "decode_tokens": decode,
        "dtype": dtype, "view": view, "kernels": kernels, "attention": attention, "throughput": throughput,
    }  # fmt: skip


def _preset_name(name: str) -> str:
    return t("benchmark.presets.named", name=t(f"benchmark.presets.{name}"),
             time=grid.duration(PRESETS[name]["budget_s"]))  # fmt: skip


def _take_preset() -> None:
    """Replace everything chosen before by what a ready plan decides."""
    preset = PRESETS[str(st.session_state[f"{PAGE}.preset"])]
    for name in _SET:
        st.session_state[f"{PAGE}.{name}"] = _plain(preset[name])


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _chosen(name: str, options: Sequence[T]) -> list[T]:
    return [value for value in options if value in st.session_state[f"{PAGE}.{name}"]]


def _many(name: str, options: Sequence[T], label: Callable[[T], str], default: Sequence[T]) -> list[T]:
    key = f"{PAGE}.{name}"
    st.session_state.setdefault(key, [value for value in default if value in options])
    words = t(f"benchmark.{name}")
    st.pills(words, options, selection_mode="multi", key=key, format_func=label, persist_state="session")
    return _chosen(name, options)


def _one(
    name: str, options: Sequence[T], label: Callable[[T], str] = str, *, on_change: Callable[[], None] | None = None
) -> T:
    key = f"{PAGE}.{name}"
    st.session_state.setdefault(key, _FIRST if name == "preset" else options[0])
    if st.session_state[key] not in options:  # another device has other choices
        st.session_state[key] = options[0]
    words = t(f"benchmark.{name}")
    st.segmented_control(
        words, options, key=key, required=True, format_func=label, persist_state="session", on_change=on_change
    )
    value: T = st.session_state[key]
    return value if value in options else options[0]


def _number(name: str, *, step: int = 1) -> int:
    low, high = LIMITS[name]
    key = f"{PAGE}.{name}"
    st.number_input(t(f"benchmark.{name}"), low, high, key=key, step=step, persist_state="session")
    return int(st.session_state[key])
