"""Start an app at one page, as a link does, without a run of the first page before."""

from pathlib import Path

from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from pages.shared import site

FRAME = Path(__file__).resolve().parents[2] / "pages" / "frame" / "main.py"
TIMEOUT = 200


def unopened(page: str) -> AppTest:
    """Return the app, not yet run, whose first run shows one page.

    Streamlit knows a page by the hash of its address. `AppTest.switch_page` takes the name of the file for the address
    until a run has registered the pages, and the scripts of all our pages have the same name.
    """
    at = AppTest.from_file(str(FRAME), default_timeout=TIMEOUT)
    at._page_hash = calc_hash(site.page(page).url_path)
    return at
