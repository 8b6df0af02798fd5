"""/api/ready says ready when every bundled model has run and the store answers; only documents are changed."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import streamlit.config
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

import app
from models import registry
from models.bench.run import runner
from models.bench.store.store import Store
from pages.shared import cache, readiness
from pages.shared.document import DocumentHead
from pages.shared.readiness import Readiness

ACCEPT = {"accept": "text/html,*/*"}
LOCAL = {"localhost:8501", "127.0.0.1", "[::1]:80"}
MODELS = [adapter.bundled for adapter in registry.ADAPTERS]


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Give the process a runner on a store of its own."""
    made = Store(tmp_path / "runs", recorded=None)
    monkeypatch.setattr(runner, "shared", lambda: runner.Runner(made))
    return made


def asked(state):
    return TestClient(Starlette(routes=[Route("/api/ready", state.answer)])).get("/api/ready")


def test_all_models_and_a_store_are_ready(store):
    answer = asked(Readiness(MODELS, MODELS, warm=True))
    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "models": MODELS, "missing": [], "store": True}


@pytest.mark.parametrize(
    ("state", "missing"),
    [
        (Readiness(MODELS, MODELS[1:], warm=True), MODELS[:1]),
        (Readiness(MODELS, [], warm=True), MODELS),
        (Readiness(MODELS, [], warm=False), MODELS),
        (Readiness([], [], warm=True), []),
    ],
    ids=["one failed", "none runs", "not warm", "none known"],
)
def test_a_model_that_does_not_run_is_not_ready(store, state, missing):
    answer = asked(state)
    assert answer.status_code == 503
    assert (answer.json()["ready"], answer.json()["missing"]) == (False, missing)


def test_a_store_that_does_not_answer_is_not_ready(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("no folder")
    broken = Store(tmp_path / "file" / "runs", recorded=None)
    monkeypatch.setattr(runner, "shared", lambda: runner.Runner(broken))
    with caplog.at_level(logging.WARNING):
        answer = asked(Readiness(MODELS, MODELS, warm=True))
    assert answer.status_code == 503
    assert answer.json()["store"] is False
    assert str(tmp_path) not in answer.text
    assert any("does not answer" in line for line in caplog.messages)


def test_a_store_that_waits_is_not_ready(monkeypatch):
    import threading

    released = threading.Event()
    monkeypatch.setattr(readiness, "STORE_LIMIT_S", 0.05)
    monkeypatch.setattr(readiness, "_ask_store", lambda: released.wait(60))
    try:
        assert asked(Readiness(MODELS, MODELS, warm=True)).status_code == 503
    finally:
        released.set()


def test_warming_notes_every_model_that_fails(monkeypatch):
    def rehearse(name):
        if name == MODELS[0]:
            raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(cache, "rehearse", rehearse)
    monkeypatch.setattr(cache, "trace_for", lambda *_: type("Trace", (), {"derive": lambda _: None})())
    monkeypatch.setattr(cache, "bundled", lambda: tuple(MODELS))
    state = Readiness()
    app.warm(state)
    assert (list(state.wanted), list(state.running), state.warm) == (MODELS, MODELS[1:], True)


def test_our_routes_stand_at_the_root_and_under_a_base_path():
    paths = [route.path for route in app.routes("lecture/ctx/")]
    own = ["/api/ready", "/api/drawn", "/api/tokens", "/assets"]
    assert paths == [*own, *(f"/lecture/ctx{path}" for path in own)]
    assert [route.path for route in app.routes("")] == [route.path for route in app.routes("/")] == own


def test_only_what_a_browser_asks_for_is_served():
    client = TestClient(Starlette(routes=app.routes("ctx")))
    for base in ("", "/ctx"):
        assert client.get(f"{base}/assets/style/fonts.css").headers["content-type"].startswith("text/css")
        for path in ("offered.yaml", "checkpoints/mamba/config.json", "style/../offered.yaml", "runs/quick-cpu.jsonl"):
            assert client.get(f"{base}/assets/{path}").status_code == 404


def passed(app_, path):
    """Return the messages that a GET of a page sends, as they come."""
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        await asyncio.Event().wait()  # nobody leaves

    scope = {"type": "http", "method": "GET", "path": path, "headers": [(b"accept", b"text/html")], "query_string": b""}
    with ThreadPoolExecutor(1) as apart:  # a browser of other tests may keep an event loop in this thread
        apart.submit(asyncio.run, app_(scope, receive, send)).result()
    return [message["body"] for message in sent if message["type"] == "http.response.body" and message.get("body")]


def test_a_file_goes_on_in_its_pieces_and_a_document_as_one():
    pieces = [b"<title>Streamlit", b"</title>", b"x" * 1000]

    def streamed(kind):
        return lambda _: StreamingResponse(iter(pieces), media_type=kind)

    routes = [Route("/file", streamed("application/octet-stream")), Route("/page", streamed("text/html"))]
    inner = Starlette(routes=routes, middleware=[Middleware(DocumentHead)])
    assert passed(inner, "/file") == pieces
    (body,) = passed(inner, "/page")
    assert b"<title>Contextscope</title>" in body and body.endswith(pieces[-1])


def test_no_answer_is_taken_for_a_document_by_what_it_holds():
    page = "<title>Streamlit</title>"
    routes = [Route("/", lambda _: HTMLResponse(page)), Route("/text", lambda _: StreamingResponse(iter([page])))]
    client = TestClient(Starlette(routes=routes, middleware=[Middleware(DocumentHead)]))
    assert client.get("/text", headers=ACCEPT).text == page
    assert client.get("/", headers=ACCEPT).headers["content-length"] == str(
        len(client.get("/", headers=ACCEPT).content)
    )


def test_the_app_is_opened_under_names_of_this_machine_only():
    import tomllib

    from streamlit.web.server.starlette.starlette_websocket import is_host_allowed

    text = (Path(app.__file__).parent / ".streamlit" / "config.toml").read_text(encoding="utf-8")
    named = tomllib.loads(text)["server"]["allowedHosts"]
    before = streamlit.config.get_option("server.allowedHosts")
    streamlit.config.set_option("server.allowedHosts", named)
    try:
        allowed = {host for host in (*LOCAL, "evil.example", "localhost.evil", "10.1.1.5", "") if is_host_allowed(host)}
    finally:
        streamlit.config.set_option("server.allowedHosts", before)
    assert allowed == LOCAL
