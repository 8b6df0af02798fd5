"""Every sentence, number, option and choice that the modules all pages share decide, from hand-made records."""

import csv
import dataclasses
import io
import zipfile
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from stage import Call, Place, Stage, bare, words_of

from models import registry
from models.counting import accounting
from models.errors import PromptError, SettingError, SourceError
from models.generation import guess
from models.generation.distribution import Sampling
from models.generation.stream import Settings
from models.limits import PROMPT_CHARACTERS, PROMPT_TOKENS
from models.reconstruction import Check
from models.records.trace import NamedArray, Token
from models.sources import downloadable
from models.tracing.fitting import Fit
from pages.shared import (
    attempts,
    cache,
    canvas,
    continuing,
    controls,
    document,
    experts,
    figure,
    figure_menu,
    layout,
    model_picker,
    next_word,
    notices,
    panel,
    pointing,
    prompt,
    proof,
    sampling,
    site,
    token_count,
    training_curves,
    viewport,
)
from pages.shared.state import session
from pages.shared.words import content, language, units
from viz.gallery import samples

Say = Callable[..., str]
BUNDLED = {"transformer": "transformer", "mamba": "mamba", "rwkv": "rwkv", "jamba": "jamba"}
MODULES = (attempts, continuing, controls, layout, model_picker, next_word, pointing, prompt, sampling)
TEXT = "A wolf"


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Draw parts of the Mamba page without Streamlit, on a machine that has the four bundled models."""
    modules = [module for module in (*MODULES, training_curves) if hasattr(module, "st")]
    made = Stage().on(monkeypatch, *modules)
    made.session_state["contextscope.page"] = "mamba"
    monkeypatch.setattr(cache, "architectures", lambda: dict(BUNDLED))
    monkeypatch.setattr(cache, "bundled", lambda: tuple(BUNDLED.values()))
    monkeypatch.setattr(controls.parts, "redraw", lambda *names: made.calls.append(Call("redraw", names, {})))
    return made


def places_of(stage: Stage) -> dict[str, int]:
    found: dict[str, int] = stage.session_state.setdefault("contextscope.places", {}).setdefault("mamba", {})
    return found


# --- attempts ----------------------------------------------------------------------------------------------------
def text_of(*tokens: tuple[int, str]) -> SimpleNamespace:
    made = [Token(n, number, label, n, n + 1, 1, 1) for n, (number, label) in enumerate(tokens)]
    return SimpleNamespace(tokens=made)


@pytest.mark.parametrize(
    ("rule", "tokens", "found"),
    [
        ("last", [(5, "a"), (6, "b"), (7, ".")], 2),
        ("last", [(5, "a")], 0),
        ("repeated", [(5, "a"), (6, "b"), (5, "a"), (6, "b"), (5, "a"), (7, "c")], 4),
        ("repeated", [(5, "a"), (6, "b"), (5, "a"), (6, ","), (6, ",")], 2),
        ("repeated", [(5, "a"), (6, "b"), (7, "a")], None),
        ("repeated", [(6, ","), (6, ",")], None),
        ("stop", [(5, "a"), (6, "b."), (5, "c"), (6, " ! "), (5, "d")], 1),
        ("stop", [(5, "a"), (6, "?"), (5, "c")], 1),
        ("stop", [(5, "a"), (6, "b.c"), (5, ".")], None),
    ],
)
def test_a_rule_finds_its_token(rule: str, tokens: list[tuple[int, str]], found: int | None) -> None:
    """The last; the last with letters that has occurred before; the first that ends a sentence before the text ends."""
    assert attempts.token(text_of(*tokens), rule) == found  # type: ignore[arg-type]


def test_an_attempt_chooses_its_head_in_its_layer_and_its_token_with_its_characters(stage: Stage, monkeypatch) -> None:
    asked: list[Any] = []
    trace = samples.traces()["transformer"]
    monkeypatch.setattr(
        attempts, "clearest_head", lambda *given: asked.append(given) or SimpleNamespace(layer=3, head=1)
    )
    visit = session.current()
    visit.attempt = {"head": "sink", "token": "repeated"}
    attempts.settle(trace)
    assert asked == [(trace, "sink")] and places_of(stage) == {"layer": 3, "head": 1}
    labels = [token.label for token in trace.tokens]
    assert (labels[9], visit.selected) == ("\ub300", 9), "the dot after it is no word"
    assert visit.span == (trace.tokens[9].start, trace.tokens[9].end) and visit.attempt == {}


# --- cache -------------------------------------------------------------------------------------------------------
def test_what_a_model_is_counted_to_have_and_to_carry_are_each_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def carried(shape: str, *, context: int, dtype: str) -> int:
        asked.append((shape, context, dtype))
        return 1000 * context

    for made in (cache._carried, cache._carried_until, cache._parameters):
        made.clear()
    monkeypatch.setattr(cache, "bundled", lambda: ("m",))
    monkeypatch.setattr(registry, "read_config", lambda source: f"config of {source}")
    monkeypatch.setattr(accounting, "shape_of", lambda config: config)
    monkeypatch.setattr(accounting, "params_total", lambda _shape: 700)
    monkeypatch.setattr(accounting, "params_active", lambda _shape: 300)
    monkeypatch.setattr(accounting, "cache_bytes", carried)
    assert (cache.parameters("m"), cache.active_parameters("m")) == (700, 300)
    assert cache.cache_bytes("m", 7) == 7000
    assert cache.cache_bytes_until("m", 4) == (1000, 2000, 3000, 4000)
    assert set(asked) == {("config of m", n, "bfloat16") for n in (1, 2, 3, 4, 7)}
    for made in (cache._carried, cache._carried_until, cache._parameters):
        made.clear()


# --- continuing --------------------------------------------------------------------------------------------------
def step(text: str = "x", *, read: int = 9, prob: float = 0.5, rank: int = 1, ends: bool = False) -> SimpleNamespace:
    return SimpleNamespace(text=text, read=read, prob=prob, rank=rank, ends=ends)


def written(**changes: Any) -> SimpleNamespace:
    known: dict[str, Any] = {
        "names": ("mamba", "rwkv"), "prompt": TEXT, "running": False, "waiting": False, "stopped": False,
        "settings": Settings(tokens=2, greedy=True, sampling=Sampling(1.0, None, 1.0), seed=0), "errors": {},
        "paces": {}, "steps": {"mamba": [step(), step()], "rwkv": [step(), step()]}, "cancelled": [],
    }  # fmt: skip
    run = SimpleNamespace(**(known | changes))
    run.cancel = lambda: run.cancelled.append(1)
    run.text = lambda name: "".join(one.text for one in run.steps[name])
    return run


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("same", [True, False])
def test_a_continuation_belongs_to_its_very_text(stage: Stage, running: bool, same: bool) -> None:
    """One of another text is stopped and forgotten, also when it had ended."""
    run, other = written(running=running), written()
    kept = stage.session_state[continuing._RUNS] = {"mamba": run, "rwkv": other}
    assert continuing._run("mamba", TEXT if same else "Another") is (run if same else None)
    assert kept == ({"mamba": run, "rwkv": other} if same else {"rwkv": other})
    assert run.cancelled == ([] if same else [1]) and other.cancelled == []
    assert continuing._run("jamba", TEXT) is None


@pytest.mark.parametrize(
    ("steps", "errors", "ended"),
    [
        ([step()] * 3, {}, False), ([step()] * 4, {}, True), ([step()] * 5, {}, True), ([], {}, False),
        ([step(), step(ends=True)], {}, True), ([step(ends=True), step()], {}, False),
        ([], {"mamba": SourceError("a", "b")}, True), ([step()], {"rwkv": SourceError("a", "b")}, False),
    ],
)  # fmt: skip
def test_a_model_has_ended_with_all_its_tokens_the_end_of_the_text_or_an_error(steps, errors, ended: bool) -> None:
    run = written(steps={"mamba": steps}, errors=errors, settings=Settings(tokens=4))
    assert continuing._ended(run, "mamba") is ended


LESS = {"mamba": [step(), step()], "rwkv": [step()]}


@pytest.mark.parametrize(
    ("changes", "ahead", "key"),
    [
        ({"running": True, "waiting": True}, 3, "waiting"), ({"running": True, "waiting": True}, 0, "starting"),
        ({"running": True}, 0, "writing"), ({"running": True, "stopped": True}, 0, "writing"), ({}, 0, "done"),
        ({"stopped": True}, 0, "done"), ({"steps": LESS}, 0, "dropped"),
        ({"steps": LESS, "stopped": True}, 0, "stopped"),
    ],
)  # fmt: skip
def test_a_text_says_whether_it_waits_is_written_or_how_it_ended(
    say: Say, stage: Stage, monkeypatch, changes, ahead, key
) -> None:
    monkeypatch.setattr(continuing, "line", lambda: SimpleNamespace(ahead=lambda _run: ahead))
    continuing._status(written(**changes))
    values = {"ahead": ahead} if key == "waiting" else {}
    assert words_of(stage.said("html")[0]) == f"{say(f'next_word.{key}', **values)} · {say('next_word.how.0')}"


@pytest.mark.parametrize(("top_k", "shown"), [(None, "∞"), (20, "20")])
def test_a_drawn_text_says_how_its_tokens_were_drawn(say: Say, stage: Stage, monkeypatch, top_k, shown: str) -> None:
    monkeypatch.setattr(continuing, "line", lambda: SimpleNamespace(ahead=lambda _run: 0))
    continuing._status(written(settings=Settings(tokens=2, greedy=False, sampling=Sampling(0.7, top_k, 0.95), seed=17)))
    how = say("next_word.how.1", temperature="0.7", topk=shown, topp="0.95", seed=17)
    assert words_of(stage.said("html")[0]).endswith(how)


def test_each_model_has_its_tokens_their_probabilities_its_pace_and_what_it_carries(
    say: Say, stage: Stage, monkeypatch
) -> None:
    steps = {
        "mamba": [step(" one", prob=0.1234, rank=1200, read=7), step("", read=8),
                  step(" two", prob=0.5, rank=2, read=9)],
        "rwkv": [step(" three", prob=1.0, read=8, ends=True)], "jamba": [],
    }  # fmt: skip
    paces = {"mamba": SimpleNamespace(tokens_per_s=41.6), "rwkv": SimpleNamespace(tokens_per_s=None)}
    run = written(names=("mamba", "rwkv", "jamba"), steps=steps, paces=paces)
    stage.session_state[continuing._SOURCES] = {"overview": {"mamba": "published", "rwkv": "rwkv", "jamba": "jamba"}}
    monkeypatch.setattr(
        cache, "cache_bytes", lambda source, tokens: 2**10 * tokens * (3 if source == "published" else 1)
    )
    readers = tuple((name, f"Text of {name}") for name in run.names)
    continuing._columns("overview", readers, run)
    mamba, rwkv, jamba = map(words_of, stage.said("html"))
    facts = say("next_word.facts", tokens=3, size="27 KiB")
    assert mamba == f"{say('nav.mamba')} Text of mamba one two {facts} · {say('next_word.pace', rate='42')}"
    facts = say("next_word.facts", tokens=1, size="8 KiB")
    assert rwkv == f"{say('nav.rwkv')} Text of rwkv three {facts} · {say('next_word.ended')}"
    assert jamba == f"{say('nav.jamba')} Text of jamba"
    first, second, third = stage.said("html")
    assert f'title="{say("next_word.piece", share="12.3%", rank="1,200")}"> one<' in first
    assert f'title="{say("next_word.piece", share="50.0%", rank="2")}"> two<' in first
    assert first.count('class="cs-piece"') == 2, "inside a character nothing is written"
    assert "width:100.0%" in first and "width:29.6%" in second and "cs-bar" not in third
    buttons = [(call.args[0], call.options["key"]) for call in stage.found("button")]
    assert buttons == [(say("next_word.show"), f"overview.show.{name}") for name in ("mamba", "rwkv")]
    assert stage.said("caption") == [say("next_word.note")]
    stage.clear()
    continuing._columns("overview", readers, written(names=run.names, steps=steps, running=True))
    assert stage.found("button") == [], "while it is written nothing is shown in the figures"


def test_only_the_end_of_a_long_text_stands_before_what_is_written() -> None:
    run = written()
    for text, shown in (
        ("a" * 30 + " " + "b" * 29, "a" * 30 + " " + "b" * 29),
        ("c" * 40 + " " + "d" * 40, "…" + "d" * 40),
    ):
        drawn = continuing._text(text, run, "mamba", (), 0, 0, named=False)
        assert f'<span class="cs-before">{shown}</span>' in drawn and "<h4>" not in drawn


def test_why_a_text_could_not_begin_or_was_cut_is_said_on_its_page_alone(say: Say, stage: Stage) -> None:
    stage.session_state[continuing._TROUBLE] = {"mamba": SourceError("errors.not_downloaded", "x", source="m")}
    stage.session_state[continuing._CUT] = {"rwkv": True, "mamba": False}
    continuing._troubles("mamba")
    assert [bare(one) for one in stage.said("warning")] == [say("errors.not_downloaded", source="m")]
    assert stage.said("caption") == []
    continuing._troubles("rwkv")
    assert len(stage.said("warning")) == 1
    cut = say("next_word.cut", tokens=PROMPT_TOKENS, characters=f"{PROMPT_CHARACTERS:,}")
    assert stage.said("caption") == [cut]


@pytest.mark.parametrize(("draw", "seeded"), [(0, False), (1, True)])
def test_one_chooses_how_a_text_is_continued(say: Say, stage: Stage, draw: int, seeded: bool) -> None:
    places_of(stage).update(draw=draw, length=48, seed=17)
    continuing._controls("mamba", (("mamba", TEXT),), None)
    assert [call.args[0] for call in stage.found("button")] == [say("next_word.go")]
    chooser, length = stage.keyed("mamba.draw"), stage.keyed("mamba.length")
    assert chooser.args == (say("next_word.draw"), (0, 1)) and length.args == (
        say("next_word.length"),
        (8, 16, 24, 32, 48, 64),
    )
    assert [chooser.options["format_func"](one) for one in (0, 1)] == [say("next_word.draw.0"), say("next_word.draw.1")]
    assert (stage.session_state["mamba.draw"], stage.session_state["mamba.length"]) == (draw, 48)
    assert stage.has("mamba.seed") == seeded, "a seed decides nothing where the likeliest is taken"
    if seeded:
        asked = stage.keyed("mamba.seed")
        assert asked.args == (say("next_word.seed"), 0, 999) and stage.session_state["mamba.seed"] == 17
        stage.session_state["mamba.seed"] = 18
        asked.options["on_change"]()
    stage.session_state.update({"mamba.draw": 1 - draw, "mamba.length": 8})
    chooser.options["on_change"]()
    length.options["on_change"]()
    assert places_of(stage) == {"draw": 1 - draw, "length": 8, "seed": 18 if seeded else 17}
    stage.clear()
    continuing._controls("mamba", (("mamba", TEXT),), written(running=True))
    assert [call.args[0] for call in stage.found("button")] == [say("next_word.stop")]


def test_one_text_of_a_visitor_is_written_at_a_time_by_the_models_that_read(stage: Stage, monkeypatch) -> None:
    noted: list[Any] = []
    other = written(running=True)
    stage.session_state[continuing._RUNS] = {"jamba": other}
    stage.session_state[continuing._CUT] = {"mamba": True}
    monkeypatch.setattr(
        continuing.model_picker, "read", lambda name, text: (SimpleNamespace(checkpoint=f"{name} {text}"), None)
    )
    monkeypatch.setattr(cache, "checkpoint", lambda source: f"loaded {source}")
    monkeypatch.setattr(continuing, "line", lambda: SimpleNamespace(start=lambda *given: given))
    monkeypatch.setattr(continuing.journal, "note", lambda action, *, run: noted.append((action, run)))
    continuing._start("overview", (("mamba", "T1"), ("rwkv", "T2")))
    loaded = {"mamba": "loaded mamba T1", "rwkv": "loaded rwkv T2"}
    assert stage.session_state[continuing._RUNS]["overview"] == (loaded, "T1", continuing._settings())
    assert continuing._sources()["overview"] == {"mamba": "mamba T1", "rwkv": "rwkv T2"}
    assert other.cancelled == [1] and stage.session_state[continuing._CUT] == {}
    assert noted == [("write_start", "overview-2")]
    continuing._stop("jamba")
    assert other.cancelled == [1, 1] and noted[1:] == [("write_stop", "jamba")]


# --- controls ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("pick", "name", "word"),
    [
        (lambda options: controls.layer_picker("mamba", options, default=options[1]), "layer", "controls.layer"),
        (lambda options: controls.channel_picker("mamba", options, default=options[1]), "channel", "controls.channel"),
        (lambda options: controls.head_picker("mamba", len(options), default=1), "head", "controls.head"),
    ],
)
@pytest.mark.parametrize("count", [1, 2, 12, 13])
def test_a_choice_has_its_word_its_options_and_its_default(say: Say, stage: Stage, pick, name, word, count) -> None:
    """Up to twelve are shown at once, more on a slider; of one there is nothing to choose."""
    heads = name == "head"
    options = tuple(range(count)) if heads else tuple(range(3, 3 + 2 * count, 2))
    if count == 1:
        assert controls.layer_picker("mamba", options, default=options[0]) == options[0]
        assert stage.calls == []
        return
    assert pick(options) == options[1]
    chooser = stage.keyed(f"mamba.{name}")
    assert chooser.kind == ("segmented_control" if count <= 12 else "select_slider")
    assert chooser.args == (say(word), options)
    places_of(stage)[name] = options[0]
    assert pick(options) == options[0] == stage.session_state[f"mamba.{name}"]
    assert controls.chosen(name, options, default=options[1]) == options[0]
    stage.session_state[f"mamba.{name}"] = options[-1]
    chooser.options["on_change"]()
    assert places_of(stage)[name] == options[-1] and stage.calls[-1].args == (name,)
    stage.session_state[f"mamba.{name}"] = 999
    chooser.options["on_change"]()
    assert places_of(stage)[name] == options[-1], "what is not offered is not chosen"


def test_the_same_choice_at_two_places_of_a_page_is_one(stage: Stage) -> None:
    for at in ("", "here"):
        controls.layer_picker("mamba", (1, 2, 3), default=2, name="state_layer", at=at)
    assert [call.options["key"] for call in stage.found("segmented_control")] == [
        "mamba.state_layer",
        "mamba.state_layer.here",
    ]
    stage.session_state["mamba.state_layer.here"] = 3
    stage.keyed("mamba.state_layer.here").options["on_change"]()
    assert controls.layer_picker("mamba", (1, 2, 3), default=2, name="state_layer") == 3


def test_a_model_that_cannot_be_had_says_so_while_the_bundled_one_reads(say: Say, stage: Stage, monkeypatch) -> None:
    trouble = SourceError("errors.not_downloaded", "x", source="m")
    found = iter([("trace", trouble), ("trace", None)])
    monkeypatch.setattr(controls.model_picker, "read", lambda *_: next(found))
    for _ in range(2):
        assert controls.traced_by("mamba", TEXT) == "trace"
    said = f"{say('errors.not_downloaded', source='m')} {say('models.kept_bundled')}"
    assert [bare(one) for one in stage.said("warning")] == [said]


# --- document ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("query", "heard", "spoken"),
    [
        (b"lang=ko", "en-US", "ko"), (b"lang=en", "ko-KR", "en"), (b"lang=KO_kr", "en", "ko"),
        (b"", "ko-KR,en;q=0.9", "ko"),
        (b"lang=fr", "ko;q=0.8", "ko"), (b"lang=fr", "fr,ko", "en"), (b"", "", "en"),
    ],
)  # fmt: skip
def test_a_document_is_in_the_language_of_its_address_else_of_the_browser(
    query: bytes, heard: str, spoken: str
) -> None:
    scope = {"type": "http", "query_string": query, "headers": [(b"accept-language", heard.encode())]}
    assert document.language_of(scope) == spoken


@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("/mamba", "mamba"),
        ("/base/rwkv/", "rwkv"),
        ("/", "overview"),
        ("/overview", "overview"),
        ("/mamba/x", "overview"),
    ],
)
def test_a_path_names_its_page_whatever_stands_before_it(path: str, page: str) -> None:
    assert document.page_of(path) == page


# --- experts -----------------------------------------------------------------------------------------------------
def test_the_router_is_first_shown_in_the_layer_that_the_card_calls_most_selective(monkeypatch) -> None:
    routing = [
        {"layer": 1, "lift": 2.0},
        {"layer": 3, "lift": 9.0},
        {"layer": 5, "lift": 4.0},
        {"layer": 8, "lift": 99.0},
    ]
    monkeypatch.setattr(cache, "structure", lambda source: {"routing": routing} if source == "own" else {})
    layers = [1, 3, 5]
    assert experts._most_selective_layer(SimpleNamespace(checkpoint="own"), layers) == 3
    assert experts._most_selective_layer(SimpleNamespace(checkpoint="own"), [1, 5]) == 5
    assert experts._most_selective_layer(SimpleNamespace(checkpoint="other"), [2, 4, 6, 8]) == 6, "the middle one"


# --- figure ------------------------------------------------------------------------------------------------------
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


# --- layout ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("words", "lead", "rest"),
    [
        ("Here we go now then. More.", "Here we go now then.", "More."),
        ("It can. Unrolled, the **scan** is a sum? Yes.", "It can. Unrolled, the scan is a sum?", "Yes."),
        ("Only these few words", "Only these few words", ""),
        ("It is 1.5 of all that there is! So.", "It is 1.5 of all that there is!", "So."),
    ],
)
def test_the_lead_of_words_is_their_first_sentence_of_five_words(words: str, lead: str, rest: str) -> None:
    assert layout.lead_of(words) == (lead, rest)


@pytest.mark.parametrize(("count", "folded"), [(50, False), (51, True)])
def test_many_words_beside_a_figure_are_folded_after_their_lead(
    say: Say, stage: Stage, count: int, folded: bool
) -> None:
    words = "This is the first sentence. " + " ".join(["word"] * (count - 5))
    layout.beside(words)
    rest = words.partition(". ")[2]
    assert stage.said("expander") == ([say("layout.more")] if folded else [])
    lead = "**This is the first sentence.**"
    assert stage.said("markdown") == ([lead, rest] if folded else [f"{lead} {rest}"])


def test_what_is_carried_is_of_the_chosen_models_at_the_length_of_the_text(say: Say, stage: Stage, monkeypatch) -> None:
    monkeypatch.setattr(layout, "_bars", type(layout._bars)(8))
    monkeypatch.setattr(layout.model_picker, "chosen_here", lambda name: f"chosen {name}")
    sizes = {"chosen transformer": 400, "chosen mamba": 100, "chosen rwkv": 50, "chosen jamba": 200}
    monkeypatch.setattr(cache, "cache_bytes", lambda source, tokens: sizes[source] * tokens * 2**10)
    text = SimpleNamespace(architecture="rwkv", tokens=[0] * 3, cache_bytes=5, cache_bytes_formula=5)
    other = SimpleNamespace(architecture="mamba", tokens=[0] * 3, cache_bytes=5, cache_bytes_formula=6)
    note = say("layout.carried_note", tokens="3")
    layout._carried([text])
    assert stage.said("markdown") == [f"{say('layout.carried_here', bytes='150 KiB')} [{say('layout.cost')}](#cost)"]
    layout._carried([text, other])
    (bars,) = stage.said("html")
    names = [(say(f"nav.{name}"), size) for name, size in
             (("transformer", "1.17 MiB"), ("mamba", "300 KiB"),
              ("rwkv", "150 KiB"), ("jamba", "600 KiB"))]  # fmt: skip
    assert words_of(bars) == " ".join(f"{name} {size}" for name, size in names)
    assert [part.partition("%")[0] for part in bars.split("width:")[1:]] == ["100.0", "25.0", "12.5", "50.0"]
    agrees, differs = (say(f"layout.formula_{name}") for name in ("agrees", "differs"))
    assert stage.said("caption") == [f"{note} · {agrees}", f"{note} · {differs}"]


@pytest.mark.parametrize(
    ("tokens", "lengths"), [(7, [7, 1024, 32768]), (1024, [1024, 32768]), (2000, [2000, 32768]), (40000, [40000])]
)
@pytest.mark.parametrize("bundled", [True, False])
def test_the_cost_is_compared_here_and_at_longer_lengths(
    say: Say, stage: Stage, monkeypatch, tokens, lengths, bundled
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(layout, "cache_bars", asked.append)
    chosen = dict(BUNDLED) if bundled else BUNDLED | {"rwkv": "published"}
    monkeypatch.setattr(layout.model_picker, "chosen_here", chosen.__getitem__)
    layout.what_it_costs("mamba", tokens)
    assert asked == lengths
    assert [words_of(one) for one in stage.said("html")] == [
        say("cost.tokens", tokens=f"{length:,}") for length in lengths
    ]
    assert stage.said("caption") == [say("cost.note" if bundled else "models.cost_note")]
    assert stage.said("markdown") == [content.section("mamba", "cost.text")]
    (link,) = stage.found("page_link")
    assert link.args == (site.page("benchmark").script,) and link.options["label"] == say("cost.measure")


def test_further_figures_are_computed_when_their_section_is_open(say: Say, stage: Stage, monkeypatch) -> None:
    """The first section is open, the second is closed; words of a figure's own file come before those of the page."""
    drawn: list[str] = []
    opens = iter([True, False])

    class Section:
        def __enter__(self) -> Any:
            return SimpleNamespace(open=next(opens))

        def __exit__(self, *_: object) -> None:
            return None

    titles: list[tuple[str, str]] = []
    monkeypatch.setattr(layout.unfolding, "section", lambda title, *, key: titles.append((title, key)) or Section())
    layout.under_the_hood(
        "mamba", [("half_life", lambda: drawn.append("a")), ("logit_lens", lambda: drawn.append("b"))]
    )
    lens = content.figure_facts("logit_lens").hood["title"][language.current()]
    assert titles == [
        (content.section("mamba", "hood.half_life.title"), "mamba.hood.half_life"), (lens, "mamba.hood.logit_lens"),
    ]  # fmt: skip
    assert drawn == ["a"]
    assert stage.said("markdown") == [say("layout.hood_text"), content.section("mamba", "hood.half_life.text")]


@pytest.mark.parametrize("page", site.KEYS)
def test_each_question_leads_to_what_answers_it_and_unfolds_its_answer(
    say: Say, stage: Stage, monkeypatch, page
) -> None:
    buttons: list[Any] = []
    monkeypatch.setattr(layout.pointing, "button", lambda *given, key: buttons.append((*given, key)))
    asked = content.questions(page)
    facts = dict.fromkeys(("attention", "state", "at", "share", "carried"), "77")
    layout.check_yourself(page, facts)
    assert stage.said("markdown") == [f"- {one.asked}" for one in asked]
    assert [words_of(one) for one in stage.said("html")] == [
        words_of(f"{say('layout.answer')} {one.answer.format_map(facts)}") for one in asked
    ]
    for number, (one, button) in enumerate(zip(asked, buttons, strict=True)):
        aim, _, key = one.place.partition("#")
        name = content.figure_facts(one.place).name[language.current()] if not key else (
            f"{say(f'nav.{aim}')}: {say('layout.cost') if key == 'cost' else content.section(aim, f'{key}.title')}"
        )  # fmt: skip
        assert button == (page, one.place, say("layout.show_me", name=name), f"{page}.show.{number}")


def test_a_card_leads_to_the_page_it_names(say: Say, stage: Stage) -> None:
    for page in site.KEYS:
        layout.link_to(page)
    assert [(call.args[0], call.options["label"]) for call in stage.found("page_link")] == [
        (site.page(page).script, say("layout.open", name=say(f"nav.{page}"))) for page in site.KEYS
    ]


# --- model_picker ------------------------------------------------------------------------------------------------
OFFER = next(one for one in downloadable.offers() if one.architecture == "mamba")
GPT2 = next(one for one in downloadable.offers() if one.architecture == "transformer")


@pytest.fixture
def picker(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Have nothing downloaded, nothing under way, and a visitor who may open folders."""
    monkeypatch.setattr(model_picker.hub, "downloaded", lambda _source: False)
    monkeypatch.setattr(model_picker.downloads, "progress", lambda _source: None)
    monkeypatch.setattr(model_picker.downloads, "running", lambda: ())
    monkeypatch.setattr(model_picker, "folders_allowed", lambda: True)
    return stage


@pytest.mark.parametrize(
    ("source", "allowed", "here", "chosen", "shown", "name"),
    [
        (None, True, False, "mamba", "mamba", None), (OFFER.id, False, False, OFFER.id, "mamba", OFFER.name),
        (OFFER.id, False, True, OFFER.id, OFFER.id, OFFER.name),
        ("/a/folder", True, False, "/a/folder", "/a/folder", "folder"),
        ("/a/folder", False, False, "mamba", "mamba", None),
    ],
)  # fmt: skip
def test_the_chosen_model_reads_and_counts_where_it_is_here(
    say: Say, picker: Stage, monkeypatch, source, allowed, here, chosen, shown, name
) -> None:
    monkeypatch.setattr(model_picker, "folders_allowed", lambda: allowed)
    monkeypatch.setattr(model_picker.hub, "downloaded", lambda _source: here)
    session.current().choose_model("mamba", source)
    session.current().choose_model("rwkv", "/another")
    assert model_picker.chosen("mamba") == chosen
    assert model_picker.chosen_here("mamba") == shown
    assert model_picker.name_of("mamba") == (name or say("models.bundled"))
    code = session.folder_code("mamba", "/a/folder")
    assert model_picker.code_of("mamba") == (code if chosen == "/a/folder" else chosen)


def test_a_model_that_fails_is_replaced_by_the_bundled_one_with_the_reason(picker: Stage, monkeypatch) -> None:
    trouble = SettingError("errors.memory_short", "x", source="m", need="1", free="2")
    session.current().choose_model("mamba", OFFER.id)

    def traced(source: str, text: str) -> str:
        if source == OFFER.id:
            raise trouble
        return f"{source} read {text}"

    def fitted(source: str, text: str) -> Any:
        if source == OFFER.id:
            raise trouble
        return SimpleNamespace(text=text[:3])

    monkeypatch.setattr(cache, "trace_for", traced)
    monkeypatch.setattr(cache, "fitted", fitted)
    assert model_picker.read("mamba", "abcdef") == ("mamba read abc", trouble)
    assert model_picker.read("rwkv", "abcdef") == ("rwkv read abcdef", None)
    assert model_picker.fitted("mamba", "abcdef").text == "abc"
    trouble = PromptError("errors.empty", "x")
    with pytest.raises(PromptError):
        model_picker.read("mamba", "")


@pytest.mark.parametrize("active", [7_000_000, 9_000_000])
def test_the_bundled_model_says_its_parameters_and_those_a_token_uses_where_they_differ(
    say: Say, picker: Stage, monkeypatch, active
) -> None:
    monkeypatch.setattr(cache, "parameters", lambda source: 9_000_000)
    monkeypatch.setattr(cache, "active_parameters", lambda source: active)
    model_picker._bundled("mamba")
    facts = (say("models.bundled_facts", params="9M") if active == 9_000_000 else
             say("models.bundled_facts_active", params="9M", active="7M"))  # fmt: skip
    params = {count: units.compact(count) for count in (9_000_000, 7_000_000)}
    facts = facts.replace("9M", params[9_000_000]).replace("7M", params[7_000_000])
    assert [bare(one) for one in picker.said("caption")] == [facts, say("models.in_use")]
    picker.clear()
    session.current().choose_model("mamba", OFFER.id)
    picker.pressed = {"mamba.use.None"}
    model_picker._bundled("mamba")
    assert picker.keyed("mamba.use.None").args == (say("models.use"),)
    assert session.current().model("mamba") is None


def offer(**changes: Any) -> Any:
    facts = {"params_total": 300_000_000, "params_active": 300_000_000, "download_bytes": 5 * 10**8,
             "need_bytes": 3 * 2**30,
             "licence": "mit", "tokenizer": "tok", "vocabulary": 50_280,
             "unknown": {"en": None, "ko": None}}  # fmt: skip
    return dataclasses.replace(OFFER, **(facts | changes))


@pytest.mark.parametrize("active", [300_000_000, 100_000_000])
@pytest.mark.parametrize("licence", ["mit", None])
def test_an_offered_model_says_its_facts_its_licence_and_its_page(say: Say, picker: Stage, active, licence) -> None:
    unknown = {"en": "not known", "ko": "모름"} if licence is None else {"en": None, "ko": None}
    made = offer(params_active=active, licence=licence, unknown=unknown)
    model_picker._offered("mamba", made)
    values = {"params": "300M", "download": units.decimal_size(5 * 10**8), "memory": "3 GiB"}
    key, more = ("models.facts", {}) if active == 300_000_000 else ("models.facts_active", {"active": "100M"})
    known = [say(key, **values, **more)]
    told = say("models.licence", licence=licence or say("models.licence_unknown"), tokenizer="tok", vocabulary="50,280")
    known.append(f"{told} · [{say('models.page')}](https://huggingface.co/{made.id})")
    known += [unknown[language.current()]] if licence is None else []
    assert [bare(line) for line in picker.said("caption")[0].split("  \n")] == known
    assert [bare(one) for one in picker.said("markdown")] == [f"**{made.name}**"]


def downloading(state: str, done: int = 0, total: int = 0, error: Any = None) -> SimpleNamespace:
    return SimpleNamespace(state=state, done_bytes=done, total_bytes=total, bytes_per_s=2e6, error=error)


FAILED = SourceError("errors.not_downloaded", "x", source="m")


@pytest.mark.parametrize(
    ("here", "chosen", "progress", "button", "told"),
    [
        (True, True, None, None, "models.in_use"), (True, False, None, "models.use", None),
        (True, False, downloading("done", 9, 9), "models.use", None), (False, False, None, "models.download", None),
        (False, False, downloading("running"), "models.cancel", ("progress", 0.0, ("models.asking", {}))),
        (False, False, downloading("running", 3 * 10**8, 12 * 10**8), "models.cancel",
         ("progress", 0.25, ("models.progress", {"done": 3 * 10**8, "total": 12 * 10**8, "rate": 2e6}))),
        (False, False, downloading("cancelled", 3 * 10**8, 12 * 10**8), "models.go_on",
         ("caption", None, ("models.cancelled", {"done": 3 * 10**8}))),
        (False, False, downloading("cancelled"), "models.download",
         ("caption", None, ("models.cancelled", {"done": 0}))),
        (False, False, downloading("failed", 5, 9, FAILED), "models.go_on",
         ("caption", None, ("errors.not_downloaded", None))),
    ],
)  # fmt: skip
def test_a_model_offers_what_can_be_done_now_and_how_far_its_download_is(
    say: Say, picker: Stage, monkeypatch, here, chosen, progress, button, told
) -> None:
    monkeypatch.setattr(model_picker.hub, "downloaded", lambda _source: here)
    monkeypatch.setattr(model_picker.downloads, "progress", lambda _source: progress)
    if chosen:
        session.current().choose_model("mamba", OFFER.id)
    model_picker._offered("mamba", offer())
    assert [call.args[0] for call in picker.found("button")] == ([say(button)] if button else [])
    captions = [bare(one) for one in picker.said("caption")[1:]]
    if isinstance(told, tuple):
        kind, share, (key, values) = told
        sized = {"source": "m"} if values is None else {name: units.decimal_size(size) for name, size in values.items()}
        words = say(key, **sized)
        if kind == "progress":
            (bar,) = picker.found("progress")
            assert (bar.args, bar.options["text"]) == ((share,), words) and captions == []
        else:
            assert captions == [words] and picker.found("progress") == []
    else:
        assert captions == ([say(told)] if told else [])


def test_a_folder_is_taken_or_refused_where_one_may_open_them(say: Say, picker: Stage, monkeypatch) -> None:
    found: dict[str, Any] = {"/good": "/good/real", "/other": SourceError("errors.other_family", "x", found="rwkv"),
                             "/none": SourceError("errors.no_config", "x", source="secret")}  # fmt: skip

    def checked(path: str, *, architecture: str) -> str:
        assert architecture == "mamba"
        if isinstance(found[path], str):
            return str(found[path])
        raise found[path]

    monkeypatch.setattr(registry, "checked", checked)
    monkeypatch.setattr(cache, "_folders", {})
    model_picker._folder("mamba")
    assert picker.said("caption") == [say("models.folder_text")]
    picker.session_state["mamba.folder"] = "/good"
    picker.keyed("mamba.folder").options["on_change"]()
    assert session.current().model("mamba") == "/good/real" == picker.session_state["mamba.folder"]
    assert cache.typed_folders() == {session.folder_code("mamba", "/good/real"): ("mamba", "/good/real")}
    model_picker._open_folder("mamba", "/other")
    assert model_picker._refusals()["mamba"].values["found"] == say("nav.rwkv")
    model_picker._open_folder("mamba", "/none")
    refused = model_picker._refusals()["mamba"]
    assert (refused.key, refused.values) == ("errors.no_model_folder", {"source": "/none"})
    picker.clear()
    model_picker._folder("mamba")
    assert [bare(one) for one in picker.said("warning")] == [say("errors.no_model_folder", source="/none")]
    model_picker._open_folder("mamba", "  ")
    assert session.current().model("mamba") is None and model_picker._refusals() == {}
    picker.clear()
    monkeypatch.setattr(model_picker, "folders_allowed", lambda: False)
    model_picker._folder("mamba")
    assert picker.said("caption") == [say("models.folders_off")] and picker.found("text_input") == []


# --- next_word ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("known", "kept"),
    [
        (("T", 4, "boat"), True), (("T", 5, "boat"), False), (("U", 4, "boat"), False), (None, False),
        (("T", 4, " "), False),
    ],
)  # fmt: skip
def test_a_guess_counts_for_its_text_and_its_place(say: Say, stage: Stage, monkeypatch, known, kept: bool) -> None:
    stage.session_state[next_word._GUESS] = known
    asked: list[Any] = []
    monkeypatch.setattr(cache, "checkpoint", lambda source: source)
    monkeypatch.setattr(guess, "guessed_token", lambda *given: asked.append(given) or 90 + len(asked))
    traces = [
        SimpleNamespace(
            prompt=text,
            tokens=[SimpleNamespace(label=f"<{name}{n}>") for n in range(9)],
            checkpoint=name,
            logits=SimpleNamespace(values=[f"{name}{n}" for n in range(9)]),
        )
        for name, text in (("a", "T"), ("b", "U"))
    ]
    assert next_word._guess("mamba", traces, (4, 6)) == ((91, 92) if kept else None)  # type: ignore[arg-type]
    assert asked == ([("a", "boat", "a4"), ("b", "boat", "b6")] if kept else []), "each at its own place"
    typed = stage.keyed("mamba.guess")
    assert bare(typed.args[0]) == say("next_word.guess", token="<a4>"), "of the first model"
    stage.session_state["mamba.guess"] = "dog"
    typed.options["on_change"]()
    assert stage.session_state[next_word._GUESS] == ("T", 4, "dog")


def test_the_distribution_is_of_the_chosen_token_else_of_the_last(stage: Stage) -> None:
    trace = text_of((5, "a"), (6, "b"), (7, "c"))
    assert next_word._place(trace) == 2 == panel.selected_or_last(trace)  # type: ignore[arg-type]
    session.current().pick(0)
    assert next_word._place(trace) == 0 == panel.selected_or_last(trace)  # type: ignore[arg-type]
    session.current().pick(7)
    assert next_word._place(trace) == 2 == panel.selected_or_last(trace)  # type: ignore[arg-type]


# --- panel, proof, notices ---------------------------------------------------------------------------------------
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


# --- pointing ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("place", "aim", "anchor"),
    [
        ("head_matrix", "mamba", "head_matrix"),
        ("benchmark#table", "benchmark", "table"),
        ("mamba#cost", "mamba", "cost"),
    ],
)
def test_the_way_to_a_place_is_on_this_page_or_leads_to_another(stage: Stage, monkeypatch, place, aim, anchor) -> None:
    led: list[Any] = []
    monkeypatch.setattr(pointing, "opens", lambda *given: led.append(given) or True)
    stage.pressed = {"key"}
    pointing.button("mamba", place, "words", key="key")
    pointed = stage.session_state["contextscope.pointed"]
    assert pointed == (aim, anchor, 1)
    if aim == "mamba":
        assert led == [("mamba", anchor)] and stage.found("switch_page") == []
    else:
        assert stage.found("switch_page")[0].args == (site.page(aim).script,) and led == []


def test_a_section_that_hides_a_figure_is_opened_once(stage: Stage) -> None:
    assert [pointing.opens("mamba", "half_life") for _ in range(2)] == [True, False]
    assert pointing.opens("rwkv", "logit_lens"), "a figure of every page has its words in its own file"
    assert not pointing.opens("mamba", "state_film"), "nothing hides it"
    assert not pointing.opens("mamba", "cost")
    opened = [key for key, value in stage.session_state.items() if value is True]
    assert opened == ["mamba.hood.half_life", "rwkv.hood.logit_lens"]


# --- prompt, token_count -----------------------------------------------------------------------------------------
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


# --- sampling ----------------------------------------------------------------------------------------------------
def test_a_slider_has_its_name_its_choices_and_the_usual_one(say: Say, stage: Stage) -> None:
    sampling.dials("mamba")
    known = {
        "temperature": (sampling.TEMPERATURES, 100, "1"),
        "topk": (sampling.TOP_K, 0, "∞"),
        "topp": (sampling.TOP_P, 100, "1"),
    }
    for name, (options, usual, shown) in known.items():
        slider = stage.keyed(f"mamba.{name}")
        assert slider.args == (say(f"next_word.{name}"), options)
        assert stage.session_state[f"mamba.{name}"] == usual and slider.options["format_func"](usual) == shown
        stage.session_state[f"mamba.{name}"] = options[1]
        slider.options["on_change"]()
        stage.session_state[f"mamba.{name}"] = -1
        slider.options["on_change"]()
    assert places_of(stage) == {"temperature": 20, "topk": 2, "topp": 10}
    assert sampling.chosen() == Sampling(0.2, 2, 0.1)


# --- canvas, viewport --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("width", "shown"),
    [(320, 254), (640, 574), (641, 376), (767, 464), (780, 446), (1280, 774), (1400, 799), (1600, 930), (3000, 1054)],
)
def test_the_width_of_a_figure_follows_the_style_sheet(width: int, shown: int) -> None:
    """Edges 16, 24 or 40, padding 17 or 25, a column of 0.7 less half the gap; the page is 94 % of a wide window."""
    assert viewport.figure_width(width) == shown


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


# --- training_curves ---------------------------------------------------------------------------------------------
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


@pytest.mark.parametrize(("source", "shown"), [(None, ""), (OFFER.id, ""), ("/a/folder", "/a/folder")])
def test_the_field_of_a_folder_shows_a_folder_and_no_published_model(
    picker: Stage, monkeypatch, source, shown: str
) -> None:
    monkeypatch.setattr(language, "current", lambda: "en")
    session.current().choose_model("mamba", source)
    model_picker._folder("mamba")
    assert picker.session_state["mamba.folder"] == shown
    picker.session_state["mamba.folder"] = "before"
    model_picker._choose("mamba", source)
    assert picker.session_state["mamba.folder"] == shown and session.current().model("mamba") == source
