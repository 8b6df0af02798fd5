"""Run what people report, and read the sentence that it is refused with."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.__main__ import main
from models.errors import ContextscopeError
from pages.shared.words import i18n

VOCAB = 8192
TEXT = "Once upon a time"


def write(folder: Path, config: object, **files: bytes) -> Path:
    """Write a folder with a configuration, an object or a text, and other files."""
    folder.mkdir(parents=True, exist_ok=True)
    text = config if isinstance(config, str) else json.dumps(config)
    (folder / "config.json").write_text(text, encoding="utf-8")
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def edit(folder: Path, **fields: object) -> Path:
    """Change fields of the configuration of a folder."""
    return write(folder, {**json.loads((folder / "config.json").read_text(encoding="utf-8")), **fields})


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run a command that must end with one line and code 2, and return the line."""
    try:
        code = main([*words])
    except SystemExit as end:  # the parser's own
        code = end.code
    out, err = capsys.readouterr()
    assert (code, out) == (2, ""), (code, out, err)
    assert err.count("\n") == 1 and "Traceback" not in err, err
    assert len(err) < 700, err
    return str(err)


def raised(call: Callable[[], object]) -> ContextscopeError:
    """Return the error of a call; it has a sentence in every language."""
    with pytest.raises(ContextscopeError) as found:
        call()
    error = found.value
    for lang in i18n.LANGS:
        assert i18n.has(lang, error.key), error.key
        i18n.say(lang, error.key, **error.values)  # strict: every value of the sentence is there
    return error


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """Run a command that must succeed, and return its JSON."""
    assert main([*words, "--json"]) == 0, capsys.readouterr().err
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found
