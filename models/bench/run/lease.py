"""A file lock that lets one process of this machine measure on a device; it is released when the process ends."""

import contextlib
import errno
import os
import re
import stat
import tempfile
from pathlib import Path
from typing import IO, Any

from models.machine import gpus

try:
    import fcntl
except ImportError:  # Windows: programs there do not see each other
    fcntl = None  # type: ignore[assignment]


class Lease:
    """The right to measure on one device. path None: no lock file is used."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: IO[Any] | None = None

    @classmethod
    def of(cls, device: str) -> "Lease":
        """Return the lease of a device (under any of its names), shared by all processes and users of this machine."""
        gpu = gpus.of(device)
        name = re.sub(r"[^\w.-]", "", device if gpu is None else gpu.uuid)
        try:
            return cls(Path(tempfile.gettempdir()) / f"contextscope-{name}.lock")
        except OSError:  # no such folder: no place where a lock can be kept
            return cls(None)

    def elsewhere(self) -> bool:
        """Return whether another process holds the lease now; this call does not take it."""
        held = self._file is not None
        free = self.taken()
        if free and not held:
            self.give_back()
        return not free

    def taken(self) -> bool:
        """Take it if it is free; True when it is ours. A place where no lock can be kept counts as free."""
        if self._path is None or fcntl is None or self._file is not None:
            return True
        try:
            file = _opened(self._path)
        except OSError:
            return True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        except OSError:
            file.close()
            return True
        self._file = file
        return True

    def give_back(self) -> None:
        """Release the lease."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_UN)
            file.close()


def _opened(path: Path) -> IO[Any]:
    """Open a lock file to read, which is enough for flock and allowed on another user's; make it where it is missing.

    O_CREAT only with O_EXCL: fs.protected_regular refuses the one without the other on another user's file in /tmp.
    OSError for anything but a file: a pipe that somebody put there would be waited for without end.
    """
    with contextlib.suppress(FileNotFoundError):
        return _opened_there(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError:  # made by another program just now
        return _opened_there(path)
    with contextlib.suppress(OSError):
        os.fchmod(descriptor, 0o644)  # whatever the umask
    return os.fdopen(descriptor, "rb")


def _opened_there(path: Path) -> IO[Any]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "no file", str(path))
    return os.fdopen(descriptor, "rb")
