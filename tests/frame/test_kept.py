"""What is kept between runs is kept by everything that it depends on: another of any part is made anew.

Each case asks twice for the same, then changes one part at a time. A part that its key lacks would show a visitor what
was made for another: an English table to a Korean, a light picture in the dark, the plan of the contexts before.
"""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from models.bench.run import runner
from models.records.trace import ModelTrace, NamedArray
from pages.compare.benchmark import checks, comparison, grid, planning, results, verdicts
from pages.compare.recall import expected, measuring
from pages.shared import cache, html, implementation, layout, panel
from pages.shared.lru_cache import LruCache
from pages.shared.memo import Memo
from pages.shared.words import i18n, language
from viz.gallery import samples
from viz.look.theme import theme_for
from viz.trace.tokens import token_strip

TRACES = (samples.traces()["mamba"], samples.traces()["rwkv"])
RUNS = tuple(SimpleNamespace(run_id="r", rows=(), current=()) for _ in "ab")  # the same run, before and after a row
OTHER_RUN = SimpleNamespace(run_id="s", rows=(), current=())


class World(SimpleNamespace):
    """Everything that a page may depend on, as it is asked for; `make` counts what had to be made."""

    def make(self, *_: Any, **__: Any) -> Any:
        self.made.append(1)
        return self.gives


Ask = Callable[[World, pytest.MonkeyPatch], object]


def of_run(module: Any, memo: str, maker: str, ask: Callable[[Any], object]) -> Ask:
    """Ask for what a module makes of a run."""

    def asked(world: World, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(module, maker, world.make)
        assert isinstance(getattr(module, memo), Memo)
        ask(world.run)

    return asked


def plan(world: World, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(planning, "make_plan", world.make)
    patch.setattr(planning, "st", SimpleNamespace(session_state=world.visits[world.visit]))
    patch.setattr(runner, "shared", lambda: SimpleNamespace(rates=lambda: "those of now"))
    planning._planned({
        "preset": "quick", "architectures": world.names, "match": world.match, "contexts": world.contexts,
        "batches": world.batches, "device": world.device, "size": world.size, "rounds": world.rounds,
    })  # fmt: skip


def figure_of_a_run(world: World, _: pytest.MonkeyPatch) -> None:
    drawn = results._kept(world.run, world.name, world.make)
    drawn((), theme=theme_for(world.mode), t=i18n.translator(world.lang), batch=world.batch)


def recall_map(world: World, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(measuring, "recall_map", world.make)
    patch.setattr(measuring, "_status", lambda *_: None)
    patch.setattr(measuring, "_shown", lambda *_: (world.live, {"mamba": [], "rwkv": []}))
    patch.setattr(measuring, "_one_of", lambda _names: world.alone)
    patch.setattr(measuring.results, "live", lambda _task, **_: None)
    patch.setattr(measuring.viewport, "window", lambda: world.window)
    patch.setattr(measuring.style, "theme", lambda: theme_for(world.mode))
    patch.setattr(measuring.figure, "show", lambda *_, **__: None)
    measuring._drawn(world.record)


def expectations(world: World, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(expected, "_judged", world.make)
    patch.setattr(expected, "findings", lambda *_: [])
    expected.expected(world.record, world.shown or world.record.bundled)


def code_that_ran(world: World, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(implementation, "_written", world.make)
    facts = {name: getattr(world, name) for name in ("architecture", "device", "dtype", "seconds")}
    implementation._table(SimpleNamespace(**facts, implementation={"scan": world.code}), named=world.named)  # type: ignore[arg-type]


def carried(world: World, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(layout, "_bars_of", world.make)
    patch.setattr(cache, "architectures", lambda: [world.name])
    patch.setattr(layout, "carried_by", lambda _name, tokens: tokens)
    layout.cache_bars(world.tokens)


def record(task: str = "mqar") -> SimpleNamespace:
    bundled = {"mamba": [1]}
    return SimpleNamespace(
        task=task, bundled=bundled, runs={"mamba": [(0, [1])]}, about={"trained_to": {}}, layout=None
    )


RUN_PARTS = {"run": (*RUNS, OTHER_RUN), "lang": ("en", "ko")}
RECORD = record()
# what is kept -> how it is asked for, what is made, and each part: its usual value, then others
CASES: dict[str, tuple[Ask, object, dict[str, tuple[Any, ...]]]] = {
    "plan": (plan, "plan", {
        "names": (["mamba", "jamba"], ["rwkv"], ["jamba"]), "contexts": ([64], [64, 128], [128]),
        "batches": ([1], [2]), "device": ("cpu", "cuda"), "size": ("bundled", "130m"), "rounds": (3, 4),
        "match": ("active", "total"), "visit": (0, 1)}),
    "figure of a run": (figure_of_a_run, "figure", RUN_PARTS | {
        "name": ("decode", "prefill"), "mode": ("light", "dark"), "batch": (1, 4)}),
    "recall map": (recall_map, "figure", {
        "record": (RECORD, record(), record("induction")), "lang": ("en", "ko"), "mode": ("light", "dark"),
        "window": (1280, 390), "alone": ("mamba",), "live": (False, True)}),
    "recall map on a phone": (recall_map, "figure", {
        "record": (RECORD,), "window": (390, 1280), "alone": ("mamba", "rwkv"), "mode": ("light",), "live": (False,)}),
    "expectations": (expectations, ("x", html.text("x")), {
        "record": (RECORD, record(), record("induction")), "lang": ("en", "ko"),
        "shown": (None, {"mamba": [2]}, {"mamba": [3]})}),
    "verdicts": (of_run(verdicts, "_kept", "_table", verdicts._verdicts), None, RUN_PARTS),
    "comparison": (of_run(comparison, "_kept", "_table", comparison.comparison), html.text("x"),
                   RUN_PARTS | {"run": (None, *RUNS)}),
    "grid": (of_run(grid, "_kept", "_drawn", grid.draw), (html.text("x"), None, "x"), RUN_PARTS),
    "checks": (of_run(checks, "_kept", "_drawn", lambda _: checks.checks()), ("x", html.text("x")),
               {"run": (None,), "lang": ("en", "ko")}),
    "code that ran": (code_that_ran, html.text("x"), {
        "lang": ("en", "ko"), "architecture": ("mamba", "rwkv"), "device": ("cpu", "cuda"),
        "dtype": ("float32", "bfloat16"), "seconds": (0.1, 0.2), "code": ("loop", "kernel"), "named": (False, True)}),
    "bars of carried bytes": (carried, html.text("x"), {
        "lang": ("en", "ko"), "name": ("mamba", "rwkv"), "tokens": (64, 128)}),
}  # fmt: skip


@pytest.fixture
def speaking(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A visitor whose language is the world's."""
    world = World(lang="en", made=[])
    monkeypatch.setattr(language, "current", lambda: world.lang)
    return world


@pytest.mark.parametrize("name", CASES)
def test_another_part_is_made_anew(name: str, speaking: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ask, speaking.gives, parts = CASES[name]
    speaking.visits = {}, {}
    for module in (planning, results, measuring, expected, verdicts, comparison, grid, checks, implementation, layout):
        for memo in [one for one, value in vars(module).items() if isinstance(value, Memo)]:
            monkeypatch.setattr(module, memo, Memo(64))
    for part, values in parts.items():
        setattr(speaking, part, values[0])

    def made() -> int:
        before = len(speaking.made)
        ask(speaking, monkeypatch)
        return len(speaking.made) - before

    assert (made(), made()) == (1, 0)
    for part, (usual, *others) in parts.items():
        for other in others:
            made()  # the usual is what was asked for last
            setattr(speaking, part, other)
            assert made() == 1, f"another {part} shows what was made before: {other!r}"
            setattr(speaking, part, usual)


@pytest.fixture
def shown(speaking: World, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Give a function that shows a figure of a trace in its card, and returns the figure that was shown."""
    seen: list[Any] = []
    monkeypatch.setattr(panel, "_figures", panel.Figures())
    monkeypatch.setattr(panel.style, "theme", lambda: theme_for(speaking.mode))
    monkeypatch.setattr(panel.figure, "show", lambda drawn, **_: seen.append(drawn))

    def show(trace: ModelTrace, *, mode: str = "light", lang: str = "en", key: str = "a.b", **options: Any) -> Any:
        speaking.mode, speaking.lang = mode, lang
        panel.panel(token_strip, trace, key=key, **options)
        return seen[-1]

    return show


def test_a_figure_is_shown_in_the_look_the_language_and_of_the_choice_that_is_asked(shown: Callable[..., Any]) -> None:
    first, (one, other) = shown(TRACES[0]), TRACES
    assert shown(one) is first
    assert [shown(one, mode=mode).body.theme.mode for mode in ("dark", "light")] == ["dark", "light"]
    korean = i18n.say("ko", "viz.token_strip.alt", count=len(one.tokens))
    assert shown(one, lang="ko").alt.startswith(korean) and not first.alt.startswith(korean)
    assert [shown(one, selected=at).body.strip.selected for at in (2, 0, None)] == [2, 0, None]
    assert shown(other).body.accent != first.body.accent


def test_a_verdict_is_of_the_picture_the_trace_and_the_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(cache.proof, "check", lambda *args, **choice: asked.append((*args, choice)) or None)
    cache.checked_pictures().clear()
    one, other = TRACES
    words = i18n.translator("en")
    drawn = token_strip(one, theme=theme_for("light"), t=words)
    same = token_strip(one, theme=theme_for("light"), t=words)
    spoiled = token_strip(one, theme=theme_for("light"), t=words)
    spoiled.data["surprisal"] = NamedArray(np.zeros(len(one.tokens), np.float32), ("token",))
    chosen = token_strip(one, theme=theme_for("light"), t=words, selected=1)
    for figure, trace, choice in (
        (drawn, one, {}), (spoiled, one, {}), (chosen, one, {}), (drawn, other, {}), (drawn, one, {"layer": 1}),
    ):  # fmt: skip
        before = len(asked)
        cache.check_of(figure, trace, choice)
        assert len(asked) == before + 1
        cache.check_of(figure, trace, choice)
        assert len(asked) == before + 1
    cache.check_of(same, one, {})
    assert len(asked) == 5, "an equal picture is the same picture"


def test_what_is_read_of_a_text_is_kept_by_model_stamp_and_text(monkeypatch: pytest.MonkeyPatch) -> None:
    from models import registry

    stamps, made = {"a": 1.0, "b": 1.0}, []
    monkeypatch.setattr(cache, "_FITS", LruCache(10))
    monkeypatch.setattr(cache, "tokenizer", lambda source: source)
    monkeypatch.setattr(registry, "modified_at", stamps.__getitem__)
    monkeypatch.setattr(registry, "fitted", lambda source, prompt: made.append((source, prompt)) or SimpleNamespace())
    for source, prompt in (("a", "x"), ("b", "x"), ("a", "y"), ("a", "x")):
        cache.fitted(source, prompt)
    assert made == [("a", "x"), ("b", "x"), ("a", "y")]
    stamps["a"] = 2.0
    cache.fitted("a", "x")
    assert made[3:] == [("a", "x")]


def test_bytes_are_counted_for_the_model_and_the_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """A transformer carries twice as much after twice the tokens, and another model another amount."""
    few, many = (cache.cache_bytes("transformer", count) for count in (16, 32))
    assert many == 2 * few
    assert cache.cache_bytes_until("transformer", 32)[15::16] == (few, many)
    assert len(cache.cache_bytes_until("transformer", 16)) == 16
    assert cache.cache_bytes("mamba", 16) == cache.cache_bytes("mamba", 32) != few
