"""Seeded inputs of each task with their right outputs. An eighth of all inputs is held out and never drawn to train."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from models.encoder_decoder.grammar import PARTICLE, Grammar, grammar, particle
from models.encoder_decoder.vocabulary import LISTS, TASKS, ToySource

LENGTHS = (1, 10)  # words of a list in training, both included
PARTS = 8  # one part of so many is held out
SCRAMBLED = 0.25  # sentences whose object stands before the subject: only the particles tell which is which
FILLED = 0.5  # chance of each time, place and adjective


@dataclass(frozen=True, slots=True)
class Exercise:
    """An input and the words of its right output, without the end."""

    source: ToySource
    target: tuple[str, ...]


def held_out(words: tuple[str, ...]) -> bool:
    """Return whether an input is held out, whatever the task: by a hash of its words, so no list has to be kept."""
    return hashlib.sha256(" ".join(words).encode()).digest()[0] % PARTS == 0


def draw(task: str, rng: np.random.Generator, *, lengths: tuple[int, int] = LENGTHS) -> Exercise:
    """Draw one example of a task; lengths: of a list."""
    return _sentence(rng, grammar()) if task not in LISTS else _list(task, rng, lengths)


def examples(
    seed: int, *, held: bool, tasks: tuple[str, ...] = TASKS, lengths: tuple[int, int] = LENGTHS
) -> Iterator[Exercise]:
    """Yield examples without end, each of a drawn task: only held-out inputs, or none of them."""
    rng = np.random.default_rng(seed)
    while True:
        found = draw(tasks[int(rng.integers(len(tasks)))], rng, lengths=lengths)
        if held_out(found.source.words) == held:
            yield found


def target_of(task: str, words: tuple[str, ...]) -> tuple[str, ...]:
    """Return the right output of a list task."""
    if task == "copy":
        return words
    return words[::-1] if task == "reverse" else tuple(sorted(words))


def _list(task: str, rng: np.random.Generator, lengths: tuple[int, int]) -> Exercise:
    kinds = tuple(grammar().kinds().values())
    members = kinds[int(rng.integers(len(kinds)))]
    length = int(rng.integers(lengths[0], lengths[1] + 1))
    words = tuple(members[int(place)] for place in rng.integers(len(members), size=length))
    return Exercise(ToySource(task, words), target_of(task, words))


def _sentence(rng: np.random.Generator, words: Grammar) -> Exercise:
    """Draw a Korean sentence with its English one: time and place move to the end, the verb between the nouns."""
    subject, subject_english = _phrase(rng, words, words.animate, "subject")
    other, other_english = _phrase(rng, words, words.nouns, "object")
    time = words.times[int(rng.integers(len(words.times)))] if rng.random() < FILLED else None
    place = words.places[int(rng.integers(len(words.places)))] if rng.random() < FILLED else None
    verb = words.verbs[int(rng.integers(len(words.verbs)))]
    tense = time[2] if time and time[2] != "any" else ("present", "past")[int(rng.integers(2))]
    verb_korean, verb_english = verb.of(tense)
    at = (place[0], PARTICLE + particle(place[0], "place", words)) if place else ()
    middle = (*other, *subject, *at) if rng.random() < SCRAMBLED else (*subject, *at, *other)
    korean = ((time[0],) if time else ()) + middle + (verb_korean,)
    english = [*subject_english, *verb_english.split(), *other_english]
    english += [place[1], "the", place[2]] if place else []
    english += time[1].split() if time else []
    return Exercise(ToySource("translate", korean), tuple(english))


def _phrase(
    rng: np.random.Generator, words: Grammar, nouns: tuple[tuple[str, str], ...], role: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    korean, english = nouns[int(rng.integers(len(nouns)))]
    ending = PARTICLE + particle(korean, role, words)
    if rng.random() >= FILLED:
        return (korean, ending), ("the", english)
    adjective, adjective_english = words.adjectives[int(rng.integers(len(words.adjectives)))]
    return (adjective, korean, ending), ("the", adjective_english, english)
