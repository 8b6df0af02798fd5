"""Spreads of samples, and intervals of ratios and growth exponents in which a round, not a step, is a sample."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from models.records.interval import Interval

NEGLIGIBLE = 0.01  # a difference that may be below one per cent is not called one
SHOWN = 0.95  # what an interval holds
DECISIVE = 0.98  # what decides a verdict: a page holds dozens of pairs, and 95 % calls every fortieth equal one

Rounds = Sequence[Sequence[float]]
Curve = Sequence[tuple[float, Rounds]]  # at each size, the samples of its rounds
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, quartiles and count of some samples, in their unit."""

    median: float
    low: float  # first quartile
    high: float  # third quartile
    count: int

    @property
    def iqr(self) -> float:
        """The width of the middle half."""
        return self.high - self.low

    @property
    def relative(self) -> float:
        """The width of the middle half against the median; torch.utils.benchmark warns from 0.10 and 0.25."""
        return self.iqr / self.median if self.median > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What two cells may say of each other: how many times as long a takes as b, and whether that is a difference.

    ratio has the interval to show, decisive the wider one (98 %) that decided. rounds: of the cell that has fewer.
    With a single round nothing can be told apart: the intervals have no end.
    """

    ratio: Interval
    decisive: Interval
    kind: Literal["faster", "slower", "indistinguishable"]
    rounds: int


def spread(samples: Sequence[float]) -> Spread:
    """Summarise samples; ValueError when there are none. No sample is ever dropped."""
    if not len(samples):
        raise ValueError("no samples")
    low, median, high = np.percentile(np.asarray(samples, np.float64), [25, 50, 75])
    return Spread(float(median), float(low), float(high), len(samples))


def rounds_of(samples: Sequence[float], rounds: int | None) -> list[list[float]]:
    """Split the samples of a row into its rounds, which follow one another; a row without a number is one round.

    Raises ValueError where they do not divide evenly.
    """
    count = rounds or 1
    each, rest = divmod(len(samples), count)
    if rest:
        raise ValueError(f"{len(samples)} samples do not divide into {count} rounds")
    return [[float(v) for v in samples[i * each : (i + 1) * each]] for i in range(count)] if each else []


def median_time(rounds: Rounds) -> Interval:
    """Estimate a typical time as the geometric mean of the round medians, with Student's 95 % interval of it."""
    return _exponential(_combined([_Mean.of(log_medians(rounds))], [1.0]))


def verdict(a: Rounds, b: Rounds, *, negligible: float = NEGLIGIBLE, paired: bool = True) -> Verdict:
    """Return whether a is faster or slower than b, from times by round; "faster": a takes less time.

    A round counts once, by the logarithm of its median: its steps share the state of the machine, and a median
    forgives spikes. Equal numbers of rounds are paired in order, so that what both went through cancels
    (cells of one group are measured in turn within a round); other numbers, and rounds that are not of the same turns
    (paired=False), are compared by Welch's interval.
    With 3 to 5 rounds a percentile bootstrap calls equal cells different far too often; Student's interval does not.
    A difference counts where the whole 98 % interval of the ratio lies further than `negligible` from 1.

    >>> verdict([[1.00, 1.02], [0.99, 1.01], [1.01, 1.00]], [[2.01, 2.00], [1.99, 2.02], [2.00, 2.03]]).kind
    'faster'
    >>> verdict([[1.00, 1.02], [0.99, 1.01], [1.01, 1.00]], [[1.01, 1.00], [1.00, 0.99], [1.02, 1.00]]).kind
    'indistinguishable'
    """
    logs = [log_medians(rounds) for rounds in (a, b)]
    fewest = min(len(values) for values in logs)
    if not fewest:
        raise ValueError("no samples")
    paired = paired and len(logs[0]) == len(logs[1])
    parts = [_Mean.of(logs[0] - logs[1])] if paired else [_Mean.of(logs[0]), _Mean.of(logs[1])]
    weights = [1.0, -1.0][: len(parts)]
    ratio, decisive = (_exponential(_combined(parts, weights, inside)) for inside in (SHOWN, DECISIVE))
    kind: Literal["faster", "slower", "indistinguishable"] = "indistinguishable"
    if decisive.high * (1 + negligible) < 1:
        kind = "faster"
    elif decisive.low > 1 + negligible:
        kind = "slower"
    return Verdict(ratio, decisive, kind, fewest)


def growth_exponent(
    sizes: Sequence[float], samples: Sequence[Sequence[float]], *, rounds: int | Sequence[int] | None = None
) -> Interval:
    """Fit time ~ size^k by least squares over the sizes; the interval holds the noise between the rounds of each size.

    rounds: how many rounds the samples of each size make; None: every sample is a round of its own. Whether a power
    law holds between the sizes is not in the interval. ValueError with fewer than three sizes: two fit any exponent.
    """
    if len(sizes) != len(samples):
        raise ValueError(f"{len(sizes)} sizes and {len(samples)} groups of samples")
    counts = [rounds] * len(sizes) if rounds is None or isinstance(rounds, int) else list(rounds)
    cut = [
        [[float(v)] for v in group] if count is None else rounds_of(group, count)
        for group, count in zip(samples, counts, strict=True)
    ]
    return _slope(sizes, [log_medians(group) for group in cut])


def compare_exponents(a: Curve, b: Curve, *, paired: bool = True) -> Interval:
    """Estimate by how much the growth exponent of a exceeds that of b, with its 95 % interval.

    Where both have the same sizes and rounds, they are paired round by round, so that drift which both went through
    cancels; not where the rounds are not of the same turns (paired=False). ValueError with fewer than three sizes in
    either.
    """
    logs = [[log_medians(rounds) for _, rounds in curve] for curve in (a, b)]
    sizes = [[size for size, _ in curve] for curve in (a, b)]
    if paired and sizes[0] == sizes[1] and [len(v) for v in logs[0]] == [len(v) for v in logs[1]]:
        return _slope(sizes[0], [x - y for x, y in zip(*logs, strict=True)])
    weights = [slope_weights(each) for each in sizes]
    parts = [_Mean.of(values) for each in logs for values in each]
    return _combined(parts, [*weights[0], *(-weights[1])])


def weighted(groups: Sequence[Floats], weights: Sequence[float], *, inside: float = SHOWN) -> Interval:
    """Estimate the weighted sum of the means of independent groups of values, with its interval.

    A group of one value leaves the interval without ends. ValueError for a group without values.
    """
    return _combined([_Mean.of(group) for group in groups], weights, inside)


@cache
def student(freedom: int, inside: float = SHOWN) -> float:
    """Return where Student's t has the share `inside` within plus and minus (A&S 26.7.3-4, whole degrees of freedom).

    inside: at most 0.98.
    """
    low, high = 0.0, 32.0  # 31.821 at one degree of freedom and 98 %
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _student_inside(middle, freedom) < inside else (low, middle)
    return (low + high) / 2


def _student_inside(t: float, freedom: int) -> float:
    """Return the probability that |T| < t."""
    angle = math.atan(t / math.sqrt(freedom))
    odd = freedom % 2
    term = math.cos(angle) if odd else 1.0
    total = 0.0
    for k in range(2 + odd, freedom + 1, 2):
        total += term
        term *= math.cos(angle) ** 2 * (k - 1) / k
    total *= math.sin(angle)
    return 2 / math.pi * (angle + total) if odd else total


@dataclass(frozen=True, slots=True)
class _Mean:
    """A mean with the variance of that mean; a single value has none that is known."""

    value: float
    variance: float
    freedom: int

    @classmethod
    def of(cls, values: Floats) -> "_Mean":
        if not values.size:
            raise ValueError("no samples")
        known = float(values.var(ddof=1)) / values.size if values.size > 1 else math.inf
        return cls(float(values.mean()), known, values.size - 1)


def _combined(parts: Sequence[_Mean], weights: Sequence[float], inside: float = SHOWN) -> Interval:
    """Weigh means into one; degrees of freedom by Welch and Satterthwaite, rounded down."""
    terms = [(w * m.value, w * w * m.variance, m.freedom) for m, w in zip(parts, weights, strict=True) if w]
    value, variance = sum(v for v, _, _ in terms), sum(s for _, s, _ in terms)
    if not math.isfinite(variance):
        return Interval(value, -math.inf, math.inf)
    if variance == 0:
        return Interval(value, value, value)
    freedom = variance**2 / sum(s * s / f for _, s, f in terms)
    half = student(max(int(freedom + 1e-9), 1), inside) * math.sqrt(variance)
    return Interval(value, value - half, value + half)


def _slope(sizes: Sequence[float], values: Sequence[Floats]) -> Interval:
    return _combined([_Mean.of(each) for each in values], list(slope_weights(sizes)))


def slope_weights(sizes: Sequence[float]) -> Floats:
    """Return what each size's value contributes to the least-squares slope over the logarithm of size.

    ValueError with fewer than three sizes.
    """
    if len(sizes) < 3:
        raise ValueError(f"{len(sizes)} sizes; at least three are needed")
    x = np.log(np.asarray(sizes, np.float64))
    x = x - x.mean()
    weights: Floats = x / (x @ x)
    return weights


def log_medians(rounds: Rounds) -> Floats:
    """Return the logarithm of the median of each round that has samples."""
    return np.array([math.log(float(np.median(np.asarray(each)))) for each in rounds if len(each)])


def _exponential(interval: Interval) -> Interval:
    low, high = (math.exp(v) if v < 700 else math.inf for v in (interval.low, interval.high))
    return Interval(math.exp(interval.value), low, high)
