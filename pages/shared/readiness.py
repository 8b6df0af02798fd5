"""Readiness of the server: every bundled model has run, and the store of runs answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse

STORE_LIMIT_S = 5.0  # a probe does not wait for a database that is locked or out of reach


@dataclass
class Readiness:
    """What the warm-up has found. wanted: the models that must run; running: those that did."""

    wanted: Sequence[str] = ()
    running: Sequence[str] = ()
    warm: bool = False

    async def answer(self, _: Request) -> JSONResponse:
        """Answer a probe: 200 when all is well, else 503, and what is missing; no path and no address."""
        missing = [name for name in self.wanted if name not in self.running]
        store = await _store_answers()
        ready = self.warm and bool(self.wanted) and not missing and store
        found: dict[str, Any] = {"ready": ready, "models": list(self.running), "missing": missing, "store": store}
        return JSONResponse(found, status_code=200 if ready else 503)


async def _store_answers() -> bool:
    with anyio.move_on_after(STORE_LIMIT_S):
        return await anyio.to_thread.run_sync(_ask_store, abandon_on_cancel=True)
    return False


def _ask_store() -> bool:
    from models.bench.run import runner

    return runner.shared().store.answers()
