"""Draw one figure of a trace in its card, with the visitor's selection and the residual that belongs to it."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from models.records import ModelTrace
from pages.shared import figure, session, style
from pages.shared.canvas import Selection
from pages.shared.i18n import t
from viz.figure import Figure

Draw = Callable[..., Figure]


def panel(
    draw: Draw,
    trace: Any,
    *,
    key: str,
    residual: float | None = None,
    subtitle: str | None = None,
    follow: bool = True,
    picks: bool = True,
    **options: Any,
) -> Selection | None:
    """Call a figure function with the theme, the words and the selected token, and show what it returns.

    key: <page>.<name>. follow: the figure takes `selected`. picks: a click
    chooses a token for every figure. options go to the figure function.
    """
    if follow:
        first = trace if isinstance(trace, ModelTrace) else trace[0]
        options["selected"] = session.current().token_in(first.tokens)
    with st.spinner("", show_time=False):
        drawn = draw(trace, theme=style.theme(), t=t, **options)
    return figure.show(drawn, key=key, residual=residual, subtitle=subtitle, picks=picks)


def residual_of(trace: ModelTrace, part: str, layer: int | None = None) -> float:
    """Return how well a part rebuilds its layer's output; without a layer, the worst of all layers that show it."""
    layers = trace.layers_with(part) if layer is None else (trace.layer(layer),)
    return max(shown.residuals[part] for shown in layers)


def selected_or_last(trace: ModelTrace) -> int:
    """Return the chosen token, or the last one where none is chosen."""
    token = session.current().token_in(trace.tokens)
    return len(trace.tokens) - 1 if token is None else token
