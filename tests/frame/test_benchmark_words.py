"""Every sentence, number and choice that the modules of the benchmark page decide, from hand-made records.

Values differ everywhere, so that a sentence with its neighbour's number says so; expected sentences are filled here.
"""

import runpy
import sys
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from stage import Stage, bare, words_of

from models.bench.judge.comparison import CellPair, Comparison, Refusal
from models.bench.judge.statistics import Verdict
from models.bench.judge.verdicts import Judged
from models.bench.plan.plan import Note, Plan
from models.bench.plan.settings import LIMITS, PRESETS
from models.bench.run import runner
from models.bench.run.job import Progress
from models.bench.store.store import Summary
from models.errors import SourceError
from models.published import PublishedCheck, PublishedTable
from models.records.cell import Cell, Prediction
from models.records.interval import Interval
from models.records.measurement import Measurement
from models.records.run import Run, fingerprint
from models.sources import sizes
from pages.compare.benchmark import (
    checks,
    comparison,
    grid,
    guess,
    planning,
    provenance,
    results,
    rows,
    runs,
    settings_codec,
    verdicts,
)
from pages.shared import layout, site
from pages.shared.layout import moment_text
from pages.shared.memo import Memo
from pages.shared.words import content, language, units

Say = Callable[..., str]
NARROW = "\N{NO-BREAK SPACE}"
MODULES = (checks, comparison, grid, guess, planning, provenance, results, rows, runs, verdicts)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Draw the parts of the page without Streamlit, and keep nothing from one test to another."""
    made = Stage().on(monkeypatch, *MODULES)
    for module in MODULES:
        for name in [name for name, value in vars(module).items() if isinstance(value, Memo)]:
            monkeypatch.setattr(module, name, Memo(64))
    return made


def row(architecture: str = "mamba", context: int = 512, **facts: Any) -> Measurement:
    batch = facts.get("batch", 1)
    known: dict[str, Any] = {
        "run_id": "r", "cell_id": f"{architecture}-{context}-{batch}", "state": "ok", "source": f"{architecture}-130m",
        "batch": batch, "device": "cpu", "dtype": "float32", "decode_tokens": 2, "seed": 0,
    }  # fmt: skip
    return Measurement(architecture=architecture, context=context, **(known | facts))


def run_of(*found: Measurement, **changes: Any) -> Run:
    return Run(**({"run_id": "r", "title": "", "created_ns": 1, "cells": (), "environment": {}} | changes), rows=found)


# --- checks: published tables, recounted -------------------------------------------------------------------------
def check(**changes: Any) -> PublishedCheck:
    known: dict[str, Any] = {
        "source": "s", "row": "one", "quantity": "layers", "printed": "11", "formula": "", "unit": "",
        "exact": 12, "computed": "12", "agrees": True,
    }  # fmt: skip
    return PublishedCheck(**(known | changes))


def table(*found: PublishedCheck, **changes: Any) -> PublishedTable:
    known = {"source": "s", "name": "The paper", "place": "table2", "url": "https://a.b/c", "arxiv": None,
             "context": None, "dtype": None}  # fmt: skip
    return PublishedTable(**(known | changes), checks=found)


def states(agrees: int, explained: int, differs: int) -> tuple[PublishedCheck, ...]:
    return (
        *(check() for _ in range(agrees)),
        *(check(agrees=False, note="cut") for _ in range(explained)),
        *(check(agrees=False) for _ in range(differs)),
    )


@pytest.mark.parametrize(
    ("counted", "key"),
    [
        ((5, 0, 0), "tally_all"),
        ((4, 1, 0), "tally_some"),
        ((0, 3, 0), "tally_some"),
        ((3, 1, 2), "tally_bad"),
        ((5, 0, 1), "tally_bad"),
        ((0, 0, 2), "tally_bad"),
    ],
)
def test_a_source_says_all_only_where_all_agree_and_that_some_differ_first(say: Say, counted, key: str) -> None:
    agrees, explained, differs = counted
    said = say(f"checks.{key}", count=sum(counted), agrees=agrees, explained=explained, differs=differs)
    drawn = checks._source(table(*states(*counted)))
    assert f'<span class="cs-tally">{said}</span>' in drawn
    assert words_of(drawn).startswith(f"The paper , {say('checks.place.table2')} {said}")


def test_a_source_links_to_its_paper_and_only_the_pair_of_equal_height_is_open(say: Say) -> None:
    numbered = checks._source(table(check(), arxiv="1234.5", source="jamba"))
    assert 'href="https://a.b/c"' in numbered and words_of(numbered).endswith("arXiv 1234.5")
    plain = checks._source(table(check(), source="mamba"))
    assert words_of(plain).endswith("a.b/c") and "https://" not in words_of(plain)
    assert {name: " open" in checks._source(table(check(), source=name)).partition(">")[0]
            for name in ("jamba", "rwkv4", "mamba", "mixtral")} == {
        "jamba": True, "rwkv4": True, "mamba": False, "mixtral": False}  # fmt: skip


def test_a_source_states_its_length_or_else_each_of_its_formulas_once(say: Say) -> None:
    formulas = [check(formula="2V"), check(formula="2V"), check(formula="3D", quantity="width"), check()]
    assert checks._terms(table(*formulas, context=262_144)) == say("checks.condition", tokens="262,144")
    said = f"{say('checks.quantity.layers')}: 2V; {say('checks.quantity.width')}: 3D. {say('checks.symbols')}"
    assert checks._terms(table(*formulas)) == said
    assert checks._terms(table(check())) == ""
    heads = [words_of(checks._table(table(check(formula=formula)))).split(" 11 ")[0] for formula in ("2V", "")]
    for head, column in zip(heads, ("formula", "printed"), strict=True):
        assert say(f"checks.column.{column}") in head
    assert say("checks.column.formula") not in heads[1]


NOTED = {"kv_heads": 1, "look_up": 2, "cut": 3}


@pytest.mark.parametrize("note", [*NOTED, None])
def test_a_mark_has_the_number_of_its_note_and_no_other(say: Say, note: str | None) -> None:
    mark = checks._mark(check(agrees=False, note=note))
    number = NOTED.get(note or "")
    assert ("<sup" in mark) == (number is not None)
    if number:
        assert f'aria-label="{say("checks.note_number", number=number)}">{number}</sup>' in mark
    assert words_of(mark).startswith(
        f"{'≠' if note else '✕'} {say('checks.state.explained' if note else 'checks.state.differs')}"
    )
    assert words_of(checks._mark(check())) == f"✓ {say('checks.state.agrees')}"


def test_the_notes_have_their_own_numbers_in_their_order(say: Say) -> None:
    """Each side of a note has its own value; of the look-up both sides have the digits of the table that prints it."""
    look_up = {"row": "169M", "quantity": "flops"}
    found = (
        check(row="7B", note="kv_heads", agrees=False, printed="252", computed="126", otherwise="251"),
        check(**look_up, note="look_up", agrees=False, formula="2V", printed="338511111", computed="x",
              exact=261322222),
        check(row="other", quantity="flops", printed="9.99e9"), check(row="169M", quantity="layers", printed="8.88e8"),
        check(**look_up, printed="2.613e8"),
        check(note="cut", agrees=False, unit="B", printed="70", exact=70_554_123_456),
        check(note="cut", agrees=False, unit="B", printed="405", exact=405_853_123_456),
    )  # fmt: skip
    known = {
        "kv_heads": {"row": "7B", "printed": "252", "computed": "126", "otherwise": "251"},
        "look_up": {"row": "169M", "table": "2.613e8", "printed": "3.385e8", "computed": "2.613e8"},
        "cut": {"printed": "70, 405", "values": "70.554, 405.853"},
    }
    notes = str(checks._notes([table(*found)]))
    items = [item.partition("</li>")[0] for item in notes.split("<li ")[1:]]
    assert len(items) == 3
    for (note, values), item in zip(known.items(), items, strict=True):
        written = {name: checks.value_text(value) for name, value in values.items()}
        title, text = (say(f"checks.note.{note}.{part}", **written) for part in ("title", "text"))
        assert item.startswith(f'value="{NOTED[note]}">')
        assert words_of(f"<li {item}") == words_of(f"{title} {text}")
    assert checks._notes([table(check())]) is None


def test_the_tally_counts_every_value_of_every_source(say: Say, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    found = (table(*states(2, 1, 0)), table(*states(5, 0, 3), source="t"))
    monkeypatch.setattr(checks.published, "recount", lambda: found)
    checks.checks()
    tally = say("checks.tally", agrees=7, explained=1, differs=3)
    assert stage.said("markdown") == [f"{say('checks.text', count=11)} **{tally}**"]
    assert stage.said("caption") == [say("checks.left_out")]
    (drawn,) = stage.said("html")
    assert [drawn.count(f'class="cs-{state}"') for state in ("agrees", "explained", "differs")] == [7, 1, 3]


# --- comparison: published and measured --------------------------------------------------------------------------
def test_what_was_measured_is_told_by_aspect_with_its_own_numbers(say: Say) -> None:
    at = (
        row(context=100, prefill_ms_samples=(10.0, 10.0), cache_bytes=3 * 2**10, params_total=7, params_active=7),
        row(context=200, prefill_ms_samples=(40.0, 40.0), cache_bytes=5 * 2**10),
        row(context=400, prefill_ms_samples=(160.0, 160.0), cache_bytes=None, peak_bytes=9 * 2**20, ttft_ms_med=160.0,
            params_total=310_000_000, params_active=190_000_000, decode_ms_samples=(4.0, 1.0, 2.0, 7.0, 3.0)),
    )  # fmt: skip
    said = {aspect: comparison.measured_text(at, aspect) for aspect in comparison.ASPECTS}
    assert said == {
        "context": say("benchmark.measured.context", tokens="400"),
        "time_complexity": say("benchmark.measured.growth", k="2.00", low="2.00", high="2.00", first="100", last="400"),
        "speed": say(
            "benchmark.measured.speed", tokens="400", read="2,500", median="3.00", low="2.00", high="4.00", count=5
        ),
        "parameter_efficiency": say("benchmark.measured.parameters", total="310M", active="190M"),
        "memory": say("benchmark.measured.memory", first="100", small="3 KiB", last="200", large="5 KiB"),
    }
    assert comparison.measured_text(at[:2], "time_complexity") == "", "three lengths at least"
    assert comparison.measured_text(at[1:2], "parameter_efficiency") == ""
    for half in ({"params_total": 7}, {"params_active": 7}):
        assert comparison.measured_text([row(**half)], "parameter_efficiency") == ""
    for half in ({"decode_ms_samples": (1.0,)}, {"ttft_ms_med": 7.0}):
        assert comparison.measured_text([row(**half)], "speed") == ""
    assert comparison.measured_text(at[:2], "speed") == ""
    assert comparison.measured_text(at[2:], "memory") == "" == comparison.measured_text((), "context")


def test_tokens_read_in_a_second_are_those_of_all_texts_of_a_batch(say: Say) -> None:
    """Two seconds for eight texts of 500 tokens are 2,000 tokens a second."""
    found = [row(context=500, batch=8, ttft_ms_med=2000.0, decode_ms_samples=(1.0,))]
    read = say("benchmark.measured.speed", tokens="500", read="2,000", median="1.00", low="1.00", high="1.00", count=1)
    assert comparison.measured_text(found, "speed") == f"{say('benchmark.plan.batch', count=8)}: {read}"
    alone = [row(context=500, ttft_ms_med=2000.0, decode_ms_samples=(1.0,))]
    assert comparison.measured_text(alone, "speed") == read.replace("2,000", "250")


@pytest.mark.parametrize("aspect", comparison.ASPECTS)
def test_only_what_is_a_time_is_doubted_where_the_machine_was_unsteady(say: Say, aspect: str) -> None:
    samples = {"prefill_ms_samples": (1.0, 2.0), "decode_ms_samples": (1.0, 2.0), "ttft_ms_med": 2.0}
    known = samples | {"cache_bytes": 9, "params_total": 10**6, "params_active": 10**6}
    steady = [row(context=2**n, tpot_iqr_rel=0.12, **known) for n in (5, 6, 7)]
    shaky = [row(context=2**n, tpot_iqr_rel=0.9 if n == 5 else 0.0, **known) for n in (5, 6, 7)]
    warned = f". {say('benchmark.measured.unsteady')}"
    assert not comparison.measured_text(steady, aspect).endswith(warned), "noisy is not unusable"
    assert comparison.measured_text(shaky, aspect).endswith(warned) == (aspect in ("time_complexity", "speed"))


def test_the_rows_of_a_comparison_are_those_measured_at_the_smallest_batch_by_length(monkeypatch) -> None:
    monkeypatch.setattr(comparison.cache, "bundled", lambda: ("mamba", "rwkv", "jamba"))
    found = [
        row(context=300, batch=4), row(context=100, batch=4), row(context=50, batch=16), row("rwkv", 70, batch=4),
        row(context=40, batch=1, state="oom"), row(context=30, batch=2, batch_limit="memory"),
    ]  # fmt: skip
    by_name = comparison._by_architecture(run_of(*found))
    assert [one.context for one in by_name["mamba"]] == [100, 300]
    assert [one.context for one in by_name["rwkv"]] == [70]
    assert by_name["jamba"] == []
    assert comparison._by_architecture(None) == {"mamba": [], "rwkv": [], "jamba": []}


# --- grid: the plan ----------------------------------------------------------------------------------------------
def prediction(number: int, *, fits: bool = True, **facts: Any) -> Prediction:
    return Prediction(number * 2**20, 2**20, 0, 0, 1.0, 1.0, number * 60.0, fits, **facts)


@pytest.mark.parametrize(
    ("facts", "shown"),
    [
        ({"fits": True}, None),
        ({"fits": False, "positions_needed": 9}, "too_long"),
        ({"fits": False}, "too_large"),
    ],
)
def test_a_cell_that_does_not_fit_says_why(say: Say, facts: dict[str, Any], shown: str | None) -> None:
    drawn = grid._cell(4096, (Cell("mamba", "mamba", 4096), prediction(2, **facts)))
    words = say(f"benchmark.plan.{shown}") if shown else units.duration(120)
    assert words_of(drawn) == f"3 MiB {words}"
    assert ("cs-hatched" in drawn) == (shown is not None)
    assert words_of(grid._cell(4096, None)) == say("benchmark.plan.left_out")
    assert 'data-at="4,096"' in drawn and 'data-at="4,096"' in grid._cell(4096, None), (
        "its length, where a phone shows it"
    )


def test_a_plan_says_its_notes_with_their_values_after_what_is_predicted(say: Say) -> None:
    notes = (
        Note("plan.crossing", "", {"architecture": "mamba", "tokens": "4,096"}),
        Note("plan.fewer_rounds", "", {"rounds": 3, "wanted": 9}),
    )
    made = Plan((Cell("mamba", "mamba", 64),), (prediction(1),), notes=notes)
    crossing = say("plan.crossing", name=say("nav.mamba"), tokens="4,096")
    fewer = say("plan.fewer_rounds", rounds=3, wanted=9)
    _, largest, caption = grid._drawn(made)
    assert caption == f"{say('benchmark.plan.predicted')} {crossing}. {fewer}."
    assert largest is None, "no cell at a largest batch"
    assert say("benchmark.plan.batch", count=1) not in grid._drawn(made)[0], "one batch alone has no heading"


# --- guess -------------------------------------------------------------------------------------------------------
def planned(*places: tuple[str, int], **changes: Any) -> Plan:
    cells = tuple(Cell(name, name, context) for name, context in places)
    return Plan(cells, tuple(prediction(n + 1) for n in range(len(cells))), **changes)


def test_a_guess_is_asked_of_the_longest_length_among_the_architectures_of_the_plan(say: Say, stage: Stage) -> None:
    stage.session_state["benchmark.guess.prefill"] = "rwkv"
    stage.session_state["benchmark.guess.decode"] = "mamba"
    guess.ask(planned(("jamba", 4096), ("mamba", 8192), ("jamba", 64)))
    for question in ("carried", "prefill", "decode"):
        asked = stage.keyed(f"benchmark.guess.{question}")
        assert asked.args == (say(f"benchmark.guess.{question}", tokens="8,192"), ["jamba", "mamba"])
        assert [asked.options["format_func"](name) for name in ("jamba", "mamba")] == [
            say("nav.jamba"),
            say("nav.mamba"),
        ]
    assert stage.session_state["benchmark.guess.prefill"] is None, "it is not in this plan"
    assert stage.session_state["benchmark.guess.decode"] == "mamba"
    stage.clear()
    guess.ask(planned(("jamba", 4096), ("jamba", 64)))
    guess.ask(None)
    assert stage.calls == [], "nothing to compare"


def test_guesses_are_kept_with_their_run_and_cleared_for_the_next(stage: Stage) -> None:
    def make(run_id: str, **made: str | None) -> None:
        stage.session_state.update({f"benchmark.guess.{name}": value for name, value in made.items()})
        guess.keep(run_id)

    make("a", carried="mamba", prefill=None, decode="rwkv")
    kept = stage.session_state["benchmark.guesses"]
    assert kept == {"a": {"carried": "mamba", "decode": "rwkv"}}
    assert [stage.session_state[f"benchmark.guess.{name}"] for name in guess.QUESTIONS] == [None] * 3
    make("b")
    assert list(stage.session_state["benchmark.guesses"]) == ["a"], "nothing was guessed"
    for number in range(guess.KEPT):
        make(f"c{number}", prefill="jamba")
    kept = stage.session_state["benchmark.guesses"]
    assert list(kept) == [f"c{number}" for number in range(20)], "the oldest goes first"


def test_each_guess_is_answered_in_a_line_of_its_own(say: Say, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guess, "_cache_bytes", lambda rows, name: f"bytes of {name}")
    monkeypatch.setattr(guess, "_timed", lambda rows, phase, name: f"{phase} of {name}")
    stage.session_state["benchmark.guesses"] = {
        "r": {"decode": "rwkv", "carried": "mamba", "prefill": "jamba"}, "other": {"decode": "mamba"},
    }  # fmt: skip
    guess.answer(run_of(row()))
    guess.answer(run_of(row(), run_id="unknown"))
    (said,) = stage.said("markdown")
    lines = [bare(line) for line in said.split("\n")]
    assert lines[1:] == [
        f"- {say('benchmark.guess.of.decode', name=say('nav.rwkv'))} decode of rwkv",
        f"- {say('benchmark.guess.of.carried', name=say('nav.mamba'))} bytes of mamba",
        f"- {say('benchmark.guess.of.prefill', name=say('nav.jamba'))} prefill of jamba",
    ]


def test_carried_bytes_are_judged_at_the_longest_length_that_all_have_with_the_smallest_batch(say: Say) -> None:
    sizes_at = {
        ("mamba", 64, 1): 500, ("rwkv", 64, 1): 600, ("jamba", 64, 1): 700,
        ("mamba", 128, 1): 512, ("rwkv", 128, 1): 256, ("jamba", 128, 1): 1024,
        ("mamba", 256, 1): 1, ("rwkv", 256, 1): 2,  # not of all
        ("mamba", 512, 8): 3, ("rwkv", 512, 8): 4, ("jamba", 512, 8): 5,
    }  # fmt: skip
    found = [row(name, context, batch=batch, cache_bytes=size) for (name, context, batch), size in sizes_at.items()]
    found += [row("mamba", 999, batch=1, cache_bytes=None),
              row("transformer", 128, cache_bytes=1, batch_limit="memory")]  # fmt: skip
    assert guess._at_longest(found) == {"mamba": 512, "rwkv": 256, "jamba": 1024}
    assert guess._cache_bytes(found, "rwkv") == say("benchmark.guess.right", why="256 B")
    assert guess._cache_bytes(found, "jamba") == say(
        "benchmark.guess.carries_more", least=say("nav.rwkv"), small="256 B", own="1 KiB"
    )
    assert guess._cache_bytes(found, "transformer") == say("benchmark.guess.open")
    assert guess._at_longest([row("mamba", 64, cache_bytes=5)]) == {}, "one alone is no comparison"


def verdict(kind: str, value: float = 2.0) -> Verdict:
    return Verdict(Interval(value, value * 0.9, value * 1.1), Interval(value, value * 0.8, value * 1.2), kind, 5)


def test_a_guessed_time_is_beaten_by_each_that_is_faster_and_shared_with_those_that_are_alike(
    say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    def judged(phase: str, a: str, b: str, kind: str, value: float = 2.0, batch: int = 2) -> Judged:
        return Judged(phase, row(a, batch=batch), row(b, batch=batch), verdict(kind, value), 0.05)

    found = [
        judged("prefill", "mamba", "rwkv", "faster"), judged("decode", "mamba", "rwkv", "slower", 3.0),
        judged("decode", "jamba", "mamba", "faster", 0.25), judged("decode", "mamba", "transformer", "faster", 0.5),
        judged("decode", "rwkv", "jamba", "indistinguishable"), judged("decode", "transformer", "rwkv", "slower"),
        judged("decode", "transformer", "jamba", "slower"), judged("decode", "rwkv", "mamba", "slower", 9.0, batch=8),
    ]  # fmt: skip
    monkeypatch.setattr(guess.verdicts, "judged", lambda _rows: found)
    names = {name: say(f"nav.{name}") for name in ("mamba", "rwkv", "jamba", "transformer")}
    why = verdicts.sentence(verdict("slower", 3.0), names["mamba"], names["rwkv"], margin=0.05)
    assert guess._timed([], "decode", "mamba") == say("benchmark.guess.beaten", count=2, why=why)
    assert guess._timed([], "decode", "rwkv") == say("benchmark.guess.shared", others=names["jamba"])
    assert guess._timed([], "decode", "jamba") == say("benchmark.guess.shared", others=names["rwkv"])
    assert guess._timed([], "prefill", "mamba") == say("benchmark.guess.first")
    assert guess._timed([], "prefill", "jamba") == say("benchmark.guess.open")


# --- planning ----------------------------------------------------------------------------------------------------
@pytest.fixture
def planner(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Have a machine with a processor and two GPUs, and every choice at its default."""
    monkeypatch.setattr(planning.cache, "architectures", lambda: dict.fromkeys(content.table("comparison"), ""))
    monkeypatch.setattr(planning.facts, "devices", lambda: ("cuda:0", "cuda:1", "cpu"))
    monkeypatch.setattr(planning.facts, "device_name", lambda device: f"the {device}")
    monkeypatch.setattr(planning.facts, "usable_cores", lambda: 17)
    stage.session_state.update({f"benchmark.{name}": value for name, value in settings_codec.defaults("quick").items()})
    return stage


def test_beside_run_stand_the_cells_the_time_of_those_that_fit_and_the_largest_process(
    say: Say, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three cells of 1, 5 and 2 minutes, the last of which does not fit; the largest process has 6 MiB."""
    cells = tuple(Cell("mamba", "mamba", 2**n, device="cuda:1") for n in (6, 7, 8))
    made = Plan(cells, (prediction(1), prediction(5), prediction(2, fits=False)))
    lines = {"cuda:1": 0}
    monkeypatch.setattr(runner, "shared", lambda: SimpleNamespace(waiting=lines.__getitem__))
    total = say("benchmark.plan.total", cells=3, time=units.duration(360), memory="6 MiB")
    planning.start_button(made, begun=bool)
    lines["cuda:1"] = 4
    planning.start_button(made, begun=bool)
    assert stage.said("text") == [total, f"{total} · {say('benchmark.plan.line', count=4)}"]
    assert stage.keyed("benchmark.run").options["disabled"] is False
    planning.start_button(None, begun=bool)
    assert stage.keyed("benchmark.run").options["disabled"] is True


def test_run_submits_the_plan_and_leads_to_its_run(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    submitted: list[Plan] = []
    begun: list[str] = []
    noted: list[tuple[str, str]] = []
    here = SimpleNamespace(waiting=lambda _: 0, submit=lambda plan: submitted.append(plan) or "r9")
    monkeypatch.setattr(runner, "shared", lambda: here)
    monkeypatch.setattr(planning.journal, "note", lambda action, *, run: noted.append((action, run)))
    stage.query_params = {"run": "old", "rows": "0123", "lang": "ko"}
    stage.pressed = {"benchmark.run"}
    made = planned(("mamba", 64))
    planning.start_button(made, begun=begun.append)
    assert (submitted, begun, noted) == ([made], ["r9"], [("start", "r9")])
    assert stage.query_params == {"run": "r9", "lang": "ko"}, "the fingerprint was of the rows of the run before"


def test_free_memory_is_rounded_down_to_its_leading_bits() -> None:
    assert [planning._rounded(count) for count in (None, 0, 15, 16, 17, 31, 33, 0b1011_0111)] == [
        None, 0, 15, 16, 16, 30, 32, 0b1011_0000,
    ]  # fmt: skip


def test_a_visit_begins_with_the_choices_of_its_address_and_keeps_its_own_afterwards(planner: Stage) -> None:
    state = planner.session_state
    state.clear()
    planner.query_params = {"plan": "preset:careful;rounds:7;device:cpu"}
    planning._begin()
    known = settings_codec.defaults("careful", "cpu") | {"rounds": 7}
    assert {name: state[f"benchmark.{name}"] for name in known} == known
    assert known["dtype"] == "float32", "usual on the device of the address"
    state["benchmark.rounds"] = 11
    planner.query_params = {"plan": "rounds:5"}
    planning._begin()
    assert state["benchmark.rounds"] == 11


@pytest.mark.parametrize("preset", PRESETS)
def test_another_ready_plan_replaces_what_it_decides_and_nothing_else(planner: Stage, preset: str) -> None:
    """Everything was chosen otherwise; what a ready plan does not decide stays."""
    decided = {"contexts", "batches", "decode_tokens", "rounds", "budget_s", "throughput"}
    decided |= {"device", "dtype"} if preset == "gpu" else set()
    state = planner.session_state
    plain = settings_codec.defaults(preset)
    for name in plain:
        state[f"benchmark.{name}"] = "chosen before"
    state["benchmark.preset"] = preset
    planning._take_preset()
    for name, value in plain.items():
        kept = "chosen before" if name != "preset" else preset
        assert state[f"benchmark.{name}"] == (value if name in decided else kept), name
    for name in ("decode_tokens", "rounds", "budget_s", "throughput"):
        assert state[f"benchmark.{name}"] == PRESETS[preset][name]


@pytest.mark.parametrize(("device", "usual"), [("cpu", "float32"), ("cuda:1", "bfloat16")])
def test_another_device_brings_its_usual_number_type(planner: Stage, device: str, usual: str) -> None:
    planner.session_state.update({"benchmark.device": device, "benchmark.dtype": "float16"})
    planning._take_device()
    assert planner.session_state["benchmark.dtype"] == usual


def test_a_device_is_asked_for_only_where_there_are_several(say: Say, planner: Stage, monkeypatch) -> None:
    planner.session_state["benchmark.device"] = "cuda:1"
    assert planning._which() == "cuda:1"
    asked = planner.keyed("benchmark.device")
    assert asked.args[1] == ("cuda:0", "cuda:1", "cpu") and asked.options["format_func"]("cuda:1") == "CUDA:1"
    presets = planner.keyed("benchmark.preset")
    assert presets.args[1] == ["quick", "careful", "long", "gpu"]
    assert presets.options["format_func"]("careful") == say(
        "benchmark.presets.named", name=say("benchmark.presets.careful"), time=units.duration(600)
    )
    planner.clear()
    monkeypatch.setattr(planning.facts, "devices", lambda: ("cpu",))
    assert planning._which() == "cpu"
    assert not planner.has("benchmark.device")
    assert planner.keyed("benchmark.preset").args[1] == ["quick", "careful", "long"], "no GPU, no plan for it"


@pytest.mark.parametrize(("device", "kind"), [("cpu", "cpu"), ("cuda:1", "gpu")])
def test_the_machine_is_named_and_models_that_are_not_published_explain_themselves(
    say: Say, planner: Stage, device: str, kind: str
) -> None:
    planning._notes(device)
    machine = say(f"benchmark.machine.{kind}", name=f"the {device}", cores=17)
    assert [bare(line) for line in planner.said("caption")] == [machine], "the bundled size needs no note"
    planner.clear()
    planner.session_state["benchmark.size"] = "130m"
    planning._notes(device)
    tier, lang = sizes.tier("130m"), language.current()
    models = [sizes.chosen("130m", name, match="active") for name in tier.models]
    scaled = [say("benchmark.plan.scaled", name=say(f"nav.{one.architecture}"), note=one.note[lang])
              for one in models if not one.published and one.note]  # fmt: skip
    assert scaled
    assert bare(planner.said("caption")[1]).split("  \n") == [tier.note[lang], *scaled]


def test_every_setting_of_a_plan_has_its_own_label_range_and_options(say: Say, planner: Stage) -> None:
    state = planner.session_state
    state.update({"benchmark.budget_s": 33, "benchmark.rounds": 4, "benchmark.decode_tokens": 40, "benchmark.seed": 5,
                  "benchmark.contexts": [512, 128, 77], "benchmark.batches": [8, 1], "benchmark.throughput": True,
                  "benchmark.view": "as_shipped", "benchmark.kernels": "reference", "benchmark.attention": "math",
                  "benchmark.experts": "loop", "benchmark.dtype": "float16", "benchmark.match": "total"})  # fmt: skip
    assert planning._how("cpu") == {
        "contexts": [128, 512], "batches": [1, 8], "budget_s": 33, "rounds": 4, "decode_tokens": 40, "seed": 5,
        "dtype": "float16", "view": "as_shipped", "kernels": "reference", "attention": "math", "experts": "loop",
        "throughput": True,
    }  # fmt: skip
    assert planning._match() == "total"
    for name, step in {"budget_s": 30, "rounds": 1, "decode_tokens": 8, "seed": 1}.items():
        asked = planner.keyed(f"benchmark.{name}")
        assert asked.args == (say(f"benchmark.{name}"), *LIMITS[name]) and asked.options["step"] == step
    options = {
        "dtype": ("float32", "bfloat16", "float16"), "view": ("architecture", "as_shipped"),
        "kernels": ("fast", "reference"), "experts": ("auto", "sorted", "grouped", "batched", "loop"),
        "match": ("active", "total"), "attention": ["auto", "flash", "math"],
    }  # fmt: skip
    for name, offered in options.items():
        assert planner.keyed(f"benchmark.{name}").args == (say(f"benchmark.{name}"), offered), name
    labels = {
        "view": "views.as_shipped",
        "kernels": "kernel.reference",
        "experts": "expert.loop",
        "match": "matches.total",
    }
    for name, key in labels.items():
        label = planner.keyed(f"benchmark.{name}").options["format_func"]
        assert label(key.partition(".")[2]) == say(f"benchmark.{key}")
    helps = {name: planner.keyed(f"benchmark.{name}").options["help"] for name in ("experts", "match", "view")}
    assert helps == {"experts": say("benchmark.experts_help"), "match": say("benchmark.match_help"), "view": None}
    planner.clear()
    state["benchmark.dtype"] = "float32"
    asked = planning._how("cuda:0")
    assert planner.keyed("benchmark.attention").args[1] == ["auto", "flash", "efficient", "math", "cudnn"]
    assert planner.keyed("benchmark.dtype").args[1] == ("bfloat16", "float32", "float16"), "the usual one first"
    state["benchmark.attention"] = "cudnn"
    assert planning._how("cpu")["attention"] == "auto", "another device has other choices"


def test_the_address_of_a_plan_has_its_choices(planner: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    planner.session_state.update({"benchmark.seed": 9, "benchmark.rounds": 6, "contextscope.page": "benchmark"})
    monkeypatch.setattr(language, "current", lambda: "en")
    assert planning.address() == "/benchmark?lang=en&plan=rounds%3A6%3Bseed%3A9"


# --- settings_codec ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["budget_s", "rounds", "decode_tokens", "seed"])
def test_an_address_may_say_the_least_and_the_most_and_nothing_beyond(name: str) -> None:
    low, high = LIMITS[name]
    for value in (low, high):
        assert settings_codec.from_query(f"{name}:{value}") == {"preset": "quick", name: value}
    for value in (low - 1, high + 1):
        assert settings_codec.from_query(f"{name}:{value}") == {}


@pytest.mark.parametrize("preset", PRESETS)
def test_every_choice_of_a_ready_plan_is_as_its_table_says(monkeypatch: pytest.MonkeyPatch, preset: str) -> None:
    monkeypatch.setattr(settings_codec.facts, "devices", lambda: ("cuda:1", "cuda:0", "cpu"))
    ready = PRESETS[preset]
    decided = {name: ready[name] for name in ("decode_tokens", "rounds", "budget_s", "throughput")}
    assert settings_codec.defaults(preset) == decided | {
        "preset": preset, "architectures": ["transformer", "mamba", "rwkv", "jamba"], "size": "bundled",
        "device": "cuda:0" if preset == "gpu" else "cuda:1", "contexts": list(ready["contexts"]),
        "batches": list(ready["batches"]), "seed": 0, "dtype": "bfloat16", "view": "architecture", "kernels": "fast",
        "attention": "auto", "experts": "auto", "match": "active",
    }  # fmt: skip


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


# --- results -----------------------------------------------------------------------------------------------------
def progress(**changes: Any) -> Progress:
    known: dict[str, Any] = {
        "run_id": "r", "state": "running", "position": 3, "total": 11, "done": 4, "cell": None, "phase": "", "round": 0,
        "worker_pid": None, "elapsed_s": 77.0, "remaining_s": 300.0,
    }  # fmt: skip
    return Progress(**(known | changes))


MEASURED = {"cell": Cell("rwkv", "rwkv", 4096), "phase": "prefill", "round": 5}


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"state": "queued"}, [("benchmark.queued", {"position": 3})]),
        ({"paused": True, "held_s": 600.0} | MEASURED, ["4/11", ("benchmark.paused", {"time": 300})]),
        ({"paused": True} | MEASURED, ["4/11", ("benchmark.pausing", {})]),
        ({}, ["4/11", ("benchmark.left", {"time": 300})]),
        ({"remaining_s": None}, ["4/11", ""]),
        ({"phase": "ceilings"}, ["4/11", ("benchmark.phase.ceilings", {})]),
        ({"cell": MEASURED["cell"]},
         ["4/11", "cell", ("benchmark.phase.start", {}), ("benchmark.left", {"time": 300})]),
        ({"cell": MEASURED["cell"], "phase": "parity"},
         ["4/11", "cell", ("benchmark.phase.parity", {}), ("benchmark.left", {"time": 300})]),
        (MEASURED, ["4/11", "cell", "round", ("benchmark.left", {"time": 300})]),
    ],
)  # fmt: skip
def test_a_run_under_way_says_how_far_it_is_and_what_it_does(
    say: Say, changes: dict[str, Any], parts: list[Any]
) -> None:
    """A pause ends by itself after 15 minutes: after 10 of them 5 are left."""
    known = {
        "cell": say("benchmark.cell", name=say("nav.rwkv"), tokens="4,096"),
        "round": say("benchmark.round", phase=say("benchmark.phase.prefill"), number=5),
    }
    written = []
    for part in parts:
        if isinstance(part, tuple):
            key, values = part
            values = {name: units.duration(one) if name == "time" else one for name, one in values.items()}
            written.append(say(key, **values))
        else:
            written.append(known.get(part, part))
    assert results._live_text(progress(**changes)) == " · ".join(written)


@pytest.mark.parametrize(
    ("now", "shown"),
    [
        ({}, ["benchmark.pause", "benchmark.cancel"]),
        ({"paused": True, "held_s": 1.0}, ["benchmark.resume", "benchmark.cancel"]),
        ({"state": "queued"}, ["benchmark.cancel"]),
    ],
)
def test_a_live_run_is_paused_or_resumed_and_always_cancelled(say: Say, stage: Stage, monkeypatch, now, shown) -> None:
    acted: list[tuple[str, str]] = []
    noted: list[tuple[str, str]] = []
    here = SimpleNamespace(progress=lambda _: progress(**now), **{
        name: lambda run_id, name=name: acted.append((name, run_id)) or name != "cancel"
        for name in ("pause", "resume", "cancel")
    })  # fmt: skip
    monkeypatch.setattr(runner, "shared", lambda: here)
    monkeypatch.setattr(results.journal, "note", lambda action, *, run: noted.append((action, run)))
    stage.pressed = {"benchmark.pause", "benchmark.resume", "benchmark.cancel"}
    results._live("r", 4)
    assert [call.options["key"] for call in stage.found("button")] == shown
    assert [call.args[0] for call in stage.found("button")] == [say(key) for key in shown]
    acts = [key.removeprefix("benchmark.") for key in shown]
    assert acted == [(name, "r") for name in acts]
    assert noted == [(name, "r") for name in acts if name != "cancel"], "only what was done"
    (bar,) = stage.found("progress")
    assert bar.args == (4 / 11,) and bar.options["text"] == results._live_text(progress(**now))
    assert stage.found("rerun") == []
    results._live("r", 3)
    assert stage.found("rerun")[0].options == {"scope": "app"}, "a new row redraws the page"


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
    results.pictures(run_of(row(state="cancelled"), row("rwkv", state="oom")))
    assert stage.said("info") == [say("benchmark.waiting")] and not drawn
    kept = [row(), row("rwkv", state="oom")]
    results.pictures(run_of(row("jamba", state="cancelled"), *kept, row("mamba", 64, batch_limit="memory")))
    assert list(drawn) == ["memory", "prefill", "decode", "hood"]
    assert list(drawn["memory"].args[1]) == kept, "cells at a largest batch have a picture of their own"


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
    drawn: list[tuple[str, list[Measurement]]] = []
    monkeypatch.setattr(results, "panel", lambda draw, _, **options: panels.append((draw, options)))
    monkeypatch.setattr(results, "_kept", lambda run, name, draw: drawn.append((name, draw.args[0])) or draw)
    found = [row(batch=8), row("rwkv", batch=4), row("jamba", batch=4)]
    if shown != "carried":
        stage.session_state["benchmark.quantity"] = shown
    results._memory(run_of(*found, title="a title"), found)
    chooser = stage.keyed("benchmark.quantity")
    assert chooser.args == (say("benchmark.quantity.label"), ("carried", "peak", "parts"))
    assert chooser.options["format_func"]("peak") == say("benchmark.quantity.peak")
    ((draw, options),) = panels
    if shown == "parts":
        assert draw.func is results.memory.memory_parts and drawn == [("parts", found[1:])]
        assert options == {"key": "benchmark.parts", "source": "a title"}
    else:
        assert draw.func is results.memory.memory_vs_context and drawn == [("memory", found)]
        assert options == {"key": "benchmark.memory", "source": "a title", "peak": shown == "peak"}


def test_status_is_live_while_the_run_is_and_a_headline_afterwards(say: Say, stage: Stage, monkeypatch) -> None:
    now: list[Progress | None] = [progress(state="done"), None, progress()]
    monkeypatch.setattr(runner, "shared", lambda: SimpleNamespace(progress=lambda _: now[0]))
    monkeypatch.setattr(results.gate, "gated", lambda draw: lambda *given: stage._called("live", *given))
    run = run_of(row())
    for _ in range(3):
        results.status(run)
        now.pop(0)
    assert stage.said("text") == [results._headline(run)] * 2
    assert [call.args for call in stage.found("live")] == [("r", 4)]
    assert stage.found("fragment")[0].options == {"run_every": results.POLL_S}


# --- rows --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("facts", "replaced", "key"),
    [
        ({}, False, "benchmark.rows.ok"),
        ({"tpot_iqr_rel": 0.15}, False, "benchmark.rows.noisy"),
        ({"tpot_iqr_rel": 0.9}, False, "benchmark.rows.unusable"),
        ({"state": "oom"}, False, "viz.state.oom"),
        ({"state": "unstable"}, False, "viz.state.unstable"),
        ({"state": "oom"}, True, "benchmark.rows.replaced"),
        ({"tpot_iqr_rel": 0.15}, True, "benchmark.rows.replaced"),
    ],
)
def test_a_row_says_its_state_or_that_it_was_replaced(say: Say, facts: Mapping[str, Any], replaced, key: str) -> None:
    assert rows._state(row(**facts), replaced=replaced) == say(key)


def test_a_table_of_rows_has_only_columns_that_say_something(say: Say) -> None:
    lines = rows._listed(run_of(row(mfu=0.0), row("rwkv", mbu=0.5), row("rwkv", mbu=0.25)))
    names = [
        say(f"benchmark.rows.{name}") for name in ("architecture", "batch", "context", "state", "formula", "mbu", "mfu")
    ]
    assert [list(line) for line in lines] == [names] * 3
    assert [line[say("benchmark.rows.mbu")] for line in lines] == [None, "50%", "25%"]
    assert [line[say("benchmark.rows.mfu")] for line in lines] == ["0%", None, None]
    assert [line[say("benchmark.rows.state")] for line in lines] == [
        say("benchmark.rows.ok"), say("benchmark.rows.replaced"), say("benchmark.rows.ok")]  # fmt: skip
    assert rows._listed(run_of()) == []


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


def test_the_places_of_the_notes_and_the_words_of_the_page_exist() -> None:
    assert set(NOTED) == set(checks.NOTES)
    assert set(content.table("comparison")) == {"transformer", "mamba", "rwkv", "jamba"}


# --- the page ----------------------------------------------------------------------------------------------------
def test_the_planner_makes_the_plan_of_its_choices_or_asks_for_some(say: Say, planner: Stage, monkeypatch) -> None:
    made: list[Any] = []
    drawn: list[Any] = []
    monkeypatch.setattr(planning.facts, "free_bytes", lambda device: {"cuda:1": 2**30}[device])
    monkeypatch.setattr(runner, "shared", lambda: SimpleNamespace(rates=lambda: "rates"))
    monkeypatch.setattr(planning, "make_plan", lambda *given, **options: made.append((given, options)) or "plan")
    monkeypatch.setattr(planning.grid, "draw", drawn.append)
    state = planner.session_state
    state["benchmark.begun"] = True
    state.update({"benchmark.device": "cuda:1", "benchmark.size": "130m", "benchmark.architectures": ["rwkv", "mamba"],
                  "benchmark.match": "total", "benchmark.dtype": "bfloat16", "benchmark.seed": 5})  # fmt: skip
    assert planning.planner() == "plan" and drawn == ["plan"]
    ((sources, contexts), options) = made[0]
    assert sources == sizes.sources("130m", ["mamba", "rwkv"], match="total")
    assert contexts == [256, 512, 1024, 2048, 4096, 8192]
    assert options == {
        "device": "cuda:1", "size": "130m", "batches": [1], "budget_s": 90, "rounds": 5, "decode_tokens": 24, "seed": 5,
        "dtype": "bfloat16", "view": "architecture", "kernels": "fast", "attention": "auto", "experts": "auto",
        "throughput": False, "rates": "rates",
    }  # fmt: skip
    for name in ("architectures", "contexts", "batches"):
        planner.clear()
        kept, state[f"benchmark.{name}"] = state[f"benchmark.{name}"], []
        assert planning.planner() is None and planner.said("text") == [say("benchmark.plan.empty")]
        state[f"benchmark.{name}"] = kept
    assert len(made) == 1


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
