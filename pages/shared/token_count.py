"""The answer of /api/tokens: how many tokens a text has for the models that read it, while it is typed."""

import json
from typing import Any

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse

from models.errors import ContextscopeError
from models.limits import BOX_CHARACTERS
from pages.shared import cache

MOST_BYTES = 6 * BOX_CHARACTERS + 4096  # of a question: a character takes up to six bytes in JSON
MOST_MODELS = 8
MOST_WAITING = 16  # questions; more are refused
_WAITING = anyio.CapacityLimiter(1)  # apart from the threads that serve files


async def answer(request: Request) -> JSONResponse:
    """Answer {"text": ..., "models": [...]} with {"tokens": ..., "limit": ...} of the model that reads least of it.

    Models are named as in addresses; only those whose tokenizer is held are asked, and 404 says that none is. One
    question is answered at a time, and 503 says that too many wait. Nothing is stored. A page of another site cannot
    ask, because browsers send JSON there only with leave (415 for other types).
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return _refused(415)
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BYTES:
            return _refused(413)
    text, models = _read(body)
    if text is None:
        return _refused(400)
    if _WAITING.statistics().tasks_waiting > MOST_WAITING:
        return _refused(503)
    found = await anyio.to_thread.run_sync(_counted, text, models, limiter=_WAITING)
    return _refused(404) if found is None else JSONResponse({"tokens": found[0], "limit": found[1]})


def _read(body: bytes) -> tuple[str | None, list[str]]:
    """Read a question; None where it is not one."""
    try:
        asked: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None, []
    if not isinstance(asked, dict) or not isinstance(asked.get("text"), str):
        return None, []
    models = asked.get("models")
    if not isinstance(models, list) or not all(isinstance(name, str) for name in models):
        return None, []
    return asked["text"][:BOX_CHARACTERS], models[:MOST_MODELS]


def _counted(text: str, models: list[str]) -> tuple[int, int] | None:
    try:
        fits = [fit for name in dict.fromkeys(models) if (fit := cache.fitted_here(name, text)) is not None]
    except ContextscopeError:  # a tokenizer that fails: the page says so when the text is read
        return None
    least = min(fits, key=lambda fit: len(fit.text), default=None)
    return None if least is None else (least.tokens, least.limit)


def _refused(status: int) -> JSONResponse:
    return JSONResponse({}, status_code=status)
