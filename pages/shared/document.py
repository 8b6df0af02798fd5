"""Middleware that sets the title of Streamlit's HTML document and the server address in it."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.machine.paths import ASSETS
from pages.shared import site

HEAD = ASSETS / "style" / "head.html"
_PLACE = b"<title>Streamlit</title>"
_NAMES = b"PAGE_NAMES"  # stands in head.html where the paths of the pages go


class DocumentHead:
    """Replace the title of HTML documents by assets/style/head.html; everything else passes through untouched."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.head = HEAD.read_bytes().strip().replace(_NAMES, "|".join(site.KEYS[1:]).encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if (
            scope["type"] != "http"
            or scope["method"] != "GET"
            or "text/html" not in Headers(scope=scope).get("accept", "")
        ):
            await self.app(scope, receive, send)
            return
        plain = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]  # nothing to unpack
        start: Message | None = None  # of a document; anything else goes on as it comes
        parts: list[bytes] = []

        async def collect(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _is_document(message):
                start = message
                return
            if start is None or message["type"] != "http.response.body":
                await send(message)
                return
            parts.append(message.get("body", b""))
            if message.get("more_body", False):
                return
            body = b"".join(parts).replace(_PLACE, self.head, 1)
            headers = MutableHeaders(raw=start["headers"])
            headers["content-length"] = str(len(body))
            del headers["etag"], headers["last-modified"]  # those of the file we changed
            await send(start)
            await send({"type": "http.response.body", "body": body})

        await self.app({**scope, "headers": plain}, receive, collect)


def _is_document(start: Message) -> bool:
    return Headers(raw=start["headers"]).get("content-type", "").startswith("text/html")
