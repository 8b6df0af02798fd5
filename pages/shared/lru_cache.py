"""An LRU cache bounded by bytes, shared by all sessions."""

import gc
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class LruCache(Generic[T]):
    """A cache bounded by bytes. Concurrent requests for the same key share one computation. Exceptions are not cached.

    budget_bytes: an entry larger than this is kept as the only one.
    """

    def __init__(self, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        self._held: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()
        self._making: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    @property
    def held_bytes(self) -> int:
        """Return the bytes of all entries."""
        with self._lock:
            return sum(weight for _, weight in self._held.values())

    def keys(self) -> list[Hashable]:
        """List what is held, the least recently used first."""
        with self._lock:
            return list(self._held)

    def held(self, key: Hashable) -> T | None:
        """Return what is held under a key; None where it would have to be made."""
        with self._lock:
            if key not in self._held:
                return None
            self._held.move_to_end(key)
            return self._held[key][0]

    def get(self, key: Hashable, make: Callable[[], T], weigh: Callable[[T], int]) -> T:
        """Return what is held under a key, or make it; what was used least recently goes when there is no more room."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key][0]
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                if key in self._held:
                    return self._held[key][0]
            try:
                made = make()
                weight = weigh(made)
                self.make_room(weight)
                with self._lock:
                    self._held[key] = (made, weight)
            finally:
                with self._lock:
                    self._making.pop(key, None)
            return made

    def make_room(self, count: int) -> None:
        """Evict least recently used entries until so many more bytes fit into the budget, or the cache is empty."""
        dropped = 0
        with self._lock:
            while self._held and sum(weight for _, weight in self._held.values()) + count > self.budget_bytes:
                self._held.popitem(last=False)
                dropped += 1
        if dropped:
            gc.collect()
