"""Tokens of different tokenizers laid beside each other: known answers, and real tokenizers of three kinds."""

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from models.alignment import align, align_all, covering, matching, runs, same_tokens
from models.records.trace import Alignment, Token
from models.tracing.tokens import encode

TEXTS = {
    "english": "The wolf saw the moon, and the wolf ran home.",
    "korean": "늑대가 달을 보고 집으로 달려갔다. 꿹!",
    "emoji": "wolf 🐺👨‍👩‍👧 ok 👍🏽",
    "mixed": "  two  spaces\tand 늑대 lines\nend",
    "rare": "꿹𠜎﷽",
}
CORPUS = [*TEXTS.values(), "the quick brown fox jumps over the lazy dog", "늑대와 여우가 숲에서 만났다"] * 3


def byte_level(vocabulary: int, *, trim: bool = False, start: bool = False) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=vocabulary, initial_alphabet=alphabet,
                                  special_tokens=["<|start|>"], show_progress=False))  # fmt: skip
    steps: list[object] = [processors.ByteLevel(trim_offsets=trim)]
    if start:
        steps.append(processors.TemplateProcessing(single="<|start|> $A <|start|>", special_tokens=[("<|start|>", 0)]))
    tokenizer.post_processor = processors.Sequence(steps)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def unigram() -> PreTrainedTokenizerFast:
    """Build a tokenizer in the manner of SentencePiece: no pieces of characters, an unknown token, spaces marked."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.train_from_iterator(CORPUS, trainers.UnigramTrainer(vocab_size=160, special_tokens=["<unk>", "<s>"],
                                  unk_token="<unk>", show_progress=False))  # fmt: skip
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>")


@pytest.fixture(scope="module")
def tokenizers() -> dict[str, PreTrainedTokenizerFast]:
    """Build tokenizers that differ in vocabulary, kind, start token and in whether a space belongs to its word."""
    return {
        "bytes": byte_level(280),
        "merged": byte_level(420),
        "trimmed": byte_level(420, trim=True, start=True),
        "unigram": unigram(),
    }


def cuts(tokenizers: dict[str, PreTrainedTokenizerFast], text: str) -> list[tuple[Token, ...]]:
    return [encode(tokenizer, text, source=name).tokens for name, tokenizer in tokenizers.items()]


def spans(text: tuple[Token, ...]) -> list[tuple[int, int]]:
    return [(token.start, token.end) for token in text]


def overlaps(a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Say by the characters themselves whether two spans share one."""
    return bool(set(range(*a)) & set(range(*b))) or (a == b and a[0] == a[1])


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([(0, 4), (4, 8)], [(0, 4), (4, 8)], ((0,), (1,))),
        ([(0, 8)], [(0, 4), (4, 8)], ((0, 1),)),
        ([(0, 2), (2, 6), (6, 8)], [(0, 4), (4, 8)], ((0,), (0, 1), (1,))),
        ([(0, 3), (4, 8)], [(0, 3), (3, 8)], ((0,), (1,))),  # the space before a word: left out, or part of it
        ([(0, 3), (3, 4), (4, 8)], [(0, 3), (4, 8)], ((0,), (1,), (1,))),  # ... or a token of its own
        ([(0, 1), (0, 1), (0, 1), (1, 2)], [(0, 1), (1, 2)], ((0,), (0,), (0,), (1,))),  # one character in three pieces
        ([(0, 1), (1, 2)], [(0, 1), (0, 1), (0, 1), (1, 2)], ((0, 1, 2), (3,))),
        ([(0, 1), (0, 1)], [(0, 1), (0, 1), (0, 1)], ((0, 1, 2), (0, 1, 2))),
        ([(0, 0), (0, 2)], [(0, 2)], ((), (0,))),  # a start token meets nothing
        ([(0, 0), (0, 2)], [(0, 0), (0, 2)], ((0,), (1,))),  # unless there is another
        ([(0, 0), (0, 2), (0, 0)], [(0, 2), (0, 0)], ((), (0,), (1,))),  # an end token, written as 0, 0
        ([], [(0, 2)], ()),
        ([(0, 2)], [], ((),)),
    ],
)
def test_known_alignments(a: list[tuple[int, int]], b: list[tuple[int, int]], expected: object) -> None:
    assert align(a, b) == expected


def test_gaps_go_to_the_next_token() -> None:
    assert covering([(1, 4), (5, 8), (8, 8), (9, 12), (9, 12)]) == [(0, 4), (4, 8), (8, 8), (8, 12), (8, 12)]


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_real_tokenizers_meet_where_they_share_a_character(
    tokenizers: dict[str, PreTrainedTokenizerFast], text: str
) -> None:
    every = cuts(tokenizers, text)
    for a in every:
        for b in every:
            closed_a, closed_b = covering(spans(a)), covering(spans(b))
            for i, met in enumerate(align(spans(a), spans(b))):
                assert set(met) == {j for j, span in enumerate(closed_b) if overlaps(closed_a[i], span)}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_a_common_axis_holds_every_token_once_and_in_order(
    tokenizers: dict[str, PreTrainedTokenizerFast], text: str
) -> None:
    every = cuts(tokenizers, text)
    axis = align_all(text, every)
    starts = [segment.start for segment in axis.segments]
    assert starts == sorted(starts)
    assert len({len(own) for own in axis.owners} | {len(axis.segments)}) == 1
    for tokens, own in zip(every, axis.owners, strict=True):
        found = runs(own)
        assert [token for token, _, _ in found] == list(range(len(tokens)))  # each token one block, in order
        closed = covering(spans(tokens))
        for token, first, after in found:
            assert all(overlaps(closed[token], places(axis)[place]) for place in range(first, after))


def test_the_axis_of_two_known_texts() -> None:
    first = tokens_of([(0, 0), (0, 4), (4, 6)])
    second = tokens_of([(0, 2), (2, 4), (4, 5), (5, 6)])
    axis = align_all("abcdef", [first, second])
    assert places(axis) == ((0, 0), (0, 2), (2, 4), (4, 5), (5, 6))
    assert axis.owners == ((0, 1, 1, 2, 2), (-1, 0, 1, 2, 3))
    assert [segment.label for segment in axis.segments] == ["x", "ab", "cd", "e", "f"]
    assert [segment.index for segment in axis.segments] == [0, 1, 1, 2, 2]


def test_pieces_of_a_character_share_its_place() -> None:
    pieces = tokens_of([(0, 1), (1, 2), (1, 2), (1, 2), (2, 3)])
    other = tokens_of([(0, 2), (2, 3)])
    axis = align_all("abc", [pieces, other])
    assert places(axis) == ((0, 1), (1, 2), (1, 2), (1, 2), (2, 3))
    assert axis.owners == ((0, 1, 2, 3, 4), (0, 0, 0, 0, 1))
    spaced = tokens_of([(0, 1), (1, 3), (1, 3)])  # a space and the first bytes of a syllable in one token
    axis = align_all("a b", [spaced, tokens_of([(0, 1), (1, 2), (2, 3)])])
    assert axis.owners == ((0, 1, 2), (0, 1, 2))


def test_one_tokenizer_gives_its_own_tokens() -> None:
    text = tokens_of([(0, 0), (0, 3), (3, 4), (3, 4), (4, 9)])
    axis = align_all("abcdefghi", [text, text, text])
    assert axis.owners == ((0, 1, 2, 3, 4),) * 3
    assert same_tokens([text, text])
    assert not same_tokens([text, text[1:]])


@pytest.mark.parametrize(
    ("span", "expected"), [((0, 2), 1), ((4, 8), 2), ((3, 4), 2), ((0, 0), 0), ((9, 9), None), ((12, 14), None)]
)
def test_characters_find_their_token(span: tuple[int, int], expected: int | None) -> None:
    assert matching(tokens_of([(0, 0), (0, 3), (4, 8)]), span) == expected


def places(axis: Alignment) -> tuple[tuple[int, int], ...]:
    return tuple((segment.start, segment.end) for segment in axis.segments)


def tokens_of(spans: list[tuple[int, int]]) -> tuple[Token, ...]:
    return tuple(Token(i, i, "x", start, stop) for i, (start, stop) in enumerate(spans))
