"""What a text is read with: the box, the bar, the distribution, what is kept of a visit and what a link says."""

from types import SimpleNamespace
from typing import Any

import pytest
from figure_stage import TRACES, Say, stage_of
from stage import Stage, words_of

from models import registry
from models.errors import SettingError
from models.limits import PROMPT_CHARACTERS
from models.machine import facts
from models.records.trace import Token
from pages.shared import cache, continuing, controls, implementation, next_word, prompt, reading_bar, style, ticker
from pages.shared.state import session


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return stage_of(monkeypatch)


# --- prompt, reading bar ------------------------------------------------------------------------------------------
def test_the_box_has_the_text_of_the_visit_and_takes_a_new_one(say: Say, stage: Stage, monkeypatch) -> None:
    chips: list[str] = []
    monkeypatch.setattr(prompt.model_picker, "chip", chips.append)
    session.current().prompt = "A text of mine"
    assert prompt.show("mamba", model="mamba").text == "A text of mine"
    prompt.show("overview")
    assert chips == ["mamba"], "the overview has the models of all architectures"
    box = stage.keyed("mamba.prompt")
    assert box.args == (say("controls.prompt"),) and box.options["placeholder"] == say("controls.prompt_placeholder")
    assert stage.session_state["mamba.prompt"] == "A text of mine"
    stage.session_state["mamba.prompt"] = "Another"
    box.options["on_change"]()
    assert session.current().prompt == "Another"


@pytest.mark.parametrize(
    ("options", "guessing", "walks", "asks"),
    [((1, 2), False, True, False), ((1,), True, False, True), (None, False, False, False)],
)
def test_the_bar_knows_what_a_page_asks_and_walks_through(
    stage: Stage, monkeypatch, options, guessing, walks, asks
) -> None:
    told: list[Any] = []
    trace = TRACES["mamba"]
    stage.session_state["mamba.guess_first"] = guessing
    monkeypatch.setattr(reading_bar, "_data", lambda page, trace: {"page": page})
    monkeypatch.setattr(reading_bar, "_bar", lambda *given, **more: told.append((given, more)))
    monkeypatch.setattr(reading_bar.parts, "late", lambda: ["a-part"])
    monkeypatch.setattr(reading_bar.parts, "part", lambda key, draw, *, on: draw())
    layers = None if options is None else reading_bar.Layers("layer", options, 1)
    for place, (layer, head) in ((None, (None, None)), (lambda: (4, 7), (4, 7))):
        reading_bar.show("mamba", trace, layers=layers, place=place)
        (data, pickers, walked), more = told.pop()
        assert data == {
            "page": "mamba",
            "layer": layer,
            "head": head,
            "layers": walks,
            "asks": asks,
            "late": ["a-part"],
        }
        assert (pickers, walked, more) == (None, layers, {"guesses": guessing, "asks": False})


def test_a_guess_hides_the_distribution_which_is_drawn_as_it_is_set(say: Say, stage: Stage, monkeypatch) -> None:
    drawn: list[Any] = []
    traces = [TRACES[name] for name in ("mamba", "rwkv")]
    by_name = {one.architecture: one for one in traces}
    monkeypatch.setattr(next_word.model_picker, "read", lambda name, _text: (by_name[name], None))
    monkeypatch.setattr(next_word, "panel", lambda draw, shown, **options: drawn.append((shown, options)))
    stage.on(monkeypatch, next_word.sampling)
    stage.session_state["mamba.guess_first"] = False
    stage.session_state["contextscope.places"] = {"mamba": {"temperature": 70, "topk": 20, "topp": 95}}
    session.current().pick(3)
    guesses: list[Any] = [None, (8, 9)]
    monkeypatch.setattr(next_word, "_guess", lambda page, shown, places: guesses.pop(0))
    readers = (("mamba", "T"), ("rwkv", "T"))
    known = {"key": "mamba.next_word", "at": (3, 3), "temperature": 0.7, "top_k": 20, "top_p": 0.95}
    next_word._distribution("mamba", readers)
    assert drawn.pop() == (traces, known | {"alone": False, "guesses": ()})
    stage.session_state["mamba.guess_first"] = True
    next_word._distribution("mamba", readers)
    assert drawn == [] and stage.said("text") == [say("next_word.hidden", token=traces[0].tokens[3].label)]
    next_word._distribution("mamba", readers)
    assert drawn.pop() == (traces, known | {"alone": True, "guesses": (8, 9)})
    toggle = stage.keyed("mamba.guess_first")
    assert toggle.args == (say("next_word.guess_first"),) and toggle.options["help"] == say("next_word.guess_help")


@pytest.mark.parametrize("several", [True, False])
def test_what_comes_next_is_asked_in_the_words_for_one_or_several(
    say: Say, stage: Stage, monkeypatch, several: bool
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(next_word, "_figures", lambda *given: asked.append(given))
    traces = [TRACES[name] for name in ("mamba", "rwkv")][: 2 if several else 1]
    next_word.section("mamba", traces)
    assert asked == [("mamba", tuple((one.architecture, one.prompt) for one in traces))]
    assert stage.said("header") == [say("next_word.title")]
    assert stage.said("markdown") == [say("next_word.text_several" if several else "next_word.text")]


def test_what_ran_is_named_by_architecture_where_several_did(say: Say, stage: Stage, monkeypatch) -> None:
    monkeypatch.setattr(implementation, "_table", lambda trace, *, named: f"{trace} {named} ")
    monkeypatch.setattr(implementation, "_rounded", lambda trace: None)
    for traces, table in ((["a"], "a False"), (["a", "b"], "a True b True")):
        implementation.what_ran("mamba", traces)  # type: ignore[arg-type]
        assert words_of(stage.said("html")[-1]) == table
    assert stage.said("popover") == [say("ran.title")] * 2 and stage.said("caption") == [say("ran.packages")] * 2


@pytest.mark.parametrize(("every", "data"), [(0.25, 250), (1.5, 1500), (None, 0)])
def test_a_ticker_ticks_in_milliseconds_or_not_at_all(monkeypatch, every: float | None, data: int) -> None:
    told: dict[str, Any] = {}
    monkeypatch.setattr(ticker, "_component", lambda: lambda **given: told.update(given))
    ticker.ticker(every, key="k")
    assert (told["data"], told["key"]) == (data, "k")


def test_a_document_is_told_everything_under_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, Any] = {}
    monkeypatch.setattr(style, "_component", lambda: lambda **given: told.update(given))
    known = {
        "lang": "ko",
        "page": "mamba",
        "query": {"a": "b"},
        "restored": True,
        "words": {"c": "d"},
        "pointed": ("e", 7),
    }
    style.document(**known)  # type: ignore[arg-type]
    assert told["data"] == known


# --- session ------------------------------------------------------------------------------------------------------
def tokens_of(count: int) -> list[Token]:
    return [Token(n, n, str(n), n, n + 1, 1, 1) for n in range(count)]


def test_what_a_link_names_in_vain_is_told_once_by_its_kind(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_read_models", lambda *_: None)
    monkeypatch.setattr(session.history, "is_step", lambda: False)
    stage.query_params = {
        "token": "77",
        "router_layer": "9",
        "head": "x",
        "channel": "3",
        "seed": "1234567",
        "other": "1",
    }
    visit = session.start("mamba")
    assert visit.linked
    assert visit.token(11) is None and visit.token(11) is None
    assert [visit.selection("router_layer", default=2, allowed=range(8)) for _ in range(2)] == [2, 2]
    assert visit.selection("channel", default=2, allowed=range(8)) == 3
    assert sorted(visit.missed()) == [("head", "x"), ("layer", "9"), ("seed", "1234567"), ("token", "77")]
    assert visit.missed() == [] and not visit.linked
    visit.select("head", 99)
    assert visit.selection("head", default=4, allowed=range(8)) == 4 and visit.missed() == [], "no link said so"
    assert visit.query() == {"channel": "3", "head": "99"}


def test_a_chosen_token_is_found_by_its_characters_in_other_tokens(stage: Stage) -> None:
    visit = session.current()
    halves = [Token(n, n, str(n), 2 * n, 2 * n + 2, 1, 1) for n in range(5)]
    visit.pick(6, (6, 7))
    assert visit.token_in(tokens_of(10)) == 6
    assert visit.token_in(halves) == 3, "the token that covers the character, and no sixth"
    visit.pick(4)
    assert visit.token_in(halves) == 4 and visit.token_in(halves[:3]) is None
    visit.pick(None, (1, 2))
    assert visit.span is None and visit.token_in(halves) is None


def test_a_long_text_is_cut_in_its_address_alone(stage: Stage) -> None:
    visit = session.current()
    visit.prompt = "x" * (PROMPT_CHARACTERS + 1)
    assert visit.query()["text"] == "x" * PROMPT_CHARACTERS and len(visit.prompt) == PROMPT_CHARACTERS + 1
    assert visit._longs() == {"x" * PROMPT_CHARACTERS: visit.prompt}


def test_a_place_that_is_pointed_at_belongs_to_its_page_and_is_counted(stage: Stage) -> None:
    visit = session.current()
    assert visit.pointed is None
    visit.point("mamba", "cost")
    visit.point("mamba", "half_life")
    assert visit.pointed == ("half_life", 2)
    visit.point("rwkv", "cost")
    assert visit.pointed is None


def test_a_choice_that_no_page_has_is_refused(stage: Stage) -> None:
    with pytest.raises(ValueError, match="selection 'model'"):
        session.current().select("model", 3)


# --- cache --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("free", "fits"), [(None, True), (5 * 2**30, True), (3 * 2**30, True), (2 * 2**30, False)])
def test_a_model_that_needs_more_than_is_free_says_both(say: Say, monkeypatch, free: int | None, fits: bool) -> None:
    room: list[int] = []
    monkeypatch.setattr(registry, "need_bytes", lambda _source: 3 * 2**30)
    monkeypatch.setattr(registry, "weight_bytes", lambda _source: 2**30)
    monkeypatch.setattr(facts, "free_memory", lambda: free)
    monkeypatch.setattr(cache, "loaded_models", lambda: SimpleNamespace(make_room=room.append))
    if fits:
        cache._check_memory("m")
    else:
        with pytest.raises(SettingError) as told:
            cache._check_memory("m")
        assert told.value.values == {"source": "m", "need": "3 GiB", "free": "2 GiB"}
    assert room == [2**30]


@pytest.mark.parametrize(("device", "name"), [("cpu", "CPU"), ("cuda:0", "name of cuda:0")])
def test_the_corner_names_where_the_models_run(monkeypatch: pytest.MonkeyPatch, device: str, name: str) -> None:
    cache.processor.clear()
    monkeypatch.setattr(registry, "preferred_device", lambda: device)
    monkeypatch.setattr(facts, "device_name", lambda one: f"name of {one}")
    monkeypatch.setattr(facts, "usable_cores", lambda: 17)
    assert cache.processor() == (name, 17)
    cache.processor.clear()


def test_what_is_documented_of_training_is_each_models_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def clear() -> None:
        for made in (cache.bundled, cache.training, cache.training_cards, cache._structure):
            made.clear()

    clear()
    monkeypatch.setattr(registry, "bundled", lambda: ("a", "b", "c"))
    monkeypatch.setattr(registry, "is_documented", lambda name: name != "b")
    monkeypatch.setattr(registry, "training_log", lambda name: f"log of {name}")
    monkeypatch.setattr(registry, "validation_bits", lambda name: f"bits of {name}")
    monkeypatch.setattr(
        registry, "card_of", lambda name: {"name": name, "structure": {"of": name} if name != "b" else None}
    )
    monkeypatch.setattr(registry, "modified_at", lambda _source: 1.0)
    assert cache.training() == {name: (f"log of {name}", f"bits of {name}") for name in ("a", "c")}
    assert {name: card["name"] for name, card in cache.training_cards().items()} == {"a": "a", "c": "c"}
    assert [cache.structure(name) for name in ("a", "b")] == [{"of": "a"}, {}]
    clear()


# --- controls: what is read ---------------------------------------------------------------------------------------
def test_remarks_about_a_run_stand_under_its_text(say: Say, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    settled: list[Any] = []
    remark = SimpleNamespace(key="cut", values={"a": 1})
    trace = SimpleNamespace(remarks=[remark])
    monkeypatch.setattr(controls.prompt, "show", lambda page, *, model: (page, model))
    monkeypatch.setattr(controls.prompt, "fitted", lambda page, box, names: f"{page} {box} {names}")
    monkeypatch.setattr(controls, "traced_by", lambda name, text: trace if name in ("mamba", "rwkv") else None)
    monkeypatch.setattr(controls.attempts, "settle", settled.append)
    monkeypatch.setattr(controls, "t", lambda key, **values: f"{key} {values}")
    assert controls.traced_prompt("mamba") is trace
    assert controls.traced_prompt("overview", "rwkv") is trace
    assert settled == [trace] * 2 and stage.said("caption") == ["remarks.cut {'a': 1}"] * 2
    every = ["transformer", "mamba", "rwkv", "jamba"]
    assert stage.session_state[controls._GOOD] == {
        "mamba": "mamba ('mamba', 'mamba') ['mamba']", "overview": f"overview ('overview', None) {every}",
    }  # fmt: skip


def test_the_place_of_the_first_figure_is_kept_while_a_text_is_read_for_the_first_time(
    stage: Stage, monkeypatch
) -> None:
    """A page that has shown a text goes on showing it meanwhile."""
    trace = SimpleNamespace(remarks=[])
    monkeypatch.setattr(controls.prompt, "show", lambda *_, **__: None)
    monkeypatch.setattr(controls.prompt, "fitted", lambda *_: "text")
    monkeypatch.setattr(controls, "traced_by", lambda *_: trace)
    monkeypatch.setattr(controls.attempts, "settle", lambda _trace: None)
    for skeletons in (1, 1):
        controls.traced_prompt("mamba")
        assert len(stage.found("skeleton")) == skeletons


@pytest.mark.parametrize(("running", "pace"), [(True, continuing.POLL_S), (False, None), (None, None)])
def test_a_text_is_drawn_again_by_itself_while_it_is_written(
    say: Say, stage: Stage, monkeypatch, running, pace
) -> None:
    order: list[Any] = []
    run = None
    if running is not None:
        run = SimpleNamespace(
            running=running,
            asked=lambda: order.append("asked"),
            wait_first=lambda seconds: order.append(("wait_first", seconds)),
        )
    readers = (("mamba", "T1"), ("rwkv", "T2"))
    monkeypatch.setattr(continuing, "_run", lambda page, text: order.append(("run", page, text)) or run)
    for name in ("_controls", "_troubles", "_status", "_columns"):
        monkeypatch.setattr(continuing, name, lambda *given, name=name: order.append((name, *given)))
    monkeypatch.setattr(continuing, "ticker", lambda every, *, key: order.append((every, key)))
    continuing.draw("mamba", readers)
    waits = [("wait_first", continuing.FIRST_S)] if running else []
    own = [] if run is None else ["asked", *waits, ("_status", run), ("_columns", "mamba", readers, run)]
    assert order == [("run", "mamba", "T1"), ("_controls", "mamba", readers, run), ("_troubles", "mamba"), *own,
                     (pace, "mamba.ticker")]  # fmt: skip
    assert words_of(stage.said("html")[0]) == say("next_word.continue_title")


@pytest.mark.parametrize(
    ("query", "missed"),
    [({"channel": "3"}, []), ({"model": "no/model"}, [("model", "no/model")]), ({"text": "A wolf"}, None), ({}, None)],
)
def test_an_address_is_answered_where_it_chooses_something(stage: Stage, monkeypatch, query, missed) -> None:
    """A text needs no answer; a choice does until it was used, and one that does not exist until it was told."""
    monkeypatch.setattr(session.history, "is_step", lambda: False)
    stage.query_params = query
    visit = session.start("mamba")
    assert visit.linked == (missed is not None)
    assert visit.missed() == (missed or []) and not visit.linked
