"""Choose what is switched off, in words of the model: the choices stand in the address of the page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar, cast

import streamlit as st

from models.records.trace import ModelTrace, Token
from models.switches.value import GROUPS, HOWS, INDICES, KINDS, MOST, How, Kind, Switch, Switches
from pages.shared import html, parts
from pages.shared.state import session
from pages.shared.words.i18n import t

if TYPE_CHECKING:
    from models.switches.sites import Switchable

V = TypeVar("V")

EXPLAINED: frozenset[Kind] = frozenset(
    {"channels", "convolution", "token_shift", "gate", "receptance", "selectivity", "decay", "forget", "expert"}
)
NOTHING = ""  # of a kind: everything is on
EVERY = -1  # of a layer: all that have the part
WHOLE: frozenset[Kind] = frozenset({"forget", "selectivity", "step", "write", "read", "decay"})  # begin in every layer


@dataclass(frozen=True, slots=True)
class Model:
    """What the choices of a model need to know. tokens: those that it reads; empty where nothing is forgotten."""

    offers: "tuple[Switchable, ...]"
    tokens: Sequence[Token] = ()

    @property
    def kinds(self) -> list[Kind]:
        """List the kinds of switches that it has."""
        offered = {offer.kind for offer in self.offers}
        return [kind for kind in KINDS if kind in offered and (kind != "forget" or len(self.tokens) > 1)]

    @property
    def mixes_channels(self) -> bool:
        """Whether its feed-forward reads the token before as well."""
        return "token_shift" in self.kinds

    @property
    def mixer(self) -> str:
        """Name its mixers: attention, scan or time_mix where all are of one kind, else mixer."""
        marks = {"attention": "head", "scan": "convolution", "time_mix": "token_shift"}
        found = [name for name, kind in marks.items() if kind in self.kinds]
        return found[0] if len(found) == 1 else "mixer"

    def offer(self, kind: Kind) -> "Switchable":
        """Return what it offers of a kind."""
        return next(one for one in self.offers if one.kind == kind)

    def first(self, kind: Kind) -> Switch:
        """Return the switch of a kind that is shown first: in the layer of the page, at the chosen token."""
        offer, visit = self.offer(kind), session.current()
        shown = visit.selection("layer", default=offer.layers[0], allowed=range(10**5))
        layer = EVERY if kind in WHOLE else shown if shown in offer.layers else offer.layers[0]
        if kind == "forget":
            token = visit.token_in(self.tokens)
            return Switch(kind, layer, max(1, token or len(self.tokens) // 2), offer.hows[0])
        return Switch(kind, layer, 0 if kind in INDICES else -1, offer.hows[0])


def of_trace(trace: ModelTrace, offers: "tuple[Switchable, ...]") -> Model:
    """Return what the choices need to know of a model that read a text."""
    return Model(offers, trace.tokens)


def chosen(model: Model) -> tuple[Switch, ...]:
    """Return what is switched off on this page; what the model does not have is taken back."""
    visit = session.current()
    found = []
    for code in visit.off:
        switch = Switches.read_all(code)[0]
        if switch.kind in model.kinds and model.offer(switch.kind).allows(switch):
            found.append(switch)
        else:
            visit.not_off(code)
    return tuple(found)


def put(switches: Sequence[Switch]) -> None:
    """Switch off these parts and redraw what follows. Only a callback may call this."""
    session.current().off = [one.code for one in switches]
    parts.redraw("off")


def label(switch: Switch, model: Model) -> str:
    """Name a switch in words: attention head 2 · layer 3 · zero."""
    said = [kind_name(switch.kind, model)]
    if switch.kind in INDICES:
        said[0] = f"{said[0]} {index_name(switch, model)}"
    said.append(t("what_if.every") if switch.layer == EVERY else t("viz.layer", layer=switch.layer))
    if len(HOWS[switch.kind]) > 1:
        said.append(t(f"what_if.how.{switch.how}"))
    return " · ".join(said)


def labels(switches: Sequence[Switch], model: Model) -> str:
    """Name all switches."""
    return " + ".join(label(one, model) for one in switches)


def kind_name(kind: Kind, model: Model) -> str:
    """Name a kind of switch as the model calls the part."""
    if kind == "feed_forward" and model.mixes_channels:
        return t("what_if.kind.channel_mix")
    if kind == "mixer":
        return t(f"what_if.kind.{model.mixer}")
    return t(f"what_if.kind.{kind}")


def index_name(switch: Switch, model: Model) -> str:
    """Name a head, a group of channels, an expert, or the token before which all is forgotten."""
    if switch.kind == "forget":
        known = switch.index < len(model.tokens)
        return f"{switch.index} {model.tokens[switch.index].label}" if known else str(switch.index)
    if switch.kind == "channels":
        ends = {0: "what_if.shortest", GROUPS - 1: "what_if.longest"}
        said = t("what_if.group", group=switch.index + 1, groups=GROUPS)
        return f"{said} ({t(ends[switch.index])})" if switch.index in ends else said
    return str(switch.index)


def show(page: str, model: Model, switches: tuple[Switch, ...]) -> None:
    """Draw a row of choices for everything that is off, and a first one where nothing is."""
    html.show(html.title(t("what_if.ablation")))
    for place in range(max(len(switches), 1)):
        one = switches[place] if place < len(switches) else None
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key=f"off-{page}-{place}"):
            _row(f"{page}.off.{place}", place, one, model, switches)
    for kind in dict.fromkeys(one.kind for one in switches):
        if kind in EXPLAINED:
            st.caption(t(f"what_if.does.{kind}"))
    if not switches:
        st.caption(t("what_if.nothing"))
    elif len(switches) < MOST:
        more = [kind for kind in model.kinds if kind not in {one.kind for one in switches}]
        added = (*switches, model.first(more[0] if more else switches[-1].kind))
        st.button(t("what_if.another"), key=f"{page}.off.another", type="tertiary", icon=":material/add:",
                  on_click=put, args=(added,))  # fmt: skip


def _row(key: str, place: int, one: Switch | None, model: Model, switches: tuple[Switch, ...]) -> None:
    def replaced(new: Switch | None) -> None:
        rest = list(switches)
        rest[place : place + 1] = [] if new is None else [new]
        put(rest)

    def kind_chosen(kind: str) -> None:
        replaced(model.first(cast("Kind", kind)) if kind else None)

    _select(
        f"{key}.kind", t("what_if.part"), [NOTHING, *model.kinds], one.kind if one else NOTHING,
        lambda kind: kind_name(cast("Kind", kind), model) if kind else t("what_if.none"), kind_chosen,
        width=230,
    )  # fmt: skip
    if one is None:
        return
    offer = model.offer(one.kind)
    if one.kind in INDICES:
        known = list(range(1, len(model.tokens))) if one.kind == "forget" else list(range(offer.count))
        known += [] if one.index in known else [one.index]  # the text is shorter than where the link forgets
        _select(
            f"{key}.index", t(f"what_if.index.{INDICES[one.kind]}"), known, one.index,
            lambda index: index_name(replace(one, index=index), model),
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
    if len(switches) > 1:
        st.button(t("what_if.remove"), key=f"{key}.remove", type="tertiary", icon=":material/close:",
                  on_click=replaced, args=(None,))  # fmt: skip


def _select(
    key: str,
    name: str,
    options: list[V],
    value: V,
    words: Callable[[V], str],
    changed: Callable[[V], None],
    *,
    width: int = 140,
) -> None:
    def took() -> None:
        if st.session_state[key] in options:
            changed(st.session_state[key])

    named = {option: words(option) for option in options}  # in the language of this run
    st.session_state[key] = value
    with st.container(key=f"pick-{key}", width=width):
        st.selectbox(name, options, key=key, format_func=named.__getitem__, on_change=took)
