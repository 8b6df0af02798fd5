"""Run the script of a page over a record without a server, and note what it puts where.

Everything around a page is noted: the sections it draws, the figures in them with their layer, head and channel, and
what a click, a picker and an answer say. The record has layers, heads and channels that all differ.
"""

import importlib.util
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from stage import Stage

from models.records.trace import ModelTrace
from pages.learn.mamba import opened as mamba_opened
from pages.learn.rwkv import versions, ways
from pages.shared import (
    agreement,  # noqa: F401  # imports what a page must find imported
    anatomy,
    cache,
    controls,
    early,
    expert_memory,
    expert_sample,
    experts,
    finders,
    hood,
    layout,
    next_word,
    panel,
    parts,
    reading_bar,
    sample,
    site,
    state_path,
    stream,
    token_steps,
    training_curves,
    what_if,
)
from viz.gallery import samples

Say = Callable[..., str]
BUNDLED = {"transformer": "transformer", "mamba": "mamba", "rwkv": "rwkv", "jamba": "jamba"}
TRACES = samples.traces()


class Shown(NamedTuple):
    """A figure as a page asked for it. section: where; draw: the name of its function."""

    section: str
    key: str
    draw: str
    options: dict[str, Any]


class Page(NamedTuple):
    """A page that was run. around: what it handed to the parts around its figures, by their names."""

    script: ModuleType
    figures: list[Shown]
    around: dict[str, Any]
    follows: dict[str, tuple[str, ...]]

    def shown(self, key: str) -> Shown:
        """Return the last figure with a key."""
        return [one for one in self.figures if one.key == key][-1]


Run = Callable[..., Page]


def named(draw: Any) -> str:
    """Return the name of a figure function."""
    return str(getattr(draw, "__name__", draw))


def stage_of(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Draw pages without Streamlit, on a machine that has the four bundled models."""
    made = Stage().on(monkeypatch, controls, early, experts, layout, mamba_opened, token_steps, what_if)
    monkeypatch.setattr(expert_sample, "read", lambda _source, _number: [TRACES["jamba"]] * 2)
    monkeypatch.setattr(cache, "read_in_steps", lambda trace: f"steps of {trace.checkpoint}")
    monkeypatch.setattr(cache, "architectures", lambda: dict(BUNDLED))
    monkeypatch.setattr(cache, "bundled", lambda: tuple(BUNDLED))
    monkeypatch.setattr(cache, "structure", lambda _source: {})
    monkeypatch.setattr(cache, "cache_bytes", lambda source, tokens: 1000 * tokens + len(source))
    monkeypatch.setattr(cache, "cache_bytes_until", lambda source, tokens: (source, tokens))
    return made


def run_of(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Give a function that runs the script of a page over a trace, or over none, and tells what it put where."""

    def ran(name: str, trace: ModelTrace | None = None) -> Page:
        figures: list[Shown] = []
        around: dict[str, Any] = {}
        follows: dict[str, tuple[str, ...]] = {}
        places: list[str] = [""]

        def within(place: str, draw: Callable[[], object]) -> None:
            places.append(place)
            draw()
            places.pop()

        def panelled(draw: Any, trace: Any, *, key: str, **options: Any) -> None:
            figures.append(Shown(places[-1], key, named(draw), options | {"of": trace, "by": draw}))

        def followed(key: str, draw: Callable[[], object], *, on: Sequence[str]) -> None:
            follows[key] = tuple(on)
            draw()

        def hooded(page: str, found: Sequence[tuple[str, Callable[[], object]]]) -> None:
            around["hood"] = [key for key, _ in found]
            for key, draw in found:
                within(f"hood.{key}", draw)

        def noted(what: str) -> Callable[..., None]:
            return lambda *given, **options: around.update({what: (given, options)})

        for module, what, stand_in in (
            (layout, "header", noted("header")), (layout, "footer", noted("footer")),
            (layout, "under_the_hood", hooded),
            (layout, "first_figure", lambda page, draw, **more: around.update(first=more) or within("hero", draw)),
            (layout, "section_of", lambda page, key, draw, **_: within(key, draw)),
            (layout, "chapter", lambda page, n, draw, **_: within(f"chapter{n}", draw)),
            (layout, "what_it_costs", noted("cost")), (layout, "check_yourself", noted("check")),
            (next_word, "section", noted("next_word")), (reading_bar, "show", noted("bar")),
            (parts, "figure", followed), (parts, "redraw", noted("redraw")),
            (panel, "panel", panelled), (experts, "panel", panelled), (hood, "panel", panelled),
            (state_path, "panel", panelled), (state_path, "beside", lambda page, trace: [f"beside {page}"]),
            (versions, "panel", panelled), (versions, "st", stage), (ways, "st", stage),
            (mamba_opened, "panel", panelled), (token_steps, "panel", panelled),
            (panel, "sketch", panelled), (finders, "panel", panelled),
            (stream, "panel", panelled), (anatomy, "panel", panelled), (anatomy, "plan_of", lambda trace: None),
            (anatomy, "worths_of", lambda trace: ()),
            (sample, "trace", lambda own: f"sample of {own.checkpoint}"),
            (sample, "repeated", lambda own: f"repeated of {own.checkpoint}"),
            (controls, "traced_prompt", lambda *given: around.update(asked=given) or trace),
            (training_curves, "training_section", noted("training")), (expert_memory, "memory", noted("memory")),
        ):  # fmt: skip
            monkeypatch.setattr(module, what, stand_in)
        stage.session_state["contextscope.page"] = name
        spec = importlib.util.spec_from_file_location(f"script_of_{name}", site.page(name).script)
        assert spec is not None and spec.loader is not None
        script = importlib.util.module_from_spec(spec)
        before = {one for one in sys.modules if one.startswith("pages.")}
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(sys.modules, "streamlit", stage)  # type: ignore[arg-type]
            spec.loader.exec_module(script)
        more = {one for one in sys.modules if one.startswith("pages.")} - before
        assert not more, f"import it above: it has no Streamlit: {sorted(more)}"
        return Page(script, figures, around, follows)

    return ran


def traces() -> dict[str, ModelTrace]:
    """Return the sample traces by architecture, in a dictionary of the test's own."""
    return dict(TRACES)


def found_in(page: Page) -> list[tuple[str, str, str]]:
    """Return section, key and function of every figure of a page."""
    return [(one.section, one.key, one.draw) for one in page.figures]
