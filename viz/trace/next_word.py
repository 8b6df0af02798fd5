"""The distribution over the next token at every place of a text: the best tokens, and the one that really came."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.generation.distribution import PLAIN, Floats, Sampling, next_token
from models.records.trace import Alignment, ModelTrace, NamedArray
from viz.figure import Figure, figure
from viz.look.labels import Translate, template
from viz.look.theme import Theme
from viz.ranking import Column, Ranking
from viz.trace.findings import guesses_finding
from viz.trace.sides import counterparts

BEST = 8  # tokens of a list
HELD = 2**21  # logits of a trace up to which every place has a list; above, the chosen place alone
ROWS = ("rank", "logit", "own", "scaled", "drawn")  # of a list, beside the id
PER_PLACE = ("kept", "mass")


@dataclass(frozen=True, slots=True)
class _Lists:
    """What is drawn of one trace: (place, row) for ids and ROWS, (place,) for PER_PLACE; nan where there is none."""

    places: Floats
    ids: Floats
    rows: dict[str, Floats]
    per_place: dict[str, Floats]


@figure("next_word", of="traces")
def next_word(
    traces: Sequence[ModelTrace],
    *,
    theme: Theme,
    t: Translate,
    at: Sequence[int] = (),
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
    alone: bool = False,
    guesses: Sequence[int | None] = (),
    names: Sequence[str] = (),
    alignment: Alignment | None = None,
) -> Figure:
    """Draw the likeliest next tokens of each trace over its whole vocabulary, and where the token that came stands.

    at: the token of each trace after which the next one is asked for, the last without it; alone: no other place is
    drawn. temperature, top_k, top_p: models.generation.distribution. guesses: an id for each trace, to be told its
    rank. names: of the traces, those of their architectures without it. alignment: of traces that are versions of one
    reading (models.alignment.align_edit, or with switches): the lists then stand at matching tokens, and each row says
    which rank the first version gives it. Raises SettingError for settings that mean nothing.
    """
    sampling = Sampling(temperature, top_k, top_p)
    columns: list[Column] = []
    drawn: list[_Lists] = []
    for place, trace in enumerate(traces):
        here = at[place] if place < len(at) and 0 <= at[place] < len(trace.tokens) else len(trace.tokens) - 1
        lists = _lists(trace, here, sampling, alone=alone)
        guess = guesses[place] if place < len(guesses) else None
        drawn.append(lists)
        column = _column(trace, lists, here, guess, theme, t, name=names[place] if names else "")
        columns.append(column if alignment is None else _beside(column, traces, place, lists, alignment))
    alt = t("viz.next_word.alt", count=len(traces), best=BEST)
    spec = Ranking("next_word", alt, theme, tuple(columns), sampling != PLAIN, ranking_words(t))
    whole = len(drawn) == 1 and len(drawn[0].places) == len(traces[0].tokens)
    finding = guesses_finding(drawn[0].rows["rank"][:, -1], t) if whole and not alone else ""
    return Figure("next_word", spec, _exported(traces, drawn), alt, finding=finding)


def plain_lists(
    traces: Sequence[ModelTrace], at: Sequence[int], theme: Theme, t: Translate
) -> tuple[tuple[Column, ...], dict[str, NamedArray]]:
    """Return a column of the likeliest next tokens for every reading of one text, and the arrays that are drawn.

    at: the token of each trace that is shown first.
    """
    drawn = [_lists(trace, place, PLAIN, alone=False) for trace, place in zip(traces, at, strict=True)]
    columns = tuple(
        _column(trace, lists, place, None, theme, t) for trace, lists, place in zip(traces, drawn, at, strict=True)
    )
    return columns, _exported(traces, drawn)


def _lists(trace: ModelTrace, here: int, sampling: Sampling, *, alone: bool) -> _Lists:
    """Rank the tokens at every place, or at one: the BEST of them, and in a last row the one that came."""
    count, vocab = trace.logits.values.shape
    places = np.array([here] if alone or count * vocab > HELD else range(count))
    best = min(BEST, vocab)
    ids, shape = np.full((len(places), best + 1), np.nan), (len(places), best + 1)
    rows = {name: np.full(shape, np.nan) for name in ROWS}
    per_place = {name: np.full(len(places), np.nan) for name in PER_PLACE}
    for n, place in enumerate(places):
        z = np.asarray(trace.logits.values[place], np.float64)
        chosen = _best(z, best)
        if place + 1 < count:
            chosen = [*chosen, trace.tokens[place + 1].id]
        of = np.array(chosen)
        ids[n, : len(of)] = of
        rows["rank"][n, : len(of)] = [1 + int((z > z[one]).sum()) for one in of]
        rows["logit"][n, : len(of)] = z[of]
        own = np.exp(z - z.max())
        rows["own"][n, : len(of)] = own[of] / own.sum()
        if sampling == PLAIN:
            rows["scaled"][n], rows["drawn"][n] = rows["logit"][n], rows["own"][n]
            per_place["kept"][n], per_place["mass"][n] = vocab, 1.0
            continue
        found = next_token(z, sampling)
        rows["scaled"][n, : len(of)] = np.where(np.isfinite(found.scaled[of]), found.scaled[of], np.nan)
        rows["drawn"][n, : len(of)] = found.probs[of]
        per_place["kept"][n], per_place["mass"][n] = found.kept, found.kept_mass
    return _Lists(places.astype(np.float64), ids, rows, per_place)


def _best(z: Floats, count: int) -> list[int]:
    """Return the ids of the largest logits (vocab,), largest first; of equals the lower id first."""
    least = np.partition(z, len(z) - count)[len(z) - count]
    among = np.flatnonzero(z >= least)
    return [int(one) for one in among[np.argsort(-z[among], kind="stable")][:count]]


def _beside(column: Column, traces: Sequence[ModelTrace], text: int, lists: _Lists, alignment: Alignment) -> Column:
    """Let a column follow the first version, and give it the ranks that this one has for its rows."""
    steps = counterparts(alignment, text)
    if not text:
        return replace(column, steps=steps)
    firsts = {own: token for token, own in reversed(list(enumerate(steps)))}
    ranks = np.full(lists.ids.shape, np.nan)
    for row, place in enumerate(lists.places.astype(int)):
        if place not in firsts:
            continue
        z = np.asarray(traces[0].logits.values[firsts[place]], np.float64)
        known = [n for n, one in enumerate(lists.ids[row]) if not np.isnan(one)]
        ranks[row, known] = [1 + int((z > z[int(lists.ids[row, n])]).sum()) for n in known]
    return replace(column, steps=steps, before=ranks)


def _column(
    trace: ModelTrace, lists: _Lists, here: int, guess: int | None, theme: Theme, t: Translate, *, name: str = ""
) -> Column:
    known = np.unique(lists.ids[~np.isnan(lists.ids)]).astype(int)
    index = {int(token): n for n, token in enumerate(known)}
    label = np.array([[np.nan if np.isnan(one) else index[int(one)] for one in row] for row in lists.ids])
    return Column(
        name=name or t(f"viz.architecture.{trace.architecture}"),
        color=theme.color(trace.architecture),
        tokens=trace.tokens,
        at=here,
        places=lists.places,
        labels=tuple(trace.label_of(int(token)) for token in known),
        label=label,
        vocabulary=trace.logits.sizes["vocab"],
        guess=None if guess is None else _guessed(trace, here, guess),
        steps=None,
        before=None,
        **lists.rows,
        **lists.per_place,
    )


def _guessed(trace: ModelTrace, here: int, token: int) -> tuple[str, int, float]:
    z = np.asarray(trace.logits.values[here], np.float64)
    grown = np.exp(z - z.max())
    return trace.label_of(token), 1 + int((z > z[token]).sum()), float(grown[token] / grown.sum())


def _exported(traces: Sequence[ModelTrace], drawn: Sequence[_Lists]) -> dict[str, NamedArray]:
    """Name what is drawn: one array for all models where they cut the text alike, else one for each."""
    named = [_arrays(lists) for lists in drawn]
    if len({tuple(values.shape for values, _ in one.values()) for one in named}) == 1:
        return {
            name: NamedArray(np.stack([one[name][0] for one in named]), ("architecture", *dims))
            for name, (_, dims) in named[0].items()
        }
    several = len({trace.architecture for trace in traces}) < len(traces)
    return {
        f"{name}_{place if several else trace.architecture}": NamedArray(values[None].copy(), ("architecture", *dims))
        for place, (trace, one) in enumerate(zip(traces, named, strict=True))
        for name, (values, dims) in one.items()
    }


def _arrays(lists: _Lists) -> dict[str, tuple[Floats, tuple[str, ...]]]:
    own: dict[str, tuple[Floats, tuple[str, ...]]] = {
        "place": (lists.places, ("token",)),
        "id": (lists.ids, ("token", "choice")),
    }
    own |= {name: (values, ("token", "choice")) for name, values in lists.rows.items()}
    return own | {name: (values, ("token",)) for name, values in lists.per_place.items()}


def ranking_words(t: Translate) -> dict[str, str]:
    """Collect the sentences that the lists show; the browser fills in the numbers of the place."""
    values = {
        "after": ("token",),
        "kept": ("kept", "share", "vocabulary"),
        "came": ("token", "rank", "share", "bits"),
        "guess": ("token", "rank", "share"),
        "was": ("rank",),
        "new": ("rank",),
    }
    told = {word: template(t, f"viz.next_word.{word}", *names) for word, names in values.items()}
    plain = ("token", "probability", "own", "drawn", "logit", "end", "left_out", "bars")
    return told | {word: t(f"viz.next_word.{word}") for word in plain}
