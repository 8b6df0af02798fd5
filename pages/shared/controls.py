"""Input controls of the pages: the text, and the choice of layer, head and channel."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext

import streamlit as st

from models.errors import ContextscopeError
from models.records.trace import ModelTrace
from pages.shared import attempts, cache, model_picker, notices, outline, parts, prompt, site
from pages.shared.state import session
from pages.shared.words.i18n import t

_SEGMENTS = 12  # up to so many choices are shown at once, more on a slider
_GOOD = "contextscope.good"  # page -> the last text that could be traced there


def traced_prompt(page: str, architecture: str | None = None) -> ModelTrace | None:
    """Show the text box and run the chosen model of an architecture (by default the page's own) over the text.

    A text that cannot be read is explained, and the trace of the last good one is returned in its place; None if there
    is none. A model that cannot be had is explained, and the bundled one reads.
    """
    names = [page] if architecture is None else list(cache.architectures())
    box = prompt.show(page, model=page if architecture is None else None)
    good: dict[str, str] = st.session_state.setdefault(_GOOD, {})
    name = architecture or page
    try:
        # The container stands in every run, so that what follows keeps its place.
        with st.container(key=f"wait-{page}"), _waiting(page) if page not in good else nullcontext():
            text = prompt.fitted(page, box, names)
            trace = traced_by(name, text)
    except ContextscopeError as error:
        if page not in good:
            notices.explain(error)
            return None
        notices.explain(error, also=t("notices.still_showing"))
        with notices.guarded():
            return model_picker.read(name, good[page])[0]
        return None  # type: ignore[unreachable]  # guarded turns an error into a notice
    good[page] = text
    attempts.settle(trace)
    for remark in trace.remarks:
        st.caption(t(f"remarks.{remark.key}", **remark.values))
    return trace


@contextmanager
def _waiting(page: str) -> Iterator[None]:
    """Show the outline of the first figure of a page while it is not there yet."""
    shape, height = outline.remembered(f"{page}.{site.page(page).first}")
    with st.container(key=f"outline-{shape}-{page}"), st.skeleton(height=height):
        yield


def traced_by(architecture: str, text: str) -> ModelTrace:
    """Run the chosen model of an architecture; where it cannot be had, say why and run the bundled one."""
    trace, trouble = model_picker.read(architecture, text)
    if trouble is not None:
        notices.explain(trouble, also=t("models.kept_bundled"))
    return trace


def layer_picker(page: str, layers: Sequence[int], *, default: int, name: str = "layer", at: str = "") -> int:
    """Offer a choice of layers; name tells several choices of one page apart.

    at tells apart the several places of a page where the same choice is offered; all of them follow it.
    """
    return _pick(page, name, t("controls.layer"), tuple(layers), default, at)


def head_picker(page: str, count: int, *, default: int, name: str = "head", at: str = "") -> int:
    """Offer a choice of count heads."""
    return _pick(page, name, t("controls.head"), tuple(range(count)), default, at)


def channel_picker(page: str, channels: Sequence[int], *, default: int, name: str = "channel", at: str = "") -> int:
    """Offer a choice of channels."""
    return _pick(page, name, t("controls.channel"), tuple(channels), default, at)


def choice(page: str, name: str, label: str, options: Mapping[int, str]) -> int:
    """Offer a choice among named options, the first of them without one."""
    codes = tuple(options)
    return _pick(page, name, label, codes, codes[0], "", words=options.__getitem__)


def expert_picker(page: str, count: int, *, default: int, name: str = "expert", at: str = "") -> int:
    """Offer a choice of count experts."""
    return _pick(page, name, t("controls.expert"), tuple(range(count)), default, at)


def named_picker(page: str, name: str, label: str, options: Mapping[int, str], *, default: int, at: str = "") -> int:
    """Offer a choice of numbers that have names."""
    return _pick(page, name, label, tuple(options), default, at, words=options.__getitem__)


def chosen(name: str, options: Sequence[int], *, default: int) -> int:
    """Return the layer, head, channel, ... that a picker elsewhere on this page has chosen."""
    return session.current().selection(name, default=default, allowed=options)


def choose(name: str, value: int) -> None:
    """Choose a layer, head, channel, ... from a callback, and redraw what follows it."""
    session.current().select(name, value)
    parts.redraw(name)


def _pick(
    page: str,
    name: str,
    label: str,
    options: tuple[int, ...],
    default: int,
    at: str,
    *,
    words: Callable[[int], str] = str,
) -> int:
    visit = session.current()
    value = visit.selection(name, default=default, allowed=options)
    key = f"{page}.{name}.{at}" if at else f"{page}.{name}"

    def changed() -> None:
        value = st.session_state[key]
        if value in options:
            choose(name, value)

    if len(options) < 2:
        return value
    st.session_state[key] = value
    with st.container(key=f"pick-{key}", width="content" if len(options) <= _SEGMENTS else "stretch"):
        if len(options) <= _SEGMENTS:
            if words is str:
                st.segmented_control(label, options, key=key, required=True, on_change=changed)
            else:
                st.segmented_control(label, options, key=key, required=True, on_change=changed, format_func=words)
        else:
            st.select_slider(label, options, key=key, on_change=changed)
    return value
