"""The rest of a page waits for the browser to draw the first figure, and only where a browser has something to draw."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from models import registry
from pages.shared import first_screen, gate, next_word

pytestmark = pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")

TEXT = "The old sailor tied the boat."


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Act as if browsers could answer; give the list of what happens, which has a ticket for each wait."""
    happened: list[str] = []

    def wait(drawn: threading.Event) -> None:
        happened.extend(ticket for ticket, one in first_screen._waiting.items() if one is drawn)

    monkeypatch.setattr(first_screen, "_wait", wait)
    monkeypatch.setattr(first_screen, "_serving", threading.Event())
    first_screen.serve()
    return happened


def ticket_of(at: AppTest) -> str:
    """Return what the page told the browser to answer with."""

    def walk(block: Any) -> list[str]:
        found = []
        for child in block.children.values():
            proto = getattr(child, "proto", None)
            if getattr(proto, "component_name", "").endswith("first_screen"):
                found.append(json.loads(proto.json))
            if hasattr(child, "children"):
                found += walk(child)
        return found

    (ticket,) = walk(at.main)
    return str(ticket)


def test_a_visit_and_another_text_wait_and_nothing_else(open_page: Callable[..., AppTest], serving: list[str]) -> None:
    at = open_page("mamba")
    assert serving == [ticket_of(at)]
    at.run()
    assert len(serving) == 1
    assert ticket_of(at) == ""
    at.text_area[0].set_value(TEXT).run()
    assert serving[1:] == [ticket_of(at)]
    assert serving[1] != serving[0]
    at.button_group(key="frame.lang").set_value("ko").run()
    assert len(serving) == 2
    assert first_screen._waiting == {}


def test_the_rest_of_the_page_comes_after_the_wait(
    open_page: Callable[..., AppTest], serving: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    section = next_word.section

    def noted(*args: Any, **options: Any) -> None:
        serving.append("next word")
        section(*args, **options)

    monkeypatch.setattr(next_word, "section", noted)
    at = open_page("transformer")
    assert serving == [ticket_of(at), "next word"]


def test_others_compute_while_a_visit_waits(
    open_page: Callable[..., AppTest], serving: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    inside: list[int] = []
    monkeypatch.setattr(first_screen, "_wait", lambda drawn: inside.append(gate._gate.counts()[0]))
    assert not open_page("mamba").exception
    assert inside == [0]


def test_nobody_waits_where_no_browser_can_answer(
    open_page: Callable[..., AppTest], serving: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_screen, "MOST_WAITING", 0)
    assert ticket_of(open_page("mamba")) == ""
    monkeypatch.undo()
    monkeypatch.setattr(first_screen, "_serving", threading.Event())  # another test may have begun to serve
    assert ticket_of(open_page("mamba")) == ""
    assert serving == []


def test_an_answer_ends_the_wait_that_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, other = threading.Event(), threading.Event()
    monkeypatch.setattr(first_screen, "_waiting", {"mine": drawn, "theirs": other})
    app = Starlette(routes=[Route("/api/drawn", first_screen.answer, methods=["POST"])])
    with TestClient(app) as client:
        for query in ("", "?visit=", "?visit=nobody", f"?visit={'x' * 5000}"):
            assert client.post(f"/api/drawn{query}").status_code == 204
        assert not drawn.is_set()
        assert client.get("/api/drawn?visit=mine").status_code == 405
        assert not drawn.is_set()
        assert client.post("/api/drawn?visit=mine").status_code == 204
    assert drawn.is_set()
    assert not other.is_set()


def test_a_wait_ends_with_the_answer_and_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_screen, "LONGEST_S", 0.01)
    first_screen._wait(threading.Event())
    monkeypatch.setattr(first_screen, "LONGEST_S", 3600)
    drawn = threading.Event()
    drawn.set()
    first_screen._wait(drawn)
