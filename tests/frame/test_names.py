"""One word names one thing: no two classes of the app have the same name."""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
ROOMS = ("models", "viz", "pages", "kernels")
# Class names that several modules may share, each with its reason.
ALLOWED: Mapping[str, str] = {}


def sources() -> Iterator[tuple[str, str]]:
    for path in sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), path.read_text("utf-8")


def classes(text: str) -> Iterator[str]:
    """Name every class of a text: those inside functions and classes too."""
    yield from (node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef))


def shared(texts: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the class names that are defined more than once, with the files that define them."""
    found = defaultdict(list)
    for path, text in texts.items():
        for name in classes(text):
            found[name].append(path)
    return {name: paths for name, paths in found.items() if len(paths) > 1}


@pytest.mark.slow
def test_class_names_are_unique() -> None:
    texts = dict(sources())
    assert len(texts) > 100, "the rooms are where they are looked for"
    assert {name: paths for name, paths in shared(texts).items() if name not in ALLOWED} == {}


@pytest.mark.slow
def test_every_exception_is_needed() -> None:
    assert set(ALLOWED) <= set(shared(dict(sources()))), "remove what is no longer shared"


def test_two_classes_of_one_name_are_found() -> None:
    planted = {
        "a.py": "class Cell:\n    class Inner: pass\n",
        "b.py": "def f():\n    class Cell: pass\n",
        "c.py": "Cell = 1\n",
    }
    assert shared(planted) == {"Cell": ["a.py", "b.py"]}
    assert shared({"a.py": "class Cell: pass\n", "b.py": "class RecallCell: pass\n"}) == {}
    assert shared({"a.py": "class Cell: pass\nclass Cell: pass\n"}) == {"Cell": ["a.py", "a.py"]}
