"""Name writable folders for the caches of libraries, also on a read-only disk or without a home."""

import contextlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from models.machine.paths import ROOT

NUMBA = "NUMBA_CACHE_DIR"
INDUCTOR = "TORCHINDUCTOR_CACHE_DIR"
_BESIDE = ROOT / "kernels" / "seqops" / "cpu"  # where numba writes by itself
_MEMORY = Path("/dev/shm")  # noqa: S108  # a file system in memory, on Linux


def choose() -> None:
    """Choose folders for temporary files and for the machine code of numba, for this process and its workers.

    Call it before numba and torch are imported. What can be written stays as it is. Numba loads what it finds without a
    check, so a folder that others may write is never taken. Where nothing can be written at all, the code is not kept
    (seqops.cpu.compiled), and torch gets a name that it does not use here.
    """
    if not _has_temporary():
        found = _first(_own_folders(), "tmp")
        if found is None:
            os.environ.setdefault(INDUCTOR, os.sep)  # it makes the folder as it is imported, unless it is there
        else:
            os.environ["TMPDIR"], tempfile.tempdir = found, None  # it looks again
    named = os.environ.get(NUMBA, "")
    if (named and _made(Path(named))) or _may_write(_BESIDE / "__pycache__"):
        return
    found = _first((*_own_folders(), *_temporary()), "numba")
    if found is not None:
        os.environ[NUMBA] = found
        if "numba" in sys.modules:  # it has read its settings already
            sys.modules["numba"].config.CACHE_DIR = found


def _first(folders: Iterator[Path] | tuple[Path, ...], name: str) -> str | None:
    """Make a folder of a name in the first place that allows it."""
    return next((str(one) for folder in folders if _made(one := folder / name) and _is_ours(one)), None)


def _own_folders() -> Iterator[Path]:
    """Yield folders of this user, and one in memory."""
    if os.environ.get("CONTEXTSCOPE_DATA"):
        yield Path(os.environ["CONTEXTSCOPE_DATA"]).expanduser()
    if os.environ.get("XDG_CACHE_HOME"):
        yield Path(os.environ["XDG_CACHE_HOME"]) / "contextscope"
    with contextlib.suppress(RuntimeError):  # a user without a home
        yield Path.home() / ".cache" / "contextscope"
    if _MEMORY.is_dir():
        yield _MEMORY / f"contextscope-{_user()}"


def _temporary() -> Iterator[Path]:
    if not _has_temporary():
        return
    yield Path(tempfile.gettempdir()) / f"contextscope-{_user()}"
    yield Path(tempfile.mkdtemp(prefix="contextscope-"))  # that name is somebody else's


def _has_temporary() -> bool:
    try:
        tempfile.gettempdir()
    except OSError:
        return False
    return True


def _made(folder: Path) -> bool:
    """Make a folder unless it is there; False where it cannot be made or written."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def _may_write(folder: Path) -> bool:
    """Return whether a folder can be written, or made where it is missing; a read-only disk counts for root as well."""
    return os.access(folder if folder.is_dir() else folder.parent, os.W_OK)


def _is_ours(folder: Path) -> bool:
    """Return whether a folder and the one above it are this user's own, so that nobody else can put a file there."""
    return os.name == "nt" or all(_owned(one) for one in (folder, folder.parent))


def _owned(folder: Path) -> bool:
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == _user() and not found.st_mode & 0o022


def _user() -> int:
    return os.geteuid() if hasattr(os, "geteuid") else 0
