"""Files over HTTP: how long a browser may keep ours, and gzip for the scripts and style sheets of a first visit."""

import gzip
import hashlib
import os
from functools import lru_cache
from pathlib import Path

import anyio.to_thread
from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pages.shared.lru_cache import LruCache

FOR_EVER = "public, max-age=31536000, immutable"  # of an address that names the content
FOR_A_MONTH = "public, max-age=2592000"  # of fonts, whose files are never changed under their names
ASK_AGAIN = "no-cache"

_FOLDERS = ("static", "assets")  # parts of a path below which files lie: Streamlit's, ours
_TEXTS = ("text/html", "text/css", "text/javascript", "application/javascript", "image/svg+xml")
_LEAST_BYTES = 1024  # smaller files gain nothing
_LEVEL = 9
_KEPT_BYTES = 32 * 2**20  # of compressed files


def version(path: Path) -> str:
    """Return eight characters that stand for the content of a file, for its address."""
    return _version(path, path.stat().st_mtime_ns)


@lru_cache(256)
def _version(path: Path, _: int) -> str:
    return hashlib.blake2s(path.read_bytes(), digest_size=4).hexdigest()


class Assets(StaticFiles):
    """A folder of files, each with the time that a browser may keep it: ?v=<version> for ever, a font for a month."""

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """Answer with a file, or with 304 where the browser has it."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["cache-control"] = _keep(Path(full_path), QueryParams(scope.get("query_string", b"")).get("v"))
        return response


def _keep(path: Path, asked: str | None) -> str:
    if asked is not None and asked == version(path):
        return FOR_EVER
    return FOR_A_MONTH if path.suffix == ".woff2" else ASK_AGAIN


class Compressed:
    """Middleware: send documents, scripts and style sheets as gzip to those who accept it.

    Streamlit leaves its own scripts as they are, because it would compress them anew for every visitor; here each is
    compressed once. Answers in parts (206), what is encoded already, and everything that is no such text pass through,
    as do websockets.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._packed: LruCache[bytes] = LruCache(_KEPT_BYTES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        wanted = accepts_gzip(headers.get("accept-encoding", "")) and "range" not in headers
        start: Message | None = None  # of what is compressed; anything else goes on as it comes
        parts: list[bytes] = []

        async def collect(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _is_text(message, scope["path"]):
                MutableHeaders(raw=message["headers"]).add_vary_header("Accept-Encoding")
                if wanted and scope["method"] == "HEAD":
                    _declare(message)
                elif wanted:
                    start = message
                    return
            if start is None or message["type"] != "http.response.body":
                await send(message)
                return
            parts.append(message.get("body", b""))
            if message.get("more_body", False):
                return
            body = b"".join(parts)
            if len(body) >= _LEAST_BYTES:
                body = await self._pack(body)
                _declare(start, len(body))
            await send(start)
            await send({"type": "http.response.body", "body": body})

        await self.app(scope, receive, collect)

    async def _pack(self, body: bytes) -> bytes:
        key = hashlib.blake2b(body, digest_size=16).digest()
        return await anyio.to_thread.run_sync(
            lambda: self._packed.get(key, lambda: gzip.compress(body, _LEVEL, mtime=0), len)
        )


def accepts_gzip(accepted: str) -> bool:
    """Return whether an Accept-Encoding header allows gzip: named, or meant by *, and not with q=0."""
    weights: dict[str, str] = {}
    for one in accepted.lower().split(","):
        name, _, parameters = one.partition(";")
        weights[name.strip()] = parameters.replace(" ", "").removeprefix("q=")
    weight = weights.get("gzip", weights.get("*", "0"))
    return weight.strip("0.") != "" or weight == ""


def _is_text(start: Message, path: str) -> bool:
    headers = Headers(raw=start["headers"])
    kind = headers.get("content-type", "").partition(";")[0].strip()
    if start["status"] != 200 or kind not in _TEXTS or "content-encoding" in headers:
        return False
    return kind == "text/html" or not set(_FOLDERS).isdisjoint(path.split("/"))


def _declare(start: Message, length: int | None = None) -> None:
    """Say in the headers that the body is gzip; its length is known only once it is made."""
    headers = MutableHeaders(raw=start["headers"])
    headers["content-encoding"] = "gzip"
    if "etag" in headers and not headers["etag"].startswith("W/"):
        headers["etag"] = f"W/{headers['etag']}"  # the same content, other bytes
    if length is None:
        del headers["content-length"]
    else:
        headers["content-length"] = str(length)
