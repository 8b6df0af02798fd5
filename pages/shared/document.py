"""Middleware that finishes Streamlit's HTML document: title, language, style and accent of the page, server address.

The style sheets stand at the beginning of the body. They are there before anything is painted, and they come after the
rules that Streamlit writes into the head while it runs, so that of two equally specific rules ours holds.
"""

import re
from html import escape
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.machine.paths import ASSETS
from pages.shared import preload, serving, site, style
from pages.shared.words import i18n, language
from viz.look.vega import SHOWN

FOLDER = ASSETS / "style"
HEAD = FOLDER / "head.html"
FONTS = FOLDER / "fonts.css"
FIRST = FOLDER / "contextscope.css"
MENU = ASSETS / "scripts" / "figure_menu.js"
_SHOWN = f'<input type="hidden" id="{SHOWN}" autocomplete="off">'  # in which charts read the chosen token
_TITLE = "<title>Streamlit</title>"
_ROOT = '<html lang="en">'
_END, _BODY = "</head>", "<body>"
_FONT = '<link rel="preload" as="font" type="font/woff2" crossorigin href="assets/{}">'
_LETTERS = {"ko": ASSETS / "fonts" / "contextscope" / "contextscope-hangul.woff2"}  # besides those of head.html
_UNUSED = re.compile(r"<link\s[^>]*SourceSans[^>]*>")  # Streamlit asks early for a typeface that our theme replaces


class DocumentHead:
    """Put assets/style/head.html and the style sheets into HTML documents; everything else passes through untouched."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        preloads = "\n".join(f'<link rel="preload" as="style" href="{address(sheet)}">' for sheet in sheets())
        links = "\n".join(f'<link rel="stylesheet" href="{address(sheet)}">' for sheet in sheets())
        self.head = (
            HEAD.read_text(encoding="utf-8")
            .strip()
            .replace("PAGE_NAMES", "|".join(site.KEYS[1:]))
            .replace("FONTS_ADDRESS", address(FONTS))
            .replace("MENU_ADDRESS", address(MENU))
            .replace("SHEET_PRELOADS", preloads)
        )
        self.style = f"{links}\n<style>{style.rules()}</style>"

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
            body = self.finished(b"".join(parts).decode(), page=page_of(scope["path"]), lang=language_of(scope))
            headers = MutableHeaders(raw=start["headers"])
            headers["content-length"] = str(len(body))
            headers.add_vary_header("Accept-Language")
            del headers["etag"], headers["last-modified"]  # those of the file we changed
            await send(start)
            await send({"type": "http.response.body", "body": body})

        await self.app({**scope, "headers": plain}, receive, collect)

    def finished(self, document: str, *, page: str, lang: str) -> bytes:
        """Write a document for one page in one language."""
        head = self.head.replace("PAGE_TITLE", escape(title(page, lang)))
        document = _UNUSED.sub("", document.replace(_TITLE, head, 1))
        document = document.replace(_ROOT, f'<html lang="{lang}" data-page="{page}">', 1)
        early = [f'<link rel="modulepreload" crossorigin href="./{script}">' for script in preload.scripts(page)]
        if font := _LETTERS.get(lang):
            early.append(_FONT.format(font.relative_to(ASSETS).as_posix()))
        document = document.replace(_END, "\n".join((*early, _END)), 1)
        return document.replace(_BODY, f"{_BODY}\n{self.style}\n{_SHOWN}", 1).encode()


def sheets() -> list[Path]:
    """List the style sheets of the app, first that of the whole, then those of single components by name."""
    return sorted((path for path in FOLDER.glob("*.css") if path != FONTS), key=lambda path: (path != FIRST, path.name))


def address(file: Path) -> str:
    """Return the address of a file of assets, relative to any page; it changes with the content."""
    return f"assets/{file.relative_to(ASSETS).as_posix()}?v={serving.version(file)}"


def title(page: str, lang: str) -> str:
    """Return what a window, a tab and an entry of the history are called: Mamba · Contextscope."""
    name = i18n.say(lang, "frame.title")
    return name if page == site.HOME else f"{i18n.say(lang, f'nav.{page}')} · {name}"


def page_of(path: str) -> str:
    """Return the key of the page at a path, whatever base path stands before it."""
    last = path.rstrip("/").rpartition("/")[2]
    return last if last in site.KEYS[1:] else site.HOME


def language_of(scope: Scope) -> str:
    """Return the language that the address asks for, else the first one that the browser understands, else English."""
    asked = language.understood(QueryParams(scope.get("query_string", b"")).get("lang", ""))
    heard = Headers(scope=scope).get("accept-language", "").split(",")[0].partition(";")[0]
    return asked or language.understood(heard) or language.LANGS[0]


def _is_document(start: Message) -> bool:
    return Headers(raw=start["headers"]).get("content-type", "").startswith("text/html")
