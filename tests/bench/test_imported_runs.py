"""A run that came in a file is shown to who opened it, never to others unasked, and costs a page a bounded effort."""

import cProfile
import dataclasses
import pstats
import threading
import time
from functools import partial

import pytest
from page_helpers import opened, texts

from models import registry
from models.bench.judge import verdicts
from models.bench.judge.comparison import compare
from models.bench.store import files
from models.bench.store.recorded import write_lines
from models.bench.store.store import Store, _insert
from models.bench.store.validation import MOST_ROWS
from models.errors import SourceError
from models.records.run import Run
from pages.compare.benchmark import runs
from pages.shared.words import i18n

FUTURE_NS = 4_000_000_000_000_000_000  # in the year 2096
ARCHITECTURES = ("transformer", "mamba", "rwkv", "jamba")
with_models = pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")


@pytest.fixture
def poison(measurement):
    """Build a run of one-sample rows, four architectures for each number of decoded tokens."""

    def build(count, **changes):
        once = {"rounds": 1, "prefill_ms_samples": (3.0,), "decode_ms_samples": (1.0,)}
        rows = (
            measurement("poison", architecture=ARCHITECTURES[i % 4], cell_id=f"c{i}", decode_tokens=i // 4 + 1, **once)
            for i in range(count)
        )
        return Run("poison", "", FUTURE_NS, (), {}, tuple(rows), **changes)

    return build


def calls(act):
    profile = cProfile.Profile()
    profile.runcall(act)
    return pstats.Stats(profile).total_calls


def judge(rows):
    return list(verdicts.judged(rows))


def imported(store, run):
    """Put a run into a store as an earlier version did, which took more rows."""
    with store._database.begin() as db:
        _insert(db, dataclasses.replace(run, imported=True))
    return run.run_id


def own(store, measurement):
    run_id = store.create(cells=[], environment={})
    store.append(measurement(run_id))
    return run_id


def test_a_run_of_a_file_is_never_the_latest(store, measurement, poison):
    poisoned = store.import_file("x.jsonl", write_lines(poison(8)).encode())
    assert store.run(poisoned).imported
    assert store.latest() is None
    run_id = own(store, measurement)
    assert store.latest().run_id == run_id
    assert store.import_file("y.jsonl", write_lines(poison(12)).encode()) != run_id
    assert store.latest().run_id == run_id


def test_a_run_that_is_dated_in_the_future_comes_last(store, measurement, monkeypatch):
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now + 3600 * 10**9)
    ahead = own(store, measurement)
    monkeypatch.setattr(time, "time_ns", lambda: now)
    assert store.latest().run_id == ahead, "there is no other"
    run_id = own(store, measurement)
    assert store.latest().run_id == run_id
    assert [run.run_id for run in store.summaries()] == [run_id, ahead]
    assert [run.run_id for run in store.runs()] == [run_id, ahead]
    monkeypatch.setattr(time, "time_ns", lambda: now + 7200 * 10**9)
    assert store.latest().run_id == ahead, "the clock has come to it"


def test_the_list_leaves_out_what_others_imported(store, measurement, poison):
    run_id = own(store, measurement)
    first = store.import_file("x.jsonl", write_lines(poison(8)).encode())
    second = store.import_file("y.jsonl", write_lines(poison(12)).encode())
    assert {run.run_id for run in store.summaries()} == {run_id, first, second}
    assert [run.run_id for run in store.summaries(imported=())] == [run_id]
    assert [run.run_id for run in store.summaries(imported={second})] == [run_id, second]
    assert [run.measured for run in store.summaries(imported={second})] == [1, 12]


@pytest.mark.slow
@with_models
def test_only_who_opened_a_file_finds_it_in_the_list(shared, measurement, poison):
    run_id = own(shared.store, measurement)
    poisoned = shared.store.import_file("x.jsonl", write_lines(poison(8)).encode())
    at = opened()
    assert at.selectbox(key="benchmark.chosen").value == run_id, "what a visitor sees unasked"
    assert not any("from a file" in option for option in at.selectbox(key="benchmark.chosen").options)
    at = opened(run=poisoned)
    assert at.selectbox(key="benchmark.chosen").value == poisoned
    at.selectbox(key="benchmark.chosen").select(run_id).run()
    assert any("from a file" in option for option in at.selectbox(key="benchmark.chosen").options), "it was opened"


@pytest.mark.slow
@with_models
@pytest.mark.parametrize("lang", i18n.LANGS)
def test_a_page_draws_a_bounded_number_of_cells_and_says_so(shared, poison, lang):
    """Judging alone took 50 million calls for such a run before; the whole page may take five million."""
    counted = [0]

    def count(_frame, event, _argument):
        counted[0] += event == "call"

    poisoned = imported(shared.store, poison(4000))
    opened(lang, run=poisoned)
    threading.setprofile(count)
    try:
        at = opened(lang, run=poisoned)
    finally:
        threading.setprofile(None)
    said = i18n.say(lang, "benchmark.many_cells", count="4,000", limit=runs.DRAWN_CELLS)
    assert said in texts(at)
    assert 0 < counted[0] < 5_000_000
    assert i18n.say(lang, "benchmark.rows.title", count=runs.DRAWN_CELLS) in [box.label for box in at.expander]


def test_a_run_of_ours_is_drawn_whole(poison, monkeypatch):
    monkeypatch.setattr(runs.st, "info", lambda *_, **__: pytest.fail("nothing is left out"))
    whole = poison(runs.DRAWN_CELLS)
    assert runs.drawn(whole) is whole


def test_the_first_cells_of_a_large_run_are_one_object_in_every_rerun(poison, monkeypatch):
    """Figures and verdicts are kept by the run they were drawn of."""
    said = []
    monkeypatch.setattr(runs.st, "info", lambda text, **_: said.append(text))
    large = poison(runs.DRAWN_CELLS + 8)
    part = runs.drawn(large)
    assert runs.drawn(large) is part
    assert len(said) == 2
    assert part.rows == large.rows[: len(part.rows)]
    assert len({row.cell_id for row in part.rows}) == runs.DRAWN_CELLS
    again = dataclasses.replace(large, title="renamed")
    assert runs.drawn(again) is not part
    assert runs.drawn(again).title == "renamed"


@pytest.mark.slow
def test_judging_takes_twice_as_long_for_twice_the_rows(poison):
    small, large = (calls(partial(judge, poison(count).rows)) for count in (400, 800))
    assert large < 2.2 * small


def test_judging_says_the_same_of_many_kinds_as_of_each_alone(poison):
    run = poison(24)
    together = [(one.phase, one.a.cell_id, one.b.cell_id, one.found) for one in verdicts.judged(run.rows)]
    alone = [
        (one.phase, one.a.cell_id, one.b.cell_id, one.found)
        for first in range(0, 24, 4)
        for one in verdicts.judged(run.rows[first : first + 4])
    ]
    assert together == alone
    assert len(together) == 6 * 6 * 2


@pytest.mark.slow
def test_setting_beside_takes_twice_as_long_for_twice_the_rows(poison):
    small, large = (calls(partial(compare, run, run)) for run in (poison(400), poison(800)))
    assert large < 2.2 * small


@pytest.mark.slow
@pytest.mark.parametrize("fmt", ["jsonl", "csv", "parquet"])
def test_a_file_of_too_many_rows_is_refused_in_a_sentence(poison, fmt):
    taken = files.parse("x", files.export(poison(MOST_ROWS), fmt))
    assert len(taken.rows) == MOST_ROWS
    with pytest.raises(SourceError) as refused:
        files.parse("x", files.export(poison(MOST_ROWS + 1), fmt))
    assert refused.value.key == "errors.import_rows"
    for lang in i18n.LANGS:
        assert "2000" in i18n.say(lang, refused.value.key, **refused.value.values).replace(",", "")


@pytest.mark.parametrize("others", [(5, "x"), (None, "x"), (["a"], "x"), (True, 5.0)])
def test_facts_of_mixed_types_are_set_beside_another_run(measurement, others):
    first = Run("a", "", 1, (), {}, (measurement("a", environment={"host_cpu": "y"}),))
    named = [measurement("b", 64 + i, environment={"host_cpu": cpu}) for i, cpu in enumerate(others)]
    second = Run("b", "", 1, (), {}, tuple(dataclasses.replace(row, context=64) for row in named))
    for one, other in ((first, second), (second, first)):
        found = compare(one, other)
        assert not found.pairs and {refusal.reason for refusal in found.refused} == {"host"}
    assert compare(second, second).pairs


@pytest.mark.slow
def test_an_old_database_opens_as_it_is(tmp_path, measurement, poison):
    made = Store(tmp_path, recorded=None)
    run_id = own(made, measurement)
    poisoned = imported(made, poison(3000))
    again = Store(tmp_path, recorded=None)
    assert len(again.run(poisoned).rows) == 3000
    assert again.latest().run_id == run_id
