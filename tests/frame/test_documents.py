"""Run the commands that README.md shows, as far as they cost little, and follow its links."""

import re
import shlex
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from models.__main__ import main
from models.bench.store.store import Store
from models.machine import facts as environment
from models.records.cell import Cell
from pages.shared import site

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [line.split("#")[0].strip() for line in re.findall(r"^python -m models .*$", README, flags=re.MULTILINE)]
CHEAP = {
    "bench": ["--plan"],
    "bench-kernels": ["--quick"],
    "train": ["--help"],
    "evaluate": ["--help"],
    "recall": ["--tasks", "induction", "--queries", "32"],
}  # what makes a long command short


@pytest.fixture
def broken_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a run of this machine that never measured its cell, for `--again last`."""
    monkeypatch.setenv("CONTEXTSCOPE_DATA", str(tmp_path))
    Store().create(cells=[asdict(Cell("rwkv", "rwkv", 16))], environment=environment.environment())


@pytest.mark.slow
@pytest.mark.usefixtures("broken_off")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_documented_command_runs(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In this process: tests/test_cli.py starts one as a shell does, and importing torch takes longer than most."""
    words = shlex.split(command)[3:]
    threads = torch.get_num_threads()
    try:
        code = main([*words, *CHEAP.get(words[0], [])])
    except SystemExit as stop:
        code = stop.code
    finally:
        torch.set_num_threads(threads)
    said = capsys.readouterr()
    assert code == 0, said.err[-2000:]
    assert said.out.strip()


def test_links_point_to_files() -> None:
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "kernels/README.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?://)([^)#]+)\)", text):
            assert (ROOT / target).exists(), f"{name} points to {target}"


def test_the_readme_shows_the_pages() -> None:

    assert all(f"`/{site.page(page).url_path}`" in README for page in site.KEYS)


def test_make_targets_exist() -> None:
    rules = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert set(re.findall(r"^make (\w+)", README, flags=re.MULTILINE)) <= rules
    assert {"run", "quick", "test", "coverage", "lint", "format", "check"} <= rules
