"""What a card, its badge and its downloads say, and the text that is read, from hand-made records."""

import csv
import dataclasses
import io
import zipfile
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from shared_stage import BUNDLED, OFFER, Say, stage_of
from stage import Place, Stage, bare, words_of

from models.errors import SourceError
from models.reconstruction import Check
from models.records.trace import NamedArray
from models.sources import downloadable
from models.tracing.fitting import Fit
from pages.shared import (
    cache,
    canvas,
    figure,
    figure_menu,
    notices,
    panel,
    prompt,
    proof,
    token_count,
    training_curves,
    viewport,
)
from pages.shared.state import session
from pages.shared.words import content, language
from viz.gallery import samples


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return stage_of(monkeypatch)


# --- figure -------------------------------------------------------------------------------------------------------
def arrays(*names: str) -> dict[str, NamedArray]:
    return {name: NamedArray(np.arange(6.0).reshape(2, 3) + at, ("query", "key")) for at, name in enumerate(names)}


def rows_of(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode())))


def test_numbers_are_exported_with_the_names_of_their_indices_in_their_order() -> None:
    (array,) = arrays("a").values()
    known = [["query", "key", "value"]] + [[str(i), str(j), f"{3 * i + j}.0"] for i in range(2) for j in range(3)]
    assert rows_of(figure_menu.to_csv({"a": array})) == known
    packed = zipfile.ZipFile(io.BytesIO(figure_menu.to_csv(arrays("a", "../b"))))
    assert packed.namelist() == ["a.csv", ".._b.csv"]
    assert rows_of(packed.read("a.csv")) == known and rows_of(packed.read(".._b.csv"))[1] == ["0", "0", "1.0"]
    unpacked = np.load(io.BytesIO(figure_menu.to_npz(arrays("a", "b"))))
    assert {name: unpacked[name].tolist() for name in unpacked} == {
        "a": [[0, 1, 2], [3, 4, 5]], "b": [[1, 2, 3], [4, 5, 6]],
        "a.dims": ["query", "key"], "b.dims": ["query", "key"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("names", "ending", "mime"), [(("a",), "csv", "text/csv"), (("a", "b"), "zip", "application/zip")]
)
def test_downloads_are_named_by_their_figure_and_kind(stage: Stage, monkeypatch, names, ending, mime) -> None:
    stage.on(monkeypatch, figure_menu)
    figure_menu.files(SimpleNamespace(id="head_matrix", data=arrays(*names)), "mamba.hero")  # type: ignore[arg-type]
    found = {call.options["key"]: (call.args[0], call.options["file_name"], call.options["mime"])
             for call in stage.found("download_button")}  # fmt: skip
    label = "CSV" if len(names) == 1 else "CSV (ZIP)"
    assert found == {
        "mamba.hero.csv": (label, f"head_matrix.{ending}", mime),
        "mamba.hero.npz": ("NPZ", "head_matrix.npz", "application/octet-stream"),
    }


def test_a_definition_says_its_parts_each_under_its_own_name(say: Say) -> None:
    for figure_id in sorted(content.figure_ids()):
        facts, lang = content.figure_facts(figure_id), language.current()
        fig = SimpleNamespace(data=arrays("A`b"))
        check = Check("recomputed", 1e-9, 2.1e-6)
        lines = list(figure._lines(fig, facts, check))  # type: ignore[arg-type]
        known = [f"**{say(f'figure.{name}')}** {getattr(facts, name)[lang]}"
                 for name in ("aggregation", "normalisation", "note") if getattr(facts, name) is not None]  # fmt: skip
        known.append(f"**{say('figure.shape')}** {facts.shape}: `A'b: query 2 × key 3`")
        limit = say("figure.check.limit", limit="2.1e-6")
        known.append(f":gray[{say('figure.check.recomputed')} {limit}]")
        if facts.paper is not None:
            paper = content.table("papers")[facts.paper]
            told = f"[{paper['title']}]({paper['url']}) · {paper['authors']} · {paper['year']}"
            known.append(f"**{say('figure.paper')}** {told}")
        assert lines == known, figure_id


# --- model_picker -------------------------------------------------------------------------------------------------
GPT2 = next(one for one in downloadable.offers() if one.architecture == "transformer")


# --- panel, proof, notices ----------------------------------------------------------------------------------------
def test_a_picture_names_the_models_and_the_beginning_of_the_text_it_was_drawn_from(say: Say, stage: Stage) -> None:
    one, other = (samples.traces()[name] for name in ("mamba", "rwkv"))
    other = dataclasses.replace(other, checkpoint="someone/big-model")
    models = f"{say('nav.mamba')}, {say('nav.rwkv')} (big-model)"
    assert panel._source([one, other]) == say("figure.source", models=models, text=one.prompt)
    long = dataclasses.replace(one, prompt="x" * 201)
    assert panel._source(long) == say("figure.source", models=say("nav.mamba"), text="x" * 200 + "…")
    assert panel._source({"rows": 1}) == ""
    assert (panel._large(one), panel._large([one, other]), panel._large(3)) == (False, True, False)


@pytest.mark.parametrize("kind", ["rebuilds", "recomputed", "from_weights"])
@pytest.mark.parametrize(
    ("error", "passed", "shown"), [(2.1e-7, True, "2.1e-7"), (3.4e-2, False, "3.4e-2"), (float("nan"), False, None)]
)
def test_a_badge_says_what_was_checked_its_error_and_its_limit(
    say: Say, kind: str, error: float, passed: bool, shown
) -> None:
    check = Check(kind, error, 5.6e-5)  # type: ignore[arg-type]
    key, value = f"figure.{kind}" if passed else f"figure.{kind}_not", shown or say("figure.no_number")
    assert proof.label(check) == f"{'✓' if passed else '✕'} {say(key, value=value)}"
    assert proof.meaning(check) == say(f"{key}_means", error=value, limit="5.6e-5")


def test_parts_of_a_link_that_are_not_there_are_told_once_each(say: Say, stage: Stage) -> None:
    notices.answer_link([])
    missed = [("layer", "9"), ("token", "77"), ("layer", "9"), ("model", "a/b"), ("folder", "folder-x")]
    notices.answer_link(missed)
    sentences = [say("notices.link_place", what=say(f"notices.place.{what}"), value=value)
                 for what, value in (("layer", "9"), ("token", "77"))]  # fmt: skip
    sentences += [say("notices.link_model", value="a/b"), say("notices.link_folder", value="folder-x")]
    assert [bare(one) for one in stage.said("info")] == [" ".join(sentences)]


# --- prompt, token_count ------------------------------------------------------------------------------------------
FITS = {
    "transformer": Fit("abcdefg", 40, 48, 3),
    "mamba": Fit("abc", 90, 64, 700),
    "rwkv": Fit("abcdefghij", 10, 32, 0),
}


def test_the_text_is_read_as_far_as_the_model_that_reads_least(say: Say, stage: Stage, monkeypatch) -> None:
    monkeypatch.setattr(prompt.model_picker, "fitted", lambda name, _text: FITS[name] if name in FITS else raising())
    monkeypatch.setattr(prompt.model_picker, "code_of", lambda name: f"code-{name}")

    def raising() -> None:
        raise SourceError("errors.not_downloaded", "x", source="m")

    def box() -> Any:
        stage.clear()
        return prompt.PromptBox("a text", Place(), Place())  # type: ignore[arg-type]

    assert prompt.fitted("mamba", box(), ["transformer", "mamba", "jamba", "rwkv"]) == "abc"
    count = stage.said("html")[0]
    assert words_of(count) == say("controls.count", count="90", limit=64)
    assert "cs-over" in count and 'data-models="code-transformer code-mamba code-jamba code-rwkv"' in count
    assert [bare(one) for one in stage.said("caption")] == [say("controls.cut", tokens=64, tail="abc", left="700")]
    assert prompt.fitted("mamba", box(), ["rwkv"]) == "abcdefghij"
    assert words_of(stage.said("html")[0]) == say("controls.count", count="10", limit=32)
    assert "cs-over" not in stage.said("html")[0] and stage.said("caption") == []
    with pytest.raises(SourceError):
        prompt.fitted("mamba", box(), ["jamba", "rwkv"])


def test_the_examples_of_a_page_set_their_text_and_say_what_to_look_for(stage: Stage, monkeypatch) -> None:
    monkeypatch.setattr(language, "current", lambda: "ko")
    every = content.examples("mamba")
    prompt._examples("mamba", every[1].text["en"])
    buttons = stage.found("button")
    assert [
        (call.args[0], call.options["key"], bare(call.options["help"]), call.options["args"]) for call in buttons
    ] == [(one.label["ko"], f"mamba.example.{one.id}", one.watch["ko"], (one.text["ko"],)) for one in every]
    assert [call.options["type"] for call in buttons] == ["secondary", "primary"] + ["secondary"] * (len(every) - 2)
    stage.pressed = {buttons[2].options["key"]}
    prompt._examples("mamba", "")
    assert session.current().prompt == every[2].text["ko"]


def test_the_count_while_one_types_is_of_the_model_that_reads_least(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(cache, "fitted_here", lambda name, text: asked.append((name, text)) or FITS.get(name))
    names = ["transformer", "mamba", "gone", "rwkv", "mamba"]
    for order in (names, names[::-1]):
        assert token_count._counted("abc", order) == (90, 64)
    assert asked[:4] == [(name, "abc") for name in names[:4]], "each once"
    assert token_count._counted("abc", ["rwkv"]) == (10, 32)
    assert token_count._counted("abc", ["gone"]) is None


# --- canvas, viewport ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("width", "shown"),
    [(320, 254), (640, 574), (641, 376), (767, 464), (780, 446), (1280, 774), (1400, 799), (1600, 930), (3000, 1054)],
)
def test_the_width_of_a_figure_follows_the_style_sheet(width: int, shown: int) -> None:
    """Edges 16, 24 or 40, padding 17 or 25, a column of 0.7 less half the gap; the page is 94 % of a wide window."""
    assert viewport.figure_width(width) == shown


@pytest.mark.parametrize(
    ("width", "whole", "half"), [(390, 324, 324), (640, 574, 574), (780, 682, 308), (1280, 1150, 542)]
)
def test_a_picture_of_a_whole_and_of_half_a_row_follow_the_style_sheet(width: int, whole: int, half: int) -> None:
    assert viewport.row_width(width) == whole
    beside = viewport.figure_width(width)
    with viewport.halved():
        assert viewport.figure_width(width) == half
    assert viewport.figure_width(width) == beside


@pytest.mark.parametrize(
    ("told", "known"), [("390", 390), ("", 1280), ("x", 1280), ("99999", 8192), ("1", 240), ("٣٩٠", 1280)]
)
def test_the_width_of_a_window_is_told_by_a_cookie(stage: Stage, monkeypatch, told: str, known: int) -> None:
    stage.on(monkeypatch, viewport)
    stage.context.cookies["contextscope_width"] = told
    assert viewport.window() == known


@pytest.mark.parametrize(("width", "height"), [(640, 1598), (641, 1168), (940, 1168), (941, 560)])
def test_the_height_of_the_first_picture_follows_its_style_sheet(monkeypatch, width: int, height: int) -> None:
    monkeypatch.setattr(viewport, "window", lambda: width)
    assert viewport.hero_height() == height


def test_a_click_is_of_the_row_the_column_the_tile_and_the_token_it_says() -> None:
    spec = SimpleNamespace(extent=lambda: (4, 6, 9), strip=SimpleNamespace(tokens=range(5)))
    picked = {"row": 3, "column": 5, "tile": 8, "token": 2}
    assert canvas._selection(picked, spec) == canvas.Selection(3, 5, 8, 2)  # type: ignore[arg-type]
    beyond = {"row": 5, "column": 6, "tile": 9, "token": 4}
    assert canvas._selection(beyond, spec) == canvas.Selection(None, None, None, 4)  # type: ignore[arg-type]
    assert canvas._selection({"row": True, "tile": -1, "token": 1.5}, spec) is None  # type: ignore[arg-type]


# --- training_curves ----------------------------------------------------------------------------------------------
def test_the_training_of_the_models_is_told_once_and_compared_where_every_card_is_judged(
    say: Say, stage: Stage, monkeypatch
) -> None:
    recipe = {"steps": 10, "batch": 2, "context": 4}
    judged = {lang: {"bits_per_byte": at, "unigram_bits_per_byte": 4.0} for lang, at in (("en", 1.0), ("ko", 2.0))}
    cards = {name: {"recipe": recipe, "tokens_seen": 80, "validation": judged} for name in ("mamba", "rwkv")}
    known = {"mamba": ([(1.0, 9.0)], {"en": 1.11, "ko": 2.22}), "rwkv": ([(2.0, 8.0)], {"ko": 4.44, "en": 3.33})}
    drawn: list[Any] = []
    monkeypatch.setattr(cache, "training", lambda: known)
    monkeypatch.setattr(cache, "training_cards", lambda: cards)
    monkeypatch.setattr(training_curves, "panel", lambda draw, logs, *, key: drawn.append((logs, key)))
    training_curves.training_section("overview")
    assert drawn == [({"mamba": [(1.0, 9.0)], "rwkv": [(2.0, 8.0)]}, "overview.training")]
    budget = say("training.read", tokens="80", steps="10", rows=2, context=4)
    spread = say("training.spread", en="1.00", share_en="25%", ko="1.00", share_ko="50%")
    assert stage.said("markdown") == [budget, spread]
    names = [say("nav.mamba"), "1.11", "2.22", say("nav.rwkv"), "3.33", "4.44"]
    heads = [say(f"training.{name}") for name in ("bits", "bits_en", "bits_ko")]
    assert words_of(stage.said("html")[0]) == " ".join([*heads, *names])
    del cards["rwkv"]["validation"]
    stage.clear()
    training_curves.training_section("overview")
    assert stage.said("markdown") == [budget]


def test_the_models_of_the_overview_stand_in_its_address(stage: Stage) -> None:
    """Going back on the overview forgets the models of all architectures, on a page of one its own alone."""
    visit = session.current()
    for page, kept in (("overview", {}), ("mamba", {"transformer": GPT2.id})):
        stage.session_state["contextscope.page"] = page
        visit.choose_model("mamba", OFFER.id)
        visit.choose_model("transformer", GPT2.id)
        named = {OFFER.id, GPT2.id} if page == "overview" else {OFFER.id}
        assert set(visit.query()["model"].split(",")) == named
        visit.forget()
        assert {name: source for name in BUNDLED if (source := visit.model(name))} == kept
