"""What tests share: a missing word is an error, the hub is not asked, nobody's runs are read, torch has one thread."""

import gc
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

os.environ.setdefault("CONTEXTSCOPE_STRICT_WORDS", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run side by side, and two threads of each would wait for cores
_data = tempfile.TemporaryDirectory(prefix="contextscope-tests-")  # removed when the tests end
os.environ["CONTEXTSCOPE_DATA"] = _data.name

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session", autouse=True)
def lasting_modules() -> Iterator[None]:
    """Leave out of garbage collections what was imported; a collection would walk all of torch and transformers."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def no_packaged_components() -> Iterator[None]:
    """Spare every run of a page in a test the search through all installed packages for components of Streamlit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streamlit.components.v2.manifest_scanner.scan_component_manifests", lambda *_, **__: [])
        yield


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Start Chromium once for all tests: Playwright's synchronous interface allows one at a time."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()
