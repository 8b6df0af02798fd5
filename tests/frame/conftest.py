"""Run pages in their frame without a browser."""

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages.shared import site

ROOT = Path(__file__).resolve().parents[2]
FRAME = ROOT / "pages" / "frame" / "main.py"
LOCALES = {"en": "en-US", "ko": "ko-KR"}
TIMEOUT = 120

Open = Callable[..., AppTest]


def script(page: str) -> str:
    """Return the path of a page as the frame knows it."""
    return str(site.page(page).script)


@pytest.fixture
def open_page() -> Open:
    """Give a function that opens a page in its frame: open_page("mamba", browser="ko", text="...")."""

    def opened(page: str, *, browser: str = "en", **query: str) -> AppTest:
        at = AppTest.from_file(str(FRAME), default_timeout=TIMEOUT)
        at.context = {"locale": LOCALES[browser]}
        for name, value in query.items():
            at.query_params[name] = value
        if page != "overview":
            at.switch_page(script(page))
        return at.run()

    return opened


@pytest.fixture(scope="session")
def pages() -> tuple[str, ...]:
    """List the pages in the order of the navigation."""

    return site.KEYS
