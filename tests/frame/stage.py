"""Draw parts of a page without Streamlit: every call is noted, and widgets answer from the state of a session."""

import re
from collections.abc import Callable
from functools import partial
from html import unescape
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple, Self

import pytest

from pages.shared import html, notices
from pages.shared.state import session

INPUTS = ("segmented_control", "selectbox", "number_input", "toggle", "checkbox", "text_input", "pills", "text_area")


class Call(NamedTuple):
    """What a page called. kind: the name of Streamlit's function."""

    kind: str
    args: tuple[Any, ...]
    options: dict[str, Any]

    @property
    def text(self) -> Any:
        """The first argument, else that of the name body: the words of all that writes."""
        return self.args[0] if self.args else self.options.get("body", "")


class Place:
    """A container, a column or a section that is open."""

    open = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def container(self, **_: object) -> "Place":
        """Open a container in an empty place."""
        return self

    def empty(self) -> None:
        """Take away what stands in an empty place."""


class Stage:
    """In place of Streamlit. pressed: keys of the buttons that are pressed in this run."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.session_state: dict[str, Any] = {}
        self.query_params: dict[str, str] = {}
        self.pressed: set[str] = set()
        theme = SimpleNamespace(type="light")
        self.context = SimpleNamespace(url="", locale="en-US", cookies={}, theme=theme)

    def on(self, patch: pytest.MonkeyPatch, *modules: ModuleType) -> "Stage":
        """Stand in the place of Streamlit in some modules, and in what all of them write with."""
        for module in (html, notices, session, *modules):
            patch.setattr(module, "st", self)
        return self

    def __getattr__(self, kind: str) -> Callable[..., Any]:
        if kind.startswith("_"):
            raise AttributeError(kind)
        return partial(self._called, kind)

    def _called(self, kind: str, *args: Any, **options: Any) -> Any:
        self.calls.append(Call(kind, args, options))
        if kind == "columns":
            return [Place() for _ in range(args[0] if isinstance(args[0], int) else len(args[0]))]
        if kind == "fragment":
            return args[0]
        if kind == "button":
            pressed = options["key"] in self.pressed
            if pressed and "on_click" in options:
                options["on_click"](*options.get("args", ()))
            return pressed
        if kind == "select_slider":
            return self.session_state.get(options["key"], options.get("value"))
        if kind in INPUTS:
            return self.session_state.get(options["key"], options.get("default"))
        return Place()

    def found(self, *kinds: str) -> list[Call]:
        """Return the calls of some kinds, in their order."""
        return [call for call in self.calls if call.kind in kinds]

    def said(self, *kinds: str) -> list[str]:
        """Return the words that calls of some kinds wrote."""
        return [str(call.text) for call in self.found(*kinds)]

    def keyed(self, key: str) -> Call:
        """Return the last widget with a key."""
        return [call for call in self.calls if call.options.get("key") == key][-1]

    def has(self, key: str) -> bool:
        """Return whether something with this key was drawn."""
        return any(call.options.get("key") == key for call in self.calls)

    def clear(self) -> None:
        """Forget what was drawn."""
        self.calls.clear()


def words_of(markup: str) -> str:
    """Return the text of HTML, its elements apart by spaces."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", markup)).split())


def bare(markdown: str) -> str:
    """Return escaped Markdown as it is read."""
    return re.sub(r"\\(.)", r"\1", markdown)
