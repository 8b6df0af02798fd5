"""Transformer: every token looks back at every other."""

from collections.abc import Callable
from typing import Any, NamedTuple

import streamlit as st

from models.records.trace import ModelTrace
from pages.shared import controls, expert_memory, experts, hood, layout, next_word, parts, reading_bar, what_if
from pages.shared.canvas import Selection
from pages.shared.panel import Draw, panel
from pages.shared.reading_bar import Layers
from pages.shared.state import session
from pages.shared.words.i18n import t
from viz.trace.attention import (
    SCORES,
    head_logits,
    head_matrix,
    head_mosaic,
    mosaic_head,
    most_telling_head,
    value_norm_matrix,
)
from viz.trace.attention_steps import attention_steps
from viz.trace.kv_cache import kv_cache
from viz.trace.layer_flow import layer_flow

PAGE = "transformer"


PLACE = ("layer", "head")  # the choices that the page follows


class Heads(NamedTuple):
    """The heads of a model, and the one that is shown until the visitor chooses."""

    trace: ModelTrace
    layers: Layers
    best: int

    def number(self) -> int:
        """Count the heads of the shown layer."""
        return self.trace.layer(self.layers.shown).parts["attention"].sizes["head"]

    def shown(self) -> tuple[int, int]:
        """Return the layer and the head that the page shows."""
        return self.layers.shown, controls.chosen("head", range(self.number()), default=self.best)


def heads_of(trace: ModelTrace) -> Heads:
    """Name the layers with heads; by default the one with most to see at the last token."""
    best = most_telling_head(trace)
    layers = [shown.index for shown in trace.layers_with("attention")]
    return Heads(trace, Layers("layer", layers, best.layer), best.head)


def pickers(heads: Heads) -> None:
    """Offer the layer and the head, for the whole page."""
    controls.layer_picker(PAGE, heads.layers.options, default=heads.layers.default)
    controls.head_picker(PAGE, heads.number(), default=heads.best)


def one_head(draw: Draw, heads: Heads, at: str) -> None:
    """Draw one head over the reader's words."""
    parts.figure(f"{PAGE}.part.{at}", lambda: head_panel(draw, heads, at), on=PLACE)


def head_panel(draw: Draw, heads: Heads, at: str, **options: Any) -> None:
    """Draw the head that the page shows."""
    layer, head = heads.shown()
    panel(
        draw,
        heads.trace,
        key=f"{PAGE}.{at}",
        layer=layer,
        head=head,
        subtitle=t("viz.layer_head", layer=layer, head=head),
        **options,
    )


def read_and_moved(heads: Heads) -> None:
    """Draw what a head reads beside what it moves, with or without the column of the first token."""
    parts.figure(f"{PAGE}.part.moved", lambda: moved_panels(heads), on=PLACE)


def moved_panels(heads: Heads) -> None:
    """Offer to hide the first column of both maps, and draw them."""
    hide = {"hide_first": bool(st.toggle(t("controls.hide_first"), key=f"{PAGE}.hide_first"))}
    layout.pair(
        lambda: head_panel(head_matrix, heads, "matrix", **hide),
        lambda: head_panel(value_norm_matrix, heads, "moved", **hide),
    )


def cache_of(trace: ModelTrace) -> None:
    """Draw what the cache of keys and values holds after each token."""
    parts.figure(f"{PAGE}.part.kv_cache", lambda: panel(kv_cache, trace, key=f"{PAGE}.kv_cache"), on=())


def all_heads(trace: ModelTrace) -> None:
    """Draw every head as a tile; a click chooses it for the whole page, and the browser outlines it."""
    parts.figure(f"{PAGE}.part.mosaic", lambda: mosaic_panel(trace), on=())


def mosaic_panel(trace: ModelTrace) -> None:
    """Offer the scores under the tiles, and draw them."""
    score = st.segmented_control(
        t("controls.score"),
        SCORES,
        default=SCORES[0],
        required=True,
        key=f"{PAGE}.score.{session.language()}",
        format_func=lambda name: t(f"viz.score.{name}"),
    )

    def picked(click: Selection) -> None:
        if click.tile is not None:
            at = mosaic_head(trace, click.tile)
            session.current().select("layer", at.layer)
            controls.choose("head", at.head)

    panel(head_mosaic, trace, key=f"{PAGE}.mosaic", picked=picked, score=score or SCORES[0])


layout.header(PAGE)
found = controls.traced_prompt(PAGE)
if found is not None:
    reading = found
    heads = heads_of(reading)
    reading_bar.show(
        PAGE,
        reading,
        pickers=lambda: pickers(heads),
        layers=heads.layers,
        place=heads.shown,
    )
    layout.first_figure(PAGE, lambda: one_head(attention_steps, heads, "hero"), traces=[reading], wide=True)
    next_word.section(PAGE, [reading])
    what_if.section(PAGE, reading)
    layout.chapter(PAGE, 1, lambda: one_head(head_logits, heads, "logits"))
    layout.chapter(PAGE, 2, lambda: all_heads(reading))
    layout.chapter(PAGE, 3, lambda: read_and_moved(heads), wide=True)
    layout.section_of(PAGE, "cache", lambda: cache_of(reading))
    further: list[tuple[str, Callable[[], object]]] = hood.shared(PAGE, reading)
    if experts.has_experts(reading):  # Mixtral
        further += [
            ("layer_flow", lambda: panel(layer_flow, reading, key=f"{PAGE}.flow")),
            ("expert_lanes", lambda: experts.lanes(PAGE, reading)),
            ("router_bars", lambda: experts.router(PAGE, reading)),
            *experts.counted(PAGE, reading),
            ("memory_growth", lambda: expert_memory.memory(PAGE, reading)),
        ]
    layout.under_the_hood(PAGE, further)
    layout.what_it_costs(PAGE, len(reading.tokens))
    layout.check_yourself(PAGE)
