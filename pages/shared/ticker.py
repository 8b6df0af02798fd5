"""An invisible component that lets its fragment run again and again, only while something is under way.

A fragment with run_every keeps its pace until the whole page runs again; this one is told in every run.
"""

from functools import cache
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

_SCRIPT = """
const timers = new WeakMap();
export default function ({ data, parentElement, setTriggerValue }) {
  clearInterval(timers.get(parentElement));
  if (data) timers.set(parentElement, setInterval(() => setTriggerValue("tick", Date.now()), data));
  return () => clearInterval(timers.get(parentElement));
}
"""


def ticker(every_s: float | None, *, key: str) -> None:
    """Let the fragment around it run every so many seconds from now on; None: no more."""
    _component()(key=key, data=0 if every_s is None else round(1000 * every_s), on_tick_change=_noted)


@cache
def _component() -> "ComponentRenderer":
    return st.components.v2.component("contextscope_ticker", html="<span>\n</span>", js=_SCRIPT)


def _noted() -> None:
    """Subscribe to ticks."""
