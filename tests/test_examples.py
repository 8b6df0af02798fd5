"""Run the examples in docstrings: what a public function says it returns, it returns."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("models", "viz", "pages", "kernels")


def modules_with_examples() -> list[str]:
    """List the modules whose docstrings hold an example."""
    paths = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    names = [path.relative_to(ROOT / "kernels" if "seqops" in path.parts else ROOT) for path in paths
             if ">>> " in path.read_text(encoding="utf-8")]  # fmt: skip
    return [".".join(name.with_suffix("").parts) for name in names]


@pytest.mark.parametrize("name", modules_with_examples())
def test_the_examples_of_a_module_are_true(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted
    assert not found.failed


def test_a_wrong_example_fails() -> None:
    def twice(number: int) -> int:
        """Return twice a number.

        >>> twice(2)
        5
        """
        return 2 * number

    (example,) = doctest.DocTestFinder().find(twice, globs={"twice": twice})
    assert doctest.DocTestRunner(verbose=False).run(example, out=lambda _: None).failed == 1
