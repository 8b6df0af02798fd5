"""A visitor who has Streamlit clear its caches, by a message of the websocket, takes nothing from the others."""

from types import SimpleNamespace

import pytest
import streamlit as st
from streamlit.runtime.app_session import AppSession

from models import registry
from models.recall.live import Key
from pages.compare.recall import question, results
from pages.shared import cache


def clear_by_message():
    """Do what the server does when a browser sends clear_cache."""
    AppSession._handle_clear_cache_request(SimpleNamespace(_session_state={}))


def clear_by_hand():
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture(params=[clear_by_message, clear_by_hand])
def clear(request):
    return request.param


def test_the_handler_that_is_called_here_clears_what_streamlit_keeps(clear) -> None:
    made = []

    @st.cache_resource
    def kept() -> int:
        made.append(1)
        return len(made)

    kept.clear()
    assert (kept(), kept()) == (1, 1)
    clear()
    assert kept() == 2


@pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")
def test_loaded_models_and_traces_stay(clear) -> None:
    name = registry.bundled()[0]
    loaded, trace = cache.checkpoint(name), cache.trace_for(name, "one two three")
    clear()
    assert cache.checkpoint(name) is loaded
    assert cache.trace_for(name, "one two three") is trace


def test_typed_folders_stay(clear, monkeypatch) -> None:
    monkeypatch.setattr(cache, "_folders", {})
    cache.remember_folder("folder-1", "mamba", "/srv/model")
    clear()
    assert cache.typed_folders() == {"folder-1": ("mamba", "/srv/model")}


def test_live_runs_of_recall_stay(clear, monkeypatch) -> None:
    runs, key = results.live_runs(), Key("induction", 987)
    monkeypatch.setitem(runs._runs, key, run := object())
    clear()
    assert results.live_runs() is runs
    assert results.live_runs().get(key) is run


@pytest.mark.slow
def test_opened_questions_stay(clear, monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(question, "opened", lambda *args, **named: asked.append(args) or object())
    first = question._opened("induction", (("distance", 1),), 986, 0)
    clear()
    assert question._opened("induction", (("distance", 1),), 986, 0) is first
    assert len(asked) == 1
    for number in range(1, question.KEPT + 1):
        question._opened("induction", (("distance", 1),), 986, number)
    assert len(question._QUESTIONS.keys()) == question.KEPT
