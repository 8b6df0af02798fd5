"""Choose how many threads a forward pass computes on, so that visitors and models do not wait for one another.

The operators of a small model take microseconds. On two threads they gain nothing on a quiet machine, and beside other
work each of them waits for a core at its barrier: with both cores busy a trace of 30 ms takes 1.3 s. The products of a
larger model are worth a barrier. The compiled loops of kernels/seqops/cpu go by the number of torch, and numba starts
no threads of its own. The benchmark does not go by this: its workers have the threads that their cell names.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

LARGE = 50_000_000  # parameters from which a model gets every thread; the bundled ones have 6 to 9 million

_lock = threading.Lock()
_asked: list[int] = []  # numbers of threads of the blocks that are under way
_usual = 0  # the number outside of them; 0 while there are none
_all = 0  # what torch had before `serve`; 0 where that was not called


def threads_for(parameters: int) -> int:
    """Return the number of threads for a model of so many parameters: 1 for a small one, else all that torch has."""
    return 1 if parameters < LARGE else _all or torch.get_num_threads()


@contextmanager
def limited(count: int) -> Iterator[None]:
    """Compute on so many threads inside the block; the least of what blocks in several threads ask for at once."""
    global _usual  # noqa: PLW0603  # torch has one number per process, and so has this
    with _lock:
        if not _asked:
            _usual = torch.get_num_threads()
        _asked.append(count)
        torch.set_num_threads(min(_asked))
    try:
        yield
    finally:
        with _lock:
            _asked.remove(count)
            torch.set_num_threads(min(_asked, default=_usual))


def serve() -> None:
    """Compute on one thread wherever nothing else is asked for, also what is derived later from a trace of a model."""
    global _all  # noqa: PLW0603
    _all = _all or torch.get_num_threads()
    torch.set_num_threads(1)
