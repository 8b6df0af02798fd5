"""The canvas script in a page of its own, without the app: draw a figure, draw it again, measure it, read pixels."""

import base64

from viz.canvas import script, styles

HARNESS = """
<style>body { margin: 0 } %s</style><div id="host" style="width:%dpx"><div class="root"></div></div>
<div id="beside"><div class="root"></div></div>
<script type="module">
  const source = atob("%s");
  const text = new TextDecoder().decode(Uint8Array.from(source, (c) => c.charCodeAt(0)));
  const module = await import(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
  window.picked = [];
  window.store = module.selectionStore();
  const draw = (payload, place) => {
    const data = Uint8Array.from(atob(payload), (c) => c.charCodeAt(0));
    const setTriggerValue = (name, value) => window.picked.push([name, value]);
    return module.default({ data, parentElement: document.getElementById(place), setTriggerValue });
  };
  window.show = (payload) => (window.cleanup = draw(payload, "host"));
  window.beside = (payload) => draw(payload, "beside");
  window.ready = true;
</script>
"""

READ_PIXEL = """([x, y]) => {
  const canvas = document.querySelector("canvas.base");
  const k = canvas.width / canvas.getBoundingClientRect().width;
  return [...canvas.getContext("2d").getImageData(Math.floor(x * k), Math.floor(y * k), 1, 1).data].slice(0, 3);
}"""


def drawn(page, figure, *, width: int):
    """Load the script into a page and draw a figure; uncaught errors are collected in page.errors."""
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    source = base64.b64encode(f"{script()}\nexport {{ selectionStore }};".encode()).decode()
    page.set_content(HARNESS % (styles(), width, source))
    page.wait_for_function("window.ready")
    again(page, figure)
    return page


def follow(page, figure) -> None:
    """Open the selection of the page for the text of a figure, as the reading bar does."""
    page.evaluate("(reading) => window.store.open({ reading, page: 'test' })", figure.body.reading)


def again(page, figure) -> None:
    """Send a figure to the component of a page, as a rerun does."""
    page.evaluate("(payload) => window.show(payload)", payload(figure))


def beside(page, figure) -> None:
    """Draw another figure below the first one, in a component of its own."""
    page.evaluate("(payload) => window.beside(payload)", payload(figure))


def payload(figure) -> str:
    """Write the bytes of a figure as text."""
    return base64.b64encode(figure.body.payload()).decode()


def layout(page) -> dict:
    """Measure the canvas from outside: its size on screen and in pixels."""
    return page.evaluate(
        "() => { const c = document.querySelector('canvas.base'); const b = c.getBoundingClientRect();"
        " return { width: b.width, height: b.height, pixels: c.width } }"
    )


def pixel(page, x: float, y: float) -> tuple[int, int, int]:
    """Read one pixel of the base layer at a place in CSS pixels."""
    return tuple(page.evaluate(READ_PIXEL, [x, y]))
