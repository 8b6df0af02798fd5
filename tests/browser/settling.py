"""Wait until a page stands: the rest of it comes after its first figure."""

from playwright.sync_api import Page

LOOK_MS = 60_000  # how long to look; no time is tested
STANDS = """() => document.documentElement.dataset.mode
  && document.querySelector("[data-test-script-state='notRunning']")
  && !document.querySelector("[class*='st-key-shape-'] > .stElementContainer:not([style*='height: auto'])")"""


def settle(page: Page) -> None:
    """Wait until the script has run to its end, the document has heard of it, and every picture is drawn."""
    page.wait_for_function(STANDS, timeout=LOOK_MS)
    page.wait_for_load_state("networkidle", timeout=LOOK_MS)
