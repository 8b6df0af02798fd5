"""The badge under every figure: what the pages hand to the check, and how its verdict looks."""

import dataclasses
import gc
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from models import registry
from models.reconstruction import Check
from models.records.trace import PARTS, ModelTrace, NamedArray
from pages.shared import cache, hood
from pages.shared import proof as badge
from pages.shared.words import i18n
from viz import proof
from viz.look.theme import LIGHT
from viz.look.vega import styled, table
from viz.proof.curves import Curves
from viz.trace.state import hidden_attention

Open = Callable[..., AppTest]
KINDS = ("rebuilds", "recomputed", "from_weights")
# page -> how many figures of a run it shows at least; and which more when they are opened
OPEN = {"overview": 2, "transformer": 4, "mamba": 4, "rwkv": 4, "jamba": 4, "recall": 1}
SHARED = [one for one in hood.ids() if one not in ("head_finder", "attention_rollout")]
OF_MAMBA = ["half_life", "channel_matrix", "content_decay", "state_norm", "state_difference", "survival",
            "memory_rates", "memory_histogram"]  # fmt: skip
HOOD = {"transformer": ["head_finder", "attention_rollout", *SHARED], "mamba": [*OF_MAMBA, *SHARED],
        "rwkv": ["wkv_film", "channel_matrix", *SHARED],
        "jamba": ["expert_load", "expert_balance", "head_matrix", "state_film", "head_finder", *SHARED]}  # fmt: skip
MORE = {"logit_lens": ["token_lens"], "logit_attribution": ["head_attribution"]}  # section -> its further figures


@pytest.fixture(scope="module")
def trace() -> ModelTrace:
    return registry.trace(registry.load("mamba"), "Once upon a time a wolf")


def badges(at: AppTest) -> list[str]:
    """List what stands on the badges of a page."""
    found, waiting = [], [at._tree]
    while waiting:
        node: Any = waiting.pop()
        waiting += getattr(node, "children", {}).values()
        if node.type == "popover" and node.proto.id.endswith(".badge"):
            found.append(node.proto.popover.label)
    return found


def opened_badges(at: AppTest) -> list[str]:
    return [element.proto.body for element in at.get("html") if 'class="cs-proof"' in element.proto.body]


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_badge_says_its_kind_and_whether_it_fails(kind: str, lang: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(badge, "t", i18n.translator(lang))
    good, bad, none = (badge.label(Check(kind, error, 1e-4)) for error in (2.1e-6, 3e-2, float("nan")))  # type: ignore[arg-type]
    assert good.startswith("✓ ") and "2.1e-6" in good
    for red in (bad, none):
        assert red.startswith("✕ ") and "✓" not in red
    assert "3.0e-2" in bad and "nan" not in none.lower()
    others = [badge.label(Check(other, 2.1e-6, 1e-4)) for other in KINDS if other != kind]  # type: ignore[arg-type]
    assert good not in others


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_an_opened_badge_says_in_a_sentence_what_was_checked(lang: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(badge, "t", i18n.translator(lang))
    sentences = []
    for kind in KINDS:
        for error in (2.1e-6, 3e-2, float("nan")):
            told = badge.meaning(Check(kind, error, 1e-4))  # type: ignore[arg-type]
            assert "1.0e-4" in told and "nan" not in told.lower()
            assert ("3.0e-2" in told) == (error == 3e-2) and ("2.1e-6" in told) == (error == 2.1e-6)
            assert told.startswith({"en": "Checked", "ko": "확인됨"}[lang]) == (error < 1e-4)
            sentences.append(told)
    assert len(set(sentences)) == len(sentences)


def test_an_opened_badge_draws_every_pair_of_curves_and_their_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(badge, "t", i18n.translator("en"))
    own, error = np.array([0.0, 1.0, np.nan, 2.0]), np.array([0.0, 0.5, np.nan, 0.25])
    pair = Curves(own, own + 1, error, 400, output=True, along_text=True)
    written = badge.opened(Check("rebuilds", 0.5, 1e-4), (pair, dataclasses.replace(pair, output=False)), LIGHT)
    pictures = [unquote(text) for text in re.findall(r'src="data:image/svg\+xml,([^"]*)"', written)]
    assert [picture.count("<path") for picture in pictures] == [2, 1, 2, 1]
    assert len(written) < 8192
    for picture in pictures:
        root = ET.fromstring(picture)  # written by us
        for path in root:
            assert path.attrib["d"].count("M") == 2, "the number that is none is a gap"
    first, second = (re.findall(r"[\d.]+", path.attrib["d"]) for path in ET.fromstring(pictures[0]))
    assert first[0::2] == second[0::2] and float(first[1]) > float(second[1]), "alike across, the larger one higher"
    assert "400 tokens" in written and "4 in all" in written and "the worst of all comparisons" in written
    nothing = badge.opened(Check("rebuilds", 0.5, 1e-4), (), LIGHT)
    assert "no two curves" in nothing and "<img" not in nothing


@pytest.mark.slow
def test_curves_are_made_and_sent_only_for_a_badge_that_is_open(open_page: Open) -> None:
    at = open_page("transformer")
    assert badges(at) and not opened_badges(at)
    at.session_state["transformer.hero.badge"] = True
    at.run()
    (told,) = opened_badges(at)
    assert not at.exception and told.count("<img") in (2, 4) and len(told) < 32768


def test_a_limit_is_stated_for_every_number_type(trace: ModelTrace) -> None:
    drawn = hidden_attention(trace, theme=LIGHT, t=i18n.translator("en"), layer=2)
    for dtype, limit in (("float32", 1e-4), ("float16", 5e-2), ("bfloat16", 2.5e-1)):
        found = proof.check(drawn, dataclasses.replace(trace, dtype=dtype), layer=2)
        assert found is not None and found.limit == limit


def test_the_same_picture_is_checked_once(trace: ModelTrace, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.checked_pictures().clear()
    calls: list[dict[str, object]] = []
    real = proof.check
    monkeypatch.setattr(proof, "check", lambda *given, **choice: calls.append(choice) or real(*given, **choice))
    draw = lambda layer: hidden_attention(trace, theme=LIGHT, t=i18n.translator("en"), layer=layer)  # noqa: E731
    first = cache.check_of(draw(2), trace, {"layer": 2})
    assert first is not None and first.passed
    assert cache.check_of(draw(2), trace, {"layer": 2}) is first and len(calls) == 1
    other = cache.check_of(draw(2), trace, {"layer": 3})  # the same picture under another choice
    assert other is not None and not other.passed and len(calls) == 2
    third = cache.check_of(draw(3), trace, {"layer": 3})
    assert third is not None and third.passed and len(calls) == 3
    again = dataclasses.replace(trace)  # another run of the same numbers is another run
    assert cache.check_of(draw(2), again, {"layer": 2}) is not first and len(calls) == 4


def test_a_chart_of_many_rows_is_told_from_another() -> None:
    def chart(last: float, color: str = "red") -> bytes:
        ticks = table([{"v": float(n)} for n in range(6000)] + [{"v": last}]).mark_tick().encode(x="v:Q")
        words = table([{"v": 1.0, "text": "half"}]).mark_text(color=color).encode(x="v:Q", text="text:N")
        return styled([ticks, words], LIGHT, height=90).payload()

    others = [chart(1e-13), chart(0.0, "blue"), chart(0.0)]
    assert [chart(0.0) == other for other in others] == [False, False, True]


@pytest.mark.slow
def test_checks_keep_no_trace_alive_and_are_bounded(trace: ModelTrace) -> None:
    import weakref

    known = cache.checked_pictures()
    known.clear()
    other = dataclasses.replace(trace)
    ref = weakref.ref(other)
    figure_ = hidden_attention(other, theme=LIGHT, t=i18n.translator("en"), layer=2)
    for place in range(cache.REMEMBERED_CHECKS + 5):
        cache.check_of(figure_, other, {"layer": 2, "tag": place}) if place < 3 else known.setdefault(
            (place,), ([], None)
        )
    cache.check_of(figure_, other, {"layer": 2, "tag": -1})
    assert len(known) <= cache.REMEMBERED_CHECKS
    del other, figure_
    gc.collect()
    assert ref() is None


@pytest.mark.slow
@pytest.mark.parametrize("page", OPEN)
def test_every_figure_of_a_run_carries_a_green_badge(open_page: Open, page: str) -> None:
    at = open_page(page)
    assert not at.exception
    found = badges(at)
    assert len(found) >= OPEN[page], found
    assert all(words.startswith("✓") for words in found), found


@pytest.mark.slow
@pytest.mark.parametrize("page", HOOD)
def test_every_figure_under_the_hood_carries_a_green_badge(open_page: Open, page: str) -> None:
    at = open_page(page)
    before = len(badges(at))
    for name in HOOD[page]:
        at.session_state[f"{page}.hood.{name}"] = True
    at.run()
    assert not at.exception
    found = badges(at)
    heads = page in ("transformer", "jamba")
    more = [one for name in HOOD[page] for one in MORE.get(name, ()) if heads or one != "head_attribution"]
    assert len(found) == before + len(HOOD[page]) + len(more)
    assert all(words.startswith("✓") for words in found), found


SPOILED = {"transformer": "attention", "mamba": "state", "rwkv": "effective_attention", "jamba": "chosen_weights"}


@pytest.mark.slow
@pytest.mark.parametrize("page", SPOILED)
def test_a_page_of_a_spoiled_record_shows_a_red_badge(
    open_page: Open, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the real page, in its frame: a record that is shifted by one place turns the figures that draw it red."""
    real = cache.trace_for

    def shifted(source: str, prompt: str) -> ModelTrace:
        found = real(source, prompt)
        layers = []
        for layer in found:
            parts: dict[str, Any] = dict(layer.parts)
            if SPOILED[page] in parts:
                values = np.roll(np.array(parts[SPOILED[page]].values), 1, axis=0)
                parts[SPOILED[page]] = NamedArray(values, PARTS[SPOILED[page]])
            layers.append(dataclasses.replace(layer, parts=parts))
        return dataclasses.replace(found, layers=tuple(layers))

    monkeypatch.setattr(cache, "trace_for", shifted)
    at = open_page(page)
    assert not at.exception
    assert any(words.startswith("✕") for words in badges(at))


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_words_under_a_figure_say_how_it_is_checked(lang: str) -> None:
    said = i18n.words(lang)
    meanings = [said[f"figure.check.{kind}"] for kind in KINDS]
    assert len(set(meanings)) == len(KINDS)
    assert re.search("64", meanings[1]) and re.search("64", meanings[2])
    assert "{limit}" in said["figure.check.limit"]
    stream = re.compile(
        "esidual (stream|connection)|잔차 (스트림|연결)"
    )  # terms of the field; an error has another word
    assert not any("esidual" in stream.sub("", text) or "잔차" in stream.sub("", text) for text in said.values())
