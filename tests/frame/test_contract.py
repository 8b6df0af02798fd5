"""Hold the layers, the settings and the promises of the code to what CONTRIBUTING.md says."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pages.shared import i18n

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
VIZ_SEES = {"models.records", "models.scores", "models.looks"}


def imports(path: Path) -> Iterator[str]:
    """Walk the modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer_of(path: Path) -> str:
    """Return the top-level name a file stands under."""
    return path.relative_to(ROOT).parts[0]


def name_of(path: Path) -> str:
    """Name a file for a test id."""
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_layers_import_downward_only(path: Path) -> None:
    found = {module.split(".")[0] for module in imports(path)}
    assert found & FORBIDDEN[layer_of(path)] == set()


@pytest.mark.parametrize("path", sorted((ROOT / "viz").rglob("*.py")), ids=name_of)
def test_figures_see_only_records(path: Path) -> None:
    ours = {module for module in imports(path) if module.split(".")[0] == "models"}
    assert {m for m in ours if not any(m == seen or m.startswith(f"{seen}.") for seen in VIZ_SEES)} <= {"models"}


@pytest.mark.parametrize("path", sorted([*(ROOT / "viz").rglob("*.py"), *(ROOT / "pages").rglob("*.py")]), ids=name_of)
def test_no_number_is_drawn_by_lot(path: Path) -> None:
    assert not any(module.split(".")[0] == "random" or module.startswith("numpy.random") for module in imports(path))
    assert not re.search(r"\b(np|numpy)\.random\b|default_rng", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_file_says_its_job_first(path: Path) -> None:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert text
    assert text.splitlines()[0].endswith(".")


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_words_are_not_in_the_code(path: Path) -> None:
    assert not re.search(r"[가-힣ᄀ-ᇿ㄰-㆏]", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_nothing_unsafe_is_switched_on(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(
        r"unsafe_allow|trust_remote_code\s*=\s*True|torch\.load\(|pickle\.load|(?<![.\w])(?:eval|exec)\(", text
    )


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_names_say_what_a_file_holds(path: Path) -> None:
    assert path.stem not in {"utils", "helpers", "common", "misc"}


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
    from viz.theme import theme_for

    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"][mode]
    look = theme_for(mode)
    assert settings["backgroundColor"] == look.ground
    assert settings["textColor"] == look.ink
    assert settings["borderColor"] == look.hairline
    assert settings["secondaryBackgroundColor"] == look.chip
    assert settings["chartCategoricalColors"] == list(look.colors.values())


def test_style_sheet_and_figures_share_their_colours() -> None:
    from viz.theme import DARK, LIGHT

    sheet = (ROOT / "assets" / "style" / "contextscope.css").read_text(encoding="utf-8")
    named = {name: getattr(LIGHT, name) for name in ("ground", "card", "hairline", "ink", "muted", "chip")}
    dark = {name: getattr(DARK, name) for name in named} | dict(DARK.colors)
    for name, light in (named | dict(LIGHT.colors)).items():
        assert f"--cs-{name}: light-dark({light.lower()}, {dark[name].lower()});" in sheet


def test_font_files_are_there_and_small() -> None:
    sheet = (ROOT / "assets" / "style" / "fonts.css").read_text(encoding="utf-8")
    files = [ROOT / "assets" / "style" / url for url in re.findall(r"url\(([^)]+)\)", sheet)]
    assert len(files) > 90
    assert all(0 < path.stat().st_size < 2 * 2**20 for path in files)
    assert all((folder / "LICENSE").is_file() for folder in (ROOT / "assets" / "fonts").iterdir())


def test_requirements_are_pinned() -> None:
    for name in ("requirements.txt", "requirements-dev.txt", "requirements-gpu.txt", "requirements-oracles.txt"):
        written = (ROOT / name).read_text(encoding="utf-8").splitlines()
        lines = [line.split("  #")[0].split(";")[0].rstrip() for line in written if line and line[0] not in "#-"]
        assert lines
        assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][A-Za-z0-9.]*", line) for line in lines)
    assert "torch==2.13.0" in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
