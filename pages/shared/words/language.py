"""The language of the visitor whose script is running."""

import threading

import streamlit as st

LANGS = ("en", "ko")

_KEY = "contextscope.spoken"

_of_run = threading.local()  # a script run has a thread; fragments of the same visitor may reuse it


def current() -> str:
    """Return the visitor's language: the chosen one, else that of the URL, else that of the browser, else English.

    Inside a script run the answer is the one that `begin` or `choose` found.
    """
    found: str | None = getattr(_of_run, "code", None)
    return _resolved() if found is None else found


def understood(text: str) -> str | None:
    """Return the language that a code names, in any case and with any region: KO and ko-KR are ko; None for others."""
    code = text.strip().casefold().replace("_", "-").split("-", maxsplit=1)[0]
    return code if code in LANGS else None


def begin(*, anew: bool = False) -> str:
    """Resolve the language for the script run that starts in this thread, and return it; anew: choose from the URL."""
    if anew:
        st.session_state.pop(_KEY, None)
    _of_run.code = _resolved()
    return str(_of_run.code)


def choose(code: str) -> None:
    """Set the visitor's language; it also holds for the run that is under way in this thread."""
    st.session_state[_KEY] = code
    _of_run.code = code


def _resolved() -> str:
    spoken = st.session_state.get(_KEY)
    if spoken is None:
        asked, heard = understood(st.query_params.get("lang", "")), understood(st.context.locale or "")
        spoken = asked or heard or LANGS[0]
        st.session_state[_KEY] = spoken
    return str(spoken)
