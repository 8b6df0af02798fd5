"""A figure is drawn once for the same function, trace and options, and again when any of them is another."""

import dataclasses
import gc
import weakref
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from models.records.trace import ModelTrace, NamedArray
from pages.shared.drawn import Figures
from viz.canvas import CanvasSpec
from viz.canvas.payload import decode
from viz.figure import Figure
from viz.look.theme import LIGHT

BYTES = 4 * 100


def trace() -> ModelTrace:
    """Build a trace of nothing."""
    empty = NamedArray(np.zeros(1, np.float32), ("token",))
    return ModelTrace("m", "mamba", "p", (), empty, empty, (), 0, 0, {}, "cpu", "float32", 0.0)


def picture() -> Figure:
    """Build a figure with an array of 400 bytes."""
    return Figure(
        "f", CanvasSpec("f", "", LIGHT, "#000000"), {"a": NamedArray(np.zeros(100, np.float32), ("token",))}, ""
    )


def first() -> Figure:
    """Stand for a figure function of a module."""
    return picture()


def second() -> Figure:
    """Stand for another one."""
    return picture()


@pytest.fixture
def figures() -> Figures:
    """A cache for two figures and a half."""
    return Figures(5 * BYTES // 2)


@pytest.fixture
def drawn(figures: Figures, monkeypatch: pytest.MonkeyPatch) -> Callable[..., bool]:
    """Give a function that asks for a figure and says whether it was drawn for that."""
    import sys
    from types import ModuleType

    module = ModuleType("planted")
    module.first, module.second = first, second  # type: ignore[attr-defined]
    for function in (first, second):
        monkeypatch.setattr(function, "__module__", "planted")
    monkeypatch.setitem(sys.modules, "planted", module)
    last: list[Figure] = []

    def ask(draw: Callable[..., Figure], shown: object, key: object = "k") -> bool:
        made: list[int] = []
        last.append(figures.get(draw, shown, key, lambda: made.append(1) or picture()))
        return bool(made)

    return ask


def test_the_same_is_drawn_once(drawn: Callable[..., bool]) -> None:
    one, other = trace(), trace()
    assert [drawn(first, one), drawn(first, one)] == [True, False]
    assert drawn(first, other), "another run of the same text is another trace"
    assert drawn(second, other), "another function"
    assert drawn(second, other, ("k", "layer", 1)), "another option"
    assert not drawn(second, other, ("k", "layer", 1))


def test_several_traces_are_compared_one_by_one(drawn: Callable[..., bool]) -> None:
    one, other = trace(), trace()
    assert [drawn(first, [one, other]), drawn(first, (one, other))] == [True, False]
    assert drawn(first, [other, one])
    assert drawn(first, [one])


@pytest.mark.parametrize("draw", [lambda: picture(), partial(first)], ids=["a closure", "a partial"])  # noqa: PLW0108
def test_what_may_hold_something_else_next_time_is_drawn_again(
    figures: Figures, drawn: Callable[..., bool], draw: Callable[..., Figure]
) -> None:
    one = trace()
    assert [drawn(draw, one), drawn(draw, one)] == [True, True]
    assert [drawn(first, {"a": 1}), drawn(first, {"a": 1})] == [True, True]
    assert [drawn(first, []), drawn(first, [])] == [True, True]
    assert [drawn(first, one, ("k", [1])), drawn(first, one, ("k", [1]))] == [True, True]
    assert figures.held_bytes == 0


def test_figures_are_bounded_by_bytes_and_the_least_recently_used_goes(
    figures: Figures, drawn: Callable[..., bool]
) -> None:
    one = trace()
    assert [drawn(first, one, key) for key in "aba"] == [True, True, False]
    assert figures.held_bytes == 2 * BYTES
    drawn(first, one, "c")
    assert figures.held_bytes == 2 * BYTES
    assert [drawn(first, one, key) for key in "ab"] == [False, True]


@pytest.mark.slow
def test_a_trace_is_not_kept_alive(drawn: Callable[..., bool]) -> None:
    one = trace()
    drawn(first, one)
    gone = weakref.ref(one)
    del one
    gc.collect()
    assert gone() is None
    assert drawn(first, trace())


def test_a_payload_is_encoded_once_and_anew_for_a_changed_picture() -> None:
    spec = CanvasSpec("f", "", LIGHT, "#000000", note="one")
    assert spec.payload() is spec.payload()
    changed = dataclasses.replace(spec, note="two")
    assert changed.payload() != spec.payload()
    assert decode(changed.payload())[0]["note"] == "two"
    assert dataclasses.replace(spec) == spec
