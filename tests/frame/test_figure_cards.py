"""What stands around a figure: headings, cards, badges, panels, and what is drawn again."""

import dataclasses
import math
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
from figure_stage import TRACES, Say, stage_of
from stage import Call, Stage, words_of

from models.reconstruction import Check
from pages.shared import (
    attempts,
    figure,
    figure_menu,
    layout,
    panel,
    parts,
    proof,
    site,
)
from pages.shared.state import session
from pages.shared.words import content, language
from viz.look.vega import VegaSpec


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return stage_of(monkeypatch)


# --- layout -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("page", site.KEYS)
def test_a_page_opens_with_its_name_its_tagline_and_its_promise(say: Say, stage: Stage, page: str) -> None:
    layout.header(page)
    title, tagline, promise = (content.section(page, key) for key in ("title", "tagline", "promise"))
    assert stage.said("title") == [f"{title} — *{tagline}*"] and stage.said("markdown") == [promise]


@pytest.mark.parametrize("page", ["transformer", "mamba", "rwkv", "jamba"])
def test_a_chapter_has_its_question_its_words_and_what_to_try(say: Say, stage: Stage, monkeypatch, page: str) -> None:
    drawn: list[int] = []
    begun: list[Any] = []
    monkeypatch.setattr(attempts, "begin", lambda *given: begun.append(given))
    monkeypatch.setattr(layout, "beside", lambda words: stage.calls.append(Call("beside", (words,), {})))
    for n in (1, 2, 3):
        stage.clear()
        attempt = content.attempt(page, f"chapter{n}")
        stage.pressed = {f"{page}.try.chapter{n}"}
        layout.chapter(page, n, lambda n=n: drawn.append(n))
        (head,) = stage.found("header")
        assert head.args == (content.section(page, f"chapter{n}.title"),) and head.options["anchor"] == f"chapter{n}"
        assert stage.said("beside") == [content.section(page, f"chapter{n}.text")]
        tried = [] if attempt is None else [f"**{say('layout.try')}** {attempt.text}"]
        assert stage.said("markdown") == tried
        if attempt is not None and attempt.sets:
            assert stage.said("button") == [say("layout.try_it")] and begun.pop() == (page, attempt)
        else:
            assert stage.said("button") == [] and begun == []
    assert drawn == [1, 2, 3]


def test_the_first_figure_stands_beside_what_to_see_and_what_is_carried(say: Say, stage: Stage, monkeypatch) -> None:
    order: list[Any] = []
    monkeypatch.setattr(layout, "beside", order.append)
    monkeypatch.setattr(layout, "_try", lambda *given: order.append(given))
    monkeypatch.setattr(layout, "_carried", lambda traces: order.append(("carried", traces)))
    monkeypatch.setattr(layout.implementation, "what_ran", lambda *given: order.append(("ran", *given)))
    layout.first_figure("mamba", lambda: order.append("figure"), traces=["trace"])  # type: ignore[list-item]
    see = content.section("mamba", "hero.see")
    assert order == ["figure", see, ("mamba", "hero"), ("carried", ["trace"]), ("ran", "mamba", ["trace"])]
    assert stage.said("header") == [say("layout.see")]
    order.clear()
    layout.first_figure("mamba", lambda: order.append("figure"))
    assert order == ["figure", see, ("mamba", "hero")], "without a run nothing is carried"


def test_closing_notes_stand_side_by_side_each_with_its_words(say: Say, stage: Stage) -> None:
    layout.footer("overview", "models", "table")
    assert stage.said("header") == [content.section("overview", f"{key}.title") for key in ("models", "table")]
    assert stage.said("markdown") == [content.section("overview", f"{key}.text") for key in ("models", "table")]


# --- figure -------------------------------------------------------------------------------------------------------
def drawn_figure(**changes: Any) -> SimpleNamespace:
    body = VegaSpec({"mark": "bar", "height": 321}, {"a": [1]})  # type: ignore[dict-item]
    known = {
        "id": "head_matrix",
        "body": body,
        "data": {},
        "alt": "words for all",
        "note": "own note",
        "finding": "found",
    }
    return SimpleNamespace(**({"each": ()} | known | changes))


@pytest.mark.parametrize(("key", "level"), [("transformer.hero", 2), ("transformer.logits", 3), ("mamba.dt", 3)])
@pytest.mark.parametrize("note", [None, "another note"])
def test_a_card_has_its_name_its_finding_its_note_and_its_badge(
    say: Say, stage: Stage, key: str, level: int, note
) -> None:
    check = Check("rebuilds", 1e-9, 1e-5)
    figure.show(drawn_figure(), key=key, subtitle="beside", note=note, check=check, source="the source")  # type: ignore[arg-type]
    name = content.figure_facts("head_matrix").name[language.current()]
    title, *_, row = stage.said("html")
    assert words_of(title) == f"{name} · beside found" and f'<h{level} class="cs-title" id="head_matrix">' in title
    assert stage.said("text") == [note or "own note"]
    assert 'data-figure="head_matrix"' in row and 'data-source="the source"' in row
    inline = content.spoken(content.figure_facts("head_matrix").inline, language.current())
    assert words_of(row).startswith(inline) and say("figure.menu") in words_of(row)
    assert stage.said("popover") == [proof.label(check)]
    (chart,) = stage.found("vega_lite_chart")
    assert (
        chart.args == ({"mark": "bar", "height": 321, "datasets": {"a": [1]}},)
        and chart.options["alt"] == "words for all"
    )
    slots = {
        call.options["key"]: call.options["height"] for call in stage.found("container") if "height" in call.options
    }
    assert slots == {f"slot-bars-{key}": 321}, "its outline is that of its kind, as high as it will be"


def test_a_card_without_finding_note_check_and_source_has_none(stage: Stage) -> None:
    figure.show(drawn_figure(finding="", note=""), key="transformer.logits")  # type: ignore[arg-type]
    title, row = stage.said("html")
    assert "cs-finding" not in title and "cs-subtitle" not in title and "data-source" not in row
    assert stage.said("text") == [] == stage.said("popover")


def test_the_words_of_the_menu_are_those_of_its_entries(say: Say) -> None:
    lang = language.current()
    keys = {"menu": "menu", "full": "full_screen", "leave": "leave_full_screen", "definition": "definition",
            "png": "save_png", "svg": "save_svg", "csv": "save_csv", "npz": "save_npz", "link": "link",
            "link_text": "link_text", "copied": "link_copied",
            "failed": "no_picture", "no_full": "no_full_screen"}  # fmt: skip
    known = {name: say(f"figure.{key}") for name, key in keys.items()} | {"mark": say("frame.title")}
    assert figure_menu.words(lang) == known
    buttons = figure_menu._buttons("a_figure", "", lang)
    full = say("figure.full_screen")
    assert f'aria-label="{full}" title="{full}"' in buttons and words_of(buttons) == say("figure.menu")


def test_an_opened_badge_shows_the_curves_that_were_compared(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []
    monkeypatch.setattr(figure.style, "theme", lambda: "theme")
    monkeypatch.setattr(figure.proof, "opened", lambda *given: opened.append(given) or "")
    for check, kind in ((Check("rebuilds", 1e-9, 1e-5), "good"), (Check("rebuilds", 1.0, 1e-5), "bad")):
        figure._badge("mamba.hero", check, lambda: ["curves"])  # type: ignore[list-item]
        assert opened.pop() == (check, ["curves"], "theme") and stage.has(f"badge-{kind}-mamba.hero")
    figure._badge("mamba.hero", check, None)
    assert opened == [(check, (), "theme")]


# --- panel --------------------------------------------------------------------------------------------------------
@pytest.fixture
def cards(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Note what a panel hands to the card of its figure."""
    found: list[Any] = []
    monkeypatch.setattr(panel, "_figures", panel.Figures())
    monkeypatch.setattr(panel.style, "theme", lambda: SimpleNamespace(mode="light"))
    monkeypatch.setattr(panel.cache, "check_of", lambda drawn, trace, options: ("checked", drawn, options))
    monkeypatch.setattr(panel, "curves", lambda drawn, trace, **options: ("curves", drawn, options))
    monkeypatch.setattr(panel.figure, "show", lambda drawn, **options: found.append((drawn, options)))
    return found


def test_a_panel_draws_checks_and_shows_the_same_choice(say: Say, cards: list[Any]) -> None:
    trace = TRACES["mamba"]

    class Drawn(NamedTuple):
        look: str
        model: str
        options: tuple[tuple[str, Any], ...]
        each: tuple[tuple[str, str], ...]

    each: tuple[tuple[str, str], ...] = ()

    def draw(shown: Any, *, theme: Any, t: Any, **options: Any) -> Any:
        return Drawn(theme.mode, shown.architecture, tuple(sorted(options.items())), each)

    session.current().pick(2, (trace.tokens[2].start, trace.tokens[2].end))
    for each, token in (((), None), ((("alt", "finding"),) * len(trace.tokens), 2)):
        panel.panel(draw, trace, key="mamba.x", subtitle="beside", layer=3)
        drawn, options = cards.pop()
        chosen = {"layer": 3}
        assert drawn == ("light", "mamba", (("layer", 3),), each), "the chosen token draws no other figure"
        assert options["check"] == ("checked", drawn, chosen) and options["compare"]() == ("curves", drawn, chosen)
        told = say("figure.source", models=say("nav.mamba"), text=trace.prompt)
        assert (options["key"], options["subtitle"], options["source"]) == ("mamba.x", "beside", told)
        assert options["token"] == token
    panel.panel(draw, trace, key="mamba.x", source="a run")
    assert cards.pop()[1]["source"] == "a run"
    panel.sketch(draw, trace, key="mamba.early", layer=4)
    told = say("figure.source", models=say("nav.mamba"), text=trace.prompt)
    assert cards.pop() == (("light", "mamba", (("layer", 4),), each), {"key": "mamba.early", "source": told})


def test_sentences_for_every_token_are_sent_once_each_and_those_of_the_shown_one_are_written() -> None:
    each = (("few fell", "Few."), ("many fell", "Many."), ("few fell", "Few."))
    fig = figure.Figure("decay_curves", VegaSpec({"height": 1}, {}), {}, "few fell", finding="Few.", each=each)
    told = 'data-said="few fell\nFew.\nmany fell\nMany." data-each="0 1,2 3,0 1"'
    assert str(figure._finding(fig, 1)) == f'<p class="cs-finding" {told}>Many.</p>'
    assert str(figure._finding(dataclasses.replace(fig, each=()), None)) == '<p class="cs-finding">Few.</p>'
    assert figure._finding(dataclasses.replace(fig, each=(), finding=""), None) is None


# --- parts --------------------------------------------------------------------------------------------------------
def shown_parts(stage: Stage, sight: str) -> None:
    parts.begin()
    stage.session_state[parts.SIGHT] = sight
    parts.figure("mamba.part.Film", bool, on=("layer",))
    parts.figure("mamba.part.channel", bool, on=("layer", "channel"))
    parts.part("bar", bool, on=("token", "layer"))
    stage.clear()


@pytest.mark.parametrize(
    ("changed", "sight", "now", "late"),
    [
        (("layer",), "", ["mamba.part.Film", "mamba.part.channel", "bar"], []),
        (("layer",), "part-mamba-part--ilm", ["mamba.part.Film", "bar"], ["part-mamba-part-channel"]),
        (("layer",), "elsewhere", ["bar"], ["part-mamba-part--ilm", "part-mamba-part-channel"]),
        (("channel",), "", ["mamba.part.channel"], []),
        (("token", "guess"), "elsewhere", ["bar"], []),
        (("head",), "", [], []),
    ],
)
def test_a_choice_redraws_what_follows_it_in_sight_and_the_rest_when_it_comes_near(
    stage: Stage, changed, sight, now, late
) -> None:
    shown_parts(stage, sight)
    parts.redraw(*changed)
    assert [call.args[0] for call in stage.found("rerun")] == ([now] if now else [])
    assert parts.late() == late
    stage.clear()
    parts.come_near(["part-mamba-part-channel", "unknown"])
    near = ["mamba.part.channel"] if "part-mamba-part-channel" in late else []
    assert [call.args[0] for call in stage.found("rerun")] == ([near] if near else [])


# --- controls: what is read ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("line", "low", "high", "path"),
    [
        ([0.0, 1.0, 2.0], 0.0, 2.0, "M4.0 88.0L170.0 46.0L336.0 4.0"),
        ([2.0, math.nan, 1.0, 0.0], 0.0, 2.0, "M4.0 4.0M225.3 46.0L336.0 88.0"),
        ([3.0], 1.0, 3.0, "M4.0 4.0L336.0 4.0"),
        ([5.0, 5.0], 5.0, 5.0, "M4.0 46.0L336.0 46.0"),
        ([0.0, 0.0], 0.0, 0.0, "M4.0 88.0L336.0 88.0"),
        ([math.nan], math.inf, -math.inf, ""),
    ],
)
def test_a_curve_goes_from_left_to_right_and_up_with_its_numbers(
    line: list[float], low: float, high: float, path: str
) -> None:
    """In a picture 340 wide and 92 high with 4 around: the least is at 88, the most at 4, nothing but zeros below."""
    assert proof._path(np.array(line), low, high, 92) == path
