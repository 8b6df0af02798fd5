"""Rules of prepared comparisons on records whose answer is known."""

import dataclasses

import numpy as np
import pytest

from models.influence import expectations as module
from models.influence.expectations import Sides, comparisons, parse
from models.records.trace import ModelTrace, NamedArray, Token

WORDS = {"en": "so", "ko": "그렇다"}


def trace_of(text: str, bits: list[float], name: str = "rwkv") -> ModelTrace:
    tokens, at = [], 0
    for index, word in enumerate(text.split()):
        start = text.index(word, at)
        tokens.append(Token(index, sum(map(ord, word)), word, start, start + len(word)))
        at = start + len(word)
    nothing = NamedArray(np.zeros((len(tokens), 3), np.float32), ("token", "vocab"))
    surprisal = NamedArray(np.array(bits, np.float32), ("token",))
    return ModelTrace("x", name, text, tuple(tokens), nothing, surprisal, (), 1, 1, {}, "cpu", "float32", 0.1)


def sides(before: dict, after: dict | None = None, **more) -> Sides:
    gradient = more.get("gradient", lambda _: np.ones(4))
    return Sides(before, after or {}, gradient, more.get("carried", {}))


def judged(rule: str, given: Sides, **settings):
    return module.RULES[rule](**settings).judge(given)


def test_a_copy_is_compared_with_the_same_characters_before() -> None:
    text = "alpha beta gamma delta alpha beta gamma delta"
    trace = trace_of(text, [float("nan"), 5, 6, 7, 9, 2, 3, 4])
    seen = judged("copy_cheaper", sides({"rwkv": trace}), architectures=("rwkv",))
    assert seen.outcome == "yes" and seen.values["rwkv"] == pytest.approx(3)
    assert judged("copy_cheaper", sides({"rwkv": trace}), architectures=("rwkv",), at_least=3.5).outcome == "no"
    once = trace_of("alpha beta gamma delta", [float("nan"), 1, 1, 1])
    assert judged("copy_cheaper", sides({"rwkv": once}), architectures=("rwkv",)) is None
    assert judged("copy_cheaper", sides({"rwkv": trace}), architectures=("rwkv", "mamba")) is None


def test_reach_is_the_share_beyond_a_distance() -> None:
    rows = {"a": np.array([6.0, 2, 1, 1]), "b": np.array([1.0, 1, 2, 6])}
    both = {name: trace_of("w x y z", [0, 0, 0, 0], name) for name in rows}
    seen = judged("reaches_farther", sides(both, gradient=rows.get), architecture="a", than=("b",), beyond=2)
    assert seen.outcome == "yes" and seen.values == pytest.approx({"a": 0.8, "b": 0.2})
    other = judged("reaches_farther", sides(both, gradient=rows.get), architecture="b", than=("a",), beyond=2)
    assert other.outcome == "no"
    assert judged("reaches_farther", sides(both, gradient=rows.get), architecture="a", than=("b",), beyond=4) is None


def edited() -> Sides:
    nan = float("nan")
    before = {"a": trace_of("one two three four five )", [nan, 1, 1, 1, 1, 1], "a"),
              "b": trace_of("one two three four five )", [nan, 1, 1, 1, 1, 1], "b")}  # fmt: skip
    after = {"a": trace_of("one 2 three four five )", [nan, 7, 3, 1, 4, 3], "a"),
             "b": trace_of("one 2 three four five )", [nan, 7, 1, 1, 2, 2.5], "b")}  # fmt: skip
    return sides(before, after)


def test_later_changes_are_those_far_behind_the_edit() -> None:
    seen = judged("later_changes_more", edited(), architecture="a", than=("b",), after=2)
    assert seen.outcome == "yes" and seen.values == pytest.approx({"a": (0 + 3 + 2) / 3, "b": (0 + 1 + 1.5) / 3})
    assert judged("later_changes_more", edited(), architecture="a", than=("b",), after=9) is None
    alike = Sides(edited().before, edited().before, np.ones, {})
    assert judged("later_changes_more", alike, architecture="a", than=("b",), after=1) is None


def test_a_change_before_the_edit_is_seen() -> None:
    assert judged("nothing_before", edited(), architectures=("a", "b")).outcome == "yes"
    bits = np.array([0.5, 7, 3, 1, 4, 3], np.float32)
    leaking = dict(edited().after)
    leaking["a"] = dataclasses.replace(leaking["a"], surprisal=NamedArray(bits, ("token",)))
    before = dict(edited().before)
    known = NamedArray(np.array([0, 1, 1, 1, 1, 1], np.float32), ("token",))
    before["a"] = dataclasses.replace(before["a"], surprisal=known)
    seen = judged("nothing_before", Sides(before, leaking, np.ones, {}), architectures=("a", "b"))
    assert seen.outcome == "no" and seen.values["a"] == pytest.approx(0.5)


def test_a_sign_is_dearer() -> None:
    assert judged("sign_dearer", edited(), architectures=("a", "b"), sign=")", at_least=1.5).outcome == "yes"
    assert judged("sign_dearer", edited(), architectures=("a", "b"), sign=")", at_least=1.6).outcome == "no"
    assert judged("sign_dearer", edited(), architectures=("a",), sign="]", at_least=1) is None


def test_bytes_grow_in_an_order() -> None:
    given = sides({}, carried={"a": 1, "b": 3, "c": 2})
    assert judged("bytes_in_order", given, order=("a", "c", "b")).outcome == "yes"
    assert judged("bytes_in_order", given, order=("a", "b", "c")).outcome == "no"
    assert judged("bytes_in_order", given, order=("a", "d")) is None
    assert judged("bytes_in_order", sides({}, carried={"a": 1, "b": 1}), order=("a", "b")).outcome == "no"


def test_the_prepared_comparisons_can_be_read() -> None:
    every = comparisons()
    assert len(every) >= 4 and {one.mode for one in every} == {"four", "texts"}
    for one in every:
        assert one.expects and one.is_of(one.mode, one.text["ko"], one.other.get("ko", ""))
        assert not one.is_of(one.mode, one.text["en"] + "!", one.other.get("en", ""))
        assert one.mode == "four" or one.other["en"] != one.text["en"]


GOOD = {"id": "a", "title": WORDS, "asks": WORDS, "mode": "four", "text": WORDS,
        "expects": [{**WORDS, "rule": "bytes_in_order", "order": ["a", "b"]}]}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"mode": "five"}, "mode"),
        ({"mode": "texts"}, "other"),
        ({"title": {"en": "x"}}, "title"),
        ({"expects": [{**WORDS, "rule": "luck"}]}, "rule"),
        ({"expects": [{"en": "x", "rule": "bytes_in_order", "order": []}]}, "ko"),
        ({"expects": [{**WORDS, "rule": "bytes_in_order", "sort": []}]}, "sort"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_faulty_entry_is_named(change: dict, says: str) -> None:
    assert parse([GOOD])[0].id == "a"
    with pytest.raises(ValueError, match=rf"side_by_side\.yaml, a: .*{says}"):
        parse([{**GOOD, **change}])


def test_two_of_one_id_are_refused() -> None:
    with pytest.raises(ValueError, match="one id"):
        parse([GOOD, GOOD])
