"""Encoder-decoder: one stack reads, the other writes and looks across at every step."""

import streamlit as st

from models.records.encoder_decoder import EncoderDecoderRun
from pages.learn.encoder_decoder import asking, layouts, running
from pages.learn.encoder_decoder.asking import PAGE
from pages.shared import controls, layout, notices, parts, pointing
from pages.shared.panel import Draw, panel
from pages.shared.words.content import section
from pages.shared.words.i18n import t
from viz.encoder_decoder.cache import decoder_cache
from viz.encoder_decoder.exchange import cross_lines
from viz.encoder_decoder.heads import most_pointed
from viz.encoder_decoder.labels import text_of
from viz.encoder_decoder.maps import cross_map, decoder_map, encoder_map
from viz.encoder_decoder.stacks import two_stacks

PLACE = ("layer", "head")  # the choices that the page follows


def shown(run: EncoderDecoderRun) -> tuple[int, int]:
    """Return the layer and the head that the page shows: until one is chosen, the most pointed in cross-attention."""
    layers, heads = run.cross.weights.values.shape[:2]
    layer, head = most_pointed(run)
    found = controls.chosen("layer", range(layers), default=layer)
    return found, controls.chosen("head", range(heads), default=head)


def pickers(run: EncoderDecoderRun, at: str) -> None:
    """Offer layer and head, for every map of the page."""
    layer, head = most_pointed(run)
    layers, heads = run.cross.weights.values.shape[:2]
    with st.container(horizontal=True, gap="medium", key=f"pickers-{PAGE}-{at}"):
        controls.layer_picker(PAGE, range(layers), default=layer, at=at)
        controls.head_picker(PAGE, heads, default=head, at=at)


def of_head(draw: Draw, run: EncoderDecoderRun, name: str, *, choose: bool = False) -> None:
    """Draw a figure of the shown layer and head; choose: with the choice of both above it."""

    def drawn() -> None:
        if choose:
            pickers(run, name)
        layer, head = shown(run)
        subtitle = t("viz.layer_head", layer=layer, head=head)
        panel(draw, run, key=f"{PAGE}.{name}", subtitle=subtitle, source=text_of(run, t), layer=layer, head=head)

    parts.figure(f"{PAGE}.part.{name}", drawn, on=PLACE)


def whole(draw: Draw, run: EncoderDecoderRun, name: str) -> None:
    """Draw a figure of all layers and heads."""
    parts.figure(f"{PAGE}.part.{name}", lambda: panel(draw, run, key=f"{PAGE}.{name}", source=text_of(run, t)), on=())


def maps(run: EncoderDecoderRun) -> None:
    """Draw both self-attentions, one under the other."""
    of_head(encoder_map, run, "encoder", choose=True)
    of_head(decoder_map, run, "decoder")


def cost(run: EncoderDecoderRun) -> None:
    """Draw what the decoder keeps, under the words for it."""
    with st.container(key=f"cost-{PAGE}"):
        st.header(t("layout.cost"), anchor=pointing.COST)
        st.markdown(section(PAGE, "cost.text"))
        with notices.guarded():
            whole(decoder_cache, run, "cache")


layout.header(PAGE)
asked = asking.source()
if asked is not None:
    with notices.guarded():
        run = running.run_of(asked)
        layout.first_figure(PAGE, lambda: of_head(cross_lines, run, "cross", choose=True))
        layout.chapter(PAGE, 1, lambda: whole(two_stacks, run, "stacks"))
        layout.chapter(PAGE, 2, lambda: maps(run))
        layout.chapter(PAGE, 3, lambda: of_head(cross_map, run, "map", choose=True))
        layout.section_of(PAGE, "layouts", layouts.table)
        layout.under_the_hood(PAGE, [("accuracy", layouts.accuracy)])
        cost(run)
layout.check_yourself(PAGE)
