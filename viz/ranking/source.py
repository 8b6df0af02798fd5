"""The browser side of ranked lists as one module: how bytes are read, the selection of the page, and the lists."""

from functools import cache
from pathlib import Path

from viz.canvas.source import BROWSER as CANVAS

BROWSER = Path(__file__).resolve().parent / "browser"


@cache
def script() -> str:
    """Join the parts: a component of Streamlit is a single script. The canvas shares how bytes are read."""
    parts = (CANVAS / "inflate.js", CANVAS / "payload.js", CANVAS / "store.js", BROWSER / "ranking.js")
    return "\n".join(part.read_text(encoding="utf-8") for part in parts if part.is_file())


@cache
def styles() -> str:
    """Return the style sheet."""
    return (BROWSER / "ranking.css").read_text(encoding="utf-8")
