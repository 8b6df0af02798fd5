"""Score attention heads and routers by pattern, and maps by their ranks: numpy only, for figures and model cards."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

PATTERNS = ("previous_token", "sink", "duplicate", "induction", "entropy")
HEAD_METRICS = ("previous_token", "induction", "duplicate", "sink", "punctuation", "distance", "entropy")

Floats = npt.NDArray[np.floating]
Whole = npt.NDArray[np.integer]


def head_patterns(weights: Floats, ids: Whole) -> list[float]:
    """Score one head in the order of PATTERNS; weights (query, key) with rows that sum to 1, ids (key,).

    previous_token: mean A[t, t-1]. sink: mean A[t, 0], t >= 1 (Xiao et al. 2023). duplicate: mean weight on earlier
    tokens with the same id; induction: mean weight on tokens that follow such a one (Olsson et al. 2022); both over the
    tokens that have an earlier twin, 0 when none has. entropy: mean of -sum A log A / log(t + 1), t >= 1.
    """
    length = len(ids)
    if length < 2:
        return [0.0] * len(PATTERNS)
    twin = np.tril(ids[:, None] == ids[None, :], -1)  # (query, key): an earlier token with the same id
    after_twin = np.zeros_like(twin)
    after_twin[:, 1:] = twin[:, :-1]
    after_twin &= np.tri(length, k=-1, dtype=bool)
    has = twin.any(1)
    positive = np.where(weights > 0, weights, 1.0)
    entropy = -(weights * np.log(positive)).sum(1)[1:] / np.log(np.arange(2, length + 1))
    return [
        float(np.diagonal(weights, -1).mean()),
        float(weights[1:, 0].mean()),
        float((weights * twin).sum(1)[has].mean()) if has.any() else 0.0,
        float((weights * after_twin).sum(1)[has].mean()) if has.any() else 0.0,
        float(entropy.mean()),
    ]


def head_metrics(weights: Floats, ids: Whole, marked: npt.NDArray[np.bool_]) -> Floats:
    """Score all heads of a layer in the order of HEAD_METRICS, (head, metric); weights (head, query, key).

    As head_patterns; punctuation: share_on the marked tokens (key,); distance: mean over queries t >= 1 of the sum of
    A[t, j] (t - j), in tokens. nan where a text has nothing to score: no second token, no twin, nothing marked.
    """
    length = len(ids)
    table = np.full((len(weights), len(HEAD_METRICS)), np.nan)
    if length < 2:
        return table
    later = np.asarray(weights[:, 1:], np.float64)  # (head, query - 1, key)
    twin, after = _twins(ids)
    has = twin[1:].any(1)
    place = np.arange(length)
    back = np.maximum(place[1:, None] - place[None, :], 0)
    logs = np.log(np.where(later > 0, later, 1.0))
    table[:, 0] = np.diagonal(later, 0, 1, 2).mean(1)
    if has.any():
        table[:, 1] = np.einsum("hqk,qk->h", later[:, has], after[1:][has]) / has.sum()
        table[:, 2] = np.einsum("hqk,qk->h", later[:, has], twin[1:][has]) / has.sum()
    table[:, 3] = later[:, :, 0].mean(1)
    if marked.any():
        table[:, 4] = later[:, :, marked].sum(2).mean(1)
    table[:, 5] = np.einsum("hqk,qk->h", later, back) / (length - 1)
    table[:, 6] = (-(later * logs).sum(2) / np.log(np.arange(2, length + 1))).mean(1)
    return table


def _twins(ids: Whole) -> tuple[Floats, Floats]:
    """Mark for every query (query, key) the earlier tokens with its id, and the tokens that follow those."""
    twin: Floats = np.tril(np.equal.outer(ids, ids), -1).astype(np.float64)
    after = np.zeros_like(twin)
    after[:, 1:] = twin[:, :-1]
    return twin, np.tril(after, -1)


def uniform(length: int, *, window: int | None = None) -> Floats:
    """Return the weights of a head that reads all of its past alike, (length, length).

    window: how many tokens it sees, itself included; all without it.
    """
    seen = np.tri(length) if window is None else np.tri(length) - np.tri(length, k=-window)
    return np.asarray(seen / seen.sum(1, keepdims=True))


def reach(weights: Floats) -> int:
    """Return how many tokens the heads (head, query, key) of a layer see at most, itself included: its window.

    Weights without one above zero, which no softmax gives, name no window: all tokens.
    """
    query, key = np.nonzero((weights > 0).any(0))
    return int((query - key).max()) + 1 if len(query) else weights.shape[-1]


def chance(ids: Whole, *, window: int | None = None) -> list[float]:
    """Return the scores, in the order of PATTERNS, of a head that reads its past alike: what this text gives to all."""
    return head_patterns(uniform(len(ids), window=window), ids)


def share_on(weights: Floats, marked: npt.NDArray[np.bool_]) -> float:
    """Return the mean share of a head's attention that falls on marked tokens, over the queries after the first."""
    return float((weights[1:] * marked).sum(1).mean()) if len(marked) > 1 else 0.0


def together(labels: Whole, choices: Whole, shape: tuple[int, int]) -> npt.NDArray[np.int64]:
    """Count how often each label meets each choice, (label, choice)."""
    return np.bincount(labels * shape[1] + choices, minlength=shape[0] * shape[1]).reshape(shape)


def information(counts: Whole) -> float:
    """Return the mutual information of the two sides of a table of counts, in bits, uncorrected (Shannon 1948)."""
    joint = counts / max(int(counts.sum()), 1)
    apart = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    seen = joint > 0
    return float((joint[seen] * np.log2(joint[seen] / apart[seen])).sum())


def lifts(counts: Whole) -> Floats:
    """Return P(choice | label) / P(choice) for a table of counts (label, choice); 0 where either never occurs."""
    rows, columns = counts.sum(1, keepdims=True), counts.sum(0, keepdims=True)
    expected = rows * columns / max(int(counts.sum()), 1)
    return np.asarray(np.where(expected > 0, counts / np.where(expected > 0, expected, 1), 0.0), dtype=np.float64)


def ranks(values: Floats) -> npt.NDArray[np.float64]:
    """Return the rank of each value, 1 for the smallest; equal values share the mean of their ranks.

    >>> ranks(np.array([0.5, 0.1, 0.5])).tolist()
    [2.5, 1.0, 2.5]
    """
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return np.asarray((last - (count - 1) / 2)[place], dtype=np.float64)


def rank_correlation(x: Floats, y: Floats) -> float:
    """Return the correlation of two rankings in [-1, 1] (Spearman 1904); nan where one of them is the same throughout.

    >>> round(rank_correlation(np.array([1.0, 2.0, 9.0]), np.array([3.0, 5.0, 4.0])), 3)
    0.5
    """
    a, b = (ranks(values) - (len(values) + 1) / 2 for values in (x, y))
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 0 else float("nan")


LEAST_RANKED = 3  # tokens of a row that is ranked: two have one order or the other


def row_agreement(x: Floats, y: Floats, rows: Sequence[int]) -> float:
    """Return the mean over some rows t of the rank correlation of two maps (query, key) over the keys up to t.

    Rows of fewer than LEAST_RANKED tokens, and those in which a map is the same throughout, do not count; nan where
    none is left.
    """
    found = [rank_correlation(x[t, : t + 1], y[t, : t + 1]) for t in rows if t + 1 >= LEAST_RANKED]
    known = [one for one in found if not np.isnan(one)]
    return float(np.mean(known)) if known else float("nan")


def recency(length: int) -> Floats:
    """Return the map of the rule "the later, the more", (query, key): what ranks tokens without looking at them."""
    return np.tri(length) * np.arange(1, length + 1)


class Balance(NamedTuple):
    """How evenly a router shares its tokens out.

    entropy: of the shares of token slots, over log E, 1 where all are alike. busiest: the largest share over the mean
    one. unused: experts without a token. auxiliary: E sum_e f_e P_e, f_e the share of tokens that are sent to e and P_e
    its mean probability (Fedus et al. 2021); top_k for an even router, since the f_e add up to top_k.
    """

    entropy: float
    busiest: float
    unused: int
    auxiliary: float


def balance(probs: Floats, chosen: Whole) -> Balance:
    """Measure a router: probs (token, expert), chosen (token, choice). The entropy of a single expert is 1."""
    experts = probs.shape[1]
    counts = np.bincount(chosen.ravel(), minlength=experts)
    share = counts / counts.sum()
    used = share[share > 0]
    entropy = float(-(used * np.log(used)).sum() / np.log(experts)) if experts > 1 else 1.0
    auxiliary = float(experts * (counts / len(chosen)) @ probs.mean(0, np.float64))
    return Balance(entropy, float(share.max() * experts), int((counts == 0).sum()), auxiliary)


def sent(chosen: Whole, experts: int) -> npt.NDArray[np.int64]:
    """Return 1 where a token is sent to an expert, (token, expert); chosen (token, choice)."""
    found = np.zeros((len(chosen), experts), np.int64)
    np.put_along_axis(found, chosen.astype(np.intp), 1, axis=1)
    return found


def pair_counts(chosen: Whole, experts: int) -> npt.NDArray[np.int64]:
    """Count the tokens that are sent to both of two experts, (expert, expert), 0 on the diagonal.

    Symmetric; a row adds up to the tokens of its expert times the choices but one.
    """
    marks = sent(chosen, experts)
    found = marks.T @ marks
    np.fill_diagonal(found, 0)
    return np.asarray(found)


class NeighbourShares(NamedTuple):
    """Shares of pairs of tokens whose first expert is the same, and that have any expert in common."""

    first: float
    common: float


def repeats(texts: Sequence[Whole], experts: int) -> NeighbourShares:
    """Measure neighbours in texts of chosen experts (token, choice); nan where no text has two tokens."""
    pairs = [(_marks(chosen, experts), len(chosen) - 1) for chosen in texts if len(chosen) > 1]
    first = sum(int((marks.first[1:] == marks.first[:-1]).sum()) for marks, _ in pairs)
    common = sum(int(((marks.all[1:] & marks.all[:-1]).any(1)).sum()) for marks, _ in pairs)
    count = sum(number for _, number in pairs)
    return NeighbourShares(first / count, common / count) if count else NeighbourShares(np.nan, np.nan)


def shuffled_repeats(texts: Sequence[Whole], experts: int) -> NeighbourShares:
    """Return what repeats gives on average over all orders of the tokens of each text: the mean over its pairs.

    Every pair of tokens is equally often a pair of neighbours, so this is exact and needs no chance.
    """
    first = common = count = 0.0
    for chosen in (one for one in texts if len(one) > 1):
        marks, tokens = _marks(chosen, experts), len(chosen)
        alike = np.bincount(marks.first, minlength=experts)
        share = marks.all.astype(np.int64)
        shared = int(((share @ share.T) > 0).sum()) - tokens  # each pair twice, without a token and itself
        first += (tokens - 1) * float((alike * (alike - 1)).sum()) / (tokens * (tokens - 1))
        common += (tokens - 1) * shared / (tokens * (tokens - 1))
        count += tokens - 1
    return NeighbourShares(first / count, common / count) if count else NeighbourShares(np.nan, np.nan)


def even_repeats(experts: int, choices: int) -> NeighbourShares:
    """Return what two tokens share that draw their experts evenly: 1 / E and 1 - C(E - k, k) / C(E, k).

    >>> [round(share, 4) for share in even_repeats(8, 2)]  # Mixtral
    [0.125, 0.4643]
    """
    return NeighbourShares(1 / experts, 1 - math.comb(experts - choices, choices) / math.comb(experts, choices))


class _Marks(NamedTuple):
    first: npt.NDArray[np.intp]  # (token,)
    all: npt.NDArray[np.bool_]  # (token, expert)


def _marks(chosen: Whole, experts: int) -> _Marks:
    return _Marks(chosen[:, 0].astype(np.intp), sent(chosen, experts).astype(bool))


def clustered(alike: Floats) -> list[int]:
    """Order things so that those that are alike stand together: alike (thing, thing), symmetric.

    Average linkage (Sokal & Michener 1958): the two groups with the largest mean likeness are joined until one is left;
    of two groups the one of the lower number stands first, turned so that the likest ends meet.
    """
    groups = [[n] for n in range(len(alike))]
    while len(groups) > 1:
        pairs = [(float(alike[np.ix_(a, b)].mean()), -i, -j) for j, b in enumerate(groups) for i, a in
                 enumerate(groups[:j])]  # fmt: skip
        _, i, j = max(pairs)
        b, a = groups.pop(-j), groups.pop(-i)
        turned = [(float(alike[x[-1], y[0]]), place, x, y) for place, (x, y) in enumerate(
                  ((a, b), (a[::-1], b), (a, b[::-1]), (a[::-1], b[::-1])))]  # fmt: skip
        _, _, first, second = max(turned, key=lambda one: (one[0], -one[1]))
        groups.insert(-i, [*first, *second])
    return groups[0] if groups else []
