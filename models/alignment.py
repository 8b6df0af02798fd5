"""Lay texts that were cut into different tokens beside each other, by the characters that each token covers."""

from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import groupby, pairwise

from models.records.trace import Alignment, Token

SPACE = "\u2423"
NEWLINE = "\u21b5"
TAB = "\u21e5"

Span = tuple[int, int]  # half-open, in characters of the prompt; pieces of one character share its span


def align(spans_a: Sequence[Span], spans_b: Sequence[Span]) -> tuple[tuple[int, ...], ...]:
    """Return, for each token of a, the tokens of b that cover at least one of its characters, in order.

    Characters that a tokenizer left out, as some leave out the space before a word, count as the next token's. A token
    without characters, such as a start token, meets the tokens without characters at the same place, and no others.
    """
    covered_b = covering(spans_b)
    return tuple(
        tuple(j for j, (s, e) in enumerate(covered_b) if (start < e and s < stop) or (start == stop == s == e))
        for start, stop in covering(spans_a)
    )


def covering(spans: Sequence[Span]) -> list[Span]:
    """Close the gaps between tokens: what no token covers goes to the next one that covers anything."""
    closed: list[Span] = []
    end = 0
    last: Span | None = None
    for start, stop in spans:
        if stop <= start:
            closed.append((end, end))
        elif last == (start, stop):
            closed.append(closed[-1])  # a further piece of one character
        else:
            closed.append((min(start, end), stop) if start >= end else (start, stop))
            end = max(end, stop)
        last = (start, stop)
    return closed


def align_all(prompt: str, texts: Sequence[Sequence[Token]]) -> Alignment:
    """Cut one prompt, as several tokenizers read it, into the segments between all of their boundaries.

    Every segment lies in at most one token of each text. Characters that one text splits into pieces are not cut
    further: they get as many segments as the text with most tokens there has. A token without characters gets a segment
    of its own, which the texts that lack it leave empty.
    """
    spans = [covering([(token.start, token.end) for token in text]) for text in texts]
    bounds = _bounds(spans)
    segments: list[Token] = []
    owners: list[list[int]] = [[] for _ in texts]

    def lay(span: Span, label: str, holders: list[list[int]], parts: int) -> None:
        for own, found in zip(owners, holders, strict=True):
            own += [found[n * len(found) // parts] if found else -1 for n in range(parts)]
        for n in range(parts):
            place = len(segments)
            first = owners[0][place] if owners[0][place] >= 0 else place
            segments.append(Token(first, -1, label, *span, n + 1, parts))

    for place, edge in enumerate(bounds):
        empty = [[i for i, span in enumerate(text) if span == (edge, edge)] for text in spans]
        for n in range(max(map(len, empty))):
            label = next(text[found[n]].label for text, found in zip(texts, empty, strict=True) if n < len(found))
            lay((edge, edge), label, [found[n : n + 1] for found in empty], 1)
        if place + 1 < len(bounds):
            stop = bounds[place + 1]
            holders = [[i for i, (s, e) in enumerate(text) if s < stop and edge < e] for text in spans]
            lay((edge, stop), readable(prompt[edge:stop]), holders, max(1, *map(len, holders)))
    return Alignment(tuple(segments), tuple(map(tuple, owners)))


CHANGE = "\u2192"  # between what stood there and what stands there now


def align_edit(before: Sequence[Token], after: Sequence[Token]) -> Alignment:
    """Lay a text and a changed copy of it, cut by one tokenizer, on a common axis of segments.

    Tokens that both have, in order, share a segment. What was changed lies side by side, token by token, and has the
    labels of both, before \u2192 after; where one text has nothing, its owner is -1. Characters are those of the first
    text: what is new there covers none of them.
    """
    segments: list[Token] = []
    owners: tuple[list[int], list[int]] = ([], [])
    matcher = SequenceMatcher(None, [t.id for t in before], [t.id for t in after], autojunk=False)
    for kind, first, last, start, stop in matcher.get_opcodes():
        for n in range(max(last - first, stop - start)):
            own, other = first + n if first + n < last else -1, start + n if start + n < stop else -1
            here = before[own] if own >= 0 else None
            edge = before[last - 1].end if last else 0
            span = (here.start, here.end, here.piece, here.pieces) if here else (edge, edge, 1, 1)
            label = "" if here is None else here.label
            if kind != "equal":
                label = f"{label}{CHANGE}{after[other].label if other >= 0 else ''}"
            segments.append(Token(own if own >= 0 else max(last - 1, 0), here.id if here else -1, label, *span))
            owners[0].append(own)
            owners[1].append(other)
    return Alignment(tuple(segments), (tuple(owners[0]), tuple(owners[1])))


def changed(alignment: Alignment) -> tuple[bool, ...]:
    """Tell of every segment of align_edit whether its token was changed, put in or left out."""
    return tuple(segment.label != "" and CHANGE in segment.label for segment in alignment.segments)


def _bounds(spans: Sequence[Sequence[Span]]) -> list[int]:
    """List the edges of all tokens, less those inside characters that some text splits into pieces."""
    edges = {edge for text in spans for span in text for edge in span}
    split = {a for text in spans for a, b in pairwise(text) if a == b and a[0] < a[1]}
    kept = {span[0] for text in spans for span in text if span[0] == span[1]}
    inside = {edge for edge in edges - kept for start, stop in split if start < edge < stop}
    return sorted(edges - inside)


def readable(text: str) -> str:
    """Write spaces, line ends and tabs as marks that can be seen."""
    return text.replace(" ", SPACE).replace("\n", NEWLINE).replace("\t", TAB)


def same_tokens(texts: Sequence[Sequence[Token]]) -> bool:
    """Return whether all texts were cut into the same tokens, by number and by characters."""
    cut = [[(token.id, token.start, token.end) for token in text] for text in texts]
    return all(text == cut[0] for text in cut)


def matching(tokens: Sequence[Token], span: Span) -> int | None:
    """Return the first token that covers any of these characters, or that is without characters at the same place."""
    start, stop = span
    for i, (s, e) in enumerate(covering([(token.start, token.end) for token in tokens])):
        if (start < e and s < stop) or (start == stop == s == e):
            return i
    return None


def runs(owners: Sequence[int]) -> list[tuple[int, int, int]]:
    """List (token, first segment, segment after the last) for every token of a text, left out where it has none."""
    found: list[tuple[int, int, int]] = []
    for token, group in groupby(enumerate(owners), key=lambda pair: pair[1]):
        places = [place for place, _ in group]
        if token >= 0:
            found.append((token, places[0], places[-1] + 1))
    return found
