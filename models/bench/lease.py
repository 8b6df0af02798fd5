"""Let one program of this machine at a time measure on a device: a lock on a file, given back when the program ends."""

import contextlib
import os
import tempfile
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows: programs there do not see each other
    fcntl = None  # type: ignore[assignment]


class Lease:
    """The right to measure on one device. path None: nobody else is asked."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: IO[Any] | None = None

    @classmethod
    def of(cls, device: str) -> "Lease":
        """Return the lease of a device, shared by all programs and users of this machine."""
        return cls(Path(tempfile.gettempdir()) / f"contextscope-{device.replace(':', '')}.lock")

    def taken(self) -> bool:
        """Take it if it is free; True when it is ours. A place where no lock can be kept counts as free."""
        if self._path is None or fcntl is None or self._file is not None:
            return True
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError:
            return True
        file = os.fdopen(descriptor, "r+")
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
        """Let the next one have it."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_UN)
            file.close()
