"""S-b and the borders of viz: no chance in figures or pages, no streamlit, torch or network, no loose words."""

import ast
import re
from pathlib import Path

import pytest
from figure_words import figure_words

from models.records.trace import PARTS
from viz.canvas import script
from viz.canvas.source import BAR_FILES, BROWSER, bar_script
from viz.canvas.source import SCRIPT_FILES as FILES

ROOT = Path(__file__).resolve().parents[2]
PYTHON = sorted(path for room in ("viz", "pages") for path in (ROOT / room).rglob("*.py"))
VIZ = [path for path in PYTHON if path.is_relative_to(ROOT / "viz")]
CHANCE = {
    "random",
    "secrets",
    "uuid",
    "default_rng",
    "shuffle",
    "randint",
    "randn",
    "rand",
    "normal",
    "choices",
    "urandom",
}
# Keys under which they hash, and a word that a browser answers with.
WITH_SECRET = ("pages/shared/journal.py", "pages/shared/state/session.py", "pages/shared/first_screen.py")
FORBIDDEN = ("streamlit", "torch", "transformers", "requests", "urllib", "http", "socket", "plotly")


def names_in(tree: ast.AST) -> set[str]:
    """Collect every name, attribute and imported module of a file."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.alias):
            found.update(node.name.split("."))
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update(node.module.split("."))
    return found


def imports_of(tree: ast.AST) -> set[str]:
    """Collect the modules a file imports."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def test_no_chance_in_figures_and_pages():
    """Three modules draw a secret of the server by chance, and nothing else."""
    found = {path.relative_to(ROOT).as_posix(): names_in(parsed(path)) & CHANCE for path in PYTHON}
    assert {path: names for path, names in found.items() if names} == {path: {"secrets"} for path in WITH_SECRET}


def test_the_scan_would_see_chance():
    assert names_in(ast.parse("import numpy as np\nnp.random.default_rng(0)")) & CHANCE
    assert names_in(ast.parse("from random import shuffle")) & CHANCE


def test_every_part_of_the_component_is_joined_once():
    assert len(FILES) == len(set(FILES)) and len(BAR_FILES) == len(set(BAR_FILES))
    assert {f"{name}.js" for name in (*FILES, *BAR_FILES)} == {path.name for path in BROWSER.glob("*.js")}
    assert script().count("export default") == bar_script().count("export default") == 1


def test_the_component_is_functions_of_one_view():
    assert re.findall(r"^class (\w+)(.*)$", script(), flags=re.MULTILINE) == [("View", " {")]
    defined = re.findall(r"^(?:function|const|class) (\w+)", script(), flags=re.MULTILINE)
    assert len(defined) == len(set(defined))


def test_no_chance_and_no_markup_in_the_component():
    source = script()
    for word in (
        "Math.random",
        "crypto",
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "eval(",
        "fetch(",
        "http://",
        "https://",
    ):
        assert word not in source.replace("http://www.w3.org/2000/svg", ""), word


def test_viz_draws_without_torch_streamlit_and_network():
    """What it may import of models is in tests/frame/test_contract.py."""
    seen = {(path.name, module) for path in VIZ for module in imports_of(parsed(path))}
    assert {one for one in seen if one[1].split(".")[0] in FORBIDDEN} == set()
    assert seen


def test_no_words_for_visitors_in_source():
    assert [path for path in VIZ if re.search("[\uac00-\ud7a3]", path.read_text("utf-8"))] == []


def test_both_languages_have_the_same_keys_and_values(strict_words):
    english, korean = strict_words
    assert english.keys() == korean.keys()
    for key, text in english.items():
        assert key.startswith("viz.")
        assert placeholders(text) == placeholders(korean[key]), key


def test_every_literal_key_exists(strict_words):
    english, _ = strict_words
    for path in sorted((ROOT / "viz").rglob("*.py")):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("viz."):
                assert node.value in english or node.value.endswith("."), node.value


def test_figures_ask_only_for_known_parts():
    """A part name in the source of viz that looks like one must be one."""
    for path in sorted((ROOT / "viz").rglob("*.py")):
        for node in ast.walk(parsed(path)):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("part", "layers_with")
            ):
                for argument in node.args:
                    if isinstance(argument, ast.Constant):
                        assert argument.value in PARTS


@pytest.fixture
def strict_words() -> tuple[dict[str, str], dict[str, str]]:
    """Read the words of figures in both languages."""
    return figure_words("en"), figure_words("ko")


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", str(text)))
