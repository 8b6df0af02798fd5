"""Tokens of the small encoder-decoder: special tokens, a token for each task, and whole words. Imports no torch."""

from dataclasses import dataclass
from functools import cache

from models.encoder_decoder.grammar import PARTICLE, Grammar, grammar
from models.errors import PromptError

PAD, START, END = "<pad>", "<s>", "</s>"
TASKS = ("copy", "reverse", "sort", "translate")
LISTS = TASKS[:3]  # these take a list of words of one kind
LONGEST = 16  # words of an input that are read; training ends at 10


@dataclass(frozen=True, slots=True)
class ToySource:
    """An input as the encoder reads it: the task, then the words, then the end."""

    task: str
    words: tuple[str, ...]

    @property
    def tokens(self) -> tuple[str, ...]:
        """All tokens, with those of task and end."""
        return (task_token(self.task), *self.words, END)


def task_token(task: str) -> str:
    """Return the token that names a task."""
    return f"<{task}>"


@cache
def tokens() -> tuple[str, ...]:
    """Return the vocabulary; a token's place is its id."""
    words = grammar()
    special = (PAD, START, END, *map(task_token, TASKS))
    endings = tuple(PARTICLE + ending for ending in words.endings())
    return tuple(
        dict.fromkeys((*special, *words.letters, *words.syllables, *words.korean(), *endings, *words.english()))
    )


@cache
def _ids() -> dict[str, int]:
    return {token: place for place, token in enumerate(tokens())}


def ids(words: tuple[str, ...]) -> list[int]:
    """Return the ids of tokens; KeyError for one that the vocabulary lacks."""
    known = _ids()
    return [known[word] for word in words]


def read(task: str, text: str) -> ToySource:
    """Cut a text into an input of a task.

    Raises PromptError: for nothing, for words that are not known, for too many, for a list of several kinds.
    """
    raw = text.split()
    if not raw:
        raise PromptError("errors.toy_empty", "there is no word: write some, separated by spaces")
    cut = _sentence(raw) if task == "translate" else tuple(word.casefold() for word in raw)
    if task in LISTS:
        _check_list(cut)
    if len(cut) > LONGEST:
        message = f"{len(cut)} words or particles: the model reads at most {LONGEST}"
        raise PromptError("errors.toy_long", message, count=len(cut), most=LONGEST)
    return ToySource(task, cut)


def kind_of(words: tuple[str, ...]) -> str | None:
    """Return the kind that all words of a list belong to; None where there is no such kind."""
    for name, members in grammar().kinds().items():
        if set(words) <= set(members):
            return name
    return None


def _check_list(words: tuple[str, ...]) -> None:
    kinds = grammar().kinds()
    for word in words:
        if not any(word in members for members in kinds.values()):
            raise _unknown("item", word, english=word.isascii())
    if kind_of(words) is None:
        message = f"{words[0]!r} and others are of different kinds: a list has one kind"
        other = next(word for word in words if kind_of((words[0], word)) is None)
        raise PromptError("errors.toy_mixed", message, word=words[0], other=other)


def _unknown(kind: str, word: str, *, english: bool) -> PromptError:
    """Make the error of a word that is not known, with what is: the nouns of its language, and the syllables."""
    words = grammar()
    nouns = ", ".join(noun[english] for noun in words.nouns)
    message = f"{word[:40]!r} is not known; the nouns are {nouns}"
    return PromptError(
        f"errors.toy_unknown_{kind}", message, word=word[:40], nouns=nouns, syllables=" ".join(words.syllables)
    )


def _sentence(raw: list[str]) -> tuple[str, ...]:
    """Cut Korean words into known words and particles."""
    words, found = grammar(), list[str]()
    known = set(words.korean())
    for word in (one.rstrip(".") for one in raw):
        if word in known:
            found.append(word)
            continue
        if not word:
            continue
        stem = _stem(word, words, known)
        if stem is None:
            raise _unknown("word", word, english=False)
        found += [stem, PARTICLE + word[len(stem) :]]
    return tuple(found)


def _stem(word: str, words: Grammar, known: set[str]) -> str | None:
    for ending in sorted(words.endings(), key=len, reverse=True):
        if word.endswith(ending) and word[: -len(ending)] in known:
            return word[: -len(ending)]
    return None


def written(words: tuple[str, ...]) -> str:
    """Join the words of an input as a person writes them: particles onto their nouns."""
    return "".join(word[1:] if word.startswith(PARTICLE) else f" {word}" for word in words).strip()
