"""Run the commands that README.md shows, as far as they cost little, and find every path that the documents name."""

import ast
import re
import shlex
import tomllib
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from models.__main__ import main
from models.bench.store.store import Store
from models.machine import facts as machine_facts
from models.records.cell import Cell
from pages.shared import site

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "kernels/README.md")
README, CONTRIBUTING, CHANGELOG = ((ROOT / name).read_text(encoding="utf-8") for name in DOCUMENTS[:3])
ROOMS = ("pages", "viz", "models", "kernels")
TOP = (
    r"(?:app\.py|Makefile|LICENSE|requirements[\w-]*\.txt|pyproject\.toml|[A-Z]{3,}\.md|(?:"
    + "|".join([*ROOMS, "assets", "tests", r"\.streamlit"])
    + r")/[\w./*<>{},-]*)"
)  # what stands at the top of the repository
LONGEST_CHANGE = 160  # characters
COMMANDS = [line.split("#")[0].strip() for line in re.findall(r"^python -m models .*$", README, flags=re.MULTILINE)]
CHEAP = {
    "bench": ["--plan"],
    "bench-kernels": ["--quick", "--only", "wkv"],  # tests/bench/test_kernels_command.py runs all rows
    "train": ["--help"],
    "evaluate": ["--help"],
    "recall": ["--tasks", "induction", "--queries", "32"],
}  # what makes a long command short


@pytest.fixture
def broken_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a run of this machine that never measured its cell, for `--again last`."""
    monkeypatch.setenv("CONTEXTSCOPE_DATA", str(tmp_path))
    Store().create(cells=[asdict(Cell("rwkv", "rwkv", 16))], environment=machine_facts.environment())


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


def named_paths(text: str) -> set[str]:
    """Return the paths of the repository that a text names: files, folders, and patterns with <name>, * or {en,ko}."""
    found = re.findall(rf"(?<![\w/.-]){TOP}", text)
    return {path.rstrip(".,;:") for path in found}


def named_modules(text: str) -> set[str]:
    """Return our modules, and what is in them, that a text names in backticks: models.operators.backends.use."""
    return set(re.findall(rf"`(?:python -m )?((?:{'|'.join(ROOMS)})(?:\.\w+)+)", text))


def is_path(path: str) -> bool:
    """Tell whether a path exists; <name> and * stand for any part of one, {a,b} for several paths that all exist."""
    choices = re.search(r"\{([^{}]*)\}", path)
    if choices:
        return all(is_path(path.replace(choices[0], one.strip(), 1)) for one in choices[1].split(","))
    pattern = re.sub(r"<\w+>", "*", path)
    return any(ROOT.glob(pattern)) if "*" in pattern else (ROOT / pattern).exists()


def is_module(name: str) -> bool:
    """Tell whether a dotted name is a package, a module or something that a module defines."""
    place, parts = ROOT, name.split(".")
    while parts and (place / parts[0]).is_dir():
        place /= parts.pop(0)
    if not parts:
        return True
    file = place / f"{parts[0]}.py"
    return file.is_file() and (len(parts) == 1 or parts[1] in defined(file))


def defined(file: Path) -> set[str]:
    """Return the names of the functions and classes of a script, wherever in it, and of the constants at its top."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".js":
        return set(re.findall(r"^(?:function|const|class) (\w+)", text, flags=re.MULTILINE))
    tree = ast.parse(text)
    made = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    targets = {name.id for node in tree.body for name in ast.walk(node) if isinstance(name, ast.Name)}
    return made | targets


def broken_links(text: str, folder: Path) -> list[str]:
    """Return the targets of relative links in Markdown that are no files beside it."""
    targets = re.findall(r"\]\((?!https?://)([^)#]+)\)", text)
    return [target for target in targets if not (folder / target).exists()]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_name_what_is_there(name: str) -> None:
    document = ROOT / name
    text = document.read_text(encoding="utf-8")
    assert broken_links(text, document.parent) == []
    assert sorted(path for path in named_paths(text) if not is_path(path)) == []
    assert sorted(module for module in named_modules(text) if not is_module(module)) == []


def test_what_is_not_there_would_be_found(tmp_path: Path) -> None:
    (tmp_path / "here.md").touch()
    assert broken_links("[a](here.md) [b](https://x.org/a.md) [c](here.md#part) [d](gone.md)", tmp_path) == ["gone.md"]
    text = (
        "`viz/gone.py` models/errors.py, models/cli/. `pages/learn/<page>/page.py` `assets/content/{en,xx}/<page>.md`"
    )
    wrong = {path for path in named_paths(text) if not is_path(path)}
    assert wrong == {"viz/gone.py", "assets/content/{en,xx}/<page>.md"}
    assert named_paths("see CONTRIBUTING.md, not https://x.org/models/a.py or their/models/b.py") == {"CONTRIBUTING.md"}
    modules = "`models.registry.trace` `models.registry.gone` `models.gone` `models.bench` `python -m models.gone.x`"
    assert {name for name in named_modules(modules) if not is_module(name)} == {
        "models.registry.gone",
        "models.gone",
        "models.gone.x",
    }


def test_the_path_from_pixel_to_line_names_functions_that_exist() -> None:
    part = CONTRIBUTING.split("## From pixel to line")[1].split("\n## ")[0]
    steps = re.findall(r"`([\w/]+\.(?:py|js))` `(\w+)`", part)
    assert len(steps) >= 10
    assert [step for step in steps if step[1] not in defined(ROOT / step[0])] == []
    assert "gone" not in defined(ROOT / steps[0][0])


def rooms() -> set[str]:
    """Return the folders that hold source, without those that hold one page each."""
    files = [path for room in ROOMS for kind in ("*.py", "*.js") for path in (ROOT / room).rglob(kind)]
    found = {path.parent for path in files if path.name != "__init__.py"}
    pages = {site.page(key).script.parent for key in site.KEYS if site.page(key).section == "learn"}
    return {f"{path.relative_to(ROOT)}/" for path in found - pages if path.parent != ROOT}


def unnamed(picture: str) -> set[str]:
    """Return the rooms that have no line of their own in the picture."""
    lines = {line.split()[0] for line in picture.splitlines() if line.strip()}
    return {room for room in rooms() if room not in lines}


def test_the_picture_of_the_rooms_is_whole() -> None:
    picture = CONTRIBUTING.split("## Rooms")[1].split("```")[1]
    assert unnamed(picture) == set()
    assert unnamed(picture.replace("models/cli/ ", "models/cly/ ")) == {"models/cli/"}
    alone = {path.stem for path in (ROOT / "models").glob("*.py") if not path.stem.startswith("_")}
    assert alone == alone & set(re.findall(r"\w+", picture.split("models/*.py")[1].split("models/records/")[0]))


def touches(section: str) -> dict[str, tuple[int, int]]:
    """Return, for each count of files that a section states, the number stated and the number of paths beside it."""
    steps, *rows = section.split("\n| ")
    edited = named_paths(steps.split("checkpoint:")[1]) - {"models/tracing/adapter.py", "assets/checkpoints/<name>"}
    stated = re.search(r"(\d+) files and a checkpoint", steps)
    found = {"page": (int(stated[1]) if stated else 0, len(edited))}
    for row in rows:
        cells = [cell.strip() for cell in row.split("|")]
        if cells[2].isdecimal():
            found[cells[0]] = (int(cells[2]), len(named_paths(cells[1])))
    return found


def test_the_files_of_an_architecture_are_counted_right() -> None:
    section = CONTRIBUTING.split("## How to add an architecture")[1].split("\n## ")[0]
    counts = touches(section)
    assert len(counts) == 6
    assert {name: pair for name, pair in counts.items() if pair[0] != pair[1]} == {}
    assert touches(section.replace("`models/cli/recall.py`", ""))["the recall page"] == (3, 2)
    both = counts["page"][0] + counts["the benchmark page"][0] + counts["the recall page"][0]
    every = both + counts["a new mixer"][0] + counts["a new operator"][0]
    assert f"that is {both} files for existing mixers, and {every} files with a new mixer and a new operator" in section


def test_the_changelog_says_one_thing_a_line() -> None:
    bullets = [line for line in CHANGELOG.splitlines() if line.startswith("- ")]
    assert bullets
    assert [line for line in bullets if len(line) > LONGEST_CHANGE] == []
    kinds = set(re.findall(r"^### (\w+)", CHANGELOG, flags=re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    versions = re.findall(r"^## (.+)$", CHANGELOG, flags=re.MULTILINE)
    assert versions[0] == "Unreleased"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ - \d{4}-\d{2}-\d{2}", version) for version in versions[1:])
    assert (
        versions[1].split(" - ")[0] == tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    )
    strange = [
        line for line in CHANGELOG.splitlines() if line and not line.startswith(("#", "- ", "The format follows"))
    ]
    assert strange == []


def test_the_documents_name_every_dependency() -> None:
    table = CONTRIBUTING.split("## Why each dependency")[1].split("\n## ")[0].lower()
    named = set(re.findall(r"[a-z][\w.*-]+", table))
    for file in ("requirements.txt", "requirements-dev.txt"):
        lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
        packages = {line.split("==")[0].lower() for line in lines if "==" in line}
        assert {package for package in packages if package not in named and not package.startswith("types-")} == set()


def test_the_readme_shows_the_pages() -> None:
    assert all(f"`/{site.page(page).url_path}`" in README for page in site.KEYS)


def test_make_targets_exist() -> None:
    rules = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert set(re.findall(r"^make (\w+)", README, flags=re.MULTILINE)) <= rules
    assert {"run", "quick", "test", "coverage", "lint", "format", "check"} <= rules
