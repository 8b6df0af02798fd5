"""The HTML document: dressed before any script runs, called after its page, in the visitor's language."""

import re

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import FileResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from models.looks import looks
from models.machine.paths import ASSETS
from pages.shared import document, preload, site
from pages.shared.document import DocumentHead
from pages.shared.words import i18n

ACCEPT = {"accept": "text/html,*/*"}


@pytest.fixture(scope="module")
def client():
    """Serve Streamlit's own document at every path."""
    index = preload.STATIC / "index.html"
    every = Route("/{path:path}", lambda _: FileResponse(index, media_type="text/html"))
    return TestClient(Starlette(routes=[every], middleware=[Middleware(DocumentHead)]))


def got(client, path="/", **headers):
    return client.get(path, headers=ACCEPT | headers).text


def test_the_style_is_there_before_anything_can_be_painted(client):
    page = got(client)
    root = page.index('<div id="root">')
    assert document.sheets()[0] == document.FIRST
    for sheet in document.sheets():
        address = re.escape(document.address(sheet))
        (link,) = re.finditer(f'<link rel="stylesheet" href="{address}">', page)
        assert page.index("<body>") < link.start() < root, "after the head, where Streamlit writes its rules"
        assert page.index(f'as="style" href="{document.address(sheet)}"') < page.index("<script"), "and asked for early"
    assert page.index("--cs-mamba: light-dark(") < root


@pytest.mark.parametrize("lang", i18n.LANGS)
@pytest.mark.parametrize("page", site.KEYS)
def test_a_document_has_the_title_of_its_page(client, page, lang):
    path = f"/lecture/ctx/{site.page(page).url_path}"
    found = got(client, path, **{"accept-language": f"{lang}-XX,fr;q=0.5"})
    name = i18n.say(lang, "frame.title")
    wanted = name if page == site.HOME else f"{i18n.say(lang, f'nav.{page}')} · {name}"
    assert re.findall("<title>(.*)</title>", found) == [wanted]
    assert f'<html lang="{lang}" data-page="{page}">' in found


def test_titles_tell_pages_apart():
    for lang in i18n.LANGS:
        assert len({document.title(page, lang) for page in site.KEYS}) == len(site.KEYS)


@pytest.mark.parametrize(
    ("query", "heard", "lang"),
    [("?lang=ko", "en-US", "ko"), ("?lang=en", "ko-KR", "en"), ("", "ko-KR,ko;q=0.9,en;q=0.8", "ko"),
     ("?lang=fr", "ko", "ko"), ("", "fr-FR,ko;q=0.8", "en"), ("", "", "en"), ('?lang="><script>', "", "en")],
)  # fmt: skip
def test_the_language_is_that_of_the_address_or_of_the_browser(client, query, heard, lang):
    assert f'<html lang="{lang}"' in got(client, f"/mamba{query}", **{"accept-language": heard})


def test_a_document_differs_by_language_for_caches(client):
    assert client.get("/", headers=ACCEPT).headers["vary"] == "Accept-Language"


def test_every_architecture_gives_its_page_its_accent(client):
    for key in looks():
        assert f':root[data-page="{key}"] {{ --cs-accent: var(--cs-{key}); }}' in got(client)


def test_no_typeface_is_asked_for_that_nothing_is_written_in(client):
    assert "SourceSans" in (preload.STATIC / "index.html").read_text(encoding="utf-8"), "Streamlit asks for it"
    assert "SourceSans" not in got(client)


def test_the_letters_of_the_language_are_fetched_before_a_word_is_drawn(client):
    """Lines that are first drawn in another typeface break elsewhere, and what stands below them jumps."""
    early = r'<link rel="preload" as="font" type="font/woff2" crossorigin href="([^"]+)">'
    fonts = {lang: re.findall(early, got(client, f"/mamba?lang={lang}")) for lang in ("ko", "en")}
    assert set(fonts["ko"]) - set(fonts["en"]) == {"assets/fonts/contextscope/contextscope-hangul.woff2"}
    assert all((ASSETS.parent / font).is_file() for font in fonts["ko"])


@pytest.mark.parametrize("page", ["mamba", "benchmark"])
def test_scripts_of_the_first_screen_are_asked_for_at_once(client, page):
    found, raw = got(client, f"/{page}"), (preload.STATIC / "index.html").read_text(encoding="utf-8")
    scripts = preload.scripts(page)
    for element in (*preload.ELEMENTS, *preload.FURTHER.get(page, ())):
        assert any(script.startswith(f"static/js/{element}.") for script in scripts), element
    for script in scripts:
        assert (preload.STATIC / script).is_file()
        assert script not in raw, "Streamlit's document names it already"
        assert f'<link rel="modulepreload" crossorigin href="./{script}">' in found
    assert not any("vega" in script.lower() or "Plotly" in script for script in scripts)


def test_an_unknown_build_of_streamlit_is_served_without(tmp_path, monkeypatch):
    monkeypatch.setattr(preload, "MANIFEST", tmp_path / "none.json")
    preload.scripts.cache_clear()
    try:
        assert preload.scripts("mamba") == ()
    finally:
        preload.scripts.cache_clear()
