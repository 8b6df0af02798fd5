"""A server under a base path: readiness and assets answer there, and only allowed names may open the app."""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from models import registry

ROOT = Path(__file__).resolve().parents[2]
BASE = "lecture/ctx"
START_LIMIT_S = 240
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints"),
]


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """Serve the app under a base path, with one more name allowed; give its port once it says that it is ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("based")
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(number)]
    names = {"STREAMLIT_SERVER_ALLOWED_HOSTS": "app.example.com localhost", "CONTEXTSCOPE_DATA": str(folder)}
    log = folder / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [*command, "--server.baseUrlPath", BASE], cwd=ROOT, env=os.environ | names, stdout=out, stderr=out
        )
        try:
            end = time.monotonic() + START_LIMIT_S
            while status(number, f"/{BASE}/api/ready") != 200:
                if process.poll() is not None or time.monotonic() > end:
                    pytest.fail(f"the server is not ready:\n{log.read_text()[-3000:]}")
                time.sleep(0.3)
            yield number
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()


def got(port, path):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"accept": "text/html,*/*"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.headers["content-type"], answer.read()


def status(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def handshake(port, host, **headers):
    """Ask for the websocket under a name; return the status of the answer."""
    asked = {
        "Host": host,
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    } | headers
    lines = "".join(f"{name}: {value}\r\n" for name, value in asked.items())
    with socket.create_connection(("127.0.0.1", port), timeout=20) as link:
        link.sendall(f"GET /{BASE}/_stcore/stream HTTP/1.1\r\n{lines}\r\n".encode())
        return int(link.recv(4096).split()[1])


def test_a_probe_gets_json_under_the_base_path(port):
    kind, body = got(port, f"/{BASE}/api/ready")
    assert kind == "application/json"
    found = json.loads(body)
    assert found["ready"] and found["store"] and not found["missing"]
    assert found["models"] == list(registry.bundled())


def test_style_and_fonts_come_under_the_base_path(port):
    kind, sheet = got(port, f"/{BASE}/assets/style/fonts.css")
    assert kind.startswith("text/css") and b"@font-face" in sheet
    kind, font = got(port, f"/{BASE}/assets/fonts/jetbrains-mono/jetbrains-mono-latin-wght-normal.woff2")
    assert font[:4] == b"wOF2"
    kind, page = got(port, f"/{BASE}/mamba")
    assert kind.startswith("text/html") and "<title>Mamba · Contextscope</title>".encode() in page
    (sheet,) = re.findall(rb'rel="stylesheet" href="(assets/style/contextscope.css[^"]*)"', page)
    kind, rules = got(port, f"/{BASE}/{sheet.decode()}")
    assert kind.startswith("text/css") and b"--cs-ground" in rules


def test_only_allowed_names_open_the_app(port):
    assert handshake(port, f"localhost:{port}") == 101
    assert handshake(port, "app.example.com") == 101
    assert handshake(port, "evil.example") == 403
    assert handshake(port, "evil.example", Origin="http://evil.example") == 403
    assert handshake(port, f"127.0.0.1:{port}") == 403, "the setting replaces the list"
