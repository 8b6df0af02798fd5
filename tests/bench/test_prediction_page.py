"""How good predictions are, on the page and in the terminal: the numbers of rows of a machine of half the speed."""

import dataclasses
import json
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from page_helpers import opened, texts
from prediction_rows import BARE, SLOWER, row_of, runs_of

from models import registry
from models.__main__ import main
from models.bench.plan import prediction_error
from models.bench.store.store import Store
from models.cli import predictions as command
from models.machine import facts
from pages.compare.benchmark import predictions
from pages.shared.memo import Memo
from pages.shared.words import i18n


def filled(store, rows):
    """Store rows, each run under an id of the store's own."""
    ids = {}
    for row in rows:
        if row.run_id not in ids:
            ids[row.run_id] = store.create(cells=[], environment=facts.environment())
        store.append(dataclasses.replace(row, run_id=ids[row.run_id]))
    return list(ids.values())


@pytest.fixture
def fresh(shared, monkeypatch):
    """The page over a store of its own, with nothing kept from another test."""
    for name in ("_judged", "_figures", "_told"):
        monkeypatch.setattr(predictions, name, Memo(4))
    monkeypatch.setattr(shared, "rates", lambda: BARE)
    return shared


def cards(at):
    return [one for one in at.get("html") if 'id="prediction_error"' in one.proto.body]


@pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")
@pytest.mark.parametrize("lang", i18n.LANGS)
def test_the_page_says_how_far_predictions_were(fresh, lang):
    """Times are twice as long as predicted: off by half, and by nothing once learnt."""
    rows = runs_of(SLOWER, 2, peak=1.5)
    filled(fresh.store, rows)
    say = i18n.translator(lang)
    at = opened(lang)
    said = texts(at)
    assert not at.exception
    memory = prediction_error.summarise(prediction_error.pairs(rows, "bytes"))
    middle, most = (predictions._share(error) for error in (memory.middle, memory.nine_of_ten))
    assert say("benchmark.predictions.said_bytes", count="6", middle=middle, most=most) in said
    assert say("benchmark.predictions.said_decode", count="6", middle="50%", most="50%") in said
    assert say("benchmark.predictions.learnt", learnt="0.0%", bare="50%") in said
    assert say("benchmark.predictions.none") not in said
    assert len(cards(at)) == 1


@pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")
@pytest.mark.parametrize("lang", i18n.LANGS)
def test_without_a_row_the_page_says_so_and_draws_nothing(fresh, lang):
    filled(
        fresh.store, [row_of(SLOWER, 256, environment={"host_cpu": "another"}), row_of(SLOWER, 512, pred_bytes=None)]
    )
    at = opened(lang)
    assert i18n.say(lang, "benchmark.predictions.none") in texts(at)
    assert not at.exception and cards(at) == []


def test_errors_are_judged_once_for_each_state_of_the_store(fresh, monkeypatch):
    judged = []
    monkeypatch.setattr(
        predictions, "of_store", lambda rows, rates: judged.append(len(rows)) or prediction_error.of_store(rows, rates)
    )
    first, second = filled(fresh.store, runs_of(SLOWER, 2))
    for _ in range(3):
        (found,) = predictions._of_this_machine()
    assert judged == [6] and found.held_out
    fresh.store.delete(second)
    (found,) = predictions._of_this_machine()
    assert judged == [6, 3] and not found.held_out
    fresh.store.append(row_of(SLOWER, 8192, run=first))
    predictions._of_this_machine()
    assert judged == [6, 3, 4]


@pytest.mark.parametrize("lang", i18n.LANGS)
def test_one_run_says_that_learning_cannot_be_judged_yet(lang, monkeypatch):
    monkeypatch.setattr(predictions, "t", i18n.translator(lang))
    (one,) = prediction_error.of_store(runs_of(SLOWER, 1), BARE)
    assert list(predictions._sentences(one))[-1] == i18n.say(lang, "benchmark.predictions.one_run")
    untimed = [row_of(SLOWER, 256, run=run, state="unstable") for run in "ab"]
    (one,) = prediction_error.of_store(untimed, BARE)
    assert len(list(predictions._sentences(one))) == 1, "no time was measured, and nothing is said of any"


def test_of_several_devices_one_is_chosen(monkeypatch):
    asked = []
    state = {}
    monkeypatch.setattr(predictions, "st", SimpleNamespace(
        session_state=state, container=lambda **_: nullcontext(),
        segmented_control=lambda label, options, **_: asked.append(list(options)),
    ))  # fmt: skip
    monkeypatch.setattr(predictions, "t", i18n.translator("en"))
    assert predictions._chosen(["cpu"]) == "cpu" and asked == []
    assert predictions._chosen(["cpu", "gpu"]) == "cpu" and asked == [["cpu", "gpu"]]
    state["benchmark.predictions.device"] = "gpu"
    assert predictions._chosen(["cpu", "gpu"]) == "gpu"
    state["benchmark.predictions.device"] = "gone"
    assert predictions._chosen(["cpu", "gpu"]) == "cpu"


# --- in the terminal


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A store in a data folder of the test's own, which the command finds by itself; the CPU is not timed."""
    monkeypatch.setenv("CONTEXTSCOPE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(command, "measure_rates", lambda: BARE)
    return Store()


def test_the_command_prints_the_same_numbers(kept, capsys):
    elsewhere = row_of(SLOWER, 64, run="far", environment={"host_cpu": "Another CPU"})
    filled(kept, [*runs_of(SLOWER, 2), elsewhere])
    assert main(["runs", "predictions", "--json"]) == 0
    lines = {(line["device"], line["quantity"]): line for line in json.loads(capsys.readouterr().out)}
    decode = lines[facts.processor(), "decode"]
    assert (decode["cells"], decode["here"]) == (6, True)
    assert (decode["ratio"], decode["middle_error"]) == pytest.approx((0.5, 0.5))
    assert decode["learnt"]["middle_error"] == pytest.approx(0, abs=1e-9)
    assert decode["nothing_learnt"]["nine_of_ten_within"] == pytest.approx(0.5)
    assert lines["Another CPU", "decode"]["learnt"] is None and not lines["Another CPU", "decode"]["here"]
    assert main(["runs", "predictions"]) == 0
    head, *table = capsys.readouterr().out.splitlines()
    assert head.startswith("device") and len(table) == 8
    (line,) = (line for line in table if line.startswith(facts.processor()) and "decode" in line)
    assert line.split()[-2:] == ["0.0%", "50.0%"]


def test_the_command_says_when_there_is_nothing_to_judge(kept, capsys):
    assert main(["runs", "predictions"]) == 0
    assert "no cell" in capsys.readouterr().out
    assert main(["runs", "predictions", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_the_state_of_a_store_changes_with_its_rows(kept):
    assert kept.state() == (0, 0)
    seen = [kept.state()]
    (run_id,) = filled(kept, [row_of(BARE, 256)])
    seen.append(kept.state())
    kept.append(row_of(BARE, 512, run=run_id))
    seen.append(kept.state())
    assert len(set(seen)) == 3 and kept.state() == kept.state()
    kept.delete(run_id)
    assert kept.state() == (0, 0)
