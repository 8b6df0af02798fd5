"""What we serve: compressed once for those who accept it, kept by browsers as long as it cannot change."""

import asyncio
import gzip
from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient

import app
from models.machine.paths import ASSETS
from pages.shared import document, serving
from pages.shared.icons import FewIcons
from pages.shared.serving import Assets, Compressed, accepts_gzip

TEXT = "let a = 1;\n" * 400


async def echo(socket):
    await socket.accept()
    await socket.send_text((await socket.receive_text()) * 2000)
    await socket.close()


@pytest.fixture
def client(tmp_path):
    """Serve a script, a picture and a font from a folder, and other answers beside it."""
    (tmp_path / "a.js").write_text(TEXT)
    (tmp_path / "small.js").write_text("1")
    (tmp_path / "a.png").write_bytes(b"png" * 1000)
    (tmp_path / "a.woff2").write_bytes(b"wOF2" * 1000)
    packed = Response(gzip.compress(TEXT.encode()), media_type="text/css", headers={"content-encoding": "gzip"})
    routes = [
        Mount("/static", StaticFiles(directory=tmp_path)),
        Mount("/assets", Assets(directory=tmp_path)),
        Mount("/base/assets", Assets(directory=tmp_path)),
        Route("/api/ready", lambda _: PlainTextResponse(TEXT)),
        Route("/assets2/packed.css", lambda _: packed),
        WebSocketRoute("/_stcore/stream", echo),
    ]
    made = TestClient(Starlette(routes=routes, middleware=[Middleware(Compressed)]))
    made.folder = tmp_path
    return made


@pytest.mark.parametrize("path", ["/static/a.js", "/assets/a.js", "/base/assets/a.js"])
def test_a_script_is_sent_as_gzip_and_is_the_same_script(client, path):
    answer = client.get(path, headers={"accept-encoding": "gzip, deflate, br"})
    assert answer.text == TEXT
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) < len(TEXT) / 10
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["etag"].startswith('W/"')


def test_who_does_not_accept_gzip_gets_the_file_as_it_is(client):
    for accepted in ("identity", "br", "gzip;q=0", ""):
        answer = client.get("/static/a.js", headers={"accept-encoding": accepted})
        assert "content-encoding" not in answer.headers
        assert int(answer.headers["content-length"]) == len(TEXT)
        assert answer.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize("path", ["/static/a.png", "/static/a.woff2", "/api/ready", "/static/none.js"])
def test_other_answers_pass_through(client, path):
    answer = client.get(path, headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in answer.headers
    assert "vary" not in answer.headers


def test_what_gains_nothing_is_left_as_it_is(client):
    answer = client.get("/static/small.js", headers={"accept-encoding": "gzip"})
    assert (answer.text, answer.headers["content-length"]) == ("1", "1")
    assert "content-encoding" not in answer.headers


def test_what_is_encoded_is_not_encoded_again(client):
    assert client.get("/assets2/packed.css", headers={"accept-encoding": "gzip"}).text == TEXT


def test_a_part_of_a_file_is_a_part_of_the_file(client):
    answer = client.get("/static/a.js", headers={"accept-encoding": "gzip", "range": "bytes=11-21"})
    assert (answer.status_code, answer.text) == (206, TEXT[11:22])
    assert "content-encoding" not in answer.headers
    assert answer.headers["content-range"] == f"bytes 11-21/{len(TEXT)}"


def test_the_head_of_an_answer_says_what_the_answer_would(client):
    accept = {"accept-encoding": "gzip"}
    head, whole = client.head("/static/a.js", headers=accept), client.get("/static/a.js", headers=accept)
    assert head.content == b""
    for name in ("content-encoding", "etag", "vary", "content-type"):
        assert head.headers[name] == whole.headers[name]
    assert head.headers.get("content-length") in (None, whole.headers["content-length"])


def test_a_browser_that_has_the_file_is_told_so(client):
    accept = {"accept-encoding": "gzip"}
    known = client.get("/assets/a.js", headers=accept).headers["etag"]
    again = client.get("/assets/a.js", headers=accept | {"if-none-match": known})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"] == serving.ASK_AGAIN


def test_a_websocket_is_left_alone(client):
    with client.websocket_connect("/_stcore/stream", headers={"accept-encoding": "gzip"}) as link:
        link.send_text("hello")
        assert link.receive_text() == "hello" * 2000


def test_a_file_is_compressed_once(client, monkeypatch):
    made = []
    pack = gzip.compress
    monkeypatch.setattr(serving.gzip, "compress", lambda *args, **more: made.append(args) or pack(*args, **more))
    for _ in range(3):
        client.get("/static/a.js", headers={"accept-encoding": "gzip"})
    assert len(made) == 1
    (client.folder / "a.js").write_text(TEXT.upper())
    assert client.get("/static/a.js", headers={"accept-encoding": "gzip"}).text == TEXT.upper()
    assert len(made) == 2


def test_how_long_a_browser_keeps_a_file(client):
    now = serving.version(client.folder / "a.js")
    kept = {path: client.get(path).headers["cache-control"] for path in (
        "/assets/a.js", f"/assets/a.js?v={now}", "/assets/a.js?v=00000000", "/assets/a.woff2")}  # fmt: skip
    assert list(kept.values()) == [
        serving.ASK_AGAIN, serving.FOR_EVER, serving.ASK_AGAIN, serving.FOR_A_MONTH]  # fmt: skip
    (client.folder / "a.js").write_text(TEXT + "//")
    assert client.get(f"/assets/a.js?v={now}").headers["cache-control"] == serving.ASK_AGAIN


@pytest.mark.parametrize(
    ("accepted", "allowed"),
    [("gzip", True), ("br, GZIP;q=0.5", True), ("*", True), ("gzip;q=0", False), ("gzip; q=0.0", False),
     ("*, gzip;q=0", False), ("", False), ("x-gzip-like", False)],
)  # fmt: skip
def test_accept_encoding_is_understood(accepted, allowed):
    assert accepts_gzip(accepted) is allowed


def test_the_app_compresses_what_the_document_has_become():
    """The order of the middleware: the document is finished first and compressed last."""
    classes = [one.cls for one in app.app._user_middleware]
    assert classes == [Compressed, FewIcons, document.DocumentHead]


def test_the_files_of_the_document_are_kept_for_ever():
    client = TestClient(Starlette(routes=app.routes("")))
    for sheet in (*document.sheets(), document.FONTS):
        answer = client.get(f"/{document.address(sheet)}")
        assert answer.headers["cache-control"] == serving.FOR_EVER, sheet
        assert answer.text == sheet.read_text(encoding="utf-8")
    font = next((ASSETS / "fonts").rglob("*.woff2"))
    answer = client.get(f"/assets/{font.relative_to(ASSETS).as_posix()}")
    assert answer.headers["cache-control"] == serving.FOR_A_MONTH


def test_an_answer_in_pieces_is_compressed_as_one():
    async def pieces(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/css")]})
        for number in range(3):
            await send({"type": "http.response.body", "body": b"a" * 1000, "more_body": number < 2})

    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/static/a.css", "headers": [(b"accept-encoding", b"gzip")]}
    with ThreadPoolExecutor(1) as apart:  # a browser of other tests may keep an event loop in this thread
        apart.submit(asyncio.run, Compressed(pieces)(scope, None, send)).result()
    (start, body) = sent
    assert gzip.decompress(body["body"]) == b"a" * 3000
    assert (b"content-length", str(len(body["body"])).encode()) in start["headers"]
