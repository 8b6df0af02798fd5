"""Count what a page computes when it runs again with nothing changed: calls of our own functions, no seconds."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest
from opening import unopened
from streamlit.testing.v1 import AppTest

from models import registry
from models.machine import facts
from pages.compare.benchmark import grid, planning
from pages.shared.memo import Memo

ROOT = Path(__file__).resolve().parents[2]
OURS = tuple(f"{ROOT / layer}/" for layer in ("pages", "viz", "models", "kernels"))
# About a fifth more than what is called today; the issue asks for 3,000 on the benchmark page, which had 162,852.
LIMITS = {
    "overview": 2600,
    "transformer": 4000,
    "mamba": 3450,
    "rwkv": 3850,
    "jamba": 3200,
    "recall": 3600,
    "side-by-side": 3000,
    "benchmark": 2500,
}

pytestmark = pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")


@contextmanager
def counting() -> Iterator[Counter[str]]:
    """Count the calls of our functions in the threads that start inside the block; a generator's step is a call."""
    found: Counter[str] = Counter()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(OURS):
            found[f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_qualname}"] += 1

    threading.setprofile(note)
    try:
        yield found
    finally:
        threading.setprofile(None)


def plan_open(**query: str) -> AppTest:
    """Open the page with the settings and the table of its plan unfolded."""
    at = unopened("benchmark")
    at.context = {"locale": "en-US"}
    at.session_state["benchmark.settings"] = True
    for name, value in query.items():
        at.query_params[name] = value
    return at.run()


@pytest.mark.slow
@pytest.mark.parametrize("page", LIMITS)
def test_a_page_without_changes_computes_little(
    page: str, open_page: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "free_memory", lambda: 8 * 2**30)  # that of the machine changes meanwhile
    at = open_page(page)
    with counting() as found:
        at.run()
    assert not at.exception
    assert 200 < found.total() < LIMITS[page], found.most_common(12)


@pytest.mark.slow
def test_the_plan_is_made_again_when_a_choice_changes_and_not_when_memory_does(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    plan = planning.make_plan
    monkeypatch.setattr(planning, "make_plan", lambda *args, **options: made.append(options) or plan(*args, **options))
    monkeypatch.setattr(facts, "free_memory", lambda: 8 * 2**30)
    at = plan_open()
    seen = len(made)  # the plan, and those of more time where some of it was left out
    at.run()
    assert len(made) == seen >= 1
    at.number_input(key="benchmark.rounds").set_value(4).run()
    assert {options["rounds"] for options in made[seen:]} == {4}
    seen = len(made)
    monkeypatch.setattr(facts, "free_memory", lambda: 4 * 2**30)
    at.run()
    assert len(made) == seen
    at.button(key="benchmark.plan_again").click().run()
    assert len(made) > seen and made[seen]["rounds"] == 4


@pytest.mark.slow
def test_a_plan_shown_in_another_language_is_written_again() -> None:
    grid._kept.clear()
    tables = [
        next(element.proto.body for element in plan_open(lang=lang).get("html")
             if "cs-plan" in element.proto.body)
        for lang in ("en", "ko")
    ]  # fmt: skip
    assert tables[0] != tables[1]


def test_a_memo_gives_what_it_holds_only_for_the_objects_it_was_made_from() -> None:
    memo: Memo[int] = Memo()
    run, same = [1], [1]
    made = []

    def make() -> int:
        made.append(1)
        return len(made)

    assert [memo.get("k", (run,), make) for _ in range(3)] == [1, 1, 1]
    assert memo.get("k", (same,), make) == 2, "equal is not the same"
    assert memo.get("other", (same,), make) == 3
    assert memo.get("k", (same, same), make) == 4
    assert memo.get("k", (same, same), make) == 4


def test_a_memo_is_bounded_and_forgets_the_least_recently_used() -> None:
    memo: Memo[str] = Memo(2)
    for key in "abab":
        memo.get(key, (), lambda key=key: key)
    memo.get("a", (), lambda: "again")
    memo.get("c", (), lambda: "c")
    assert len(memo) == 2
    assert memo.get("a", (), lambda: "made anew") == "a"
    assert memo.get("b", (), lambda: "made anew") == "made anew"


def test_a_memo_keeps_no_error() -> None:
    memo: Memo[int] = Memo()
    with pytest.raises(ZeroDivisionError):
        memo.get("k", (), lambda: 1 // 0)
    assert memo.get("k", (), lambda: 7) == 7
