"""Figures of a mixture of experts, for every page whose model has one: choices, routers, counts over texts."""

from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

from models.records.trace import ModelTrace
from models.switches.value import Switch
from pages.shared import cache, controls, expert_sample, html, parts
from pages.shared.canvas import Selection
from pages.shared.finder import FinderRow, opens, shown
from pages.shared.panel import panel, selected_or_last
from pages.shared.state import session
from pages.shared.words.i18n import t
from viz.trace.expert_finder import expert_finder
from viz.trace.expert_load import expert_balance, expert_load
from viz.trace.expert_locality import expert_locality
from viz.trace.expert_pairs import expert_pairs
from viz.trace.expert_routes import expert_routes
from viz.trace.expert_words import expert_words, most_telling
from viz.trace.router import router_bars
from viz.trace.routing import expert_lanes

TEMPERATURES = (25, 50, 100, 200, 400)  # hundredths
MY_TEXT = 0  # of what is counted over: the visitor's text, the kinds of the sample, and all of these
SECTIONS = ("expert_finder", "expert_load", "expert_pairs", "expert_locality", "expert_words")

Section = tuple[str, Callable[[], object]]


def has_experts(trace: ModelTrace) -> bool:
    """Return whether some layer of a model sends its tokens to experts."""
    return bool(trace.layers_with("router_probs"))


def counted(page: str, trace: ModelTrace) -> list[Section]:
    """List the sections of what is counted over the experts, as layout.under_the_hood takes them."""
    draw = {
        "expert_finder": find, "expert_load": load, "expert_pairs": pairs, "expert_locality": locality,
        "expert_words": words,
    }  # fmt: skip
    several = trace.layers_with("chosen_experts")[0].parts["chosen_experts"].sizes["choice"] > 1
    return [(name, partial(draw[name], page, trace)) for name in SECTIONS if several or name != "expert_pairs"]


def lanes(page: str, trace: ModelTrace) -> None:
    """Draw which token went to which experts."""
    panel(expert_lanes, trace, key=f"{page}.lanes")


def paths(page: str, trace: ModelTrace) -> None:
    """Draw through which experts the tokens go, layer by layer, by kind of token."""
    panel(expert_routes, trace, key=f"{page}.routes")


def router(page: str, trace: ModelTrace) -> None:
    """Draw the router of the chosen token in one layer with experts."""
    parts.figure(f"{page}.part.router", lambda: _router(page, trace), on=("router_layer", "router_temperature"))


def _router(page: str, trace: ModelTrace) -> None:
    layers = _layers(trace)
    with st.container(horizontal=True, gap="medium"):
        layer = controls.layer_picker(page, layers, default=_most_selective_layer(trace, layers), name="router_layer")
        temperature = controls.named_picker(
            page,
            "router_temperature",
            t("controls.router_temperature"),
            {n: f"{n / 100:g}" for n in TEMPERATURES},
            default=100,
        )
    label = trace.tokens[selected_or_last(trace)].label  # the browser writes that of another token
    panel(
        router_bars,
        trace,
        key=f"{page}.router",
        layer=layer,
        temperature=temperature / 100,
        subtitle=html.text(t("viz.layer", layer=layer), " · ", html.element("span", label, class_="cs-shown-token")),
    )


def find(page: str, trace: ModelTrace) -> None:
    """Draw the finder of experts; opening a row chooses its expert and shows its vocabulary."""
    parts.figure(f"{page}.part.expert_finder", lambda: _find(page, trace), on=("expert_layer", "expert"))


def _find(page: str, trace: ModelTrace) -> None:
    with st.spinner("", show_time=False):
        traces = [trace, *expert_sample.read(trace.checkpoint, None)]
    marked = shown("expert_layer", "expert")
    panel(expert_finder, traces, key=f"{page}.expert_finder", picked=_to_words(page), marked=marked)


def load(page: str, trace: ModelTrace) -> None:
    """Draw how the tokens were shared among the experts, and how evenly."""
    parts.figure(f"{page}.part.load", lambda: _load(page, trace), on=("sample",))


def _load(page: str, trace: ModelTrace) -> None:
    of, said = _counted_over(page, trace, "load")
    layers, opened = _layers(trace), _to_words(page)

    def picked(click: Selection) -> None:
        if click.row is not None and click.column is not None:
            opened(FinderRow(layers[click.row], click.column))

    panel(expert_load, of, key=f"{page}.load", subtitle=said, picked=picked)
    panel(expert_balance, of, key=f"{page}.balance", subtitle=said)


def pairs(page: str, trace: ModelTrace) -> None:
    """Draw which experts of a layer work on the same tokens."""
    parts.figure(f"{page}.part.pairs", lambda: _pairs(page, trace), on=("expert_layer", "sample", "pairs_choice"))


def _pairs(page: str, trace: ModelTrace) -> None:
    of, said = _counted_over(page, trace, "pairs", sample=True)
    with st.container(horizontal=True, gap="medium"):
        layer = _expert_layer(page, trace, "pairs")
        orders = {0: t("experts.by_cluster"), 1: t("experts.by_number")}
        by_number = controls.named_picker(page, "pairs_choice", t("experts.order"), orders, default=0)
    panel(expert_pairs, of, key=f"{page}.pairs", layer=layer, by_cluster=not by_number,
          subtitle=f"{t('viz.layer', layer=layer)} · {said}")  # fmt: skip


def locality(page: str, trace: ModelTrace) -> None:
    """Draw how often neighbouring tokens share experts."""
    parts.figure(f"{page}.part.locality", lambda: _locality(page, trace), on=("sample",))


def _locality(page: str, trace: ModelTrace) -> None:
    of, said = _counted_over(page, trace, "locality", sample=True)
    panel(expert_locality, of, key=f"{page}.locality", subtitle=said)


def words(page: str, trace: ModelTrace) -> None:
    """Draw the tokens that are most often sent to one expert."""
    parts.figure(f"{page}.part.words", lambda: _words(page, trace), on=("expert_layer", "expert", "sample"))


def _words(page: str, trace: ModelTrace) -> None:
    of, said = _counted_over(page, trace, "words", sample=True)
    with st.container(horizontal=True, gap="medium"):
        layer = _expert_layer(page, trace, "words")
        experts = trace.layer(layer).parts["router_probs"].sizes["expert"]
        expert = controls.expert_picker(page, experts, default=most_telling(of, layer))
    panel(expert_words, of, key=f"{page}.words", layer=layer, expert=expert,
          subtitle=f"{t('viz.layer', layer=layer)}, {t('viz.expert', expert=expert)} · {said}")  # fmt: skip
    st.button(t("experts.without"), key=f"{page}.without_expert", type="tertiary", icon=":material/arrow_upward:",
              on_click=_without, args=(page, layer, expert))  # fmt: skip


def _without(page: str, layer: int, expert: int) -> None:
    """Switch one expert off and lead to what that changes. Only a callback may call this."""
    visit = session.current()
    visit.off = (Switch("expert", layer, expert).code,)
    visit.point(page, "what-if")
    st.rerun()  # the switches stand in another part of the page


def _to_words(page: str) -> Callable[[FinderRow], None]:
    """Return what leads to the vocabulary of an expert; where its section is closed, the page runs anew to open it."""
    lead = opens(page, "expert_words", item="expert", layer="expert_layer")

    def picked(row: FinderRow) -> None:
        closed = not st.session_state.get(f"{page}.hood.expert_words")
        lead(row)
        if closed:
            st.rerun()  # else only the part of the page with the picture runs

    return picked


def _counted_over(
    page: str, trace: ModelTrace, at: str, *, sample: bool = False
) -> tuple[ModelTrace | list[ModelTrace], str]:
    """Offer what is counted over, and return its traces and its name.

    at: tells the places of a page apart; sample: whether it is the sample until something else is chosen.
    """
    lang = session.language()
    names = [t("experts.my_text"), *(kind.label[lang] for kind in expert_sample.kinds()), t("experts.all_of_sample")]
    chosen = controls.named_picker(page, "sample", t("experts.counted_over"), dict(enumerate(names)),
                                   default=len(names) - 1 if sample else MY_TEXT, at=at)  # fmt: skip
    if chosen == MY_TEXT:
        return trace, names[chosen]
    kind = None if chosen == len(names) - 1 else chosen - 1
    with st.spinner("", show_time=False):
        return expert_sample.read(trace.checkpoint, kind), names[chosen]


def _expert_layer(page: str, trace: ModelTrace, at: str) -> int:
    layers = _layers(trace)
    return controls.layer_picker(page, layers, default=_most_selective_layer(trace, layers), name="expert_layer", at=at)


def _layers(trace: ModelTrace) -> Sequence[int]:
    return [shown.index for shown in trace.layers_with("router_probs")]


def _most_selective_layer(trace: ModelTrace, layers: Sequence[int]) -> int:
    """Return the layer whose experts prefer kinds of tokens most, by the model's card; else the middle one."""
    known = {found["layer"]: found["lift"] for found in cache.structure(trace.checkpoint).get("routing", ())}
    return max((layer for layer in layers if layer in known), key=known.__getitem__, default=layers[len(layers) // 2])
