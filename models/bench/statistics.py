"""Summarise samples honestly: median and quartiles, intervals by resampling, growth exponents with their interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RESAMPLES = 2000


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
class Interval:
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float

    def excludes(self, number: float) -> bool:
        """Tell whether a number lies outside the interval."""
        return not self.low <= number <= self.high


def spread(samples: Sequence[float]) -> Spread:
    """Summarise samples; ValueError when there are none. No sample is ever dropped."""
    if not len(samples):
        raise ValueError("no samples")
    low, median, high = np.percentile(np.asarray(samples, np.float64), [25, 50, 75])
    return Spread(float(median), float(low), float(high), len(samples))


def ratio_of_medians(above: Sequence[float], below: Sequence[float], *, seed: int = 0) -> Interval:
    """Estimate median(above) / median(below) with a percentile bootstrap interval (Efron & Tibshirani 1993, ch. 13)."""
    rng = np.random.default_rng(seed)
    a, b = np.asarray(above, np.float64), np.asarray(below, np.float64)
    if not (a.size and b.size):
        raise ValueError("no samples")
    ratios = _medians(a, rng) / _medians(b, rng)
    low, high = np.percentile(ratios, [2.5, 97.5])
    return Interval(float(np.median(a) / np.median(b)), float(low), float(high))


def growth_exponent(sizes: Sequence[float], samples: Sequence[Sequence[float]], *, seed: int = 0) -> Interval:
    """Fit time ~ size^k over the medians at each size; the interval resamples within each size.

    Raises ValueError with fewer than three sizes: two points fit any exponent.
    """
    if len(sizes) < 3 or len(sizes) != len(samples):
        raise ValueError(f"{len(sizes)} sizes and {len(samples)} groups of samples; at least three sizes are needed")
    rng = np.random.default_rng(seed)
    x = np.log(np.asarray(sizes, np.float64))
    x = x - x.mean()
    groups = [np.asarray(group, np.float64) for group in samples]
    resampled = np.stack([_medians(group, rng) for group in groups])  # (sizes, resamples)
    slopes = x @ np.log(resampled) / (x @ x)
    fit = float(x @ np.log([np.median(group) for group in groups]) / (x @ x))
    low, high = np.percentile(slopes, [2.5, 97.5])
    return Interval(fit, float(low), float(high))


def _medians(samples: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Resample with replacement and take medians (resamples,)."""
    picks = rng.integers(0, samples.size, (RESAMPLES, samples.size))
    medians: npt.NDArray[np.float64] = np.median(samples[picks], axis=1)
    return medians
