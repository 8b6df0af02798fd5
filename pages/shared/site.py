"""The list of pages, from which navigation, addresses, links and tests are made."""

from dataclasses import dataclass
from pathlib import Path

from models.machine.paths import ROOT

ROOM = ROOT / "pages"


@dataclass(frozen=True, slots=True)
class Page:
    """One page.

    key: names it in addresses, words and keys of widgets; section: the folder under pages/ that holds its folder, which
    is called like the key, with _ for -;
    first: the name of the figure at its top, whose title heads a part of the page; "" where there is none at once.
    """

    key: str
    section: str
    first: str

    @property
    def script(self) -> Path:
        """The script that Streamlit runs."""
        return ROOM / self.section / self.folder / "page.py"

    @property
    def folder(self) -> str:
        """The name of its folder, which is a package."""
        return self.key.replace("-", "_")

    @property
    def url_path(self) -> str:
        """The path under the address of the app; the first page has none."""
        return "" if self == PAGES[0] else self.key


PAGES = (
    Page("overview", "learn", first="reading"),
    Page("transformer", "learn", first="hero"),
    Page("encoder-decoder", "learn", first="cross"),
    Page("mamba", "learn", first="film"),
    Page("rwkv", "learn", first="ink"),
    Page("jamba", "learn", first="flow"),
    Page("side-by-side", "compare", first="rows"),
    Page("recall", "compare", first="map"),
    Page("benchmark", "compare", first=""),
)
KEYS = tuple(page.key for page in PAGES)
HOME = KEYS[0]
OF_ALL = (HOME, "side-by-side")  # pages that show the models of all architectures
FIRST = frozenset(f"{page.key}.{page.first}" for page in PAGES if page.first)  # keys of figures


def page(key: str) -> Page:
    """Return a page by its key; KeyError lists the keys."""
    for candidate in PAGES:
        if candidate.key == key:
            return candidate
    raise KeyError(f"no page {key!r} among {list(KEYS)}")
