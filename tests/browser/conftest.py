"""Serve the app on a free port and drive it in Chromium; skipped where Debian's Chromium is absent."""

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = Path("/usr/bin/chromium")
LOCALES = {"en": "en-US", "ko": "ko-KR"}
START_LIMIT_S = 180


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what stands in this folder, and skip it where there is no Chromium."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if not CHROMIUM.exists():
                item.add_marker(pytest.mark.skip(reason=f"{CHROMIUM} is absent: apt-get install chromium"))


@dataclass
class Server:
    """A running app: its address and what it printed."""

    url: str
    log: Path


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Start the app on a free port, wait until /api/ready answers, and stop it in the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder / "server.log"
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)
        try:
            url = f"http://localhost:{port}"
            _wait(f"{url}/api/ready", process, log)
            yield Server(url, log)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_LIMIT_S
    while time.monotonic() < end:
        if process.poll() is not None:
            pytest.fail(f"the server ended with {process.returncode}:\n{log.read_text()[-3000:]}")
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if json.load(answer)["ready"]:
                    return
        except OSError:
            time.sleep(0.3)
    pytest.fail(f"no answer from {url} in {START_LIMIT_S} s:\n{log.read_text()[-3000:]}")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve the app for all tests."""
    with serving(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def cold_server(tmp_path: Path) -> Iterator[Server]:
    """Serve the app for one test that must be the first visitor."""
    with serving(tmp_path) as running:
        yield running


@dataclass
class Visit:
    """A browser page with everything it complained about."""

    page: Page
    console_errors: list[str] = field(default_factory=list)
    external_requests: list[str] = field(default_factory=list)  # addresses outside this machine
    frames: list[int] = field(default_factory=list)  # bytes of every message that the server sent

    def listen(self) -> None:
        """Collect console errors, uncaught exceptions and requests that leave the machine."""
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.console_errors.append(f"uncaught: {error}"))
        self.page.on("websocket", lambda socket: socket.on("framereceived", lambda data: self.frames.append(len(data))))
        self.page.on("request", lambda request: self._request(request.url))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.console_errors.append(f"{message.text} ({message.location.get('url', '')})")

    def _request(self, url: str) -> None:
        if not url.startswith(("http://localhost:", "ws://localhost:", "data:", "blob:")):
            self.external_requests.append(url)


Visitor = Callable[..., Visit]


@pytest.fixture(scope="session")
def surroundings(chromium: Browser) -> Iterator[Callable[[str, str], BrowserContext]]:
    """Give a browser context by language: what one page has fetched and compiled, the later ones have.

    A page of the server that is to be visited stays open in it: with the last page of a site would end its process.
    """
    known: dict[str, BrowserContext] = {}

    def chosen(lang: str, url: str) -> BrowserContext:
        if lang not in known:
            known[lang] = chromium.new_context(locale=LOCALES[lang])
            known[lang].new_page().goto(urljoin(url, "/api/ready"))
        return known[lang]

    yield chosen
    for context in known.values():
        context.close()


@pytest.fixture
def visit(surroundings: Callable[[str, str], BrowserContext]) -> Iterator[Visitor]:
    """Give a function that opens an address as a new visitor: visit(url, lang="ko", dark=True, width=390).

    What earlier tests fetched is in the browser's cache; what pages keep (cookies, storage of the tab) is new.
    """
    pages: list[Page] = []

    def opened(url: str, *, lang: str = "en", dark: bool = False, width: int = 1280) -> Visit:
        made = Visit(surroundings(lang, url).new_page())
        pages.append(made.page)
        made.page.set_viewport_size({"width": width, "height": 900})
        made.page.emulate_media(color_scheme="dark" if dark else "light")
        made.listen()
        made.page.goto(url, wait_until="commit")
        return made

    yield opened
    for page in pages:
        page.context.clear_cookies()
        page.close()
