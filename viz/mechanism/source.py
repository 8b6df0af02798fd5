"""The browser side of mechanisms as one module: parts of the canvas picture, the core, and every painter."""

from functools import cache
from pathlib import Path

from viz.canvas.source import BROWSER as CANVAS

BROWSER = Path(__file__).resolve().parent / "browser"
PAINTERS = BROWSER / "painters"
SHARED_FILES = ("store", "inflate", "payload", "drawing")  # of the canvas picture
SCRIPT_FILES = ("view", "numbers", "words", "marks", "sums", "walk", "input", "component")


@cache
def painters() -> frozenset[str]:
    """Name the painters: each is a file of browser/painters."""
    return frozenset(path.stem for path in PAINTERS.glob("*.js"))


@cache
def script() -> str:
    """Join the parts: a component of Streamlit is a single script. Painters come last, in the order of their names."""
    files = [
        *(CANVAS / f"{name}.js" for name in SHARED_FILES),
        *(BROWSER / f"{name}.js" for name in SCRIPT_FILES),
        *(PAINTERS / f"{name}.js" for name in sorted(painters())),
    ]
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


@cache
def styles() -> str:
    """Return the style sheet."""
    return (BROWSER / "component.css").read_text(encoding="utf-8")
