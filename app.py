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
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from pages.shared.document import DocumentHead

ROOT = Path(__file__).resolve().parent

_log = logging.getLogger("contextscope")


def warm() -> list[str]:
    """Import the heavy libraries, load the bundled models and run each once; return the names of those that work."""
    from pages.shared import cache, content, controls, figure, i18n, layout, style  # noqa: F401  # imported to be warm

    cache.serve()
    ready: list[str] = []
    for name in cache.bundled():
        try:
            cache.rehearse(name)
            for lang in i18n.LANGS:
                cache.trace_for(name, content.first_example(lang)).derive()
            ready.append(name)
        except Exception:  # noqa: BLE001  # a model that cannot be warmed is shown as a notice on its page
            _log.exception("%s could not be warmed", name)
    return ready


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[dict[str, Any]]:
    """Warm up before the first visitor, then keep the warm objects out of every later garbage collection."""
    ready = await anyio.to_thread.run_sync(warm)
    gc.collect()
    gc.freeze()
    yield {"models": ready}


async def ready(_: Request) -> JSONResponse:
    """Say that the app is warm and which models it holds."""
    return JSONResponse({"ready": True, "models": app.state["models"]})


def on_script_error(error: Exception) -> bool:
    """Tell the visitor calmly about an error outside a page; the log has the rest."""
    from pages.shared import notices

    return notices.calm(error)


app = st.App(
    ROOT / "pages" / "frame" / "main.py",
    lifespan=lifespan,
    middleware=[Middleware(DocumentHead)],
    routes=[Route("/api/ready", ready), Mount("/assets", StaticFiles(directory=ROOT / "assets"))],
    on_script_error=on_script_error,
)

if __name__ == "__main__":
    app.run()
