"""Draw one figure of a trace in its card, with the visitor's selection and the check of what is drawn."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from models.records import ModelTrace
from pages.shared import cache, figure, session, style
from pages.shared.canvas import Selection
from pages.shared.i18n import t
from viz.figure import Figure

Draw = Callable[..., Figure]


def panel(
    draw: Draw,
    trace: Any,
    *,
    key: str,
    subtitle: str | None = None,
    follow: bool = True,
    picks: bool = True,
    **options: Any,
) -> Selection | None:
    """Call a figure function with the theme, the words and the selected token, check what it returns and show it.

    key: <page>.<name>. follow: the figure takes `selected`. picks: a click
    chooses a token for every figure. options go to the figure function.
    """
    if follow:
        first = trace if isinstance(trace, ModelTrace) else trace[0]
        options["selected"] = session.current().token_in(first.tokens)
    with st.spinner("", show_time=False):
        drawn = draw(trace, theme=style.theme(), t=t, **options)
        checked = cache.check_of(drawn, trace, options)
    return figure.show(drawn, key=key, check=checked, subtitle=subtitle, picks=picks)


def selected_or_last(trace: ModelTrace) -> int:
    """Return the chosen token, or the last one where none is chosen."""
    token = session.current().token_in(trace.tokens)
    return len(trace.tokens) - 1 if token is None else token
