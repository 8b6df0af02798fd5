"""What stands around the figures of a page: headings, cards, badges, the bar, what is kept and what a link says."""

import dataclasses
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
from stage import Call, Stage, words_of

from models import registry
from models.errors import SettingError
from models.limits import PROMPT_CHARACTERS
from models.machine import facts
from models.reconstruction import Check
from models.records.trace import Token
from pages.shared import (
    attempts,
    cache,
    continuing,
    controls,
    figure,
    figure_menu,
    implementation,
    layout,
    next_word,
    panel,
    parts,
    prompt,
    proof,
    reading_bar,
    site,
    style,
    ticker,
)
from pages.shared.state import session
from pages.shared.words import content, language
from viz.gallery import samples
from viz.look.vega import VegaSpec

Say = Callable[..., str]
MODULES = (
    continuing,
    controls,
    figure,
    figure_menu,
    implementation,
    layout,
    next_word,
    panel,
    parts,
    prompt,
    reading_bar,
)

NAMES = ("transformer", "mamba", "rwkv", "jamba")
TRACES = samples.traces()


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Draw parts of the Mamba page without Streamlit."""
    made = Stage().on(monkeypatch, *MODULES)
    made.session_state["contextscope.page"] = "mamba"
    monkeypatch.setattr(
        cache, "architectures", lambda: {name: name for name in ("transformer", "mamba", "rwkv", "jamba")}
    )
    monkeypatch.setattr(cache, "bundled", lambda: ("transformer", "mamba", "rwkv", "jamba"))
    return made


# --- layout ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("page", site.KEYS)
def test_a_page_opens_with_its_name_its_tagline_and_its_promise(say: Say, stage: Stage, page: str) -> None:
    layout.header(page)
    title, tagline, promise = (content.section(page, key) for key in ("title", "tagline", "promise"))
    assert stage.said("title") == [f"{title} — *{tagline}*"] and stage.said("markdown") == [promise]


@pytest.mark.parametrize("page", ["transformer", "mamba", "rwkv", "jamba"])
def test_a_chapter_has_its_question_its_words_and_what_to_try(say: Say, stage: Stage, monkeypatch, page: str) -> None:
    drawn: list[int] = []
    begun: list[Any] = []
    monkeypatch.setattr(attempts, "begin", lambda *given: begun.append(given))
    monkeypatch.setattr(layout, "beside", lambda words: stage.calls.append(Call("beside", (words,), {})))
    for n in (1, 2, 3):
        stage.clear()
        attempt = content.attempt(page, f"chapter{n}")
        stage.pressed = {f"{page}.try.chapter{n}"}
        layout.chapter(page, n, lambda n=n: drawn.append(n))
        (head,) = stage.found("header")
        assert head.args == (content.section(page, f"chapter{n}.title"),) and head.options["anchor"] == f"chapter{n}"
        assert stage.said("beside") == [content.section(page, f"chapter{n}.text")]
        tried = [] if attempt is None else [f"**{say('layout.try')}** {attempt.text}"]
        assert stage.said("markdown") == tried
        if attempt is not None and attempt.sets:
            assert stage.said("button") == [say("layout.try_it")] and begun.pop() == (page, attempt)
        else:
            assert stage.said("button") == [] and begun == []
    assert drawn == [1, 2, 3]


def test_the_first_figure_stands_beside_what_to_see_and_what_is_carried(say: Say, stage: Stage, monkeypatch) -> None:
    order: list[Any] = []
    monkeypatch.setattr(layout, "beside", order.append)
    monkeypatch.setattr(layout, "_try", lambda *given: order.append(given))
    monkeypatch.setattr(layout, "_carried", lambda traces: order.append(("carried", traces)))
    monkeypatch.setattr(layout.implementation, "what_ran", lambda *given: order.append(("ran", *given)))
    layout.first_figure("mamba", lambda: order.append("figure"), traces=["trace"])  # type: ignore[list-item]
    see = content.section("mamba", "hero.see")
    assert order == ["figure", see, ("mamba", "hero"), ("carried", ["trace"]), ("ran", "mamba", ["trace"])]
    assert stage.said("header") == [say("layout.see")]
    order.clear()
    layout.first_figure("mamba", lambda: order.append("figure"))
    assert order == ["figure", see, ("mamba", "hero")], "without a run nothing is carried"


def test_closing_notes_stand_side_by_side_each_with_its_words(say: Say, stage: Stage) -> None:
    layout.footer("overview", "models", "table")
    assert stage.said("header") == [content.section("overview", f"{key}.title") for key in ("models", "table")]
    assert stage.said("markdown") == [content.section("overview", f"{key}.text") for key in ("models", "table")]


# --- figure ------------------------------------------------------------------------------------------------------
def drawn_figure(**changes: Any) -> SimpleNamespace:
    body = VegaSpec({"mark": "bar", "height": 321}, {"a": [1]})  # type: ignore[dict-item]
    known = {
        "id": "head_matrix",
        "body": body,
        "data": {},
        "alt": "words for all",
        "note": "own note",
        "finding": "found",
    }
    return SimpleNamespace(**({"each": ()} | known | changes))


@pytest.mark.parametrize(("key", "level"), [("transformer.hero", 2), ("transformer.logits", 3), ("mamba.hero", 3)])
@pytest.mark.parametrize("note", [None, "another note"])
def test_a_card_has_its_name_its_finding_its_note_and_its_badge(
    say: Say, stage: Stage, key: str, level: int, note
) -> None:
    check = Check("rebuilds", 1e-9, 1e-5)
    figure.show(drawn_figure(), key=key, subtitle="beside", note=note, check=check, source="the source")  # type: ignore[arg-type]
    name = content.figure_facts("head_matrix").name[language.current()]
    title, *_, row = stage.said("html")
    assert words_of(title) == f"{name} · beside found" and f'<h{level} class="cs-title" id="head_matrix">' in title
    assert stage.said("text") == [note or "own note"]
    assert 'data-figure="head_matrix"' in row and 'data-source="the source"' in row
    inline = content.spoken(content.figure_facts("head_matrix").inline, language.current())
    assert words_of(row).startswith(inline) and say("figure.menu") in words_of(row)
    assert stage.said("popover") == [proof.label(check)]
    (chart,) = stage.found("vega_lite_chart")
    assert (
        chart.args == ({"mark": "bar", "height": 321, "datasets": {"a": [1]}},)
        and chart.options["alt"] == "words for all"
    )
    slots = {
        call.options["key"]: call.options["height"] for call in stage.found("container") if "height" in call.options
    }
    assert slots == {f"slot-bars-{key}": 321}, "its outline is that of its kind, as high as it will be"


def test_a_card_without_finding_note_check_and_source_has_none(stage: Stage) -> None:
    figure.show(drawn_figure(finding="", note=""), key="transformer.logits")  # type: ignore[arg-type]
    title, row = stage.said("html")
    assert "cs-finding" not in title and "cs-subtitle" not in title and "data-source" not in row
    assert stage.said("text") == [] == stage.said("popover")


def test_the_words_of_the_menu_are_those_of_its_entries(say: Say) -> None:
    lang = language.current()
    keys = {"menu": "menu", "full": "full_screen", "leave": "leave_full_screen", "definition": "definition",
            "png": "save_png", "svg": "save_svg", "csv": "save_csv", "npz": "save_npz", "link": "link",
            "link_text": "link_text", "copied": "link_copied",
            "failed": "no_picture", "no_full": "no_full_screen"}  # fmt: skip
    known = {name: say(f"figure.{key}") for name, key in keys.items()} | {"mark": say("frame.title")}
    assert figure_menu.words(lang) == known
    buttons = figure_menu._buttons("a_figure", "", lang)
    full = say("figure.full_screen")
    assert f'aria-label="{full}" title="{full}"' in buttons and words_of(buttons) == say("figure.menu")


def test_an_opened_badge_shows_the_curves_that_were_compared(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []
    monkeypatch.setattr(figure.style, "theme", lambda: "theme")
    monkeypatch.setattr(figure.proof, "opened", lambda *given: opened.append(given) or "")
    for check, kind in ((Check("rebuilds", 1e-9, 1e-5), "good"), (Check("rebuilds", 1.0, 1e-5), "bad")):
        figure._badge("mamba.hero", check, lambda: ["curves"])  # type: ignore[list-item]
        assert opened.pop() == (check, ["curves"], "theme") and stage.has(f"badge-{kind}-mamba.hero")
    figure._badge("mamba.hero", check, None)
    assert opened == [(check, (), "theme")]


# --- panel -------------------------------------------------------------------------------------------------------
@pytest.fixture
def cards(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Note what a panel hands to the card of its figure."""
    found: list[Any] = []
    monkeypatch.setattr(panel, "_figures", panel.Figures())
    monkeypatch.setattr(panel.style, "theme", lambda: SimpleNamespace(mode="light"))
    monkeypatch.setattr(panel.cache, "check_of", lambda drawn, trace, options: ("checked", drawn, options))
    monkeypatch.setattr(panel, "curves", lambda drawn, trace, **options: ("curves", drawn, options))
    monkeypatch.setattr(panel.figure, "show", lambda drawn, **options: found.append((drawn, options)))
    return found


def test_a_panel_draws_checks_and_shows_the_same_choice(say: Say, cards: list[Any]) -> None:
    trace = TRACES["mamba"]

    class Drawn(NamedTuple):
        look: str
        model: str
        options: tuple[tuple[str, Any], ...]
        each: tuple[tuple[str, str], ...]

    each: tuple[tuple[str, str], ...] = ()

    def draw(shown: Any, *, theme: Any, t: Any, **options: Any) -> Any:
        return Drawn(theme.mode, shown.architecture, tuple(sorted(options.items())), each)

    session.current().pick(2, (trace.tokens[2].start, trace.tokens[2].end))
    for each, token in (((), None), ((("alt", "finding"),) * len(trace.tokens), 2)):
        panel.panel(draw, trace, key="mamba.x", subtitle="beside", layer=3)
        drawn, options = cards.pop()
        chosen = {"layer": 3}
        assert drawn == ("light", "mamba", (("layer", 3),), each), "the chosen token draws no other figure"
        assert options["check"] == ("checked", drawn, chosen) and options["compare"]() == ("curves", drawn, chosen)
        told = say("figure.source", models=say("nav.mamba"), text=trace.prompt)
        assert (options["key"], options["subtitle"], options["source"]) == ("mamba.x", "beside", told)
        assert options["token"] == token
    panel.panel(draw, trace, key="mamba.x", source="a run")
    assert cards.pop()[1]["source"] == "a run"
    panel.sketch(draw, trace, key="mamba.early", layer=4)
    told = say("figure.source", models=say("nav.mamba"), text=trace.prompt)
    assert cards.pop() == (("light", "mamba", (("layer", 4),), each), {"key": "mamba.early", "source": told})


def test_sentences_for_every_token_are_sent_once_each_and_those_of_the_shown_one_are_written() -> None:
    each = (("few fell", "Few."), ("many fell", "Many."), ("few fell", "Few."))
    fig = figure.Figure("decay_curves", VegaSpec({"height": 1}, {}), {}, "few fell", finding="Few.", each=each)
    told = 'data-said="few fell\nFew.\nmany fell\nMany." data-each="0 1,2 3,0 1"'
    assert str(figure._finding(fig, 1)) == f'<p class="cs-finding" {told}>Many.</p>'
    assert str(figure._finding(dataclasses.replace(fig, each=()), None)) == '<p class="cs-finding">Few.</p>'
    assert figure._finding(dataclasses.replace(fig, each=(), finding=""), None) is None


# --- parts -------------------------------------------------------------------------------------------------------
def shown_parts(stage: Stage, sight: str) -> None:
    parts.begin()
    stage.session_state[parts.SIGHT] = sight
    parts.figure("mamba.part.Film", bool, on=("layer",))
    parts.figure("mamba.part.channel", bool, on=("layer", "channel"))
    parts.part("bar", bool, on=("token", "layer"))
    stage.clear()


@pytest.mark.parametrize(
    ("changed", "sight", "now", "late"),
    [
        (("layer",), "", ["mamba.part.Film", "mamba.part.channel", "bar"], []),
        (("layer",), "part-mamba-part--ilm", ["mamba.part.Film", "bar"], ["part-mamba-part-channel"]),
        (("layer",), "elsewhere", ["bar"], ["part-mamba-part--ilm", "part-mamba-part-channel"]),
        (("channel",), "", ["mamba.part.channel"], []),
        (("token", "guess"), "elsewhere", ["bar"], []),
        (("head",), "", [], []),
    ],
)
def test_a_choice_redraws_what_follows_it_in_sight_and_the_rest_when_it_comes_near(
    stage: Stage, changed, sight, now, late
) -> None:
    shown_parts(stage, sight)
    parts.redraw(*changed)
    assert [call.args[0] for call in stage.found("rerun")] == ([now] if now else [])
    assert parts.late() == late
    stage.clear()
    parts.come_near(["part-mamba-part-channel", "unknown"])
    near = ["mamba.part.channel"] if "part-mamba-part-channel" in late else []
    assert [call.args[0] for call in stage.found("rerun")] == ([near] if near else [])


# --- prompt, reading bar -----------------------------------------------------------------------------------------
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
        assert (pickers, walked, more) == (None, layers, {"guesses": guessing})


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


# --- session -----------------------------------------------------------------------------------------------------
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
        "seed": "123456",
        "other": "1",
    }
    visit = session.start("mamba")
    assert visit.linked
    assert visit.token(11) is None and visit.token(11) is None
    assert [visit.selection("router_layer", default=2, allowed=range(8)) for _ in range(2)] == [2, 2]
    assert visit.selection("channel", default=2, allowed=range(8)) == 3
    assert sorted(visit.missed()) == [("head", "x"), ("layer", "9"), ("seed", "123456"), ("token", "77")]
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


# --- cache -------------------------------------------------------------------------------------------------------
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


# --- controls: what is read --------------------------------------------------------------------------------------
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


@pytest.mark.parametrize(
    ("line", "low", "high", "path"),
    [
        ([0.0, 1.0, 2.0], 0.0, 2.0, "M4.0 88.0L170.0 46.0L336.0 4.0"),
        ([2.0, math.nan, 1.0, 0.0], 0.0, 2.0, "M4.0 4.0M225.3 46.0L336.0 88.0"),
        ([3.0], 1.0, 3.0, "M4.0 4.0L336.0 4.0"),
        ([5.0, 5.0], 5.0, 5.0, "M4.0 46.0L336.0 46.0"),
        ([0.0, 0.0], 0.0, 0.0, "M4.0 88.0L336.0 88.0"),
        ([math.nan], math.inf, -math.inf, ""),
    ],
)
def test_a_curve_goes_from_left_to_right_and_up_with_its_numbers(
    line: list[float], low: float, high: float, path: str
) -> None:
    """In a picture 340 wide and 92 high with 4 around: the least is at 88, the most at 4, nothing but zeros below."""
    assert proof._path(np.array(line), low, high, 92) == path
