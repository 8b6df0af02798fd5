"""The text box: what is read of a long text, what is said of it, the count while one types, and the chosen example."""

import json
import re
from types import SimpleNamespace

import anyio
import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from models import registry
from models.errors import PromptError
from models.limits import BOX_CHARACTERS, PROMPT_CHARACTERS, PROMPT_TOKENS
from pages.shared import cache, controls, token_count
from pages.shared.words import content, i18n

LONG = {
    "en": "The wolf ran into the wood and the fox stayed at home. " * 200,
    "ko": "옛날 옛적에 늑대가 깊은 숲속에서 살았습니다. " * 400,
}
pytestmark = pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")


def count_of(at) -> str:
    (shown,) = [one.proto.body for one in at.get("html") if "cs-count" in one.proto.body]
    return re.sub("<[^>]+>", "", shown)


def captions(at) -> str:
    return "\n".join(one.value for one in at.caption)


def marked(at) -> list[str]:
    """Return the keys of the examples that are shown as chosen."""
    return [one.key for one in at.button if ".example." in (one.key or "") and one.proto.type == "primary"]


@pytest.mark.slow
@pytest.mark.parametrize("lang", i18n.LANGS)
@pytest.mark.parametrize("page", ("overview", "mamba"))
def test_a_long_text_is_read_as_far_as_it_can_be_drawn(open_page, page: str, lang: str) -> None:
    at = open_page(page, browser=lang)
    text = LONG[lang]
    assert len(text) > 2 * PROMPT_CHARACTERS
    at.text_area(key=f"{page}.prompt").set_value(text).run()
    assert not at.exception and not at.error and not at.warning
    fit = cache.fitted("transformer", text)
    assert at.text_area(key=f"{page}.prompt").value == text, "nothing that was written is lost"
    assert f"{fit.left_out:,}" in captions(at) and str(PROMPT_TOKENS) in captions(at)
    assert f"{fit.tokens:,}" in count_of(at) and f"{PROMPT_TOKENS}" in count_of(at)
    read = [key[2] for key in list(cache.recorded_traces().keys()) if key[0] == "mamba"]
    assert read[-1] == fit.text


@pytest.mark.slow
def test_a_link_with_a_long_text_reads_the_same(open_page) -> None:
    text = LONG["en"]
    at = open_page("transformer", text=text[:PROMPT_CHARACTERS])
    assert not at.warning
    assert cache.fitted("transformer", text[:PROMPT_CHARACTERS]).text == cache.fitted("transformer", text).text


def test_a_step_back_to_a_long_text_finds_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from pages.shared.state import session

    monkeypatch.setattr(session.st, "session_state", state := {})
    visit = session.Session()
    monkeypatch.setattr(session.Session, "lang", "en")
    visit.prompt = LONG["ko"]
    address = visit.query()["text"]
    del state[f"{session._PREFIX}prompt"]
    visit.prompt = visit._longs().get(address, address)
    assert visit.prompt == LONG["ko"]
    for start in "abcdef":
        visit.prompt = start + LONG["en"]
        visit.query()
    assert len(visit._longs()) == session._LONGS
    visit.prompt = "x" * (BOX_CHARACTERS + 5)
    assert len(visit.prompt) == BOX_CHARACTERS


@pytest.mark.parametrize(("page", "architecture", "reader"), [("overview", "rwkv", "rwkv"), ("mamba", None, "mamba")])
def test_a_text_that_cannot_be_read_leaves_the_last_good_one(
    monkeypatch: pytest.MonkeyPatch, page: str, architecture: str | None, reader: str
) -> None:
    """The model that read the good text reads it again; without one there is nothing to show."""
    told: list[str] = []

    def refused(*_: object) -> str:
        raise PromptError("errors.prompt_empty", "the text is empty")

    monkeypatch.setattr(controls.st, "session_state", {})
    monkeypatch.setattr(controls.prompt, "show", lambda *_, **__: None)
    monkeypatch.setattr(controls.notices, "explain", lambda error, also="": told.append(also))
    monkeypatch.setattr(controls.attempts, "settle", lambda _trace: None)
    monkeypatch.setattr(
        controls.model_picker, "read", lambda name, text: (SimpleNamespace(name=name, text=text, remarks=()), None)
    )
    monkeypatch.setattr(controls.prompt, "fitted", refused)
    assert controls.traced_prompt(page, architecture) is None
    monkeypatch.setattr(controls.prompt, "fitted", lambda *_: "a wolf")
    controls.traced_prompt(page, architecture)
    monkeypatch.setattr(controls.prompt, "fitted", refused)
    kept = controls.traced_prompt(page, architecture)
    assert (kept.name, kept.text) == (reader, "a wolf")
    assert told == ["", i18n.say("en", "notices.still_showing")]


def test_a_text_of_ones_own_has_a_count_and_no_note(open_page) -> None:
    at = open_page("rwkv", text="a b c")
    assert count_of(at) == i18n.say("en", "controls.count", count=4, limit=PROMPT_TOKENS)
    watches = [one.watch["en"] for one in content.examples("rwkv")]
    assert not [watch for watch in watches if watch[:20] in captions(at)]
    assert marked(at) == []


def test_the_chosen_example_is_marked_and_says_what_to_look_for(open_page) -> None:
    at = open_page("rwkv")
    assert marked(at) == ["rwkv.example.name_repeated"], "the text of a new visit is the first example"
    at.button(key="rwkv.example.counting").click().run()
    assert marked(at) == ["rwkv.example.counting"]
    watch = next(one.watch["en"] for one in content.examples("rwkv") if one.id == "counting")
    assert watch[:30] in captions(at)


@pytest.fixture
def ask():
    cache.checkpoint("transformer")
    client = TestClient(Starlette(routes=[Route("/api/tokens", token_count.answer, methods=["POST"])]))

    def asked(body, kind: str = "application/json"):
        content_ = body if isinstance(body, bytes) else json.dumps(body).encode()
        return client.post("/api/tokens", content=content_, headers={"content-type": kind})

    return asked


@pytest.mark.parametrize("text", ("a b c", "옛날 옛적에 늑대가", "\U0001f43a\u200d", LONG["ko"]), ids=len)
def test_the_count_while_one_types_is_that_of_the_reading(ask, text: str) -> None:
    answer = ask({"text": text, "models": ["transformer"]})
    assert answer.status_code == 200
    assert answer.json() == {"tokens": cache.fitted("transformer", text).tokens, "limit": PROMPT_TOKENS}


def test_an_empty_text_has_no_tokens(ask) -> None:
    assert ask({"text": " ", "models": ["transformer"]}).json()["tokens"] == 0


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"{" * 5000, 400),
        ({"text": 3, "models": []}, 400),
        ({"text": "a"}, 400),
        ({"text": "a", "models": "transformer"}, 400),
        ({"text": "a", "models": [1]}, 400),
        ({"text": "a", "models": []}, 404),
        ({"text": "a", "models": ["../../etc", "state-spaces/mamba-2.8b-hf"]}, 404),
        (b"x" * (token_count.MOST_BYTES + 1), 413),
    ],
    ids=range(10),
)
def test_what_is_no_question_is_refused(ask, body, status: int) -> None:
    assert ask(body).status_code == status


def test_a_form_of_another_site_is_refused(ask) -> None:
    body = {"text": "a", "models": ["transformer"]}
    assert [ask(body, kind).status_code for kind in ("text/plain", "", "application/json; charset=utf-8")] == [
        415,
        415,
        200,
    ]


def test_questions_that_would_wait_long_are_refused(ask, monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"text": "a", "models": ["transformer"]}
    for waiting, status in ((token_count.MOST_WAITING, 200), (token_count.MOST_WAITING + 1, 503)):
        statistics = SimpleNamespace(tasks_waiting=waiting)
        monkeypatch.setattr(anyio.CapacityLimiter, "statistics", lambda _, found=statistics: found)
        monkeypatch.setattr(type(token_count._WAITING), "statistics", lambda _, found=statistics: found)
        assert ask(body).status_code == status


def test_a_count_loads_no_model(ask) -> None:
    before = cache.loaded_models().keys()
    assert ask({"text": "a", "models": ["/tmp", "no/model"]}).status_code == 404
    assert cache.loaded_models().keys() == before
