"""Words and choices of the list of runs, of verdicts, and of the whole page, from hand-made records.

Values differ everywhere, so that a sentence with its neighbour's number says so; expected sentences are filled here.
"""

import runpy
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from benchmark_records import Say, progress, row, run_of, stage_of, verdict
from stage import Stage, bare, words_of

from models.bench.judge.comparison import CellPair, Comparison, Refusal
from models.bench.judge.statistics import Verdict
from models.bench.judge.verdicts import Judged
from models.bench.run import runner
from models.bench.run.job import Progress
from models.bench.store.store import Summary
from models.errors import SourceError
from models.records.interval import Interval
from models.records.measurement import Measurement
from models.records.run import Run, fingerprint
from pages.compare.benchmark import (
    checks,
    comparison,
    guess,
    planning,
    provenance,
    results,
    rows,
    runs,
    verdicts,
)
from pages.shared import layout, site
from pages.shared.layout import moment_text
from pages.shared.words import language


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Draw the parts of the page without Streamlit."""
    return stage_of(monkeypatch)


# --- runs --------------------------------------------------------------------------------------------------------
class Stored:
    """A store of runs. known: by id; newest: what is shown without a choice."""

    def __init__(self, *known: Run, newest: Run | None = None, listed: tuple[Summary, ...] = ()) -> None:
        self.known, self.newest, self.listed = {run.run_id: run for run in known}, newest, listed
        self.asked: list[Any] = []

    def run(self, run_id: str) -> Run | None:
        return self.known.get(run_id)

    def latest(self) -> Run | None:
        return self.newest

    def summaries(self, *, imported: set[str]) -> tuple[Summary, ...]:
        self.asked.append(set(imported))
        return self.listed

    def rename(self, run_id: str, title: str) -> None:
        self.asked.append(("rename", run_id, title))

    def delete(self, run_id: str) -> None:
        self.asked.append(("delete", run_id))

    def import_file(self, name: str, data: bytes) -> str:
        if data == b"bad":
            raise SourceError("errors.source_not_found", name, source=name)
        self.asked.append(("import", name, data))
        return "new"


@pytest.fixture
def stored(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Callable[[Stored], Stored]:
    """Give a function that puts a store in the place of the machine's."""

    def put(store: Stored, now: Progress | None = None) -> Stored:
        monkeypatch.setattr(runner, "shared", lambda: SimpleNamespace(store=store, progress=lambda _: now))
        monkeypatch.setattr(runs.journal, "note", lambda action, *, run: store.asked.append((f"noted {action}", run)))
        return store

    return put


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


def summary(run_id: str, **changes: Any) -> Summary:
    known: dict[str, Any] = {
        "run_id": run_id, "title": f"title of {run_id}", "created_ns": 4 * 10**18, "environment": {}, "cells": 9,
        "rows": 8, "measured": 5, "ended": "done", "recorded": False, "imported": False,
    }  # fmt: skip
    return Summary(**(known | changes))


@pytest.mark.parametrize(
    ("changes", "kind"),
    [({}, "own"), ({"imported": True}, "imported"), ({"recorded": True}, "recorded"),
     ({"recorded": True, "imported": True}, "recorded"), ({"title": ""}, "own")],
)  # fmt: skip
def test_a_run_of_the_list_has_its_title_its_time_and_what_was_measured(say: Say, changes, kind: str) -> None:
    title = changes.get("title", "title of a") or say("benchmark.untitled")
    values = {"title": title, "when": moment_text(4 * 10**18), "measured": 5, "total": 9}
    assert runs._name(summary("a", **changes)) == say(f"benchmark.listed.{kind}", **values)


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


def test_a_run_of_ones_own_is_renamed_and_deleted_after_a_second_word(say: Say, stage: Stage, stored) -> None:
    store, run = stored(Stored()), run_of(row(), title="before")
    runs._own(store, run)
    assert stage.session_state["benchmark.title.r"] == "before"
    assert stage.keyed("benchmark.delete").options["disabled"] is True, "nobody said that it is meant"
    stage.session_state["benchmark.title.r"] = "after"
    stage.keyed("benchmark.title.r").options["on_change"]()
    stage.session_state["benchmark.sure.r"] = True
    stage.query_params = {"run": "r", "rows": "0", "lang": "ko"}
    stage.pressed = {"benchmark.delete"}
    runs._own(store, run)
    assert stage.keyed("benchmark.delete").options["disabled"] is False
    assert stage.query_params == {"lang": "ko"}
    assert store.asked == [
        ("rename", "r", "after"), ("noted rename", "r"), ("delete", "r"), ("noted delete", "r"),
    ]  # fmt: skip
    stage.pressed = set()
    stored(store, progress())
    runs._own(store, run)
    assert [stage.keyed(f"benchmark.{key}").options["disabled"] for key in ("sure.r", "delete")] == [True, True]


def test_a_file_becomes_the_run_on_screen_or_a_sentence(say: Say, stage: Stage, stored) -> None:
    store = stored(Stored())
    stage.query_params = {"rows": "0"}
    for file in (None, SimpleNamespace(name="a.csv", getvalue=lambda: b"1"),
                 SimpleNamespace(name="b.csv", getvalue=lambda: b"bad")):  # fmt: skip
        stage.session_state["benchmark.file"] = file
        runs._take_file()
    assert store.asked == [("import", "a.csv", b"1"), ("noted import", "new")]
    assert stage.query_params == {"run": "new"}
    runs.bar(None)
    said = say("errors.source_not_found", source="b.csv")
    assert [bare(line) for line in stage.said("warning")] == [said]
    runs.bar(None)
    assert len(stage.said("warning")) == 1, "told once"


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


def test_other_runs_are_set_beside_this_one_and_never_itself(say: Say, stage: Stage, stored, monkeypatch) -> None:
    this, other = run_of(row()), run_of(row("rwkv"), run_id="s")
    store = stored(Stored(this, other, listed=(summary("r"), summary("s"))))
    drawn: list[Any] = []
    monkeypatch.setattr(runs, "compare", lambda a, b: (a, b))
    monkeypatch.setattr(runs, "_draw", drawn.append)
    stage.session_state["benchmark.beside"] = None
    runs._beside(this)
    assert stage.keyed("benchmark.beside").args == (say("benchmark.beside.choose"), ["s"]) and not drawn
    stage.session_state["benchmark.beside"] = "s"
    runs._beside(this)
    assert drawn == [(this, other)]
    store.listed = (summary("r"),)
    runs._beside(this)
    assert stage.said("caption") == [say("benchmark.beside.none")]


def test_what_could_not_be_joined_is_counted_and_told_once_for_each_reason(say: Say, stage: Stage) -> None:
    values = [{"mine": f"m{n}", "theirs": f"t{n}"} for n in range(5)]
    refused = [Refusal(row(), False, "device", values[n]) for n in (0, 0, 1, 2, 3, 4)]
    refused.insert(1, Refusal(row(), True, "architecture", {}))
    runs._draw(Comparison((), tuple(refused)))
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
    runs._draw(Comparison(pairs, ()))
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
    assert runs._value("scan", "x" * 90) == "x" * 79 + "…"
    assert runs._value("scan", "x" * 80) == "x" * 80


# --- verdicts ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "decisive", "key", "ends"),
    [
        ("indistinguishable", (0.912, 1.234), "indistinguishable", ("0.91", "1.23")),
        ("indistinguishable", (1.0012, 1.0456), "small", ("1.001", "1.046")),
        ("indistinguishable", (0.9601, 0.9902), "small", ("0.960", "0.990")),
        ("indistinguishable", (1.0112, 1.2345), "perhaps_small", ("1.011", "1.234")),
        ("indistinguishable", (0.9401, 0.9902), "perhaps_small", ("0.940", "0.990")),
    ],
)
def test_what_cannot_be_told_apart_says_the_interval_that_decides_in_its_order(
    say: Say, kind, decisive, key, ends
) -> None:
    found = Verdict(Interval(1.5, 1.4, 1.6), Interval(1.0, *decisive), kind, 5)
    low, high = ends
    values = {"a": "A", "b": "B", "low": low, "high": high}
    values |= {} if key == "indistinguishable" else {"margin": "5"}
    assert verdicts.sentence(found, "A", "B", margin=0.05) == say(f"benchmark.verdict.{key}", **values)


def test_one_round_tells_nothing_apart(say: Say) -> None:
    once = Verdict(Interval(2.0, float("-inf"), float("inf")), Interval(2.0, 1.0, 3.0), "faster", 1)
    assert verdicts.sentence(once, "A", "B") == say("benchmark.verdict.once")


def test_the_table_of_verdicts_has_a_row_for_each_pair_and_its_batch_where_there_are_several(
    say: Say, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def judged(phase: str, a: str, b: str, batch: int = 1) -> Judged:
        return Judged(phase, row(a, batch=batch), row(b, batch=batch), verdict("faster", 0.5), 0.05)

    found = [judged(phase, "mamba", other) for other in ("rwkv", "jamba") for phase in ("decode", "prefill")]
    monkeypatch.setattr(verdicts.verdicts, "judged", lambda _rows: found)
    monkeypatch.setattr(verdicts, "growth_line", lambda _rows: "growth")
    verdicts.section(run_of(row()))
    (drawn,) = stage.said("html")
    assert drawn.count("<tr>") == 3 and say("benchmark.plan.batch", count=1) not in drawn
    for name in ("pair", "prefill", "decode"):
        assert f'<th scope="col">{say(f"benchmark.verdict.{name}")}</th>' in drawn
    assert stage.said("caption") == [say("benchmark.verdict.note")]
    assert stage.said("markdown") == [say("benchmark.verdict.text"), "growth"]
    found.append(judged("decode", "mamba", "rwkv", batch=8))
    both = str(verdicts._table(run_of(row())))
    assert [both.count(say("benchmark.plan.batch", count=count)) for count in (1, 8)] == [2, 1]
    found.clear()
    stage.clear()
    verdicts._verdicts(run_of(row(), run_id="s"))
    assert stage.said("caption") == [say("benchmark.verdict.none")] and stage.said("html") == []


def test_growth_is_of_lengths_alone_at_batch_one(say: Say) -> None:
    def grown(name: str, power: float, **facts: Any) -> list[Measurement]:
        return [row(name, n, rounds=2, prefill_ms_samples=((n / 64) ** power, 1.001 * (n / 64) ** power), **facts)
                for n in (64, 128, 256)]  # fmt: skip

    one = grown("mamba", 1.0)
    for other in (grown("rwkv", 2.0, batch=8), grown("rwkv", 2.0, batch_limit="cap"), grown("rwkv", 2.0, state="oom"),
                  grown("rwkv", 2.0)[:2]):  # fmt: skip
        assert verdicts.growth_line((*one, *other)) == ""
    known = say("benchmark.verdict.growth_apart", name=say("nav.rwkv"), k="2.00", others=say("nav.mamba"))
    assert verdicts.growth_line((*one, *grown("rwkv", 2.0))) == known


@pytest.mark.parametrize("found", [True, False])
def test_the_parts_of_the_page_are_each_of_the_run_on_screen(say: Say, stage: Stage, monkeypatch, found: bool) -> None:
    """What is drawn may be the first cells of a run; its status, its actions and its origin are of all of it."""
    run, shown = run_of(row(), row("rwkv")), run_of(row())
    called: list[Any] = []

    def noted(name: str, answer: Any = None) -> Callable[..., Any]:
        return lambda *given, **options: called.append((name, *given, *options.values())) or answer

    parts = {
        planning: {"planner": "plan", "start_button": None}, guess: {"ask": None, "answer": None},
        runs: {"chosen_run": run if found else None, "drawn": shown, "bar": None, "beside": None},
        results: {"status": None, "failures": None, "pictures": None}, verdicts: {"section": None},
        rows: {"missing": None, "table": None}, provenance: {"drawer": None}, comparison: {"comparison": None},
        checks: {"checks": None}, layout: {"header": None, "footer": None, "check_yourself": None},
    }  # fmt: skip
    for module, names in parts.items():
        for name, answer in names.items():
            monkeypatch.setattr(module, name, noted(f"{module.__name__.rpartition('.')[2]}.{name}", answer))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "streamlit", stage)  # type: ignore[arg-type]
        runpy.run_path(str(site.page("benchmark").script))
    first = [("layout.header", "benchmark"), ("planning.planner",), ("guess.ask", "plan"),
             ("planning.start_button", "plan", guess.keep), ("runs.chosen_run",)]  # fmt: skip
    last = [("checks.checks",), ("layout.footer", "benchmark", "fair"), ("layout.check_yourself", "benchmark")]
    if not found:
        assert called == [*first, ("runs.bar", None), ("comparison.comparison", None), *last]
        assert stage.said("info") == [say("benchmark.no_runs")]
        return
    assert called == [
        *first, ("runs.bar", run), ("results.status", run), ("runs.drawn", run), ("results.failures", shown),
        ("rows.missing", run), ("guess.answer", shown), ("results.pictures", shown), ("verdicts.section", shown),
        ("rows.table", shown), ("provenance.drawer", run), ("runs.beside", shown), ("comparison.comparison", shown),
        *last,
    ]  # fmt: skip
    assert stage.said("info") == []


@pytest.mark.parametrize(("kind", "quiet"), [("indistinguishable", True), ("faster", False), ("slower", False)])
def test_only_what_cannot_be_told_apart_is_muted(say: Say, kind: str, quiet: bool) -> None:
    cell = verdicts.verdict_html(verdict(kind), "A", "B", margin=0.05)
    assert f'class="cs-say{" cs-quiet" if quiet else ""}"' in cell


def test_a_run_that_cannot_be_drawn_leaves_the_rest_of_the_page(say: Say, stage: Stage, monkeypatch) -> None:
    """Nothing that rests on its rows is drawn; the published values are, and the sentence stands in its place."""
    trouble = SourceError("errors.source_not_found", "x", source="s")
    called: list[Any] = []

    def fail(_run: Run) -> None:
        raise trouble

    for module, names in ((planning, ("planner", "start_button")), (guess, ("ask", "answer")),
                          (runs, ("bar", "beside")),
                          (results, ("pictures",)), (verdicts, ("section",)), (rows, ("table",)),
                          (provenance, ("drawer",)), (layout, ("header", "footer", "check_yourself"))):  # fmt: skip
        for name in names:
            monkeypatch.setattr(module, name, lambda *_, name=name, **__: called.append(name))
    monkeypatch.setattr(runs, "chosen_run", lambda: run_of(row()))
    monkeypatch.setattr(results, "status", fail)
    monkeypatch.setattr(comparison, "comparison", lambda run: called.append(("comparison", run)))
    monkeypatch.setattr(checks, "checks", lambda: called.append("checks"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "streamlit", stage)  # type: ignore[arg-type]
        runpy.run_path(str(site.page("benchmark").script))
    assert called == ["header", "planner", "ask", "start_button", "bar", ("comparison", None), "checks", "footer",
                      "check_yourself"]  # fmt: skip
    assert [bare(one) for one in stage.said("warning")] == [say("errors.source_not_found", source="s")]


def test_memory_ran_out_between_the_longest_measured_below_and_the_least_that_is_full(say: Say) -> None:
    """A length beyond that was measured, one below that was not, and another batch say nothing about it."""
    found = [row(context=64), row(context=128), row(context=256, state="timeout"), row(context=512, state="oom"),
             row(context=1024), row(context=2048, state="oom"), row(context=300, batch=8), row("rwkv", 400),
             row(context=500, batch_limit="memory", cell_id="largest")]  # fmt: skip
    assert results._room(run_of(*found)) == [
        say("benchmark.room", name=say("nav.mamba"), batch=1, fits="128", full="512")
    ]
    assert results._room(run_of(row(context=512, state="oom"), row(context=1024))) == [], "nothing is known to fit"


def test_a_picture_that_explains_has_its_key_and_the_title_of_its_run_or_says_why_it_is_missing(
    say: Say, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(results.style, "theme", lambda: SimpleNamespace(mode="dark"))
    monkeypatch.setattr(results.figure, "show", lambda drawn, **options: shown.append((drawn, options)))
    run = run_of(row(), title="a title")
    results._show(run, "pareto", lambda *, theme, t: f"drawn {theme.mode}")
    assert shown == [("drawn dark", {"key": "benchmark.pareto", "source": "a title"})] and stage.said("caption") == []
    results._show(run, "achieved", lambda **_: None)
    assert len(shown) == 1 and stage.said("caption") == [say("benchmark.no_picture")]
