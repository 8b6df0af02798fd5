"""The scripts of Streamlit that every page needs soon, so that a browser fetches them at once and not one by one.

Streamlit loads the code of an element when the first one arrives, and only then finds out what that code imports. Until
it is there, an empty box stands in the element's place.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from streamlit import file_util

STATIC = Path(file_util.get_static_dir())
MANIFEST = STATIC / "manifest.json"  # of the build: source -> file, imports
ELEMENTS = ("BidiComponent", "Html", "ButtonGroup", "TextArea", "Button", "PageLink")  # stand on the first screen
FURTHER = {"benchmark": ("NumberInput", "Checkbox", "Selectbox")}  # page -> more that stand on its first screen
_ENTRY = "index.html"


@cache
def scripts(page: str) -> tuple[str, ...]:
    """List the files below Streamlit's static folder that its document does not name; none if its build is unknown."""
    if not MANIFEST.is_file():
        return ()
    built: dict[str, dict[str, Any]] = json.loads(MANIFEST.read_text(encoding="utf-8"))
    known = _imported(built, [_ENTRY])
    elements = (*ELEMENTS, *FURTHER.get(page, ()))
    wanted = [name for name in built if any(name.endswith(f"/{one}/{one}.tsx") for one in elements)]
    files = dict.fromkeys(built[name]["file"] for name in _imported(built, wanted) if name not in known)
    return tuple(files)


def _imported(built: dict[str, dict[str, Any]], names: list[str]) -> dict[str, None]:
    """Return some modules and all that they import, in this order."""
    found: dict[str, None] = {}
    rest = list(names)
    while rest:
        name = rest.pop(0)
        if name in built and name not in found:
            found[name] = None
            rest += built[name].get("imports", ())
    return found
