"""The settings of a run: a preset or single choices, and the plan before it starts."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import streamlit as st

from models.bench.plan.plan import Plan, make_plan
from models.bench.plan.settings import ATTENTION, EXPERTS, KERNELS, LIMITS, PRESETS, VIEWS
from models.bench.run import runner
from models.machine import facts
from models.records.cell import USUAL_DTYPE, kind_of
from models.sources import sizes
from pages.compare.benchmark import grid, settings_codec
from pages.shared import cache, gate, html, journal, notices
from pages.shared.memo import Memo
from pages.shared.state import session
from pages.shared.words import units
from pages.shared.words.i18n import t

PAGE = "benchmark"
FREE_BITS = 4  # of the free memory that a plan depends on: steps of 6 to 12 %
T = TypeVar("T", str, int)
_GPU_ATTENTION = ("efficient", "cudnn")

_plans: Memo[Plan] = Memo()


def planner() -> Plan | None:
    """Show the choices and the plan they make; None when nothing is chosen or the plan is impossible."""
    _begin()
    with st.container(border=True, key=f"card-{PAGE}.plan"):
        html.show(html.title(t("benchmark.plan.title"), level=2))
        device = _which()
        asked = _how(device)
        names = _chosen("architectures", tuple(cache.architectures()))
        if not names or not asked["contexts"] or not asked["batches"]:
            st.text(t("benchmark.plan.empty"))
            return None
        size = str(st.session_state[f"{PAGE}.size"])
        plan: Plan | None = None
        with notices.guarded():
            plan = _planned(sizes.sources(size, names, match=_match()), device=device, size=size, **asked)
            grid.draw(plan)
        return plan


def _planned(sources: Mapping[str, str], *, contexts: Sequence[int], **asked: Any) -> Plan:
    """Make the plan of these choices, again only when a choice, the rates or the free memory changed.

    The free memory of a machine in use changes all the time; a run looks at it again when it starts.
    """
    told = {name: tuple(value) if isinstance(value, list) else value for name, value in asked.items()}
    free = _rounded(facts.free_bytes(str(asked["device"])))
    key = (tuple(sources.items()), tuple(contexts), tuple(told.items()), free)
    with gate.released():  # rates are learnt from what the store holds
        rates = runner.shared().rates()
    return _plans.get(key, (rates,), lambda: make_plan(sources, contexts, rates=rates, **asked))


def _rounded(count: int | None) -> int | None:
    """Round a number of bytes down to its leading bits."""
    low = 0 if count is None else max(count.bit_length() - FREE_BITS, 0)
    return None if count is None else count >> low << low


def show(run_id: str) -> None:
    """Write a run into the address, and remove the rows that a link selected in another run."""
    st.query_params["run"] = run_id
    st.query_params.pop("rows", None)


def address() -> str:
    """Return the address of the page with the present choices and no run."""
    chosen = {
        name: st.session_state[key] for name in settings_codec.NAMES if (key := f"{PAGE}.{name}") in st.session_state
    }
    return session.current().permalink(plan=settings_codec.to_query(chosen))


def start_button(plan: Plan | None, *, begun: Callable[[str], None]) -> None:
    """Offer to run the plan; the run's id goes into the address, so that a reload keeps it, and to begun."""

    def start() -> None:
        if plan is not None:
            with notices.guarded():
                run_id = runner.shared().submit(plan)
                journal.note("start", run=run_id)
                show(run_id)
                begun(run_id)

    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key=f"start-{PAGE}"):
        words, icon = t("benchmark.run"), ":material/play_arrow:"
        st.button(words, key=f"{PAGE}.run", type="primary", icon=icon, on_click=start, disabled=plan is None)
        if plan is not None:
            most = max(prediction.bytes_total for prediction in plan.predictions)
            total = t(
                "benchmark.plan.total",
                cells=len(plan.cells),
                time=units.duration(plan.seconds),
                memory=units.size(most),
            )
            line = runner.shared().waiting(plan.cells[0].device)
            st.text(f"{total} · {t('benchmark.plan.line', count=line)}" if line else total)


def _begin() -> None:
    """Set the choices of the address when a visit begins, and defaults for the others."""
    asked = {} if f"{PAGE}.begun" in st.session_state else settings_codec.from_query(st.query_params.get("plan", ""))
    st.session_state[f"{PAGE}.begun"] = True
    plain = settings_codec.defaults(asked.get("preset", settings_codec.FIRST), asked.get("device", ""))
    for name, value in (plain | asked).items():
        st.session_state.setdefault(f"{PAGE}.{name}", value)


def _which() -> str:
    """Ask for the ready plan, the architectures, the size and the device; returns the device."""
    devices = facts.devices()
    presets = [name for name, preset in PRESETS.items() if preset.get("device", "cpu") in devices]
    _one("preset", presets, _preset_name, on_change=_take_preset)
    with st.container(gap="small", key=f"pick-{PAGE}.what"):
        names = tuple(cache.architectures())
        _many("architectures", names, lambda name: t(f"nav.{name}"))
        lang = session.language()
        _one("size", sizes.TIERS, lambda key: sizes.tier(key).name[lang])
        device = devices[0]
        if len(devices) > 1:
            device = _one("device", devices, lambda name: name.upper(), on_change=_take_device)
    _notes(device)
    return device


def _notes(device: str) -> None:
    name = facts.device_name(device)
    key = "benchmark.machine.cpu" if device == "cpu" else "benchmark.machine.gpu"
    st.caption(notices.plain(t(key, name=name, cores=facts.usable_cores())))
    tier, lang = sizes.tier(str(st.session_state[f"{PAGE}.size"])), session.language()
    models = [sizes.chosen(tier.key, name, match=_match()) for name in tier.models]
    notes = [tier.note[lang]] if tier.key != sizes.TIERS[0] else []
    notes += [t("benchmark.plan.scaled", name=t(f"nav.{m.architecture}"), note=m.note[lang])
              for m in models if not m.published and m.note]  # fmt: skip
    if notes:
        st.caption("  \n".join(notices.plain(note) for note in notes))


def _how(device: str) -> dict[str, Any]:
    """Ask for everything a ready plan decides, folded away; returns the options of make_plan."""
    preset = PRESETS[str(st.session_state[f"{PAGE}.preset"])]
    with st.expander(t("benchmark.settings"), key=f"{PAGE}.settings"):
        asked = _how_much() | _which_way(device, str(preset.get("dtype", USUAL_DTYPE[kind_of(device)])))
        asked["throughput"] = st.toggle(
            t("benchmark.throughput"), key=f"{PAGE}.throughput", help=t("benchmark.throughput_help"),
            persist_state="session",
        )  # fmt: skip
        st.caption(t("benchmark.settings_note"))
    return asked


def _how_much() -> dict[str, object]:
    asked: dict[str, object] = {
        "contexts": _many("contexts", settings_codec.CONTEXTS, units.count),
        "batches": _many("batches", settings_codec.BATCHES, str),
    }
    steps = {"budget_s": 30, "rounds": 1, "decode_tokens": 8, "seed": 1}
    for place, (name, step) in zip(st.columns(4, gap="medium"), steps.items(), strict=True):
        with place:
            asked[name] = _number(name, step=step)
    return asked


def _which_way(device: str, usual: str) -> dict[str, object]:
    """Ask how it is computed, two questions a line."""
    attention = [name for name in ATTENTION if device != "cpu" or name not in _GPU_ATTENTION]
    asked: dict[str, object] = {}
    with st.container(key=f"ways-{PAGE}"):
        asked["dtype"] = _one("dtype", (usual, *(name for name in settings_codec.DTYPES if name != usual)))
        asked["view"] = _one("view", VIEWS, lambda name: t(f"benchmark.views.{name}"))
        asked["kernels"] = _one("kernels", KERNELS, lambda name: t(f"benchmark.kernel.{name}"))
        asked["attention"] = _one("attention", attention)
        asked["experts"] = _one(
            "experts", EXPERTS, lambda name: t(f"benchmark.expert.{name}"), help_key="benchmark.experts_help"
        )
        _one("match", sizes.MATCHES, lambda name: t(f"benchmark.matches.{name}"), help_key="benchmark.match_help")
    return asked


def _match() -> str:
    """Return by which parameters the models are matched; its control comes after the first use of its value."""
    return str(st.session_state[f"{PAGE}.match"])


def _preset_name(name: str) -> str:
    return t("benchmark.presets.named", name=t(f"benchmark.presets.{name}"),
             time=units.duration(PRESETS[name]["budget_s"]))  # fmt: skip


def _take_device() -> None:
    """Choose the number type that is usual on a device."""
    st.session_state[f"{PAGE}.dtype"] = USUAL_DTYPE[kind_of(str(st.session_state[f"{PAGE}.device"]))]


def _take_preset() -> None:
    """Replace everything chosen before by what a ready plan decides."""
    preset = str(st.session_state[f"{PAGE}.preset"])
    plain = settings_codec.defaults(preset)
    for name in (*settings_codec.DECIDED, *(("device", "dtype") if "device" in PRESETS[preset] else ())):
        st.session_state[f"{PAGE}.{name}"] = plain[name]


def _chosen(name: str, options: Sequence[T]) -> list[T]:
    return [value for value in options if value in st.session_state[f"{PAGE}.{name}"]]


def _many(name: str, options: Sequence[T], label: Callable[[T], str]) -> list[T]:
    key = f"{PAGE}.{name}"
    st.session_state[key] = [value for value in st.session_state[key] if value in options]
    words = t(f"benchmark.{name}")
    st.pills(words, options, selection_mode="multi", key=key, format_func=label, persist_state="session")
    return _chosen(name, options)


def _one(
    name: str,
    options: Sequence[T],
    label: Callable[[T], str] = str,
    *,
    on_change: Callable[[], None] | None = None,
    help_key: str = "",
) -> T:
    key = f"{PAGE}.{name}"
    if st.session_state[key] not in options:  # another device has other choices
        st.session_state[key] = options[0]
    words = t(f"benchmark.{name}")
    st.segmented_control(
        words, options, key=key, required=True, format_func=label, persist_state="session", on_change=on_change,
        help=t(help_key) if help_key else None,
    )  # fmt: skip
    value: T = st.session_state[key]
    return value if value in options else options[0]


def _number(name: str, *, step: int = 1) -> int:
    low, high = LIMITS[name]
    key = f"{PAGE}.{name}"
    st.number_input(t(f"benchmark.{name}"), low, high, key=key, step=step, persist_state="session")
    return int(st.session_state[key])
