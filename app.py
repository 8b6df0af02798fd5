"""Launch the app: warm what every visitor needs, then serve the frame script, /api/ready and /assets."""

import gc
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio.to_thread
import streamlit as st
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount, Route

from pages.shared import first_screen, journal, scripts, token_count
from pages.shared.document import DocumentHead
from pages.shared.icons import FewIcons
from pages.shared.readiness import Readiness
from pages.shared.serving import Assets, Compressed

ROOT = Path(__file__).resolve().parent
SERVED = (
    "style",
    "fonts",
    "scripts",
)  # folders of assets that a browser asks for; the others are read by the app alone

_log = logging.getLogger("contextscope")


def warm(readiness: Readiness) -> None:
    """Import the heavy libraries, load the bundled models and run each once; note which of them work."""
    from models import registry
    from pages.learn.encoder_decoder import running as toy
    from pages.shared import cache
    from pages.shared.words import content, i18n  # imported to be warm

    cache.serve()
    readiness.wanted = [adapter.bundled for adapter in registry.ADAPTERS]
    running: list[str] = []
    for name in cache.bundled():
        try:
            cache.rehearse(name)
            for lang in i18n.LANGS:
                cache.trace_for(name, content.first_example(lang)).derive()
            running.append(name)
        except Exception:  # noqa: BLE001  # a model that cannot be warmed is shown as a notice on its page
            _log.exception("%s could not be warmed", name)
    try:
        toy.warm()
    except Exception:  # noqa: BLE001  # its page says what is wrong
        _log.exception("the encoder-decoder could not be warmed")
    readiness.running, readiness.warm = running, True
    first_screen.serve()


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[dict[str, Any]]:
    """Warm up before the first visitor, then keep the warm objects out of every later garbage collection."""
    journal.open_journal()
    await anyio.to_thread.run_sync(warm, readiness)
    gc.collect()
    gc.freeze()
    yield {"models": readiness.running}


def routes(base: str) -> list[BaseRoute]:
    """Return our own routes: at the root, and as Streamlit's are under the base path that the server has."""
    assets: list[BaseRoute] = [Mount(f"/{name}", Assets(directory=ROOT / "assets" / name)) for name in SERVED]
    assets.append(Mount("/script", routes=scripts.routes()))
    places = dict.fromkeys(("", f"/{base.strip('/')}".rstrip("/")))
    return [
        route
        for place in places
        for route in (
            Route(f"{place}/api/ready", readiness.answer),
            Route(f"{place}/api/drawn", first_screen.answer, methods=["POST"]),
            Route(f"{place}/api/tokens", token_count.answer, methods=["POST"]),
            Mount(f"{place}/assets", routes=assets),
        )
    ]


def on_script_error(error: Exception) -> bool:
    """Tell the visitor calmly about an error outside a page; the log has the rest."""
    from pages.shared import notices

    return notices.calm(error)


readiness = Readiness()
app = st.App(
    ROOT / "pages" / "frame" / "main.py",
    lifespan=lifespan,
    middleware=[Middleware(Compressed), Middleware(FewIcons), Middleware(DocumentHead)],
    routes=routes(str(st.get_option("server.baseUrlPath") or "")),
    on_script_error=on_script_error,
)

if __name__ == "__main__":
    app.run()
