"""The next token on the pages: which distribution is shown, the guess, and the text that models write on."""

import re
from typing import Any

import numpy as np
import pytest
from hostile import TEXT as HOSTILE
from hostile import unescaped
from showing import Shown, noting, opened
from streamlit.testing.v1 import AppTest

from models import registry
from models.errors import SettingError
from models.generation.distribution import Sampling
from models.generation.guess import guessed_token
from models.generation.stream import Settings, continue_text
from models.limits import PROMPT_TOKENS
from pages.shared import cache, continuing, next_word, sampling
from pages.shared.words import i18n
from viz.look.theme import LIGHT
from viz.trace.next_word import next_word as drawn

pytestmark = pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")

TEXT = "The old sailor tied the boat, and the old dog slept."
LOOK: dict[str, Any] = {"theme": LIGHT, "t": i18n.translator("en")}
SOON = 60.0
PAGES = ["overview", *(adapter.name for adapter in registry.ADAPTERS)]


def shown(seen: list[Shown], page: str) -> Any:
    return next(one.fig for one in reversed(seen) if one.key == f"{page}.next_word")


def traces_of(page: str, text: str = TEXT) -> list[Any]:
    names = registry.bundled() if page == "overview" else [page]
    return [cache.trace_for(name, text) for name in names]


def run_of(at: AppTest, page: str) -> Any:
    return at.session_state["contextscope.continuations"][page]


def texts(at: AppTest) -> list[str]:
    return [one.proto.body for one in at.get("html") if one.proto.body.startswith('<div class="cs-written')]


def written(at: AppTest, page: str) -> AppTest:
    """Let the models of a page write, and draw the page when they are done."""
    at.button(key=f"{page}.write").click().run()
    assert run_of(at, page).wait(SOON)
    return at.run()


@pytest.mark.parametrize("page", PAGES)
def test_the_distribution_is_that_of_the_chosen_token_with_the_chosen_settings(monkeypatch, page: str) -> None:
    traces = traces_of(page)
    with noting(monkeypatch) as seen:
        opened(page, text=TEXT, token="4", temperature="70", topk="20", topp="90")
    expected = drawn(traces, at=(4,) * len(traces), temperature=0.7, top_k=20, top_p=0.9, **LOOK)
    assert shown(seen, page).body.payload() == expected.body.payload()
    other = drawn(traces, at=(5,) * len(traces), temperature=0.7, top_k=20, top_p=0.9, **LOOK)
    assert shown(seen, page).body.payload() != other.body.payload()


def test_without_a_choice_it_is_the_last_token_and_the_plain_distribution(monkeypatch) -> None:
    with noting(monkeypatch) as seen:
        opened("rwkv", text=TEXT)
    assert shown(seen, "rwkv").body.payload() == drawn(traces_of("rwkv"), at=(), **LOOK).body.payload()


@pytest.mark.slow
def test_a_model_of_other_tokens_shows_the_same_place_of_the_text(monkeypatch) -> None:
    """The chosen token is found by its characters, as every figure of the page does."""
    with noting(monkeypatch) as seen:
        at = opened("overview", text=TEXT, token="4")
    trace = traces_of("overview")[0]
    at.session_state["contextscope.span"] = (trace.tokens[4].start, trace.tokens[4].end)
    at.run()
    from viz.canvas.payload import decode

    header, _ = decode(shown(seen, "overview").body.payload())
    assert [column["at"] for column in header["columns"]] == [4] * 4


@pytest.mark.slow
def test_the_sliders_move_the_distribution_and_go_into_the_address(monkeypatch) -> None:
    with noting(monkeypatch) as seen:
        at = opened("mamba", text=TEXT)
        at.select_slider(key="mamba.temperature").set_value(50).run()
        at.select_slider(key="mamba.topk").set_value(5).run()
    expected = drawn(traces_of("mamba"), at=(), temperature=0.5, top_k=5, **LOOK)
    assert shown(seen, "mamba").data["drawn"].values == pytest.approx(expected.data["drawn"].values, nan_ok=True)
    assert at.session_state["contextscope.places"]["mamba"] == {"temperature": 50, "topk": 5}


@pytest.mark.slow
def test_settings_of_a_link_that_do_not_exist_are_answered() -> None:
    at = opened("mamba", text=TEXT, temperature="71", topk="4", topp="0")
    assert any("temperature" in one.value and "top" in one.value for one in at.info)


def test_what_can_be_set_is_what_the_distribution_takes() -> None:
    for heat in sampling.TEMPERATURES:
        for top_k in sampling.TOP_K:
            Sampling(heat / sampling.HUNDREDTH, top_k or None, sampling.TOP_P[0] / sampling.HUNDREDTH)
    for length in continuing.LENGTHS:
        Settings(tokens=length, seed=continuing.SEEDS - 1)
    with pytest.raises(SettingError):
        Settings(tokens=continuing.LENGTHS[-1] + 1)


def test_guess_first_hides_the_bars_until_there_is_a_guess(monkeypatch) -> None:
    trace = traces_of("transformer")[0]
    with noting(monkeypatch) as seen:
        at = opened("transformer", text=TEXT, token="4")
        before = len(seen)
        at.toggle(key="transformer.guess_first").set_value(True).run()
        hidden = [one.key for one in seen[before:]]
        at.text_input(key="transformer.guess").set_value("boat").run()
    assert hidden == [], "the bars are gone, and no other figure is drawn again"
    token = guessed_token(cache.checkpoint("transformer"), "boat", trace.logits.values[4])
    expected = drawn([trace], at=(4,), guesses=(token,), alone=True, **LOOK)
    assert shown(seen, "transformer").body.payload() == expected.body.payload()


@pytest.mark.slow
def test_a_guess_counts_for_its_place_alone(monkeypatch) -> None:
    at = opened("transformer", text=TEXT, token="4")
    at.toggle(key="transformer.guess_first").set_value(True).run()
    at.text_input(key="transformer.guess").set_value("boat").run()
    at.session_state["contextscope.token"] = 5
    with noting(monkeypatch) as seen:
        at.run()
    assert "transformer.next_word" not in [one.key for one in seen]


def test_a_guess_is_a_word_with_or_without_its_space() -> None:
    checkpoint = cache.checkpoint("mamba")
    tokenizer = checkpoint.tokenizer
    spaced, bare = (tokenizer(text, add_special_tokens=False)["input_ids"][0] for text in (" the", "the"))
    logits = np.zeros(8192)
    logits[spaced] = 1
    assert guessed_token(checkpoint, "the ", logits) == spaced
    logits[bare] = 2
    assert guessed_token(checkpoint, "the", logits) == bare


@pytest.mark.slow
@pytest.mark.parametrize("page", ["overview", "jamba"])
def test_continue_writes_what_the_models_write(page: str) -> None:
    at = written(opened(page, text=TEXT, length="8"), page)
    run = run_of(at, page)
    for name in registry.bundled() if page == "overview" else [page]:
        alone = list(continue_text(cache.checkpoint(name), TEXT, Settings(tokens=8)))
        assert run.steps[name] == alone
        body = next(one for one in texts(at) if f"cs-written cs-{name}" in one)
        pieces = re.findall(r'<span class="cs-piece"[^>]*>(.*?)</span>', body, re.DOTALL)
        assert "".join(pieces).replace("&#x27;", "'") == "".join(step.text for step in alone)
    assert len(texts(at)) == (4 if page == "overview" else 1)


@pytest.mark.slow
def test_the_bytes_beside_a_text_are_those_after_its_tokens() -> None:
    at = written(opened("overview", text=TEXT, length="8"), "overview")
    from models.units import size

    for name in registry.bundled():
        read = run_of(at, "overview").steps[name][-1].read
        body = next(one for one in texts(at) if f"cs-written cs-{name}" in one)
        assert f"carries {size(cache.cache_bytes(name, read))}" in body


@pytest.mark.slow
def test_drawn_text_uses_the_settings_and_the_seed_of_the_page() -> None:
    at = written(
        opened("rwkv", text=TEXT, length="8", draw="1", seed="7", temperature="80", topk="20", topp="90"), "rwkv"
    )
    settings = Settings(tokens=8, greedy=False, sampling=Sampling(0.8, 20, 0.9), seed=7)
    assert run_of(at, "rwkv").settings == settings
    assert run_of(at, "rwkv").steps["rwkv"] == list(continue_text(cache.checkpoint("rwkv"), TEXT, settings))


@pytest.mark.slow
def test_show_in_the_figures_sets_the_longer_text() -> None:
    at = written(opened("mamba", text=TEXT, length="8"), "mamba")
    text = TEXT + run_of(at, "mamba").text("mamba")
    at.button(key="mamba.show.mamba").click().run()
    assert at.session_state["contextscope.prompt"] == text
    assert texts(at) == [], "what was written belongs to the text before"
    assert not [one for one in at.caption if "cut" in one.value]


@pytest.mark.slow
def test_a_text_that_is_cut_for_the_figures_says_so() -> None:
    long = "a " * (PROMPT_TOKENS - 4)
    at = written(opened("mamba", text=long.strip(), length="8", draw="1"), "mamba")
    at.button(key="mamba.show.mamba").click().run()
    assert [error.value for error in (*at.exception, *at.error)] == []
    assert [one for one in at.caption if "cut" in one.value and str(PROMPT_TOKENS) in one.value]


def test_a_text_is_drawn_with_its_first_tokens(monkeypatch) -> None:
    """The run that begins a text waits for them, and others compute meanwhile; who is in line is drawn at once."""
    from models.generation import live
    from pages.shared import gate

    waits: list[tuple[float, int]] = []
    wait_first = live.Continuation.wait_first

    def noted(run: live.Continuation, seconds: float) -> bool:
        waits.append((seconds, gate._gate.counts()[0]))
        return wait_first(run, SOON)

    monkeypatch.setattr(live.Continuation, "wait_first", noted)
    at = opened("mamba", text=TEXT, length="8")
    assert waits == []
    at.button(key="mamba.write").click().run()
    assert waits == [(continuing.FIRST_S, 0)]
    (text,) = texts(at)
    assert 'class="cs-piece"' in text


@pytest.mark.slow
def test_another_text_stops_what_is_written() -> None:
    at = opened("mamba", text=TEXT, length="64")
    at.button(key="mamba.write").click().run()
    run = run_of(at, "mamba")
    at.text_area(key="mamba.prompt").set_value("Once upon a time").run()
    assert run.wait(SOON)
    assert run.stopped or len(run.steps["mamba"]) == 64
    assert "mamba" not in at.session_state["contextscope.continuations"]


@pytest.mark.slow
def test_stop_keeps_what_is_written_and_gives_the_button_back(monkeypatch) -> None:
    import threading

    from models.generation import live

    may = threading.Semaphore(2)

    def slow(*given: Any) -> Any:
        for step in continue_text(*given):
            assert may.acquire(timeout=SOON)
            yield step

    monkeypatch.setattr(continuing, "_lines", [live.Continuations(write=slow)])
    at = opened("mamba", text=TEXT, length="64")
    at.button(key="mamba.write").click().run()
    run = run_of(at, "mamba")
    while len(run.steps["mamba"]) < 2:
        at.run()
    assert "mamba.write" not in [one.key for one in at.button], "while it writes there is Stop alone"
    at.button(key="mamba.stop_writing").click().run()
    may.release()
    assert run.wait(SOON)
    at.run()
    assert run.stopped and 2 <= len(run.steps["mamba"]) <= 3
    assert "mamba.write" in [one.key for one in at.button]
    assert any("Stopped" in one.proto.body for one in at.get("html"))


def test_who_waits_is_told_how_many_are_before(monkeypatch) -> None:
    import threading

    from models.generation import live

    gate = threading.Event()

    def held(*given: Any) -> Any:
        assert gate.wait(SOON)
        yield from continue_text(*given)

    waits: list[float] = []
    monkeypatch.setattr(live.Continuation, "wait_first", lambda _, seconds: waits.append(seconds))
    line = live.Continuations(write=held, patience_s=SOON)
    monkeypatch.setattr(continuing, "_lines", [line])
    others = [line.start({"mamba": cache.checkpoint("mamba")}, TEXT, Settings(tokens=1)) for _ in range(2)]
    at = opened("rwkv", text=TEXT, length="8")
    at.button(key="rwkv.write").click().run()
    assert any("2 before you" in one.proto.body for one in at.get("html"))
    assert waits == [], "nobody waits for the first token while others write"
    gate.set()
    assert run_of(at, "rwkv").wait(SOON) and all(one.wait(SOON) for one in others)
    at.run()
    assert any("Done" in one.proto.body for one in at.get("html"))


@pytest.mark.slow
def test_a_model_that_cannot_write_says_why_and_the_others_write(monkeypatch) -> None:
    from models.errors import SourceError
    from models.generation import live

    def failing(model: Any, *given: Any) -> Any:
        if model.name == "rwkv":
            raise SourceError("errors.logits", "no numbers")
        yield from continue_text(model, *given)

    monkeypatch.setattr(continuing, "_lines", [live.Continuations(write=failing)])
    at = written(opened("overview", text=TEXT, length="8"), "overview")
    assert len(texts(at)) == 4
    assert any("finite" in one.value for one in at.warning)


@pytest.mark.slow
@pytest.mark.parametrize("lang", i18n.LANGS)
@pytest.mark.parametrize("page", ["overview", "mamba"])
def test_a_hostile_text_is_written_on_as_text(page: str, lang: str) -> None:
    at = written(opened(page, lang=lang, text=HOSTILE, length="8"), page)
    assert unescaped(at) == []
    at.toggle(key=f"{page}.guess_first").set_value(True).run()
    at.text_input(key=f"{page}.guess").set_value("<img src=x onerror=alert(1)>").run()
    assert unescaped(at) == []


def test_the_line_is_the_same_for_all_visitors() -> None:
    assert continuing.line() is continuing.line()
    assert next_word.continuing is continuing
