"""Measure structure in a trained model (heads, memories, step sizes, experts), with the value expected by chance.

All counts use the same windows of held-out text for every model that shares a tokenizer.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from models import scores
from models.tracing.adapter import Checkpoint
from models.training import corpus
from models.training.eval_windows import SEED, Floats, Ids, Seen, Whole, induction, run, untrained, windows_of
from models.training.token_classes import KINDS

WINDOWS = 32  # evenly spaced through the held-out text of each language
LENGTH = 64  # tokens of a window, the start token among them: about as long as the texts of the pages
SHUFFLES = 200  # of labels between windows: what chance gives
CHANCE = 0.95  # quantile of the shuffles
FEWEST = 50  # tokens of a kind, below which nothing is said of it
CELL = 20  # tokens of a kind at one expert, below which that is no preference
SHORT, LONG = 2.0, 64.0  # tokens of half-life
QUANTILES = (5, 25, 50, 75, 95)
HEAD_SCORES = ("previous_token", "punctuation", "sink", "induction")


@dataclass(frozen=True, slots=True)
class HeadScore:
    """One score of all heads: the best one by its lowest language, beside the median head and a uniform reader.

    value: per language, punctuation in multiples of the uniform reader's share; induction has no language ("random").
    """

    layer: int
    head: int
    value: Mapping[str, float]
    median: float
    uniform: float
    every: Mapping[int, list[float]]  # layer -> the lowest value of each of its heads


@dataclass(frozen=True, slots=True)
class Memory:
    """Half-lives in tokens of every channel of the layers with one kind of mixer."""

    mixer: str
    channels: int
    quantiles: Mapping[int, float]  # per cent -> tokens
    ratio: float  # of the 95 % quantile to the 5 % quantile
    below: float  # share of channels under SHORT tokens
    above: float  # share of channels over LONG tokens
    layers: Mapping[int, Mapping[str, float]]  # layer -> median, below, above


@dataclass(frozen=True, slots=True)
class Steps:
    """How the step size dt depends on the token: its geometric mean over a kind, relative to that over all tokens.

    ratio: that, over all channels of a layer. factor: how many times more or less than 1 it is, one channel by itself,
    in the 5 % of the channels where it is farthest; layer and kind are those where this is largest.
    """

    ratio: Mapping[int, Mapping[str, float]]  # layer -> kind -> ratio
    tokens: Mapping[str, int]
    layer: int
    kind: str
    factor: float
    chance: float  # the largest factor in that layer that labels of other windows give, of any kind


@dataclass(frozen=True, slots=True)
class Routing:
    """One layer with experts: how much a token's kind tells of its first expert, beside what shuffled labels give."""

    layer: int
    information: float  # bits, less what shuffled labels give on average
    chance: float  # bits, less the same, that shuffled labels reach
    expert: int
    kind: str | None  # of the strongest preference: P(expert | kind) / P(expert)
    lift: float
    lift_chance: float
    count: int  # tokens of the kind that go there
    of: int  # tokens of the kind


@dataclass(frozen=True, slots=True)
class Structure:
    """What was measured; a part that the model does not have is empty."""

    windows: int  # per language
    length: int
    tokens: int
    seed: int
    heads: Mapping[str, HeadScore] = field(default_factory=dict)
    memories: tuple[Memory, ...] = ()
    steps: Steps | None = None
    routing: tuple[Routing, ...] = ()
    untrained: "Structure | None" = None  # the same shape before training, where that may look structured as well


def measure(
    checkpoint: Checkpoint, texts: Sequence[corpus.Text], *, windows: int = WINDOWS, length: int = LENGTH
) -> Structure:
    """Measure a checkpoint with a tokenizer over held-out text of every language; the same numbers at every call."""
    tokenizer = checkpoint.tokenizer
    if tokenizer is None:
        raise ValueError(f"{checkpoint.name} has no tokenizer")
    rows = windows_of(tokenizer, texts, windows=windows, length=length)
    found = _measured(checkpoint, rows, heads=True)
    if found.memories or found.routing:
        found = replace(found, untrained=_measured(untrained(checkpoint), rows, heads=False))
    return found


def _measured(checkpoint: Checkpoint, rows: Mapping[str, Ids], *, heads: bool) -> Structure:
    seen = [run(checkpoint, language, row, heads=heads) for language, block in rows.items() for row in block]
    block = next(iter(rows.values()))
    return Structure(
        windows=len(block),
        length=block.shape[1],
        tokens=sum(x.size for x in rows.values()),
        seed=SEED,
        heads=_heads(seen, induction(checkpoint)) if seen[0].heads else {},
        memories=tuple(_memory(seen, mixer) for mixer in dict.fromkeys(m for m, _ in seen[0].rates)),
        steps=_steps(seen),
        routing=_routing(seen),
    )


def _heads(seen: list[Seen], repeated: tuple[dict[int, Floats], float]) -> dict[str, HeadScore]:
    languages = list(dict.fromkeys(x.language for x in seen))
    found = {}
    for at, name in enumerate(HEAD_SCORES[:-1]):
        mean = {
            language: {
                layer: np.mean([x.heads[layer][:, at] for x in seen if x.language == language], axis=0)
                for layer in seen[0].heads
            }
            for language in languages
        }
        alone = {lang: float(np.mean([x.uniform[at] for x in seen if x.language == lang])) for lang in languages}
        if name == "punctuation":
            if not all(alone.values()):
                continue
            mean = {lang: {i: values / alone[lang] for i, values in by.items()} for lang, by in mean.items()}
        uniform = 1.0 if name == "punctuation" else float(np.mean(list(alone.values())))
        found[name] = _best(mean, uniform)
    return {**found, "induction": _best({"random": repeated[0]}, repeated[1])}


def _best(values: Mapping[str, Mapping[int, Floats]], uniform: float) -> HeadScore:
    """Choose the head whose lowest language is highest."""
    first = next(iter(values.values()))
    lowest = {layer: np.min([by[layer] for by in values.values()], axis=0) for layer in first}
    layer = max(lowest, key=lambda i: float(lowest[i].max()))
    head = int(lowest[layer].argmax())
    return HeadScore(
        layer=layer,
        head=head,
        value={language: round(float(by[layer][head]), 3) for language, by in values.items()},
        median=round(float(np.median(np.concatenate(list(lowest.values())))), 3),
        uniform=round(uniform, 4),
        every={i: [round(float(x), 3) for x in row] for i, row in lowest.items()},
    )


def _memory(seen: list[Seen], mixer: str) -> Memory:
    """Take half-lives at the mean rate over all windows, which for Mamba is that at the mean dt."""
    lives = {
        layer: 1 / np.mean([x.rates[kind, layer] for x in seen], axis=0)
        for kind, layer in seen[0].rates
        if kind == mixer
    }
    every = np.concatenate(list(lives.values()))
    quantiles = np.percentile(every, QUANTILES)
    return Memory(
        mixer=mixer,
        channels=len(every),
        quantiles={q: _short(value) for q, value in zip(QUANTILES, quantiles, strict=True)},
        ratio=_short(quantiles[-1] / quantiles[0]),
        below=round(float((every < SHORT).mean()), 4),
        above=round(float((every > LONG).mean()), 4),
        layers={
            i: {
                "median": _short(float(np.median(x))),
                "below": round(float((x < SHORT).mean()), 4),
                "above": round(float((x > LONG).mean()), 4),
            }
            for i, x in lives.items()
        },
    )


def _short(value: float) -> float:
    """Round to four significant digits."""
    return float(f"{value:.4g}")


def _steps(seen: list[Seen]) -> Steps | None:
    labels, layers = np.stack([x.kinds[1:] for x in seen]), list(seen[0].steps)  # the start token is no text
    counts, usual = _counts(labels)
    if not layers or not usual.any():
        return None
    means = {i: _apart(_logs(seen, i), labels, usual) for i in layers}  # (kind, channel)
    factors = np.stack([_farthest(means[i]) for i in layers])  # (layer, kind)
    at, kind = (int(i) for i in np.unravel_index(int(factors.argmax()), factors.shape))
    logs = _logs(seen, layers[at])
    chance = [float(_farthest(_apart(logs, other, usual)).max()) for other in _shuffled(labels)]
    return Steps(
        ratio={
            i: {KINDS[k]: round(math.exp(float(means[i][k].mean())), 3) for k in np.flatnonzero(usual)} for i in layers
        },
        tokens={name: int(count) for name, count in zip(KINDS, counts, strict=True) if count},
        layer=layers[at],
        kind=KINDS[kind],
        factor=round(math.exp(factors[at, kind]), 3),
        chance=round(math.exp(float(np.quantile(chance, CHANCE))), 3),
    )


def _logs(seen: list[Seen], layer: int) -> npt.NDArray[np.float32]:
    """Join a layer's log dt over all windows, (token, channel), each channel about its own mean."""
    logs = np.concatenate([x.steps[layer][1:] for x in seen])
    return np.asarray(logs - logs.mean(0, keepdims=True), dtype=np.float32)


def _apart(logs: npt.NDArray[np.float32], labels: Whole, usual: npt.NDArray[np.bool_]) -> Floats:
    """Return the mean of each channel over the tokens of each kind, (kind, channel), 0 for kinds of few tokens."""
    of = (labels.ravel()[None] == np.arange(len(KINDS))[:, None]) & usual[:, None]  # (kind, token)
    sums = of.astype(np.float32) @ logs
    return np.asarray(sums / np.maximum(of.sum(1, keepdims=True), 1), dtype=np.float64)


def _farthest(apart: Floats) -> Floats:
    """Return per kind what |mean| is in the 5 % of the channels where it is largest."""
    return np.asarray(np.quantile(np.abs(apart), CHANCE, axis=1))


def _routing(seen: list[Seen]) -> tuple[Routing, ...]:
    labels = np.stack([x.kinds[1:] for x in seen])
    shuffles = list(_shuffled(labels)) if seen[0].experts else []
    usual = _counts(labels)[1]
    return tuple(
        _route(layer, labels, np.concatenate([x.experts[layer][1:] for x in seen]), seen[0].n_experts, shuffles, usual)
        for layer in seen[0].experts
    )


def _route(
    layer: int, labels: Whole, first: Whole, experts: int, shuffles: list[Whole], usual: npt.NDArray[np.bool_]
) -> Routing:
    def table(of: Whole) -> Whole:
        return scores.together(of.ravel(), first, (len(KINDS), experts))

    def preferences(of: Whole) -> Floats:
        return np.where(usual[:, None] & (of >= CELL), scores.lifts(of), 0.0)

    counts = table(labels)
    lifts = preferences(counts)
    kind, expert = (int(i) for i in np.unravel_index(int(lifts.argmax()), lifts.shape))
    by_chance = [table(other) for other in shuffles]
    bits = np.array([scores.information(other) for other in by_chance])
    highest = [float(preferences(other).max()) for other in by_chance]
    return Routing(
        layer=layer,
        information=round(scores.information(counts) - float(bits.mean()), 4),
        chance=round(float(np.quantile(bits, CHANCE) - bits.mean()), 4),
        expert=expert,
        kind=KINDS[kind] if lifts.any() else None,
        lift=round(float(lifts[kind, expert]), 3),
        lift_chance=round(float(np.quantile(highest, CHANCE)), 3),
        count=int(counts[kind, expert]),
        of=int(counts[kind].sum()),
    )


def _counts(labels: Whole) -> tuple[Whole, npt.NDArray[np.bool_]]:
    """Count the tokens of each kind, and say of which there are enough; document marks are not spoken of."""
    counts = np.bincount(labels.ravel(), minlength=len(KINDS))
    usual = counts >= FEWEST
    usual[KINDS.index("special")] = False
    return counts, usual


def _shuffled(labels: Whole) -> Iterator[Whole]:
    """Permute the labels (window, token) between windows; neighbouring labels stay together, as in real text."""
    rng = np.random.default_rng(SEED)
    for _ in range(SHUFFLES):
        yield labels[rng.permutation(len(labels))]
