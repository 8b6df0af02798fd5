"""The benchmark page over stand-in workers: plan, run, failures said in words, and the same run after a reload."""

import dataclasses
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from models import registry
from models.bench import runner as runners
from models.bench import statistics
from models.bench.plan import Rates, make_plan
from pages.compare.bench import comparison, planning, results, verdicts
from pages.shared import i18n

ROOT = Path(__file__).resolve().parents[2]
FRAME = ROOT / "pages" / "frame" / "main.py"
PAGE = ROOT / "pages" / "compare" / "benchmark.py"
pytestmark = pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")


@pytest.fixture
def shared(runner, monkeypatch):
    """Put the stand-in runner in the place of the process's own."""
    monkeypatch.setattr(runners, "shared", lambda: runner)
    monkeypatch.setattr(runner, "rates", lambda: Rates(1e11, 1e11))
    return runner


def opened(lang="en", **query):
    at = AppTest.from_file(str(FRAME), default_timeout=200)
    for name, value in ({"lang": lang} | query).items():
        at.query_params[name] = value
    at.switch_page(str(PAGE))
    return calm(at.run())


def calm(at):
    assert [error.value for error in (*at.exception, *at.error)] == []
    return at


def texts(at):
    return " | ".join(
        element.value for kind in (at.text, at.caption, at.warning, at.info, at.markdown) for element in kind
    )


@pytest.mark.parametrize("lang", i18n.LANGS)
def test_the_first_view_shows_a_plan_and_says_that_nothing_was_measured(shared, lang):
    at = opened(lang)
    say = i18n.translator(lang)
    assert say("benchmark.plan.predicted") in texts(at)
    assert say("benchmark.no_runs") in texts(at)
    assert not at.button(key="benchmark.run").disabled


def test_choosing_nothing_asks_for_something(shared):
    at = opened()
    at.button_group(key="benchmark.architectures").set_value([]).run()
    assert i18n.say("en", "benchmark.plan.empty") in texts(calm(at))
    assert at.button(key="benchmark.run").disabled


@pytest.mark.parametrize("lang", i18n.LANGS)
def test_a_run_is_shown_with_what_happened_to_its_failed_cells(shared, plan_of, lang):
    run_id = shared.submit(plan_of("ok", "crash", "ok", "oom", "ok", "ok", "ok"))
    assert shared.wait(run_id, timeout_s=60)
    at = opened(lang, run=run_id)
    said = texts(at)
    assert "SIGKILL" in said
    assert i18n.say(lang, "errors.cell_oom") in said
    assert len(at.get("vega_lite_chart")) == 3


def test_pressing_run_measures_the_plan_and_a_reload_keeps_it(shared, monkeypatch):
    def stand_ins(*args, **options):
        plan = make_plan(*args, **options)
        return dataclasses.replace(plan, cells=tuple(dataclasses.replace(cell, source="ok") for cell in plan.cells))

    monkeypatch.setattr(planning, "make_plan", stand_ins)
    at = opened()
    at.button(key="benchmark.run").click().run()
    calm(at)
    (run_id,) = shared._jobs
    assert at.query_params["run"] in (run_id, [run_id])
    assert shared.wait(run_id, timeout_s=120)
    at = opened(run=run_id)
    found = shared.store.run(run_id)
    assert len(found.rows) == len(found.cells) >= 8
    assert f"{len(found.rows)} of {len(found.cells)} cells" in texts(at)


def test_a_running_run_shows_progress_and_can_be_cancelled(shared, plan_of):
    run_id = shared.submit(plan_of("ok", "ok", "ok", "ok", "hang"))
    at = opened(run=run_id)
    at.button(key="benchmark.cancel").click().run()
    assert shared.wait(run_id, timeout_s=30)
    assert i18n.say("en", "errors.cell_cancelled") in texts(calm(at.run()))


def test_an_unknown_run_in_the_address_is_said(shared):
    assert i18n.say("en", "benchmark.no_such_run") in texts(opened(run="../../etc/passwd"))


def test_the_comparison_says_what_was_measured(shared, plan_of, monkeypatch):
    monkeypatch.setattr(comparison, "t", i18n.translator("en"))
    run_id = shared.submit(plan_of(*["ok"] * 12))
    assert shared.wait(run_id, timeout_s=60)
    rows = [row for row in shared.store.run(run_id).rows if row.architecture == "mamba"]
    assert "n^1.00" in comparison.measured_text(rows, "time_complexity"), "the stand-in's time is its context"
    assert "64 tokens" in comparison.measured_text(rows, "context")
    assert comparison.measured_text([], "speed") == ""


def test_a_run_is_named_listed_exported_and_deleted(shared, plan_of):
    run_id = shared.submit(plan_of("ok", "ok"))
    assert shared.wait(run_id, timeout_s=60)
    at = opened(run=run_id)
    at.text_input(key=f"benchmark.title.{run_id}").set_value("first light").run()
    calm(at)
    assert shared.store.run(run_id).title == "first light"
    assert any("first light" in option for option in at.selectbox(key="benchmark.chosen").options)
    formats = {button.proto.label for button in at.get("download_button") if "export" in button.proto.id}
    assert i18n.say("en", "benchmark.format.parquet") in formats
    assert at.button(key="benchmark.delete").disabled
    at.checkbox(key=f"benchmark.sure.{run_id}").check().run()
    at.button(key="benchmark.delete").click().run()
    calm(at)
    assert shared.store.run(run_id) is None


def test_every_setting_reaches_the_plan(shared, monkeypatch):
    asked = {}

    def note(*args, **options):
        asked.update(options, contexts=args[1])
        return make_plan(*args, **options)

    monkeypatch.setattr(planning, "make_plan", note)
    at = opened()
    at.button_group(key="benchmark.contexts").set_value([256, 512]).run()
    at.button_group(key="benchmark.batches").set_value([1, 8]).run()
    at.number_input(key="benchmark.rounds").set_value(4).run()
    at.number_input(key="benchmark.budget_s").set_value(7200).run()
    at.button_group(key="benchmark.kernels").set_value("reference").run()
    at.toggle(key="benchmark.throughput").set_value(True).run()
    calm(at)
    assert asked["contexts"] == [256, 512]
    assert asked["batches"] == [1, 8]
    assert (asked["rounds"], asked["kernels"], asked["throughput"], asked["budget_s"]) == (4, "reference", True, 7200)


def test_a_larger_size_says_that_its_weights_are_random(shared):
    at = opened()
    at.button_group(key="benchmark.size").set_value("130m").run()
    assert "random weights" in texts(calm(at))


@pytest.mark.parametrize("lang", i18n.LANGS)
def test_two_runs_are_set_beside_each_other(shared, plan_of, lang):
    first, second = (shared.submit(plan_of("ok", "ok")) for _ in range(2))
    assert shared.wait(second, timeout_s=60)
    at = opened(lang, run=first)
    assert i18n.say(lang, "benchmark.beside.title") in [found.label for found in at.expander]
    calm(at)


def test_the_verdict_says_which_is_faster_and_when_nothing_can_be_said(monkeypatch):
    monkeypatch.setattr(verdicts, "t", i18n.translator("en"))
    a = [[10.0, 10.1], [10.2, 10.0], [9.9, 10.0], [10.1, 10.0]]
    b = [[2 * took for took in made] for made in a]
    assert verdicts.sentence(statistics.verdict(a, b), "Mamba", "RWKV").startswith("Mamba is 2.0")
    assert verdicts.sentence(statistics.verdict(b, a), "Mamba", "RWKV").startswith("RWKV is 2.0")
    assert "cannot be told apart" in verdicts.sentence(statistics.verdict(a, a[::-1]), "Mamba", "RWKV")
    assert "one round only" in verdicts.sentence(statistics.verdict(a[:1], b[:1]), "Mamba", "RWKV")


@pytest.mark.parametrize(("lang", "words"), [("en", ["no GPU", "captured"]), ("ko", ["GPU 없음", "캡처함"])])
def test_why_steps_were_not_captured_is_said_in_both_languages(monkeypatch, lang, words):
    monkeypatch.setattr(results, "t", i18n.translator(lang))
    monkeypatch.setattr(results.session, "language", lambda: lang)
    assert [results._graph(said) for said in ("no GPU", "captured")] == words
    assert results._graph("RuntimeError: what torch said.") == "RuntimeError: what torch said."
