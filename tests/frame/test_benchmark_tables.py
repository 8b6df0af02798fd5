"""Words and numbers of published tables, comparisons, the plan and guesses, from hand-made records.

Values differ everywhere, so that a sentence with its neighbour's number says so; expected sentences are filled here.
"""

from typing import Any

import pytest
from benchmark_records import Say, planned, prediction, row, run_of, stage_of, verdict
from stage import Stage, bare, words_of

from models.bench.judge.verdicts import Judged
from models.bench.plan.plan import Note, Plan
from models.published import PublishedCheck, PublishedTable
from models.records.cell import Cell
from pages.compare.benchmark import (
    checks,
    comparison,
    grid,
    guess,
    verdicts,
)
from pages.shared.words import content, units


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Draw the parts of the page without Streamlit."""
    return stage_of(monkeypatch)


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
@pytest.mark.parametrize(
    ("facts", "shown"),
    [
        ({"fits": True}, None),
        ({"fits": False, "positions_needed": 9}, "too_long"),
        ({"fits": False}, "too_large"),
    ],
)
def test_a_cell_that_does_not_fit_says_why(say: Say, facts: dict[str, Any], shown: str | None) -> None:
    drawn = grid._cell(4096, (Cell("mamba", "mamba", 4096), prediction(2, **facts)), grid._foretold)
    words = say(f"benchmark.plan.{shown}") if shown else units.duration(120)
    assert words_of(drawn) == f"3 MiB {words}"
    assert ("cs-hatched" in drawn) == (shown is not None)
    assert words_of(grid._cell(4096, None, grid._foretold)) == say("benchmark.plan.left_out")
    assert 'data-at="4,096"' in drawn and 'data-at="4,096"' in grid._cell(4096, None, grid._foretold), (
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


def test_the_places_of_the_notes_and_the_words_of_the_page_exist() -> None:
    assert set(NOTED) == set(checks.NOTES)
    assert set(content.table("comparison")) == {"transformer", "mamba", "rwkv", "jamba"}
