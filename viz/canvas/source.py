"""The browser side of the picture, and of the reading bar, as one module each: files of browser/."""

from functools import cache
from pathlib import Path

BROWSER = Path(__file__).resolve().parent / "browser"
SCRIPT_FILES = (
    "store",
    "clock",
    "inflate",
    "payload",
    "drawing",
    "spread",
    "view",
    "follow",
    "range",
    "layout",
    "cells",
    "lanes",
    "landmarks",
    "labels",
    "matrix",
    "tiles",
    "strip",
    "bars",
    "readout",
    "tip",
    "cursor",
    "paint",
    "player",
    "foot",
    "zoom",
    "brush",
    "input",
    "component",
)
BAR_FILES = ("store", "clock", "said", "reading")  # the reading bar, a component of its own


@cache
def script() -> str:
    """Join the parts: a component of Streamlit is a single script."""
    return "\n".join((BROWSER / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPT_FILES)


@cache
def bar_script() -> str:
    """Join the parts of the reading bar, which shares the selection of the pictures."""
    return "\n".join((BROWSER / f"{name}.js").read_text(encoding="utf-8") for name in BAR_FILES)


@cache
def bar_styles() -> str:
    """Return the style sheet of the reading bar."""
    return (BROWSER / "reading.css").read_text(encoding="utf-8")


@cache
def styles() -> str:
    """Return the style sheet."""
    return (BROWSER / "component.css").read_text(encoding="utf-8")
