"""What a model carries from token to token and what it expects next, as numbers of its trace."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.records.trace import Array, LayerTrace, ModelTrace
from viz.trace.channels import Floats, Indices, floats

BANDS = 3  # equal groups of channels, by half-life
BEST = 3  # guesses before a token


class Guessed(NamedTuple):
    """ids, probs (token, BEST): the likeliest tokens before each token; rank, prob (token,): of the one that came.

    Before the first token nothing is known: its ids are -1, its probs nan, its rank 0.
    """

    ids: Array
    probs: Floats
    rank: Array
    prob: Floats


class Faded(NamedTuple):
    """shares (token, band, back): of the token so many steps back; half_life (band, 2): shortest, longest of a band."""

    shares: Floats
    half_life: Floats
    channels: tuple[int, ...]


def guessed(trace: ModelTrace) -> Guessed:
    """Read, from the logits at each token, what was expected to come next, and where what came stood in that order.

    Of equal logits the lower id is first.
    """
    logits, count = trace.logits.values, len(trace.tokens)
    best = min(BEST, logits.shape[1])
    ids, probs = np.full((count, best), -1), np.full((count, best), np.nan)
    rank, prob = np.zeros(count, np.int64), np.full(count, np.nan)
    for i in range(1, count):
        row, came = logits[i - 1].astype(np.float64), trace.tokens[i].id
        among = np.flatnonzero(row >= np.partition(row, -best)[-best])
        ids[i] = among[np.lexsort((among, -row[among]))][:best]
        odds = np.exp(row - row.max())
        probs[i], prob[i] = odds[ids[i]] / odds.sum(), odds[came] / odds.sum()
        rank[i] = 1 + (row > row[came]).sum() + (row[:came] == row[came]).sum()
    return Guessed(ids, probs, rank, prob)


def mean_attention(trace: ModelTrace) -> Floats:
    """Return the weights of attention averaged over all heads of all layers that have them, (query, key)."""
    layers = trace.layers_with("attention")
    return np.asarray(np.mean([floats(layer, "attention").mean(0) for layer in layers], axis=0), np.float32)


def state_size(layer: LayerTrace, *, rows: int, columns: int) -> tuple[Floats, list[Indices]]:
    """Return the mean of |h| over neighbours, (token, row, column), and the channels of each row.

    Rows are equal runs of the channels, the longest half-life on top; columns are equal runs of the state dimensions.
    """
    size, order = np.abs(floats(layer, "state")), np.argsort(-layer.part("half_life"), kind="stable")
    runs = list(np.array_split(order, min(rows, len(order))))
    bands = np.array_split(np.arange(size.shape[2]), min(columns, size.shape[2]))
    by_row = np.stack([size[:, run].mean(1) for run in runs], axis=1)  # (token, row, d_state)
    return np.stack([by_row[:, :, band].mean(2) for band in bands], axis=2), runs


def written_share(layer: LayerTrace) -> Floats:
    """Return sum |w| / (sum |w| + sum |h - w|) per token, where w = dt B u is what the token adds to the state h."""
    state, dt, u = floats(layer, "state"), floats(layer, "dt"), floats(layer, "scan_input")
    written = (dt * u)[:, :, None] * floats(layer, "write_proj")[:, None, :]
    new, old = np.abs(written).sum((1, 2), np.float64), np.abs(state - written).sum((1, 2), np.float64)
    return np.asarray(new / np.where(new + old > 0, new + old, 1), np.float32)


def faded(layer: LayerTrace, *, window: int) -> Faded:
    """Return how much of RWKV's state each of the latest tokens still makes up, averaged over bands of channels.

    After token t a channel holds e^(k_j - (t - j) w) of token j, divided by the sum of all: the denominator of its
    state, den e^max. Bands are equal groups by half-life, shortest first.
    """
    key, rate = floats(layer, "key").astype(np.float64), floats(layer, "decay_rate").astype(np.float64)
    total = np.log(floats(layer, "wkv_den").astype(np.float64)) + floats(layer, "wkv_max")
    half_life = floats(layer, "half_life")
    bands = [band for band in np.array_split(np.argsort(half_life, kind="stable"), BANDS) if len(band)]
    count = len(key)
    shares = np.full((count, len(bands), min(window, count)), np.nan, np.float32)
    for back in range(shares.shape[2]):
        left = np.exp(key[: count - back] - back * rate - total[back:])  # (token, channel)
        for place, band in enumerate(bands):
            shares[back:, place, back] = left[:, band].mean(1)
    limits = np.array([(half_life[band].min(), half_life[band].max()) for band in bands])
    return Faded(shares, limits, tuple(len(band) for band in bands))


def block_totals(weights: Floats, size: int) -> Floats:
    """Add up neighbouring keys (query, key) in blocks of a size: (query, block)."""
    if size == 1:
        return weights
    return np.asarray(np.add.reduceat(weights, range(0, weights.shape[1], size), axis=1))


def steps_of(owners: Sequence[Sequence[int]], text: int, count: int) -> tuple[int, ...]:
    """Return, for each of count tokens of the first text, the last token of another that has been read whole by then.

    owners: of an Alignment. -1 where none has been.
    """
    ends = {owner: place for place, owner in enumerate(owners[text]) if owner >= 0}  # token -> its last segment
    last = {owner: place for place, owner in enumerate(owners[0]) if owner >= 0}
    steps, reached = [], -1
    for token in range(count):
        reached = max((own for own, place in ends.items() if place <= last.get(token, -1)), default=reached)
        steps.append(reached)
    return tuple(steps)
