"""Compile a loop with numba and keep the machine code on the disk, where a folder for it can be written."""

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return njit(cache=True, **options), or njit(**options) where numba finds no folder for its cache.

    Without one numba raises at once, also for functions never called; without a cache every process compiles anew.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            kept: Callable[..., Any] = njit(cache=True, **options)(function)
        except RuntimeError:  # "cannot cache function: no locator available"
            kept = njit(**options)(function)
        return kept

    return decorate
