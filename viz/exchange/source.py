"""The browser side of these pictures as one module: the selection of the page, how bytes are read, and the pictures."""

from functools import cache
from pathlib import Path

from viz.canvas.source import BROWSER as CANVAS

BROWSER = Path(__file__).resolve().parent / "browser"
DECODE = BROWSER.parents[1] / "hero" / "browser" / "decode.js"  # the bytes are those of viz/hero/payload.py
SHARED_FILES = ("store", "drawing")  # of the canvas picture
SCRIPT_FILES = ("time", "player", "lines", "stacks", "input", "component")


@cache
def script() -> str:
    """Join the parts: a component of Streamlit is a single script."""
    files = [
        *(CANVAS / f"{name}.js" for name in SHARED_FILES),
        DECODE,
        *(BROWSER / f"{name}.js" for name in SCRIPT_FILES),
    ]
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


@cache
def styles() -> str:
    """Return the style sheet."""
    return (BROWSER / "component.css").read_text(encoding="utf-8")
