"""Run pages in their frame without a browser."""

from collections.abc import Callable

import pytest
from opening import unopened
from streamlit.testing.v1 import AppTest

from pages.shared import site
from pages.shared.words import i18n, language

LOCALES = {"en": "en-US", "ko": "ko-KR"}

Open = Callable[..., AppTest]


@pytest.fixture
def open_page() -> Open:
    """Give a function that opens a page in its frame: open_page("mamba", browser="ko", text="...")."""

    def opened(page: str, *, browser: str = "en", **query: str) -> AppTest:
        at = unopened(page)
        at.context = {"locale": LOCALES[browser]}
        for name, value in query.items():
            at.query_params[name] = value
        return at.run()

    return opened


@pytest.fixture(params=i18n.LANGS)
def say(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Have the pages speak one language without a visitor, and return its translator."""
    monkeypatch.setattr(language, "current", lambda: request.param)
    return i18n.translator(request.param)


@pytest.fixture(scope="session")
def pages() -> tuple[str, ...]:
    """List the pages in the order of the navigation."""

    return site.KEYS
