"""Hold the layers, the settings and the promises of the code to what CONTRIBUTING.md says."""

import ast
import re
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from models.machine import paths
from pages.shared import icons, style
from pages.shared.words import i18n

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("app.py", "pages", "viz", "models", "kernels")
SOURCES = sorted(
    path for layer in LAYERS for path in ([ROOT / layer] if layer.endswith(".py") else (ROOT / layer).rglob("*.py"))
)
# layer -> packages it may not import
FORBIDDEN = {
    "app.py": {"torch", "transformers", "seqops"},
    "pages": {"torch", "transformers", "seqops", "app"},
    "viz": {"torch", "transformers", "streamlit", "seqops", "pages", "app"},
    "models": {"streamlit", "viz", "pages", "app"},
    "kernels": {"transformers", "streamlit", "viz", "models", "pages", "app"},
}
VIZ_SEES = {
    "models.alignment",
    "models.generation.distribution",
    "models.looks",
    "models.reconstruction",
    "models.records",
    "models.scores",
    "models.units",
}


HANGUL = re.compile(r"[가-힣ᄀ-ᇿ㄰-㆏]")
CHANCE = re.compile(r"\b(np|numpy)\.random\b|default_rng")
UNSAFE = re.compile(r"unsafe_allow|trust_remote_code\s*=\s*True|torch\.load\(|pickle\.load|(?<![.\w])(?:eval|exec)\(")
TEXTS = {path: path.read_text(encoding="utf-8") for path in SOURCES}


@cache
def parsed(path: Path) -> ast.Module:
    """Return the syntax tree of a file, parsed when the first test asks: every process collects, one runs this file."""
    return ast.parse(TEXTS[path])


def imports(tree: ast.AST) -> frozenset[str]:
    """Return the modules that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(found)


@cache
def imported(path: Path) -> frozenset[str]:
    """Return the modules that one of our files imports."""
    return imports(parsed(path))


def layer_of(path: Path) -> str:
    """Return the top-level name a file stands under."""
    return path.relative_to(ROOT).parts[0]


def offenders(breaks: Callable[[Path], object], *layers: str) -> list[str]:
    """Name the files, of some layers or of all, that break a rule."""
    return [str(path.relative_to(ROOT)) for path in SOURCES if layer_of(path) in (layers or LAYERS) and breaks(path)]


def test_layers_import_downward_only() -> None:
    assert offenders(lambda path: {name.split(".")[0] for name in imported(path)} & FORBIDDEN[layer_of(path)]) == []


def test_figures_see_only_records() -> None:
    def sees_more(path: Path) -> bool:
        ours = {module for module in imported(path) if module.split(".")[0] == "models"}
        return not {m for m in ours if not any(m == one or m.startswith(f"{one}.") for one in VIZ_SEES)} <= {"models"}

    assert offenders(sees_more, "viz") == []


def test_no_number_is_drawn_by_lot() -> None:
    def by_lot(path: Path) -> bool:
        named = any(name.split(".")[0] == "random" or name.startswith("numpy.random") for name in imported(path))
        return named or bool(CHANCE.search(TEXTS[path]))

    assert offenders(by_lot, "viz", "pages") == []


def test_a_file_says_its_job_first() -> None:
    def silent(path: Path) -> bool:
        said = ast.get_docstring(parsed(path))
        return not said or not said.splitlines()[0].endswith(".")

    assert offenders(silent) == []


def test_words_are_not_in_the_code() -> None:
    assert offenders(lambda path: HANGUL.search(TEXTS[path])) == []


def test_nothing_unsafe_is_switched_on() -> None:
    assert offenders(lambda path: UNSAFE.search(TEXTS[path])) == []


def test_names_say_what_a_file_holds() -> None:
    assert offenders(lambda path: path.stem in {"utils", "helpers", "common", "misc"}) == []


def test_the_scans_would_see_what_they_look_for() -> None:
    assert imports(ast.parse("def f():\n    from numpy import random")) == {"numpy", "numpy.random"}
    assert HANGUL.search("한국어")
    assert CHANCE.search("np.random.rand()")
    assert UNSAFE.search("st.markdown(x, unsafe_allow_html=True)")
    assert UNSAFE.search("eval(text)")
    assert not UNSAFE.search("model.eval()")
    assert len(SOURCES) > 200
    assert {layer_of(path) for path in SOURCES} == set(LAYERS)
    assert offenders(lambda path: path.name == "registry.py", "models") == ["models/registry.py"]


def test_every_word_the_code_asks_for_exists() -> None:
    words = i18n.words("en")
    missing = {
        key
        for path in SOURCES
        for key in re.findall(r"\bt\(\s*\"([a-z_.0-9]+)\"", path.read_text(encoding="utf-8"))
        if key not in words
    }
    assert missing == set()


def test_no_asset_or_page_points_outside() -> None:
    for path in [*(ROOT / "assets" / "style").iterdir(), *(ROOT / "viz").rglob("*.js"), *(ROOT / "viz").rglob("*.css")]:
        if path.suffix in {".css", ".js", ".html"}:
            found = re.findall(r"(?:url\(|src=|href=|import )[\"' (]*(https?:)?//", path.read_text(encoding="utf-8"))
            assert found == [], path


def test_kernels_leaves_its_name_to_the_package_of_that_name() -> None:
    assert not (ROOT / "kernels" / "__init__.py").exists()
    assert not (ROOT / "tests" / "__init__.py").exists()


def test_the_frame_script_is_alone_in_its_folder() -> None:
    assert [path.name for path in (ROOT / "pages" / "frame").glob("*.py")] == ["main.py"]


def test_settings() -> None:
    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert settings["runner"] == {"postScriptGC": False, "magicEnabled": False}
    assert settings["server"]["fileWatcherType"] == "none"
    assert settings["server"]["headless"] is True
    assert settings["server"]["maxUploadSize"] == 5
    assert settings["server"]["maxMessageSize"] == 64
    assert settings["server"]["disconnectedSessionTTL"] == 120
    assert settings["client"]["toolbarMode"] == "viewer"
    assert settings["client"]["showErrorDetails"] == "none"
    assert settings["browser"]["gatherUsageStats"] is False
    assert {"light", "dark"} <= set(settings["theme"])


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_settings_and_figures_share_their_colours(mode: str) -> None:
    from viz.look.theme import theme_for

    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"][mode]
    look = theme_for(mode)
    assert settings["backgroundColor"] == look.ground
    assert settings["textColor"] == look.ink
    assert settings["borderColor"] == look.hairline
    assert settings["secondaryBackgroundColor"] == look.chip
    assert settings["chartCategoricalColors"] == list(look.colors.values())


def test_style_sheet_and_figures_share_their_colours() -> None:
    from viz.look.theme import DARK, LIGHT

    sheet = (ROOT / "assets" / "style" / "contextscope.css").read_text(encoding="utf-8")
    for name in ("ground", "card", "hairline", "ink", "muted", "chip"):
        light, dark = getattr(LIGHT, name), getattr(DARK, name)
        assert f"--cs-{name}: light-dark({light.lower()}, {dark.lower()});" in sheet
    assert len(LIGHT.colors) == 4
    for name, light in LIGHT.colors.items():
        own = f"--cs-{name}: light-dark({light}, {DARK.colors[name]});"
        assert own.lower() in style.architecture_rules().lower()


def test_font_files_are_there_and_small() -> None:
    sheet = (ROOT / "assets" / "style" / "fonts.css").read_text(encoding="utf-8")
    files = [ROOT / "assets" / "style" / url for url in re.findall(r"url\(([^)]+)\)", sheet)]
    assert len(files) > 90
    assert {path.resolve() for path in files} == set((ROOT / "assets" / "fonts").rglob("*.woff2")) - {icons.FONT}
    assert all(0 < path.stat().st_size < 2 * 2**20 for path in files)
    assert all((folder / "LICENSE").is_file() for folder in (ROOT / "assets" / "fonts").iterdir() if folder.is_dir())


def test_no_character_is_in_two_pieces_of_the_typeface_and_our_words_need_few() -> None:
    sheet = (ROOT / "assets" / "style" / "fonts.css").read_text(encoding="utf-8")
    pieces: dict[str, set[int]] = {}
    for name, ranges in re.findall(r"/([\w.-]+)\.woff2\)[^}]*unicode-range:([^}]+)", sheet):
        ends = [[int(end, 16) for end in part.strip()[2:].split("-")] for part in ranges.split(",")]
        pieces[name] = {code for first, *last in ends for code in range(first, (last or [first])[0] + 1)}
    assert len(pieces) > 90
    assert sum(map(len, pieces.values())) == len(set().union(*pieces.values()))
    words = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "assets" / "words").glob("*.yaml"))
    syllables = {ord(letter) for letter in words if "가" <= letter <= "힣"}
    assert len(syllables) > 500
    assert len(syllables - pieces["contextscope-hangul"] - pieces["contextscope-sans"]) < 0.02 * len(syllables)


def test_requirements_are_pinned() -> None:
    for name in ("requirements.txt", "requirements-dev.txt", "requirements-gpu.txt", "requirements-oracles.txt"):
        written = (ROOT / name).read_text(encoding="utf-8").splitlines()
        lines = [line.split("  #")[0].split(";")[0].rstrip() for line in written if line and line[0] not in "#-"]
        assert lines
        assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][A-Za-z0-9.]*", line) for line in lines)
    assert "torch==2.13.0" in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()


def test_one_module_says_where_the_project_lies() -> None:
    counted = offenders(lambda path: "__file__" in TEXTS[path], "models", "pages")
    assert counted == ["models/machine/paths.py"]
    assert (paths.ROOT, paths.ASSETS.is_dir()) == (ROOT, True)
