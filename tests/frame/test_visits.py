"""A visit without a browser: every part of an address, what a step back forgets, and each choice by key or button."""

from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from models.generation.distribution import Sampling
from models.generation.stream import Settings
from models.recall import evaluation
from models.recall.live import Key
from pages.compare.recall import results
from pages.shared import attempts, cache, continuing, reading_bar, sampling, site
from pages.shared.state import session
from pages.shared.words import content, i18n, language
from viz.gallery import samples
from viz.trace.tokens import reading_of

PAGES = site.KEYS
GPT2, MAMBA = "openai-community/gpt2", "state-spaces/mamba-130m-hf"
FOLDER = "/data/my model"


class Visit:
    """What Streamlit keeps of a visitor, in place of it: the state of the session, the address, the browser."""

    def __init__(self) -> None:
        self.session_state: dict[str, Any] = {}
        self.query_params: dict[str, str] = {}
        self.context = SimpleNamespace(url="https://example.org:8501/base/here?old=1", locale="en-US")


@pytest.fixture
def visits(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Visit]:
    """Give a function that begins a visit in place of the one before."""

    def begun() -> Visit:
        visit = Visit()
        for module in (session, language):
            monkeypatch.setattr(module, "st", visit)
        monkeypatch.setattr(language, "_of_run", SimpleNamespace())
        return visit

    code = session.folder_code("rwkv", FOLDER)
    monkeypatch.setattr(cache, "typed_folders", lambda: {code: ("rwkv", FOLDER)})
    return begun


MODELS = {"transformer": GPT2, "rwkv": FOLDER, "mamba": MAMBA}  # in the order in which they are chosen
PLACES = {page: {"layer": 1 + at, "head": 20 + at, "router_layer": 30 + at} for at, page in enumerate(PAGES)}
TEXT = "A wolf & a fox, 늑대=?"


def choose_all(page: str) -> session.Session:
    """Make every choice that an address carries, on every page, and stand on one."""
    visit = session.start("overview")
    visit.lang, visit.prompt = "ko", TEXT
    visit.pick(7, (12, 15))
    for architecture, source in MODELS.items():
        visit.choose_model(architecture, source)
    for each, places in PLACES.items():
        session.start(each)
        for name, value in places.items():
            visit.select(name, value)
    return session.start(page)


def written(page: str) -> dict[str, str]:
    """Return all parts of the address of a page: the overview shows every model, another its own, some none."""
    named = {"transformer": GPT2, "rwkv": session.folder_code("rwkv", FOLDER), "mamba": MAMBA}
    shown = [code for name, code in named.items() if page in (name, *site.OF_ALL)]
    places = {name: str(value) for name, value in PLACES[page].items()}
    models = {"model": ",".join(shown)} if shown else {}
    return {"lang": "ko", "text": TEXT, "token": "7"} | models | places


@pytest.mark.parametrize("page", PAGES)
def test_an_address_has_every_choice_of_its_page_and_none_of_another(visits, page: str) -> None:
    visits()
    visit = choose_all(page)
    assert visit.query() == written(page)
    link = urlsplit(visit.permalink(run="r1", empty=""))
    assert (link.scheme, link.netloc, link.path) == ("https", "example.org:8501", "/base/here")
    assert {name: value for name, (value,) in parse_qs(link.query).items()} == written(page) | {"run": "r1"}
    assert FOLDER not in link.query, "a folder is named by a code"


@pytest.mark.parametrize("page", PAGES)
def test_an_address_brings_another_visitor_to_the_same_choices(visits, page: str) -> None:
    visits().query_params.update(written(page))
    visit = session.start(page)
    assert (visit.lang, visit.prompt, visit.selected, visit.span) == ("ko", TEXT, 7, None)
    shown = {name: source for name, source in MODELS.items() if page in (name, *site.OF_ALL)}
    assert {name: visit.model(name) for name in MODELS} == dict.fromkeys(MODELS) | shown
    for name, value in PLACES[page].items():
        assert visit.selection(name, default=0, allowed=range(99)) == value
    assert visit.query() == written(page)
    assert visit.missed() == []


def test_a_visit_without_a_choice_has_an_empty_address_and_a_link_with_its_language(visits) -> None:
    visits().context.url = ""
    visit = session.start("mamba")
    assert visit.query() == {}
    assert visit.permalink() == "/mamba?lang=en"


@pytest.mark.parametrize("page", PAGES)
def test_a_step_back_forgets_what_the_address_of_its_page_says_and_nothing_else(visits, monkeypatch, page: str) -> None:
    """The address of the overview says all models, that of an architecture its own: the others stay chosen."""
    visits()
    visit = choose_all(page)
    monkeypatch.setattr(session.history, "is_step", lambda: True)
    language.begin(anew=True)  # as the frame does
    session.start(page)
    assert (visit.selected, visit.span, visit.prompt) == (None, None, content.first_example("en"))
    kept = {} if page in site.OF_ALL else {name: source for name, source in MODELS.items() if name != page}
    assert {name: source for name in MODELS if (source := visit.model(name))} == kept
    assert session.st.session_state["contextscope.places"] == PLACES | {page: {}}


def test_a_token_that_the_browser_told_is_heard_once_and_only_of_the_text_on_screen(visits) -> None:
    state = visits().session_state
    visit = session.start("mamba")
    visit.reads("0123456789abcdef")
    for told, token, span in (
        ("0123456789abcdef:4:10-15", 4, (10, 15)), ("fedcba9876543210:1:0-1", 4, (10, 15)), ("nonsense", 4, (10, 15)),
        ("0123456789abcdef:5", 5, None), ("0123456789abcdef:", None, None),
    ):  # fmt: skip
        state[session.TOLD] = told
        session.start("mamba")
        assert (visit.selected, visit.span) == (token, span), told
    state[session.TOLD] = "0123456789abcdef:2:3-4"
    visit.hear()
    visit.pick(9)
    visit.hear()
    assert (visit.selected, visit.span) == (9, None), "what was told before a choice counts no longer"
    state[session.TOLD] = "0123456789abcdef:3:3-4"
    visit.prompt = "Another text"
    visit.hear()
    assert visit.selected is None, "of the text before"


@pytest.mark.parametrize(("asked", "heard", "spoken"), [("ko", "en-US", "ko"), ("", "ko-KR", "ko"), ("xx", "fr", "en")])
def test_a_language_is_chosen_anew_from_the_address_only_when_it_is_asked_for(visits, asked, heard, spoken) -> None:
    visit = visits()
    other = "en" if spoken == "ko" else "ko"
    language.choose(other)
    visit.query_params["lang"], visit.context.locale = asked, heard
    assert language.begin() == language.current() == other
    assert language.begin(anew=True) == language.current() == spoken


# --- the reading bar -----------------------------------------------------------------------------------------------
class Bar:
    """The component of the bar in place of the browser's: its data, and what it calls on the server."""

    def __init__(self) -> None:
        self.data: dict[str, Any] = {}
        self.calls: dict[str, Callable[[], None]] = {}
        self.state: dict[str, Any] = {}

    def __call__(self, *, key: str, data: dict[str, Any], **calls: Callable[[], None]) -> None:
        self.data, self.calls = data, calls

    def tell(self, name: str, value: object) -> None:
        self.state.clear()
        self.state[reading_bar.KEY] = {name: value}
        self.calls[f"on_{name}_change"]()


@pytest.fixture
def bar(monkeypatch: pytest.MonkeyPatch) -> Bar:
    made = Bar()
    here = SimpleNamespace(container=lambda **_: nullcontext(), session_state=made.state)
    monkeypatch.setattr(reading_bar, "st", here)
    monkeypatch.setattr(reading_bar, "_component", lambda: made)
    return made


LAYERS = (2, 5, 9, 11)  # as a hybrid has them: not one after the other


@pytest.mark.parametrize(
    ("shown", "step", "chosen"),
    [
        (2, 1, 5),
        (5, 1, 9),
        (11, 1, 11),
        (11, -1, 9),
        (5, -1, 2),
        (2, -1, 2),
        (5, 2, None),
        (5, 0, None),
        (5, "1", None),
    ],
)
def test_shift_with_an_arrow_goes_to_the_next_layer_to_the_right_and_stops_at_the_ends(
    bar: Bar, monkeypatch: pytest.MonkeyPatch, shown: int, step: object, chosen: int | None
) -> None:
    found: list[tuple[str, int]] = []
    monkeypatch.setattr(reading_bar.controls, "choose", lambda name, value: found.append((name, value)))
    monkeypatch.setattr(reading_bar.controls, "chosen", lambda name, options, *, default: shown)
    reading_bar._bar({}, None, reading_bar.Layers("router_layer", LAYERS, 5), guesses=False)
    bar.tell("step", step)
    assert found == ([] if chosen is None else [("router_layer", chosen)])
    reading_bar._bar({}, None, None, guesses=False)
    bar.tell("step", 1)
    assert len(found) == (chosen is not None), "a page without a choice of layers has none to walk through"


@pytest.mark.parametrize("asks", [True, False])
@pytest.mark.parametrize("guesses", [True, False])
def test_a_told_token_is_heard_before_the_parts_that_follow_it_are_redrawn(
    bar, monkeypatch, guesses: bool, asks: bool
) -> None:
    order: list[object] = []
    monkeypatch.setattr(reading_bar.session, "current", lambda: SimpleNamespace(hear=lambda: order.append("heard")))
    monkeypatch.setattr(reading_bar.parts, "redraw", lambda *names: order.append(names))
    monkeypatch.setattr(reading_bar.parts, "come_near", order.append)
    reading_bar._bar({}, lambda: order.append("pickers"), None, guesses=guesses, asks=asks)
    bar.tell("token", "x:1")
    bar.tell("near", ["part-a", 3, "part-b"])
    bar.tell("near", "part-a")
    followed = (*(["guess"] if guesses else []), *(["token"] if asks else []))  # nothing else follows on the server
    redrawn = [followed] if followed else []
    assert order == ["pickers", "heard", *redrawn, ["part-a", "part-b"]]


def test_the_bar_is_sent_the_text_its_tokens_and_what_is_chosen(visits, monkeypatch: pytest.MonkeyPatch) -> None:
    visits()
    trace = samples.traces()["mamba"]
    visit = session.start("mamba")
    visit.pick(3, (trace.tokens[3].start, trace.tokens[3].end))
    sent = reading_bar._data("mamba", trace)
    said = i18n.translator("en")
    assert sent | {"words": None, "spans": None} == {
        "page": "mamba", "reading": reading_of(trace), "text": trace.prompt, "spans": None,
        "labels": [token.label for token in trace.tokens], "token": 3,
        "span": (trace.tokens[3].start, trace.tokens[3].end), "words": None,
    }  # fmt: skip
    assert [tuple(span) for span in sent["spans"]] == [(token.start, token.end) for token in trace.tokens]
    names = ("words", "play", "pause", "back", "on", "keys", "keys_layers")
    time = said("reading.time", index="{index}", count="{count}")
    assert sent["words"] == {name: said(f"reading.{name}") for name in names} | {"time": time}
    visit.pick(None)
    assert (reading_bar._data("mamba", trace)["token"], reading_bar._data("mamba", trace)["span"]) == (None, None)


# --- buttons ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("page", PAGES)
def test_an_attempt_sets_its_example_now_keeps_its_rules_and_points_at_its_place(visits, monkeypatch, page) -> None:
    opened: list[tuple[str, str]] = []
    monkeypatch.setattr(attempts.pointing, "opens", lambda *asked: opened.append(asked))
    keys = [key.removesuffix(".try") for key in content.sections("en", page) if key.endswith(".try")]
    for key in keys:
        attempt = content.attempt(page, key)
        if attempt is None:
            continue
        visits()
        visit = session.start(page)
        attempts.begin(page, attempt)
        texts = {one.id: one.text["en"] for one in content.examples(page)}
        assert visit.prompt == texts.get(attempt.sets.get("example", ""), content.first_example("en"))
        assert visit.attempt == attempt.sets
        assert visit.pointed is not None and visit.pointed[0] == attempt.place
        assert opened.pop() == (page, attempt.place)


def test_an_attempt_chooses_the_token_by_its_rule_with_its_characters(visits) -> None:
    visits()
    visit = session.start("mamba")
    trace = samples.traces()["mamba"]
    visit.attempt = {"token": "last"}
    attempts.settle(trace)
    last = trace.tokens[-1]
    assert (visit.selected, visit.span, visit.attempt) == (last.index, (last.start, last.end), {})


def test_a_live_run_of_recall_asks_other_sequences_than_the_record_and_than_the_one_before(monkeypatch) -> None:
    started: list[Key] = []
    noted: list[tuple[str, str]] = []
    monkeypatch.setattr(results, "st", SimpleNamespace(session_state={}))
    monkeypatch.setattr(results, "live_runs", lambda: SimpleNamespace(start=started.append))
    monkeypatch.setattr(results.journal, "note", lambda action, *, run: noted.append((action, run)))
    for task in ("mqar", "mqar", "induction"):
        results.start(task)
    seeds = [("mqar", evaluation.SEED + 1), ("mqar", evaluation.SEED + 2), ("induction", evaluation.SEED + 1)]
    assert started == [Key(task, seed) for task, seed in seeds]
    assert noted == [("recall_start", f"{task}-{seed}") for task, seed in seeds]


def test_the_text_is_continued_as_the_address_says(visits) -> None:
    """Whole numbers in the address: hundredths of the temperature and of top-p, 0 of top-k for no limit."""
    visits()
    visit = session.start("mamba")
    assert continuing._settings() == Settings(tokens=24, greedy=True, sampling=Sampling(1.0, None, 1.0), seed=0)
    for name, value in {"temperature": 70, "topk": 20, "topp": 95, "draw": 1, "length": 48, "seed": 17}.items():
        visit.select(name, value)
    assert sampling.chosen() == Sampling(0.7, 20, 0.95)
    assert continuing._settings() == Settings(tokens=48, greedy=False, sampling=Sampling(0.7, 20, 0.95), seed=17)
    assert sampling._WRITTEN["temperature"][70] == "0.7" and sampling._WRITTEN["topp"][95] == "0.95"
    assert sampling._WRITTEN["topk"] == {one: str(one) if one else "\u221e" for one in sampling.TOP_K}
