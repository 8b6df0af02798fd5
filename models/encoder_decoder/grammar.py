"""The words of the small encoder-decoder and the toy grammar from Korean to English, read from assets."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from models.machine.paths import ASSETS
from models.machine.yaml_file import read_yaml

PATH = ASSETS / "toy_grammar.yaml"
PARTICLE = "-"  # stands before a particle in the vocabulary: a syllable of a list may be written alike
FIRST_SYLLABLE, ENDS = 0xAC00, 28  # of Hangul in Unicode: the first of each run of so many ends in a vowel


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb in both languages and tenses; the English may have two words."""

    present: str
    past: str
    english_present: str
    english_past: str

    def of(self, tense: str) -> tuple[str, str]:
        """Return (Korean, English) in "present" or "past"."""
        return (self.present, self.english_present) if tense == "present" else (self.past, self.english_past)


@dataclass(frozen=True, slots=True)
class Grammar:
    """All words, in the order of the file.

    animate, things, adjectives: pairs (Korean, English). places: (Korean, preposition, English). times: (Korean,
    English, tense). particles: role -> (after a consonant, after a vowel).
    """

    letters: tuple[str, ...]
    syllables: tuple[str, ...]
    animate: tuple[tuple[str, str], ...]
    things: tuple[tuple[str, str], ...]
    adjectives: tuple[tuple[str, str], ...]
    places: tuple[tuple[str, str, str], ...]
    times: tuple[tuple[str, str, str], ...]
    verbs: tuple[Verb, ...]
    particles: dict[str, tuple[str, str]]

    @property
    def nouns(self) -> tuple[tuple[str, str], ...]:
        """All nouns that may be objects, (Korean, English)."""
        return self.animate + self.things

    def kinds(self) -> dict[str, tuple[str, ...]]:
        """Return what lists may be made of, each kind in the order that sorting restores.

        Code points put Latin letters into alphabetical order and Korean syllables into that of a Korean dictionary.
        """
        korean, english = zip(*self.nouns, strict=True)
        whole = {"letters": self.letters, "syllables": self.syllables, "english": english, "korean": korean}
        return {name: tuple(sorted(words)) for name, words in whole.items()}

    def korean(self) -> tuple[str, ...]:
        """List the words that a Korean sentence is made of, without particles."""
        verbs = [form for verb in self.verbs for form in (verb.present, verb.past)]
        groups = (self.nouns, self.adjectives, self.places, self.times)
        return tuple(dict.fromkeys([entry[0] for group in groups for entry in group] + verbs))

    def english(self) -> tuple[str, ...]:
        """List the words that an English sentence is made of."""
        phrases = ["the", *(noun[1] for noun in self.nouns), *(one[1] for one in self.adjectives)]
        phrases += [f"{preposition} {noun}" for _, preposition, noun in self.places] + [one[1] for one in self.times]
        phrases += [form for verb in self.verbs for form in (verb.english_present, verb.english_past)]
        return tuple(dict.fromkeys(word for phrase in phrases for word in phrase.split()))

    def endings(self) -> tuple[str, ...]:
        """List the particles as they are written."""
        return tuple(dict.fromkeys(form for pair in self.particles.values() for form in pair))


@cache
def grammar(path: Path = PATH) -> Grammar:
    """Read the words once."""
    found = read_yaml(path)
    pairs = {name: tuple(map(tuple, found[name])) for name in ("animate", "things", "adjectives", "places", "times")}
    return Grammar(
        letters=tuple(found["letters"]),
        syllables=tuple(found["syllables"]),
        verbs=tuple(Verb(*one) for one in found["verbs"]),
        particles={role: (pair[0], pair[1]) for role, pair in found["particles"].items()},
        **pairs,
    )


def particle(noun: str, role: str, words: Grammar) -> str:
    """Return the particle of a role that a Korean noun takes, by whether its last syllable ends in a consonant."""
    after_consonant, after_vowel = words.particles[role]
    return after_vowel if (ord(noun[-1]) - FIRST_SYLLABLE) % ENDS == 0 else after_consonant
