"""The settings of a run: a ready plan or single choices, in three groups."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import streamlit as st

from models.bench.plan.settings import ATTENTION, EXPERTS, KERNELS, LIMITS, PRESETS, VIEWS
from models.machine import facts
from models.records.cell import USUAL_DTYPE, kind_of
from models.sources import sizes
from pages.compare.benchmark import settings_codec
from pages.compare.benchmark.address import PAGE
from pages.shared import cache, html, notices
from pages.shared.state import session
from pages.shared.words import units
from pages.shared.words.i18n import t

T = TypeVar("T", str, int)
STEPS = {"budget_s": 30, "rounds": 1, "decode_tokens": 8, "seed": 1}
OPTIONS = ("dtype", "view", "kernels", "attention", "experts")  # of how it is computed, as make_plan takes them
_GPU_ATTENTION = ("efficient", "cudnn")


def begin() -> None:
    """Set the choices of the address when a visit begins, and defaults for the others."""
    asked = {} if f"{PAGE}.begun" in st.session_state else settings_codec.from_query(st.query_params.get("plan", ""))
    st.session_state[f"{PAGE}.begun"] = True
    plain = settings_codec.defaults(asked.get("preset", settings_codec.FIRST), asked.get("device", ""))
    for name, value in (plain | asked).items():
        st.session_state.setdefault(f"{PAGE}.{name}", value)


def chosen() -> dict[str, Any]:
    """Return every choice by its name; one that this machine does not offer is replaced by the first that it does."""
    for name, options in _offered().items():
        key = f"{PAGE}.{name}"
        if name in settings_codec.SEVERAL:
            st.session_state[key] = [value for value in options if value in st.session_state[key]]
        elif st.session_state[key] not in options:  # another device has other choices
            st.session_state[key] = options[0]
    return {name: st.session_state[f"{PAGE}.{name}"] for name in settings_codec.NAMES}


def choose(name: str, value: Any) -> None:
    """Make a choice for the visitor, who pressed a button for it; a ready plan brings what it decides."""
    st.session_state[f"{PAGE}.{name}"] = value
    if name == "preset":
        _take_preset()


def ask() -> None:
    """Draw the choices: a ready plan, then what is measured, for how long, and how it is computed."""
    offered = _offered()
    _one("preset", offered["preset"], preset_name, on_change=_take_preset)
    with _group("what"):
        _what(offered)
    with _group("long"):
        for place, name in zip(st.columns(3, gap="medium"), ("budget_s", "rounds", "decode_tokens"), strict=True):
            with place:
                _number(name)
    with _group("how"), st.container(key=f"ways-{PAGE}"):
        _how(offered)


def preset_name(name: str) -> str:
    """Return the name of a ready plan with the time it takes."""
    return t("benchmark.presets.named", name=t(f"benchmark.presets.{name}"),
             time=units.duration(PRESETS[name]["budget_s"]))  # fmt: skip


def _offered() -> Mapping[str, Sequence[Any]]:
    """Return the options of every choice among some, as the chosen device has them."""
    devices = facts.devices()
    device = str(st.session_state[f"{PAGE}.device"])
    device = device if device in devices else devices[0]
    usual = str(PRESETS[str(st.session_state[f"{PAGE}.preset"])].get("dtype", USUAL_DTYPE[kind_of(device)]))
    return {
        "preset": [name for name, preset in PRESETS.items() if preset.get("device", "cpu") in devices],
        "architectures": tuple(cache.architectures()),
        "size": sizes.TIERS,
        "device": devices,
        "contexts": settings_codec.CONTEXTS,
        "batches": settings_codec.BATCHES,
        "dtype": (usual, *(name for name in settings_codec.DTYPES if name != usual)),
        "view": VIEWS,
        "kernels": KERNELS,
        "attention": [name for name in ATTENTION if device != "cpu" or name not in _GPU_ATTENTION],
        "experts": EXPERTS,
        "match": sizes.MATCHES,
    }


def _group(name: str) -> Any:
    """Open a group of choices under its title, with a sentence on what belongs there."""
    place = st.container(gap="small", key=f"pick-{PAGE}.{name}")
    with place:
        html.show(html.title(t(f"benchmark.group.{name}"), level=2))
        st.caption(t(f"benchmark.group.{name}_text"))
    return place


def _what(offered: Mapping[str, Sequence[Any]]) -> None:
    lang = session.language()
    _many("architectures", offered["architectures"], lambda name: t(f"nav.{name}"))
    _one("size", offered["size"], lambda key: sizes.tier(key).name[lang])
    if len(offered["device"]) > 1:
        _one("device", offered["device"], lambda name: name.upper(), on_change=_take_device)
    _notes(str(st.session_state[f"{PAGE}.device"]))
    _many("contexts", offered["contexts"], units.count)
    _many("batches", offered["batches"], str)
    st.toggle(
        t("benchmark.throughput"), key=f"{PAGE}.throughput", help=t("benchmark.throughput_help"),
        persist_state="session",
    )  # fmt: skip


def _notes(device: str) -> None:
    """Name the machine, and say how a size was made that nobody published."""
    name = facts.device_name(device)
    key = "benchmark.machine.cpu" if device == "cpu" else "benchmark.machine.gpu"
    st.caption(notices.plain(t(key, name=name, cores=facts.usable_cores())))
    tier, lang = sizes.tier(str(st.session_state[f"{PAGE}.size"])), session.language()
    match = str(st.session_state[f"{PAGE}.match"])
    models = [sizes.chosen(tier.key, name, match=match) for name in tier.models]
    notes = [tier.note[lang]] if tier.key != sizes.TIERS[0] else []
    notes += [t("benchmark.plan.scaled", name=t(f"nav.{m.architecture}"), note=m.note[lang])
              for m in models if not m.published and m.note]  # fmt: skip
    if notes:
        st.caption("  \n".join(notices.plain(note) for note in notes))


def _how(offered: Mapping[str, Sequence[Any]]) -> None:
    """Ask how it is computed, two questions a line."""
    _one("dtype", offered["dtype"])
    _one("view", offered["view"], lambda name: t(f"benchmark.views.{name}"))
    _one("kernels", offered["kernels"], lambda name: t(f"benchmark.kernel.{name}"))
    _one("attention", offered["attention"])
    _one("experts", offered["experts"], lambda name: t(f"benchmark.expert.{name}"), help_key="benchmark.experts_help")
    _one("match", offered["match"], lambda name: t(f"benchmark.matches.{name}"), help_key="benchmark.match_help")
    _number("seed")


def _take_device() -> None:
    """Choose the number type that is usual on a device."""
    st.session_state[f"{PAGE}.dtype"] = USUAL_DTYPE[kind_of(str(st.session_state[f"{PAGE}.device"]))]


def _take_preset() -> None:
    """Replace everything chosen before by what a ready plan decides."""
    preset = str(st.session_state[f"{PAGE}.preset"])
    plain = settings_codec.defaults(preset)
    for name in (*settings_codec.DECIDED, *(("device", "dtype") if "device" in PRESETS[preset] else ())):
        st.session_state[f"{PAGE}.{name}"] = plain[name]


def _many(name: str, options: Sequence[T], label: Callable[[T], str]) -> None:
    words = t(f"benchmark.{name}")
    st.pills(
        words, options, selection_mode="multi", key=f"{PAGE}.{name}", format_func=label, persist_state="session"
    )  # fmt: skip


def _one(
    name: str,
    options: Sequence[T],
    label: Callable[[T], str] = str,
    *,
    on_change: Callable[[], None] | None = None,
    help_key: str = "",
) -> None:
    st.segmented_control(
        t(f"benchmark.{name}"), options, key=f"{PAGE}.{name}", required=True, format_func=label,
        persist_state="session", on_change=on_change, help=t(help_key) if help_key else None,
    )  # fmt: skip


def _number(name: str) -> None:
    low, high = LIMITS[name]
    words = t(f"benchmark.{name}")
    st.number_input(words, low, high, key=f"{PAGE}.{name}", step=STEPS[name], persist_state="session")
