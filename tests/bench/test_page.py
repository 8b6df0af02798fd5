"""The benchmark page over stand-in workers: plan, run, failures said in words, and the same run after a reload."""

import dataclasses
import re

import pytest
from page_helpers import PLAN_OPEN, calm, opened, texts
from run_helpers import numbered, until

from models import describe, registry
from models.bench.judge import comparison as run_comparison
from models.bench.judge import statistics
from models.bench.judge.statistics import Verdict
from models.bench.plan.plan import make_plan
from models.errors import SourceError
from models.records.interval import Interval
from models.records.run import Run
from pages.compare.benchmark import beside, comparison, planning, results, rows, verdicts
from pages.shared.layout import moment_text
from pages.shared.words import i18n

pytestmark = pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")


@pytest.mark.parametrize("lang", i18n.LANGS)
def test_the_first_view_shows_a_plan_and_says_that_nothing_was_measured(shared, lang):
    at = opened(lang)
    say = i18n.translator(lang)
    line = say("benchmark.plan.line", total="|").partition("|")[2]
    assert [found.label.endswith(line) for found in at.expander][:1] == [True], "folded into one line"
    assert say("benchmark.plan.predicted") not in texts(at)
    assert say("benchmark.no_runs") in texts(at)
    assert not at.button(key="benchmark.run").disabled
    assert say("benchmark.plan.predicted") in texts(opened(lang, state=PLAN_OPEN))


def test_choosing_nothing_asks_for_something(shared):
    at = opened(state=PLAN_OPEN)
    at.button_group(key="benchmark.architectures").set_value([]).run()
    assert i18n.say("en", "benchmark.plan.empty") in [found.label for found in calm(at).expander]
    assert at.button(key="benchmark.run").disabled


@pytest.mark.slow
@pytest.mark.parametrize("lang", i18n.LANGS)
def test_a_run_is_shown_with_what_happened_to_its_failed_cells(shared, plan_of, lang):
    run_id = shared.submit(plan_of("ok", "crash", "ok", "oom", "ok", "ok", "ok"))
    assert shared.wait(run_id, timeout_s=240)
    at = opened(lang, run=run_id)
    said = texts(at)
    assert "SIGKILL" in said
    assert i18n.say(lang, "errors.cell_oom") in said
    assert len(at.get("plotly_chart")) == 4, "three over context, and the ratios"


@pytest.mark.slow
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
    assert shared.wait(run_id, timeout_s=240)
    at = opened(run=run_id)
    found = shared.store.run(run_id)
    assert len(found.rows) == len(found.cells) >= 8
    assert f"{len(found.rows)} of {len(found.cells)} cells" in texts(at)


@pytest.mark.slow
def test_a_running_run_shows_progress_and_can_be_cancelled(shared, plan_of):
    run_id = shared.submit(plan_of("ok", "ok", "ok", "ok", "hang"))
    at = opened(run=run_id)
    at.button(key="benchmark.cancel").click().run()
    assert shared.wait(run_id, timeout_s=240)
    assert i18n.say("en", "errors.cell_cancelled") in texts(calm(at.run()))


@pytest.mark.slow
@pytest.mark.parametrize("lang", i18n.LANGS)
def test_a_run_fills_its_board_cell_by_cell_while_another_visitor_sees_it_in_the_line(
    shared, plan_of, monkeypatch, lang
):
    """Four cells are done at once; four others take a third of a second a round, forty of them."""
    say = i18n.translator(lang)
    plan = plan_of(*["ok"] * 4, *["slow"] * 4, rounds=40)
    monkeypatch.setattr(planning, "make_plan", lambda *_, **__: plan)
    at = opened(lang)
    at.button(key="benchmark.run").click().run()
    (run_id,) = shared._jobs
    slow = plan.cells[4].cell_id
    until(lambda: (now := shared.progress(run_id).board.get(slow)) and now.rounds)
    board = board_of(calm(at.run()))
    assert board.count("cs-measured") == 4 and board.count("cs-open") + board.count("cs-waits") == 4
    assert board.count("cs-steady") and say("benchmark.board.step", time="|").partition("|")[2] in board
    assert len(at.get("plotly_chart")) == 4, "of the first four rows, and their ratios"
    assert say("benchmark.queue.yours") in texts(at)
    assert say("benchmark.queue.others", count=1) not in texts(at)
    other = opened(lang)
    assert say("benchmark.queue.others", count=1) in texts(other)
    assert say("benchmark.queue.yours") not in texts(other)
    at.button(key="benchmark.cancel").click().run()
    assert shared.wait(run_id, timeout_s=240)
    assert board_of(calm(at.run())) == "" and say("benchmark.queue.yours") not in texts(at)


def board_of(at):
    """Return the table of a run that is measured; "" where none is."""
    tables = [found.proto.body for found in at.get("html") if "cs-plan" in found.proto.body]
    return "".join(tables)


@pytest.mark.slow
def test_the_run_before_stays_until_the_first_row_of_the_next(shared, plan_of, monkeypatch):
    before = shared.submit(plan_of("ok", "ok"))
    assert shared.wait(before, timeout_s=240)
    monkeypatch.setattr(planning, "make_plan", lambda *_, **__: plan_of("hang"))
    at = opened(run=before)
    at.button(key="benchmark.run").click().run()
    ghost = i18n.say("en", "benchmark.ghost", when=moment_text(shared.store.run(before).created_ns))
    assert ghost in texts(calm(at)) and len(at.get("plotly_chart")) == 4, "with the ratios of that run"
    assert ghost not in texts(opened(run=next(one for one in shared._jobs if one != before))), "started elsewhere"
    at.button(key="benchmark.cancel").click().run()


def test_an_unknown_run_in_the_address_is_said(shared):
    assert i18n.say("en", "benchmark.no_such_run") in texts(opened(run="../../etc/passwd"))


def test_the_comparison_says_what_was_measured(shared, plan_of, monkeypatch):
    monkeypatch.setattr(comparison, "t", i18n.translator("en"))
    run_id = shared.submit(plan_of(*["ok"] * 12))
    assert shared.wait(run_id, timeout_s=240)
    rows = [row for row in shared.store.run(run_id).rows if row.architecture == "mamba"]
    assert "n^1.00" in comparison.measured_text(rows, "time_complexity"), "the stand-in's time is its context"
    assert "64 tokens" in comparison.measured_text(rows, "context")
    assert comparison.measured_text([], "speed") == ""


@pytest.mark.slow
def test_a_run_is_named_listed_exported_and_deleted(shared, plan_of):
    run_id = shared.submit(plan_of("ok", "ok"))
    assert shared.wait(run_id, timeout_s=240)
    at = opened(run=run_id)
    at.text_input(key=f"benchmark.title.{run_id}").set_value("first light").run()
    calm(at)
    assert shared.store.run(run_id).title == "first light"
    assert any("first light" in option for option in at.selectbox(key="benchmark.chosen").options)
    formats = {button.proto.label for button in at.get("download_button") if "export" in button.proto.id}
    assert i18n.say("en", "benchmark.format.parquet") in formats
    found = shared.store.run(run_id)
    at.button(key="benchmark.delete").click().run()
    assert i18n.say("en", "benchmark.deleted", title="first light") in texts(calm(at))
    assert shared.store.run(run_id) is None and "run" not in at.query_params
    at.button(key="benchmark.undo").click().run()
    assert i18n.say("en", "benchmark.deleted", title="first light") not in texts(calm(at))
    assert shared.store.run(run_id) == found
    assert at.selectbox(key="benchmark.chosen").value == run_id and at.query_params["run"] in (run_id, [run_id])


@pytest.mark.slow
def test_every_setting_reaches_the_plan(shared, monkeypatch):
    asked = {}

    def note(*args, **options):
        asked.update(options, sources=args[0], contexts=args[1])
        return make_plan(*args, **options)

    monkeypatch.setattr(planning, "make_plan", note)
    at = opened(state=PLAN_OPEN)
    at.button_group(key="benchmark.contexts").set_value([256, 512]).run()
    at.button_group(key="benchmark.batches").set_value([1, 8]).run()
    at.number_input(key="benchmark.rounds").set_value(4).run()
    at.number_input(key="benchmark.budget_s").set_value(7200).run()
    at.button_group(key="benchmark.kernels").set_value("reference").run()
    at.button_group(key="benchmark.experts").set_value("grouped").run()
    at.button_group(key="benchmark.match").set_value("total").run()
    at.number_input(key="benchmark.seed").set_value(11).run()
    at.toggle(key="benchmark.throughput").set_value(True).run()
    calm(at)
    assert asked["contexts"] == (256, 512)
    assert asked["batches"] == [1, 8]
    assert (asked["rounds"], asked["kernels"], asked["throughput"], asked["budget_s"]) == (4, "reference", True, 7200)
    assert (asked["experts"], asked["seed"]) == ("grouped", 11)
    assert asked["sources"]["jamba"] == "ladder:bundled/jamba-total"
    assert "with random weights, so that all its experts together store" in texts(at)


def test_a_larger_size_says_that_its_weights_are_random(shared):
    at = opened(state=PLAN_OPEN)
    at.button_group(key="benchmark.size").set_value("130m").run()
    assert "random weights" in texts(calm(at))


@pytest.mark.slow
@pytest.mark.parametrize("lang", i18n.LANGS)
def test_two_runs_are_set_beside_each_other(shared, plan_of, lang):
    first, second = (shared.submit(plan_of("ok", "ok")) for _ in range(2))
    assert shared.wait(second, timeout_s=240)
    at = opened(lang, run=first)
    title = i18n.say(lang, "benchmark.beside.title")
    assert title not in [found.value for found in at.header]
    at.selectbox(key="benchmark.beside").select(second).run()
    assert title in [found.value for found in calm(at).header]
    assert at.query_params["beside"] in (second, [second])
    at.selectbox(key="benchmark.chosen").select(second).run()
    assert title not in [found.value for found in calm(at).header], "a run is not beside itself"
    assert "beside" not in at.query_params


def test_the_verdict_says_which_is_faster_and_when_nothing_can_be_said(monkeypatch):
    monkeypatch.setattr(verdicts, "t", i18n.translator("en"))
    a = [[10.0, 10.1], [10.2, 10.0], [9.9, 10.0], [10.1, 10.0]]
    b = [[2 * took for took in made] for made in a]
    assert verdicts.sentence(statistics.verdict(a, b), "Mamba", "RWKV").startswith("Mamba is 2 times")
    assert verdicts.sentence(statistics.verdict(b, a), "Mamba", "RWKV").startswith("RWKV is 2 times")
    assert "cannot be told apart" in verdicts.sentence(statistics.verdict(a, a[::-1]), "Mamba", "RWKV")
    assert "one round only" in verdicts.sentence(statistics.verdict(a[:1], b[:1]), "Mamba", "RWKV")


@pytest.mark.parametrize(("lang", "words"), [("en", ["no GPU", "captured"]), ("ko", ["GPU 없음", "캡처함"])])
def test_why_steps_were_not_captured_is_said_in_both_languages(monkeypatch, lang, words):
    monkeypatch.setattr(rows, "t", i18n.translator(lang))
    monkeypatch.setattr(rows.session, "language", lambda: lang)
    assert [rows.captured(said) for said in ("no GPU", "captured")] == words
    assert rows.captured("RuntimeError: what torch said.") == "RuntimeError: what torch said."


def test_each_column_of_the_rows_shows_its_own_field(monkeypatch, measurement):
    """Every number of the row is another, so that a column which reads its neighbour says so."""
    monkeypatch.setattr(rows, "t", i18n.translator("en"))
    monkeypatch.setattr(rows.session, "language", lambda: "en")
    columns = numbered(
        context=512, batch=4, cache_bytes=2**11, cache_bytes_formula=2**11, peak_bytes=2**12,
        peak_reserved_bytes=2**13, peak_process_bytes=2**14, pred_bytes=2**15, ttft_ms_med=20.126, tpot_ms_med=3.1235,
        tpot_iqr_rel=0.07, rounds=5, rounds_repeated=2, rounds_unsteady=1, cpu_waited=0.04, cpu_others=0.6,
        e2e_tokens_per_s=99.96, mbu=0.52, mfu=0.13,
        ops_per_token=80, launch_fraction=0.31, harness_ms=0.00456, parity_max_rel=1e-6, parity_chunk_rel=2e-6,
        parity_batch_rel=3e-6, parity_float32_rel=4e-6, experts_distinct=3.14, graph="no GPU", started_ns=10**18,
        implementation={"scan": "loop", "conv": "kernel"},
    )  # fmt: skip
    row = measurement(**columns)
    said = rows._columns(row, replaced=False)
    assert said == {
        "architecture": "Mamba", "batch": 4, "context": 512, "state": "ok", "carried": "2 KiB", "formula": True,
        "peak": "4 KiB", "reserved": "8 KiB", "process": "16 KiB", "predicted": "32 KiB", "prefill": 20.13,
        "decode": 3.123, "spread": "7%", "rounds": 5, "repeated": 2, "unsteady": 1,
        "waited": "4%", "others": "60%",
        "e2e": 100.0, "mbu": "52%", "mfu": "13%",
        "operators": 80, "waiting": "31%", "harness": 0.0046, "parity": "1e-06",
        "chunked": "2e-06", "alone": "3e-06", "exact": "4e-06",
        "experts": 3.1, "graph": "no GPU", "badge": said["badge"],
        "code": "scan: loop; conv: kernel", "when": moment_text(10**18),
    }  # fmt: skip
    assert rows._columns(row, replaced=True)["state"] == "replaced"
    other = dataclasses.replace(row, cache_bytes_formula=2**11 + 1)
    assert rows._columns(other, replaced=False)["formula"] is False


STANDING = {
    "done": {"ended": "done"},
    "cancelled": {"ended": "cancelled"},
    "open": {},
    "imported": {"ended": "done", "imported": True},
    "recorded": {"ended": "done", "recorded": True},
}


@pytest.mark.parametrize("key", STANDING)
def test_a_headline_says_where_a_run_comes_from_and_how_it_stands(said_in, key):
    head = results._headline(Run("r", "", 1, (), {}, (), **STANDING[key]))
    words = i18n.say(said_in, f"benchmark.headline.{key}", when="|", machine="", done=0, total=0).split("|")
    assert all(part.split(":")[0] in head for part in words)
    here, still = {"en": ("here", "still open"), "ko": ("이 컴퓨터", "진행 중")}[said_in]
    assert (here in head) == (key == "done")
    assert (still in head) == (key == "open"), "another process may be at it"


@pytest.mark.parametrize(
    ("low", "high", "margin", "key", "shown"),
    [
        (0.97, 1.04, 0.05, "indistinguishable", "0.97"),
        (1.03, 1.03, 0.05, "small", "5"),
        (0.96, 0.99, 0.05, "small", "5"),
        (1.03, 1.20, 0.05, "perhaps_small", "5"),
        (1.002, 1.008, 0.01, "small", "1.008"),
    ],
)
def test_a_difference_within_the_margin_is_not_called_none(said_in, low, high, margin, key, shown):
    interval = Interval(low, low, high)
    told = verdicts.sentence(Verdict(interval, interval, "indistinguishable", 5), "A", "B", margin=margin)
    values = {"a": "A", "b": "B", "margin": f"{100 * margin:g}", "low": "LOW", "high": "HIGH"}
    words = i18n.say(said_in, f"benchmark.verdict.{key}", **values)
    assert told.startswith(words.split("LOW")[0])
    assert shown in told


def test_the_margin_between_runs_is_stated(said_in, measurement, monkeypatch):
    captions = []
    monkeypatch.setattr(beside.st, "html", bool)
    monkeypatch.setattr(beside.st, "caption", captions.append)
    run = Run("r", "", 1, (), {}, (measurement(),))
    beside._draw(run_comparison.compare(run, run))
    assert any(re.search(r"\b5 ?%", caption) for caption in captions)


def test_what_changed_and_the_batch_stand_with_a_cell_of_two_runs(said_in, measurement):
    a = measurement(threads=2, batch=8, batch_limit="memory", graph="no GPU", implementation={"scan": "x" * 500})
    b = measurement(threads=8, batch=8, graph="sliding window", implementation={"scan": "<b>"})
    (pair,) = run_comparison.compare(*(Run("r", "", 1, (), {}, (row,)) for row in (a, b))).pairs
    drawn = beside._pair(pair, {})
    for key in ("benchmark.differs.threads", "benchmark.graph.no_gpu", "benchmark.beside.largest"):
        assert i18n.say(said_in, key) in drawn
    assert " 2 / 8" in drawn
    assert i18n.say(said_in, "benchmark.plan.batch", count=8) in drawn
    assert "<b>" not in drawn and "x" * 100 not in drawn
    assert beside._pair(dataclasses.replace(pair, changed={}), {}).count("<tr>") == 1
    other = dataclasses.replace(pair, changed=pair.changed | {"threads": (2, 4)})
    everywhere = beside._everywhere([pair, other])
    assert everywhere and "threads" not in everywhere
    alone = beside._pair(other, everywhere)
    assert " 2 / 4" in alone and i18n.say(said_in, "benchmark.graph.no_gpu") not in alone
    assert beside._pair(pair, beside._everywhere([pair])).count("<tr>") == 1, "what all share is said once, above"


def test_korean_sentences_of_two_names_need_no_particle_that_depends_on_them():
    changing = re.compile(r"\{[ab]\}(?:은|는|이|가|을|를|과|와)(?!\()")
    words = {key: text for key, text in i18n.words("ko").items() if key.startswith("benchmark.")}
    assert {key: text for key, text in words.items() if changing.search(text)} == {}


def test_growth_is_said_without_markdown_of_a_file(monkeypatch, measurement):
    evil = "[click](http://evil.example)"
    monkeypatch.setattr(verdicts, "t", lambda key, **values: f"{key} {values}")
    rows = tuple(
        measurement(
            context=2**power,
            architecture=name,
            cell_id=f"{name}-{power}",
            prefill_ms_samples=(float(power), power + 1.0),
        )
        for name in (f"a {evil}", f"b {evil}")
        for power in (4, 5, 6)
    )
    drawn = []
    for kind in ("html", "caption"):
        monkeypatch.setattr(verdicts.st, kind, bool)
    monkeypatch.setattr(verdicts.st, "markdown", drawn.append)
    verdicts._verdicts(Run("r", "", 1, (), {}, rows, imported=True))
    assert any("click" in text for text in drawn)
    assert all("[click](" not in text for text in drawn)


def test_a_file_has_no_folder_or_hub_looked_up(monkeypatch, measurement, tmp_path):
    asked = []
    monkeypatch.setattr(describe, "resolve", lambda name: asked.append(name) or _no_shape(name))
    named = ("mamba", "mamba-130m", "ladder:130m/jamba", str(tmp_path), "someone/model")
    rows = tuple(measurement(context=2**i, source=name) for i, name in enumerate(named))
    results._floors(Run("r", "", 1, (), {}, rows, imported=True))
    assert sorted(asked) == sorted(named[:3])
    asked.clear()
    results._floors(Run("r", "", 1, (), {}, rows))
    assert sorted(asked) == sorted(named)


def _no_shape(name):
    raise SourceError("errors.source_not_found", name, source=name)


def test_every_rung_has_its_parameters_without_being_called_bundled(monkeypatch, said_in, measurement):
    monkeypatch.setattr(comparison, "t", i18n.translator(said_in))
    row = measurement(size="130m", params_total=130_000_000, params_active=130_000_000)
    told = comparison.measured_text([row], "parameter_efficiency")
    assert "130M" in told
    assert "bundled" not in told and "제공하는" not in told


def test_a_batch_that_was_never_tried_is_not_said_to_fill_the_memory(said_in):
    assert {"en": "predicted", "ko": "예측"}[said_in] in i18n.say(said_in, "benchmark.limit.memory")
    assert {"en": "would not fit", "ko": "들어가지 않음"}[said_in] in i18n.say(
        said_in, "viz.largest_batch.limit.memory"
    )


def test_korean_names_for_the_same_things_are_the_same_on_one_screen():
    words = {key: text for key, text in i18n.words("ko").items() if key.startswith(("store.", "benchmark."))}
    others = re.compile(r"아키텍처|수 형식|기기|묶음|이 실행|다른 실행|실행 결과|규모|\b행\b")
    assert {key: text for key, text in words.items() if others.search(text)} == {}
    for column in ("architecture", "batch", "state"):
        assert words[f"store.report.columns.{column}"] == words[f"benchmark.rows.{column}"]
    assert words["store.report.columns.dtype"] == words["benchmark.dtype"]
