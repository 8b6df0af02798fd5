"""Show errors in the visitor's language: cause, value and remedy."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import streamlit as st

from models import panics
from models.errors import ContextscopeError
from pages.shared import html
from pages.shared.state import session
from pages.shared.words import i18n

_UNEXPECTED = "errors.unexpected"

_log = logging.getLogger(__name__)


@contextmanager
def guarded() -> Iterator[None]:
    """Run a piece of a page; what fails in it becomes a notice in its place and the rest of the page goes on."""
    try:
        yield
    except ContextscopeError as error:
        explain(error)
    except Exception as error:  # noqa: BLE001  # the visitor gets a calm sentence, the log everything
        calm(error)
    except BaseException as error:  # a panic of Rust code is no Exception; what ends or reruns a script passes
        if not panics.is_panic(error):
            raise
        calm(error)


def explain(error: ContextscopeError, *, also: str = "") -> None:
    """Show the sentence of an error that a visitor can cause, and one more where there is more to say."""
    st.warning(plain(f"{sentence(error)} {also}".strip()), icon=":material/info:")


def calm(error: BaseException) -> bool:
    """Log an unexpected error and show a notice without details. Returns True: the error is handled."""
    _log.error("unexpected error on page %s", session.current().page, exc_info=error)
    st.error(i18n.t(_UNEXPECTED), icon=":material/error:")
    return True


def answer_link(missed: Sequence[tuple[str, str]]) -> None:
    """Show which parts of a link do not exist; the page shows its default. missed: pairs of name and value."""
    said = [_link_sentence(what, value) for what, value in dict.fromkeys(missed)]
    if said:
        st.info(plain(" ".join(said)), icon=":material/link_off:")


def _link_sentence(what: str, value: str) -> str:
    if what in ("model", "folder"):
        return i18n.t(f"notices.link_{what}", value=value)
    return i18n.t("notices.link_place", what=i18n.t(f"notices.place.{what}"), value=value)


def sentence(error: ContextscopeError) -> str:
    """Return an error's sentence in the visitor's language, or its own English one where none is written."""
    lang = session.language()
    return i18n.say(lang, error.key, **error.values) if i18n.has(lang, error.key) else str(error)


def plain(text: str) -> str:
    """Escape what Markdown would interpret, for sentences that quote what a visitor wrote."""
    return html.forwards(text).translate(_ESCAPED)


_ESCAPED = str.maketrans({sign: f"\\{sign}" for sign in "\\`*_{}[]<>()#+!|~$:&"})
