"""I11: what a link says is understood, or the page shows its own choice and says so, once."""

import pytest
from opening import unopened
from streamlit.testing.v1 import AppTest

from pages.shared import cache
from pages.shared.state import session
from pages.shared.words import i18n, language

TEXT = "The wolf and the fox"


def opened(query: dict[str, str], *, browser: str = "en-US", page: str = "mamba") -> AppTest:
    """Open a page directly at an address, as a link does."""
    at = unopened(page)
    at.context = {"locale": browser}
    for name, value in query.items():
        at.query_params[name] = value
    return at.run()


def notes(at: AppTest) -> list[str]:
    assert [error.value for error in at.exception] == [] and [error.value for error in at.error] == []
    return [info.value.replace("\\", "") for info in at.info]


def layer_of(at: AppTest) -> int:
    """Return the layer that the pickers of the page show."""
    (layer,) = {int(group.value) for group in at.segmented_control if str(group.key).startswith("mamba.layer")}
    return layer


@pytest.fixture(scope="module")
def default() -> AppTest:
    return opened({"text": TEXT})


@pytest.mark.parametrize(
    ("asked", "browser", "spoken"),
    [
        ("ko", "en-US", "ko"), ("KO", "en-US", "ko"), ("ko-KR", "en-US", "ko"), ("ko_KR", "en-US", "ko"),
        ("Ko-kr", "en-US", "ko"), (" ko ", "en-US", "ko"), ("EN", "ko-KR", "en"), ("en-GB", "ko-KR", "en"),
        ("", "ko-KR", "ko"), ("fr", "ko-KR", "ko"), ("kok", "en-US", "en"), ("-", "ko-KR", "ko"), ("", "kok-IN", "en"),
    ],
)  # fmt: skip
def test_i11_a_language_is_understood_in_any_case_and_with_any_region(asked: str, browser: str, spoken: str) -> None:
    assert (language.understood(asked) or language.understood(browser) or "en") == spoken
    if len(asked) == 5 or asked == "KO":
        at = opened({"lang": asked}, browser=browser)
        assert at.session_state["contextscope.lang"] == spoken
        assert at.text_area[0].placeholder == i18n.say(spoken, "controls.prompt_placeholder")


@pytest.mark.slow
def test_i11_a_link_to_what_is_there_is_followed_without_a_word(default: AppTest) -> None:
    at = opened({"text": TEXT, "layer": "1", "token": "2"})
    assert layer_of(at) == 1 and at.session_state["contextscope.token"] == 2
    assert notes(at) == notes(default) == []


@pytest.mark.parametrize("value", ["99", "-1", "abc", "1.5", "", "100000000", "<b>", "٣"])
def test_i11_an_unknown_layer_gives_the_default_and_a_note(default: AppTest, value: str) -> None:
    at = opened({"text": TEXT, "layer": value})
    assert layer_of(at) == layer_of(default)
    assert notes(at) == [f"The link asks for layer {value}, which is not there. The page shows its own choice."]
    assert "layer" not in session_query(at)
    assert notes(at.run()) == [], "it is said once"


@pytest.mark.slow
@pytest.mark.parametrize("value", ["99", "-1", "x"])
def test_i11_an_unknown_token_gives_the_default_and_a_note(value: str) -> None:
    at = opened({"text": TEXT, "token": value})
    (note,) = notes(at)
    assert note.startswith(f"The link asks for token {value},")
    assert at.session_state["contextscope.token"] is None if "contextscope.token" in at.session_state else True


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["state-spaces/mamba-130m-hf", "mamba-130m", "https://huggingface.co/state-spaces/mamba-130m-hf/tree/main"]
)
def test_i11_a_link_takes_each_name_of_an_offered_model(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    at = opened({"text": TEXT, "model": name})
    assert at.session_state["contextscope.models"] == {"mamba": "state-spaces/mamba-130m-hf"}
    assert notes(at) == []


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("nobody/unknown", "the model nobody/unknown, which is not offered"),
        ("folder-0123456789abcdef", "typed on another server"),
        ("/etc", "the model /etc, which is not offered"),
        ("x" * 5000, f"the model {'x' * 80}, which"),
        ("**bold**<b>", "the model **bold**<b>, which"),
    ],
)
def test_i11_an_unknown_model_gives_the_bundled_one_and_a_note(value: str, said: str) -> None:
    at = opened({"text": TEXT, "model": value})
    (note,) = notes(at)
    assert said in note
    assert at.session_state["contextscope.models"] == {}


@pytest.mark.slow
def test_i11_several_misses_are_one_note_in_the_language_of_the_link() -> None:
    at = opened({"lang": "ko-KR", "text": TEXT, "layer": "99", "token": "77", "model": "a/b"})
    (note,) = notes(at)
    for said in ("층 99", "토큰 77", "모델 a/b"):
        assert said in note


def test_i11_a_layer_that_another_model_lacks_is_no_matter_of_the_link(default: AppTest) -> None:
    """Only a link is answered: who changes the model and had chosen a deeper layer gets the default silently."""
    at = opened({"text": TEXT})
    at.session_state["contextscope.places"]["mamba"]["layer"] = 99
    at.run()
    assert layer_of(at) == layer_of(default)
    assert notes(at) == []


@pytest.mark.parametrize("lang", i18n.LANGS)
def test_every_place_of_an_address_has_a_name(lang: str) -> None:
    kinds = session._SELECTABLE.pattern.rpartition("(?:")[2].rstrip(")").split("|")
    assert len(kinds) > 5
    for kind in [*kinds, "token"]:
        assert i18n.has(lang, f"notices.place.{kind}")


def session_query(at: AppTest) -> set[str]:
    return set(at.session_state["contextscope.places"].get("mamba", {}))


@pytest.fixture(autouse=True)
def no_folders() -> None:
    cache.typed_folders().clear()
