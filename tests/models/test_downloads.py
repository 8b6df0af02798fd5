"""Downloads against a small hub of our own on this machine: progress, interruption and resumption, refusals."""

import errno
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled
from transformers import AutoModelForCausalLM, LlamaConfig

from models import registry
from models.errors import SourceError
from models.sources import downloads, hub, weights

MODEL = "nobody/tiny-llama"
COMMIT, PROPOSED = "a" * 40, "b" * 40
FOREIGN = {"modeling_evil.py": b"raise SystemExit", "README.md": b"# hello", "nested/model.safetensors": b"no"}


class Hub:
    """One repository, served. gate: holds the weights after held_after bytes; breaks: answers that end too early."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.revisions = {"main": (COMMIT, files), COMMIT: (COMMIT, files)}
        self.proposals: list[dict[str, object]] = []
        self.asked: list[tuple[str, str | None]] = []  # (path, range)
        self.gate = threading.Event()
        self.gate.set()
        self.held_after = 0
        self.breaks: list[int] = []
        hub_of_handler = self

        class Handler(BaseHTTPRequestHandler):
            hub: ClassVar[Hub] = hub_of_handler
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                """Stay silent."""

            def do_HEAD(self) -> None:
                answer(self, self.hub, body=False)

            def do_GET(self) -> None:
                answer(self, self.hub, body=True)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        host, port = self.server.server_address[:2]
        return f"http://{host!s}:{port}"


def answer(handler: BaseHTTPRequestHandler, served: Hub, *, body: bool) -> None:
    path = urlsplit(handler.path).path
    served.asked.append((path, handler.headers.get("Range")))
    if path == f"/api/models/{MODEL}/discussions":
        return reply(handler, {"discussions": served.proposals, "count": len(served.proposals), "start": 0})
    if found := re.fullmatch(rf"/api/models/{MODEL}(?:/revision/(.+))?", path):
        commit, files = served.revisions[(found[1] or "main").replace("%2F", "/")]
        return reply(handler, {"id": MODEL, "sha": commit, "siblings": [sibling(n, c) for n, c in files.items()]})
    if found := re.fullmatch(rf"/api/models/{MODEL}/tree/(.+)", path):
        _, files = served.revisions[found[1].replace("%2F", "/")]
        return reply(handler, [{"type": "file", "oid": oid(c), "path": n, "size": len(c)} | large(n, c)
                               for n, c in files.items()])  # fmt: skip
    if found := re.fullmatch(rf"/{MODEL}/resolve/([^/]+)/(.+)", path):
        commit, files = served.revisions[found[1].replace("%2F", "/")]
        return send(handler, served, commit, found[2], files[found[2]], body=body)
    handler.send_response(404)
    handler.send_header("X-Error-Code", "RepoNotFound")
    handler.send_header("Content-Length", "0")
    handler.end_headers()
    return None


def send(handler: BaseHTTPRequestHandler, served: Hub, commit: str, name: str, content: bytes, *, body: bool) -> None:
    first = int(re.findall(r"\d+", handler.headers.get("Range") or "0")[0])
    rest = content[first:]
    handler.send_response(206 if first else 200)
    if first:
        handler.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
    etag = hashlib.sha256(content).hexdigest() if large(name, content) else oid(content)
    for header, value in {"ETag": f'"{etag}"', "X-Repo-Commit": commit, "Content-Length": str(len(rest))}.items():
        handler.send_header(header, value)
    if large(name, content):
        handler.send_header("X-Linked-Etag", f'"{etag}"')
        handler.send_header("X-Linked-Size", str(len(content)))
    handler.end_headers()
    if not body:
        return
    if not large(name, content):
        handler.wfile.write(rest)
        return
    limit = served.breaks.pop(0) if served.breaks else len(rest)
    for start in range(0, min(limit, len(rest)), 16384):
        if first + start >= served.held_after:
            served.gate.wait(30)
        handler.wfile.write(rest[start : min(start + 16384, limit)])
    if limit < len(rest):
        handler.close_connection = True
        handler.connection.close()


def reply(handler: BaseHTTPRequestHandler, content: object) -> None:
    data = json.dumps(content).encode()
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)


def oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def large(name: str, content: bytes) -> dict[str, object]:
    if not name.endswith((".safetensors", ".bin")):
        return {}
    return {"lfs": {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}}


def sibling(name: str, content: bytes) -> dict[str, object]:
    entry: dict[str, object] = {"rfilename": name, "size": len(content), "blobId": oid(content)}
    if large(name, content):
        entry["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
    return entry


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Write a seeded checkpoint in transformers format and read its files."""
    folder = tmp_path_factory.mktemp("published")
    torch.manual_seed(3)
    tokenizer = weights.read_tokenizer(registry.bundled()[0])
    assert tokenizer is not None
    config = LlamaConfig(vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=2,
                         num_attention_heads=4, num_key_value_heads=2)  # fmt: skip
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} | FOREIGN


Serve = Callable[[dict[str, bytes]], Hub]


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Point the hub's client at a server of ours and at an empty cache."""
    started: list[Hub] = []
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(downloads, "_jobs", {})
    monkeypatch.setattr(downloads, "ANSWER_S", 5.0)

    def begin(content: dict[str, bytes]) -> Hub:
        started.append(Hub(content))
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", started[-1].address)
        template = started[-1].address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        return started[-1]

    yield begin
    for served in started:
        served.gate.set()
        served.server.shutdown()
        served.server.server_close()


def ended(model: str = MODEL) -> downloads.DownloadProgress:
    found = downloads.wait(model, timeout_s=240)
    assert found is not None and found.state != "running"
    return found


def until(condition: Callable[[], bool]) -> None:
    stop = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < stop
        time.sleep(0.01)


def key_of(found: downloads.DownloadProgress) -> str:
    assert found.state == "failed" and found.error is not None and "\n" not in str(found.error)
    return found.error.key.removeprefix("errors.")


@pytest.mark.slow
def test_a_download_shows_its_progress_and_is_the_model(serve: Serve, files: dict[str, bytes]) -> None:
    served = serve(files)
    served.gate.clear()
    served.held_after = 65536
    assert not hub.downloaded(MODEL) and downloads.progress(MODEL) is None
    downloads.start(MODEL)
    downloads.start(MODEL)  # a second visitor joins the first one's
    until(lambda: downloads.progress(MODEL).done_bytes >= 65536)  # type: ignore[union-attr]
    halfway = downloads.progress(MODEL)
    assert halfway is not None and halfway.state == "running" and downloads.running() == (MODEL,)
    wanted = [name for name in files if name not in FOREIGN]
    assert halfway.total_bytes == sum(len(files[name]) for name in wanted)
    assert 0 < halfway.done_bytes < halfway.total_bytes and not hub.downloaded(MODEL)
    served.gate.set()
    done = ended()
    assert (done.state, done.done_bytes, done.error) == ("done", done.total_bytes, None)
    gets = [path for path, _ in served.asked if path.endswith("/model.safetensors")]
    assert len(gets) == 1 or gets.count(gets[0]) <= 2  # one GET of the weights, at most one HEAD
    folder = hub.folder_of(MODEL)
    assert folder is not None
    assert {path.name for path in folder.iterdir()} == set(wanted)
    loaded = registry.load(MODEL)  # from the cache, by its id
    assert loaded.architecture == "transformer"
    assert registry.trace(loaded, "the wolf").logits.values.shape[1] == loaded.config.vocab_size


def test_nothing_foreign_is_ever_asked_for(serve: Serve, files: dict[str, bytes]) -> None:
    served = serve({**files, "pytorch_model.bin": b"pickle", "model.fp16.safetensors": b"x"})
    downloads.start(MODEL)
    assert ended().state == "done"
    asked = " ".join(path for path, _ in served.asked)
    for name in (*FOREIGN, "pytorch_model.bin", "model.fp16.safetensors"):
        assert f"/{name}" not in asked.replace("/resolve/" + COMMIT + "/model.safetensors", "")


def test_a_cancelled_download_goes_on_where_it_stopped(serve: Serve, files: dict[str, bytes]) -> None:
    served = serve(files)
    served.gate.clear()
    served.held_after = 131072
    downloads.start(MODEL)
    until(lambda: downloads.progress(MODEL).done_bytes >= 131072)  # type: ignore[union-attr]
    downloads.cancel(MODEL)
    served.gate.set()
    stopped = ended()
    assert stopped.state == "cancelled" and stopped.error is None and not hub.downloaded(MODEL)
    served.asked.clear()
    downloads.start(MODEL)
    assert ended().state == "done"
    ranges = [asked for path, asked in served.asked if path.endswith("/model.safetensors") and asked]
    assert len(ranges) == 1 and int(re.findall(r"\d+", ranges[0])[0]) >= 131072
    folder = hub.folder_of(MODEL)
    assert folder is not None
    assert (folder / "model.safetensors").read_bytes() == files["model.safetensors"]


def test_a_broken_connection_is_taken_up_again(serve: Serve, files: dict[str, bytes]) -> None:
    served = serve(files)
    served.breaks = [50000, 30000, 1]
    downloads.start(MODEL)
    assert ended().state == "done"
    starts = [int(re.findall(r"\d+", asked)[0]) for path, asked in served.asked if asked and "resolve" in path]
    assert starts == [50000, 80000, 80001]


def test_damaged_weights_are_thrown_away(serve: Serve, files: dict[str, bytes]) -> None:
    served = serve(files)
    listed = dict(files)
    served.revisions[COMMIT] = (COMMIT, listed)
    served.revisions["main"] = (COMMIT, {**files, "model.safetensors": b"\0" * len(files["model.safetensors"])})
    downloads.start(MODEL)
    assert key_of(ended()) == "download_damaged"
    assert not list(hub.storage(MODEL).rglob("*.part")) and not hub.downloaded(MODEL)


def test_the_hubs_own_conversion_is_found_for_pickled_weights(serve: Serve, files: dict[str, bytes]) -> None:
    pickled = {name: content for name, content in files.items() if name != "model.safetensors"}
    served = serve({**pickled, "pytorch_model.bin": b"pickle"})
    proposal = {"num": 2, "title": "Adding `safetensors` variant of this model", "status": "open",
                "isPullRequest": True, "createdAt": "2023-03-01T10:00:00.000Z",
                "repo": {"type": "model", "name": MODEL}}  # fmt: skip
    served.revisions["refs/pr/2"] = served.revisions[PROPOSED] = (PROPOSED, files)
    served.proposals = [proposal | {"num": 1, "author": {"name": "somebody"}}]
    downloads.start(MODEL)
    assert key_of(ended()) == "unsafe_weights"  # a stranger's proposal is not taken
    served.proposals.append(proposal | {"author": {"name": "SFconvertbot"}})
    downloads.start(MODEL)
    assert ended().state == "done"
    assert hub.folder_of(MODEL).name == PROPOSED  # type: ignore[union-attr]


@pytest.mark.parametrize(("left", "key"), [("pytorch_model.bin", "unsafe_weights"), ("README.md", "no_weights")])
def test_without_safetensors_nothing_comes(serve: Serve, files: dict[str, bytes], left: str, key: str) -> None:
    serve({"config.json": files["config.json"], left: b"x"})
    downloads.start(MODEL)
    assert key_of(ended()) == key
    assert not hub.storage(MODEL).exists()


def test_an_unknown_model_is_said_so(serve: Serve, files: dict[str, bytes]) -> None:
    serve(files)
    downloads.start("nobody/nothing")
    assert key_of(ended("nobody/nothing")) == "hub_unknown"


def test_an_unreachable_hub_is_said_so(serve: Serve, files: dict[str, bytes]) -> None:
    served = serve(files)
    served.server.shutdown()
    served.server.server_close()
    downloads.start(MODEL)
    assert key_of(ended()) == "hub_unreachable"


def test_offline_is_unreachable_too(serve: Serve, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    serve(files)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    downloads.start(MODEL)
    assert key_of(ended()) == "hub_unreachable"


def test_a_full_disk_is_said_before_anything_comes(
    serve: Serve, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve(files)
    total = sum(len(content) for name, content in files.items() if name not in FOREIGN)
    usage = (0, 0, total + downloads.SPARE_BYTES - 1)
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda _: type("U", (), {"free": usage[2]})())
    downloads.start(MODEL)
    found = ended()
    assert key_of(found) == "disk_full"
    assert not any("/resolve/" in path for path, _ in served.asked)
    assert found.error is not None and {"need", "free"} <= set(found.error.values)


def test_an_interrupted_copy_in_the_cache_is_not_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    snapshot = hub.storage(MODEL) / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    assert not hub.downloaded(MODEL)
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(index))
    (snapshot / "model-00001-of-00002.safetensors").write_bytes(b"x")
    assert not hub.downloaded(MODEL)
    (snapshot / "model-00002-of-00002.safetensors").write_bytes(b"x")
    assert not hub.downloaded(MODEL)  # no tokenizer yet
    (snapshot / "tokenizer.json").write_text("{}")
    assert hub.folder_of(MODEL) == snapshot
    (snapshot / "model.safetensors.index.json").unlink()
    assert not hub.downloaded(MODEL)
    (snapshot / "model.safetensors").write_bytes(b"x")
    assert hub.folder_of(MODEL) == snapshot


@pytest.mark.parametrize(
    ("names", "whole"),
    [
        (["tokenizer.json"], True),
        (["tokenizer.model"], True),
        (["vocab.json", "merges.txt"], True),
        (["tokenizer_config.json", "vocab.json"], False),
    ],
)
def test_what_counts_as_a_tokenizer(names: list[str], whole: bool) -> None:
    assert hub.has_tokenizer(["config.json", *names]) is whole


def test_a_copy_without_its_tokenizer_is_repaired(serve: Serve, files: dict[str, bytes]) -> None:
    serve(files)
    snapshot = hub.storage(MODEL) / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (snapshot / name).write_bytes(files[name])
    downloads.start(MODEL)
    assert ended().state == "done"
    assert registry.load(MODEL).tokenizer is not None


def test_without_a_tokenizer_nothing_comes(serve: Serve, files: dict[str, bytes]) -> None:
    served = serve({name: files[name] for name in ("config.json", "model.safetensors")})
    downloads.start(MODEL)
    assert key_of(ended()) == "no_tokenizer"
    assert not any("/resolve/" in path for path, _ in served.asked)


def test_only_the_files_that_are_needed_are_taken() -> None:
    listed = ["config.json", "model.safetensors", "model.fp16.safetensors", "tf_model.h5", "merges.txt",
              "flax_model.msgpack", "onnx/model.safetensors", "configuration_x.py",
              "tokenizer.json", "pytorch_model.bin"]  # fmt: skip
    assert hub.wanted(listed) == ["config.json", "model.safetensors", "merges.txt", "tokenizer.json"]
    pieces = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"]
    assert hub.wanted([*pieces, "consolidated.safetensors"]) == pieces


def test_our_own_errors_pass_through() -> None:
    error = SourceError("errors.no_weights", "none", source="x")
    assert hub.translated("x", error) is error


@pytest.mark.parametrize(
    ("error", "key"),
    [
        (PermissionError(errno.EACCES, "denied"), "cache_unwritable"),
        (OSError(errno.EROFS, "read-only"), "cache_unwritable"),
        (OSError(errno.ENOSPC, "full"), "cache_unwritable"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "hub_unreachable"),
        (TimeoutError("slow"), "hub_unreachable"),
        (OfflineModeIsEnabled("offline"), "hub_unreachable"),
        (LocalEntryNotFoundError("not here"), "hub_unreachable"),
        (ValueError("bad value\nmore"), "hub_failed"),
        (KeyError(), "hub_failed"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_went_wrong_is_told_apart(error: Exception, key: str) -> None:
    found = hub.translated("a/b", error)
    assert found.key == f"errors.{key}" and "\n" not in str(found)
    wrapped = OSError("as transformers wraps it")
    wrapped.__cause__ = error
    assert hub.translated("a/b", wrapped).key == f"errors.{key}"


def test_a_hub_that_is_out_of_order_is_unreachable() -> None:
    def fail(status: int) -> str:
        error = OSError("the hub answered")
        error.response = type("R", (), {"status_code": status})()  # type: ignore[attr-defined]
        return hub.translated("a/b", error).key.removeprefix("errors.")

    assert [fail(status) for status in (503, 429, 400)] == ["hub_unreachable", "hub_unreachable", "hub_failed"]


def test_a_cache_that_cannot_be_written_is_said_so(
    serve: Serve, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(files)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    downloads.start(MODEL)
    assert key_of(ended()) == "cache_unwritable"
