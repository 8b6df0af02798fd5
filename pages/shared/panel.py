"""Draw one figure of a trace in its card, with the visitor's selection and the check of the drawn arrays."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import PurePath
from typing import Any

import streamlit as st

from models.records.trace import ModelTrace
from pages.shared import cache, figure, gate, style
from pages.shared.drawn import Figures
from pages.shared.state import session
from pages.shared.words import language
from pages.shared.words.i18n import t
from viz.figure import Figure
from viz.proof.curves import Curves, curves

Draw = Callable[..., Figure]
TEXT_IN_A_PICTURE = 200  # characters of the text that a picture repeats

_figures = Figures()


def panel(
    draw: Draw,
    trace: Any,
    *,
    key: str,
    subtitle: str | None = None,
    source: str | None = None,
    picked: Callable[[Any], None] | None = None,
    **options: Any,
) -> None:
    """Call a figure function with the theme and the words, check what it returns and show it.

    key: <page>.<name>. source: what the figure was drawn from, in words; without them the models and the text of
    its traces. picked: what a click does that the picture reports. options go to the figure function. The chosen token
    is none of them: pictures follow it in the browser.
    """
    with st.spinner("", show_time=False), gate.released() if _large(trace) else nullcontext():
        theme = style.theme()
        known = (key, language.current(), theme.mode, *sorted(options.items()))
        drawn = _figures.get(draw, trace, known, lambda: draw(trace, theme=theme, t=t, **options))
        checked = cache.check_of(drawn, trace, options)

    def compare() -> tuple[Curves, ...]:
        with gate.released() if _large(trace) else nullcontext():
            return curves(drawn, trace, **options)

    told = _source(trace) if source is None else source
    token = selected_or_last(_traces(trace)[0]) if drawn.each else None
    figure.show(
        drawn, key=key, check=checked, compare=compare, subtitle=subtitle, source=told, picked=picked, token=token
    )


def sketch(draw: Draw, trace: Any, *, key: str, **options: Any) -> None:
    """Show a figure that will be drawn again in a moment, of more traces: it is neither kept nor checked."""
    with gate.released() if _large(trace) else nullcontext():
        drawn = draw(trace, theme=style.theme(), t=t, **options)
    figure.show(drawn, key=key, source=_source(trace))


def _large(shown: Any) -> bool:
    """Return whether a figure is of a model that is not bundled, whose derived parts may take seconds."""
    return any(one.checkpoint not in cache.bundled() for one in _traces(shown))


def _traces(shown: Any) -> list[ModelTrace]:
    given = [shown] if isinstance(shown, ModelTrace) else shown if isinstance(shown, list | tuple) else ()
    return [one for one in given if isinstance(one, ModelTrace)]


def _source(shown: Any) -> str:
    """Name the models and the text of the traces that a figure draws; "" where it draws none."""
    traces = _traces(shown)
    if not traces:
        return ""
    text = traces[0].prompt
    if len(text) > TEXT_IN_A_PICTURE:
        text = f"{text[:TEXT_IN_A_PICTURE]}…"
    return t("figure.source", models=", ".join(dict.fromkeys(_model(trace) for trace in traces)), text=text)


def _model(trace: ModelTrace) -> str:
    name = t(f"nav.{trace.architecture}")
    return name if trace.checkpoint in cache.bundled() else f"{name} ({PurePath(trace.checkpoint).name})"


def selected_or_last(trace: ModelTrace) -> int:
    """Return the chosen token, or the last one where none is chosen."""
    token = session.current().token_in(trace.tokens)
    return len(trace.tokens) - 1 if token is None else token
