"""Which model reads, what a picker says of it, and what can be done with it now."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest
from shared_stage import OFFER, TEXT, Say, places_of, stage_of
from stage import Stage, bare

from models import registry
from models.errors import PromptError, SettingError, SourceError
from pages.shared import cache, controls, model_picker
from pages.shared.state import session
from pages.shared.words import language, units


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return stage_of(monkeypatch)


# --- controls -----------------------------------------------------------------------------------------------------
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


# --- model_picker -------------------------------------------------------------------------------------------------
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


# --- training_curves ----------------------------------------------------------------------------------------------
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
