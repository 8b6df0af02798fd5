"""What is set side by side: one text by all models, by one with parts switched off, or a text and its changed copy."""

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from models.alignment import align_all, align_edit, same_tokens
from models.errors import ContextscopeError
from models.records.trace import Alignment, ModelTrace
from models.switches.value import NONE, Switches
from pages.shared import cache, controls, model_picker, notices
from pages.shared.state import session
from pages.shared.words.i18n import t

PAGE = "side-by-side"
FOUR, SWITCHES, TEXTS = 0, 1, 2
MODES: Mapping[int, str] = {
    FOUR: "four",
    SWITCHES: "switches",
    TEXTS: "texts",
}  # how addresses say it, and the words for it


@dataclass(frozen=True, slots=True, eq=False)
class SideLanes:
    """Traces that are drawn on one axis.

    names: of each, () for those of their architectures; alignment: their axis, None where they share their tokens; off:
    what is switched off in the run of each, () for nothing.
    """

    traces: tuple[ModelTrace, ...]
    names: tuple[str, ...] = ()
    alignment: Alignment | None = None
    off: tuple[Switches, ...] = ()

    @property
    def first(self) -> ModelTrace:
        """The trace whose tokens the page chooses from."""
        return self.traces[0]


def mode() -> int:
    """Return what the visitor compares."""
    return session.current().selection("mode", default=FOUR, allowed=tuple(MODES))


def mode_picker() -> None:
    """Offer what can be compared; another choice runs the page anew."""
    _segments("mode", t("sides.mode"), {code: t(f"sides.mode.{name}") for code, name in MODES.items()}, mode())


def reader() -> str:
    """Return the architecture whose model reads both texts."""
    names = list(cache.architectures())
    return names[session.current().selection("reader", default=0, allowed=range(len(names)))]


def reader_picker() -> None:
    """Offer the model that reads both texts."""
    names = list(cache.architectures())
    options = {n: t(f"nav.{name}") for n, name in enumerate(names)}
    _segments("reader", t("sides.reader"), options, names.index(reader()))


def _segments(name: str, label: str, options: Mapping[int, str], value: int) -> None:
    visit, key = session.current(), f"{PAGE}.{name}"

    def changed() -> None:
        if st.session_state[key] in options:
            visit.select(name, st.session_state[key])

    st.session_state[key] = value
    with st.container(key=f"pick-{key}", width="content"):
        st.segmented_control(
            label, tuple(options), key=key, required=True, on_change=changed, format_func=lambda code: options[code]
        )


def read_all(text: str) -> dict[str, ModelTrace]:
    """Read a text by the chosen models of all architectures; who cannot read it is left out, and it is said why."""
    found = {}
    for name in cache.architectures():
        try:
            found[name] = controls.traced_by(name, text)
        except ContextscopeError as error:
            notices.explain(error, also=t("models.left_out", name=t(f"nav.{name}")))
    return found


def of_models(traces: Mapping[str, ModelTrace]) -> SideLanes:
    """Set all models side by side."""
    every = tuple(traces.values())
    texts = [trace.tokens for trace in every]
    return SideLanes(every, alignment=None if same_tokens(texts) else align_all(every[0].prompt, texts))


def of_switches(on: ModelTrace, off: ModelTrace, switches: Switches) -> SideLanes:
    """Set a model with everything on beside the same model with parts switched off."""
    names = (t("sides.on"), t("sides.off"))
    return SideLanes((on, off), names, align_edit(on.tokens, off.tokens), (NONE, switches))


def of_texts(before: ModelTrace, after: ModelTrace) -> SideLanes:
    """Set a text and its changed copy side by side, both read by one model."""
    names = (t("sides.before"), t("sides.after"))
    return SideLanes((before, after), names, align_edit(before.tokens, after.tokens))


def fitted(text: str) -> str:
    """Return as much of a second text as all models read."""
    fits = [model_picker.fitted(name, text).text for name in cache.architectures()]
    return min(fits, key=len)
