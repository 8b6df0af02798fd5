"""The residual stream on every page: the logit lens with a token that is followed, and what adds to a logit."""

import numpy as np
import streamlit as st

from models.errors import ContextscopeError
from models.records.trace import Attribution, ModelTrace, TokenLens
from pages.shared import cache, controls, gate, notices, parts
from pages.shared.canvas import Selection
from pages.shared.memo import Memo
from pages.shared.panel import panel, selected_or_last
from pages.shared.state import session
from pages.shared.words.i18n import t
from viz.trace.attribution import head_attribution, logit_attribution
from viz.trace.lens import final_token, logit_lens
from viz.trace.rollout import attention_rollout
from viz.trace.token_lens import token_lens

TRACKED = "tracked"  # the choice of the token that is followed, by its id
WHICH = ("final", "next", "tracked")  # whose logit is split
LONGEST = 40  # characters of a word

_lenses: Memo[TokenLens] = Memo(16)
_attributions: Memo[Attribution] = Memo(16)


def lens(page: str, trace: ModelTrace) -> None:
    """Draw the logit lens, where a click on a cell follows its token, and that token through all layers below."""

    def picked(click: Selection) -> None:
        if click.row is not None and click.column is not None and click.row < len(trace.stream):
            track(int(trace.stream[click.row].part("lens_tokens")[click.column, 0]))

    panel(logit_lens, trace, key=f"{page}.logit_lens", picked=picked)
    parts.figure(f"{page}.part.token_lens", lambda: _followed(page, trace), on=(TRACKED,))


def track(token: int) -> None:
    """Follow a token of the vocabulary from a callback, and redraw what shows it."""
    session.current().select(TRACKED, token)
    parts.redraw(TRACKED)


def tracked(trace: ModelTrace) -> int:
    """Return the id of the token that is followed: by default the one that the model expects after the text."""
    vocabulary = range(trace.logits.sizes["vocab"])
    return session.current().selection(TRACKED, default=final_token(trace, len(trace.tokens) - 1), allowed=vocabulary)


def _followed(page: str, trace: ModelTrace) -> None:
    """Offer a word to follow, and draw its token in the stream after every layer."""
    key = f"{page}.{TRACKED}"

    def typed() -> None:
        word = (st.session_state[key] or "").strip()[:LONGEST]
        st.session_state.pop(f"{key}.refused", None)
        if not word:
            return
        try:
            from models.generation.guess import guessed_token

            logits = trace.logits.values[selected_or_last(trace)]
            track(guessed_token(cache.checkpoint(trace.checkpoint), word, logits))
        except ContextscopeError as error:
            st.session_state[f"{key}.refused"] = error
            parts.redraw(TRACKED)

    st.text_input(
        t("controls.tracked"), key=key, max_chars=LONGEST, placeholder=t("controls.tracked_placeholder"),
        help=t("controls.tracked_help"), on_change=typed,
    )  # fmt: skip
    if refused := st.session_state.get(f"{key}.refused"):
        notices.explain(refused)
    panel(token_lens, trace, key=f"{page}.token_lens", lens=_lens_of(trace, tracked(trace)))


def _lens_of(trace: ModelTrace, token: int) -> TokenLens:
    def make() -> TokenLens:
        from models import registry

        with gate.released():
            return registry.lens_of(cache.checkpoint(trace.checkpoint), trace, token)

    return _lenses.get((trace.checkpoint, token), (trace,), make)


def rollout(page: str, trace: ModelTrace) -> None:
    """Draw attention rollout up to a layer, of a model whose every layer is attention."""
    parts.figure(f"{page}.part.attention_rollout", lambda: _rollout(page, trace), on=("rollout_layer",))


def _rollout(page: str, trace: ModelTrace) -> None:
    layers = [layer.index for layer in trace]
    layer = controls.layer_picker(page, layers, default=layers[-1], name="rollout_layer")
    subtitle = t("viz.attention_rollout.up_to", layer=layer)
    panel(attention_rollout, trace, key=f"{page}.attention_rollout", layer=layer, subtitle=subtitle)


def attribution(page: str, trace: ModelTrace) -> None:
    """Draw what every part adds to a logit, and every head where there are heads."""
    parts.figure(f"{page}.part.logit_attribution", lambda: _attribution(page, trace), on=(TRACKED,))


def _attribution(page: str, trace: ModelTrace) -> None:
    """Offer whose logit, and draw."""
    label = notices.plain(trace.label_of(tracked(trace)))
    words = {name: t(f"viz.logit_attribution.which_{name}", token=label) for name in WHICH}
    which = st.segmented_control(
        t("viz.logit_attribution.which"), WHICH, default=WHICH[0], required=True,
        key=f"{page}.which.{session.language()}", format_func=words.__getitem__,
    )  # fmt: skip
    found = attribution_of(trace, which or WHICH[0])
    panel(logit_attribution, trace, key=f"{page}.logit_attribution", found=found)
    if found.heads:
        panel(head_attribution, trace, key=f"{page}.head_attribution", found=found)


def attribution_of(trace: ModelTrace, which: str) -> Attribution:
    """Split the logit of one token per position: the most likely one, the one that came, or the followed one."""
    count = len(trace.tokens)
    if which == "final":
        ids = [int(one) for one in np.asarray(trace.logits.values).argmax(-1)]
    elif which == "next":
        ids = [*(token.id for token in trace.tokens[1:]), -1]
    else:
        ids = [tracked(trace)] * count

    def make() -> Attribution:
        from models import registry

        with gate.released():
            return registry.attribution_of(cache.checkpoint(trace.checkpoint), trace, ids)

    return _attributions.get((trace.checkpoint, tuple(ids)), (trace,), make)
