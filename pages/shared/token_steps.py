"""One pass against token by token, measured when it is opened, and again on a click."""

import streamlit as st

from models.records.steps import StepRun
from models.records.trace import ModelTrace
from pages.shared import cache, parts
from pages.shared.lru_cache import LruCache
from pages.shared.panel import panel
from pages.shared.words.i18n import t
from viz.trace.token_steps import token_steps

_RUNS: LruCache[StepRun] = LruCache(32)  # each weighs one


def draw(page: str, trace: ModelTrace) -> None:
    """Draw the two ways of reading; a button measures them once more."""
    parts.figure(f"{page}.part.token_steps", lambda: _draw(page, trace), on=())


def _draw(page: str, trace: ModelTrace) -> None:
    key = f"{page}.token_steps.again"
    count = int(st.session_state.get(key, 0))

    def again() -> None:
        st.session_state[key] = count + 1

    asked = (trace.checkpoint, trace.prompt, count)
    run = _RUNS.get(asked, lambda: cache.read_in_steps(trace), lambda _: 1)
    panel(lambda shown, **options: token_steps(run, shown, **options), trace, key=f"{page}.token_steps")
    st.button(t("controls.measure_again"), key=f"{page}.token_steps.measure", type="tertiary", on_click=again,
              icon=":material/refresh:")  # fmt: skip
