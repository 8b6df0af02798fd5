"""Every cell of every table of the pages, read back from the HTML, against records whose numbers all differ."""

import dataclasses
import re
from collections.abc import Callable, Mapping
from html import unescape
from types import SimpleNamespace
from typing import Any

import pytest

from models.bench.judge.comparison import BETWEEN_RUNS, CellPair
from models.bench.judge.statistics import Verdict
from models.bench.judge.verdicts import Judged
from models.bench.plan.plan import Plan
from models.published import PublishedCheck, PublishedTable
from models.recall.expectations import Finding
from models.records.cell import Cell, Prediction
from models.records.interval import Interval
from models.records.measurement import Measurement
from models.records.recall import Accuracy
from models.records.run import Run
from pages.compare.benchmark import beside, checks, comparison, grid, provenance, results, rows, verdicts
from pages.compare.recall import expected, question, training
from pages.shared import implementation, training_curves
from pages.shared.words import content, i18n, language, units

Say = Callable[..., str]


@pytest.fixture(params=i18n.LANGS)
def say(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Say:
    """Have the pages speak one language without a visitor, and return its translator."""
    monkeypatch.setattr(language, "current", lambda: request.param)
    return i18n.translator(request.param)


def cells_of(markup: str) -> list[list[str]]:
    """Read the rows of a table: the text of each cell, its lines apart."""
    found = []
    for row in re.findall(r"<tr[^>]*>(.*?)</tr>", markup, re.DOTALL):
        cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)
        found.append([unescape(re.sub(r"<[^>]+>", "", re.sub("<br>", "\n", cell))) for cell in cells])
    return found


def row(architecture: str = "mamba", context: int = 512, **facts: Any) -> Measurement:
    known: dict[str, Any] = {
        "run_id": "r", "cell_id": f"{architecture}-{context}", "state": "ok", "source": f"{architecture}-130m",
        "batch": 1, "device": "cpu", "dtype": "float32", "decode_tokens": 2, "seed": 0,
    }  # fmt: skip
    return Measurement(architecture=architecture, context=context, **(known | facts))


def run_of(*found: Measurement, **changes: Any) -> Run:
    return Run(**({"run_id": "r", "title": "", "created_ns": 1, "cells": (), "environment": {}} | changes), rows=found)


# --- the pages that explain --------------------------------------------------------------------------------------
def test_bits_per_byte_stand_under_the_language_of_their_text(say: Say) -> None:
    bits = {"mamba": {"en": 1.113, "ko": 2.226}, "jamba": {"ko": 4.444, "en": 3.339}}
    assert cells_of(training_curves.bits_table(bits)) == [
        [say("training.bits"), say("training.bits_en"), say("training.bits_ko")],
        [say("nav.mamba"), "1.11", "2.23"],
        [say("nav.jamba"), "3.34", "4.44"],
    ]


def test_the_spread_of_the_models_is_worst_over_best_in_each_language(say: Say) -> None:
    judged = [
        {
            "en": {"bits_per_byte": 1.0, "unigram_bits_per_byte": 4.0},
            "ko": {"bits_per_byte": 3.0, "unigram_bits_per_byte": 5.0},
        },
        {
            "en": {"bits_per_byte": 2.5, "unigram_bits_per_byte": 5.0},
            "ko": {"bits_per_byte": 2.0, "unigram_bits_per_byte": 2.5},
        },
    ]
    said = say("training.spread", en="2.50", share_en="50%", ko="1.50", share_ko="80%")
    assert training_curves.apart(judged) == said


@pytest.mark.parametrize("card", [{}, {"epochs": 1.257}], ids=["once", "epochs"])
def test_a_budget_says_every_number_of_its_recipe(say: Say, card: dict[str, Any]) -> None:
    recipe = {"steps": 1700, "batch": 32, "context": 256, "restarts": (10, 1000)}
    key = "training.read_epochs" if card else "training.read"
    values = {"epochs": "1.26"} if card else {}
    read = say(key, tokens="13,926,400", steps="1,700", rows=32, context=256, **values)
    once = training_curves.budget({"recipe": recipe, "tokens_seen": 13_926_400, **card})
    assert once == f"{read} {say('training.restarted', tokens='81,920 · 8,192,000')}"


def test_what_ran_names_each_function_with_its_code(say: Say) -> None:
    ran = {"scan": "seqops reference loop", "conv": "some package 1.2"}
    trace = SimpleNamespace(architecture="mamba", device="cuda", dtype="bfloat16", seconds=1.2345, implementation=ran)
    facts = say("ran.facts", device="CUDA", dtype="bfloat16", ms="1,234")
    written = implementation._written(trace, named=True)
    known = [[say(f"ran.function.{name}"), implementation.implementation(code)] for name, code in ran.items()]
    assert cells_of(written) == known
    assert known[0][1] == say("ran.code.seqops_reference_loop") and known[1][1] == "some package 1.2"
    assert f"<caption>{say('nav.mamba')} · {facts}</caption>" in unescape(written)
    assert f"<caption>{facts}</caption>" in unescape(implementation._written(trace, named=False))


# --- the benchmark -----------------------------------------------------------------------------------------------
def prediction(number: int, *, fits: bool = True, **facts: Any) -> Prediction:
    return Prediction(number * 2**20, 2**20, 0, 0, 1.0, 1.0, number * 60.0, fits, **facts)


def test_the_plan_has_the_bytes_and_seconds_of_each_cell_in_its_place(say: Say) -> None:
    places = [("mamba", 1, 256), ("mamba", 1, 512), ("rwkv", 1, 256), ("mamba", 8, 256), ("mamba", 8, 512)]
    planned = [Cell(name, name, context, batch) for name, batch, context in places]
    largest = [Cell(name, name, 512, count, largest=True, batch_limit=why) for name, count, why in
               (("rwkv", 4096, "memory"), ("mamba", 64, "cap"))]  # fmt: skip
    foretold = [prediction(1), prediction(2), prediction(3), prediction(4, fits=False),
                prediction(5, fits=False, positions_needed=9), prediction(6), prediction(7)]  # fmt: skip
    made = Plan((*planned, *largest), tuple(foretold), dropped=(Cell("rwkv", "rwkv", 1024, 1),))
    left_out = say("benchmark.plan.left_out")

    def fitting(number: int) -> str:
        return f"{units.size((number + 1) * 2**20)}\n{units.duration(60 * number)}"

    table, more, _ = grid._drawn(made)
    assert cells_of(table) == [
        [say("benchmark.tokens"), "256", "512", "1,024"],
        [say("benchmark.plan.batch", count=1)],
        [say("nav.mamba"), fitting(1), fitting(2), left_out],
        [say("nav.rwkv"), fitting(3), left_out, left_out],
        [say("benchmark.plan.batch", count=8)],
        [
            say("nav.mamba"),
            f"5 MiB\n{say('benchmark.plan.too_large')}",
            f"6 MiB\n{say('benchmark.plan.too_long')}",
            left_out,
        ],
        [say("nav.rwkv"), left_out, left_out, left_out],
    ]
    items = re.findall("<li.*?</li>", str(more))
    assert [re.sub("<[^>]+>", "", item) for item in items] == [
        f"{say('nav.rwkv')} 4,096 {say('benchmark.limit.memory')}",
        f"{say('nav.mamba')} 64 {say('benchmark.limit.cap')}",
    ]
    assert say("benchmark.plan.largest", tokens="512") in str(more)


def judged_as(kind: str, value: float, low: float, high: float) -> Verdict:
    """Make a verdict whose own interval and the one that decides differ."""
    return Verdict(Interval(value, low, high), Interval(value, low + 0.001, high + 0.001), kind, 5)


@pytest.mark.parametrize(
    ("kind", "first", "second", "numbers"),
    [("faster", "A", "B", ("2", "1.6", "2.5")), ("slower", "B", "A", ("0.5", "0.4", "0.63"))],
)
def test_a_verdict_names_the_faster_first_and_its_factor_between_its_ends(say, kind, first, second, numbers) -> None:
    """The ratio is of times, a over b: below one a is faster, by its inverse, whose ends change places."""
    ratio, low, high = numbers
    found = judged_as(kind, 0.5, 0.4, 0.625)
    known = say("benchmark.verdict.faster", a=first, b=second, ratio=ratio, low=low, high=high)
    assert verdicts.sentence(found, "A", "B") == known
    assert float(low) < float(ratio) < float(high)


def test_a_pair_of_verdicts_has_its_names_place_and_both_phases(say: Say) -> None:
    a, b = row("mamba", batch=8), row("rwkv", batch=8)
    kinds = {"prefill": judged_as("faster", 0.5, 0.4, 0.6), "decode": judged_as("slower", 4.0, 3.0, 5.0)}
    phases = {phase: Judged(phase, a, b, found, 0.05) for phase, found in kinds.items()}
    names = (say("nav.mamba"), say("nav.rwkv"))
    place = f"{say('benchmark.verdict.at', tokens='512')} · {say('benchmark.plan.batch', count=8)}"
    said = [verdicts.sentence(found, *names, margin=0.05) for found in kinds.values()]
    assert said[0] != said[1]
    assert cells_of(verdicts._row(phases, batches=True)) == [[f"{names[0]} · {names[1]}\n{place}", *said]]
    alone = verdicts._row({"decode": phases["decode"]}, batches=False)
    assert cells_of(alone) == [[f"{names[0]} · {names[1]}\n{place.split(' · ')[0]}", "", said[1]]]


def test_growth_names_the_steepest_first_and_who_is_apart_from_it(say: Say) -> None:
    def grown(name: str, power: float) -> list[Measurement]:
        return [
            row(
                name, n, rounds=4, prefill_ms_samples=tuple((n / 64) ** power * 10 * (1 + at / 1000) for at in range(4))
            )
            for n in (64, 128, 256, 512)
        ]

    found = (*grown("mamba", 1.0), *grown("transformer", 2.0), *grown("rwkv", 1.0))
    others = f"{say('nav.mamba')}, {say('nav.rwkv')}"
    known = say("benchmark.verdict.growth_apart", name=say("nav.transformer"), k="2.00", others=others)
    assert verdicts.growth_line(found) == known
    same = (*grown("mamba", 1.0), *grown("rwkv", 1.0))
    assert verdicts.growth_line(same) in [
        say("benchmark.verdict.growth_same", name=say(f"nav.{name}"), k="1.00") for name in ("mamba", "rwkv")
    ]
    assert verdicts.growth_line(found[:6]) == "", "three lengths of two models at least"


def test_two_runs_beside_each_other_have_their_phases_memory_and_this_run_first(say: Say) -> None:
    a, b = row(peak_bytes=300, threads=2), row(peak_bytes=200, threads=4)
    phases = ("prefill", "decode")
    found = {phase: judged_as("slower", 2.0 + at, 1.5 + at, 2.5 + at) for at, phase in enumerate(phases)}
    pair = CellPair(a, b, found, {"threads": (2, 4)})
    name = say("benchmark.cell", name=say("nav.mamba"), tokens="512")
    this, that = say("benchmark.beside.this"), say("benchmark.beside.that")
    said = [verdicts.sentence(found[phase], this, that, margin=BETWEEN_RUNS) for phase in phases]
    told = say("benchmark.beside.changed", list=f"{say('benchmark.differs.threads')} 2 / 4")
    assert cells_of(beside._pair(pair, {})) == [
        [f"{name}\n{say('benchmark.plan.batch', count=1)}", *said, say("benchmark.beside.times", ratio="1.50")],
        [told],
    ]
    del found["prefill"]
    assert cells_of(beside._pair(CellPair(a, b, found, {}), {}))[0][1:3] == ["", said[1]]


def test_a_model_of_a_run_has_its_own_facts(say: Say) -> None:
    codes = {"scan": "seqops reference loop", "own": "x"}
    found = [
        row("mamba", params_total=129_000_000, params_active=128_000_000, config_hash="h1", implementation=codes),
        row("mamba", 1024, params_total=129_000_000, params_active=128_000_000, config_hash="h1",
            implementation={"scan": "other code"}),
        row("jamba", params_total=300_000_000, config_hash="h2", implementation={}),
        row("rwkv", state="oom", config_hash="h3"),
    ]  # fmt: skip
    heads = ("architecture", "source", "total", "active", "config_hash", "code")
    scan = f"{say('ran.function.scan')}: {say('ran.code.seqops_reference_loop')} / other code"
    assert cells_of(provenance._models(run_of(*found))) == [
        [say(f"benchmark.provenance.{name}") for name in heads],
        [
            say("nav.mamba"),
            "mamba-130m",
            units.compact(129_000_000),
            units.compact(128_000_000),
            "h1",
            f"{scan}; own: x",
        ],
        [say("nav.jamba"), "jamba-130m", units.compact(300_000_000), "", "h2", ""],
    ]


def test_a_round_has_its_own_samples_in_milliseconds(say: Say) -> None:
    found = row(
        rounds=2,
        prefill_ms_samples=(10.12345, 20.0),
        first_token_ms_samples=(11.0, 21.0),
        decode_ms_samples=(3.0, 1.0, 8.0, 4.0, 6.0, 5.123456),
        decode_tokens=3,
        e2e_ms_samples=(31.0,),
    )
    names = ("round", "prefill", "first", "median", "least", "most", "e2e")
    known = ((1, 10.123, 11.0, 3.0, 1.0, 8.0, 31.0), (2, 20.0, 21.0, 5.1235, 4.0, 6.0, None))
    heads = [say(f"benchmark.provenance.round.{name}") for name in names]
    assert provenance._rounds(found) == [dict(zip(heads, values, strict=True)) for values in known]


def test_the_facts_of_a_run_are_each_from_its_own_column(say: Say) -> None:
    """Every fact of the machine and every setting has another value."""
    facts = (*provenance.MACHINE, *provenance.VERSIONS)
    machine = {name: 2**30 + place if name.endswith("_bytes") else f"v{place}" for place, name in enumerate(facts)}
    values = {"size": "s1", "dtype": "d1", "view": "w1", "attention": "a1", "kernels": "k1", "experts": "e1",
              "decode_tokens": 11, "rounds": 12, "threads": 13, "seed": 14}  # fmt: skip
    found = [
        row(environment=machine, started_ns=3 * 10**18, ended_ns=4 * 10**18, protocol_version=5, **values),
        row("rwkv", environment=machine, started_ns=2 * 10**18, ended_ns=25 * 10**17, protocol_version=6, **values),
    ]
    told = dict(provenance._about(run_of(*found, run_id="r7")))
    for name in facts:
        shown = units.size(machine[name]) if name.endswith("_bytes") else machine[name]
        assert told[say(f"benchmark.provenance.{name}")] == shown
    for name in provenance.SETTINGS:
        assert told[say(f"benchmark.provenance.{name}")] == str(values[name]), name
    assert told[say("benchmark.provenance.run")] == "r7"
    assert told[say("benchmark.provenance.protocol")] == "5, 6"
    span = [provenance.moment_text(ns, seconds=True) for ns in (2 * 10**18, 4 * 10**18)]
    assert told[say("benchmark.provenance.when")] == " – ".join(span), "from the first to the last"


def test_each_aspect_of_an_architecture_says_its_published_and_its_measured_values(say: Say) -> None:
    """The columns are the architectures, each with a source of its own, and under it the measured text of its rows."""
    measured = {name: [] for name in content.table("comparison")} | {
        "mamba": [row(cache_bytes=1024, ttft_ms_med=100.0, params_total=10**6, params_active=10**5,
                      decode_ms_samples=(1.0, 2.0, 4.0, 5.0)),
                  row(context=2048, cache_bytes=4096, ttft_ms_med=50.0, params_total=2 * 10**6, params_active=10**6,
                      decode_ms_samples=(3.0, 1.0, 2.0, 4.0, 5.0))],
    }  # fmt: skip
    head, *lines = cells_of(comparison._table(measured))
    names = list(content.table("comparison"))
    assert head == ["", *(say(f"nav.{name}") for name in names)]
    texts = {
        "context": say("benchmark.measured.context", tokens="2,048"),
        "time_complexity": "",
        "speed": say(
            "benchmark.measured.speed", tokens="2,048", read="40,960", median="3.00", low="2.00", high="4.00", count=5
        ),
        "parameter_efficiency": say(
            "benchmark.measured.parameters", total=units.compact(2 * 10**6), active=units.compact(10**6)
        ),
        "memory": say("benchmark.measured.memory", first="512", small="1 KiB", last="2,048", large="4 KiB"),
    }
    for aspect, (title, *cells) in zip(comparison.ASPECTS, lines, strict=True):
        assert title == say(f"benchmark.aspect.{aspect}")
        for name, cell in zip(names, cells, strict=True):
            entry = content.table("comparison")[name][aspect]
            assert cell.startswith(entry[language.current()] + say("benchmark.source") + entry["source"]), (
                name,
                aspect,
            )
            found = (texts[aspect] if name == "mamba" else "") or say("benchmark.measured.none")
            assert cell.endswith(f"{say('benchmark.measured.here')} {found}"), (name, aspect)
            for claim in content.table("claims"):
                truth = claim.get(f"truth_{language.current()}")
                assert (truth is not None and truth in cell) == (claim["id"] in entry.get("claims", ())), (name, aspect)
    eight = [dataclasses.replace(one, batch=8) for one in measured["mamba"]]
    read = say(
        "benchmark.measured.speed", tokens="2,048", read="327,680", median="3.00", low="2.00", high="4.00", count=5
    )
    assert comparison.measured_text(eight, "speed") == f"{say('benchmark.plan.batch', count=8)}: {read}"


def check(**changes: Any) -> PublishedCheck:
    known: dict[str, Any] = {
        "source": "s", "row": "one", "quantity": "layers", "printed": "1.5", "formula": "", "unit": "B",
        "exact": 1_512_345_678, "computed": "1.6", "agrees": True,
    }  # fmt: skip
    return PublishedCheck(**(known | changes))


def test_a_recounted_table_has_the_printed_value_before_the_computed_one(say: Say) -> None:
    second = {"row": "two", "unit": "", "printed": "46080", "computed": "46081", "agrees": False}
    found = (check(), check(quantity="width"), check(**second), check(**second, note="cut", quantity="width"))
    table = PublishedTable("s", "name", "p", "https://x", None, None, None, found)
    billions = [say("checks.unit.B", value=value) for value in ("1.5", "1.6")]
    agrees = f"✓ {say('checks.state.agrees')}"
    quantity = {name: say(f"checks.quantity.{name}") for name in ("layers", "width")}
    assert cells_of(checks._table(table)) == [
        [say(f"checks.column.{name}") for name in ("row", "quantity", "printed", "computed", "state")],
        ["one", quantity["layers"], *billions, agrees],
        [quantity["width"], *billions, agrees],
        ["two", quantity["layers"], "46,080", "46,081", f"✕ {say('checks.state.differs')}"],
        [quantity["width"], "46,080", "46,081", f"≠ {say('checks.state.explained')}3"],
    ]
    assert 'title="1,512,345,678"' in checks._table(table)
    assert '<th scope="rowgroup" rowspan="2" lang="en">one</th>' in checks._table(table)


@pytest.mark.parametrize("batch", [1, 8])
def test_a_cell_is_named_with_its_batch_where_it_is_larger_than_one(say: Say, batch: int) -> None:
    key = "benchmark.cell" if batch == 1 else "benchmark.cell_batch"
    known = say(key, name=say("nav.jamba"), tokens="4,096", **({"batch": batch} if batch > 1 else {}))
    assert results.cell_name(row("jamba", 4096, batch=batch)) == known
    assert ("8" in known) == (batch == 8)


def test_the_room_of_a_model_is_between_the_longest_that_fits_and_the_least_that_does_not(say: Say) -> None:
    full = [row(context=n, state="oom") for n in (16384, 8192)]
    found = run_of(
        *full, row(context=512), row(context=4096), row("rwkv", 2048, state="oom"), row(context=1024, batch=8)
    )
    assert results._room(found) == [
        say("benchmark.room", name=say("nav.mamba"), batch=1, fits="4,096", full="8,192"),
    ]


class Frame:
    """The table of rows as Streamlit returns it, with the rows that a visitor has ticked."""

    def __init__(self, ticked: list[int]) -> None:
        self.selection = SimpleNamespace(rows=ticked)


def test_the_rows_that_are_measured_again_are_those_that_were_ticked(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in a run in which earlier rows of a cell were replaced, and where more was ticked than there is."""
    found = [row("rwkv", 64), row("mamba", 64), row("rwkv", 64, rounds=9), row("jamba", 64)]
    asked: list[Mapping[str, Any]] = []
    monkeypatch.setattr(rows, "_button", lambda name, run, cells, words: asked.append({"cells": cells, "words": words}))
    shown: list[Any] = []
    ticks: list[list[int]] = []

    class Expander:
        open = True

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None:
            return None

    def frame(lines: Any, **_: Any) -> Frame:
        shown.append(lines)
        return Frame(ticks[-1])

    monkeypatch.setattr(rows.unfolding, "section", lambda *_, **__: Expander())
    here = SimpleNamespace(dataframe=frame, caption=bool, multiselect=lambda *_, **__: None, session_state={})
    monkeypatch.setattr(rows, "st", here)
    for ticked, cells in (([1, 3], {"mamba-64", "jamba-64"}), ([2], {"rwkv-64"}), ([3, 9], {"jamba-64"}), ([], set())):
        ticks.append(ticked)
        rows.table(run_of(*found))
        assert asked.pop() == {"cells": cells, "words": say("benchmark.again.chosen", count=len(cells))}
    names = [line[say("benchmark.rows.architecture")] for line in shown[0]]
    assert names == [say(f"nav.{one.architecture}") for one in found], "a line for each row, in their order"
    replaced = [line[say("benchmark.rows.state")] == say("benchmark.rows.replaced") for line in shown[0]]
    assert replaced == [True, False, False, False]


# --- recall ------------------------------------------------------------------------------------------------------
def test_an_expectation_has_what_theory_says_what_was_seen_and_a_verdict(say: Say) -> None:
    numbers = {"few": 0.911, "many": 0.622, "limit": 0.95}
    found = [Finding("attention_pairs", "no", numbers), Finding("attention_pairs", "yes", numbers)]
    found += [Finding("attention_pairs", "unclear", numbers)] * 3
    line, table = expected._judged(found)
    values = {"few": "91%", "many": "62%", "limit": "95%"}
    words = [say(f"recall.finding.attention_pairs.{name}", **values) for name in ("expected", "observed")]
    marks = {"yes": "✓", "no": "✕", "unclear": "≈"}
    assert cells_of(table) == [
        [say(f"recall.expected.{name}") for name in ("what", "seen", "verdict")],
        *([*words, f"{marks[one.verdict]} {say(f'recall.verdict.{one.verdict}')}"] for one in found),
    ]
    assert line == say("recall.expected.counted", all=5, agree=1, unclear=3, against=1)


def test_the_sizes_of_the_small_models_are_each_from_its_own_field(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {
        "parameters": 123_456, "parameters_active": 65_432, "bytes_float16": 3 * 2**20, "lr": 0.0025,
        "runs": [{"training_s": 61.4, "budget": {"steps": 5000, "tokens": 81_920_000}}, {"training_s": 72.6}],
    }  # fmt: skip
    record = SimpleNamespace(task="mqar", about={"architectures": {"jamba": entry}}, runs={"jamba": [1, 2]})
    shown: dict[str, Any] = {}
    monkeypatch.setattr(training.st, "markdown", lambda text: shown.update(text=text))
    monkeypatch.setattr(training.st, "dataframe", lambda lines, **_: shown.update(lines=lines))
    monkeypatch.setattr(training, "panel", lambda *_, **__: None)
    training.budget(record)
    known = {
        "name": say("nav.jamba"), "parameters": "123,456", "active": "65,432", "bytes": "3 MiB", "rate": "0.0025",
        "seconds": "61 / 73",
    }  # fmt: skip
    assert shown["lines"] == [{say(f"recall.column.{name}"): value for name, value in known.items()}]
    assert shown["text"] == say("recall.budget", steps="5,000", tokens="81,920,000", seeds=2)


@pytest.mark.parametrize("right", [True, False])
def test_an_answer_has_the_probability_of_the_right_token_and_what_is_carried(say: Say, right: bool) -> None:
    """A model that is sure of a wrong answer (0.9) gives the right one 0.125, and that is the number and the bar."""
    trace = SimpleNamespace(architecture="rwkv", cache_bytes=3 * 2**10)
    answer = question.Answer(trace, 5, "said", 0.9, 0.125, right)
    found = SimpleNamespace(expected="wanted", asked="asked")
    markup = question._answer(answer, found)
    texts = [unescape(re.sub("<[^>]+>", "", part)) for part in re.findall(r"<span.*?</span>|<small.*?</small>", markup)]
    words = unescape(re.sub("<[^>]+>", "|", markup))
    assert texts[0] == say("nav.rwkv") and texts[1] == "said"
    assert say("recall.answer.right" if right else "recall.answer.wrong", expected="wanted") in words
    assert ("✓" in words, "✕" in words) == (right, not right)
    assert "width:12.5%" in markup and ">12%<" in markup and "90%" not in markup
    assert say("recall.answer.carried", bytes="3 KiB") in words


def test_a_question_says_how_far_back_its_answer_stands(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(question.st, "markdown", said.append)
    found = SimpleNamespace(asked="A", expected="B", asked_at=90, answer_at=13)
    question._sentence(SimpleNamespace(task="mqar"), found)
    assert said == [say("recall.asks.mqar", asked="A", expected="B", gap=77, place=13)]


def test_a_headline_of_recall_counts_what_agrees_among_what_was_measured_in_both(say: Say) -> None:
    from pages.compare.recall import measuring

    def cell(distance: int, accuracy: float, count: int = 640) -> Accuracy:
        return Accuracy({"distance": distance}, accuracy, accuracy - 0.01, accuracy + 0.01, count, 9, 9)

    before = {"mamba": [cell(1, 0.9), cell(2, 0.8), cell(4, 0.5)], "rwkv": [cell(1, 0.9)]}
    now = {"mamba": [cell(1, 0.9, 320), cell(2, 0.3)], "rwkv": [cell(2, 0.9)], "jamba": [cell(1, 0.9)]}
    assert measuring.agreement(before, now) == (1, 2)
    record = SimpleNamespace(bundled=before, about={"environment": {"host_cpu": "CPU x"}, "held_out_seed": 986})
    recorded = say("recall.recorded", cpu="CPU x", seed=986, asked="640")
    assert measuring._headline(record, None) == recorded
    for planned, key in ((4, "recall.measured"), (9, "recall.stopped")):
        live = SimpleNamespace(measured=4, planned=planned, cells=now, seconds=120.0, key=SimpleNamespace(seed=7))
        values = {"time": units.duration(120), "done": 4, "planned": planned, "seed": 7, "asked": "320"}
        assert measuring._headline(record, live) == say(key, agree=1, total=2, **values)
