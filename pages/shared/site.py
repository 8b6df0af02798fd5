"""The list of pages, from which navigation, addresses, links and tests are made."""

from dataclasses import dataclass
from pathlib import Path

from models.machine.paths import ROOT

ROOM = ROOT / "pages"


@dataclass(frozen=True, slots=True)
class Page:
    """One page.

    key: names it in addresses, words and keys of widgets; section: the folder under pages/ that holds its folder;
    pictured: whether a figure stands on it at first sight.
    """

    key: str
    section: str
    pictured: bool = True

    @property
    def script(self) -> Path:
        """The script that Streamlit runs."""
        return ROOM / self.section / self.key / "page.py"

    @property
    def url_path(self) -> str:
        """The path under the address of the app; the first page has none."""
        return "" if self == PAGES[0] else self.key


PAGES = (
    Page("overview", "learn"),
    Page("transformer", "learn"),
    Page("mamba", "learn"),
    Page("rwkv", "learn"),
    Page("jamba", "learn"),
    Page("recall", "compare"),
    Page("benchmark", "compare", pictured=False),
)
KEYS = tuple(page.key for page in PAGES)
HOME = KEYS[0]


def page(key: str) -> Page:
    """Return a page by its key; KeyError lists the keys."""
    for candidate in PAGES:
        if candidate.key == key:
            return candidate
    raise KeyError(f"no page {key!r} among {list(KEYS)}")
