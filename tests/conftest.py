"""What tests share: a missing word is an error, the hub is not asked, nobody's runs are read, torch has one thread."""

from __future__ import annotations

import gc
import importlib.util
import os
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # a machine that runs the tests marked gpu needs neither a browser nor the packages of the pages
    from playwright.sync_api import Browser

os.environ.setdefault("CONTEXTSCOPE_STRICT_WORDS", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run side by side, and two threads of each would wait for cores
_data = tempfile.TemporaryDirectory(prefix="contextscope-tests-")  # removed when the tests end
os.environ["CONTEXTSCOPE_DATA"] = _data.name

LONGEST = (  # a quarter of a minute and more, the longest first
    "browser/test_axe.py",
    "bench/test_self_measurement.py",
    "bench/test_recording_whole.py",
    "test_cli.py",
    "bench/test_worker.py",
    "kernels/test_gpu_interpreter.py",
    "frame/test_other_models.py",
    "frame/test_hostile_text.py",
    "frame/test_next_word.py",
    "browser/test_first_visit.py",
    "browser/test_figure_menu.py",
    "browser/test_app.py",
    "browser/test_calm.py",
    "browser/test_keyboard.py",
    "viz/test_component.py",
    "viz/test_zoom.py",
    "recall/test_live.py",
    "models/test_switches.py",
    "models/test_training.py",
    "models/test_ablation.py",
    "frame/test_what_if.py",
    "models/test_read_only.py",
    "bench/test_kernels_command.py",
    "bench/test_recording_parts.py",
    "frame/test_kernels_package.py",
    "frame/test_base_path.py",
)
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
    "--process-per-site",  # a page that stays open keeps for the next one of its site what it has compiled
]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect no garbage while tests are collected: what is imported stays, and each collection walks all of it."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest in front, so that none is left for one process when the others have finished."""
    here = Path(__file__).parent
    rank = {here / name: place for place, name in enumerate(LONGEST)}
    if gone := [str(path) for path in rank if not path.is_file()]:
        raise pytest.UsageError(f"LONGEST names files that are not there: {', '.join(gone)}")
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


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
        if importlib.util.find_spec("streamlit") is None:
            yield
            return
        patch.setattr("streamlit.components.v2.manifest_scanner.scan_component_manifests", lambda *_, **__: [])
        yield


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Start Chromium once for all tests: Playwright's synchronous interface allows one at a time."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()
