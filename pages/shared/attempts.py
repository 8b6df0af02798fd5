"""Do what a page invites to try: set the text, the token or the head by a rule, and lead to the figure."""

from models import alignment
from models.records.trace import ModelTrace
from pages.shared import pointing
from pages.shared.state import session
from pages.shared.words import content
from pages.shared.words.content import Attempt
from viz.trace.attention import clearest_head

STOPS = (".", "!", "?")


def begin(page: str, attempt: Attempt) -> None:
    """Set the example now, the rest when its text has been read. Only a callback may call this."""
    visit = session.current()
    if "example" in attempt.sets:
        visit.prompt = next(one.text[visit.lang] for one in content.examples(page) if one.id == attempt.sets["example"])
    visit.attempt = dict(attempt.sets)
    visit.point(page, attempt.place)
    pointing.opens(page, attempt.place)


def settle(trace: ModelTrace) -> None:
    """Choose what the attempt that was begun asks for, in the text that was read."""
    visit = session.current()
    asked, visit.attempt = visit.attempt, {}
    if "token" in asked and (index := token(trace, asked["token"])) is not None:
        visit.pick(index, alignment.covering([(one.start, one.end) for one in trace.tokens])[index])
    if "head" in asked and trace.layers_with("attention"):  # the visitor may have gone to another page meanwhile
        chosen = clearest_head(trace, asked["head"])
        visit.select("layer", chosen.layer)
        visit.select("head", chosen.head)


def token(trace: ModelTrace, rule: str) -> int | None:
    """Find a token of a text, None where there is none. Raises KeyError for an unknown rule.

    last: the last one. repeated: the last one with letters that has occurred before. stop: the first that ends a
    sentence before the text ends.
    """
    ids, texts = [one.id for one in trace.tokens], [one.label for one in trace.tokens]
    count = len(ids)
    found = {
        "last": [count - 1],
        "repeated": [n for n in reversed(range(count)) if ids[n] in ids[:n] and any(map(str.isalpha, texts[n]))],
        "stop": [n for n in range(count - 1) if texts[n].strip().endswith(STOPS)],
    }[rule]
    return next(iter(found), None)
