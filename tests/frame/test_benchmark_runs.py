"""Words and choices of the list of runs, of files, of what was deleted, and of a run beside another.

Values differ everywhere, so that a sentence with its neighbour's number says so; expected sentences are filled here.
"""

from types import SimpleNamespace

import pytest
from benchmark_records import Put, Say, Stored, progress, row, run_of, stage_of, stored_on, summary
from stage import Stage, bare

from models.errors import SourceError
from models.records.run import fingerprint
from pages.compare.benchmark import runs
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


def test_the_run_of_the_address_is_shown_else_the_newest_with_a_word(say: Say, stage: Stage, stored) -> None:
    one, newest = run_of(row()), run_of(row("rwkv"), run_id="s")
    stored(Stored(one, run_of(row(), run_id="f", imported=True), newest=newest))
    assert runs.chosen_run() is newest and stage.calls == []
    stage.query_params = {"run": "r", "rows": fingerprint(one)}
    assert runs.chosen_run() is one and stage.calls == []
    stage.query_params = {"run": "r", "rows": "0123456789abcdefTOO LONG"}
    assert runs.chosen_run() is one
    stage.query_params = {"run": "gone", "rows": "0123"}
    assert runs.chosen_run() is newest
    told = say("benchmark.other_rows", there="0123456789abcdef", here=fingerprint(one))
    assert stage.said("info") == [told, say("benchmark.no_such_run")]
    assert runs._opened() == set()
    stage.query_params = {"run": "f"}
    runs.chosen_run()
    assert runs._opened() == {"f"}, "who opened a file finds it in the list"


def test_a_run_of_many_cells_is_drawn_as_far_as_a_page_can(say: Say, stage: Stage, monkeypatch) -> None:
    monkeypatch.setattr(runs, "DRAWN_CELLS", 2)
    found = [row("mamba", 64), row("rwkv", 64), row("jamba", 64), row("mamba", 64, rounds=9)]
    assert runs.drawn(run := run_of(found[0], found[1], found[3])) is run and stage.calls == []
    assert runs.drawn(run_of(*found)).rows == (found[0], found[1], found[3])
    assert stage.said("info") == [say("benchmark.many_cells", count="3", limit=2)]


@pytest.mark.parametrize(
    ("changes", "kind"),
    [({}, "own"), ({"imported": True}, "imported"), ({"recorded": True}, "recorded"),
     ({"recorded": True, "imported": True}, "recorded"), ({"title": ""}, "own")],
)  # fmt: skip
def test_a_run_of_the_list_has_its_title_its_time_and_what_was_measured(say: Say, changes, kind: str) -> None:
    title = changes.get("title", "title of a") or say("benchmark.untitled")
    values = {"title": title, "when": moment_text(4 * 10**18), "measured": 5, "total": 9}
    assert runs._name(summary("a", **changes)) == say(f"benchmark.listed.{kind}", **values)


def test_runs_of_the_same_minute_and_name_have_their_ids_so_that_each_can_be_chosen(say: Say) -> None:
    """Streamlit takes the last of the options that are written alike for all of them."""
    alike, other = (summary("a", title="x"), summary("b", title="x")), summary("c", title="y")
    names = runs._names((*alike, other))
    assert names == {"a": f"{runs._name(alike[0])} · a", "b": f"{runs._name(alike[1])} · b", "c": runs._name(other)}


def test_the_list_shows_the_run_on_screen_and_leads_to_another(say: Say, stage: Stage) -> None:
    listed = (summary("a"), summary("r"))
    runs._list(listed, run_of(row()))
    chooser = stage.keyed("benchmark.chosen")
    assert chooser.args == (say("benchmark.runs"), ["a", "r"])
    assert stage.session_state["benchmark.chosen"] == "r"
    assert chooser.options["format_func"]("a") == runs._name(listed[0])
    stage.query_params = {"run": "r", "rows": "0"}
    stage.session_state["benchmark.chosen"] = "a"
    chooser.options["on_change"]()
    assert stage.query_params == {"run": "a"}
    stage.clear()
    runs._list(listed, None)
    runs._list(listed, run_of(row(), run_id="unlisted"))
    assert stage.calls == []


def test_a_run_of_ones_own_is_renamed(say: Say, stage: Stage, stored) -> None:
    store, run = stored(Stored()), run_of(row(), title="before")
    runs._own(store, run)
    assert stage.session_state["benchmark.title.r"] == "before"
    assert stage.keyed("benchmark.title.r").args == (say("benchmark.name"),)
    stage.session_state["benchmark.title.r"] = "after"
    stage.keyed("benchmark.title.r").options["on_change"]()
    assert store.asked == [("rename", "r", "after"), ("noted rename", "r")]


def test_a_run_is_deleted_at_once_and_can_be_put_back(say: Say, stage: Stage, stored) -> None:
    run = run_of(row(), title="a <b>title</b>")
    store = stored(Stored(run))
    stage.query_params = {"run": "r", "rows": "0", "lang": "ko"}
    stage.pressed = {"benchmark.delete"}
    runs._own(store, run)
    assert stage.keyed("benchmark.delete").options["disabled"] is False
    assert store.asked == [("delete", "r"), ("noted delete", "r")] and stage.query_params == {"lang": "ko"}
    stage.clear()
    runs._told()
    assert stage.said("text") == [say("benchmark.deleted", title="a <b>title</b>")], "as text, which nothing interprets"
    assert stage.keyed("benchmark.undo").args == (say("benchmark.undo"),)
    runs._told()
    assert len(stage.said("text")) == 2, "it stays until something else is done with it"
    stage.pressed = {"benchmark.undo"}
    runs._told()
    assert store.asked[2:] == [("restore", "r"), ("noted restore", "r")]
    assert stage.query_params == {"run": "r", "lang": "ko"} and store.run("r") is run
    stage.clear()
    runs._told()
    assert stage.calls == [], "there is nothing to put back any more"


def test_the_run_that_was_deleted_last_is_the_one_that_is_put_back(say: Say, stage: Stage, stored) -> None:
    store = stored(Stored())
    stage.pressed = {"benchmark.delete"}
    for run in (run_of(row(), run_id="a", title="first"), run_of(row(), run_id="b")):
        runs._own(store, run)
    stage.clear()
    runs._told()
    assert stage.said("text") == [say("benchmark.deleted", title=say("benchmark.untitled"))]
    assert stage.keyed("benchmark.undo").options["args"][0].run_id == "b"


def test_a_run_that_is_measured_now_cannot_be_deleted(stage: Stage, stored) -> None:
    for state, off in (("running", True), ("queued", True), ("done", False)):
        store = stored(Stored(), progress(state=state))
        runs._own(store, run_of(row()))
        assert stage.keyed("benchmark.delete").options["disabled"] is off


def test_what_the_store_refuses_is_said_and_nothing_is_noted_or_forgotten(say: Say, stage: Stage, stored) -> None:
    store = stored(Stored())

    def refuse(run_id: str) -> None:
        raise SourceError("errors.source_not_found", run_id, source=run_id)

    store.delete = refuse  # type: ignore[method-assign]
    stage.query_params = {"run": "r"}
    stage.pressed = {"benchmark.delete"}
    runs._own(store, run_of(row()))
    runs._told()
    assert [bare(line) for line in stage.said("warning")] == [say("errors.source_not_found", source="r")]
    assert stage.query_params == {"run": "r"} and store.asked == [] and not stage.has("benchmark.undo")
    runs._told()
    assert len(stage.said("warning")) == 1, "told once"


def give(stage: Stage, name: str | None, data: bytes = b"1") -> None:
    stage.session_state["benchmark.file"] = name and SimpleNamespace(name=name, getvalue=lambda: data)
    runs._take_file()


def test_a_file_becomes_the_run_on_screen_and_one_that_was_here_says_so(say: Say, stage: Stage, stored) -> None:
    store = stored(Stored(listed=(summary("known"),)))
    for data, run_id, told in ((b"1", "new", "new_file"), (b"known", "known", "known_file")):
        stage.query_params = {"rows": "0"}
        give(stage, "a.csv", data)
        assert store.asked == [("import", "a.csv", data), ("noted import", run_id)]
        assert stage.query_params == {"run": run_id}
        runs._told()
        assert [bare(line) for line in stage.said("toast")] == [say(f"benchmark.{told}")]
        stage.clear()
        store.asked.clear()
    runs._told()
    assert stage.calls == [], "told once"


def test_what_is_wrong_with_a_file_stands_where_it_was_given_until_the_next_one(say: Say, stage: Stage, stored) -> None:
    store = stored(Stored())
    give(stage, "b.csv", b"bad")
    assert store.asked == [] and stage.query_params == {}
    said = say("errors.source_not_found", source="b.csv")
    for _ in range(2):
        stage.clear()
        runs._drop_zone()
        assert [call.kind for call in stage.calls] == ["container", "file_uploader", "warning"]
        assert [bare(line) for line in stage.said("warning")] == [said], "it stays"
    stage.clear()
    runs._told()
    assert stage.calls == [], "nowhere else"
    for name, data in (("c.csv", b"1"), (None, b"")):
        give(stage, "b.csv", b"bad")
        give(stage, name, data)
        stage.clear()
        runs._drop_zone()
        assert stage.said("warning") == []
    give(stage, "d.csv", b"bad")
    runs._drop_zone()
    assert [bare(line) for line in stage.said("warning")] == [say("errors.source_not_found", source="d.csv")]


@pytest.mark.parametrize("recorded", [True, False])
def test_the_bar_has_the_addresses_of_the_run_and_of_the_plan(say: Say, stage: Stage, stored, recorded: bool) -> None:
    stored(Stored())
    run = run_of(row(), recorded=recorded)
    stage.session_state["contextscope.page"] = "benchmark"
    runs.bar(run)
    lang = language.current()
    links = stage.said("code")
    assert links[0] == f"/benchmark?lang={lang}&run=r&rows={fingerprint(run)}"
    assert "run=" not in links[1]
    assert stage.said("caption") == [say("benchmark.permalink"), say("benchmark.permalink_plan")]
    assert stage.has("benchmark.delete") == (not recorded), "what comes with the project stays"
    exports = [(call.args[0], call.args[2]) for call in stage.found("download_button")]
    formats = ("jsonl", "csv", "parquet", "md", "html")
    assert sorted(exports) == sorted((say(f"benchmark.format.{one}"), f"r.{one}") for one in formats)
    stage.clear()
    runs.bar(None)
    assert len(stage.said("code")) == 1 and stage.found("download_button") == []
