"""The browser side of a finder as one module: how bytes are read, and the table."""

from functools import cache
from pathlib import Path

from viz.canvas.source import BROWSER as CANVAS

BROWSER = Path(__file__).resolve().parent / "browser"


@cache
def script() -> str:
    """Join the parts: a component of Streamlit is a single script. The canvas shares how bytes are read."""
    parts = (CANVAS / "inflate.js", CANVAS / "payload.js", BROWSER / "table.js", BROWSER / "finder.js")
    return "\n".join(part.read_text(encoding="utf-8") for part in parts)


@cache
def styles() -> str:
    """Return the style sheet."""
    return (BROWSER / "finder.css").read_text(encoding="utf-8")
