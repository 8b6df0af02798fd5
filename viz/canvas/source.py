"""The browser side of the picture as one module: the files of browser/, each after what it builds on."""

from functools import cache
from pathlib import Path

BROWSER = Path(__file__).resolve().parent / "browser"
PARTS = (
    "payload",
    "drawing",
    "frames",
    "layout",
    "cells",
    "labels",
    "tiles",
    "strip",
    "overlay",
    "readout",
    "input",
    "component",
)


@cache
def script() -> str:
    """Join the parts: a component of Streamlit is a single script."""
    return "\n".join((BROWSER / f"{name}.js").read_text(encoding="utf-8") for name in PARTS)


@cache
def styles() -> str:
    """Return the style sheet."""
    return (BROWSER / "component.css").read_text(encoding="utf-8")
