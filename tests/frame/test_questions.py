"""The questions of every page: each leads to what answers it and has an answer in both languages."""

import re
from html import unescape

import pytest
from streamlit.testing.v1 import AppTest

from models import registry
from pages.shared import cache, pointing, site
from pages.shared.words import content, i18n, language, units

LEARN = ("transformer", "mamba", "rwkv", "jamba")
NAMED = re.compile(r"\{[a-z]+\}")


def asked(page: str, lang: str, monkeypatch: pytest.MonkeyPatch) -> list[content.Question]:
    monkeypatch.setattr(language, "current", lambda: lang)
    return content.questions(page)


@pytest.mark.parametrize("page", site.KEYS)
def test_every_question_has_a_place_and_an_answer_in_each_language(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = [asked(page, lang, monkeypatch) for lang in i18n.LANGS]
    assert told[0]
    assert len({tuple(one.place for one in questions) for questions in told}) == 1
    facts = [[sorted(NAMED.findall(one.answer)) for one in questions] for questions in told]
    assert facts[0] == facts[1]
    for questions in told:
        assert all(2 <= len(re.findall(r"[.](?= |$)", one.answer)) <= 3 for one in questions)


@pytest.mark.parametrize("page", site.KEYS)
def test_no_answer_writes_a_measured_number(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A number of a model is computed; 0 and 1 are bounds and where counting begins."""
    for lang in i18n.LANGS:
        for one in asked(page, lang, monkeypatch):
            assert set(re.findall(r"[0-9]+", one.answer)) <= {"0", "1"}, one.answer


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- Why?\n  = So.", "'Why?' has no place"),
        ("- Why?\n  → head_matrix", "'Why?' has no answer"),
        ("  = So.", "'= So.' belongs to no question"),
        ("- Why?\n  → a\n  = b\n  = c", "'= c' belongs to no question"),
        ("- Why?\n  and more", "'and more' belongs to no question"),
    ],
)
def test_a_question_that_lacks_something_names_file_and_question(
    text: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "section", lambda *_, **__: text)
    with pytest.raises(content.ContentError, match=re.escape(f"assets/content/en/mamba.md, check: {told}")):
        content.questions("mamba")


def bodies(at: AppTest) -> list[str]:
    return [unescape(element.proto.body) for element in at.get("html")]


def anchors(at: AppTest) -> set[str]:
    """List what an address may point at on a page: cards by their titles, and headers."""
    cards = re.findall(r'class="cs-title" id="([a-z_0-9]+)"', " ".join(bodies(at)))
    return {*cards, *(header.anchor for header in at.header if header.anchor)}


@pytest.mark.slow
@pytest.mark.parametrize("page", [key for key in site.KEYS if key != "benchmark"])
def test_show_me_leads_to_what_answers(open_page, page: str) -> None:
    at = open_page(page)
    for number, question in enumerate(content.questions(page)):
        aim, anchor = pointing.target(page, question.place)
        before = at.session_state["contextscope.pointed"][2] if "contextscope.pointed" in at.session_state else 0
        at.button(f"{page}.show.{number}").click().run()
        assert not at.exception and not at.error
        assert at.session_state["contextscope.pointed"] == (aim, anchor, before + 1)
        if aim == page:
            at.run()  # of the whole page: the click may have redrawn the address alone
        else:
            there, at = open_page(aim), open_page(page)
        assert anchor in anchors(at if aim == page else there)


@pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")
@pytest.mark.parametrize("lang", i18n.LANGS)
def test_the_answers_name_what_the_model_has(open_page, lang: str) -> None:
    """The layers of Jamba by its configuration, the bytes of RWKV by the formula of its cache."""
    (first, *_) = answers(open_page("jamba", browser=lang))
    config = registry.read_config("jamba")
    attends = [n for n in range(config.num_hidden_layers) if n % config.attn_layer_period == config.attn_layer_offset]
    share = len(attends) / config.num_hidden_layers
    for fact in (
        str(len(attends)),
        str(config.num_hidden_layers - len(attends)),
        str(attends[0]),
        f"{100 * share:.1f}%",
    ):
        assert re.search(rf"(?<![0-9.]){re.escape(fact)}(?![0-9.])", first), (fact, first)
    (_, second, *_) = answers(open_page("rwkv", browser=lang))
    assert units.size(cache.cache_bytes("rwkv", 1)) in second


def answers(at: AppTest) -> list[str]:
    return re.findall(r'<details class="cs-answer">.*?<p>(.*?)</p></details>', " ".join(bodies(at)))
