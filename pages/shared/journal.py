"""Audit log: one JSON line per visitor action, with a hash of the session; no texts, no passwords."""

import hashlib
import json
import logging
import secrets
import sys
from datetime import UTC, datetime

from streamlit.runtime.scriptrunner import get_script_run_ctx

ACTIONS = (
    "start", "again", "pause", "resume", "cancel", "rename", "delete", "restore", "import", "download",
    "cancel_download", "recall_start", "recall_stop", "write_start", "write_stop",
)  # fmt: skip
_SECRET = secrets.token_bytes(32)  # so that a line does not give the session away

_log = logging.getLogger("contextscope.actions")


def open_journal() -> None:
    """Write the lines to standard error from here on; until then, and in tests, nothing is written."""
    if not _log.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(message)s"))
        _log.addHandler(handler)
        _log.setLevel(logging.INFO)
        _log.propagate = False


def note(action: str, *, run: str = "", model: str = "") -> None:
    """Write one line: the time, the session, one of ACTIONS, and which run or offered model. ValueError for another."""
    if action not in ACTIONS:
        raise ValueError(f"action {action!r}: expected one of {ACTIONS}")
    facts = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "session": session_hash(), "action": action}
    facts |= {name: value for name, value in (("run", run), ("model", model)) if value}
    _log.info(json.dumps(facts, ensure_ascii=True))


def session_hash() -> str:
    """Return a hash of the running script's session, constant until the server ends; "" without a session."""
    context = get_script_run_ctx(suppress_warning=True)
    if context is None:
        return ""
    return hashlib.blake2s(context.session_id.encode(), key=_SECRET, digest_size=6).hexdigest()
