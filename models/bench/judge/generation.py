"""The time of a whole generation: a prompt and the tokens after it, from steps measured at several depths."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from models.bench.judge.curves import Node, Point, alike, estimate, logs_of
from models.bench.judge.statistics import Floats
from models.records.interval import Interval
from models.records.measurement import Measurement

LEAST_DEPTHS = 2


@dataclass(frozen=True, slots=True)
class GenerationCurve:
    """The milliseconds that n tokens take after a prompt as long as the shortest measured context.

    The step at a depth lies on a straight line between those at the two measured contexts around it; the sum of steps
    is the area below that line. prompt: whether reading the prompt is in it. Length 1 is the first token written.
    """

    rows: Mapping[int, Measurement]
    prompt: bool = True
    known: Mapping[Node, Floats] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "known", logs_of(self.rows, ("prefill", "decode")))

    @property
    def start(self) -> int:
        """Return the tokens of the prompt."""
        return next(iter(self.rows))

    @property
    def lengths(self) -> tuple[float, ...]:
        """Return the numbers of tokens after which a step was measured; the first token stands for none."""
        first, *others = self.rows
        return (1.0, *(float(context - first) for context in others))

    @property
    def fitted(self) -> tuple[float, ...]:
        """Return the lengths but the first token, of which nothing was summed."""
        return self.lengths[1:]

    def at(self, length: float) -> Point:
        """Return the time of a prompt and so many tokens, or of the tokens alone."""
        if not 1 <= length <= self.lengths[-1] * (1 + 1e-9):
            raise ValueError(f"{length:g} tokens are outside the measured ones, 1 to {self.lengths[-1]:g}")
        areas = _areas(tuple(self.rows), length)
        steps = {("decode", context): area for context, area in areas.items()}
        nodes: dict[Node, float] = ({("prefill", self.start): 1.0} if self.prompt else {}) | steps
        spent = {node: weight * math.exp(self.known[node].mean()) for node, weight in nodes.items()}
        whole = sum(spent.values())
        return Point(math.log(whole), {node: value / whole for node, value in spent.items()})


def curves(rows: Sequence[Measurement], *, prompt: bool = True) -> dict[str, GenerationCurve]:
    """Return a curve for each architecture with steps at LEAST_DEPTHS contexts or more, all from the same prompt.

    Of rows of several kinds (batches, sizes, number types) those of one kind are taken, as curves.alike says. An
    architecture that lacks the shortest context of the others is left out.
    """
    found = {name: {n: row for n, row in own.items() if _whole(row)} for name, own in alike(rows).items()}
    found = {name: own for name, own in found.items() if len(own) >= LEAST_DEPTHS}
    start = min((next(iter(own)) for own in found.values()), default=0)
    return {name: GenerationCurve(own, prompt) for name, own in found.items() if next(iter(own)) == start}


def seconds(curve: GenerationCurve, length: float) -> Interval:
    """Estimate the seconds of a generation of so many tokens, with the 95 % interval over rounds."""
    point = curve.at(length)
    found = estimate(point.log, point.follows, curve)
    ends = (math.exp(v) / 1e3 if v < 700 else math.inf for v in (found.value, found.low, found.high))
    return Interval(*ends)


def _areas(contexts: Sequence[int], length: float) -> dict[int, float]:
    """Return how many steps each measured context stands for, from the first context on, of `length` steps in all."""
    end, found = contexts[0] + length, dict.fromkeys(contexts, 0.0)
    for low, high in itertools.pairwise(contexts):
        reach = min(end, high) - low
        if reach <= 0:
            break
        share = reach / (high - low) / 2  # of the upper neighbour, on average over the reach
        found[low] += reach * (1 - share)
        found[high] += reach * share
    return {context: area for context, area in found.items() if area > 0}


def _whole(row: Measurement) -> bool:
    return bool(row.prefill_ms_samples and row.decode_ms_samples)
