"""Words, numbers and choices of the results, the rows and the origin of a run, from hand-made records.

Values differ everywhere, so that a sentence with its neighbour's number says so; expected sentences are filled here.
"""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from benchmark_records import Say, progress, row, run_of, stage_of
from stage import Stage, bare

from models.bench.run import runner
from models.bench.run.job import Progress
from models.records.cell import Cell
from models.records.measurement import Measurement
from pages.compare.benchmark import provenance, results, rows
from pages.shared.layout import moment_text
from viz.look.plotly import DASHED
from viz.look.theme import LIGHT


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Draw the parts of the page without Streamlit."""
    return stage_of(monkeypatch)


# --- results -----------------------------------------------------------------------------------------------------
def failed(name: str, context: int, reason: str = "", **facts: Any) -> Measurement:
    return row(name, context, state=facts.pop("state", "failed"), reason=reason, **facts)


def test_failed_cells_are_told_by_their_reason_named_up_to_four_and_counted_beyond(say: Say, stage: Stage) -> None:
    few = [failed("mamba", 2**n, "reason A") for n in range(4)]
    many = [failed("rwkv", 2**n, "reason B") for n in range(5)]
    own = failed("jamba", 64, "english", reason_key="errors.cell_cancelled")
    full = [row("transformer", 64), row("transformer", 256, state="oom", reason="reason C"),
            row("transformer", 512, state="oom", reason="reason C")]  # fmt: skip
    results.failures(run_of(*few, *many, own, *full))
    (warning,) = stage.said("warning")

    def cell(name: str, tokens: int) -> str:
        return say("benchmark.cell", name=say(f"nav.{name}"), tokens=str(tokens))

    assert [bare(line) for line in warning.split("\n")] == [
        say("benchmark.failures", count=12), "",
        f"- {' · '.join(cell('mamba', 2**n) for n in range(4))}: reason A",
        f"- {say('benchmark.cells', count=5)}: reason B",
        f"- {cell('jamba', 64)}: {say('errors.cell_cancelled')}",
        f"- {cell('transformer', 256)} · {cell('transformer', 512)}: reason C",
        f"- {say('benchmark.room', name=say('nav.transformer'), batch=1, fits='64', full='256')}",
    ]  # fmt: skip


def test_cells_without_a_steady_round_are_named_and_counted_as_noisy_no_more(say: Say, stage: Stage) -> None:
    untimed = row("mamba", 64, state="unstable", rounds=0)
    kept = row("rwkv", 64, state="unstable", prefill_ms_samples=(1.0,))
    results.failures(run_of(untimed, kept, row("jamba", 64)))
    (said,) = stage.said("warning")
    assert bare(said) == say("benchmark.untimed", cells=results.cell_name(untimed), limit="10%")
    (noisy,) = stage.said("caption")
    assert bare(noisy) == f"{say('benchmark.noise.unusable', count=1, total=3)} {results.cell_name(kept)}"


def test_cells_that_others_disturbed_and_that_were_noisy_are_counted_of_all(say: Say, stage: Stage) -> None:
    found = [
        row("mamba", 64, foreign_processes=2), row("rwkv", 64, foreign_processes=1),
        row("jamba", 64, foreign_processes=0),
        row("mamba", 128, tpot_iqr_rel=0.15), *(row("rwkv", 128 + n, tpot_iqr_rel=0.5) for n in range(5)),
    ]  # fmt: skip
    results.failures(run_of(*found))
    assert stage.said("warning") == [say("benchmark.foreign", count=2, total=9)]
    noisy = f"{say('benchmark.noise.noisy', count=1, total=9)} {results.cell_name(found[3])}"
    assert [bare(line) for line in stage.said("caption")] == [say("benchmark.noise.unusable", count=5, total=9), noisy]


def test_a_headline_counts_what_was_measured_of_what_was_planned(say: Say) -> None:
    found = [row(), row("rwkv"), row("jamba", state="oom")]
    for changes, key in (({"ended": "done"}, "done"), ({"ended": "cancelled"}, "cancelled"), ({}, "open"),
                         ({"imported": True, "ended": "done"}, "imported"),
                         ({"recorded": True, "imported": True}, "recorded")):  # fmt: skip
        run = run_of(*found, cells=({},) * 7, environment={"host_cpu": "CPU x"}, created_ns=5 * 10**18, **changes)
        when = moment_text(5 * 10**18)
        assert results._headline(run) == say(f"benchmark.headline.{key}", when=when, machine="CPU x", done=2, total=7)


def test_pictures_wait_for_the_first_row_and_leave_out_what_was_cancelled(say: Say, stage: Stage, monkeypatch) -> None:
    drawn: dict[str, Any] = {}
    monkeypatch.setattr(results.layout, "section_of", lambda page, key, draw: drawn.update({key: draw}))
    monkeypatch.setattr(results.layout, "under_the_hood", lambda page, parts: drawn.update(hood=[p[0] for p in parts]))
    under_way = [None, progress()]
    monkeypatch.setattr(results.live, "progress", lambda _: under_way[-1])
    results.pictures(run_of(row(state="cancelled"), row("rwkv", state="oom")))
    assert stage.said("info") == [say("benchmark.waiting")] and not drawn
    stage.clear()
    under_way.pop()
    results.pictures(run_of(row(state="cancelled"), row("rwkv", state="oom")))
    assert stage.calls == [] and not drawn, "what has ended will not fill"
    kept = [row(), row("rwkv", state="oom")]
    results.pictures(run_of(row("jamba", state="cancelled"), *kept, row("mamba", 64, batch_limit="memory")))
    assert list(drawn) == ["memory", "prefill", "decode", "hood"]
    assert list(drawn["memory"].args[1]) == kept, "cells at a largest batch have a picture of their own"


def test_a_second_run_is_drawn_over_the_first(say: Say, stage: Stage, monkeypatch) -> None:
    drawn: dict[str, Any] = {}
    monkeypatch.setattr(results.layout, "section_of", lambda page, key, draw: drawn.update({key: draw}))
    monkeypatch.setattr(results.layout, "under_the_hood", lambda *_: None)
    samples = {"prefill_ms_samples": (1.0, 2.0), "decode_ms_samples": (1.0, 2.0), "rounds": 1, "cache_bytes": 9}
    kept = row("rwkv", 64, **samples)
    gone = row(state="cancelled"), row("mamba", 64, batch_limit="memory", **samples)
    other = run_of(kept, *gone, run_id="other")
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(results, "panel", lambda draw, given, **_: asked.append(draw(given, theme=LIGHT, t=say)))
    for second in (other, None):
        results.pictures(run_of(row(**samples)), second)
        for name in ("memory", "prefill", "decode"):
            drawn[name]()
    lines = [[one for one in made.body.data if one["meta"] == "line"] for made in asked]
    dashed = [[one["legendgroup"] for one in every if one["line"].get("dash") == DASHED] for every in lines]
    assert dashed == [["rwkv"]] * 3 + [[]] * 3, "neither a cancelled cell nor one at a largest batch; kept apart"


def test_a_picture_that_explains_is_offered_where_the_run_has_its_numbers() -> None:
    """Each alone, in their order; a cell that was not measured counts for nothing, and one of a file may lack steps."""
    samples = {"decode_ms_samples": (1.0, 2.0), "rounds": 1}
    plain = row(**samples)
    cases = {
        "largest_batch": row("rwkv", 64, batch_limit="memory", **samples),
        "pareto": row("rwkv", 64, batch=8, **samples),
        "achieved": row("rwkv", 64, mbu=0.5), "launches": row("rwkv", 64, launch_fraction=0.5),
        "energy": row("rwkv", 64, energy_j_per_token=1.0), "sentinel_strip": row("rwkv", 64, sentinel_before_ms=1.0),
    }  # fmt: skip
    assert results._explaining([plain]) == []
    for name, other in cases.items():
        assert [one for one, _ in results._explaining([plain, other])] == [name]
    assert [one for one, _ in results._explaining([plain, *cases.values()])] == list(cases)
    assert results._explaining([plain, row("rwkv", 64, batch_limit="memory")]) == []
    lost = row("rwkv", 128, state="failed", mbu=0.5, batch=8, energy_j_per_token=1.0)
    assert results._explaining([plain, lost]) == []


@pytest.mark.parametrize("shown", ["carried", "peak", "parts"])
def test_memory_is_shown_as_chosen_and_its_parts_at_the_smallest_batch(
    say: Say, stage: Stage, monkeypatch, shown
) -> None:
    panels: list[tuple[Any, dict[str, Any]]] = []
    drawn: list[tuple[Any, ...]] = []
    monkeypatch.setattr(results, "panel", lambda draw, _, **options: panels.append((draw, options)))
    monkeypatch.setattr(
        results, "_kept", lambda run, name, draw, *second: drawn.append((name, draw.args[0], *second)) or draw
    )
    found = [row(batch=8), row("rwkv", batch=4), row("jamba", batch=4)]
    if shown != "carried":
        stage.session_state["benchmark.quantity"] = shown
    second, beside = run_of(row(batch=2), run_id="s"), [row(batch=2)]
    results._memory(run_of(*found, title="a title"), found, second, beside)
    chooser = stage.keyed("benchmark.quantity")
    assert chooser.args == (say("benchmark.quantity.label"), ("carried", "peak", "parts"))
    assert chooser.options["format_func"]("peak") == say("benchmark.quantity.peak")
    ((draw, options),) = panels
    if shown == "parts":
        assert draw.func is results.memory.memory_parts and drawn == [("parts", found[1:])]
        assert options == {"key": "benchmark.parts", "source": "a title"}
    else:
        assert draw.func is results.memory.memory_vs_context and drawn == [("memory", found, second)]
        assert draw.keywords == {"beside": beside}, "the lines of the other run"
        assert options == {"key": "benchmark.memory", "source": "a title", "peak": shown == "peak"}


def test_a_headline_stands_where_a_run_is_not_under_way(say: Say, stage: Stage, monkeypatch) -> None:
    now: list[Progress | None] = [progress(state="done"), None, progress(), progress(state="queued")]
    monkeypatch.setattr(runner, "shared", lambda: SimpleNamespace(progress=lambda _: now[0]))
    run = run_of(row())
    while now:
        results.status(run)
        now.pop(0)
    assert stage.said("text") == [results._headline(run)] * 2


# --- the run before, until the first row ---------------------------------------------------------------------------
@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note which sections are drawn."""
    found: list[str] = []
    monkeypatch.setattr(results.layout, "section_of", lambda page, key, draw: found.append(key))
    monkeypatch.setattr(results.layout, "under_the_hood", lambda page, parts: None)
    return found


@pytest.mark.parametrize(
    ("mine", "rows_before", "pale"),
    [({"r": "old"}, [row("rwkv")], True), ({"r": "old"}, [row("rwkv", state="oom")], False), ({}, [row("rwkv")], False),
     ({"other": "old"}, [row("rwkv")], False), ({"r": "gone"}, [row("rwkv")], False)],
)  # fmt: skip
def test_the_run_before_stays_pale_until_the_first_row_of_a_run_that_was_started_here(
    say: Say, stage: Stage, monkeypatch, drawn, mine: dict[str, str], rows_before: list[Measurement], pale: bool
) -> None:
    before = run_of(*rows_before, run_id="old", created_ns=7 * 10**18)
    store = SimpleNamespace(run=lambda run_id: before if run_id == "old" else None)
    here = SimpleNamespace(store=store, progress=lambda _: progress())
    monkeypatch.setattr(runner, "shared", lambda: here)
    stage.session_state["benchmark.former"] = mine
    results.pictures(run_of(row(state="oom")))
    assert stage.said("info") == [say("benchmark.waiting")]
    assert stage.has("ghost-benchmark") == pale and drawn == ["memory", "prefill", "decode"] * pale
    assert stage.said("caption") == [say("benchmark.ghost", when=moment_text(7 * 10**18))] * pale
    stage.clear()
    drawn.clear()
    results.pictures(run_of(row(state="oom"), row("rwkv")))
    assert stage.said("info") == [] and not stage.has("ghost-benchmark") and drawn == ["memory", "prefill", "decode"]


# --- rows --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("facts", "replaced", "key"),
    [
        ({}, False, "benchmark.rows.ok"),
        ({"tpot_iqr_rel": 0.15}, False, "benchmark.rows.noisy"),
        ({"tpot_iqr_rel": 0.9}, False, "benchmark.rows.unusable"),
        ({"state": "oom"}, False, "viz.state.oom"),
        ({"state": "unstable", "prefill_ms_samples": (1.0,)}, False, "viz.state.unstable"),
        ({"state": "unstable", "rounds": 0}, False, "benchmark.rows.untimed"),
        ({"state": "oom"}, True, "benchmark.rows.replaced"),
        ({"tpot_iqr_rel": 0.15}, True, "benchmark.rows.replaced"),
    ],
)
def test_a_row_says_its_state_or_that_it_was_replaced(say: Say, facts: Mapping[str, Any], replaced, key: str) -> None:
    assert rows._state(row(**facts), replaced=replaced) == say(key)


def test_a_table_of_rows_has_only_columns_that_say_something(say: Say) -> None:
    lines = rows._listed(run_of(row(mfu=0.0), row("rwkv", mbu=0.5), row("rwkv", mbu=0.25)))
    names = ["architecture", "batch", "context", "state", "formula", "mbu", "mfu"]
    assert [list(line) for line in lines] == [names] * 3
    assert [line["mbu"] for line in lines] == [None, "50%", "25%"]
    assert [line["mfu"] for line in lines] == ["0%", None, None]
    assert [line["state"] for line in lines] == [
        say("benchmark.rows.ok"), say("benchmark.rows.replaced"), say("benchmark.rows.ok")]  # fmt: skip
    assert rows._listed(run_of()) == []


def test_the_columns_of_the_table_are_those_that_were_chosen_of_those_that_the_run_has(say: Say, stage: Stage) -> None:
    stage.session_state["benchmark.columns_wished"] = ["mfu", "gone", "architecture"]
    assert rows._columns_chosen([]) == {}, "a run that has just begun has no rows, and takes no wish away"
    lines: list[dict[str, object]] = [{"architecture": "Mamba", "batch": 1, "mfu": "5%"}]
    known = {say("benchmark.rows.architecture"): "architecture", say("benchmark.rows.mfu"): "mfu"}
    assert rows._columns_chosen(lines) == known
    asked = stage.keyed("benchmark.columns")
    assert asked.args == (say("benchmark.rows.columns"), ["architecture", "batch", "mfu"])
    assert asked.options["format_func"]("batch") == say("benchmark.rows.batch")
    stage.session_state["benchmark.columns"] = ["batch"]
    asked.options["on_change"]()
    assert stage.session_state["benchmark.columns_wished"] == ["batch", "gone"], "what this run lacks stays wished"
    del stage.session_state["benchmark.columns_wished"]
    assert list(rows._columns_chosen(lines).values()) == ["architecture", "batch"], "the usual ones at first"


@pytest.mark.parametrize("local", [True, False])
def test_cells_are_measured_again_that_the_plan_has_once_nothing_runs(
    say: Say, stage: Stage, monkeypatch, local
) -> None:
    asked: list[Any] = []
    noted: list[tuple[str, str]] = []
    now: list[Any] = [None]
    elsewhere: list[bool] = [False]
    here = SimpleNamespace(
        progress=lambda _: now[0], measured_elsewhere=lambda _: elsewhere[0],
        remeasure=lambda run_id, cells: asked.append((run_id, cells)) or "r2",
    )  # fmt: skip
    planned_cells = [Cell("mamba", "mamba", n) for n in (64, 128)]
    known = [cell.cell_id for cell in planned_cells]
    monkeypatch.setattr(runner, "shared", lambda: here)
    monkeypatch.setattr(rows.remeasure, "cells_of", lambda _run: planned_cells)
    monkeypatch.setattr(rows.remeasure, "is_local", lambda _run: local)
    monkeypatch.setattr(rows.remeasure, "unfinished_cells", lambda _run: (known[1], "gone", "too"))
    monkeypatch.setattr(rows.journal, "note", lambda action, *, run: noted.append((action, run)))
    stage.pressed = {"benchmark.again.missing"}
    rows.missing(run_of(row()))
    assert stage.keyed("benchmark.again.missing").args == (say("benchmark.again.missing", count=3),)
    assert asked == [("r", {known[1]})] and noted == [("again", "r2")]
    assert stage.query_params == {"run": "r2"}
    assert stage.said("caption") == ([] if local else [say("benchmark.again.elsewhere")])
    for blocked in ({"now": progress()}, {"elsewhere": True}, {"cells": ("gone",)}):
        stage.clear()
        now[0], elsewhere[0] = blocked.get("now"), bool(blocked.get("elsewhere"))
        rows._button("chosen", run_of(row()), blocked.get("cells", known), "words")
        assert stage.calls == [], blocked
    now[0], elsewhere[0] = progress(state="done"), False
    rows._button("chosen", run_of(row()), known, "words")
    assert stage.has("benchmark.again.chosen")


# --- provenance --------------------------------------------------------------------------------------------------
def test_the_rounds_of_the_chosen_cell_are_shown_with_what_was_unsteady_and_repeated(say: Say, stage: Stage) -> None:
    samples = {"decode_ms_samples": (1.0, 2.0), "rounds": 1}
    found = [
        row("mamba", 64, rounds_unsteady=3, rounds_repeated=7, **samples),
        row("rwkv", 128, batch=4, **samples),
    ]
    provenance._samples(found)
    chooser = stage.keyed("benchmark.samples")
    assert chooser.args == (say("benchmark.provenance.samples"), ["mamba-64-1", "rwkv-128-4"])
    assert [chooser.options["format_func"](one) for one in ("rwkv-128-4", "gone")] == [
        say("benchmark.cell_batch", name=say("nav.rwkv"), tokens="128", batch=4), "",
    ]  # fmt: skip
    stage.session_state["benchmark.samples"] = "rwkv-128-4"
    provenance._samples(found)
    known = [
        say("benchmark.provenance.samples_note", unsteady=one, repeated=other) for one, other in (("3", "7"), "––")
    ]
    assert [bare(line) for line in stage.said("caption")] == known
    stage.session_state["benchmark.samples"] = "of another run"
    provenance._samples(found)
    assert stage.session_state["benchmark.samples"] == "mamba-64-1"


def test_the_command_that_measures_again_stands_where_there_is_one(say: Say, stage: Stage, monkeypatch) -> None:
    commands = iter(["the command", None])
    monkeypatch.setattr(provenance.remeasure, "command", lambda _run: next(commands))
    for _ in range(2):
        provenance._reproduce(run_of(row()))
    assert stage.said("code") == ["the command"]
    assert stage.said("markdown") == [f"**{say('benchmark.provenance.reproduce')}**"]
    assert stage.said("caption") == [say("benchmark.provenance.reproduce_note")]
