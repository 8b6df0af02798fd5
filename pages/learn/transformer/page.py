"""Transformer: every token looks back at every other."""

from collections.abc import Callable

import streamlit as st

from models.records.trace import ModelTrace
from pages.shared import controls, experts, hood, layout, next_word
from pages.shared.panel import Draw, panel
from pages.shared.state import session
from pages.shared.words.i18n import t
from viz.trace.attention import SCORES, head_logits, head_matrix, head_mosaic, mosaic_head, value_norm_matrix

PAGE = "transformer"


def choose(trace: ModelTrace, at: str) -> tuple[int, int]:
    """Offer the layer and the head next to a figure; by default the clearest one."""
    best = controls.default_head(trace)
    layers = trace.layers_with("attention")
    with st.container(horizontal=True, gap="medium"):
        layer = controls.layer_picker(PAGE, [shown.index for shown in layers], default=best.layer, at=at)
        heads = trace.layer(layer).parts["attention"].sizes["head"]
        head = controls.head_picker(PAGE, heads, default=best.head, at=at)
    return layer, head


def one_head(draw: Draw, trace: ModelTrace, at: str) -> None:
    """Draw one head over the reader's words."""
    layer, head = choose(trace, at)
    panel(
        draw,
        trace,
        key=f"{PAGE}.{at}",
        layer=layer,
        head=head,
        subtitle=t("viz.layer_head", layer=layer, head=head),
    )


def all_heads(trace: ModelTrace) -> None:
    """Draw every head as a tile; a click chooses it for the whole page."""
    best, visit = controls.default_head(trace), session.current()
    score = st.segmented_control(
        t("controls.score"),
        SCORES,
        default=SCORES[0],
        required=True,
        key=f"{PAGE}.score.{visit.lang}",
        format_func=lambda name: t(f"viz.score.{name}"),
    )
    layers = [shown.index for shown in trace.layers_with("attention")]
    layer = visit.selection("layer", default=best.layer, allowed=layers)
    head = visit.selection(
        "head", default=best.head, allowed=range(trace.layer(layer).parts["attention"].sizes["head"])
    )
    clicked = panel(
        head_mosaic,
        trace,
        key=f"{PAGE}.mosaic",
        layer=layer,
        head=head,
        score=score or SCORES[0],
    )
    if clicked is not None and clicked.tile is not None:
        chosen = mosaic_head(trace, clicked.tile)
        if (chosen.layer, chosen.head) != (layer, head):
            visit.select("layer", chosen.layer)
            visit.select("head", chosen.head)
            st.rerun()


layout.header(PAGE)
found = controls.traced_prompt(PAGE)
if found is not None:
    reading = found
    layout.first_figure(PAGE, lambda: one_head(head_matrix, reading, "hero"), traces=[reading])
    next_word.section(PAGE, [reading])
    layout.chapter(PAGE, 1, lambda: one_head(head_logits, reading, "logits"))
    layout.chapter(PAGE, 2, lambda: all_heads(reading))
    layout.chapter(PAGE, 3, lambda: one_head(value_norm_matrix, reading, "moved"))
    parts: list[tuple[str, Callable[[], object]]] = hood.shared(PAGE, reading)
    if experts.has_experts(reading):  # Mixtral
        parts += [
            ("expert_lanes", lambda: experts.lanes(PAGE, reading)),
            ("router_bars", lambda: experts.router(PAGE, reading)),
            ("expert_load", lambda: experts.load(PAGE, reading)),
        ]
    layout.under_the_hood(PAGE, parts)
    layout.what_it_costs(PAGE, len(reading.tokens))
    layout.check_yourself(PAGE)
