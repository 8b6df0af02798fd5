"""The typeface of icons holds every icon that Streamlit's pages or ours can show."""

import re
from pathlib import Path

import pytest
import streamlit as st
from starlette.applications import Starlette
from starlette.testclient import TestClient

from pages.shared import icons

NAMES = set(icons.NAMES.read_text(encoding="utf-8").split())
STATIC = Path(st.__file__).parent / "static" / "static"
ROOT = Path(__file__).resolve().parents[2]


def named(text: str) -> set[str]:
    return set(re.findall(r":material/(\w+):", text))


def test_every_icon_of_streamlits_own_scripts_is_there() -> None:
    found = set().union(*(named(path.read_text(encoding="utf-8")) for path in (STATIC / "js").glob("*.js")))
    assert len(found) > 20
    assert found - NAMES == {"star_filled"}  # the whole typeface has none of that name either


def test_every_icon_of_our_pages_is_there() -> None:
    sources = [ROOT / "app.py", *(ROOT / "pages").rglob("*.py"), *(ROOT / "assets" / "content").rglob("*")]
    found = set().union(*(named(path.read_text(encoding="utf-8")) for path in sources if path.is_file()))
    assert {"stop", "shuffle"} <= found
    assert found - NAMES == set()
    assert named('icon=":material/no_such_icon:"') - NAMES == {"no_such_icon"}


@pytest.mark.parametrize("base", ["", "/course"])
def test_our_typeface_stands_where_streamlit_asks_for_its_own(base: str) -> None:
    whole = next((STATIC / "media").glob("MaterialSymbols-Rounded.*.woff2"))
    client = TestClient(icons.FewIcons(Starlette()))
    answer = client.get(f"{base}/static/media/{whole.name}")
    assert answer.content == icons.FONT.read_bytes()
    assert len(answer.content) * 20 < whole.stat().st_size
    assert answer.headers["cache-control"] == icons.FOR_AN_HOUR
    assert client.get(f"{base}/static/media/another.woff2").status_code == 404
    assert client.post(f"{base}/static/media/{whole.name}").status_code == 404
