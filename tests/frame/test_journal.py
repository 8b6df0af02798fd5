"""Every action of a visitor leaves one JSON line: a session, an action, a run; no texts, no names, no passwords."""

import ast
import io
import json
import logging
from pathlib import Path

import pytest

from models.sources import downloads
from pages.shared import journal
from pages.shared.words import i18n

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def lines(caplog, monkeypatch):
    """Give a function that returns what has been written, as objects."""
    monkeypatch.setattr(journal._log, "propagate", True)
    caplog.set_level(logging.INFO, logger=journal._log.name)
    return lambda: [json.loads(record.message) for record in caplog.records if record.name == journal._log.name]


def test_a_line_says_who_what_and_which(lines, monkeypatch):
    class Visit:
        session_id = "secret-session"

    monkeypatch.setattr(journal, "get_script_run_ctx", lambda **_: Visit)
    journal.note("start", run="20260101-1")
    journal.note("cancel", run="20260101-1")
    first, second = lines()
    assert first["session"] == second["session"] and len(first["session"]) == 12
    assert "secret" not in json.dumps(first)
    assert (first["action"], first["run"]) == ("start", "20260101-1")
    assert first["time"].endswith("+00:00")
    assert set(first) == {"time", "session", "action", "run"}
    monkeypatch.setattr(Visit, "session_id", "another")
    journal.note("delete", run="x\n{}")
    assert lines()[2]["session"] != first["session"]
    with pytest.raises(ValueError, match="expected one of"):
        journal.note("type", run="x")


def test_lines_go_to_standard_error_once(monkeypatch):
    monkeypatch.setattr(journal, "_log", logging.getLogger("contextscope.actions.tested"))
    written = io.StringIO()
    monkeypatch.setattr(journal.sys, "stderr", written)
    journal.note("start", run="a")
    journal.open_journal()
    journal.open_journal()
    journal.note("start", run="b\nc")
    (line,) = written.getvalue().splitlines()
    assert json.loads(line)["run"] == "b\nc"


def test_every_action_is_noted_somewhere():
    """Each name of ACTIONS stands in a call of a page; the buttons of a live run name theirs in one table."""
    written = {
        node.value
        for path in (ROOT / "pages").rglob("*.py")
        if path.name != "journal.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert set(journal.ACTIONS) <= written


@pytest.mark.slow
def test_a_download_and_its_refusal(open_page, lines, monkeypatch):
    """The second visitor is told that another model is on its way; only the first one's download is noted."""
    monkeypatch.setattr(downloads, "_jobs", {})
    monkeypatch.setattr(downloads, "_run", lambda job: job.cancel.wait(100))
    first, second = "state-spaces/mamba-130m-hf", "RWKV/rwkv-4-430m-pile"
    open_page("mamba").button(key=f"mamba.download.{first}").click().run()
    for lang in i18n.LANGS:
        at = open_page("rwkv", browser=lang)
        at.button(key=f"rwkv.download.{second}").click().run()
        said = i18n.say(lang, "errors.download_busy", source=second, other=first)
        assert any(said == caption.value.replace("\\", "") for caption in at.caption)
    assert downloads.running() == (first,)
    assert [(line["action"], line["model"]) for line in lines()] == [("download", first)]
    at = open_page("mamba")
    at.button(key=f"mamba.cancel.{first}").click().run()
    assert lines()[-1]["action"] == "cancel_download"
