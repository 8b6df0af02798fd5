"""Draw parts of the Mamba page that all pages share, without Streamlit and with hand-made records."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from stage import Call, Stage

from models.records.trace import Token
from models.sources import downloadable
from pages.shared import (
    attempts,
    cache,
    continuing,
    controls,
    layout,
    model_picker,
    next_word,
    pointing,
    prompt,
    sampling,
    training_curves,
)

Say = Callable[..., str]
BUNDLED = {"transformer": "transformer", "mamba": "mamba", "rwkv": "rwkv", "jamba": "jamba"}
MODULES = (attempts, continuing, controls, layout, model_picker, next_word, pointing, prompt, sampling)
TEXT = "A wolf"


def stage_of(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Draw parts of the Mamba page without Streamlit, on a machine that has the four bundled models."""
    modules = [module for module in (*MODULES, training_curves) if hasattr(module, "st")]
    made = Stage().on(monkeypatch, *modules)
    made.session_state["contextscope.page"] = "mamba"
    monkeypatch.setattr(cache, "architectures", lambda: dict(BUNDLED))
    monkeypatch.setattr(cache, "bundled", lambda: tuple(BUNDLED.values()))
    monkeypatch.setattr(controls.parts, "redraw", lambda *names: made.calls.append(Call("redraw", names, {})))
    return made


def places_of(stage: Stage) -> dict[str, int]:
    """Return the choices of the Mamba page."""
    found: dict[str, int] = stage.session_state.setdefault("contextscope.places", {}).setdefault("mamba", {})
    return found


def text_of(*tokens: tuple[int, str]) -> SimpleNamespace:
    """Return a trace of tokens with these numbers and labels, each one character long."""
    made = [Token(n, number, label, n, n + 1, 1, 1) for n, (number, label) in enumerate(tokens)]
    return SimpleNamespace(tokens=made)


OFFER = next(one for one in downloadable.offers() if one.architecture == "mamba")
