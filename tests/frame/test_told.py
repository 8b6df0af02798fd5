"""What the browser leaves for the next run: the chosen token, heard once, and the figures in sight."""

import pytest

from pages.shared import parts
from pages.shared.state import session

READING = "0123456789abcdef"


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Give the session_state of a visitor who reads a text."""
    kept: dict[str, object] = {"contextscope.prompt": "a text"}
    monkeypatch.setattr(session.st, "session_state", kept)
    session.current().reads(READING)
    return kept


def told(state: dict[str, object], text: object) -> tuple[int | None, tuple[int, int] | None]:
    state[session.TOLD] = text
    visit = session.current()
    visit.hear()
    return visit.selected, visit.span


def test_a_told_token_is_heard_with_its_characters(state: dict[str, object]) -> None:
    assert told(state, f"{READING}:3:5-9") == (3, (5, 9))
    assert told(state, f"{READING}:4") == (4, None)
    assert told(state, f"{READING}:") == (None, None)


@pytest.mark.parametrize(
    "text", [None, 3, "", "x", "fedcba9876543210:3:5-9", f"{READING}:-1", f"{READING}:3:5", f"{READING}:3:5-9;", ["a"]]
)
def test_what_is_no_token_of_the_shown_text_is_not_heard(state: dict[str, object], text: object) -> None:
    session.current().pick(1, (0, 2))
    assert told(state, text) == (1, (0, 2))


def test_what_was_told_before_another_choice_counts_no_longer(state: dict[str, object]) -> None:
    state[session.TOLD] = f"{READING}:3"
    session.current().selected = 7  # a button of the page, whose callback runs before the page
    session.current().hear()
    assert session.current().selected == 7
    assert told(state, f"{READING}:5") == (5, None)


def test_a_token_of_the_text_before_is_not_heard(state: dict[str, object]) -> None:
    state[session.TOLD] = f"{READING}:3"
    session.current().prompt = "another text"
    session.current().hear()
    assert session.current().selected is None


@pytest.mark.parametrize(
    ("sight", "now", "late"),
    [
        (None, ["bar", "p.near", "p.far"], []),  # a browser that has told nothing
        ("part-p-near", ["bar", "p.near"], ["part-p-far"]),
        ("part-p-near part-p-far", ["bar", "p.near", "p.far"], []),
    ],
)
def test_a_choice_redraws_what_follows_it_and_is_in_sight(
    monkeypatch: pytest.MonkeyPatch, state: dict[str, object], sight: str | None, now: list[str], late: list[str]
) -> None:
    shown: list[list[str]] = []
    monkeypatch.setattr(parts.st, "rerun", shown.append)
    follows = {"bar": {"layer"}, "p.near": {"layer"}, "p.far": {"layer"}, "p.still": {"head"}}
    known = parts._Shown({key: frozenset(on) for key, on in follows.items()})
    known.names = {"p.near": "part-p-near", "p.far": "part-p-far", "p.still": "part-p-still"}
    state["contextscope.parts"] = known
    state[parts.SIGHT] = sight
    parts.redraw("layer")
    assert shown == [now] and parts.late() == late
    parts.come_near(["part-p-far", "part-p-still", "nothing"])
    assert shown[1:] == [["p.far"]] * len(late)


def test_a_choice_that_nothing_follows_redraws_the_page(
    monkeypatch: pytest.MonkeyPatch, state: dict[str, object]
) -> None:
    monkeypatch.setattr(parts.st, "rerun", lambda _: pytest.fail("no part follows it"))
    parts.redraw("question")
