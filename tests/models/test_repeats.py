"""Text that repeats: every kind does repeat, all models get the same rows, from the step that the recipe names."""

import json
import re
from collections import Counter
from dataclasses import asdict, replace
from itertools import pairwise

import numpy as np
import pytest

from models.training import card, corpus, loop, recipe, tokenizer
from models.training.repeats import COPIES, GAP, SHORT, SHORT_COPIES, Repeats

WORDS = {
    "en": "wolf king went into the wood said home once upon time there was cat never old river garden little queen",
    "ko": "정말 재미있는 영화 배우들 연기가 좋았다 음악도 좋고 이야기도 감동 최고 마지막 장면 다시 보고 싶은",
}
CONTEXT = 128


@pytest.fixture(scope="module")
def made():
    """Return the tokenizer, the streams and the rows of two texts of random words."""
    rng = np.random.default_rng(1)
    written = {lang: " ".join(rng.choice(words.split(), size=4000)) for lang, words in WORDS.items()}
    texts = tuple(corpus.Text(lang, text, "", "") for lang, text in written.items())
    shared = tokenizer.train([text.train for text in texts], vocab=400)
    streams = {text.language: corpus.encode(shared, text.train, language=text.language) for text in texts}
    return shared, streams, Repeats(shared, texts, streams, context=CONTEXT, seed=3)


def drawn(repeats: Repeats, kind: str, number: int, language: str) -> list[int]:
    return [int(i) for i in getattr(repeats, f"_{kind}")(np.random.default_rng(number), language)]


def test_a_row_is_whole_begins_with_the_start_token_and_is_always_the_same(made) -> None:
    shared, _, repeats = made
    rows = [repeats.row(number) for number in range(30)]
    assert all(row.shape == (CONTEXT + 1,) and row[0] == shared.bos_token_id for row in rows)
    assert all(row.min() >= 0 and row.max() < len(shared) for row in rows)
    for number in (0, 7):
        np.testing.assert_array_equal(rows[number], repeats.row(number))
    assert len({tuple(row) for row in rows}) == 30


@pytest.mark.parametrize("language", WORDS)
@pytest.mark.parametrize("number", range(8))
def test_a_passage_comes_from_the_text_and_comes_again(made, number: int, language: str) -> None:
    _, streams, repeats = made
    found = drawn(repeats, "passage", number, language)
    lengths = [n for n in range(12, len(found) // 2 + 1) if found[:n] == found[-n:]]
    whole = [int(i) for i in streams[language]]
    assert lengths and max(len(found) - 2 * max(lengths), 0) <= GAP
    first = found[: max(lengths)]
    assert any(whole[i : i + len(first)] == first for i in range(len(whole))), "it is text of the corpus"


@pytest.mark.parametrize("kind", ["drawn", "shuffled"])
@pytest.mark.parametrize("number", range(6))
def test_a_list_comes_several_times_in_one_order(made, kind: str, number: int) -> None:
    shared, _, repeats = made
    found = drawn(repeats, kind, number, "en")
    if kind == "drawn":
        periods = [p for p in range(1, len(found)) if len(found) % p == 0 and found == found[:p] * (len(found) // p)]
        assert any(COPIES[0] <= len(found) // p <= COPIES[1] for p in periods)
        assert not set(found) & set(shared.all_special_ids)
    else:
        lines = shared.decode(found).split("\n")
        assert COPIES[0] <= len(lines) <= COPIES[1] and len(set(lines)) == 1 and lines[0]


@pytest.mark.parametrize("language", WORDS)
def test_names_come_again_and_are_invented(made, language: str) -> None:
    shared, _, repeats = made
    for number in range(5):
        text = shared.decode(drawn(repeats, "names", number, language))
        pattern = r"\b[A-Z][a-z]{3,}\b" if language == "en" else r"([가-힣]+)(?: 씨|, )"
        names = Counter(re.findall(pattern, text))
        assert sum(count > 1 for count in names.values()) >= 2, text
    assert drawn(repeats, "names", 0, language) != drawn(repeats, "names", 1, language)


@pytest.mark.parametrize("language", WORDS)
@pytest.mark.parametrize("number", range(6))
def test_brackets_are_closed_from_within(made, number: int, language: str) -> None:
    shared, _, repeats = made
    text = shared.decode(drawn(repeats, "brackets", number, language))
    pairs, stack, opened = {")": "(", "]": "[", "}": "{", ">": "<", "”": "“", "’": "‘", "」": "「"}, [], 0
    for sign in text:
        if sign in pairs:
            assert stack.pop() == pairs[sign], text
        elif sign in "\"'":
            stack.pop() if stack and stack[-1] == sign else stack.append(sign)
        elif sign in pairs.values():
            stack.append(sign)
            opened += 1
    assert stack == [], text


@pytest.mark.parametrize("language", WORDS)
def test_every_pair_comes_again_with_its_value(made, language: str) -> None:
    shared, _, repeats = made
    for number in range(6):
        text = shared.decode(drawn(repeats, "pairs", number, language))
        split = re.split(r"(?<=[.,;]) ", text)
        counts = Counter(part.strip(" .,;") for part in split)
        assert len(counts) >= 3 and len(set(counts.values())) == 1 and counts.total() >= 2 * len(counts), text


def documents(row: np.ndarray, end: int) -> list[list[int]]:
    """Cut a row at its end tokens; what is cut off by the end of the row is left out."""
    at = np.flatnonzero(row == end)
    return [[int(i) for i in row[a + 1 : b]] for a, b in pairwise(at)]


def copies_of(document: list[int]) -> int:
    """Count how often a document repeats the shortest list that it is made of."""
    size = len(document)
    period = next(p for p in range(1, size + 1) if size % p == 0 and document == document[:p] * (size // p))
    return size // period


def test_short_lists_come_first_then_grow_and_then_all_kinds_come(made) -> None:
    shared, streams, _ = made
    texts = tuple(corpus.Text(lang, shared.decode(stream), "", "") for lang, stream in streams.items())
    repeats = Repeats(shared, texts, streams, context=CONTEXT, seed=3, short=100)
    first = [one for n in range(40) for one in documents(repeats.row(n, n), shared.eos_token_id)]
    assert len(first) > 100
    for one in first:
        assert copies_of(one) >= SHORT_COPIES[0], one
        assert min(SHORT) <= len(one) // copies_of(one) <= max(SHORT) or copies_of(one) > SHORT_COPIES[1], one
    later = [one for n in range(150, 190) for one in documents(repeats.row(n, n), shared.eos_token_id)]
    assert max(len(one) // copies_of(one) for one in later if copies_of(one) > 1) > 2 * max(SHORT)
    for n in (200, 1000):
        np.testing.assert_array_equal(repeats.row(n, n), repeats.row(n))
    assert not np.array_equal(repeats.row(5, 5), repeats.row(5))


def test_rows_are_counted_from_the_step_at_which_they_begin(made) -> None:
    shared, streams, _ = made
    texts = tuple(corpus.Text(lang, shared.decode(stream), "", "") for lang, stream in streams.items())
    repeats = Repeats(shared, texts, streams, context=CONTEXT, seed=3, short=40)
    asked = replace(recipe.RECIPES["smoke"], context=CONTEXT, batch=4, repeats=1.0, repeats_from=5, repeats_short=10)
    plain = np.zeros((4, CONTEXT + 1), dtype=np.int32)
    for step, place in ((5, 0), (9, 16), (25, 80)):
        expected = np.stack([repeats.row(4 * step + i, place + i) for i in range(4)])
        np.testing.assert_array_equal(loop.batch_of(plain, step, asked, repeats), expected)


def test_rows_repeat_from_the_step_on_that_the_recipe_names_and_as_often(made) -> None:
    *_, repeats = made
    plain = np.full((10, CONTEXT + 1), 1, dtype=np.int32)
    asked = replace(recipe.RECIPES["smoke"], context=CONTEXT, batch=4, repeats=0.5, repeats_from=5)
    share = [float((loop.batch_of(plain, step, asked, repeats) != 1).any(1).mean()) for step in range(205)]
    assert share[:5] == [0] * 5, "before"
    assert 0.44 < np.mean(share[5:]) < 0.56
    np.testing.assert_array_equal(loop.batch_of(plain, 9, asked, repeats), loop.batch_of(plain, 9, asked, repeats))
    assert (plain == 1).all(), "the rows of the text are left as they are"
    assert (loop.batch_of(plain, 9, replace(asked, repeats=0.0), repeats) == 1).all()


def test_a_finished_model_goes_on_to_text_that_repeats_and_no_other_way() -> None:
    before, after = recipe.RECIPES["family"], recipe.RECIPES["family_repeats"]
    assert after.goes_on_from(before) and not before.goes_on_from(after)
    assert not replace(after, repeats_from=3000).goes_on_from(before), "it would have read such text before"
    assert not after.begins_as(replace(after, repeats=0.3), 4000)
    assert not after.begins_as(replace(after, repeats_short=1), 4000)
    assert after.begins_as(replace(after, repeats=0.3), 3900)


def test_a_run_without_the_rows_that_its_recipe_asks_for_is_refused(tmp_path) -> None:
    asked = replace(recipe.RECIPES["smoke"], repeats=0.5)
    with pytest.raises(ValueError, match="pass repeats"):
        loop.Training("rwkv", asked, np.zeros((4, 33), dtype=np.int32), tmp_path, 320)


def test_a_card_names_the_command_and_the_text_that_repeats() -> None:
    known = json.loads(json.dumps(asdict(recipe.RECIPES["family_repeats"])))
    facts = {"architecture": "rwkv", "recipe": known}
    assert card._command(facts).endswith("--only rwkv --recipe family_repeats")
    assert "from step 3,900 on 50% of the rows are text that repeats" in card._schedule(known)
    older = {name: value for name, value in asdict(recipe.RECIPES["family"]).items() if "repeats" not in name}
    assert card._command(facts | {"recipe": older}).endswith("--recipe family"), "a card written before there was such"
    assert "repeats" not in card._schedule(older)
