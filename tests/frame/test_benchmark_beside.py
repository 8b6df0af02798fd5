"""A run beside another: how it is chosen, its place in addresses, and what is said of their cells.

Values differ everywhere, so that a sentence with its neighbour's number says so; expected sentences are filled here.
"""

from typing import Any

import pytest
from benchmark_records import Put, Say, Stored, row, run_of, stage_of, stored_on, summary
from stage import Stage, bare, words_of

from models.bench.judge.comparison import CellPair, Comparison, Refusal
from models.records.run import fingerprint
from pages.compare.benchmark import address, beside, runs
from pages.shared.layout import moment_text
from pages.shared.words import language


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Draw the parts of the page without Streamlit."""
    return stage_of(monkeypatch)


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> Put:
    """Give a function that puts a store in the place of the machine's."""
    return stored_on(monkeypatch)


def test_another_run_is_chosen_to_compare_with_and_never_the_run_itself(say: Say, stage: Stage) -> None:
    listed, run = (summary("a"), summary("r"), summary("s")), run_of(row())
    runs._choose_beside(listed, run)
    chooser = stage.keyed("benchmark.beside")
    assert chooser.args == (say("benchmark.beside.choose"), ["a", "s"])
    assert chooser.options["placeholder"] == say("benchmark.beside.placeholder")
    assert chooser.options["format_func"]("s") == runs._name(listed[2])
    assert stage.session_state["benchmark.beside"] is None
    stage.query_params = {"run": "r", "lang": "ko"}
    for chosen, query in (("s", {"run": "r", "lang": "ko", "beside": "s"}), (None, {"run": "r", "lang": "ko"}),
                          (None, {"run": "r", "lang": "ko"})):  # fmt: skip
        stage.session_state["benchmark.beside"] = chosen
        chooser.options["on_change"]()
        assert stage.query_params == query
    for named, shown in (("s", "s"), ("r", None), ("gone", None)):
        stage.query_params = {"beside": named}
        runs._choose_beside(listed, run)
        assert stage.session_state["benchmark.beside"] == shown
    stage.clear()
    runs._choose_beside((summary("r"),), run)
    runs._choose_beside(listed, None)
    assert stage.calls == [], "there is none to compare with"


def test_the_run_beside_is_that_of_the_address_and_an_unknown_one_is_said(say: Say, stage: Stage, stored) -> None:
    this, other = run_of(row()), run_of(row("rwkv"), run_id="s")
    stored(Stored(this, other, run_of(row(), run_id="f", imported=True)))
    for query, found in (({}, None), ({"beside": "r"}, None), ({"beside": "s"}, other)):
        stage.query_params = query
        assert runs.other(this) is found and stage.calls == []
    stage.query_params = {"beside": "gone"}
    assert runs.other(this) is None
    assert stage.said("info") == [say("benchmark.beside.gone")]
    assert runs._opened() == set()
    stage.query_params = {"beside": "f"}
    assert runs.other(this).run_id == "f"
    runs.chosen_run()
    assert runs._opened() == {"f"}, "who follows a link to a file finds it in the list"


def test_the_run_beside_is_drawn_as_far_as_the_run_on_screen(say: Say, stage: Stage, stored, monkeypatch) -> None:
    monkeypatch.setattr(runs, "DRAWN_CELLS", 2)
    other = run_of(row("mamba", 64), row("rwkv", 64), row("jamba", 64), run_id="s")
    stored(Stored(other))
    stage.query_params = {"beside": "s"}
    assert runs.other(run_of(row())).rows == other.rows[:2]


def test_two_runs_are_compared_under_the_name_of_the_other(say: Say, stage: Stage, monkeypatch) -> None:
    this, other = run_of(row()), run_of(row("rwkv"), run_id="s", title="**bold** [x](y)", created_ns=7 * 10**18)
    drawn: list[Any] = []
    monkeypatch.setattr(beside, "compare", lambda a, b: (a, b))
    monkeypatch.setattr(beside, "_draw", drawn.append)
    beside.beside(this, None)
    assert stage.calls == [] and drawn == []
    beside.beside(this, other)
    assert drawn == [(this, other)]
    assert stage.said("header") == [say("benchmark.beside.title")]
    (caption,) = stage.said("caption")
    name = f"{moment_text(7 * 10**18)} · **bold** [x](y)"
    assert bare(caption) == say("benchmark.beside.dashed", name=name)
    assert "**bold" not in caption and "[x](" not in caption, "nothing of a name is interpreted"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"run": "a", "rows": "0", "beside": "b", "lang": "ko"}, {"run": "b", "lang": "ko"}),
        ({"run": "a", "beside": "c"}, {"run": "b", "beside": "c"}),
        ({"beside": "c"}, {"run": "b", "beside": "c"}),
        ({}, {"run": "b"}),
    ],
)
def test_a_run_that_comes_on_screen_is_not_beside_itself(stage: Stage, before, after) -> None:
    stage.query_params = before
    address.show("b")
    assert stage.query_params == after
    address.forget()
    assert stage.query_params == {name: value for name, value in after.items() if name in ("lang", "beside")}


def test_the_link_of_a_run_has_the_one_beside_it(stage: Stage, stored) -> None:
    run = run_of(row(), recorded=True)
    stored(Stored(run))
    stage.session_state["contextscope.page"] = "benchmark"
    stage.query_params = {"run": "r", "beside": "s"}
    runs.bar(run)
    lang = language.current()
    link, plan = stage.said("code")
    assert link == f"/benchmark?lang={lang}&run=r&rows={fingerprint(run)}&beside=s"
    assert "beside" not in plan


def test_what_could_not_be_joined_is_counted_and_told_once_for_each_reason(say: Say, stage: Stage) -> None:
    values = [{"mine": f"m{n}", "theirs": f"t{n}"} for n in range(5)]
    refused = [Refusal(row(), False, "device", values[n]) for n in (0, 0, 1, 2, 3, 4)]
    refused.insert(1, Refusal(row(), True, "architecture", {}))
    beside._draw(Comparison((), tuple(refused)))
    assert stage.said("text") == [say("benchmark.beside.nothing")]
    (caption,) = stage.said("caption")
    told = [say("store.refused.device", **values[0]), say("store.refused.architecture")]
    told += [say("store.refused.device", **values[n]) for n in (1, 2)]
    assert [bare(line) for line in caption.split("\n")] == [
        say("benchmark.beside.refused", count=7), "", *(f"- {line}" for line in told),
    ]  # fmt: skip


def test_what_all_cells_differ_in_is_said_once_above_this_run_first(say: Say, stage: Stage) -> None:
    def pair(name: str, **changed: tuple[Any, Any]) -> CellPair:
        return CellPair(row(name), row(name), {}, changed)

    memory = (2**30, 3 * 2**30)
    shared = {"threads": (2, 4), "memory_bytes": memory, "torch": ("", "2.13"), "graph": ("no GPU", "captured")}
    pairs = (pair("mamba", **shared, seed=(1, 2)), pair("rwkv", **shared, seed=(1, 3)))
    beside._draw(Comparison(pairs, ()))
    listed = (f"{say('benchmark.differs.threads')} 2 / 4 · {say('benchmark.differs.memory_bytes')} 1 GiB / 3 GiB · "
              f"torch – / 2.13 · {say('benchmark.differs.graph')} {say('benchmark.graph.no_gpu')} / "
              f"{say('benchmark.graph.captured')}")  # fmt: skip
    assert stage.said("text") == [say("benchmark.beside.changed", list=listed)]
    (drawn,) = stage.said("html")
    for other in (2, 3):
        assert say("benchmark.beside.changed", list=f"{say('benchmark.differs.seed')} 1 / {other}") in words_of(drawn)
    for name in ("cell", "prefill", "decode", "memory"):
        assert f'<th scope="col">{say(f"benchmark.beside.{name}")}</th>' in drawn
    assert stage.said("caption") == [say("benchmark.beside.note", margin="5")]
    assert beside._value("scan", "x" * 90) == "x" * 79 + "…"
    assert beside._value("scan", "x" * 80) == "x" * 80


def test_what_differs_but_is_written_alike_is_not_listed(say: Say, stage: Stage) -> None:
    """23.5 GiB and 100 bytes more are both 23.5 GiB; 23.5 and 24.5 are not."""
    memory = 47 * 2**29

    def drawn(*changed: dict[str, tuple[Any, Any]]) -> list[str]:
        stage.clear()
        beside._draw(Comparison(tuple(CellPair(row(), row(), {}, one) for one in changed), ()))
        return [*stage.said("text"), words_of(stage.said("html")[0])]

    alike, other = {"memory_bytes": (memory, memory + 100)}, {"memory_bytes": (memory, memory + 2**30)}
    told = say("benchmark.beside.changed", list=f"{say('benchmark.differs.memory_bytes')} 23.5 GiB / 24.5 GiB")
    (table,) = drawn(alike)
    assert say("benchmark.differs.memory_bytes") not in table
    assert drawn(other)[0] == told, "what all share"
    (table,) = drawn(alike, {})
    assert say("benchmark.differs.memory_bytes") not in table
    (table,) = drawn(other, {})
    assert told in table, "of one cell alone"
