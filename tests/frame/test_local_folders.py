"""Folders of the machine are for who sits at it: not for visitors behind a proxy, and nothing tells what is there."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pages.shared import model_picker
from pages.shared.state import connection, session

ROOT = Path(__file__).resolve().parents[2]
BROWSER = {"Host": "localhost:8501", "Origin": "http://localhost:8501", "User-Agent": "Mozilla/5.0"}


class Context:
    """What Streamlit knows of a connection."""

    def __init__(self, headers, address=None):
        self.headers, self.ip_address = headers, address


@pytest.fixture
def visiting(monkeypatch):
    """Give a function that makes a connection; the server listens on localhost."""
    monkeypatch.delenv(model_picker.FOLDERS_VARIABLE, raising=False)
    monkeypatch.setattr(model_picker.st, "get_option", lambda _: "localhost")

    def arrive(headers, address=None):
        monkeypatch.setattr(connection.st, "context", Context(headers, address))

    return arrive


@pytest.mark.parametrize("host", ["localhost:8501", "127.0.0.1:8501", "[::1]:8501", "localhost", "LOCALHOST"])
def test_who_sits_at_the_machine_may_open_folders(visiting, host):
    visiting({"Host": host, "Origin": f"http://{host}"})
    assert model_picker.folders_allowed()
    visiting({"Host": host}, "127.0.0.1")
    assert model_picker.folders_allowed()


@pytest.mark.parametrize(
    "added",
    [
        {"X-Forwarded-For": "203.0.113.7"},
        {"x-forwarded-for": "127.0.0.1"},
        {"X-Forwarded-Proto": "https"},
        {"X-Forwarded-Host": "localhost"},
        {"Forwarded": "for=203.0.113.7"},
        {"X-Real-IP": "127.0.0.1"},
        {"Via": "1.1 nginx"},
        {"CF-Connecting-IP": "203.0.113.7"},
        {"Host": "app.example.com"},
        {"Host": "localhost.example.com"},
        {"Host": ""},
        {"Host": "[::1"},
        {"Origin": "https://app.example.com"},
        {"Origin": "null"},
    ],
)
def test_a_visitor_of_a_proxy_may_not(visiting, monkeypatch, added):
    visiting(BROWSER | added)
    assert not model_picker.folders_allowed()
    monkeypatch.setenv(model_picker.FOLDERS_VARIABLE, "on")
    assert model_picker.folders_allowed(), "the operator says so"


@pytest.mark.parametrize("address", ["203.0.113.7", "192.168.1.5", "2001:db8::1", "nowhere"])
def test_a_visitor_of_another_machine_may_not(visiting, address):
    visiting(BROWSER, address)
    assert not model_picker.folders_allowed()


def test_a_server_that_listens_elsewhere_has_them_off(visiting, monkeypatch):
    monkeypatch.setattr(model_picker.st, "get_option", lambda _: "0.0.0.0")
    visiting(BROWSER)
    assert not model_picker.folders_allowed()


@pytest.mark.slow
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_one_sentence_says_absent_forbidden_and_something_else(open_page, tmp_path, lang):
    (tmp_path / "there").mkdir()
    (tmp_path / "file").write_text("x")
    said = set()
    for name in ("there", "gone", "file", "there/../there"):
        at = open_page("mamba", browser=lang)
        path = str(tmp_path / name)
        at.text_input(key="mamba.folder").set_value(path).run()
        (warning,) = at.warning
        sentence = warning.value.replace("\\", "").replace(path, "PATH")
        said.add(re.sub("PATH[은는]", "PATH는", sentence))  # the particle follows the sound of what was typed
    assert len(said) == 1


@pytest.mark.slow
def test_the_code_of_a_folder_cannot_be_made_elsewhere():
    code = session.folder_code("mamba", "/srv/models/secret")
    assert code == session.folder_code("mamba", "/srv/models/secret")
    assert code != session.folder_code("rwkv", "/srv/models/secret")
    plain = hashlib.blake2s(b"mamba\0/srv/models/secret", digest_size=8).hexdigest()
    assert code != f"folder-{plain}"
    asked = "from pages.shared.state import session; print(session.folder_code('mamba', '/srv/models/secret'))"
    other = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    assert other.stdout.strip().startswith("folder-")
    assert other.stdout.strip() != code
