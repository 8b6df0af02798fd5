"""The picture of four readers is drawn of those that have read, before one that may take long, and whole at the end."""

import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from showing import Shown, noting, opened
from streamlit.testing.v1 import AppTest

from models import registry
from models.errors import SourceError
from pages.shared import cache, model_picker
from pages.shared.words import i18n

pytestmark = [
    pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints"),
    pytest.mark.slow,
]

TEXT = "The old sailor tied the boat, and the fox slept."
NAMES = ("transformer", "mamba", "rwkv", "jamba")
EARLY = "overview.reading.early"
NAMED_ANEW = re.compile(r'deferred_file_id: "\w+"')  # in every run


@pytest.fixture(scope="module")
def readers() -> list[str]:
    """Let every model read the text once: a run of the page then computes nothing."""
    return [cache.trace_for(name, TEXT).checkpoint for name in NAMES]


def readings(seen: list[Shown]) -> list[tuple[str, list[str], list[str]]]:
    """List the pictures of the readers as shown: key, who is drawn, who is waited for."""
    return [
        (one.key, [lane.key for lane in one.fig.body.lanes], [lane.key for lane in one.fig.body.waiting])
        for one in seen
        if one.fig.id == "reading"
    ]


def elements(at: AppTest) -> list[str]:
    """Write every element of the page, in order, without the place kept for an early picture."""

    def walk(block: Any) -> Iterator[str]:
        for child in block.children.values():
            if "early-" in str(getattr(child.proto, "id", "")):
                continue
            yield NAMED_ANEW.sub("", f"{child.type} {child.proto}")
            if hasattr(child, "children"):
                yield from walk(child)

    return list(walk(at.main))


def test_a_slow_model_does_not_keep_the_others_back(monkeypatch: pytest.MonkeyPatch, readers: list[str]) -> None:
    """While Mamba is held up, what has read before it is on the page already."""
    read, here, go = cache.trace_for, threading.Event(), threading.Event()

    def held_up(source: str, prompt: str) -> Any:
        if source == "mamba" and not go.is_set():
            here.set()
            assert go.wait(60)
        return read(source, prompt)

    monkeypatch.setattr(cache, "trace_for", held_up)
    monkeypatch.setattr(cache, "at_once", lambda source, prompt: source != "mamba")
    with noting(monkeypatch) as seen:
        before: list[tuple[str, list[str], list[str]]] = []
        watch = threading.Thread(target=lambda: (here.wait(60), before.extend(readings(seen)), go.set()))
        watch.start()
        at = opened("overview", text=TEXT)
        watch.join()
    assert before == [(f"{EARLY}1", ["transformer"], ["mamba", "rwkv", "jamba"])]
    assert readings(seen) == [*before, ("overview.reading", list(NAMES), [])]
    said = [lane.says for lane in seen[0].fig.body.waiting]
    assert said == ["Mamba is reading", "RWKV reads next", "Jamba reads next"]
    assert at.session_state["overview.reading.hero"] is not None


def test_every_slow_model_adds_its_picture_and_the_page_ends_as_if_drawn_at_once(
    monkeypatch: pytest.MonkeyPatch, readers: list[str]
) -> None:
    with noting(monkeypatch) as seen:
        at_once = opened("overview", text=TEXT)
    assert readings(seen) == [("overview.reading", list(NAMES), [])], "what has been read is drawn once"
    monkeypatch.setattr(cache, "at_once", lambda *_: False)
    with noting(monkeypatch) as seen:
        slowly = opened("overview", text=TEXT)
    assert readings(seen) == [
        *((f"{EARLY}{n}", list(NAMES[:n]), list(NAMES[n:])) for n in (1, 2, 3)),
        ("overview.reading", list(NAMES), []),
    ]
    assert len(elements(at_once)) > 50
    assert elements(slowly) == elements(at_once)


def test_a_model_that_cannot_be_had_is_left_out_of_what_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, readers: list[str]
) -> None:
    read = model_picker.read

    def without_mamba(name: str, text: str) -> Any:
        if name == "mamba":
            raise SourceError("errors.not_downloaded", "away", source="mamba")
        return read(name, text)

    monkeypatch.setattr(model_picker, "read", without_mamba)
    monkeypatch.setattr(cache, "at_once", lambda *_: False)
    with noting(monkeypatch) as seen:
        at = opened("overview", text=TEXT)
    rest = ["transformer", "rwkv", "jamba"]
    assert [drawn for _, drawn, _ in readings(seen)] == [rest[:1], rest[:1], rest[:2], rest]
    assert any(i18n.say("en", "models.left_out", name="Mamba") in one.value for one in at.warning)


def test_what_takes_no_time_is_known_before(readers: list[str]) -> None:
    fresh = f"{TEXT} {TEXT}"
    assert cache.at_once("mamba", TEXT)
    assert cache.at_once("mamba", fresh), "bundled, loaded, and no other model is running"
    with cache._running:
        assert cache.at_once("mamba", TEXT)
        assert not cache.at_once("mamba", fresh)
    assert not cache.at_once("state-spaces/mamba-130m-hf", TEXT)
