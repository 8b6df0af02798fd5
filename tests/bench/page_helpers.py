"""Visit the benchmark page inside its frame, as a reader does."""

from pathlib import Path

from streamlit.testing.v1 import AppTest

from pages.shared import site

ROOT = Path(__file__).resolve().parents[2]
FRAME = ROOT / "pages" / "frame" / "main.py"
PAGE = site.page("benchmark").script


def opened(lang="en", *, state=None, **query):
    at = AppTest.from_file(str(FRAME), default_timeout=200)
    for name, value in (state or {}).items():
        at.session_state[name] = value
    for name, value in ({"lang": lang} | query).items():
        at.query_params[name] = value
    at.switch_page(str(PAGE))
    return calm(at.run())


def calm(at):
    assert [error.value for error in (*at.exception, *at.error)] == []
    return at


def texts(at):
    return " | ".join(
        element.value for kind in (at.text, at.caption, at.warning, at.info, at.markdown) for element in kind
    )
