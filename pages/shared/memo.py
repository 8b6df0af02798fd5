"""A small LRU cache whose entries are valid for the objects they were computed from; a rerun reuses them."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from operator import is_
from typing import Generic, TypeVar

T = TypeVar("T")


class Memo(Generic[T]):
    """A cache of the most recently used values, each under a small key and valid for the objects it was made from.

    The objects (a run, the rates of the machine) are compared by identity and need not be hashable: whoever reads them
    returns the same object while nothing changed. Safe to use from any thread; what two threads ask for at once may be
    made twice.
    """

    def __init__(self, most: int = 32) -> None:
        self.most = most
        self._held: OrderedDict[Hashable, tuple[tuple[object, ...], T]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, made_from: tuple[object, ...], make: Callable[[], T]) -> T:
        """Return the value of a key if it was made from these very objects, else make it. Errors are not kept."""
        with self._lock:
            known = self._held.get(key)
            if known is not None and len(known[0]) == len(made_from) and all(map(is_, known[0], made_from)):
                self._held.move_to_end(key)
                return known[1]
        made = make()
        with self._lock:
            self._held[key] = (made_from, made)
            self._held.move_to_end(key)
            while len(self._held) > self.most:
                self._held.popitem(last=False)
        return made

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._held.clear()

    def __len__(self) -> int:
        with self._lock:
            return len(self._held)
