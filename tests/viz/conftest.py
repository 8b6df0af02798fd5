"""The sample traces of four architectures, the translators, and a page of Chromium for figures."""

import base64
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from canvas_page import drawn
from figure_words import strict
from playwright.sync_api import Browser, BrowserContext, Page
from proof_cases import TEXT

from models import registry
from models.records.trace import LayerTrace, ModelTrace, NamedArray, Token
from viz.figure import Figure
from viz.gallery import samples

LOAD = """async (packed) => {
  const bytes = Uint8Array.from(atob(packed), (c) => c.charCodeAt(0));
  window.f = await import(URL.createObjectURL(new Blob([bytes], { type: "text/javascript" })));
}"""


@pytest.fixture(scope="session")
def traces() -> dict[str, ModelTrace]:
    """Return one trace per architecture."""
    return samples.traces()


@pytest.fixture(scope="session")
def runs() -> dict[str, ModelTrace]:
    """Trace the bundled models over one text, everything derived."""
    found = {name: registry.trace(registry.load(name), TEXT) for name in registry.bundled()}
    for trace in found.values():
        trace.derive()
    return found


@pytest.fixture
def routed_to(traces: dict[str, ModelTrace]) -> Callable[[int], ModelTrace]:
    """Give a function that sends three tokens to 1, 2, ... of five experts, 0 first, in layer 1 of two."""

    def built(choices: int) -> ModelTrace:
        probs = np.tile(np.array([0.4, 0.3, 0.15, 0.1, 0.05], np.float32), (3, 1))
        mixing = {"hidden_attention": np.tri(3)}
        router = {
            "router_logits": np.log(probs),
            "router_probs": probs,
            "chosen_experts": np.tile(np.arange(choices), (3, 1)),
            "chosen_weights": probs[:, :choices],
        }
        layers = (
            LayerTrace(0, "mamba", "dense", samples.named(mixing)),
            LayerTrace(1, "mamba", "moe", samples.named({**mixing, **router})),
        )
        tokens = tuple(Token(i, i, f"w{i}", i, i + 1) for i in range(3))
        bits = NamedArray(np.full(3, np.nan, np.float32), ("token",))
        return dataclasses.replace(traces["jamba"], tokens=tokens, layers=layers, surprisal=bits)

    return built


@pytest.fixture(params=samples.BUILD)
def trace(request: pytest.FixtureRequest, traces: dict[str, ModelTrace]) -> ModelTrace:
    """Return each trace in turn."""
    return traces[request.param]


@pytest.fixture(params=["en", "ko"])
def t(request: pytest.FixtureRequest) -> Callable[..., str]:
    """Return a strict translator over the figures' own words: a missing key or value is an error."""
    return strict(request.param)


@pytest.fixture
def english() -> Callable[..., str]:
    """Return the strict English translator."""
    return strict("en")


@pytest.fixture(scope="session")
def blank(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Return a function that opens an empty page of a width: blank(760, scale=2); the caller closes it.

    Pages of one resolution and motion share a context, in which one page stays open: with the last page of a context
    ends its process, and to start one takes several times as long as to draw a figure.
    """
    contexts: dict[tuple[float, str], BrowserContext] = {}

    def opened(width: int = 1280, *, scale: float = 1, motion: str = "no-preference") -> Page:
        if (scale, motion) not in contexts:
            contexts[scale, motion] = chromium.new_context(device_scale_factor=scale, reduced_motion=motion)
            contexts[scale, motion].new_page()
        page = contexts[scale, motion].new_page()
        page.set_viewport_size({"width": width, "height": 900})
        return page

    yield opened
    for context in contexts.values():
        context.close()


@pytest.fixture
def show(blank: Callable[..., Page]) -> Iterator[Callable[..., Page]]:
    """Return a function that draws a figure in a fresh page of a width and returns the page."""
    pages: list[Page] = []

    def draw(figure: Figure, *, width: int = 760, scale: float = 1) -> Page:
        pages.append(blank(width, scale=scale))
        return drawn(pages[-1], figure, width=width)

    yield draw
    for page in pages:
        page.close()


@pytest.fixture(scope="module")
def load(blank) -> Iterator[Callable[[str, list[str]], Callable[..., Any]]]:
    """Return a function that loads a script and gives a way to run a body in it: call(body, **names).

    A file has one page of Chromium for this, and asks it for many answers together.
    """
    page = blank()

    def opened(source: str, names: list[str]) -> Callable[..., Any]:
        packed = base64.b64encode(f"{source}\nexport {{ {', '.join(names)} }};".encode()).decode()

        def call(body: str, **given: Any) -> Any:
            page.evaluate(LOAD, packed)
            return page.evaluate(f"({{ {', '.join(given)} }}) => {{ {body} }}", given)

        return call

    yield opened
    page.close()
