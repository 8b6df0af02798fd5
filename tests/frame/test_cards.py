"""What stands around a figure, and what its clicks and buttons lead to: every part against values made for it."""

import dataclasses
import re
from contextlib import nullcontext
from html import unescape
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from models.bench.store import files
from models.bench.store.store import Summary
from models.reconstruction import Check
from models.records.run import Run, fingerprint
from models.records.trace import NamedArray, Token
from pages.compare.benchmark import runs
from pages.shared import cache, canvas, figure, figure_menu, layout, panel, parts, pointing, prompt, proof, site
from pages.shared.canvas import Selection
from pages.shared.state import session
from pages.shared.words import content, i18n, language, units
from viz.canvas import CanvasSpec, Frames, Matrix, Scale, Strip, Tile, Tiles
from viz.figure import Figure
from viz.gallery import samples
from viz.look.theme import LIGHT


@pytest.fixture(params=i18n.LANGS)
def say(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Have the pages speak one language without a visitor, and return its translator."""
    monkeypatch.setattr(language, "current", lambda: request.param)
    return i18n.translator(request.param)


class Paper:
    """Streamlit in place of it: notes every element with what it was given."""

    def __init__(self) -> None:
        self.written: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.session_state: dict[str, Any] = {}
        self.query_params: dict[str, str] = {}
        self.context = SimpleNamespace(url="https://example.org/app/benchmark?run=old", locale="en-US")

    def __getattr__(self, name: str) -> Any:
        def element(*given: Any, **options: Any) -> Any:
            self.written.append((name, given, options))
            return nullcontext(SimpleNamespace(open=True)) if name in ("popover", "expander") else nullcontext()

        return element

    def of(self, name: str) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
        return [(given, options) for kind, given, options in self.written if kind == name]


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch) -> Paper:
    made = Paper()
    for module in (figure, figure_menu, canvas, parts, pointing, prompt, runs, session, layout):
        monkeypatch.setattr(module, "st", made)
    return made


# --- clicks --------------------------------------------------------------------------------------------------------
def picture(kind: str) -> CanvasSpec:
    tokens = tuple(Token(i, i, f"t{i}", i, i + 1) for i in range(7))
    ramp = tuple("#000000" for _ in range(256))
    scale = Scale(0, 1)
    grids = {
        "matrix": lambda: Matrix(np.zeros((4, 4), np.float32), scale, (ramp,), ("{value}",), pool=(2, 2)),
        "tiles": lambda: Tiles(np.zeros((3, 4, 5), np.float32), scale, (ramp,), ("{value}",),
                               tiles=tuple(Tile(n, n, "#000000") for n in "abc")),
        "frames": lambda: Frames(np.zeros((7, 9, 2), np.float32), scale, (ramp,), ("{value}",)),
    }  # fmt: skip
    return CanvasSpec("x", "", LIGHT, "#000000", strip=Strip(tokens), grid=grids[kind]())


@pytest.mark.parametrize(
    ("kind", "sent", "known"),
    [
        ("matrix", {"row": 6, "column": 2, "tile": None, "token": 6}, (6, 2, None, 6)),
        ("matrix", {"row": 2, "column": 6, "tile": 1, "token": 3}, (2, 6, None, 3)),
        ("matrix", {"row": 8, "column": 1, "token": 7}, (None, 1, None, None)),
        ("tiles", {"row": 3, "column": 4, "tile": 2}, (3, 4, 2, None)),
        ("tiles", {"row": 1, "column": 1, "tile": 3}, (1, 1, None, None)),
        ("frames", {"row": 8, "column": 1, "tile": 6.0}, (8, 1, 6, None)),
        ("frames", {"row": True, "column": "1", "tile": 1.5, "token": -1}, None),
        ("matrix", [1, 2], None),
        ("matrix", None, None),
    ],
)
def test_a_click_is_the_row_the_column_the_tile_and_the_token_that_the_browser_named(kind, sent, known) -> None:
    assert canvas._selection(sent, picture(kind)) == (None if known is None else Selection(*known))


def test_a_choice_redraws_what_follows_it_in_sight_and_the_rest_when_it_comes_near(paper) -> None:
    paper.session_state[parts._PARTS] = parts._Shown(
        {
            "a": frozenset({"layer"}),
            "b": frozenset({"layer"}),
            "c": frozenset({"token"}),
            "bar": frozenset({"layer"}),
        },
        {"a": "part-a", "b": "part-b", "c": "part-c"},
    )
    paper.session_state[parts.SIGHT] = "part-a part-c"
    parts.redraw("layer")
    assert paper.of("rerun") == [((["a", "bar"],), {})], "the bar is no figure, and always in sight"
    assert parts.late() == ["part-b"]
    paper.session_state[parts.SIGHT] = "part-a"
    parts.redraw("token")
    assert parts.late() == ["part-b", "part-c"] and len(paper.of("rerun")) == 1, "what was late before stays so"
    paper.session_state[parts._PARTS].late = {"b"}
    parts.come_near(["part-c"])
    assert len(paper.of("rerun")) == 1, "what has not changed is not drawn again"
    parts.come_near(["part-b", "part-c"])
    assert paper.of("rerun")[1:] == [((["b"],), {})]
    paper.session_state[parts.SIGHT] = ""
    parts.redraw("token")
    assert paper.of("rerun")[2:] == [((["c"],), {})], "before anything is known of sight all are drawn"
    parts.redraw("nothing")
    assert len(paper.of("rerun")) == 3


@pytest.mark.parametrize(
    ("place", "aim", "anchor"),
    [("head_matrix", "mamba", "head_matrix"), ("benchmark#table", "benchmark", "table"), ("rwkv#cost", "rwkv", "cost")],
)
def test_a_way_leads_to_its_page_and_its_anchor(monkeypatch, paper, place: str, aim: str, anchor: str) -> None:
    assert pointing.target("mamba", place) == (aim, anchor)
    session.start("mamba")
    note = paper.button
    monkeypatch.setattr(paper, "button", lambda *given, **options: bool(note(*given, **options)), raising=False)
    pointing.button("mamba", place, "label", key="k")
    ((label,), options) = paper.of("button")[0]
    assert label == "label"
    if aim == "mamba":
        assert options["args"] == ("mamba", anchor) and options["on_click"] is pointing.lead
        assert paper.of("switch_page") == []
    else:
        assert paper.of("switch_page") == [((site.page(aim).script,), {})]
        assert session.current().pointed is None, "it is for the page that opens"
        assert session.start(aim).pointed == (anchor, 1)
        session.current().point(aim, "again")
        assert session.current().pointed == ("again", 2), "another turn, so that the document moves again"


@pytest.mark.parametrize("page", site.KEYS)
def test_a_link_to_a_page_has_its_script_and_its_name(say, paper, page: str) -> None:
    layout.link_to(page)
    (given, options) = paper.of("page_link")[0]
    assert given == (site.page(page).script,) and options["label"] == say("layout.open", name=say(f"nav.{page}"))


# --- a card --------------------------------------------------------------------------------------------------------
def checks() -> list[Check]:
    return [
        Check(error=error, limit=1e-3, kind=kind)
        for kind in ("rebuilds", "recomputed")
        for error in (2.1e-6, 0.5, np.nan)
    ]


def test_a_badge_says_its_kind_its_verdict_and_its_error(say) -> None:
    for check in checks():
        key = f"figure.{check.kind}" if check.error < 1e-3 else f"figure.{check.kind}_not"
        error = "2.1e-6" if check.error < 1e-3 else say("figure.no_number") if np.isnan(check.error) else "5.0e-1"
        assert proof.label(check) == f"{'✓' if check.error < 1e-3 else '✕'} {say(key, value=error)}"
        assert proof.meaning(check) == say(f"{key}_means", error=error, limit="1.0e-3")


@pytest.mark.parametrize("name", sorted(content.figure_ids()))
def test_a_definition_has_each_field_of_its_figure_under_its_own_name(say, name: str) -> None:
    facts = content.figure_facts(name)
    lang = language.current()
    data = {"a": NamedArray(np.zeros((3, 5)), ("query", "key")), "b": NamedArray(np.zeros(7), ("token",))}
    check = Check(error=1e-6, limit=1e-3, kind="rebuilds")
    lines = list(figure._lines(Figure(name, None, data, ""), facts, check))
    known = [
        f"**{say(f'figure.{field}')}** {getattr(facts, field)[lang]}"
        for field in ("aggregation", "normalisation", "note")
        if getattr(facts, field) is not None
    ]
    known.append(f"**{say('figure.shape')}** {facts.shape}: `a: query 3 × key 5`, `b: token 7`")
    known.append(f":gray[{say('figure.check.rebuilds')} {say('figure.check.limit', limit='1.0e-3')}]")
    if facts.paper is not None:
        paper = content.paper(facts.paper)
        known.append(f"**{say('figure.paper')}** [{paper.title}]({paper.url}) · {paper.authors} · {paper.year}")
    assert lines == known


@pytest.mark.parametrize("count", [1, 2])
def test_the_numbers_of_a_figure_are_kept_ready_under_its_name(paper, count: int) -> None:
    data = {f"a{n}": NamedArray(np.arange(3.0) + n, ("token",)) for n in range(count)}
    figure_menu.files(Figure("head_matrix", None, data, ""), "mamba.hero")
    (table, packed) = paper.of("download_button")
    one, several = ("CSV", "head_matrix.csv", "text/csv"), ("CSV (ZIP)", "head_matrix.zip", "application/zip")
    label, name, mime = one if count == 1 else several
    assert (table[0][0], table[1]["file_name"], table[1]["mime"], table[1]["key"]) == (
        label,
        name,
        mime,
        "mamba.hero.csv",
    )
    assert table[0][1]() == figure_menu.to_csv(data)
    assert (packed[0][0], packed[1]["file_name"], packed[1]["key"]) == ("NPZ", "head_matrix.npz", "mamba.hero.npz")
    assert packed[0][1]() == figure_menu.to_npz(data)


def test_a_picture_that_is_taken_along_names_its_models_and_its_text(say, monkeypatch) -> None:
    trace = samples.traces()["mamba"]
    monkeypatch.setattr(cache, "bundled", lambda: ("mamba",))
    assert panel._source(trace) == say("figure.source", models=say("nav.mamba"), text=trace.prompt)
    long = dataclasses.replace(trace, prompt="x" * 300)
    offered = dataclasses.replace(samples.traces()["rwkv"], checkpoint="RWKV/rwkv-4-169m-pile")
    models = f"{say('nav.mamba')}, {say('nav.rwkv')} (rwkv-4-169m-pile)"
    assert panel._source([long, offered]) == say("figure.source", models=models, text=f"{'x' * 200}…")
    assert panel._source({"mamba": [1]}) == ""
    assert panel._large(offered) and not panel._large(trace)


# --- the text box ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("tokens", [7, 1300])
def test_the_box_counts_the_tokens_of_the_text_against_the_limit(say, tokens: int) -> None:
    fit = SimpleNamespace(tokens=tokens, limit=256, text="x" * 40, left_out=1234)
    markup = prompt._count(fit, ["mamba", "rwkv", "mamba"])
    assert unescape(re.sub("<[^>]+>", "", markup)) == say("controls.count", count=units.count(tokens), limit=256)
    assert 'data-models="mamba rwkv"' in markup and ("cs-over" in markup) == (tokens > 256)
    fit.text = "the beginning and then the very end of what is read"
    tail = "the very end of what is read"  # 28 characters
    assert prompt._cut(fit) == say("controls.cut", tokens=256, tail=tail, left="1,234")


def test_all_models_of_a_page_read_what_the_one_that_reads_least_can_read(say, paper, monkeypatch) -> None:
    read = {"mamba": "one two three", "rwkv": "one", "jamba": "one two"}
    fits = {name: SimpleNamespace(tokens=9, limit=3, text=text, left_out=0) for name, text in read.items()}
    monkeypatch.setattr(prompt.model_picker, "fitted", lambda name, text: fits[name])
    monkeypatch.setattr(prompt.model_picker, "code_of", lambda name: name)
    shown: list[str] = []
    monkeypatch.setattr(prompt.html, "show", lambda *markup: shown.extend(map(str, markup)))
    box = prompt.PromptBox("one two three four", nullcontext(), nullcontext())
    assert prompt.fitted("overview", box, ["mamba", "rwkv", "jamba"]) == "one"
    assert 'data-models="mamba rwkv jamba"' in shown[0]


# --- runs ----------------------------------------------------------------------------------------------------------
RUN = Run("r7", "a title", 10**18, (), {}, ())


def test_a_run_has_a_link_with_its_rows_and_files_of_its_name(say, paper, monkeypatch) -> None:
    store = SimpleNamespace(summaries=lambda imported: ())
    monkeypatch.setattr(runs.runner, "shared", lambda: SimpleNamespace(store=store, progress=lambda run: None))
    monkeypatch.setattr(runs.address, "of_plan", lambda: "the plan alone")
    session.start("benchmark")
    runs.bar(RUN)
    link, plan = (given[0] for given, _ in paper.of("code"))
    found = {name: value for name, (value,) in parse_qs(urlsplit(link).query).items()}
    assert found == {"lang": language.current(), "run": "r7", "rows": fingerprint(RUN)}
    assert plan == "the plan alone"
    buttons = paper.of("download_button")
    for fmt, (given, options) in zip(files.FORMATS, buttons, strict=True):
        assert (given[0], given[2], given[3]) == (say(f"benchmark.format.{fmt}"), f"r7.{fmt}", files.MEDIA_TYPES[fmt])
        assert options["key"] == f"benchmark.export.{fmt}"


@pytest.mark.parametrize(
    ("recorded", "imported", "kind"), [(True, False, "recorded"), (False, True, "imported"), (False, False, "own")]
)
def test_a_run_of_the_list_says_its_title_its_day_and_how_much_was_measured(say, recorded, imported, kind) -> None:
    made = Summary("r", "first", 10**18, {}, 8, 5, 3, "done", recorded, imported)
    when = layout.moment_text(10**18)
    assert runs._name(made) == say(f"benchmark.listed.{kind}", title="first", when=when, measured=3, total=8)


def test_a_link_to_a_run_goes_to_that_run_and_says_when_its_rows_are_others(say, paper, monkeypatch) -> None:
    other = Run("newest", "", 10**18, (), {}, ())
    store = SimpleNamespace(run=lambda run: RUN if run == "r7" else None, latest=lambda: other)
    monkeypatch.setattr(runs.runner, "shared", lambda: SimpleNamespace(store=store))
    assert runs.chosen_run() is other
    paper.query_params |= {"run": "r7", "rows": fingerprint(RUN)}
    assert runs.chosen_run() is RUN and paper.of("info") == []
    paper.query_params["rows"] = "otherrows"
    assert runs.chosen_run() is RUN
    assert paper.of("info")[0][0] == (say("benchmark.other_rows", there="otherrows", here=fingerprint(RUN)),)
    paper.query_params = {"run": "gone"}
    assert runs.chosen_run() is other
    assert paper.of("info")[1][0] == (say("benchmark.no_such_run"),)
