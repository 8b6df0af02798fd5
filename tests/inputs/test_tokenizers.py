"""Tokenizers of the kind that people report: they panic, fail or do not end; and texts too long for them."""

import threading
from pathlib import Path
from typing import Any

import pytest
from reported import TEXT, raised, refused
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from models import panics, registry
from models.errors import PromptError, SourceError
from models.tracing import tokens

# A tokenizer whose pattern makes the Rust code panic (its regular expressions give up after so many steps) ...
PANICS = r"(x+x+)+y"


def tokenizer(pattern: str) -> PreTrainedTokenizerFast:
    made = Tokenizer(models.WordLevel({"[UNK]": 0, TEXT: 1}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=made)


@pytest.mark.slow
def test_a_tokenizer_that_panics_gives_a_sentence(capsys, folder: Path) -> None:
    tokenizer(PANICS).save_pretrained(folder)
    checkpoint = registry.load(str(folder))
    error = raised(lambda: registry.encode(checkpoint, "x" * 60))
    assert error.key == "errors.tokenizer_failed" and "retry-limit" in str(error.values["detail"])
    assert registry.encode(checkpoint, TEXT).ids, "another text is read"
    assert "retry-limit" in refused(capsys, "trace", str(folder), "--text", "x" * 60)


class Stop(BaseException):
    """As Streamlit ends a script: no Exception."""


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), GeneratorExit(), Stop()], ids=repr)
def test_what_ends_a_script_is_not_taken_for_a_failure_of_a_tokenizer(error: BaseException) -> None:
    assert not panics.is_panic(error)
    with pytest.raises(type(error)), panics.as_source_error("x"):
        raise error


def test_other_failures_of_a_tokenizer_are_told(folder: Path) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OverflowError("too many\nlines")

    error = raised(lambda: tokens.encode(fails, TEXT, source="some/where"))  # type: ignore[arg-type]
    assert (error.key, error.values["detail"]) == ("errors.tokenizer_failed", "too many lines")


def test_a_tokenizer_that_does_not_end_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its text gets a sentence; so does the third, at once; when one ends, the next text has its turn."""
    monkeypatch.setattr(tokens, "PATIENCE_S", 0.05)
    gate = threading.Event()

    def slow(*_: object, **__: object) -> None:
        gate.wait(60)

    before = threading.active_count()
    for _ in range(tokens.MOST_STUCK + 2):
        error = raised(lambda: tokens.encode(slow, TEXT, source="some/where"))  # type: ignore[arg-type]
        assert error.key == "errors.tokenizer_slow"
    assert threading.active_count() == before + tokens.MOST_STUCK
    gate.set()
    for thread in list(tokens._left_behind):
        thread.join(60)
    with pytest.raises(SourceError):  # it ends now, with nothing that can be read
        tokens.encode(slow, TEXT, source="some/where")  # type: ignore[arg-type]
    assert not tokens._left_behind


def test_an_over_long_text_never_reaches_a_tokenizer() -> None:
    with pytest.raises(PromptError):
        tokens.encode(None or tokenizer(PANICS), "x" * 100_000, source="some/where")


def test_a_page_cuts_a_text_before_it_waits_for_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    from pages.shared import cache

    held: list[bool] = []
    encode = registry.encode

    def watched(*args: Any) -> Any:
        free = cache._running.acquire(blocking=False)
        held.append(not free)
        if free:
            cache._running.release()
        return encode(*args)

    monkeypatch.setattr(registry, "encode", watched)
    cache._traced(registry.bundled()[0], "one text nobody asked for")
    assert held == [False]


def test_a_page_outlives_a_panic(monkeypatch: pytest.MonkeyPatch) -> None:
    from pages.shared import notices

    shown: list[BaseException] = []
    monkeypatch.setattr(notices, "calm", shown.append)
    made = tokenizer(PANICS)
    with notices.guarded():
        made("x" * 60)
    assert [panics.is_panic(error) for error in shown] == [True]
    with pytest.raises(Stop), notices.guarded():
        raise Stop
