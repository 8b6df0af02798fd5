"""A mechanism in a page of its own, without the app: draw it, read its numbers and its place."""

import base64
import re
from typing import Any

from viz.mechanism import script, styles

HARNESS = """
<!DOCTYPE html><style>body { margin: 0 } %s</style><div id="host" style="width:%dpx"><div class="root"></div></div>
<script type="module">
  const text = new TextDecoder().decode(Uint8Array.from(atob("%s"), (c) => c.charCodeAt(0)));
  const module = await import(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
  window.show = (payload) => {
    const data = Uint8Array.from(atob(payload), (c) => c.charCodeAt(0));
    window.cleanup = module.default({ data, parentElement: document.getElementById("host") });
  };
  window.store = module.selectionStore();
  window.ready = true;
</script>
"""
TOLD = "() => document.querySelector('.root').told().map(({plane, name, at, text}) => ({plane, name, at, text}))"
SUMS = """() => [...document.querySelectorAll('.sums .number')].map((e) => ({
  plane: e.dataset.plane ?? null, name: e.dataset.name ?? null, text: e.textContent,
  at: e.dataset.at ? e.dataset.at.split(',').map(Number) : [],
}))"""


def mounted(page, figure, *, width: int, store: bool = True):
    """Draw a figure in a page; uncaught errors are collected in page.errors. store: whether the page reads its text."""
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    source = base64.b64encode(f"{script()}\nexport {{ selectionStore }};".encode()).decode()
    page.set_content(HARNESS % (styles(), width, source))
    page.wait_for_function("window.ready")
    if store:
        page.evaluate("(reading) => window.store.open({ reading, page: 'test' })", figure.reading)
    again(page, figure)
    return page


def again(page, figure) -> None:
    """Send a figure to the component of a page, as a rerun does."""
    page.evaluate("(payload) => window.show(payload)", base64.b64encode(figure.payload()).decode())


def told(page) -> list[dict[str, Any]]:
    """Return every number on the canvas: {plane or name, at, text}."""
    return page.evaluate(TOLD)


def sums(page) -> list[dict[str, Any]]:
    """Return every number in the arithmetic: {plane or name, at, text}."""
    return page.evaluate(SUMS)


def parsed(text: str) -> float:
    """Read a number as the script writes it: 12.4, −0.5, 1.2e−6, 41 %.

    >>> parsed("−1.20e−6"), parsed("41 %")
    (-1.2e-06, 0.41)
    """
    plain = text.replace("\u2212", "-").replace("\u202f", " ")
    if plain.endswith("%"):
        return float(re.sub(r"[^0-9.]", "", plain)) / 100
    return float(plain.replace("\u221e", "inf"))
