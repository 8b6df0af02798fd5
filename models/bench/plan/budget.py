"""Choose the cells to measure within a time budget, from a fixed sequence of plans of increasing size.

The sequence depends on the request, not on the budget: a larger budget goes further along it and never measures less.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

LEAST_ROUNDS = 3
GOOD_ROUNDS = 5
STEP = 4  # between the contexts that are measured first

Place = tuple[int, int]  # batch, context


@dataclass(frozen=True, slots=True)
class Choice:
    """The places to measure, every architecture at each, and how often."""

    places: tuple[Place, ...]
    rounds: int


def choose(
    contexts: Sequence[int],
    batches: Sequence[int],
    *,
    rounds: int,
    seconds: Callable[[Place, int], float],
    budget_s: float | None,
) -> Choice:
    """Return the last plan of the row that fits the budget: the first even if it does not, the whole without one.

    seconds: what all architectures need together at a place in so many rounds.
    """
    row = list(_row(sorted(set(contexts)), list(dict.fromkeys(batches)), rounds))
    if budget_s is None:
        return row[-1]
    best = row[0]
    for choice in row[1:]:
        if sum(seconds(place, choice.rounds) for place in choice.places) > budget_s:
            break
        best = choice
    return best


def _row(contexts: Sequence[int], batches: Sequence[int], rounds: int) -> Iterator[Choice]:
    """Yield the plans: from short to long in wide steps, then more rounds, then the rest from small to large."""
    least = min(LEAST_ROUNDS, rounds)
    places: tuple[Place, ...] = ()
    for context in _wide(contexts):
        places = (*places, (batches[0], context))
        yield Choice(places, least)
    good = min(GOOD_ROUNDS, rounds)
    for count in range(least + 1, good + 1):
        yield Choice(places, count)
    rest = {(batch, context) for batch in batches for context in contexts} - set(places)
    for place in sorted(rest, key=lambda place: (place[0] * place[1], place)):
        places = (*places, place)
        yield Choice(places, good)
    for count in range(good + 1, rounds + 1):
        yield Choice(places, count)


def _wide(contexts: Sequence[int]) -> list[int]:
    """Select the shortest and the longest context, and from above those between them at least a factor STEP apart."""
    shortest, kept = contexts[0], [contexts[-1]]
    for context in reversed(contexts[:-1]):
        if STEP * context <= kept[0] and context >= STEP * shortest:
            kept.insert(0, context)
    return [shortest, *kept] if shortest < kept[0] else kept
