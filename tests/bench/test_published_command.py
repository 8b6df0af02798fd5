"""python -m models check-published prints every check, and fails only when a value differs without a reason."""

import dataclasses
import json

import pytest

from models import published
from models.__main__ import main
from models.cli.published import DIFFERS, NOTES


def test_every_check_is_printed_and_none_fails(capsys):
    assert main(["check-published"]) == 0
    out = capsys.readouterr().out
    assert "72 agrees, 12 explained, 0 differs" in out
    assert "252 GiB" in out
    assert "135,291,469,824  explained: kv_heads" in out
    assert all(f"note: {note}: " in out for note in NOTES)


def test_every_note_is_put_into_words():
    assert {check.note for table in published.recount() for check in table.checks} == {None, *NOTES}


def test_json_holds_both_sides(capsys):
    assert main(["check-published", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    row = next(e for e in found if e["row"] == "Llama-3.1 405B" and e["quantity"] == "kv_bytes")
    assert (row["printed"], row["computed"], row["exact"], row["state"]) == ("252", "126", 126 * 2**30, "explained")
    assert row["url"] == "https://arxiv.org/abs/2408.12570"


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_value_that_differs_fails_the_command(capsys, monkeypatch, words):
    table = published.recount()[0]
    wrong = dataclasses.replace(table.checks[0], printed="6.8", agrees=False)
    monkeypatch.setattr(published, "recount", lambda: (dataclasses.replace(table, checks=(wrong,)),))
    assert main(["check-published", *words]) == DIFFERS
    assert "differs" in capsys.readouterr().out
