"""The cache keeps the most recently used within its bytes, makes a thing once for all, and keeps no errors."""

import threading
from collections.abc import Callable

import pytest

from models.records.trace import Token
from pages.shared import cache
from pages.shared.lru_cache import LruCache
from pages.shared.state import session


def put(lru: LruCache[str], name: str, weight: int) -> str:
    return lru.get(name, name.upper, lambda _: weight)


@pytest.mark.slow
def test_the_least_recently_used_goes_first() -> None:
    lru: LruCache[str] = LruCache(10)
    assert [put(lru, name, 4) for name in "ab"] == ["A", "B"]
    put(lru, "a", 4)  # used again
    put(lru, "c", 4)
    assert lru.keys() == ["a", "c"] and lru.held_bytes == 8
    put(lru, "d", 2)
    assert lru.keys() == ["a", "c", "d"] and lru.held_bytes == 10


@pytest.mark.slow
def test_a_look_up_counts_as_use() -> None:
    lru: LruCache[str] = LruCache(10)
    for name in "ab":
        put(lru, name, 4)
    assert lru.held("a") == "A" and lru.held("c") is None
    put(lru, "c", 4)
    assert lru.keys() == ["a", "c"]


@pytest.mark.slow
def test_one_that_is_larger_than_the_budget_is_kept_alone() -> None:
    lru: LruCache[str] = LruCache(10)
    put(lru, "a", 4)
    put(lru, "large", 25)
    assert lru.keys() == ["large"]
    put(lru, "b", 1)
    assert lru.keys() == ["b"]


@pytest.mark.slow
def test_room_is_made_before_it_is_needed() -> None:
    lru: LruCache[str] = LruCache(10)
    for name in "abc":
        put(lru, name, 3)
    lru.make_room(5)
    assert lru.keys() == ["c"]


def test_what_is_asked_for_twice_at_once_is_made_once() -> None:
    lru: LruCache[int] = LruCache(10)
    made, go, found = [], threading.Event(), []

    def make() -> int:
        made.append(1)
        assert go.wait(10)
        return 7

    threads = [threading.Thread(target=lambda: found.append(lru.get("k", make, lambda _: 1))) for _ in range(4)]
    for thread in threads:
        thread.start()
    go.set()
    for thread in threads:
        thread.join(10)
    assert found == [7] * 4 and len(made) == 1


def test_an_error_is_not_kept() -> None:
    lru: LruCache[str] = LruCache(10)

    def fail() -> str:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        lru.get("a", fail, len)
    assert put(lru, "a", 1) == "A"


def test_the_budget_is_a_share_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    from models.machine import facts

    monkeypatch.setattr(facts, "total_memory", lambda: 32 * 2**30)
    assert cache.budget_bytes() == 8 * 2**30
    monkeypatch.setattr(facts, "total_memory", lambda: None)
    assert cache.budget_bytes() == cache.LEAST_BYTES


@pytest.fixture
def visit(monkeypatch: pytest.MonkeyPatch) -> Callable[..., session.Session]:
    """Give a function that makes a visitor with a chosen token."""
    state: dict[str, object] = {}
    monkeypatch.setattr(session.st, "session_state", state)

    def made(index: int | None, span: tuple[int, int] | None = None) -> session.Session:
        visitor = session.Session()
        visitor.selected = index
        state["contextscope.span"] = span
        return visitor

    return made


WORDS = tuple(Token(i, i, "x", *span) for i, span in enumerate([(0, 4), (4, 9), (9, 10)]))
CUT = tuple(Token(i, i, "x", *span) for i, span in enumerate([(0, 0), (0, 2), (2, 6), (6, 9), (9, 10), (9, 10)]))


def test_a_chosen_token_is_found_again_in_other_tokens(visit: Callable[..., session.Session]) -> None:
    assert visit(1, (4, 9)).token_in(WORDS) == 1
    assert visit(1, (4, 9)).token_in(CUT) == 2  # the first that shares a character
    assert visit(5, (9, 10)).token_in(CUT) == 5  # a further piece of one character stays itself
    assert visit(5, (9, 10)).token_in(WORDS) == 2
    assert visit(0, (0, 0)).token_in(CUT) == 0 and visit(0, (0, 0)).token_in(WORDS) is None
    assert visit(2).token_in(WORDS) == 2 and visit(2).token_in(CUT) == 2  # from an address: by number
    assert visit(7).token_in(WORDS) is None and visit(None, (4, 9)).token_in(WORDS) is None


def test_a_token_is_chosen_with_its_characters_and_let_go(visit: Callable[..., session.Session]) -> None:
    visitor = visit(None)
    visitor.pick(1, (4, 9))
    assert (visitor.selected, visitor.span) == (1, (4, 9))
    visitor.pick(1, (4, 6))  # the same number in other tokens is another piece of text
    assert (visitor.selected, visitor.span) == (1, (4, 6))
    visitor.pick(None)
    assert (visitor.selected, visitor.span) == (None, None)


def test_a_new_text_lets_go_of_the_chosen_token(visit: Callable[..., session.Session]) -> None:
    visitor = visit(1, (4, 9))
    visitor.prompt = "a text"
    assert (visitor.selected, visitor.span) == (None, None)
    visitor.pick(1, (2, 6))
    visitor.prompt = "a text"  # the same again
    assert (visitor.selected, visitor.span) == (1, (2, 6))
    visitor.prompt = "another text"
    assert (visitor.selected, visitor.span) == (None, None)
