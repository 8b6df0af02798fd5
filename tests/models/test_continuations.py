"""The line of continuations: who is served when, who frees the thread, and what a page may ask at any time."""

import threading
from collections.abc import Callable, Iterator

import pytest

from models import registry
from models.errors import SettingError, SourceError
from models.generation import live
from models.generation.live import Continuation, Continuations
from models.generation.stream import Settings, Step

SOON = 60.0  # seconds; ends a test that hangs


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Pen:
    """Stands for the models: writes when it may, and says what it wrote."""

    def __init__(self) -> None:
        self.may, self.begun = threading.Semaphore(0), threading.Event()
        self.order: list[tuple[str, int]] = []

    def __call__(self, model: str, prompt: str, settings: Settings) -> Iterator[Step]:
        for index in range(settings.tokens):
            self.begun.set()
            assert self.may.acquire(timeout=SOON)
            self.order.append((model, index))
            yield Step(index, index, "w", f"{model}{index} ", 0.5, 1.0, 1, 3 + index, 64)

    def let(self, count: int) -> None:
        for _ in range(count):
            self.may.release()


Line = tuple[Continuations, Pen, Clock]


@pytest.fixture
def line() -> Iterator[Line]:
    pen, clock = Pen(), Clock()
    yield Continuations(patience_s=5, clock=clock, write=pen), pen, clock
    pen.let(10_000)


def start(runs: Continuations, *names: str, tokens: int = 2) -> Continuation:
    return runs.start({name: name for name in names}, "a text", Settings(tokens=tokens))  # type: ignore[dict-item]


def test_models_write_in_turns_and_the_text_grows(line: Line) -> None:
    runs, pen, _ = line
    run = start(runs, "a", "b", tokens=3)
    pen.let(6)
    assert run.wait(SOON)
    assert pen.order == [(name, index) for index in range(3) for name in ("a", "b")]
    assert run.text("a") == "a0 a1 a2 "
    assert [step.cache_bytes for step in run.steps["b"]] == [64] * 3
    assert set(run.paces) == {"a", "b"} and run.paces["a"].tokens == 3
    assert not run.running and not run.waiting and run.errors == {}


def test_who_waits_for_the_first_tokens_waits_for_those_of_every_model(line: Line) -> None:
    runs, pen, _ = line
    run = start(runs, "a", "b", tokens=3)
    pen.let(1)
    assert not run.wait_first(0.05)
    pen.let(1)
    assert run.wait_first(SOON)
    assert [len(run.steps[name]) for name in run.names] == [1, 1]
    assert run.running


def test_nobody_waits_for_the_first_token_of_a_model_that_fails_or_of_a_stopped_text() -> None:
    def failing(model: str, *_: object) -> Iterator[Step]:
        if model == "b":
            raise SourceError("errors.logits", "no numbers")
        yield from (Step(index, index, "w", "w", 0.5, 1.0, 1, 3 + index, 64) for index in range(2))

    for names in (("a", "b"), ("b",)):
        run = start(Continuations(write=failing), *names)  # type: ignore[arg-type]
        assert run.wait_first(SOON)
    held = Pen()
    runs = Continuations(write=held)
    first, second = start(runs, "a"), start(runs, "a")
    second.cancel()
    first.cancel()
    held.let(1)
    assert second.wait_first(SOON)


def test_a_place_in_line_is_told_and_moves_up(line: Line) -> None:
    runs, pen, _ = line
    first, second, third = (start(runs, name) for name in "abc")
    assert pen.begun.wait(SOON)
    assert [runs.ahead(run) for run in (first, second, third)] == [0, 1, 2]
    assert (first.waiting, second.waiting) == (False, True)
    pen.let(2)
    assert first.wait(SOON)
    pen.begun.clear()
    pen.let(1)
    while second.waiting:
        pen.begun.wait(0.01)
    assert runs.ahead(third) == 1
    pen.let(3)
    assert third.wait(SOON)
    assert runs.ahead(third) == 0


def test_a_stop_keeps_what_is_written(line: Line) -> None:
    runs, pen, _ = line
    run = start(runs, "a", tokens=9)
    pen.let(2)
    while len(run.steps["a"]) < 2:
        pen.begun.wait(0.01)
    run.cancel()
    pen.let(1)
    assert run.wait(SOON)
    assert run.stopped and 2 <= len(run.steps["a"]) <= 3


def test_who_leaves_frees_the_thread_for_the_next(line: Line) -> None:
    runs, pen, clock = line
    gone, here = start(runs, "a", tokens=9), start(runs, "b")
    assert pen.begun.wait(SOON)
    clock.now = 6
    here.asked()
    pen.let(1)
    assert gone.wait(SOON)
    assert len(gone.steps["a"]) <= 1
    pen.let(2)
    assert here.wait(SOON)
    assert here.text("b") == "b0 b1 "


def test_who_leaves_the_line_is_not_counted_and_never_served(line: Line) -> None:
    runs, pen, clock = line
    now, gone, here = start(runs, "a", tokens=1), start(runs, "b"), start(runs, "c")
    assert pen.begun.wait(SOON)
    clock.now = 6
    now.asked()
    here.asked()
    assert runs.ahead(here) == 1
    pen.let(3)
    assert here.wait(SOON) and gone.wait(SOON)
    assert gone.steps["b"] == [] and gone.paces == {}


def test_asking_keeps_a_run_alive(line: Line) -> None:
    runs, pen, clock = line
    run = start(runs, "a", tokens=3)
    for _ in range(3):
        clock.now += 4
        run.asked()
        pen.let(1)
    assert run.wait(SOON)
    assert len(run.steps["a"]) == 3


def test_a_model_that_fails_leaves_the_others_alone() -> None:
    def write(model: str, prompt: str, settings: Settings) -> Iterator[Step]:
        yield Step(0, 0, "w", "w", 0.5, 1.0, 1, 3, 64)
        if model == "bad":
            raise SourceError("errors.cannot_run", "it breaks", source="bad", detail="")
        if model == "worse":
            raise RuntimeError
        yield Step(1, 0, "w", "w", 0.5, 1.0, 1, 4, 64)

    runs = Continuations(write=write)  # type: ignore[arg-type]
    run = start(runs, "bad", "worse", "good")
    assert run.wait(SOON)
    assert {name: type(error) for name, error in run.errors.items()} == {"bad": SourceError, "worse": RuntimeError}
    assert {name: len(steps) for name, steps in run.steps.items()} == {"bad": 1, "worse": 1, "good": 2}


def test_a_full_line_says_so(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    runs, pen, _ = line
    monkeypatch.setattr(live, "MOST_WAITING", 2)
    start(runs, "a")
    assert pen.begun.wait(SOON)
    start(runs, "b")
    start(runs, "c")
    with pytest.raises(SettingError) as caught:
        start(runs, "d")
    assert caught.value.key == "errors.line_full"


def test_models_are_let_go_of_when_it_is_over(line: Line) -> None:
    runs, pen, _ = line
    run = start(runs, "a")
    pen.let(2)
    assert run.wait(SOON)
    assert run._models == {}


def test_the_thread_ends_with_the_line_and_a_new_one_begins(line: Line) -> None:
    runs, pen, _ = line
    pen.let(100)
    for _ in range(20):
        assert start(runs, "a").wait(SOON)


@pytest.mark.slow
@pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")
def test_four_models_write_what_each_writes_alone(checkpoint_of: Callable) -> None:
    from models.generation.stream import continue_text

    models, settings = {name: checkpoint_of(name) for name in registry.bundled()}, Settings(tokens=5)
    run = Continuations(patience_s=SOON).start(models, "Once upon a time", settings)
    assert run.wait(SOON)
    alone = {name: list(continue_text(model, "Once upon a time", settings)) for name, model in models.items()}
    assert run.steps == alone and run.errors == {}
