"""One hostile text as prompt and as the name of a model's folder: nothing of it is interpreted on any page."""

import re
from pathlib import Path

import hostile
import pytest
import torch
from showing import opened
from test_other_models import CONFIGS, KINDS, tokenizer
from transformers import AutoModelForCausalLM

from models import registry
from pages.shared import cache, model_picker, site
from pages.shared.words import i18n

pytestmark = pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")

PAGES = [page for page in site.KEYS if page not in ("encoder-decoder", "recall", "benchmark")]  # that read a text


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A small model of every architecture, in folders with a hostile name."""
    made = {}
    for architecture, kind in KINDS.items():
        place = tmp_path_factory.mktemp(architecture) / hostile.NAME
        torch.manual_seed(11)
        AutoModelForCausalLM.from_config(CONFIGS[kind][1]()).save_pretrained(place)
        tokenizer(start=architecture == "jamba").save_pretrained(place)
        made[architecture] = str(place)
    return made


@pytest.fixture(autouse=True, scope="module")
def nothing_left():
    yield
    cache.recorded_traces().make_room(10**15)


def tokens_with(page: str, sign: str) -> int:
    name = "transformer" if page in site.OF_ALL else page
    return next(n for n, token in enumerate(cache.trace_for(name, hostile.TEXT).tokens) if sign in token.label)


@pytest.mark.slow
@pytest.mark.parametrize("lang", i18n.LANGS)
@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("sign", ["<", "&"])
def test_a_hostile_prompt_is_shown_as_text(page: str, lang: str, sign: str) -> None:
    at = opened(page, lang=lang, text=hostile.TEXT, token=str(tokens_with(page, sign)))
    assert hostile.unescaped(at) == []


@pytest.mark.slow
def test_the_chosen_token_of_a_hostile_prompt_stands_in_a_title() -> None:
    at = opened("jamba", text=hostile.TEXT, token=str(tokens_with("jamba", "<")))
    titles = [element.proto.body for element in at.get("html") if "cs-subtitle" in element.proto.body]
    assert any("&lt;" in title for title in titles)


@pytest.mark.slow
@pytest.mark.parametrize("lang", i18n.LANGS)
@pytest.mark.parametrize("page", PAGES)
def test_a_hostile_folder_is_shown_as_text(models: dict[str, str], page: str, lang: str) -> None:
    at = opened(page, lang=lang, state={"contextscope.models": dict(models)})
    assert hostile.holds(at, "onerror"), "the name of the folder is somewhere"
    assert hostile.unescaped(at) == []


@pytest.mark.slow
@pytest.mark.parametrize("lang", i18n.LANGS)
def test_a_hostile_name_of_an_offered_model_is_shown_as_text(monkeypatch, lang: str) -> None:
    import dataclasses

    offers = model_picker.downloadable.of
    names = dict.fromkeys(("name", "licence", "tokenizer"), hostile.TEXT)
    monkeypatch.setattr(
        model_picker.downloadable, "of",
        lambda name: tuple(dataclasses.replace(one, **names, unknown=dict.fromkeys(i18n.LANGS, hostile.TEXT))
                           for one in offers(name)),
    )  # fmt: skip
    at = opened("mamba", lang=lang)
    assert hostile.holds(at, "onerror")
    assert hostile.unescaped(at) == []


@pytest.mark.slow
@pytest.mark.parametrize("typed", [hostile.TEXT, "/tmp/" + hostile.NAME])
def test_a_folder_that_is_none_is_refused_without_its_marks(typed: str) -> None:
    at = opened("mamba")
    at.text_input(key="mamba.folder").set_value(typed).run()
    assert len(at.warning) == 1
    assert hostile.unescaped(at) == []


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_a_hostile_prompt_that_cannot_be_read_is_refused_without_its_marks(page: str) -> None:
    at = opened(page, text=hostile.TEXT * 30)
    assert at.text_area(key=f"{page}.prompt").value == hostile.TEXT * 30
    assert hostile.unescaped(at) == []


def test_every_form_of_an_unescaped_text_is_found() -> None:
    """The search itself: raw, the text is found out in each way; escaped, in none."""
    from html import escape

    from pages.shared import notices

    assert set(hostile.interpreted(hostile.TEXT)) == set(hostile.MARKDOWN)
    assert hostile.interpreted(notices.plain(hostile.TEXT)) == []
    assert hostile.strange(f"<p>{escape(hostile.TEXT)}</p>") == []
    assert {"<img>", "img src=", "img onerror="} <= set(hostile.strange(f"<p>{hostile.TEXT}</p>"))
    assert hostile.strange('<a href="javascript:alert(1)">x</a>') == ["href 'javascript:alert(1)'"]
    assert hostile.strange("<span> · <</span>") == ["a stray <"]
    assert hostile.strange("<p>a & b</p>") == ["a stray &"]
    assert re.search(hostile.REVERSING, hostile.TEXT)
    assert Path(hostile.NAME).name == hostile.NAME
