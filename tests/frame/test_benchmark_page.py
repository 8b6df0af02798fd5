"""Words of verdicts and of growth, from hand-made records, and the parts of the whole page in their order.

Values differ everywhere, so that a sentence with its neighbour's number says so; expected sentences are filled here.
"""

import runpy
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from benchmark_records import Say, progress, row, run_of, stage_of, verdict
from stage import Stage, bare

from models.bench.judge.statistics import Verdict
from models.bench.judge.verdicts import Judged
from models.errors import SourceError
from models.records.interval import Interval
from models.records.measurement import Measurement
from pages.compare.benchmark import (
    beside,
    checks,
    comparison,
    experiments,
    guess,
    live,
    other_tools,
    planning,
    predictions,
    provenance,
    results,
    rows,
    runs,
    verdicts,
)
from pages.shared import layout, site


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Draw the parts of the page without Streamlit."""
    return stage_of(monkeypatch)


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
    monkeypatch.setattr(verdicts.ratios, "picture", lambda *_: None)
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


@pytest.mark.parametrize(("kind", "quiet"), [("indistinguishable", True), ("faster", False), ("slower", False)])
def test_only_what_cannot_be_told_apart_is_muted(say: Say, kind: str, quiet: bool) -> None:
    cell = verdicts.verdict_html(verdict(kind), "A", "B", margin=0.05)
    assert f'class="cs-say{" cs-quiet" if quiet else ""}"' in cell


# --- the page ----------------------------------------------------------------------------------------------------
PARTS: dict[ModuleType, tuple[str, ...]] = {
    planning: ("section",), guess: ("ask", "answer"), live: ("progress", "board", "former"),
    runs: ("chosen_run", "bar", "drawn", "other"), results: ("status", "failures", "pictures"), other_tools: ("told",),
    rows: ("missing", "table"), verdicts: ("section",), experiments: ("section",), beside: ("beside",),
    provenance: ("drawer",), predictions: ("section",), comparison: ("comparison",), checks: ("checks",),
    layout: ("header", "footer", "check_yourself"),
}  # fmt: skip


def drawn_page(stage: Stage, monkeypatch: pytest.MonkeyPatch, **answers: Any) -> list[tuple[Any, ...]]:
    """Draw the page with every part replaced; returns what was called, in order, with what it was given.

    answers: by module and function, as runs_other: what is returned; an error is raised.
    """
    called: list[tuple[Any, ...]] = []

    def noted(name: str, answer: Any) -> Callable[..., Any]:
        def part(*given: Any, **options: Any) -> Any:
            called.append((name, *given, *options.values()))
            if isinstance(answer, Exception):
                raise answer
            return answer

        return part

    for module, names in PARTS.items():
        for name in names:
            where = module.__name__.rpartition(".")[2]
            monkeypatch.setattr(module, name, noted(f"{where}.{name}", answers.pop(f"{where}_{name}", None)))
    assert not answers, "parts that the page does not have"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "streamlit", stage)  # type: ignore[arg-type]
        runpy.run_path(str(site.page("benchmark").script))
    return called


FIRST = [("layout.header", "benchmark"), ("runs.chosen_run",)]
LAST = [("checks.checks",), ("layout.footer", "benchmark", "fair"), ("layout.check_yourself", "benchmark")]


@pytest.mark.parametrize("now", [progress(), None])
def test_the_parts_of_the_page_are_each_of_the_run_on_screen(stage: Stage, monkeypatch, now: Any) -> None:
    """What is drawn may be the first cells of a run; its status, its actions and its origin are of all of it."""
    run, shown, second = run_of(row(), row("rwkv")), run_of(row()), run_of(row(), run_id="s")
    called = drawn_page(
        stage, monkeypatch, planning_section="plan", runs_chosen_run=run, runs_drawn=shown, runs_other=second,
        live_progress=now, live_former="former",
    )  # fmt: skip
    live_calls = [("live.board", run, now), ("live.former", run)] if now else []
    assert called == [
        *FIRST, ("planning.section", "r", guess.keep), ("guess.ask", "plan"), ("live.progress", run), *live_calls,
        ("runs.bar", run), ("results.status", run), ("runs.drawn", run), ("runs.other", shown),
        ("results.failures", shown), ("other_tools.told", shown), ("rows.missing", run), ("guess.answer", shown),
        ("results.pictures", shown, second), ("verdicts.section", shown, "former" if now else None),
        ("experiments.section", shown, "plan"), ("beside.beside", shown, second), ("rows.table", shown),
        ("provenance.drawer", run), ("predictions.section",), ("comparison.comparison", shown), *LAST,
    ]  # fmt: skip
    assert stage.said("info") == []


def test_without_a_run_the_page_has_its_plan_and_what_was_published(say: Say, stage: Stage, monkeypatch) -> None:
    called = drawn_page(stage, monkeypatch, planning_section="plan")
    assert called == [
        *FIRST, ("planning.section", "", guess.keep), ("guess.ask", "plan"), ("runs.bar", None),
        ("experiments.section", None, "plan"), ("predictions.section",), ("comparison.comparison", None), *LAST,
    ]  # fmt: skip
    assert stage.said("info") == [say("benchmark.no_runs")]


@pytest.mark.parametrize(
    ("now", "other", "over"), [(None, "s", "s"), (None, None, None), ("now", "s", "s"), ("now", None, "former")]
)
def test_over_a_run_lies_the_chosen_one_and_while_it_is_measured_the_one_before(
    stage: Stage, monkeypatch, now: str | None, other: str | None, over: str | None
) -> None:
    called = drawn_page(
        stage, monkeypatch, runs_chosen_run=run_of(row()), runs_drawn="shown", runs_other=other, live_progress=now,
        live_former="former",
    )  # fmt: skip
    assert ("results.pictures", "shown", over) in called


def test_a_run_that_cannot_be_drawn_leaves_the_rest_of_the_page(say: Say, stage: Stage, monkeypatch) -> None:
    """Nothing that rests on its rows is drawn; the published values are, and the sentence stands in its place."""
    trouble = SourceError("errors.source_not_found", "x", source="s")
    called = drawn_page(stage, monkeypatch, runs_chosen_run=run_of(row()), results_status=trouble)
    names = [name for name, *_ in called]
    assert names[-7:] == [
        "results.status", "experiments.section", "predictions.section", "comparison.comparison", "checks.checks",
        "layout.footer", "layout.check_yourself",
    ]  # fmt: skip
    assert ("comparison.comparison", None) in called
    assert [bare(one) for one in stage.said("warning")] == [say("errors.source_not_found", source="s")]


def test_a_plan_that_cannot_be_made_leaves_the_run_on_screen(say: Say, stage: Stage, monkeypatch) -> None:
    trouble = SourceError("errors.source_not_found", "x", source="s")
    called = drawn_page(stage, monkeypatch, planning_section=trouble, runs_chosen_run=run_of(row()), runs_drawn="shown")
    names = {name for name, *_ in called}
    assert "guess.ask" not in names
    assert {"results.status", "results.pictures", "provenance.drawer", "checks.checks"} <= names
    assert ("experiments.section", "shown", None) in called
    assert [bare(one) for one in stage.said("warning")] == [say("errors.source_not_found", source="s")]
