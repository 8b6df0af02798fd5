"""One typed view of what the visitor has chosen: kept in session_state across pages, carried in and out by the URL."""

import re
from collections.abc import Sequence
from urllib.parse import urlencode, urlsplit

import streamlit as st

from pages.shared import content, i18n

PROMPT_LIMIT = 4000  # characters accepted from a box or a link; the model's own limit is in tokens

_PREFIX = "contextscope."
_PLACE = re.compile(r"(?:[a-z]{1,16}_)?(?:layer|head|channel|expert|frame)")
_NUMBER = re.compile(r"[0-9]{1,5}")


class Session:
    """The choices of one visitor. The URL is read once, when the session starts; every value is checked on use."""

    @property
    def page(self) -> str:
        """The key of the page being shown: overview, transformer, ..."""
        return str(_get("page", "overview"))

    @property
    def lang(self) -> str:
        """The language code."""
        return language()

    @lang.setter
    def lang(self, code: str) -> None:
        if code in i18n.LANGS:
            _put("lang", code)
            _put("spoken", code)

    @property
    def prompt(self) -> str:
        """The text that every page reads; until the visitor writes one, the first example in their language."""
        text = _get("prompt", None)
        return str(text) if text is not None else content.first_example(self.lang)

    @prompt.setter
    def prompt(self, text: str) -> None:
        text = text[:PROMPT_LIMIT]
        if text != self.prompt:
            _put("prompt", text)
            _put("token", None)

    @property
    def selected(self) -> int | None:
        """The index of the chosen token, shared by all pages; None until one is chosen."""
        token = _get("token", None)
        return token if isinstance(token, int) else None

    @selected.setter
    def selected(self, index: int | None) -> None:
        _put("token", index)

    def pick(self, index: int) -> None:
        """Choose a token, or let go of it when it is the chosen one; the page is then drawn once more."""
        self.selected = None if index == self.selected else index
        _put("stale", True)

    def settle(self) -> bool:
        """Tell, once, whether a choice was made after parts of the page had been drawn."""
        stale = bool(_get("stale", False))
        _put("stale", False)
        return stale

    def token(self, count: int) -> int | None:
        """Return the chosen token if a text of count tokens has it."""
        token = self.selected
        return token if token is not None and 0 <= token < count else None

    def place(self, name: str, *, default: int, allowed: Sequence[int] | range) -> int:
        """Return the layer, head, channel, ... chosen on this page; the default when none or an impossible one is."""
        value = self._places().get(name)
        return value if value is not None and value in allowed else default

    def put(self, name: str, value: int) -> None:
        """Remember a layer, head, channel, ... of this page."""
        if not _PLACE.fullmatch(name):
            raise ValueError(
                f"place {name!r}: expected layer, head, channel, expert or frame, with a prefix if need be"
            )
        self._places()[name] = int(value)

    def query(self) -> dict[str, str]:
        """Return what the URL has to say to come back here; defaults are left out."""
        written: dict[str, str] = {}
        if _get("lang", None) is not None:
            written["lang"] = self.lang
        if _get("prompt", None) is not None:
            written["text"] = self.prompt
        if self.selected is not None:
            written["token"] = str(self.selected)
        return written | {name: str(value) for name, value in sorted(self._places().items())}

    def permalink(self) -> str:
        """Return the full address of what is on screen, with the language."""
        url = urlsplit(st.context.url or "")
        address = f"{url.scheme}://{url.netloc}{url.path}" if url.netloc else f"/{url_path(self.page)}"
        return f"{address}?{urlencode({'lang': self.lang} | self.query())}"

    def _places(self) -> dict[str, int]:
        every: dict[str, dict[str, int]] = st.session_state.setdefault(f"{_PREFIX}places", {})
        return every.setdefault(self.page, {})


def current() -> Session:
    """Return the session of the visitor whose script is running."""
    return Session()


def start(page: str) -> Session:
    """Enter a page. The first call of a session takes over what the URL says, as far as it makes sense."""
    _put("page", page)
    session = current()
    if not _get("started", False):
        _put("started", True)
        _read_url(session)
    return session


def language() -> str:
    """Return the visitor's language: the chosen one, else that of the URL, else that of the browser, else English."""
    spoken = _get("spoken", None)  # asked for at every word: settled once
    if spoken is None:
        asked = st.query_params.get("lang", "")
        locale = (st.context.locale or "").lower()
        heard = next((code for code in i18n.LANGS if locale.startswith(code)), i18n.LANGS[0])
        spoken = asked if asked in i18n.LANGS else heard
        _put("spoken", spoken)
    return str(spoken)


def url_path(page: str) -> str:
    """Return the path of a page under the address of the app."""
    return "" if page == content.PAGES[0] else page


def _read_url(session: Session) -> None:
    params = st.query_params
    session.lang = params.get("lang", "")
    if text := params.get("text", ""):
        session.prompt = text
    if (token := _number(params.get("token", ""))) is not None:
        session.selected = token
    for name in params:
        value = _number(params.get(name, ""))
        if value is not None and _PLACE.fullmatch(name):
            session.put(name, value)


def _number(text: str) -> int | None:
    return int(text) if _NUMBER.fullmatch(text) else None


def _get(name: str, default: object) -> object:
    return st.session_state.get(f"{_PREFIX}{name}", default)


def _put(name: str, value: object) -> None:
    st.session_state[f"{_PREFIX}{name}"] = value
