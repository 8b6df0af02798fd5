"""The reading bar: the sentence that stays in sight, its chosen word, the time, and the choices of the page."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import streamlit as st

from models.alignment import covering
from models.records.trace import ModelTrace
from pages.shared import controls, parts, scripts
from pages.shared.state import session
from pages.shared.words.i18n import t
from viz.look.labels import template
from viz.trace.tokens import reading_of

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

KEY = "reading.text"  # of the component
_HTML = '<div class="bar">\n</div>'
_WORDS = ("words", "play", "pause", "back", "on", "keys", "keys_layers")


class Layers(NamedTuple):
    """A choice of a layer: its name in the session, what there is, and what is shown without a choice."""

    name: str
    options: Sequence[int]
    default: int

    @property
    def shown(self) -> int:
        """The layer that the page shows."""
        return controls.chosen(self.name, self.options, default=self.default)


def guess_key(page: str) -> str:
    """Return the key of the switch that hides the distribution over the next token until the reader has guessed."""
    return f"{page}.guess_first"


def ear() -> None:
    """Place fields in which the browser leaves what the next run has to know; writing into them causes none.

    They are the chosen token and the figures in sight.
    """
    with st.container(key="frame-told"):
        for key in (session.TOLD, parts.SIGHT):
            st.text_input(t("reading.told"), key=key, on_change="ignore", live="0ms", label_visibility="collapsed")


def show(
    page: str,
    trace: ModelTrace,
    *,
    pickers: Callable[[], object] | None = None,
    layers: Layers | None = None,
    place: Callable[[], tuple[int, int]] | None = None,
    asks: bool = False,
) -> None:
    """Set the reading bar of a page over its first trace.

    pickers: draws the choices of the page. layers: the choice that shift with arrows walks through. place: the shown
    layer and head, of which pictures outline the tile. The server hears of a token at once only where it draws
    for it: the place of a guess (next_word.py), and the parts that follow "token" where the page asks.
    """
    session.current().reads(reading_of(trace))

    def guesses() -> bool:
        return bool(st.session_state.get(guess_key(page)))

    def told() -> dict[str, object]:
        layer, head = place() if place else (None, None)
        walks = layers is not None and len(layers.options) > 1
        heard = asks or guesses()
        more = {"layer": layer, "head": head, "layers": walks, "asks": heard, "late": parts.late()}
        return _data(page, trace) | more

    with st.container(key="reading-bar"):
        follows = ("guess", "layer", "head", "channel", "router_layer", "attention_layer", "state_layer")
        parts.part("part.reading", lambda: _bar(told(), pickers, layers, guesses=guesses(), asks=asks), on=follows)


def _bar(
    data: dict[str, object],
    pickers: Callable[[], object] | None,
    layers: Layers | None,
    *,
    guesses: bool,
    asks: bool = False,
) -> None:
    def walked() -> None:
        step = st.session_state[KEY].get("step")
        if layers is not None and step in (-1, 1):
            place = layers.options.index(layers.shown) + step
            controls.choose(layers.name, layers.options[min(max(place, 0), len(layers.options) - 1)])

    def told() -> None:
        session.current().hear()
        if guesses or asks:
            parts.redraw(*(["guess"] if guesses else []), *(["token"] if asks else []))

    def near() -> None:
        names = st.session_state[KEY].get("near")
        if isinstance(names, list):
            parts.come_near([name for name in names if isinstance(name, str)])

    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="reading-row"):
        _component()(key=KEY, data=data, on_step_change=walked, on_token_change=told, on_near_change=near)
        if pickers is not None:
            with st.container(key="reading-choices", width="content", gap=None):
                pickers()


def _data(page: str, trace: ModelTrace) -> dict[str, object]:
    visit = session.current()
    token = visit.token_in(trace.tokens)
    spans = covering([(token.start, token.end) for token in trace.tokens])
    return {
        "page": page,
        "reading": reading_of(trace),
        "text": trace.prompt,
        "spans": spans,
        "labels": [one.label for one in trace.tokens],
        "token": token,
        "span": visit.span if token is not None else None,
        "words": {name: t(f"reading.{name}") for name in _WORDS}
        | {"time": template(t, "reading.time", "index", "count")},
    }


@cache
def _component() -> "ComponentRenderer":
    return st.components.v2.component("contextscope_reading", html=_HTML, js=scripts.loader("reading"))
