"""The gate around page scripts: order, replacement, release, every way to end. Threads meet at events, not times."""

import ast
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from models.errors import SourceError
from pages.shared import cache, gate
from pages.shared.gate import Gate, GaveWayError
from pages.shared.lru_cache import LruCache

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 60  # after which a test has failed; nothing is measured


class Visitor:
    """A script run in a thread: it enters, notes so, waits until it may go on, and leaves."""

    def __init__(self, here: Gate, name: str, log: list[str], *, visitor: object = None) -> None:
        self.here, self.name, self.log, self.visitor = here, name, log, visitor or name
        self.inside, self.may_leave = threading.Event(), threading.Event()
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def start(self, *, waits: bool = False) -> "Visitor":
        """Start, and return when the run is inside, or stands in the line."""
        before = self.here.counts()[1]
        self.thread.start()
        if waits:
            until(lambda: self.here.counts()[1] == before + 1)
        else:
            assert self.inside.wait(LIMIT_S)
        return self

    def leave(self) -> None:
        self.may_leave.set()
        self.thread.join(LIMIT_S)
        assert not self.thread.is_alive()

    def _run(self) -> None:
        try:
            with self.here.entered(self.visitor):
                self.log.append(self.name)
                self.inside.set()
                assert self.may_leave.wait(LIMIT_S)
        except BaseException as error:  # noqa: BLE001
            self.error = error


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that other threads bring about."""
    step = threading.Event()
    for _ in range(LIMIT_S * 100):
        if condition():
            return
        step.wait(0.01)
    raise AssertionError("nothing happened")


@pytest.fixture
def here() -> Iterator[Gate]:
    """A gate of one place that is empty in the end."""
    made = Gate(overdue_s=LIMIT_S)
    yield made
    assert made.counts() == (0, 0)
    assert made._newest == {}


def test_runs_come_in_the_order_in_which_they_came(here: Gate) -> None:
    log: list[str] = []
    first = Visitor(here, "a", log).start()
    others = [Visitor(here, name, log).start(waits=True) for name in "bcde"]
    assert here.counts() == (1, 4)
    for one in (first, *others):
        one.leave()
    assert log == list("abcde")


@pytest.mark.parametrize("places", [1, 2])
def test_never_more_compute_than_there_are_places(places: int) -> None:
    here, log = Gate(places, overdue_s=LIMIT_S), []
    runs = [Visitor(here, str(n), log).start(waits=n >= places) for n in range(5)]
    for number, one in enumerate(runs):
        until(lambda at=number: len(log) == min(at + places, 5))
        assert here.counts()[0] <= places
        one.leave()
    assert here.counts() == (0, 0)


def test_the_newest_wish_of_a_visitor_replaces_the_one_that_waits(here: Gate) -> None:
    log: list[str] = []
    first = Visitor(here, "a", log).start()
    old = Visitor(here, "old", log, visitor="v").start(waits=True)
    other = Visitor(here, "other", log).start(waits=True)
    new = Visitor(here, "new", log, visitor="v")
    new.thread.start()
    old.thread.join(LIMIT_S)
    assert isinstance(old.error, GaveWayError)
    until(lambda: here.counts() == (1, 2))
    for one in (first, other, new):
        one.leave()
    assert log == ["a", "other", "new"], "the newer one stands behind those who came before it"
    assert new.error is None


def test_a_run_that_computes_is_left_alone_by_a_newer_one(here: Gate) -> None:
    log: list[str] = []
    old = Visitor(here, "old", log, visitor="v").start()
    new = Visitor(here, "new", log, visitor="v").start(waits=True)
    old.leave()
    new.leave()
    assert (old.error, new.error, log) == (None, None, ["old", "new"])


def test_others_compute_while_one_waits_for_something_and_it_comes_back_first(here: Gate) -> None:
    log: list[str] = []
    done, outside = threading.Event(), threading.Event()

    def slow() -> None:
        with here.entered("slow"):
            log.append("slow in")
            with here.released():
                outside.set()
                assert done.wait(LIMIT_S)
            log.append("slow back")

    thread = threading.Thread(target=slow, daemon=True)
    thread.start()
    assert outside.wait(LIMIT_S)
    second = Visitor(here, "second", log).start()
    third = Visitor(here, "third", log).start(waits=True)
    done.set()
    until(lambda: here.counts() == (1, 2))
    second.leave()
    thread.join(LIMIT_S)
    third.leave()
    assert log == ["slow in", "second", "slow back", "third"], "it kept its number"


def test_a_run_that_comes_back_gives_way_to_a_newer_one_of_its_visitor(here: Gate) -> None:
    log: list[str] = []
    done, outside = threading.Event(), threading.Event()
    errors: list[BaseException] = []

    def slow() -> None:
        try:
            with here.entered("v"):
                with here.released():
                    outside.set()
                    assert done.wait(LIMIT_S)
                log.append("never")
        except GaveWayError as error:
            errors.append(error)

    thread = threading.Thread(target=slow, daemon=True)
    thread.start()
    assert outside.wait(LIMIT_S)
    new = Visitor(here, "new", log, visitor="v").start()
    done.set()
    thread.join(LIMIT_S)
    assert len(errors) == 1
    new.leave()
    assert log == ["new"]


class Ended(BaseException):
    """Stands for Streamlit's exceptions that end a script, which are no Exceptions either."""


@pytest.mark.parametrize("error", [ValueError, Ended, KeyboardInterrupt])
@pytest.mark.parametrize("out", [False, True])
def test_a_run_that_fails_leaves_its_place(here: Gate, error: type[BaseException], out: bool) -> None:
    with pytest.raises(error), here.entered("a"), here.released() if out else nullcontext():
        raise error
    with here.entered("b"):
        assert here.counts() == (1, 0)


def test_an_error_outside_comes_back_inside(here: Gate) -> None:
    with here.entered("a"):
        with pytest.raises(ValueError), here.released():
            raise ValueError
        assert here.counts() == (1, 0)


def test_a_run_enters_once_however_deep(here: Gate) -> None:
    with here.entered("a"), here.entered("a"), here.entered("b"):
        assert here.counts() == (1, 0)
        with here.released(), here.released():
            assert here.counts() == (0, 0)
        assert here.counts() == (1, 0)
    with here.released():
        assert here.counts() == (0, 0), "a thread without a place has none to give up"


def test_a_run_that_never_ends_keeps_nobody_out_for_ever() -> None:
    here = Gate(overdue_s=0.05)
    log: list[str] = []
    stuck = Visitor(here, "stuck", log).start()
    second = Visitor(here, "second", log).start()
    assert log == ["stuck", "second"]
    second.leave()
    stuck.leave()
    assert here.counts() == (0, 0)


def test_many_visitors_at_once_all_get_their_turn_alone(here: Gate) -> None:
    inside, most = [0], [0]
    lock = threading.Lock()

    def visit(number: int) -> None:
        for _ in range(5):
            with here.entered(number):
                for _ in range(2):
                    with lock:
                        inside[0] += 1
                        most[0] = max(most[0], inside[0])
                    with lock:
                        inside[0] -= 1
                    with here.released():
                        pass

    threads = [threading.Thread(target=visit, args=(number,), daemon=True) for number in range(20)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(LIMIT_S)
    assert not any(one.is_alive() for one in threads)
    assert most == [1]


def test_a_wait_for_a_model_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    here, lru = Gate(overdue_s=LIMIT_S), LruCache(100)
    monkeypatch.setattr(gate, "_gate", here)
    seen: list[tuple[int, int]] = []

    def make() -> str:
        seen.append(here.counts())
        return "made"

    with here.entered("a"):
        for _ in range(2):
            assert cache._waited(lru, "k", make, len) == "made"
            assert here.counts() == (1, 0)
    assert seen == [(0, 0)], "made once, outside; what is held is read inside"


def test_two_visitors_of_a_model_that_is_loading_do_not_lock_each_other_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one who makes it must come back inside while the other waits for it."""
    here, lru = Gate(overdue_s=LIMIT_S), LruCache(100)
    monkeypatch.setattr(gate, "_gate", here)
    making, may_end, got = threading.Event(), threading.Event(), []

    def make() -> str:
        making.set()
        assert may_end.wait(LIMIT_S)
        return "made"

    def visit(number: int) -> None:
        with here.entered(number):
            got.append(cache._waited(lru, "k", make, len))

    threads = [threading.Thread(target=visit, args=(number,), daemon=True) for number in range(3)]
    for one in threads:
        one.start()
    assert making.wait(LIMIT_S)
    until(lambda: here.counts() == (0, 0))
    may_end.set()
    for one in threads:
        one.join(LIMIT_S)
    assert got == ["made"] * 3


def test_an_error_of_a_model_reaches_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Gate()
    monkeypatch.setattr(gate, "_gate", here)

    def broken() -> str:
        raise SourceError("errors.no_model", "it is not here")

    with here.entered("a"), pytest.raises(SourceError):
        cache._waited(LruCache(100), "k", broken, len)
    assert here.counts() == (0, 0)


@pytest.mark.parametrize("end", ["run", "stop", "rerun", "error"])
def test_a_script_leaves_the_gate_however_it_ends(monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    monkeypatch.setattr(gate, "_gate", Gate())

    def page(end: str) -> None:
        import streamlit as st

        from pages.shared import gate

        with gate.entered():
            st.text(str(gate._gate.counts()))
            if end == "stop":
                st.stop()
            if end == "rerun" and not st.session_state.get("again"):
                st.session_state["again"] = True
                st.rerun()
            if end == "error":
                raise ValueError(end)

    at = AppTest.from_function(page, args=(end,), default_timeout=LIMIT_S).run()
    assert at.text[0].value == "(1, 0)"
    assert len(at.exception) == (end == "error")
    assert gate._gate.counts() == (0, 0)


def test_a_script_that_is_not_wanted_any_more_ends_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    class Replaced(Gate):
        def _wait(self, turn: object) -> None:
            raise GaveWayError("newer")

    monkeypatch.setattr(gate, "_gate", Replaced())

    def page() -> None:
        import streamlit as st

        from pages.shared import gate

        with gate.entered():
            st.text("drawn")

    at = AppTest.from_function(page, default_timeout=LIMIT_S).run()
    assert not at.exception
    assert not at.text
    assert gate._gate.counts() == (0, 0)


def test_a_page_computes_behind_the_gate(monkeypatch: pytest.MonkeyPatch, open_page: Callable[..., AppTest]) -> None:
    here, seen = Gate(), []
    monkeypatch.setattr(gate, "_gate", here)
    released = here.released
    monkeypatch.setattr(here, "released", lambda: seen.append(here.counts()) or released())
    at = open_page("benchmark")
    assert not at.exception
    assert seen[0] == (1, 0)
    assert set(seen) <= {(1, 0), (0, 0)}, "what is made for what is made is outside already"
    assert here.counts() == (0, 0)


def test_every_fragment_waits_for_its_turn() -> None:
    """A fragment runs without the frame, so its body enters by itself."""
    bare = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted((ROOT / "pages").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "fragment"
        and not _gates(path, node.lineno)
    ]  # fmt: skip
    assert bare == []


def _gates(path: Path, line: int) -> bool:
    return "fragment(gate.gated(" in path.read_text(encoding="utf-8").splitlines()[line - 1]
