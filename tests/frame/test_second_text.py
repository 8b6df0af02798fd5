"""Beside the visitor's text an example of the page is read by the same model, and never the text itself."""

import dataclasses
from types import SimpleNamespace

import pytest

from models.errors import SourceError
from pages.shared import state_path
from viz.gallery import samples

TRACE = samples.traces()["mamba"]


@pytest.fixture
def read(say, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Note which model reads which text; every model cuts a text to three letters."""
    asked: list[tuple[str, str]] = []
    texts = [{"en": "first", "ko": "첫째"}, {"en": "second", "ko": "둘째"}]
    monkeypatch.setattr(state_path.content, "examples", lambda page: [SimpleNamespace(text=text) for text in texts])
    monkeypatch.setattr(state_path.cache, "fitted", lambda source, text: SimpleNamespace(text=text[:3]))
    monkeypatch.setattr(state_path.cache, "trace_for", lambda source, text: asked.append((source, text)) or TRACE)
    return asked


def other(text: str) -> list[object]:
    return list(state_path.beside("mamba", dataclasses.replace(TRACE, prompt=text, checkpoint="model")))


def test_the_first_example_is_read_by_the_model_of_the_page_as_far_as_it_reads(read) -> None:
    assert other("my own") == [TRACE]
    assert read in ([("model", "fir")], [("model", "첫째")])


@pytest.mark.parametrize("text", ["first", "첫째"])
def test_an_example_is_not_set_beside_itself_in_any_language(read, text: str) -> None:
    assert other(text) == [TRACE]
    assert read in ([("model", "sec")], [("model", "둘째")])


def test_without_another_text_or_a_model_to_read_it_the_path_stands_alone(read, monkeypatch) -> None:
    def gone(*_: str) -> None:
        raise SourceError("errors.cannot_run", "gone", source="model", detail="gone")

    monkeypatch.setattr(state_path.cache, "trace_for", gone)
    assert other("my own") == []
    monkeypatch.setattr(state_path.content, "examples", lambda page: [])
    assert other("my own") == []
