"""End a long command on SIGINT, SIGTERM or SIGHUP and keep its results so far."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

ASKED_BY = ("SIGINT", "SIGTERM", "SIGHUP")


class EndedError(BaseException):
    """The command was asked to end, by a signal of this number; no `except Exception` takes that for a failure."""

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by signal {number}")
        self.number = number


@contextmanager
def listening() -> Iterator[None]:
    """Turn ctrl-C, the end of the session and a request to end into EndedError; outside the main thread nothing."""

    def end(number: int, _frame: object) -> None:
        raise EndedError(number)

    main = threading.current_thread() is threading.main_thread()  # the only one that may take signals
    numbers = [getattr(signal, name) for name in ASKED_BY if main and hasattr(signal, name)]
    before = [(number, signal.signal(number, end)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
