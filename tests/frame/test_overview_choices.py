"""What the overview and the recall page put where, and which models they show."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest
from page_scripts import BUNDLED, Run, Say, found_in, run_of, stage_of, traces
from stage import Stage, bare

import models.alignment
from models.errors import SourceError
from models.records.recall import Accuracy
from models.records.trace import ModelTrace
from pages.compare.recall import expected as recall_expected
from pages.compare.recall import far, measuring, question, results, training, what_if
from pages.shared import controls, model_picker
from pages.shared.state import session
from pages.shared.words import content


@pytest.fixture
def run(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Run:
    return run_of(stage, monkeypatch)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return stage_of(monkeypatch)


# --- overview -----------------------------------------------------------------------------------------------------
@pytest.fixture
def four(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModelTrace]:
    """Have every architecture read the text, at once."""
    found = traces()
    monkeypatch.setattr(controls, "traced_by", lambda name, _text: found[name])
    monkeypatch.setattr(model_picker, "at_once", lambda *_: True)
    monkeypatch.setattr(model_picker, "chosen", BUNDLED.__getitem__)
    return found


def test_the_overview_shows_four_models_that_read_one_text(run: Run, stage: Stage, say: Say, four) -> None:
    every = list(four.values())
    page = run("overview", four["transformer"])
    assert found_in(page) == [
        ("", "overview.reading", "reading"), ("hero", "overview.machines", "architecture_maps"),
        ("growth", "overview.growth", "growth"),
    ]  # fmt: skip
    assert page.shown("overview.reading").options["of"] == every == page.shown("overview.machines").options["of"]
    carried = page.shown("overview.reading").options["carried"]
    assert carried == tuple((one.checkpoint, len(one.tokens)) for one in every), "of the model that reads"
    assert page.around["next_word"][0] == ("overview", every) and page.around["first"] == {"traces": every}
    assert page.around["hood"] == ["training_curves"] and page.around["footer"][0] == ("overview", "models", "table")
    cards = [(name, content.section("overview", f"card.{name}.title")) for name in BUNDLED]
    assert stage.said("subheader") == [title for _, title in cards]
    assert [call.options["label"] for call in stage.found("page_link")] == [
        say("layout.open", name=say(f"nav.{name}")) for name in BUNDLED
    ]
    texts = [content.section("overview", key) for key in ("cards.text", *(f"card.{name}.text" for name in BUNDLED))]
    assert stage.said("markdown") == texts


def test_the_growth_of_what_is_carried_is_of_the_models_that_read(run: Run, four) -> None:
    """At seven lengths and at that of the text, each once."""
    four["rwkv"] = dataclasses.replace(four["rwkv"], checkpoint="someone/published")
    page = run("overview", four["transformer"])
    options = page.shown("overview.growth").options
    here = len(four["transformer"].tokens)
    lengths = [1, here, 16, 64, 256, 1024, 4096, 16384]
    assert options["at"] == here == 11
    assert options["of"] == {
        name: [(n, 1000 * n + len("someone/published" if name == "rwkv" else name)) for n in lengths]
        for name in BUNDLED
    }


def test_models_that_cut_a_text_otherwise_are_laid_out_by_characters(
    run: Run, monkeypatch: pytest.MonkeyPatch, four
) -> None:
    monkeypatch.setattr(models.alignment, "align_all", lambda text, tokens: ("aligned", text, len(tokens)))
    trace = four["transformer"]
    four["jamba"] = dataclasses.replace(four["jamba"], prompt="as much as another model reads")
    for same in (True, False):
        monkeypatch.setattr(models.alignment, "same_tokens", lambda _texts, same=same: same)
        page = run("overview", trace)
        aligned = None if same else ("aligned", trace.prompt, 4)
        assert page.shown("overview.machines").options.get("alignment") == aligned
        assert page.shown("overview.reading").options["alignment"] == aligned


def test_those_that_have_read_are_drawn_before_one_that_may_take_long(
    run: Run, monkeypatch, say: Say, stage: Stage, four
) -> None:
    """Mamba and Jamba have to load; RWKV cannot be had and is left out, with the reason."""

    def traced(name: str, _text: str) -> ModelTrace:
        if name == "rwkv":
            raise SourceError("errors.not_downloaded", "x", source="m")
        return four[name]

    monkeypatch.setattr(controls, "traced_by", traced)
    monkeypatch.setattr(model_picker, "at_once", lambda name, _text: name == "rwkv")
    page = run("overview", four["transformer"])
    early_ones = [one for one in page.figures if ".reading.early" in one.key]
    assert [(one.key, [t.architecture for t in one.options["of"]], one.options["waiting"]) for one in early_ones] == [
        ("overview.reading.early1", ["transformer"], ("mamba", "rwkv", "jamba")),
        ("overview.reading.early2", ["transformer", "mamba"], ("jamba",)),
    ]
    whole = page.shown("overview.reading").options
    assert [one.architecture for one in whole["of"]] == ["transformer", "mamba", "jamba"]
    said = f"{say('errors.not_downloaded', source='m')} {say('models.left_out', name=say('nav.rwkv'))}"
    assert [bare(one) for one in stage.said("warning")] == [said]


def test_who_reads_is_named_where_one_is_not_bundled_with_the_way_back(
    run: Run, stage: Stage, say: Say, monkeypatch, four
) -> None:
    page = run("overview", four["transformer"])
    assert not stage.has("overview.all_bundled")
    monkeypatch.setattr(model_picker, "chosen", (BUNDLED | {"mamba": "published"}).__getitem__)
    monkeypatch.setattr(model_picker, "name_of", lambda name: f"name of {name}")
    for name in BUNDLED:
        session.current().choose_model(name, "published")
    stage.clear()
    stage.pressed = {"overview.all_bundled"}
    page.script.who_reads()
    named_ = " · ".join(f"{say(f'nav.{name}')}: name of {name}" for name in BUNDLED)
    assert [bare(one) for one in stage.said("caption")] == [named_]
    assert stage.said("button") == [say("models.all_bundled")]
    assert [session.current().model(name) for name in BUNDLED] == [None] * 4


# --- recall -------------------------------------------------------------------------------------------------------
def test_the_recall_page_draws_the_cells_on_screen_and_the_record_until_all_are_there(
    run: Run, monkeypatch, stage
) -> None:
    shown = {name: [Accuracy({"distance": 1}, 0.5, 0.4, 0.6, 9, 9, 9)] for name in BUNDLED}
    record = SimpleNamespace(
        bundled={"mamba": ["recorded"]}, layout=SimpleNamespace(guess="guess"), runs="runs", task="mqar"
    )
    asked: dict[str, Any] = {}
    monkeypatch.setattr(measuring, "task_picker", lambda: "mqar")
    monkeypatch.setattr(results, "record", lambda task: record if task == "mqar" else None)
    monkeypatch.setattr(measuring, "map_of", lambda _record: shown)
    monkeypatch.setattr(far, "section", lambda one: asked.update(far=one))
    monkeypatch.setattr(what_if, "draw", lambda one: asked.update(what_if=one))
    monkeypatch.setattr(question, "question", lambda one: asked.update(question=one))
    monkeypatch.setattr(recall_expected, "expected", lambda one, cells: asked.update(expected=(one, cells)))
    monkeypatch.setattr(training, "budget", lambda one: asked.update(budget=one))
    page = run("recall")
    assert found_in(page) == [
        ("chapter1", "recall.bytes", "recall_against_bytes"),
        ("hood.recall_seeds", "recall.seeds", "recall_seeds"),
    ]
    assert asked == {
        "far": record,
        "what_if": record,
        "question": record,
        "expected": (record, shown),
        "budget": record,
    }
    assert page.around["hood"] == ["recall_seeds", "training"] and page.around["check"][0] == ("recall",)
    drawn = page.shown("recall.bytes").options
    assert drawn["of"] == shown and drawn["layout"] is record.layout
    seeds = page.shown("recall.seeds").options
    assert (seeds["of"], seeds["bundled"], seeds["guess"]) == ("runs", 0, "guess")
    shown["rwkv"] = []
    assert run("recall").shown("recall.bytes").options["of"] == record.bundled


def test_the_recall_page_says_that_nothing_is_recorded(run: Run, monkeypatch, stage: Stage, say: Say) -> None:
    monkeypatch.setattr(measuring, "task_picker", lambda: "mqar")
    monkeypatch.setattr(results, "record", lambda _task: None)
    page = run("recall")
    assert stage.said("info") == [say("recall.nothing")] and page.figures == []
