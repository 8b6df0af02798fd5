"""The words beside, above and below the figures of a page, from hand-made records."""

from types import SimpleNamespace
from typing import Any

import pytest
from shared_stage import BUNDLED, Say, places_of, stage_of, text_of
from stage import Stage, words_of

from models import registry
from models.counting import accounting
from pages.shared import attempts, cache, document, experts, layout, pointing, site
from pages.shared.state import session
from pages.shared.words import content, language
from viz.gallery import samples


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return stage_of(monkeypatch)


# --- attempts -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("rule", "tokens", "found"),
    [
        ("last", [(5, "a"), (6, "b"), (7, ".")], 2),
        ("last", [(5, "a")], 0),
        ("repeated", [(5, "a"), (6, "b"), (5, "a"), (6, "b"), (5, "a"), (7, "c")], 4),
        ("repeated", [(5, "a"), (6, "b"), (5, "a"), (6, ","), (6, ",")], 2),
        ("repeated", [(5, "a"), (6, "b"), (7, "a")], None),
        ("repeated", [(6, ","), (6, ",")], None),
        ("stop", [(5, "a"), (6, "b."), (5, "c"), (6, " ! "), (5, "d")], 1),
        ("stop", [(5, "a"), (6, "?"), (5, "c")], 1),
        ("stop", [(5, "a"), (6, "b.c"), (5, ".")], None),
    ],
)
def test_a_rule_finds_its_token(rule: str, tokens: list[tuple[int, str]], found: int | None) -> None:
    """The last; the last with letters that has occurred before; the first that ends a sentence before the text ends."""
    assert attempts.token(text_of(*tokens), rule) == found  # type: ignore[arg-type]


def test_an_attempt_chooses_its_head_in_its_layer_and_its_token_with_its_characters(stage: Stage, monkeypatch) -> None:
    asked: list[Any] = []
    trace = samples.traces()["transformer"]
    monkeypatch.setattr(
        attempts, "clearest_head", lambda *given: asked.append(given) or SimpleNamespace(layer=3, head=1)
    )
    visit = session.current()
    visit.attempt = {"head": "sink", "token": "repeated"}
    attempts.settle(trace)
    assert asked == [(trace, "sink")] and places_of(stage) == {"layer": 3, "head": 1}
    labels = [token.label for token in trace.tokens]
    assert (labels[9], visit.selected) == ("\ub300", 9), "the dot after it is no word"
    assert visit.span == (trace.tokens[9].start, trace.tokens[9].end) and visit.attempt == {}


# --- cache --------------------------------------------------------------------------------------------------------
def test_what_a_model_is_counted_to_have_and_to_carry_are_each_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def carried(shape: str, *, context: int, dtype: str) -> int:
        asked.append((shape, context, dtype))
        return 1000 * context

    for made in (cache._carried, cache._carried_until, cache._parameters):
        made.clear()
    monkeypatch.setattr(cache, "bundled", lambda: ("m",))
    monkeypatch.setattr(registry, "read_config", lambda source: f"config of {source}")
    monkeypatch.setattr(accounting, "shape_of", lambda config: config)
    monkeypatch.setattr(accounting, "params_total", lambda _shape: 700)
    monkeypatch.setattr(accounting, "params_active", lambda _shape: 300)
    monkeypatch.setattr(accounting, "cache_bytes", carried)
    assert (cache.parameters("m"), cache.active_parameters("m")) == (700, 300)
    assert cache.cache_bytes("m", 7) == 7000
    assert cache.cache_bytes_until("m", 4) == (1000, 2000, 3000, 4000)
    assert set(asked) == {("config of m", n, "bfloat16") for n in (1, 2, 3, 4, 7)}
    for made in (cache._carried, cache._carried_until, cache._parameters):
        made.clear()


# --- document -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("query", "heard", "spoken"),
    [
        (b"lang=ko", "en-US", "ko"), (b"lang=en", "ko-KR", "en"), (b"lang=KO_kr", "en", "ko"),
        (b"", "ko-KR,en;q=0.9", "ko"),
        (b"lang=fr", "ko;q=0.8", "ko"), (b"lang=fr", "fr,ko", "en"), (b"", "", "en"),
    ],
)  # fmt: skip
def test_a_document_is_in_the_language_of_its_address_else_of_the_browser(
    query: bytes, heard: str, spoken: str
) -> None:
    scope = {"type": "http", "query_string": query, "headers": [(b"accept-language", heard.encode())]}
    assert document.language_of(scope) == spoken


@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("/mamba", "mamba"),
        ("/base/rwkv/", "rwkv"),
        ("/", "overview"),
        ("/overview", "overview"),
        ("/mamba/x", "overview"),
    ],
)
def test_a_path_names_its_page_whatever_stands_before_it(path: str, page: str) -> None:
    assert document.page_of(path) == page


# --- experts ------------------------------------------------------------------------------------------------------
def test_the_router_is_first_shown_in_the_layer_that_the_card_calls_most_selective(monkeypatch) -> None:
    routing = [
        {"layer": 1, "lift": 2.0},
        {"layer": 3, "lift": 9.0},
        {"layer": 5, "lift": 4.0},
        {"layer": 8, "lift": 99.0},
    ]
    monkeypatch.setattr(cache, "structure", lambda source: {"routing": routing} if source == "own" else {})
    layers = [1, 3, 5]
    assert experts._most_selective_layer(SimpleNamespace(checkpoint="own"), layers) == 3
    assert experts._most_selective_layer(SimpleNamespace(checkpoint="own"), [1, 5]) == 5
    assert experts._most_selective_layer(SimpleNamespace(checkpoint="other"), [2, 4, 6, 8]) == 6, "the middle one"


# --- layout -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("words", "lead", "rest"),
    [
        ("Here we go now then. More.", "Here we go now then.", "More."),
        ("It can. Unrolled, the **scan** is a sum? Yes.", "It can. Unrolled, the scan is a sum?", "Yes."),
        ("Only these few words", "Only these few words", ""),
        ("It is 1.5 of all that there is! So.", "It is 1.5 of all that there is!", "So."),
    ],
)
def test_the_lead_of_words_is_their_first_sentence_of_five_words(words: str, lead: str, rest: str) -> None:
    assert layout.lead_of(words) == (lead, rest)


@pytest.mark.parametrize(("count", "folded"), [(50, False), (51, True)])
def test_many_words_beside_a_figure_are_folded_after_their_lead(
    say: Say, stage: Stage, count: int, folded: bool
) -> None:
    words = "This is the first sentence. " + " ".join(["word"] * (count - 5))
    layout.beside(words)
    rest = words.partition(". ")[2]
    assert stage.said("expander") == ([say("layout.more")] if folded else [])
    lead = "**This is the first sentence.**"
    assert stage.said("markdown") == ([lead, rest] if folded else [f"{lead} {rest}"])


def test_what_is_carried_is_of_the_chosen_models_at_the_length_of_the_text(say: Say, stage: Stage, monkeypatch) -> None:
    monkeypatch.setattr(layout, "_bars", type(layout._bars)(8))
    monkeypatch.setattr(layout.model_picker, "chosen_here", lambda name: f"chosen {name}")
    sizes = {"chosen transformer": 400, "chosen mamba": 100, "chosen rwkv": 50, "chosen jamba": 200}
    monkeypatch.setattr(cache, "cache_bytes", lambda source, tokens: sizes[source] * tokens * 2**10)
    text = SimpleNamespace(architecture="rwkv", tokens=[0] * 3, cache_bytes=5, cache_bytes_formula=5)
    other = SimpleNamespace(architecture="mamba", tokens=[0] * 3, cache_bytes=5, cache_bytes_formula=6)
    note = say("layout.carried_note", tokens="3")
    layout._carried([text])
    assert stage.said("markdown") == [f"{say('layout.carried_here', bytes='150 KiB')} [{say('layout.cost')}](#cost)"]
    layout._carried([text, other])
    (bars,) = stage.said("html")
    names = [(say(f"nav.{name}"), size) for name, size in
             (("transformer", "1.17 MiB"), ("mamba", "300 KiB"),
              ("rwkv", "150 KiB"), ("jamba", "600 KiB"))]  # fmt: skip
    assert words_of(bars) == " ".join(f"{name} {size}" for name, size in names)
    assert [part.partition("%")[0] for part in bars.split("width:")[1:]] == ["100.0", "25.0", "12.5", "50.0"]
    agrees, differs = (say(f"layout.formula_{name}") for name in ("agrees", "differs"))
    assert stage.said("caption") == [f"{note} · {agrees}", f"{note} · {differs}"]


@pytest.mark.parametrize(
    ("tokens", "lengths"), [(7, [7, 1024, 32768]), (1024, [1024, 32768]), (2000, [2000, 32768]), (40000, [40000])]
)
@pytest.mark.parametrize("bundled", [True, False])
def test_the_cost_is_compared_here_and_at_longer_lengths(
    say: Say, stage: Stage, monkeypatch, tokens, lengths, bundled
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(layout, "cache_bars", asked.append)
    chosen = dict(BUNDLED) if bundled else BUNDLED | {"rwkv": "published"}
    monkeypatch.setattr(layout.model_picker, "chosen_here", chosen.__getitem__)
    layout.what_it_costs("mamba", tokens)
    assert asked == lengths
    assert [words_of(one) for one in stage.said("html")] == [
        say("cost.tokens", tokens=f"{length:,}") for length in lengths
    ]
    assert stage.said("caption") == [say("cost.note" if bundled else "models.cost_note")]
    assert stage.said("markdown") == [content.section("mamba", "cost.text")]
    (link,) = stage.found("page_link")
    assert link.args == (site.page("benchmark").script,) and link.options["label"] == say("cost.measure")


def test_further_figures_are_computed_when_their_section_is_open(say: Say, stage: Stage, monkeypatch) -> None:
    """The first section is open, the second is closed; words of a figure's own file come before those of the page."""
    drawn: list[str] = []
    opens = iter([True, False])

    class Section:
        def __enter__(self) -> Any:
            return SimpleNamespace(open=next(opens))

        def __exit__(self, *_: object) -> None:
            return None

    titles: list[tuple[str, str]] = []
    monkeypatch.setattr(layout.unfolding, "section", lambda title, *, key: titles.append((title, key)) or Section())
    layout.under_the_hood(
        "mamba", [("half_life", lambda: drawn.append("a")), ("logit_lens", lambda: drawn.append("b"))]
    )
    lens = content.figure_facts("logit_lens").hood["title"][language.current()]
    assert titles == [
        (content.section("mamba", "hood.half_life.title"), "mamba.hood.half_life"), (lens, "mamba.hood.logit_lens"),
    ]  # fmt: skip
    assert drawn == ["a"]
    assert stage.said("markdown") == [say("layout.hood_text"), content.section("mamba", "hood.half_life.text")]


@pytest.mark.parametrize("page", site.KEYS)
def test_each_question_leads_to_what_answers_it_and_unfolds_its_answer(
    say: Say, stage: Stage, monkeypatch, page
) -> None:
    buttons: list[Any] = []
    monkeypatch.setattr(layout.pointing, "button", lambda *given, key: buttons.append((*given, key)))
    asked = content.questions(page)
    facts = dict.fromkeys(("attention", "state", "at", "share", "carried"), "77")
    layout.check_yourself(page, facts)
    assert stage.said("markdown") == [f"- {one.asked}" for one in asked]
    assert [words_of(one) for one in stage.said("html")] == [
        words_of(f"{say('layout.answer')} {one.answer.format_map(facts)}") for one in asked
    ]
    for number, (one, button) in enumerate(zip(asked, buttons, strict=True)):
        aim, _, key = one.place.partition("#")
        name = content.figure_facts(one.place).name[language.current()] if not key else (
            f"{say(f'nav.{aim}')}: {say('layout.cost') if key == 'cost' else content.section(aim, f'{key}.title')}"
        )  # fmt: skip
        assert button == (page, one.place, say("layout.show_me", name=name), f"{page}.show.{number}")


def test_a_card_leads_to_the_page_it_names(say: Say, stage: Stage) -> None:
    for page in site.KEYS:
        layout.link_to(page)
    assert [(call.args[0], call.options["label"]) for call in stage.found("page_link")] == [
        (site.page(page).script, say("layout.open", name=say(f"nav.{page}"))) for page in site.KEYS
    ]


# --- pointing -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("place", "aim", "anchor"),
    [
        ("head_matrix", "mamba", "head_matrix"),
        ("benchmark#table", "benchmark", "table"),
        ("mamba#cost", "mamba", "cost"),
    ],
)
def test_the_way_to_a_place_is_on_this_page_or_leads_to_another(stage: Stage, monkeypatch, place, aim, anchor) -> None:
    led: list[Any] = []
    monkeypatch.setattr(pointing, "opens", lambda *given: led.append(given) or True)
    stage.pressed = {"key"}
    pointing.button("mamba", place, "words", key="key")
    pointed = stage.session_state["contextscope.pointed"]
    assert pointed == (aim, anchor, 1)
    if aim == "mamba":
        assert led == [("mamba", anchor)] and stage.found("switch_page") == []
    else:
        assert stage.found("switch_page")[0].args == (site.page(aim).script,) and led == []


def test_a_section_that_hides_a_figure_is_opened_once(stage: Stage) -> None:
    assert [pointing.opens("mamba", "half_life") for _ in range(2)] == [True, False]
    assert pointing.opens("rwkv", "logit_lens"), "a figure of every page has its words in its own file"
    assert not pointing.opens("mamba", "state_slice"), "nothing hides it"
    assert not pointing.opens("mamba", "cost")
    opened = [key for key, value in stage.session_state.items() if value is True]
    assert opened == ["mamba.hood.half_life", "rwkv.hood.logit_lens"]
