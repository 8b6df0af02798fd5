"""Gradient rows as a page asks for them: the chosen one at once, the others by themselves, nothing for nobody."""

import time
from collections.abc import Callable
from contextlib import contextmanager

import numpy as np
import pytest

from models.influence import live
from models.influence.gradient import gradient
from models.influence.live import Filling, GradientRows
from models.records.trace import ModelTrace
from models.tracing.adapter import Checkpoint

Loader = Callable[[str], Checkpoint]
Tracer = Callable[[str, str], ModelTrace]
NAME, TEXT = "seeded-rwkv", "The wolf met a wolf, and the wolf said to the King"


@pytest.fixture
def rows(checkpoint_of: Loader, trace_of: Tracer) -> GradientRows:
    return GradientRows(checkpoint_of(NAME), trace_of(NAME, TEXT))


def until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_asked_row_comes_at_once_and_is_that_of_the_gradient(rows, checkpoint_of, trace_of) -> None:
    found = rows.get(5)
    assert found.known == (5,) and not found.whole and not rows.filled
    known = gradient(checkpoint_of(NAME), trace_of(NAME, TEXT), [5]).values.values[5]
    assert np.allclose(found.values.values[5], known, rtol=1e-4, atol=1e-9)
    assert rows.get(5) is found, "the same record as long as there is no more to tell"
    assert rows.get(2).known == (2, 5)


def test_the_others_come_by_themselves(rows, checkpoint_of, trace_of) -> None:
    rows.get(5)
    filling = Filling()
    for _ in range(3):
        filling.add(rows)
    until(lambda: rows.filled)
    whole = rows.get(5)
    assert whole.whole and rows.get(0) is whole
    known = gradient(checkpoint_of(NAME), trace_of(NAME, TEXT)).values.values
    assert np.allclose(whole.values.values, known, rtol=1e-4, atol=1e-9)


def test_a_closed_one_ends_and_takes_nothing_more(rows) -> None:
    filling = Filling()
    filling.add(rows)
    filling.close()
    assert filling._thread is None
    known = rows.get(0).known
    filling.add(rows)
    assert filling._thread is None and rows.get(0).known == known


def test_nothing_is_computed_for_nobody(rows, monkeypatch) -> None:
    monkeypatch.setattr(live, "PATIENCE_S", 0.0)
    filling = Filling()
    filling.add(rows)
    until(lambda: filling._thread is None)
    assert not rows.filled


def test_of_a_long_text_only_what_is_asked_for(rows, monkeypatch) -> None:
    monkeypatch.setattr(live, "GRADIENT_TOKENS", 4)
    filling = Filling()
    filling.add(rows)
    assert rows.filled and filling._thread is None
    assert rows.get(1).known == (1,)


def test_a_text_that_fails_leaves_the_others(rows, checkpoint_of, trace_of) -> None:
    @contextmanager
    def broken():
        raise RuntimeError("no")
        yield

    bad = GradientRows(checkpoint_of(NAME), trace_of(NAME, TEXT), around=broken)
    filling = Filling()
    filling.add(bad)
    filling.add(rows)
    until(lambda: rows.filled)
    assert not bad.filled
