"""The browser side of the picture as one module: the files of browser/, functions of one view."""

from functools import cache
from pathlib import Path

BROWSER = Path(__file__).resolve().parent / "browser"
SCRIPT_FILES = (
    "payload",
    "drawing",
    "spread",
    "view",
    "layout",
    "cells",
    "lanes",
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
    "input",
    "component",
)


@cache
def script() -> str:
    """Join the parts: a component of Streamlit is a single script."""
    return "\n".join((BROWSER / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPT_FILES)


@cache
def styles() -> str:
    """Return the style sheet."""
    return (BROWSER / "component.css").read_text(encoding="utf-8")
