"""The section on far distances: recorded or live, with its own control and its own run."""

from types import SimpleNamespace

import pytest
from stage import Stage

from models.recall.live import FAR_QUERIES, Key
from models.records.recall import Accuracy
from pages.compare.recall import far, measuring, results
from pages.shared.words import i18n

ABOUT = {"axis": "distance", "trained_to": {"distance": 64}, "held_out_seed": 5, "environment": {"host_cpu": "Z80"}}


def cells(share: float) -> dict[str, list[Accuracy]]:
    return {"rwkv": [Accuracy({"distance": d, "pairs": 4}, share, 0.1, 0.9, 640, d, 9) for d in (16, 1024)]}


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage().on(monkeypatch, far, measuring, results)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, stage: Stage) -> list:
    found: list = []
    monkeypatch.setattr(far.figure, "show", lambda fig, **told: found.append((fig, told)))
    return found


@pytest.mark.parametrize("measured", [0, 2])
@pytest.mark.parametrize("lang", i18n.LANGS)
def test_what_is_measured_here_takes_the_place_of_what_is_recorded(stage, shown, monkeypatch, lang, measured) -> None:
    monkeypatch.setattr(far, "t", say := i18n.translator(lang))
    monkeypatch.setattr(measuring, "t", say)
    run = SimpleNamespace(cells=cells(0.5), measured=measured, planned=2, seconds=3.0, running=False, stopping=False,
                          error=None, key=Key("mqar", 6, FAR_QUERIES, far=True))  # fmt: skip
    monkeypatch.setattr(results, "live", lambda task, *, far: run if far else None)
    record = SimpleNamespace(task="mqar")
    far._drawn(record, cells(0.75), ABOUT)
    ((drawn, told),) = shown
    assert list(drawn.data["rwkv_accuracy"].values) == [0.5 if measured else 0.75] * 2
    words = "recall.shown.live" if measured else "recall.shown.recorded"
    assert told == {"key": "recall.far", "subtitle": say(words, task=say("recall.task.mqar"))}
    (button,) = stage.found("button")
    assert button.options["key"] == "recall.far.measure" and button.options["type"] == "secondary"
    assert (button.options["on_click"].func, button.options["on_click"].keywords) == (results.start, {"far": True})
    (line,) = stage.said("caption")
    recorded = say("recall.recorded", cpu="Z80", seed=5, asked="640")
    assert line == (measuring.measured_line(run, 2, 2) if measured else recorded)


def test_a_task_without_a_record_has_no_section(stage: Stage, monkeypatch) -> None:
    monkeypatch.setattr(results, "far_record", lambda task: None)
    far.section(SimpleNamespace(task="mqar"))
    assert stage.calls == []


@pytest.mark.parametrize("under_way", [True, False])
def test_the_section_redraws_itself_while_it_is_measured(stage: Stage, monkeypatch, under_way: bool) -> None:
    monkeypatch.setattr(results, "far_record", lambda task: (cells(0.5), ABOUT))
    monkeypatch.setattr(results, "watched", lambda task, *, far=False: under_way and far)
    placed: list = []
    monkeypatch.setattr(far.layout, "section_of", lambda page, key, draw: placed.append((page, key, draw)))
    far.section(SimpleNamespace(task="mqar"))
    assert [call.options for call in stage.found("fragment")] == [{"run_every": measuring.POLL_S}] * under_way
    assert [place[:2] for place in placed] == [("recall", "far")]
    monkeypatch.setattr(far, "_drawn", lambda *_: None)
    far._watched(SimpleNamespace(task="mqar"), cells(0.5), ABOUT)
    assert len(stage.found("rerun")) == (not under_way)
