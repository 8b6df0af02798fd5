"""What a page invites to try: every button sets what its line says and leads to a figure of the page."""

import re
from html import unescape
from types import SimpleNamespace

import pytest

from models.records.trace import ModelTrace
from pages.shared import attempts, cache, site
from pages.shared.words import content, i18n
from pages.shared.words.content import ContentError

LEARN = ("overview", "transformer", "mamba", "rwkv", "jamba")


def keys(page: str) -> list[str]:
    found = [key.removesuffix(".try") for key in content.sections("en", page) if key.endswith(".try")]
    return [key for key in found if (attempt := content.attempt(page, key)) and attempt.sets]


def test_the_pages_have_buttons() -> None:
    assert {page: len(keys(page)) for page in LEARN} == {
        "overview": 1, "transformer": 4, "mamba": 4, "rwkv": 3, "jamba": 5,
    }  # fmt: skip


@pytest.mark.parametrize("page", site.KEYS)
def test_both_languages_set_the_same(page: str) -> None:
    own = [re.findall(r"^= .*$", "\n".join(content.sections(lang, page).get(key, "") for key in
                                            content.sections("en", page) if key.endswith(".try")), re.MULTILINE)
           for lang in i18n.LANGS]  # fmt: skip
    assert own[0] == own[1]


@pytest.mark.parametrize("line", ["= token=last", "= → head_matrix", "= token last → head_matrix", "=token=last → a"])
def test_a_line_of_another_form_is_named(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "section", lambda *_, **__: f"Look.\n{line}")
    with pytest.raises(ContentError, match=r"assets/content/en/mamba\.md, hero\.try"):
        content.attempt("mamba", "hero")


def read(page: str, prompt: str) -> ModelTrace:
    name = "transformer" if page == "overview" else page
    return cache.trace_for(cache.architectures()[name], prompt)


@pytest.mark.slow
@pytest.mark.parametrize("lang", i18n.LANGS)
@pytest.mark.parametrize("page", LEARN)
def test_a_button_sets_what_its_line_says(open_page, page: str, lang: str) -> None:
    for key in keys(page):
        at = open_page(page, browser=lang)
        at.button(f"{page}.try.{key}").click().run()
        assert not at.exception and not at.error
        attempt = content.attempt(page, key)
        assert attempt is not None
        assert at.session_state["contextscope.pointed"][:2] == (page, attempt.place)
        assert f'id="{attempt.place}"' in " ".join(unescape(one.proto.body) for one in at.get("html"))
        prompt = content.first_example(lang)
        if "example" in attempt.sets:
            (prompt,) = [one.text[lang] for one in content.examples(page) if one.id == attempt.sets["example"]]
        assert at.text_area(f"{page}.prompt").value == prompt
        trace = read(page, prompt)
        labels = [token.label for token in trace.tokens]
        if rule := attempt.sets.get("token"):
            chosen = at.session_state["contextscope.token"]
            if rule == "last":
                assert chosen == len(labels) - 1
            elif rule == "repeated":
                assert labels[chosen] in labels[:chosen]
            else:
                assert labels[chosen].strip()[-1] in ".!?" and chosen < len(labels) - 1
        if rule := attempt.sets.get("head"):
            chosen = at.session_state["contextscope.places"][page]
            maps = {layer.index: layer.part("attention") for layer in trace.layers_with("attention")}
            column = {index: [m[1:, 0].mean() if rule == "sink" else m.diagonal(-1).mean() for m in layer]
                      for index, layer in maps.items()}  # fmt: skip
            assert column[chosen["layer"]][chosen["head"]] == pytest.approx(max(max(row) for row in column.values()))


def test_a_head_is_asked_for_in_vain_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The visitor went from the Transformer to Mamba before the text was read."""
    visit = SimpleNamespace(attempt={"head": "sink"}, select=pytest.fail)
    monkeypatch.setattr(attempts.session, "current", lambda: visit)
    attempts.settle(read("mamba", "one two three"))
    assert visit.attempt == {}


def test_a_rule_that_finds_nothing_sets_nothing() -> None:
    trace = read("transformer", "one two")
    assert attempts.token(trace, "repeated") is None
    assert attempts.token(trace, "stop") is None
    with pytest.raises(KeyError):
        attempts.token(trace, "first")


def test_the_example_of_copying_says_what_the_card_says() -> None:
    (example,) = [one for one in content.examples("transformer") if one.id == "passage_twice"]
    assert "none" in example.watch["en"] and "없습니다" in example.watch["ko"]
    (finding,) = [one for one in cache.structure("transformer")["findings"] if one["id"] == "induction"]
    assert not finding["holds"]
