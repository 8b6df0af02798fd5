"""The browser side of the picture as one module: the store of the selection, drawing, and the files of browser/."""

from functools import cache
from pathlib import Path

BROWSER = Path(__file__).resolve().parent / "browser"
CANVAS = BROWSER.parents[1] / "canvas" / "browser"
SHARED_FILES = ("store", "drawing")  # of the canvas picture
SCRIPT_FILES = ("decode", "time", "build", "sentence", "carried", "guesses", "tips", "input", "component")


@cache
def script() -> str:
    """Join the parts: a component of Streamlit is a single script."""
    files = [*(CANVAS / f"{name}.js" for name in SHARED_FILES), *(BROWSER / f"{name}.js" for name in SCRIPT_FILES)]
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


@cache
def styles() -> str:
    """Return the style sheet."""
    return (BROWSER / "component.css").read_text(encoding="utf-8")
