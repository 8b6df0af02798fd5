"""Icons: the typeface that Streamlit draws them from, cut down to those that it and our pages name."""

from starlette.responses import FileResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from models.machine.paths import ASSETS
from pages.shared.preload import STATIC

FOLDER = ASSETS / "fonts" / "material-symbols"
FONT = FOLDER / "material-symbols-rounded.woff2"
FOR_AN_HOUR = "public, max-age=3600"  # the address names the content of Streamlit's file, not of ours
NAMES = FOLDER / "icons.txt"  # of the icons that the typeface has, one per line


class FewIcons:
    """Middleware: answer with our typeface where Streamlit has its own, which is thirty times as large.

    Streamlit lets no route of an app stand below /static. Where its version has no such file, nothing is answered here.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        whole = (STATIC / "static" / "media").glob("MaterialSymbols-Rounded.*.woff2")
        self.ends = tuple(f"/static/media/{one.name}" for one in whole)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        asked = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        if asked and self.ends and scope["path"].endswith(self.ends):
            answer = FileResponse(FONT, media_type="font/woff2", headers={"cache-control": FOR_AN_HOUR})
            await answer(scope, receive, send)
        else:
            await self.app(scope, receive, send)
