"""A figure of several models while some still read: drawn of those that have read, until the whole one stands."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import streamlit as st

from pages.shared import notices


class Early:
    """A place in front of a figure. What stands in it hides the card of the figure, under the same key, behind it.

    The container stands in every run, so that what follows keeps its place; while it is empty, it takes no room.
    """

    def __init__(self, key: str) -> None:
        with st.container(key=f"early-{key}"):
            self._slot = st.empty()
        self._stages = 0

    def show(self, draw: Callable[..., object]) -> None:
        """Draw a picture in place of the one before; draw takes stage, a name that no other picture of this run has."""
        self._stages += 1
        with self._slot.container(), notices.guarded():
            draw(stage=f"early{self._stages}")

    @contextmanager
    def before(self) -> Iterator[None]:
        """Draw the whole figure inside the block; only then the early one goes, so that one of them is always there."""
        yield
        if self._stages:
            self._slot.empty()
