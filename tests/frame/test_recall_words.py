"""Every sentence, number and choice that the modules of the recall page decide, from hand-made records."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from stage import Stage, bare, words_of

from models.recall.expectations import Finding
from models.recall.live import FAR_QUERIES, Key
from models.records.recall import Accuracy
from pages.compare.recall import expected, measuring, question, results, training
from pages.shared.memo import Memo
from pages.shared.words import content, units

Say = Callable[..., str]
MODULES = (expected, measuring, question, results, training)
NAMES = ("transformer", "mamba", "rwkv", "jamba")


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Draw the parts of the page without Streamlit, and keep nothing from one test to another."""
    made = Stage().on(monkeypatch, *MODULES)
    monkeypatch.setattr(expected, "_kept", Memo(12))
    monkeypatch.setattr(measuring, "_maps", Memo(12))
    made.session_state["contextscope.page"] = "recall"
    return made


def cell(distance: int, pairs: int, accuracy: float = 0.5, **facts: Any) -> Accuracy:
    known = {"low": accuracy - 0.1, "high": accuracy + 0.1, "count": 640, "length": 30, "bytes_carried": 9}
    return Accuracy({"distance": distance, "pairs": pairs}, accuracy, **(known | facts))


PLACES = [(16, 2), (16, 4), (64, 2), (64, 4), (256, 2)]


def record_of(*seeds: int, lengths: dict[int, int] | None = None, task: str = "mqar") -> results.Record:
    """Make a record with other numbers in every cell of every seed, which lie farthest apart in the first cell.

    lengths: of sequences, by distance.
    """
    runs = {
        name: [(seed, [cell(*place, (n + 1) / 10 + at / (100 if n else 20) + seed / 1000,
                            length=(lengths or {}).get(place[0], 30))
                       for n, place in enumerate(PLACES)]) for seed in seeds]
        for at, name in enumerate(NAMES)
    }  # fmt: skip
    cells = [one for every in runs.values() for _, found in every for one in found]
    layout = results.layout_of(cells, ("distance", "pairs"), guess=lambda _: 0.1, trained_to=64)
    about = {"environment": {"host_cpu": "CPU x"}, "held_out_seed": 986, "trained_to": {"distance": 64}}
    return results.Record(task, layout, runs, about)


# --- results -----------------------------------------------------------------------------------------------------
def test_the_bundled_cells_are_those_of_the_bundled_seed() -> None:
    found = record_of(3, 0, 7)
    assert found.bundled == {name: every[1][1] for name, every in found.runs.items()}


def run_of(**changes: Any) -> SimpleNamespace:
    known: dict[str, Any] = {
        "key": Key("mqar", 987), "running": True, "stopping": False, "measured": 3, "planned": 20, "seconds": 90.0,
        "error": None, "cells": {name: [cell(16, 2, 0.77)] for name in NAMES},
    }  # fmt: skip
    return SimpleNamespace(**(known | changes))


@pytest.mark.parametrize(
    ("run", "left", "watched"),
    [
        (None, False, False),
        ({}, False, True),
        ({"running": False}, False, False),
        ({}, True, False),
        ({"stopping": True}, True, True),
        ({"running": False, "stopping": True}, True, False),
    ],
)
def test_a_run_is_watched_until_it_ends_or_was_left_to_others(stage: Stage, monkeypatch, run, left, watched) -> None:
    live = None if run is None else run_of(**run)
    monkeypatch.setattr(results, "live", lambda _task, **_: live)
    if left:
        results._left().add(Key("mqar", 987))
    assert results.watched("mqar") is watched


def test_a_visitor_leaves_his_run_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[Key] = []
    noted: list[tuple[str, str]] = []
    runs = SimpleNamespace(leave=left.append, get=lambda key: run_of(key=key))
    monkeypatch.setattr(results, "live_runs", lambda: runs)
    monkeypatch.setattr(results.journal, "note", lambda action, *, run: noted.append((action, run)))
    results.stop("mqar")
    assert left == [], "nothing was begun"
    results._seeds()["mqar", False] = 990
    results._seeds()["induction", False] = 991
    results._seeds()["mqar", True] = 992
    assert results.live("mqar").key == Key("mqar", 990)
    results.stop("mqar")
    results.stop("mqar")
    assert left == [Key("mqar", 990)] and noted == [("recall_stop", "mqar-990")]
    far = Key("mqar", 992, FAR_QUERIES, far=True)
    assert results.live("mqar", far=True).key == far and results.live("induction", far=True) is None
    results.stop("mqar", far=True)
    assert left[1:] == [far]


# --- expected ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("yes", "no", "unclear"), [(5, 3, 2), (0, 1, 4), (2, 0, 0), (0, 0, 1)])
def test_the_verdicts_are_counted_each_for_itself(say: Say, yes: int, no: int, unclear: int) -> None:
    found = [Finding("a", verdict, {}) for verdict, count in (("yes", yes), ("no", no), ("unclear", unclear))
             for _ in range(count)]  # fmt: skip
    counted = say("recall.expected.counted", all=yes + no + unclear, agree=yes, unclear=unclear, against=no)
    assert expected._counted(found) == counted


def test_expectations_are_judged_on_every_seed_or_on_a_whole_live_run(say: Say, stage: Stage, monkeypatch) -> None:
    record = record_of(0, 1, 2)
    asked: list[Any] = []
    monkeypatch.setattr(expected, "findings", lambda task, runs, trained: asked.append((task, runs, trained)) or [])
    every = {name: [cells for _, cells in runs] for name, runs in record.runs.items()}
    whole = {name: [cell(*place, 0.99) for place in PLACES] for name in NAMES}
    part = {name: cells[:-1] if name == "rwkv" else cells for name, cells in whole.items()}
    recorded, live = say("recall.expected.judged_recorded", seeds=3), say("recall.expected.judged_live", seeds=1)
    for shown, runs, words in (
        (record.bundled, every, recorded), (part, every, recorded),
        (whole, {name: [cells] for name, cells in whole.items()}, live),
    ):  # fmt: skip
        monkeypatch.setattr(expected, "_kept", Memo(12))
        expected.expected(record, shown)
        assert asked.pop() == ("mqar", runs, {"distance": 64})
        assert stage.said("caption")[-1] == words
    assert stage.said("markdown") == [expected._counted([])] * 3


# --- measuring ---------------------------------------------------------------------------------------------------
def test_tasks_are_chosen_by_their_number_in_the_address(say: Say, stage: Stage, monkeypatch) -> None:
    places = stage.session_state.setdefault("contextscope.places", {}).setdefault("recall", {})
    assert measuring.task_picker() == "mqar"
    places["task"] = 2
    assert measuring.task_picker() == "selective_copying"
    chooser = stage.keyed("recall.task")
    assert chooser.args == (say("recall.task.label"), ("mqar", "induction", "selective_copying"))
    assert chooser.options["format_func"]("induction") == say("recall.task.induction")
    assert stage.session_state["recall.task"] == "selective_copying"
    assert stage.said("markdown") == [
        content.section("recall", f"task.{task}") for task in ("mqar", "selective_copying")
    ]
    stage.session_state["recall.task"] = "induction"
    chooser.options["on_change"]()
    assert places["task"] == 1


@pytest.mark.parametrize(
    ("changes", "watched", "keys", "words"),
    [
        ({"seconds": 0.0, "measured": 0}, True, ["stop"], "recall.waits"),
        ({"seconds": 0.0}, True, ["stop"], "recall.measuring"),
        ({"measured": 0}, True, ["stop"], "recall.measuring"),
        ({}, True, ["stop"], "recall.measuring"),
        (None, False, ["measure"], "recall.measure"),
        ({"running": False, "measured": 0}, False, ["measure"], "recall.measure_again"),
        ({"running": False}, False, ["measure", "shown.mqar"], "recall.measure_again"),
    ],
)
def test_one_may_measure_or_stop_and_then_switch(
    say: Say, stage: Stage, monkeypatch, changes, watched, keys, words
) -> None:
    run = None if changes is None else run_of(**changes)
    record = record_of(0)
    monkeypatch.setattr(results, "watched", lambda _task, **_: watched)
    measuring._status(record, run)
    drawn = [call for call in stage.calls if call.kind in ("button", "segmented_control")]
    assert [call.options["key"] for call in drawn] == [f"recall.{key}" for key in keys]
    if watched:
        (bar,) = stage.found("progress")
        values = {"done": run.measured, "total": 20, "time": units.duration(run.seconds)}
        assert bar.args == (run.measured / 20,) and bar.options["text"] == say(words, **values)
        assert drawn[0].args == (say("recall.stop"),) and stage.said("caption") == []
        assert drawn[0].options["on_click"].func is results.stop
    else:
        assert drawn[0].args == (say(words),) and drawn[0].options["on_click"].func is results.start
        assert stage.said("caption") == [measuring._headline(record, run)]
    assert drawn[0].options["on_click"].args == ("mqar",)
    if len(keys) > 1:
        assert drawn[1].args == (say("recall.shown.label"), ("live", "recorded"))
        assert drawn[1].options["format_func"]("recorded") == say("recall.shown.choice.recorded")
        assert drawn[1].options["default"] == "live"


@pytest.mark.parametrize(
    ("changes", "watched", "wanted", "live"),
    [
        (None, False, None, False),
        ({}, True, None, True),
        ({}, True, "recorded", True),
        ({"measured": 0}, True, None, True),
        ({"measured": 0}, False, None, False),
        ({}, False, None, True),
        ({}, False, "live", True),
        ({}, False, "recorded", False),
    ],
)
def test_what_is_on_screen_is_live_while_one_watches_and_then_as_chosen(
    stage: Stage, monkeypatch, changes, watched, wanted, live
) -> None:
    run, record = None if changes is None else run_of(**changes), record_of(0)
    monkeypatch.setattr(results, "watched", lambda _task, **_: watched)
    stage.session_state.update({"recall.shown.mqar": wanted, "recall.shown.induction": "recorded"})
    assert measuring._shown(record, run) == (live, run.cells if live else record.bundled)


@pytest.mark.parametrize("live", [True, False])
def test_the_map_says_its_task_and_whether_it_is_live(say: Say, stage: Stage, monkeypatch, live: bool) -> None:
    record, shown = record_of(0), []
    monkeypatch.setattr(results, "live", lambda _task, **_: None)
    monkeypatch.setattr(measuring, "_shown", lambda *_: (live, record.bundled))
    monkeypatch.setattr(measuring, "_status", lambda *_: None)
    monkeypatch.setattr(measuring, "recall_map", lambda cells, layout, **options: (cells, layout, options["live"]))
    monkeypatch.setattr(measuring.style, "theme", lambda: SimpleNamespace(mode="light"))
    monkeypatch.setattr(measuring.viewport, "window", lambda: 768)
    monkeypatch.setattr(measuring.figure, "show", lambda drawn, **options: shown.append((drawn, options)))
    measuring._drawn(record)
    monkeypatch.setattr(measuring.viewport, "window", lambda: 767)
    stage.session_state["recall.alone"] = "rwkv"
    measuring._drawn(record)
    subtitle = say(f"recall.shown.{'live' if live else 'recorded'}", task=say("recall.task.mqar"))
    assert shown == [
        ((record.bundled, record.layout, live), {"key": "recall.map", "subtitle": subtitle}),
        (({"rwkv": record.bundled["rwkv"]}, record.layout, live), {"key": "recall.map", "subtitle": subtitle}),
    ]
    chooser = stage.keyed("recall.alone")
    assert chooser.args == (say("recall.map"), NAMES) and chooser.options["default"] == "transformer"
    assert chooser.options["format_func"]("jamba") == say("nav.jamba")
    stage.session_state["recall.alone"] = "gone"
    assert measuring._one_of(NAMES) == "transformer"


def test_questions_in_a_cell_are_the_fewest_of_all_cells() -> None:
    cells = {"mamba": [cell(16, 2, count=900), cell(16, 4, count=800)], "rwkv": [cell(16, 2, count=1500)], "jamba": []}
    assert measuring.asked(cells) == "800"
    assert measuring.asked({"mamba": []}) == "0"


# --- question ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("task", ["mqar", "induction", "selective_copying"])
def test_the_sentence_of_a_question_has_its_token_its_answer_and_where_that_stands(
    say: Say, stage: Stage, task: str
) -> None:
    found = SimpleNamespace(asked="A", expected="B", asked_at=90, answer_at=13)
    question._sentence(SimpleNamespace(task=task), found)
    said = stage.said("markdown")
    assert said == [say(f"recall.asks.{task}", asked="A", expected="B", gap=77, place=13)]
    assert "`A`" in said[0] and "`B`" in said[0] and "77" in said[0] and "13" in said[0] and "90" not in said[0]


def test_every_cell_task_and_seed_has_right_answers_of_its_own(monkeypatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(question, "_RIGHT", type(question._RIGHT)(64))

    def answered(task: str, at: Mapping[str, int], *, seed: int, questions: int) -> dict[str, Any]:
        asked.append((task, dict(at), seed))
        return {}

    monkeypatch.setattr(question, "right_answers", answered)
    places = ({"distance": 16, "pairs": 4}, {"distance": 64, "pairs": 4}, {"distance": 16, "pairs": 8})
    records = [SimpleNamespace(task=task, about={"held_out_seed": seed}) for task in ("a", "b") for seed in (3, 4)]
    wanted = [(record, at) for record in records for at in places]
    for record, at in (*wanted, *wanted):
        question._right(record, at)  # type: ignore[arg-type]
    assert asked == [(record.task, at, record.about["held_out_seed"] - 1) for record, at in wanted], "each once"


@pytest.mark.parametrize(("right", "mark"), [(True, "✓"), (False, "✕")])
def test_a_badge_names_the_right_answer_beside_what_the_model_said(say: Say, right: bool, mark: str) -> None:
    trace = SimpleNamespace(architecture="jamba", cache_bytes=5 * 2**10)
    drawn = question._answer(question.Answer(trace, 5, "said", 0.9, 0.375, right), SimpleNamespace(expected="wanted"))
    told = say(f"recall.answer.{'right' if right else 'wrong'}", expected="wanted")
    sure, carried = say("recall.answer.sure", share="38%"), say("recall.answer.carried", bytes="5 KiB")
    words = words_of(drawn).replace(" ", "")
    assert words == f"{say('nav.jamba')}said{mark}{told}{sure}{carried}".replace(" ", "")
    assert 'class="cs-badge cs-good"' in drawn if right else 'class="cs-badge cs-bad"' in drawn
    assert "width:37.5%" in drawn and 'class="cs-jamba"' in drawn


def test_the_distances_that_are_offered_can_be_read_as_a_strip() -> None:
    """One of 300 tokens can, one of 301 cannot; where none can, the shortest is offered."""
    assert question._readable(record_of(0, lengths={16: 299, 64: 300, 256: 301})) == [16, 64]
    assert question._readable(record_of(0, lengths={16: 400, 64: 500, 256: 600})) == [16]
    mixed = record_of(0)
    mixed.runs["rwkv"][0][1][2] = cell(64, 2, length=301)
    assert question._readable(mixed) == [16, 256], "the longest of a distance counts"


@pytest.fixture
def asked(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Begin a visit whose models answer alike up to question 5; return the choices of its address."""
    right = {name: tuple(n != 5 or name != "rwkv" for n in range(question.QUESTIONS)) for name in NAMES}
    monkeypatch.setattr(question, "_right", lambda record, at: right)
    places: dict[str, int] = stage.session_state.setdefault("contextscope.places", {}).setdefault("recall", {})
    return places


def test_a_question_is_chosen_by_the_address_else_by_what_tells_the_models_apart(say: Say, stage: Stage, asked) -> None:
    record = record_of(0)
    best = {"distance": 16, "pairs": 2}
    assert question.telling(record) == best
    assert question._chosen(record) == (best, 5)
    chooser, load = stage.keyed("recall.distance.distance"), stage.keyed("recall.load.pairs")
    assert chooser.args == (say("recall.axis.distance"), [16, 64, 256])
    assert load.args == (say("recall.axis.pairs"), [2, 4])
    assert stage.said("caption") == [say("recall.find"), say("recall.begins")]
    finders = [call for call in stage.found("button") if str(call.options["key"]).startswith("recall.find.")]
    assert [(call.args[0], call.options["help"]) for call in finders] == [
        (say(f"nav.{name}"), say("recall.find_one", name=say(f"nav.{name}"))) for name in NAMES
    ]
    asked.update(distance=64, load=4, question=7)
    assert question._chosen(record) == ({"distance": 64, "pairs": 4}, 7)
    stage.session_state.update({"recall.distance.distance": 256, "recall.load.pairs": 2})
    chooser.options["on_change"]()
    load.options["on_change"]()
    assert asked == {"distance": 256, "load": 2, "question": 7}


@pytest.mark.parametrize(("number", "following"), [(5, 6), (19, 0)])
def test_another_question_is_the_next_and_after_the_last_the_first(stage: Stage, asked, number, following) -> None:
    asked["question"] = number
    stage.pressed = {"recall.another"}
    question._chosen(record_of(0))
    assert asked["question"] == following


def test_a_finder_leads_to_a_wrong_answer_or_says_that_there_is_none(
    say: Say, stage: Stage, asked, monkeypatch
) -> None:
    record = record_of(0)
    places = iter([({"distance": 64, "pairs": 4}, 11), None])
    monkeypatch.setattr(question, "next_wrong", lambda *_: next(places))
    stage.pressed = {"recall.find.mamba"}
    question._finders(record)
    assert stage.session_state[question._WANTED] == "mamba"
    stage.pressed = set()
    assert question._chosen(record) == ({"distance": 64, "pairs": 4}, 11)
    assert asked == {"distance": 64, "load": 4, "question": 11}
    assert question._WANTED not in stage.session_state, "looked for once"
    stage.session_state[question._WANTED] = "jamba"
    question._chosen(record)
    missing = say("recall.never_wrong", name=say("nav.jamba"), count=20)
    assert [bare(line) for line in stage.said("caption")][-1] == missing


def test_a_question_is_of_the_sequences_before_the_recorded_ones(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The held-out record begins at its seed; a question that is opened is of the seed before, and drawn once."""
    opened: list[Any] = []
    answered: list[Any] = []
    monkeypatch.setattr(question, "_QUESTIONS", type(question._QUESTIONS)(3))
    monkeypatch.setattr(question, "_RIGHT", type(question._RIGHT)(3))
    monkeypatch.setattr(question, "opened", lambda *args, **options: opened.append((args, options)) or "found")
    monkeypatch.setattr(question, "right_answers", lambda *args, **options: answered.append((args, options)) or {})
    record, at = record_of(0), {"distance": 16, "pairs": 2}
    for _ in range(2):
        assert question._opened("mqar", tuple(at.items()), question._seed(record), 4) == "found"
        assert question._right(record, at) == {}
    assert opened == [(("mqar", at), {"seed": 985, "question": 4})]
    assert answered == [(("mqar", at), {"seed": 985, "questions": 20})]
    question._opened("mqar", tuple(at.items()), 985, 5)
    question._opened("induction", tuple(at.items()), 985, 4)
    question._opened("mqar", (("distance", 64), ("pairs", 2)), 985, 4)
    assert len(opened) == 4


def test_a_record_is_read_with_its_seeds_and_the_layout_of_its_axes(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(distance: int, accuracy: float) -> dict[str, Any]:
        return {"at": {"distance": distance}, "accuracy": accuracy, "low": 0.1, "high": 0.9, "count": 7,
                "length": 30, "bytes_carried": 100 * distance}  # fmt: skip

    seeds = [{"seed": 3, "cells": [told(16, 0.5)]}, {"seed": 0, "cells": [told(64, 0.25)]}]
    about = {"axes": ["distance"], "trained_to": {"distance": 64}, "architectures": {"rwkv": {"runs": seeds}}}
    monkeypatch.setattr(results.study, "recorded", lambda task: about if task == "induction" else None)
    results.record.clear()
    assert results.record("mqar") is None
    found = results.record("induction")
    results.record.clear()
    assert found is not None and (found.task, found.about) == ("induction", about)
    assert [(seed, [one.accuracy for one in cells]) for seed, cells in found.runs["rwkv"]] == [(3, [0.5]), (0, [0.25])]
    assert [one.accuracy for one in found.bundled["rwkv"]] == [0.25]
    layout = found.layout
    assert (layout.across, layout.up, list(layout.places), layout.trained_to) == ("distance", None, [16, 64], 64)
    assert question._axes(found) == ["distance"]


def test_a_task_without_a_second_axis_has_one_choice_of_a_cell(say: Say, stage: Stage, asked: dict[str, int]) -> None:
    cells = [Accuracy({"distance": n}, 0.5 + (n == 64) / 10 * at, 0, 1, 9, 9, 9) for at in (0, 1) for n in (16, 64)]
    runs = {
        "mamba": [(0, cells[:2])],
        "rwkv": [(0, cells[2:])],
        "jamba": [(0, cells[:2])],
        "transformer": [(0, cells[2:])],
    }
    layout = results.layout_of(cells, ("distance",), guess=lambda _: 0.1, trained_to=64)
    record = results.Record("induction", layout, runs, {"held_out_seed": 986})
    asked["load"] = 4
    assert question._chosen(record) == ({"distance": 64}, 5)
    assert not stage.has("recall.load.pairs") and stage.keyed("recall.distance.distance").args[1] == [16, 64]
    assert stage.keyed("recall.another").args == (say("recall.another"),)


@pytest.mark.parametrize("watched", [True, False])
def test_the_map_redraws_itself_while_something_is_measured(stage: Stage, monkeypatch, watched: bool) -> None:
    """When the run has ended, the whole page is drawn once more, without polling."""
    record, order = record_of(0), []
    monkeypatch.setattr(results, "live", lambda _task, **_: None)
    monkeypatch.setattr(results, "watched", lambda _task, **_: watched)
    monkeypatch.setattr(measuring.gate, "gated", lambda draw: draw)
    monkeypatch.setattr(measuring.layout, "first_figure", lambda page, draw: order.append(page) or draw())
    monkeypatch.setattr(measuring, "_drawn", order.append)
    monkeypatch.setattr(measuring, "_shown", lambda *_: (watched, "cells"))
    assert measuring.map_of(record) == "cells" and order == ["recall", record]
    assert [call.options for call in stage.found("fragment")] == ([{"run_every": measuring.POLL_S}] if watched else [])
    assert stage.found("rerun") == []
    measuring._watched(record)
    assert [call.options for call in stage.found("rerun")] == ([] if watched else [{"scope": "app"}])
