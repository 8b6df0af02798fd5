"""What is said of a text that models write on, and who may have one written."""

from types import SimpleNamespace
from typing import Any

import pytest
from shared_stage import TEXT, Say, places_of, stage_of, text_of
from stage import Stage, bare, words_of

from models.errors import SourceError
from models.generation import guess
from models.generation.distribution import Sampling
from models.generation.stream import Settings
from models.limits import PROMPT_CHARACTERS, PROMPT_TOKENS
from pages.shared import cache, continuing, next_word, panel, sampling
from pages.shared.state import session


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return stage_of(monkeypatch)


# --- continuing ---------------------------------------------------------------------------------------------------
def step(text: str = "x", *, read: int = 9, prob: float = 0.5, rank: int = 1, ends: bool = False) -> SimpleNamespace:
    return SimpleNamespace(text=text, read=read, prob=prob, rank=rank, ends=ends)


def written(**changes: Any) -> SimpleNamespace:
    known: dict[str, Any] = {
        "names": ("mamba", "rwkv"), "prompt": TEXT, "running": False, "waiting": False, "stopped": False,
        "settings": Settings(tokens=2, greedy=True, sampling=Sampling(1.0, None, 1.0), seed=0), "errors": {},
        "paces": {}, "steps": {"mamba": [step(), step()], "rwkv": [step(), step()]}, "cancelled": [],
    }  # fmt: skip
    run = SimpleNamespace(**(known | changes))
    run.cancel = lambda: run.cancelled.append(1)
    run.text = lambda name: "".join(one.text for one in run.steps[name])
    return run


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("same", [True, False])
def test_a_continuation_belongs_to_its_very_text(stage: Stage, running: bool, same: bool) -> None:
    """One of another text is stopped and forgotten, also when it had ended."""
    run, other = written(running=running), written()
    kept = stage.session_state[continuing._RUNS] = {"mamba": run, "rwkv": other}
    assert continuing._run("mamba", TEXT if same else "Another") is (run if same else None)
    assert kept == ({"mamba": run, "rwkv": other} if same else {"rwkv": other})
    assert run.cancelled == ([] if same else [1]) and other.cancelled == []
    assert continuing._run("jamba", TEXT) is None


@pytest.mark.parametrize(
    ("steps", "errors", "ended"),
    [
        ([step()] * 3, {}, False), ([step()] * 4, {}, True), ([step()] * 5, {}, True), ([], {}, False),
        ([step(), step(ends=True)], {}, True), ([step(ends=True), step()], {}, False),
        ([], {"mamba": SourceError("a", "b")}, True), ([step()], {"rwkv": SourceError("a", "b")}, False),
    ],
)  # fmt: skip
def test_a_model_has_ended_with_all_its_tokens_the_end_of_the_text_or_an_error(steps, errors, ended: bool) -> None:
    run = written(steps={"mamba": steps}, errors=errors, settings=Settings(tokens=4))
    assert continuing._ended(run, "mamba") is ended


LESS = {"mamba": [step(), step()], "rwkv": [step()]}


@pytest.mark.parametrize(
    ("changes", "ahead", "key"),
    [
        ({"running": True, "waiting": True}, 3, "waiting"), ({"running": True, "waiting": True}, 0, "starting"),
        ({"running": True}, 0, "writing"), ({"running": True, "stopped": True}, 0, "writing"), ({}, 0, "done"),
        ({"stopped": True}, 0, "done"), ({"steps": LESS}, 0, "dropped"),
        ({"steps": LESS, "stopped": True}, 0, "stopped"),
    ],
)  # fmt: skip
def test_a_text_says_whether_it_waits_is_written_or_how_it_ended(
    say: Say, stage: Stage, monkeypatch, changes, ahead, key
) -> None:
    monkeypatch.setattr(continuing, "line", lambda: SimpleNamespace(ahead=lambda _run: ahead))
    continuing._status(written(**changes))
    values = {"ahead": ahead} if key == "waiting" else {}
    assert words_of(stage.said("html")[0]) == f"{say(f'next_word.{key}', **values)} · {say('next_word.how.0')}"


@pytest.mark.parametrize(("top_k", "shown"), [(None, "∞"), (20, "20")])
def test_a_drawn_text_says_how_its_tokens_were_drawn(say: Say, stage: Stage, monkeypatch, top_k, shown: str) -> None:
    monkeypatch.setattr(continuing, "line", lambda: SimpleNamespace(ahead=lambda _run: 0))
    continuing._status(written(settings=Settings(tokens=2, greedy=False, sampling=Sampling(0.7, top_k, 0.95), seed=17)))
    how = say("next_word.how.1", temperature="0.7", topk=shown, topp="0.95", seed=17)
    assert words_of(stage.said("html")[0]).endswith(how)


def test_each_model_has_its_tokens_their_probabilities_its_pace_and_what_it_carries(
    say: Say, stage: Stage, monkeypatch
) -> None:
    steps = {
        "mamba": [step(" one", prob=0.1234, rank=1200, read=7), step("", read=8),
                  step(" two", prob=0.5, rank=2, read=9)],
        "rwkv": [step(" three", prob=1.0, read=8, ends=True)], "jamba": [],
    }  # fmt: skip
    paces = {"mamba": SimpleNamespace(tokens_per_s=41.6), "rwkv": SimpleNamespace(tokens_per_s=None)}
    run = written(names=("mamba", "rwkv", "jamba"), steps=steps, paces=paces)
    stage.session_state[continuing._SOURCES] = {"overview": {"mamba": "published", "rwkv": "rwkv", "jamba": "jamba"}}
    monkeypatch.setattr(
        cache, "cache_bytes", lambda source, tokens: 2**10 * tokens * (3 if source == "published" else 1)
    )
    readers = tuple((name, f"Text of {name}") for name in run.names)
    continuing._columns("overview", readers, run)
    mamba, rwkv, jamba = map(words_of, stage.said("html"))
    facts = say("next_word.facts", tokens=3, size="27 KiB")
    assert mamba == f"{say('nav.mamba')} Text of mamba one two {facts} · {say('next_word.pace', rate='42')}"
    facts = say("next_word.facts", tokens=1, size="8 KiB")
    assert rwkv == f"{say('nav.rwkv')} Text of rwkv three {facts} · {say('next_word.ended')}"
    assert jamba == f"{say('nav.jamba')} Text of jamba"
    first, second, third = stage.said("html")
    assert f'title="{say("next_word.piece", share="12.3%", rank="1,200")}"> one<' in first
    assert f'title="{say("next_word.piece", share="50.0%", rank="2")}"> two<' in first
    assert first.count('class="cs-piece"') == 2, "inside a character nothing is written"
    assert "width:100.0%" in first and "width:29.6%" in second and "cs-bar" not in third
    buttons = [(call.args[0], call.options["key"]) for call in stage.found("button")]
    assert buttons == [(say("next_word.show"), f"overview.show.{name}") for name in ("mamba", "rwkv")]
    assert stage.said("caption") == [say("next_word.note")]
    stage.clear()
    continuing._columns("overview", readers, written(names=run.names, steps=steps, running=True))
    assert stage.found("button") == [], "while it is written nothing is shown in the figures"


def test_only_the_end_of_a_long_text_stands_before_what_is_written() -> None:
    run = written()
    for text, shown in (
        ("a" * 30 + " " + "b" * 29, "a" * 30 + " " + "b" * 29),
        ("c" * 40 + " " + "d" * 40, "…" + "d" * 40),
    ):
        drawn = continuing._text(text, run, "mamba", (), 0, 0, named=False)
        assert f'<span class="cs-before">{shown}</span>' in drawn and "<h4>" not in drawn


def test_why_a_text_could_not_begin_or_was_cut_is_said_on_its_page_alone(say: Say, stage: Stage) -> None:
    stage.session_state[continuing._TROUBLE] = {"mamba": SourceError("errors.not_downloaded", "x", source="m")}
    stage.session_state[continuing._CUT] = {"rwkv": True, "mamba": False}
    continuing._troubles("mamba")
    assert [bare(one) for one in stage.said("warning")] == [say("errors.not_downloaded", source="m")]
    assert stage.said("caption") == []
    continuing._troubles("rwkv")
    assert len(stage.said("warning")) == 1
    cut = say("next_word.cut", tokens=PROMPT_TOKENS, characters=f"{PROMPT_CHARACTERS:,}")
    assert stage.said("caption") == [cut]


@pytest.mark.parametrize(("draw", "seeded"), [(0, False), (1, True)])
def test_one_chooses_how_a_text_is_continued(say: Say, stage: Stage, draw: int, seeded: bool) -> None:
    places_of(stage).update(draw=draw, length=48, seed=17)
    continuing._controls("mamba", (("mamba", TEXT),), None)
    assert [call.args[0] for call in stage.found("button")] == [say("next_word.go")]
    chooser, length = stage.keyed("mamba.draw"), stage.keyed("mamba.length")
    assert chooser.args == (say("next_word.draw"), (0, 1)) and length.args == (
        say("next_word.length"),
        (8, 16, 24, 32, 48, 64),
    )
    assert [chooser.options["format_func"](one) for one in (0, 1)] == [say("next_word.draw.0"), say("next_word.draw.1")]
    assert (stage.session_state["mamba.draw"], stage.session_state["mamba.length"]) == (draw, 48)
    assert stage.has("mamba.seed") == seeded, "a seed decides nothing where the likeliest is taken"
    if seeded:
        asked = stage.keyed("mamba.seed")
        assert asked.args == (say("next_word.seed"), 0, 999) and stage.session_state["mamba.seed"] == 17
        stage.session_state["mamba.seed"] = 18
        asked.options["on_change"]()
    stage.session_state.update({"mamba.draw": 1 - draw, "mamba.length": 8})
    chooser.options["on_change"]()
    length.options["on_change"]()
    assert places_of(stage) == {"draw": 1 - draw, "length": 8, "seed": 18 if seeded else 17}
    stage.clear()
    continuing._controls("mamba", (("mamba", TEXT),), written(running=True))
    assert [call.args[0] for call in stage.found("button")] == [say("next_word.stop")]


def test_one_text_of_a_visitor_is_written_at_a_time_by_the_models_that_read(stage: Stage, monkeypatch) -> None:
    noted: list[Any] = []
    other = written(running=True)
    stage.session_state[continuing._RUNS] = {"jamba": other}
    stage.session_state[continuing._CUT] = {"mamba": True}
    monkeypatch.setattr(
        continuing.model_picker, "read", lambda name, text: (SimpleNamespace(checkpoint=f"{name} {text}"), None)
    )
    monkeypatch.setattr(cache, "checkpoint", lambda source: f"loaded {source}")
    monkeypatch.setattr(continuing, "line", lambda: SimpleNamespace(start=lambda *given: given))
    monkeypatch.setattr(continuing.journal, "note", lambda action, *, run: noted.append((action, run)))
    continuing._start("overview", (("mamba", "T1"), ("rwkv", "T2")))
    loaded = {"mamba": "loaded mamba T1", "rwkv": "loaded rwkv T2"}
    assert stage.session_state[continuing._RUNS]["overview"] == (loaded, "T1", continuing._settings())
    assert continuing._sources()["overview"] == {"mamba": "mamba T1", "rwkv": "rwkv T2"}
    assert other.cancelled == [1] and stage.session_state[continuing._CUT] == {}
    assert noted == [("write_start", "overview-2")]
    continuing._stop("jamba")
    assert other.cancelled == [1, 1] and noted[1:] == [("write_stop", "jamba")]


# --- next_word ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("known", "kept"),
    [
        (("T", 4, "boat"), True), (("T", 5, "boat"), False), (("U", 4, "boat"), False), (None, False),
        (("T", 4, " "), False),
    ],
)  # fmt: skip
def test_a_guess_counts_for_its_text_and_its_place(say: Say, stage: Stage, monkeypatch, known, kept: bool) -> None:
    stage.session_state[next_word._GUESS] = known
    asked: list[Any] = []
    monkeypatch.setattr(cache, "checkpoint", lambda source: source)
    monkeypatch.setattr(guess, "guessed_token", lambda *given: asked.append(given) or 90 + len(asked))
    traces = [
        SimpleNamespace(
            prompt=text,
            tokens=[SimpleNamespace(label=f"<{name}{n}>") for n in range(9)],
            checkpoint=name,
            logits=SimpleNamespace(values=[f"{name}{n}" for n in range(9)]),
        )
        for name, text in (("a", "T"), ("b", "U"))
    ]
    assert next_word._guess("mamba", traces, (4, 6)) == ((91, 92) if kept else None)  # type: ignore[arg-type]
    assert asked == ([("a", "boat", "a4"), ("b", "boat", "b6")] if kept else []), "each at its own place"
    typed = stage.keyed("mamba.guess")
    assert bare(typed.args[0]) == say("next_word.guess", token="<a4>"), "of the first model"
    stage.session_state["mamba.guess"] = "dog"
    typed.options["on_change"]()
    assert stage.session_state[next_word._GUESS] == ("T", 4, "dog")


def test_the_distribution_is_of_the_chosen_token_else_of_the_last(stage: Stage) -> None:
    trace = text_of((5, "a"), (6, "b"), (7, "c"))
    assert next_word._place(trace) == 2 == panel.selected_or_last(trace)  # type: ignore[arg-type]
    session.current().pick(0)
    assert next_word._place(trace) == 0 == panel.selected_or_last(trace)  # type: ignore[arg-type]
    session.current().pick(7)
    assert next_word._place(trace) == 2 == panel.selected_or_last(trace)  # type: ignore[arg-type]


# --- sampling -----------------------------------------------------------------------------------------------------
def test_a_slider_has_its_name_its_choices_and_the_usual_one(say: Say, stage: Stage) -> None:
    sampling.dials("mamba")
    known = {
        "temperature": (sampling.TEMPERATURES, 100, "1"),
        "topk": (sampling.TOP_K, 0, "∞"),
        "topp": (sampling.TOP_P, 100, "1"),
    }
    for name, (options, usual, shown) in known.items():
        slider = stage.keyed(f"mamba.{name}")
        assert slider.args == (say(f"next_word.{name}"), options)
        assert stage.session_state[f"mamba.{name}"] == usual and slider.options["format_func"](usual) == shown
        stage.session_state[f"mamba.{name}"] = options[1]
        slider.options["on_change"]()
        stage.session_state[f"mamba.{name}"] = -1
        slider.options["on_change"]()
    assert places_of(stage) == {"temperature": 20, "topk": 2, "topp": 10}
    assert sampling.chosen() == Sampling(0.2, 2, 0.1)
