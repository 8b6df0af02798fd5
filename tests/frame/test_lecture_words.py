"""The sentences of what the lecture asks, in both languages: every outcome and crossing, every value in its place."""

import math

import pytest
from benchmark_records import Say, prediction, row, run_of
from stage import words_of

from models.bench.judge.crossing import Crossing
from models.bench.judge.expectations import CROSSING, Evidence, Judgement
from models.bench.plan.experiments import experiments
from models.bench.plan.plan import Plan
from models.records.cell import Cell
from models.records.interval import Interval
from pages.compare.benchmark import experiments as page
from pages.compare.benchmark import grid, turns
from pages.shared.words import i18n, units

AT = Interval(3068.4, 2428.1, 3620.7)
FOUND = Interval(1.234, 1.111, 1.357)
KNOWN = {
    "name": "rwkv", "other": "mamba", "first": "transformer", "then": "jamba", "at": AT, "within": (256.0, 8192.0),
    "found": FOUND, "context": 1024, "short": 512, "long": 4096, "low_bytes": 2**20, "high_bytes": 3 * 2**20,
    "limit_bytes": 7 * 2**20, "batch": 64, "other_batch": 16,
}  # fmt: skip
OF = "benchmark.lecture.of."
SEEN = sorted(key.removeprefix(OF) for key in i18n.words("en") if key.startswith(OF))


@pytest.mark.parametrize("seen", SEEN)
def test_every_sentence_takes_its_values_as_people_read_them(say: Say, seen: str) -> None:
    said = page.observed(Judgement("met", seen, KNOWN))
    names = {key: say(f"nav.{KNOWN[key]}") for key in ("name", "other", "first", "then")}
    counts = {key: units.count(KNOWN[key]) for key in ("context", "short", "long", "batch", "other_batch")}
    sizes = {key: units.size(KNOWN[key]) for key in ("low_bytes", "high_bytes", "limit_bytes")}
    numbers = {"value": "1.23", "low": "1.11", "high": "1.36", "tokens": "3,068", "least": "2,428", "most": "3,621",
               "from": "256", "to": "8,192"}  # fmt: skip
    assert said == say(f"{OF}{seen}", **names, **counts, **sizes, **numbers)
    assert "{" not in said


def test_what_cannot_be_decided_says_why_and_what_was_seen(say: Say) -> None:
    both = page.observed(Judgement("undecided", "exponent", {"name": "rwkv", "found": FOUND}, "unsure"))
    assert both.endswith(say("benchmark.lecture.why.unsure")) and "1.23" in both
    alone = page.observed(Judgement("undecided", why="no_times"))
    assert alone == say("benchmark.lecture.why.no_times")
    once = Interval(1.5, -math.inf, math.inf)
    assert "∞" in page.observed(Judgement("undecided", "exponent", {"name": "rwkv", "found": once}, "once"))


@pytest.mark.parametrize("outcome", ["met", "not_met", "undecided"])
def test_an_outcome_has_a_mark_and_a_word(say: Say, outcome: str) -> None:
    mark, kind = page.MARKS[outcome]
    drawn = page._row("a < b", Judgement(outcome, why="once"))  # type: ignore[arg-type]
    assert words_of(drawn).endswith(f"{mark} {say(f'benchmark.lecture.{outcome}')}")
    assert f"cs-{kind}" in drawn and "a &lt; b" in drawn


def test_a_run_that_has_not_ended_is_not_called_unsteady(say: Say) -> None:
    """Before its rows are there, they are not measured yet; what is there already is shown."""
    rows = [row("mamba", n, cache_bytes=7, rounds=1) for n in (256, 8192)]
    chosen = experiments()["crossing"]
    _, table = page._judged(chosen, run_of(*rows, ended=""))
    said = words_of(table)
    assert say("benchmark.lecture.why.waiting") in said
    assert say("benchmark.lecture.why.few_lengths") not in said
    assert say("benchmark.lecture.met") in said, "the bytes of Mamba are there"
    _, table = page._judged(chosen, run_of(*rows, ended="done"))
    assert say("benchmark.lecture.why.few_lengths") in words_of(table)


@pytest.mark.parametrize(
    ("kind", "basis", "key"),
    [
        ("crosses", "rounds", "crosses_rounds"),
        ("crosses", "cells", "crosses_cells"),
        ("crosses", "formula", "crosses_formula"),
        ("always", "rounds", "always"),
        ("by", "rounds", "by"),
        ("undecided", "rounds", "undecided"),
    ],
)
def test_a_place_where_the_order_turns(say: Say, kind: str, basis: str, key: str) -> None:
    at = AT if kind in ("crosses", "by") else None
    found = Crossing("transformer", "jamba", kind, at, (256.0, 8192.0), basis)  # type: ignore[arg-type]
    drawn = turns._crossing("prefill", found)
    values = {"then": say("nav.jamba"), "tokens": "3,068", "least": "2,428", "most": "3,621"}
    assert words_of(drawn) == say(f"benchmark.lecture.turns.{key}", **values)
    assert ("cs-quiet" in drawn) == (kind == "undecided")
    column = say("benchmark.lecture.crossing.prefill")
    assert f'data-at="{column}"' in drawn and f'data-at="{column}"' in turns._crossing("prefill", None)


def test_the_table_of_crossings_has_a_row_for_each_pair_and_none_for_a_single_model(say: Say) -> None:
    rows = [
        row(name, n, peak_bytes=peak * n, cache_bytes=1, prefill_ms_samples=(1.0,), source=name)
        for name, peak in (("transformer", 3), ("mamba", 2), ("rwkv", 1))
        for n in (256, 512)
    ]
    table = turns._crossing_table(run_of(*rows))
    assert table is not None
    said = words_of(table)
    for pair in (("transformer", "mamba"), ("transformer", "rwkv"), ("mamba", "rwkv")):
        assert " · ".join(say(f"nav.{name}") for name in pair) in said
    assert all(say(f"benchmark.lecture.crossing.{quantity}") in said for quantity in CROSSING)
    assert say("benchmark.lecture.turns.always", then=say("nav.rwkv")) in said
    assert turns._crossing_table(run_of(*rows[:2])) is None
    assert turns._generation_figure(run_of(*rows)) is None


def test_no_question_is_judged_by_a_sentence_that_is_missing() -> None:
    """All that rules may say has a sentence: kinds of crossings with their basis, reasons, phases of ratios."""
    rows = [row(name, n) for name in ("transformer", "mamba", "rwkv") for n in (256, 8192)]
    for one in experiments().values():
        for expected in one.expectations:
            found = expected.rule.judge(Evidence(rows, {}))
            keys = [f"{OF}{found.seen}"] if found.seen else []
            keys += [f"benchmark.lecture.why.{found.why}"] if found.why else []
            assert keys and all(i18n.has("ko", key) for key in keys)


def test_a_plan_with_two_models_of_an_architecture_names_them_and_leaves_open_what_it_does_not_ask(say: Say) -> None:
    cells = (Cell("mamba", "mamba-130m", 8), Cell("mamba", "ladder:block/mamba", 50, size="block"))
    table, _, _ = grid._drawn(Plan(cells, (prediction(1), prediction(2))))
    said = words_of(table)
    assert "mamba-130m" in said and "ladder:block/mamba" in said
    assert said.count("–") == 2 and say("benchmark.plan.left_out") not in said
