"""The scripts of figure cards: the library is the published one, words are text, and only our own server is asked."""

import hashlib
import re

from starlette.applications import Starlette
from starlette.testclient import TestClient

import app
from models.machine.paths import ASSETS
from pages.shared import document, figure_menu
from pages.shared.words import i18n

FOLDER = ASSETS / "scripts"
OURS = sorted(FOLDER.glob("*.js"))
PUBLISHED = (
    "21823f13c9f62e399467860578925c25e65bd7d581ae23f4d207bf4c7ddcf30f"  # dist/svgcanvas.esm.js, npm svgcanvas 2.6.0
)


def test_the_library_is_the_published_one_with_its_licence() -> None:
    (library,) = (FOLDER / "svgcanvas").glob("*.js")
    assert hashlib.sha256(library.read_bytes()).hexdigest() == PUBLISHED
    assert library.name == "svgcanvas-2.6.0.esm.js"
    assert "MIT" in (FOLDER / "svgcanvas" / "LICENSE").read_text("utf-8")


def test_scripts_write_no_markup_and_ask_no_other_server() -> None:
    assert len(OURS) == 6
    for path in OURS:
        code = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "http://", "https://", "Math.random"):
            assert word not in code, (path.name, word)


def test_only_the_menu_and_full_screen_come_with_the_page() -> None:
    at_once = {"figure_menu.js"}
    for name in list(at_once):
        at_once |= set(re.findall(r'^import .* from "\./([^"]+)"', (FOLDER / name).read_text("utf-8"), re.MULTILINE))
    assert at_once == {"figure_menu.js", "full_screen.js"}
    assert sum((FOLDER / name).stat().st_size for name in at_once) < 16 * 1024


def test_the_document_names_the_menu_and_the_server_has_every_script() -> None:
    head = document.DocumentHead(Starlette()).finished("<html><title>Streamlit</title></html>", page="mamba", lang="en")
    (address,) = re.findall(rb'<script type="module" src="([^"]+)"', head)
    assert address.decode() == document.address(document.MENU)
    with TestClient(Starlette(routes=app.routes(""))) as client:
        for path in (*OURS, *(FOLDER / "svgcanvas").glob("*.js")):
            answer = client.get(f"/assets/{path.relative_to(ASSETS).as_posix()}")
            assert answer.status_code == 200
            assert "javascript" in answer.headers["content-type"]


def test_the_menu_knows_all_the_words_that_its_script_says() -> None:
    code = (FOLDER / "figure_menu.js").read_text("utf-8")
    said = set(re.findall(r"\b(?:told|words\(\))\.(\w+)", code)) | set(re.findall(r'\["(png|svg|csv|npz)"', code))
    for lang in i18n.LANGS:
        assert said <= figure_menu.words(lang).keys()
    assert figure_menu.words("en") != figure_menu.words("ko")
