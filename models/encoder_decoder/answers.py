"""The right answer to any input that has one: lists, and sentences of the toy grammar. Imports no torch."""

from models.encoder_decoder.grammar import PARTICLE, Grammar, grammar
from models.encoder_decoder.tasks import target_of
from models.encoder_decoder.vocabulary import LISTS, ToySource

Phrases = dict[str, tuple[str, ...]]


def expected(source: ToySource) -> tuple[str, ...] | None:
    """Return the words of the right answer; None for a sentence that the grammar does not make."""
    if source.task in LISTS:
        return target_of(source.task, source.words)
    return _translated(list(source.words), grammar())


def _translated(words: list[str], known: Grammar) -> tuple[str, ...] | None:
    """Take a sentence apart by its particles; the parts may stand in any order before the verb."""
    times = {korean: english for korean, english, _ in known.times}
    verbs = {form: english for verb in known.verbs for form, english in (verb.of("present"), verb.of("past"))}
    time = times[words.pop(0)].split() if words and words[0] in times else []
    if not words or words[-1] not in verbs:
        return None
    verb = verbs[words.pop()].split()
    found = _phrases(words, known)
    if found is None or not {"subject", "object"} <= found.keys():
        return None
    return (*found["subject"], *verb, *found["object"], *found.get("place", ()), *time)


def _phrases(words: list[str], known: Grammar) -> Phrases | None:
    """Read [adjective] noun particle as often as there are words; None for anything else or a role twice."""
    nouns, adjectives = dict(known.nouns), dict(known.adjectives)
    animate = dict(known.animate)
    places = {korean: (preposition, "the", english) for korean, preposition, english in known.places}
    roles = {PARTICLE + form: role for role, forms in known.particles.items() for form in forms}
    found: Phrases = {}
    while words:
        adjective = (adjectives[words.pop(0)],) if words[0] in adjectives else ()
        if len(words) < 2 or words[1] not in roles:
            return None
        noun, role = words.pop(0), roles[words.pop(0)]
        if role == "place" and noun in places and not adjective:
            phrase = places[noun]
        elif role != "place" and noun in (animate if role == "subject" else nouns):
            phrase = ("the", *adjective, nouns[noun])
        else:
            return None
        if role in found:
            return None
        found[role] = phrase
    return found
