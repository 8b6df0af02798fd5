"""The section "What if": a part of the model is switched off, and the text is read again."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

import streamlit as st

from models.records.trace import ModelTrace
from models.switches.value import GROUPS, HOWS, INDICES, KINDS, MOST, How, Kind, Switch, Switches
from pages.shared import ablation, layout, model_picker, notices, part_worth, parts
from pages.shared.panel import panel, selected_or_last
from pages.shared.state import session
from pages.shared.words import units
from pages.shared.words.i18n import t
from viz.trace.what_if import what_if, what_if_words

if TYPE_CHECKING:
    from models.switches.sites import Switchable

V = TypeVar("V")

NOTHING = ""  # of a kind: everything is on
EVERY = -1  # of a layer: all that have the part
WHOLE: frozenset[Kind] = frozenset({"forget", "selectivity", "step", "write", "read", "decay"})  # begin in every layer
_WIDTHS = (0.7, 0.3)
_MEASURED = "contextscope.off.measured"  # page -> the code whose bits over the examples are shown


def section(page: str, trace: ModelTrace) -> None:
    """Offer to switch parts off, and show the text before and after; then what every part is worth."""
    name, text = trace.architecture, trace.prompt
    with st.container(key=f"what-if-{page}"):
        st.header(t("what_if.title"), anchor="what-if")
        left, right = st.columns(_WIDTHS, gap="medium")
        with left, notices.guarded():
            parts.figure(f"{page}.part.what_if", lambda: _draw(page, name, text), on=("off",))
        with right, st.container(key=f"words-{page}-what-if"):
            layout.beside(t("what_if.text"))
        part_worth.section(page, name, text)


def _draw(page: str, name: str, text: str) -> None:
    trace = model_picker.read(name, text)[0]
    offers = ablation.offers(trace.checkpoint)
    chosen = chosen_of(offers)
    with st.container(border=True, key=f"card-{page}.off"):
        _choices(page, trace, offers, chosen)
    if not chosen:
        return
    switches = Switches.of(*chosen)
    after = ablation.trace(trace.checkpoint, trace.prompt, switches)
    told = " + ".join(label(one, trace) for one in chosen)
    at = selected_or_last(trace)
    panel(what_if, [trace, after], key=f"{page}.what_if", subtitle=told)
    panel(what_if_words, [trace, after], key=f"{page}.what_if_words", subtitle=told, at=(at, at))
    _examples(page, trace, switches)


def chosen_of(offers: "Sequence[Switchable]") -> tuple[Switch, ...]:
    """Return what is switched off on this page; what the model does not have is taken back."""
    visit = session.current()
    found = []
    for code in visit.off:
        switch = Switches.read_all(code)[0]
        if any(offer.allows(switch) for offer in offers):
            found.append(switch)
        else:
            visit.not_off(code)
    return tuple(found)


def put(switches: Sequence[Switch]) -> None:
    """Switch off these parts and redraw what follows. Only a callback may call this."""
    session.current().off = [one.code for one in switches]
    parts.redraw("off")


def label(switch: Switch, trace: ModelTrace) -> str:
    """Name a switch in words: head 2, layer 3, zero."""
    said = [kind_name(switch.kind, trace)]
    if switch.kind in INDICES:
        said[0] = f"{said[0]} {index_name(switch, trace)}"
    said.append(t("what_if.every") if switch.layer == EVERY else t("viz.layer", layer=switch.layer))
    if len(HOWS[switch.kind]) > 1:
        said.append(t(f"what_if.how.{switch.how}"))
    return " · ".join(said)


def kind_name(kind: Kind, trace: ModelTrace) -> str:
    """Name a kind of switch as the model calls the part."""
    mixes = kind == "feed_forward" and any(layer.ffn == "channel_mix" for layer in trace)
    return t(f"what_if.kind.{'channel_mix' if mixes else kind}")


def index_name(switch: Switch, trace: ModelTrace) -> str:
    """Name a head, a group of channels, an expert, or the token before which all is forgotten."""
    if switch.kind == "forget":
        known = switch.index < len(trace.tokens)
        return f"{switch.index} {trace.tokens[switch.index].label}" if known else str(switch.index)
    if switch.kind == "channels":
        ends = {0: "what_if.shortest", GROUPS - 1: "what_if.longest"}
        said = t("what_if.group", group=switch.index + 1, groups=GROUPS)
        return f"{said} ({t(ends[switch.index])})" if switch.index in ends else said
    return str(switch.index)


def _choices(page: str, trace: ModelTrace, offers: "Sequence[Switchable]", chosen: tuple[Switch, ...]) -> None:
    """Draw a row of choices for everything that is off, and a first one where nothing is."""
    st.markdown(f":gray-badge[{t('what_if.ablation')}]")
    for place in range(max(len(chosen), 1)):
        one = chosen[place] if place < len(chosen) else None
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key=f"off-{page}-{place}"):
            _row(page, place, one, trace, offers, chosen)
    if chosen and len(chosen) < MOST:
        more = [kind for kind in kinds(offers) if kind not in {one.kind for one in chosen}]
        added = first_of(offers, more[0] if more else chosen[-1].kind, trace)
        st.button(t("what_if.another"), key=f"{page}.off.another", type="tertiary", icon=":material/add:",
                  on_click=put, args=((*chosen, added),))  # fmt: skip
    if not chosen:
        st.caption(t("what_if.nothing"))


def _row(
    page: str,
    place: int,
    one: Switch | None,
    trace: ModelTrace,
    offers: "Sequence[Switchable]",
    chosen: tuple[Switch, ...],
) -> None:
    def replaced(new: Switch | None) -> None:
        rest = list(chosen)
        rest[place : place + 1] = [] if new is None else [new]
        put(rest)

    offer = next((found for found in offers if one is not None and found.kind == one.kind), None)
    key = f"{page}.off.{place}"

    def kind_chosen(kind: str) -> None:
        replaced(first_of(offers, cast("Kind", kind), trace) if kind else None)

    _select(
        f"{key}.kind", t("what_if.part"), [NOTHING, *kinds(offers)], one.kind if one else NOTHING,
        lambda kind: kind_name(cast("Kind", kind), trace) if kind else t("what_if.none"), kind_chosen,
    )  # fmt: skip
    if one is None or offer is None:
        return
    if one.kind in INDICES:
        known = list(range(1, len(trace.tokens))) if one.kind == "forget" else list(range(offer.count))
        if one.index not in known:  # the text is shorter than where the link forgets
            known.append(one.index)
        _select(
            f"{key}.index", t(f"what_if.index.{INDICES[one.kind]}"), known, one.index,
            lambda index: index_name(replace(one, index=index), trace),
            lambda index: replaced(replace(one, index=index)),
        )  # fmt: skip
    _select(
        f"{key}.layer", t("controls.layer"), [EVERY, *offer.layers], one.layer,
        lambda layer: t("what_if.every") if layer == EVERY else str(layer),
        lambda layer: replaced(replace(one, layer=layer)),
    )  # fmt: skip
    if len(offer.hows) > 1:
        _select(
            f"{key}.how", t("what_if.instead"), list(offer.hows), cast("How", one.how),
            lambda how: t(f"what_if.how.{how}"),
            lambda how: replaced(replace(one, how=how)),
        )  # fmt: skip
    if len(chosen) > 1:
        st.button(t("what_if.remove"), key=f"{key}.remove", type="tertiary", icon=":material/close:",
                  on_click=replaced, args=(None,))  # fmt: skip


def _select(
    key: str, name: str, options: list[V], value: V, words: Callable[[V], str], changed: Callable[[V], None]
) -> None:
    def took() -> None:
        if st.session_state[key] in options:
            changed(st.session_state[key])

    st.session_state[key] = value
    with st.container(key=f"pick-{key}", width=210):
        st.selectbox(name, options, key=key, format_func=words, on_change=took)


def kinds(offers: "Sequence[Switchable]") -> list[Kind]:
    """List the kinds of switches that a model has."""
    offered = {offer.kind for offer in offers}
    return [kind for kind in KINDS if kind in offered]


def first_of(offers: "Sequence[Switchable]", kind: Kind, trace: ModelTrace) -> Switch:
    """Return the switch of a kind that is shown first: in the layer of the page, at the chosen token."""
    offer = next(one for one in offers if one.kind == kind)
    shown = session.current().selection("layer", default=offer.layers[0], allowed=range(10**5))
    layer = EVERY if kind in WHOLE else shown if shown in offer.layers else offer.layers[0]
    if kind == "forget":
        token = session.current().token_in(trace.tokens)
        return Switch(kind, layer, max(1, len(trace.tokens) // 2 if token is None else token), offer.hows[0])
    return Switch(kind, layer, 0 if kind in INDICES else -1, offer.hows[0])


def _examples(page: str, trace: ModelTrace, switches: Switches) -> None:
    """Offer to measure the bits over the examples of the page, and state them once they are asked for."""
    texts = ablation.examples(page)
    measured: dict[str, str] = st.session_state.setdefault(_MEASURED, {})
    with st.container(border=True, key=f"card-{page}.off_examples"):
        if measured.get(page) != switches.code:
            st.button(t("what_if.measure", count=len(texts)), key=f"{page}.off_examples", icon=":material/play_arrow:",
                      on_click=partial(measured.__setitem__, page, switches.code))  # fmt: skip
            return
        with st.spinner(t("what_if.measuring")):
            before = ablation.bits(trace.checkpoint, texts)
            after = ablation.bits(trace.checkpoint, texts, switches)
        loss = after.per_token - before.per_token
        st.markdown(
            t(
                "what_if.examples",
                count=len(texts),
                tokens=units.count(before.tokens),
                before=f"{before.per_token:.3f}",
                after=f"{after.per_token:.3f}",
                change=f"{loss:+.3f}".replace("-", "\u2212"),
            )
        )
