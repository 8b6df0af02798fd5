"""Where the project and its data lie on this machine."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ASSETS = ROOT / "assets"


def data_folder() -> Path:
    """Return where runs are kept: CONTEXTSCOPE_DATA, or the platform's folder for a user's data."""
    chosen = os.environ.get("CONTEXTSCOPE_DATA")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "contextscope"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "contextscope"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "contextscope"
